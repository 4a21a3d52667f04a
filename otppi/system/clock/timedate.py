"""What systemd-timedated and systemd-timesyncd know and do, over the system bus."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otppi.model.errors import HostError
from otppi.system import dbus

log = logging.getLogger(__name__)

TIMESYNCD_UNIT = "systemd-timesyncd.service"
_TIMEDATE = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1")
_TIMESYNC = ("org.freedesktop.timesync1", "/org/freedesktop/timesync1", "org.freedesktop.timesync1.Manager")
# Touched by timesyncd whenever it has set the clock; /run is empty at boot.
_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
_US = 1_000_000
# It waits for the service manager and, with a real-time clock, for the turn of a second.
_SLOW_TIMEOUT_S = 30.0
_NTP_STOPS_WITHIN_S = 10.0
_ASK_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class TimeState:
    """What the system says of its clock."""

    time_zone: str
    can_ntp: bool  # whether there is a service that asks the network
    ntp_enabled: bool
    is_synchronised: bool  # whether it agreed with a time server since boot
    server_name: str = ""  # empty while no server answers
    last_sync_epoch_s: float | None = None


class TimeDate:
    """Asks and tells both services; every call waits for them.

    Every method raises `HostUnreachable` if the service does not answer and `HostRefused` if it says no.
    """

    def __init__(self, restart_timesyncd: Callable[[], None], synchronised: Path = _SYNCHRONISED) -> None:
        """Make it.

        Args:
            restart_timesyncd: Starts TIMESYNCD_UNIT anew and waits; it reads its configuration only then.
            synchronised: The file that timesyncd touches.
        """
        self._restart_timesyncd = restart_timesyncd
        self._synchronised = synchronised

    def state(self) -> TimeState:
        """Return what is so now."""
        clock = dbus.get_properties(*_TIMEDATE)
        last_sync_epoch_s = self._last_sync_epoch_s()
        server = self._server() if clock["NTP"] else {}
        return TimeState(
            time_zone=str(clock["Timezone"]),
            can_ntp=bool(clock["CanNTP"]),
            ntp_enabled=bool(clock["NTP"]),
            is_synchronised=bool(clock["NTPSynchronized"]) or last_sync_epoch_s is not None,
            server_name=str(server.get("ServerName", "")),
            last_sync_epoch_s=last_sync_epoch_s,
        )

    def set_time_zone(self, time_zone: str) -> None:
        """Set the zone of the system, if it is another one."""
        _tell("SetTimezone", "sb", time_zone, False)

    def set_ntp(self, enabled: bool) -> None:
        """Switch timesyncd on or off, now and for the next boot."""
        _tell("SetNTP", "bb", enabled, False)

    def set_time(self, epoch_s: float) -> None:
        """Set the wall clock, and with it the real-time clock.

        timedated refuses that while NTP is on; it is switched off for the moment, and on again come what may.
        """
        was_on = bool(dbus.get_property(*_TIMEDATE, "NTP"))
        if not was_on:
            _set_time(epoch_s)
            return
        self.set_ntp(False)
        try:
            _wait_until_ntp_is_off()
            _set_time(epoch_s)
        finally:
            self._ntp_on_again()

    def restart_timesyncd(self) -> None:
        """Make timesyncd read its configuration."""
        self._restart_timesyncd()

    def _ntp_on_again(self) -> None:
        try:
            self.set_ntp(True)
        except HostError as error:
            # What became of the time matters more to the caller; the keeper switches it on later.
            log.warning("NTP could not be switched on again", extra={"fields": {"reason": str(error)}})

    def _last_sync_epoch_s(self) -> float | None:
        try:
            return self._synchronised.stat().st_mtime
        except OSError:
            return None

    def _server(self) -> dict[str, Any]:
        try:
            return dbus.get_properties(*_TIMESYNC)
        except HostError:
            # It has just been started, or gave up; what timedated says is still worth having.
            return {}


def _tell(member: str, signature: str, *body: object) -> None:
    dbus.call(*_TIMEDATE, member, signature, body, timeout_s=_SLOW_TIMEOUT_S)


def _set_time(epoch_s: float) -> None:
    _tell("SetTime", "xbb", int(epoch_s * _US), False, False)


def _wait_until_ntp_is_off() -> None:
    # Switching off is answered when it was ordered; until it was done, timedated goes on refusing.
    deadline = time.monotonic() + _NTP_STOPS_WITHIN_S
    while dbus.get_property(*_TIMEDATE, "NTP") and time.monotonic() < deadline:
        time.sleep(_ASK_EVERY_S)
