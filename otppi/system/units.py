"""The few systemd units that the gateway may start and stop."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from otppi.lib.backoff import delays_s
from otppi.model.checks import Check, Level
from otppi.model.errors import HostError, HostRefused
from otppi.system import dbus

_SYSTEMD = "org.freedesktop.systemd1"
_MANAGER = (_SYSTEMD, "/org/freedesktop/systemd1", f"{_SYSTEMD}.Manager")
_FIRST_LOOK_S = 0.02
_LONGEST_REST_S = 0.5
_GONE = "UnknownObject"  # what systemd says of a job that has ended


class SystemdUnits:
    """Implements `Units` for services by calls to systemd; what it may do besides is for polkit to say."""

    def __init__(self, allowed: frozenset[str], *, limit_s: float = 90.0) -> None:
        """Take the names of the units, `.service` included, and how long one may take to start or stop."""
        self._allowed = allowed
        self._limit_s = limit_s

    def start(self, unit: str) -> None:
        """See `Units`."""
        self._run("StartUnit", unit)
        self._expect_started(unit)

    def restart(self, unit: str) -> None:
        """See `Units`."""
        self._run("RestartUnit", unit)
        self._expect_started(unit)

    def stop(self, unit: str) -> None:
        """See `Units`."""
        self._run("StopUnit", unit)
        state = self.state(unit)
        if state not in ("inactive", "failed", "absent"):
            raise HostError(f"{unit} did not stop: it is {state}")

    def state(self, unit: str) -> str:
        """See `Units`."""
        return _state(self._properties(unit, "Unit"))

    def checks(self) -> Iterable[Check]:
        """Look at all units: one that failed, or is not installed, is worth a line of its own."""
        ill = 0
        for unit in sorted(self._allowed):
            try:
                state = self.state(unit)
            except HostError as error:
                yield _cannot_be_asked(error)
                return
            if state in ("failed", "absent"):
                ill += 1
                yield _check_unit(unit, state)
        if not ill:
            yield Check(name="units", level=Level.GREEN, finding=f"none of {len(self._allowed)} has failed")

    def _run(self, method: str, unit: str) -> None:
        self._expect_allowed(unit)
        job = dbus.call(*_MANAGER, method, "ss", (unit, "replace"))[0]
        end_s = time.monotonic() + self._limit_s
        for rest_s in delays_s(_FIRST_LOOK_S, _LONGEST_REST_S):
            if _has_ended(job):
                return
            if time.monotonic() >= end_s:
                raise HostError(f"{unit} is not done after {self._limit_s:g} s")
            time.sleep(rest_s)

    def _expect_started(self, unit: str) -> None:
        state = self.state(unit)
        # A unit that does a single thing is inactive again when it has done it.
        if state in ("active", "reloading"):
            return
        result = str(self._properties(unit, "Service").get("Result", "unknown"))
        if state != "inactive" or result != "success":
            raise HostError(f"{unit} failed: it is {state} ({result})")

    def _properties(self, unit: str, interface: str) -> Mapping[str, Any]:
        self._expect_allowed(unit)
        path = dbus.call(*_MANAGER, "LoadUnit", "s", (unit,))[0]
        return dbus.get_properties(_SYSTEMD, path, f"{_SYSTEMD}.{interface}")

    def _expect_allowed(self, unit: str) -> None:
        if unit not in self._allowed:
            raise HostRefused("NotAllowed", "this unit is none of ours")


def _has_ended(job: str) -> bool:
    try:
        dbus.get_property(_SYSTEMD, job, f"{_SYSTEMD}.Job", "State")
    except HostRefused as error:
        if error.name == _GONE:
            return True
        raise
    return False


def _state(properties: Mapping[str, Any]) -> str:
    state = str(properties["ActiveState"])
    # A unit may run on although its file is gone.
    return "absent" if state == "inactive" and properties["LoadState"] == "not-found" else state


def _check_unit(unit: str, state: str) -> Check:
    if state == "absent":
        return Check(
            name=f"unit {unit}",
            level=Level.YELLOW,
            finding="not installed",
            advice="What it does for the device is missing; on a device that was flashed, flash it again.",
        )
    return Check(
        name=f"unit {unit}",
        level=Level.RED,
        finding="failed",
        advice="Restart the device. If it fails again, its words are in the log: journalctl -u " + unit,
    )


def _cannot_be_asked(error: HostError) -> Check:
    return Check(
        name="units",
        level=Level.YELLOW,
        finding=f"systemd cannot be asked: {error}",
        advice="Sending goes on. On a device, restart it; elsewhere this is as it should be.",
    )
