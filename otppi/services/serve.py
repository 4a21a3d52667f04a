"""`otppi serve`: the gateway as a service."""

import logging
import resource
from pathlib import Path

from otppi.lib.filelock import hold
from otppi.lib.heap import return_large_blocks
from otppi.lib.servicenotice import ServiceNotice, watchdog_interval_s
from otppi.services.ending import Ending, end_on_signal
from otppi.services.folders import StateFolder, runtime_folder
from otppi.services.gateway import Gateway
from otppi.services.health import Health

log = logging.getLogger(__name__)

_DESCRIPTORS = 4096


def serve(state_dir: Path, runtime_dir: Path | None, *, on_device: bool = False) -> None:
    """Run a gateway until SIGTERM or SIGINT; returns when everything in hand has come to its end.

    Args:
        state_dir: Settings and keys.
        runtime_dir: See `runtime_folder`.
        on_device: Whether network, firewall, clock and the rest of this machine are the gateway's to look after.

    Raises:
        AlreadyHeld: Another gateway or command holds the folder.
    """
    return_large_blocks()
    _allow_many_connections()
    state = StateFolder.prepared(state_dir)
    with hold(state.lock):
        ending = end_on_signal()
        gateway = _made(state, runtime_folder(state, runtime_dir), ending, on_device=on_device)
        notice = ServiceNotice.of_environment()
        health = Health(gateway.probes(), notice, watchdog_interval_s())
        gateway.watch_by(health.checks)
        gateway.start()
        health.start()
        notice.ready()
        try:
            ending.wait()
        finally:
            notice.stopping()
            health.stop()
            gateway.stop()
        if gateway.appliance is not None:
            ending.finish(gateway.appliance.power)


def _made(state: StateFolder, runtime_dir: Path | None, ending: Ending, *, on_device: bool) -> Gateway:
    if not on_device:
        return Gateway(state, runtime_dir, ending=ending)
    from otppi.services.hosts import board
    from otppi.system.clock.trust import TrustedClock

    clock = TrustedClock()
    return Gateway(
        state, runtime_dir, clock=clock, ending=ending, host=lambda store: board(store, clock, runtime_dir)
    )


def _allow_many_connections() -> None:
    # Five servers may hold 512 connections each; the usual soft limit is 1024 descriptors.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
