import pytest

from otppi.model.checks import Level
from otppi.system.clock.checks import clock_checks
from otppi.system.clock.chip import RtcState
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TimeState
from otppi.system.clock.trust import Trust

SYNCED = TimeState(
    time_zone="Asia/Jakarta",
    can_ntp=True,
    ntp_enabled=True,
    is_synchronised=True,
    server_name="pool.ntp.org",
    last_sync_epoch_s=1_800_000_000.0,
)
SEARCHING = TimeState(time_zone="Asia/Jakarta", can_ntp=True, ntp_enabled=True, is_synchronised=False)
KEPT = RtcState(lost_power=False, set_the_clock=True, epoch_s=1.0, temperature_c=31.5)


def found(trust=None, settings=None, state=SYNCED, rtc=KEPT):
    checks = clock_checks(trust or Trust(True, "agrees"), settings or ClockSettings(), state, rtc)
    return {check.name: check for check in checks}


def test_all_is_well():
    checks = found()
    assert {check.level for check in checks.values()} == {Level.GREEN}
    assert checks["time server"].finding == "pool.ntp.org, last answer 2027-01-15 08:00 UTC"
    assert checks["real-time clock temperature"].finding == "31.5 °C"


def test_whatever_is_not_green_says_what_to_do():
    no_time = RtcState(lost_power=None, set_the_clock=False, epoch_s=None, temperature_c=90)
    for state in (None, SYNCED, SEARCHING):
        for rtc in (None, KEPT, no_time):
            for check in found(Trust(False, "x"), state=state, rtc=rtc).values():
                assert bool(check.advice) == (check.level is not Level.GREEN)


def test_without_a_real_time_clock_the_network_is_enough():
    assert found(rtc=None)["real-time clock"].level is Level.GREEN
    assert found(rtc=None, state=SEARCHING)["real-time clock"].level is Level.YELLOW
    assert found(rtc=None, state=None)["real-time clock"].level is Level.YELLOW


def test_a_battery_that_failed_is_to_be_replaced():
    check = found(rtc=RtcState(lost_power=True, set_the_clock=False, epoch_s=1.0))["real-time clock battery"]
    assert check.level is Level.YELLOW
    assert "CR2032" in check.advice


@pytest.mark.parametrize(
    ("temperature_c", "level"), [(-1, Level.YELLOW), (0, Level.GREEN), (71, Level.YELLOW)]
)
def test_the_temperature_has_limits(temperature_c, level):
    rtc = RtcState(lost_power=False, set_the_clock=True, epoch_s=1.0, temperature_c=temperature_c)
    assert found(rtc=rtc)["real-time clock temperature"].level is level


def test_time_servers_are_missed_only_where_they_are_wanted():
    assert found(state=SEARCHING)["time server"].level is Level.YELLOW
    assert (
        found(settings=ClockSettings(ntp_enabled=False), state=SEARCHING)["time server"].level is Level.GREEN
    )
    assert found(state=None)["time server"].level is Level.RED
