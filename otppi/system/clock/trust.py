"""What the wall clock is worth, and the clock of the gateway that knows it."""

from dataclasses import dataclass

from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S, SystemClock
from otppi.system.clock.chip import RtcState

LATEST_PLAUSIBLE_WALL_S = 4_102_444_800.0  # 2100-01-01
# Both count whole seconds, and reading them takes a moment.
_AGREE_WITHIN_S = 3.0


@dataclass(frozen=True)
class Trust:
    """Whether wall time may be compared with other clocks, and why."""

    is_trusted: bool
    reason: str


def is_plausible(epoch_s: float) -> bool:
    """Return whether it can be that time while this release is in use."""
    return EARLIEST_PLAUSIBLE_WALL_S <= epoch_s < LATEST_PLAUSIBLE_WALL_S


def agrees(rtc: RtcState, wall_s: float) -> bool:
    """Return whether the real-time clock shows the same time."""
    return rtc.epoch_s is not None and abs(rtc.epoch_s - wall_s) <= _AGREE_WITHIN_S


def judge(*, wall_s: float, is_synchronised: bool, set_by: str, rtc: RtcState | None) -> Trust:
    """Say what the wall clock is worth.

    Args:
        wall_s: What it shows.
        is_synchronised: Whether it agreed with a time server since boot.
        set_by: Who set it since boot, in words; empty if nobody did.
        rtc: The real-time clock; None if there is none.
    """
    if wall_s < EARLIEST_PLAUSIBLE_WALL_S:
        return Trust(False, "the clock is before this release was made")
    if wall_s >= LATEST_PLAUSIBLE_WALL_S:
        return Trust(False, "the clock is after the year 2099")
    if is_synchronised:
        return Trust(True, "agrees with a time server")
    if set_by:
        return Trust(True, f"set {set_by}")
    return _by_rtc(wall_s, rtc)


def _by_rtc(wall_s: float, rtc: RtcState | None) -> Trust:
    if rtc is None:
        return Trust(False, "no time server has answered, and there is no real-time clock")
    if rtc.lost_power:
        return Trust(False, "no time server has answered, and the real-time clock had lost power")
    # A clock that lost its power starts again in the year 2000: what is plausible was kept, even if no log says so.
    if agrees(rtc, wall_s) or (rtc.set_the_clock and rtc.epoch_s is None):
        return Trust(True, "kept by the real-time clock")
    return Trust(False, "no time server has answered, and the real-time clock shows another time")


class TrustedClock(SystemClock):
    """The clocks of a device, with a verdict on wall time that somebody else keeps up to date."""

    def __init__(self) -> None:
        self._trust = Trust(False, "not looked at yet")

    @property
    def trust(self) -> Trust:
        """The verdict."""
        return self._trust

    def believe(self, trust: Trust) -> None:
        """Take a new verdict; from any thread."""
        self._trust = trust

    def wall_is_trusted(self) -> bool:
        """See `Clock`; asked for every message, so nothing is looked at here."""
        return self._trust.is_trusted
