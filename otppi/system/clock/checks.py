"""What the diagnosis says about time."""

from collections.abc import Iterator
from datetime import UTC, datetime

from otppi.model.checks import Check, Level
from otppi.system.clock.chip import RtcState
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TimeState
from otppi.system.clock.trust import Trust

# Data sheet, Operating Conditions, of the commercial grade.
_COLDEST_C, _HOTTEST_C = 0.0, 70.0
_SET_IT = "Join the device's Wi-Fi and open its page, or: otppi clock set 2027-01-31T12:00:00+07:00"
_NEW_BATTERY = (
    "If this comes again after the next power cut, replace the CR2032 battery of the real-time clock."
)


def clock_checks(
    trust: Trust, settings: ClockSettings, state: TimeState | None, rtc: RtcState | None
) -> Iterator[Check]:
    """Look at the clock, the time servers and the real-time clock.

    Args:
        trust: What the clock is worth.
        settings: What the owner wants.
        state: What the system says; None while it does not answer.
        rtc: The real-time clock; None without one.
    """
    yield _clock(trust)
    yield _ntp(settings, state)
    is_synchronised = state is not None and state.is_synchronised
    if rtc is None:
        yield _no_rtc(is_synchronised)
        return
    yield _battery(rtc)
    if rtc.temperature_c is not None:
        yield _temperature(rtc.temperature_c)


def _clock(trust: Trust) -> Check:
    if trust.is_trusted:
        return Check(name="clock", level=Level.GREEN, finding=trust.reason)
    return Check(
        name="clock",
        level=Level.YELLOW,
        finding=trust.reason,
        advice=f"{_SET_IT}. Until then expirations are counted from the sender's date_time.",
    )


def _ntp(settings: ClockSettings, state: TimeState | None) -> Check:
    name = "time server"
    if state is None:
        return Check(
            name=name,
            level=Level.RED,
            finding="the time service of the system does not answer",
            advice="It is asked again by itself. If this stays, restart the device.",
        )
    if not settings.asks_network:
        return Check(name=name, level=Level.GREEN, finding="none is asked, as set")
    if not state.can_ntp:
        return Check(
            name=name,
            level=Level.RED,
            finding="the system has no service that asks time servers",
            advice="On a device, flash it again; elsewhere install the package systemd-timesyncd.",
        )
    if state.is_synchronised:
        return Check(name=name, level=Level.GREEN, finding=_synchronised(state))
    return Check(
        name=name,
        level=Level.YELLOW,
        finding=f"{', '.join(settings.ntp_server)}: no answer yet",
        advice="Check the internet connection and the time server; without internet set the interval to never.",
    )


def _synchronised(state: TimeState) -> str:
    server = state.server_name or "a server that is not asked now"
    if state.last_sync_epoch_s is None:
        return server
    return f"{server}, last answer {datetime.fromtimestamp(state.last_sync_epoch_s, UTC):%Y-%m-%d %H:%M} UTC"


def _no_rtc(is_synchronised: bool) -> Check:
    if is_synchronised:
        return Check(
            name="real-time clock",
            level=Level.GREEN,
            finding="none fitted; time comes from the network",
        )
    return Check(
        name="real-time clock",
        level=Level.YELLOW,
        finding="none found, and no time from the network",
        advice="Fit a DS3231, or connect the device to the internet; until then set the time after each start.",
    )


def _battery(rtc: RtcState) -> Check:
    name = "real-time clock battery"
    if rtc.lost_power:
        return Check(
            name=name, level=Level.YELLOW, finding="had lost power before this start", advice=_NEW_BATTERY
        )
    if rtc.epoch_s is None:
        return Check(
            name=name,
            level=Level.YELLOW,
            finding="the real-time clock has no time that can be read",
            advice=f"{_SET_IT}. {_NEW_BATTERY}",
        )
    known = (
        "kept the time" if rtc.lost_power is False else "the real-time clock runs; no log tells of its past"
    )
    return Check(name=name, level=Level.GREEN, finding=known)


def _temperature(temperature_c: float) -> Check:
    name, finding = "real-time clock temperature", f"{temperature_c:g} °C"
    if _COLDEST_C <= temperature_c <= _HOTTEST_C:
        return Check(name=name, level=Level.GREEN, finding=finding)
    return Check(
        name=name,
        level=Level.YELLOW,
        finding=finding,
        advice="Out of the range for which the chip is made (0 to 70 °C); give the device another place.",
    )
