from datetime import UTC, datetime

from otppi.system.clock.chip import RealTimeClock, combined
from otppi.system.clock.rtc import KernelRtc, RtcReading

READING = RtcReading(lost_power=False, temperature_c=25.0, time=datetime(2027, 1, 15, 8, tzinfo=UTC))
KERNEL = KernelRtc(name="rtc-ds1307 1-0068", epoch_s=1_800_000_000, set_the_clock=True)


def test_none_is_none():
    assert combined(None, None, True) is None


def test_the_chip_alone_is_enough():
    state = combined(READING, None, None)
    assert (state.epoch_s, state.lost_power, state.set_the_clock) == (1_800_000_000, None, False)


def test_the_kernel_alone_is_enough():
    state = combined(None, KERNEL, False)
    assert (state.epoch_s, state.lost_power, state.temperature_c) == (1_800_000_000, False, None)


def test_a_note_in_the_chip_counts_whatever_the_log_says():
    note = RtcReading(lost_power=True, temperature_c=25.0, time=None)
    state = combined(note, None, False)
    assert state.lost_power
    assert state.has_note
    assert state.epoch_s is None


def test_what_the_log_said_counts_after_the_kernel_cleared_the_note():
    state = combined(READING, KERNEL, True)
    assert state.lost_power
    assert not state.has_note


def test_the_log_is_read_once_and_only_if_there_is_a_clock(tmp_path):
    asked = []

    def log():
        asked.append(1)
        return "rtc-ds1307 1-0068: SET TIME!\n"

    clock = RealTimeClock(lambda: 1, kernel_log=log, dev=tmp_path, sys=tmp_path)
    assert clock.state() is None
    assert not asked
    (tmp_path / "class/rtc/rtc0").mkdir(parents=True)
    assert clock.state().lost_power
    assert clock.state().lost_power
    assert len(asked) == 1
