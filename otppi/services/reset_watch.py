"""The watcher for USB sticks: looks at what is plugged in and writes what it saw; it orders nothing.

It hears of block devices from the kernel itself: that needs no udevd and works in a network namespace of its own.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyudev

from otppi.system.reset.snapshot import MOST_STICKS, Snapshot, Stick
from otppi.system.reset.stick import read_stick
from otppi.system.reset.usb import Predicate, Volume, is_on_usb, volumes

log = logging.getLogger(__name__)

SNAPSHOT = "sticks.json"
_MOUNT_FOLDER = "stick"
# Partitions show up one after the other.
_QUIET_S = 1.0
_STILL_NOISY_S = 5.0
# At boot USB disks behind hubs take their time; see `Snapshot.is_settled`.
_SETTLED_AFTER_S = 60.0
# A path unit of systemd may miss what changes while its service still runs, so everything is written once more.
_AGAIN_AFTER_S = 90.0
_POLL_S: Final = 1.0


def watch(
    runtime_dir: Path,
    stop: threading.Event,
    *,
    is_meant: Predicate = is_on_usb,
    settled_after_s: float = _SETTLED_AFTER_S,
    again_after_s: float = _AGAIN_AFTER_S,
) -> None:
    """Keep `sticks.json` in the folder true until `stop` is set; waits all that time.

    Raises:
        OSError: The folder cannot be written to.
    """
    mount_folder = runtime_dir / _MOUNT_FOLDER
    mount_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    context = pyudev.Context()
    monitor = pyudev.Monitor.from_netlink(context, source="kernel")
    monitor.filter_by("block")
    monitor.start()
    log.info("watching for USB sticks")
    writer = _Writer(runtime_dir / SNAPSHOT, settled_after_s, again_after_s)
    is_stale = True
    while not stop.is_set():
        if is_stale:
            _wait_for_quiet(monitor, stop)
            writer.see(_looked(volumes(context, is_meant), mount_folder))
        writer.write()
        is_stale = _heard(monitor, min(_POLL_S, settled_after_s, again_after_s))


def publish(path: Path, data: bytes) -> None:
    """Replace a file in RAM whole; the group of this process may read it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o640)  # whatever the umask is
        file.write(data)
    os.replace(new, path)


class _Writer:
    """Writes when something changed, and once more a while later."""

    def __init__(self, path: Path, settled_after_s: float, again_after_s: float) -> None:
        self._path = path
        self._settles_at_s = time.monotonic() + settled_after_s
        self._again_after_s = again_after_s
        self._sticks: tuple[Stick, ...] = ()
        self._written: Snapshot | None = None
        self._again_at_s = float("inf")

    def see(self, sticks: tuple[Stick, ...]) -> None:
        self._sticks = sticks

    def write(self) -> None:
        now_s = time.monotonic()
        snapshot = Snapshot(sticks=self._sticks, is_settled=now_s >= self._settles_at_s)
        if snapshot != self._written:
            self._log(snapshot)
            self._again_at_s = now_s + self._again_after_s
        elif now_s >= self._again_at_s:
            self._again_at_s = float("inf")
        else:
            return
        publish(self._path, snapshot.as_json())
        self._written = snapshot

    def _log(self, snapshot: Snapshot) -> None:
        known = self._written.sticks if self._written else ()
        for stick in snapshot.sticks:
            if stick not in known:
                fields = {"device": stick.device, "flags": ",".join(stick.flags), "refusal": stick.refusal}
                log.info("a stick is in", extra={"fields": fields})


def _wait_for_quiet(monitor: pyudev.Monitor, stop: threading.Event) -> None:
    end_s = time.monotonic() + _STILL_NOISY_S
    while not stop.is_set() and time.monotonic() < end_s and _heard(monitor, _QUIET_S):
        pass


def _heard(monitor: pyudev.Monitor, timeout_s: float) -> bool:
    try:
        return monitor.poll(timeout_s) is not None
    except OSError:
        return True  # more happened than the kernel keeps for us


def _looked(found: Sequence[Volume], mount_folder: Path) -> tuple[Stick, ...]:
    if len(found) > MOST_STICKS:
        log.warning("too many volumes, the rest is not looked at", extra={"fields": {"count": len(found)}})
    looks = (read_stick(one.device, one.disk, mount_folder) for one in found[:MOST_STICKS])
    return tuple(stick for stick in looks if stick is not None)
