"""The real health of the workers of this process, and the watchdog that lives by it."""

import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from otppi.lib.bus import Bus
from otppi.lib.servicenotice import ServiceNotice
from otppi.model.checks import Check, Level

log = logging.getLogger(__name__)

_PERIOD_S = 15.0
_LONGEST_STOP_S = 5.0
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on

Probe = Callable[[], str]
"""Says what is wrong, or nothing; returns within a few seconds whatever happens."""


class Health:
    """Runs all probes one after another on the thread `watchdog`, and feeds systemd's while all are well.

    A probe asks whether a worker can work, never whether the world lets it: a modem that is slow or gone, a full
    disk or a taken port are no reasons to start anew, as starting anew would not help.
    """

    def __init__(self, probes: Mapping[str, Probe], notice: ServiceNotice, watchdog_s: float | None) -> None:
        """Take what is asked; `watchdog_s` is how often systemd wants to hear, None if it does not."""
        self._probes = probes
        self._notice = notice
        self._watchdog_s = watchdog_s
        self._period_s = min(_PERIOD_S, watchdog_s / 3) if watchdog_s else _PERIOD_S
        self._ill: Mapping[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look, at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, or leave it to a probe that hangs; tell systemd before, or its watchdog bites."""
        self._stop.set()
        self._thread.join(_LONGEST_STOP_S)

    def checks(self) -> Iterable[Check]:
        """Say what was ill when last looked at."""
        ill = self._ill
        for name, problem in ill.items():
            yield Check(
                name=f"health of {name}",
                level=Level.RED,
                finding=problem,
                advice="The service is started anew by itself within a minute if this stays so."
                if self._watchdog_s
                else "Restart the service: otppi power restart-service",
            )
        if not ill:
            kept = "watched by systemd" if self._watchdog_s else "not watched by systemd"
            yield Check(
                name="health", level=Level.GREEN, finding=f"all {len(self._probes)} parts work, {kept}"
            )

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._stop.wait(self._period_s)

    def _look(self) -> None:
        ill = {name: problem for name, probe in self._probes.items() if (problem := _asked(probe))}
        for name, problem in ill.items():
            if name not in self._ill:
                log.error("a part is ill", extra={"fields": {"part": name, "reason": problem}})
        for name in self._ill:
            if name not in ill:
                log.info("a part is well again", extra={"fields": {"part": name}})
        self._ill = ill
        if not ill and not self._notice.alive():
            log.warning("systemd does not hear the watchdog")


def nobody_died(*parts: Callable[[], Iterable[str]]) -> Probe:
    """Return a probe of threads: each part names those of its own that ended though nobody asked them to."""

    def probe() -> str:
        dead = [name for part in parts for name in part()]
        return f"ended by mistake: {', '.join(dead)}" if dead else ""

    return probe


def readable(read: Callable[[], object]) -> Probe:
    """Return a probe that reads something which is in memory, such as the settings."""

    def probe() -> str:
        read()
        return ""

    return probe


@dataclass(frozen=True)
class _Marker:
    number: int


class BusProbe:
    """Publishes a marker and expects to hear it."""

    def __init__(self, bus: Bus, limit_s: float = 5.0) -> None:
        """Subscribe to the bus."""
        self._bus = bus
        self._limit_s = limit_s
        self._number = 0
        self._heard_number = 0
        self._heard = threading.Condition()
        bus.subscribe("health", self._hear, _Marker)

    def __call__(self) -> str:
        """See `Probe`."""
        self._number += 1
        self._bus.publish(_Marker(self._number))
        with self._heard:
            came = self._heard.wait_for(lambda: self._heard_number >= self._number, self._limit_s)
        return "" if came else f"news does not arrive within {self._limit_s:g} s"

    def _hear(self, marker: _Marker) -> None:
        with self._heard:
            self._heard_number = marker.number
            self._heard.notify_all()


@dataclass(frozen=True, kw_only=True)
class WebDoor:
    """A web server of this process that listens."""

    name: str
    host: str
    port: int
    is_tls: bool
    progress: Callable[[], object]  # another value whenever a worker has got on with an answer


class WebProbe:
    """Asks every open door for its health over loopback, or its own address."""

    def __init__(self, doors: Callable[[], Iterable[WebDoor]], limit_s: float = 5.0) -> None:
        """Take what returns the doors that are open now, and how long one may take to answer."""
        self._doors = doors
        self._limit_s = limit_s
        self._seen: dict[str, object] = {}  # the progress of each door when it was last looked at
        # The certificate is our own, and may be about to be renewed.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def __call__(self) -> str:
        """See `Probe`; with several doors shut it takes as many times the limit."""
        problems = ((door.name, self._ask(door)) for door in self._doors())
        return ", ".join(f"{name}: {problem}" for name, problem in problems if problem)

    def _ask(self, door: WebDoor) -> str:
        now = door.progress()
        before = self._seen.get(door.name, now)
        self._seen[door.name] = now
        host = "127.0.0.1" if door.host in _EVERY_ADDRESS else door.host
        connection = (
            http.client.HTTPSConnection(host, door.port, timeout=self._limit_s, context=self._tls)
            if door.is_tls
            else http.client.HTTPConnection(host, door.port, timeout=self._limit_s)
        )
        began_s = time.monotonic()
        try:
            connection.request("GET", "/healthz", headers={"Connection": "close"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            # In a flood, or with slow readers on every thread, our question may wait too long or be dropped. A server
            # that has got on since the last look is not blocked, and to start it anew would be what they want.
            # Nor is one whose address is gone for a while, as that of an access point that is down.
            if door.progress() != before or not _is_here(host):
                return ""
            return f"{type(error).__name__} after {time.monotonic() - began_s:.1f} s"
        finally:
            connection.close()
        return ""


def _is_here(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _asked(probe: Probe) -> str:
    try:
        return probe()
    except Exception as error:
        log.exception("a probe failed")
        return f"cannot be asked: {type(error).__name__}"
