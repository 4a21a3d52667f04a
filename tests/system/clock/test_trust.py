import pytest

from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S
from otppi.system.clock.chip import RtcState
from otppi.system.clock.trust import Trust, TrustedClock, is_plausible, judge

NOW = 1_800_000_000.0
KEPT = RtcState(lost_power=False, set_the_clock=True, epoch_s=NOW)


def verdict(wall_s=NOW, is_synchronised=False, set_by="", rtc=None):
    return judge(wall_s=wall_s, is_synchronised=is_synchronised, set_by=set_by, rtc=rtc)


@pytest.mark.parametrize(
    "evidence",
    [
        {"is_synchronised": True},
        {"set_by": "by the administrator"},
        {"rtc": KEPT},
        {"rtc": RtcState(lost_power=False, set_the_clock=False, epoch_s=NOW - 1)},
        {"rtc": RtcState(lost_power=None, set_the_clock=True, epoch_s=NOW)},
        {"rtc": RtcState(lost_power=False, set_the_clock=True, epoch_s=None)},
        {"rtc": RtcState(lost_power=True, set_the_clock=True, epoch_s=NOW), "is_synchronised": True},
    ],
)
def test_trusts(evidence):
    assert verdict(**evidence).is_trusted


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ({}, "no real-time clock"),
        ({"rtc": RtcState(lost_power=True, set_the_clock=True, epoch_s=NOW)}, "had lost power"),
        ({"rtc": RtcState(lost_power=False, set_the_clock=True, epoch_s=NOW - 60)}, "another time"),
        ({"rtc": RtcState(lost_power=None, set_the_clock=False, epoch_s=None)}, "another time"),
        (
            {"wall_s": EARLIEST_PLAUSIBLE_WALL_S - 1, "is_synchronised": True, "set_by": "x"},
            "before this release",
        ),
        ({"wall_s": 4_200_000_000.0, "is_synchronised": True}, "2099"),
    ],
)
def test_does_not_trust(evidence, reason):
    trust = verdict(**evidence)
    assert not trust.is_trusted
    assert reason in trust.reason


@pytest.mark.parametrize(
    "epoch_s", [0, -1, EARLIEST_PLAUSIBLE_WALL_S - 1, 4_102_444_800, float("inf"), float("nan")]
)
def test_rejects__plausible(epoch_s):
    assert not is_plausible(epoch_s)


def test_a_clock_that_nobody_has_judged_is_not_trusted():
    clock = TrustedClock()
    assert not clock.wall_is_trusted()
    clock.believe(Trust(True, "x"))
    assert clock.wall_is_trusted()
    assert clock.boot_s() > 0
