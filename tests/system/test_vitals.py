import math
from pathlib import Path

import pytest

from otppi.system.strain import HostReadings
from otppi.system.vitals import History, Processor, Sample, Volume, read_vitals, sample_of, used_percent
from tests.system.test_strain import Board

NAN = math.nan


class Pi(Board):
    """A board with what proc(5) has besides, as a Raspberry Pi of four cores shows it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ticks(0, 0)
        self.write("proc/loadavg", "0.52 0.31 0.18 2/187 4242")
        self.write("proc/uptime", "93784.21 361200.57")
        self.write(
            "proc/meminfo",
            "MemTotal:         943104 kB\nMemFree:          102400 kB\nMemAvailable:     471552 kB\n"
            "SwapTotal:        524284 kB\nSwapFree:         393213 kB",
        )
        self.throttled(0x80008)

    def ticks(self, busy: int, idle: int, guest: int = 0) -> None:
        # user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second
        self.write(
            "proc/stat",
            f"cpu  {1000 + busy} 20 300 {90000 + idle} 500 0 40 0 {guest} 0\n"
            "cpu0 250 5 75 22500 125 0 10 0 0 0\nintr 12345 0 0\nctxt 99\nbtime 1800000000\nprocesses 4242",
        )


@pytest.fixture
def pi(tmp_path):
    return Pi(tmp_path)


def test_a_board_is_read(pi, clock):
    processor = Processor(clock.boot_s, pi.root)
    clock.advance(2)
    pi.ticks(busy=200, idle=600)
    vitals = read_vitals(processor, {"state": pi.root, "gone": pi.root / "gone"}, pi.root)
    assert vitals.cpu_percent == 25.0
    assert vitals.load == (0.52, 0.31, 0.18)
    assert vitals.uptime_s == 93784.21
    assert (vitals.host.swap_bytes, vitals.host.free_swap_bytes) == (524284 * 1024, 393213 * 1024)
    # The soft limit of its temperature, now and before.
    assert (vitals.host.is_slowed, vitals.host.was_slowed) == (True, True)
    assert (vitals.host.has_under_voltage, vitals.host.had_under_voltage) == (False, False)
    assert list(vitals.volumes) == ["state"]
    volume = vitals.volumes["state"]
    assert 0 < volume.used_bytes < volume.total_bytes


def test_a_board_that_was_throttled_and_is_not_any_more_says_so(pi, clock):
    pi.throttled(0x50000)
    host = read_vitals(Processor(clock.boot_s, pi.root), {}, pi.root).host
    assert (host.is_slowed, host.was_slowed, host.had_under_voltage) == (False, True, True)


def test_a_machine_that_tells_nothing_is_no_error(tmp_path, clock):
    processor = Processor(clock.boot_s, tmp_path)
    clock.advance(2)
    vitals = read_vitals(processor, {"state": tmp_path / "gone"}, tmp_path)
    assert (vitals.cpu_percent, vitals.load, vitals.uptime_s) == (None, None, None)
    assert vitals.host == HostReadings()
    row = sample_of(vitals, "state", 5.0)
    assert all(map(math.isnan, (row.cpu, row.memory, row.swap, row.storage, row.temperature)))


def test_rubbish_is_as_good_as_nothing(pi, clock):
    for path in ("proc/stat", "proc/loadavg", "proc/uptime"):
        pi.write(path, "cpu  1 2 x")
    processor = Processor(clock.boot_s, pi.root)
    clock.advance(2)
    vitals = read_vitals(processor, {}, pi.root)
    assert (vitals.cpu_percent, vitals.load, vitals.uptime_s) == (None, None, None)


def test_the_processor_is_counted_between_two_looks(pi, clock):
    processor = Processor(clock.boot_s, pi.root)
    assert processor.busy_percent() is None
    clock.advance(1)
    pi.ticks(busy=100, idle=0)
    assert processor.busy_percent() == 100.0
    pi.ticks(busy=100, idle=50)
    clock.advance(0.5)
    assert processor.busy_percent() == 100.0  # too soon to know better
    clock.advance(0.5)
    pi.ticks(busy=100, idle=100)
    assert processor.busy_percent() == 0.0


def test_what_guests_took_is_not_counted_twice_and_a_count_that_goes_back_is_none(pi, clock):
    processor = Processor(clock.boot_s, pi.root)
    clock.advance(1)
    pi.ticks(busy=50, idle=50, guest=50)
    assert processor.busy_percent() == 50.0
    clock.advance(1)
    pi.ticks(busy=60, idle=40, guest=50)
    assert processor.busy_percent() == 100.0


def test_a_row_is_in_percent_of_all_there_is(pi, clock):
    vitals = read_vitals(Processor(clock.boot_s, pi.root), {"state": pi.root}, pi.root)
    row = sample_of(vitals, "state", 7.0)
    assert (row.boot_s, row.memory, row.temperature) == (7.0, 50.0, 48.3)
    assert row.swap == pytest.approx(25.0)
    assert row.storage == vitals.volumes["state"].used_percent
    assert math.isnan(row.cpu)


def test_without_swap_there_is_no_share_of_it():
    assert math.isnan(used_percent(0, 0))
    assert math.isnan(used_percent(None, 5))


def row(boot_s, cpu=1.0, temperature=NAN):
    return Sample(boot_s, cpu, 2.0, NAN, 3.0, temperature)


def test_there_is_a_row_for_each_minute_and_a_mean_for_each_ten():
    history = History()
    for minute in range(25):
        assert history.is_due(60.0 * minute)
        history.add(row(60.0 * minute, cpu=minute, temperature=40.0 if minute == 3 else NAN))
        assert not history.is_due(60.0 * minute + 59)
    assert [one.boot_s for one in history.rows(1200.0, is_long=False)] == [
        1200.0,
        1260.0,
        1320.0,
        1380.0,
        1440.0,
    ]
    first, second = history.rows(0.0, is_long=True)
    assert (first.boot_s, first.cpu, first.temperature) == (540.0, 4.5, 40.0)
    assert (second.boot_s, second.cpu) == (1140.0, 14.5)
    assert math.isnan(second.temperature)
    assert math.isnan(second.swap)


def test_it_is_bounded():
    history = History()
    for minute in range(20_000):
        history.add(row(60.0 * minute))
    assert len(history.rows(0.0, is_long=False)) == 24 * 60
    assert len(history.rows(0.0, is_long=True)) == 7 * 24 * 6
    assert history.rows(0.0, is_long=True)[-1].boot_s == 60.0 * 19_999


def test_a_volume_is_in_the_words_of_df(tmp_path, clock):
    found = read_vitals(Processor(clock.boot_s), {"here": tmp_path}).volumes["here"]
    assert isinstance(found, Volume)
    assert 0 <= found.used_percent <= 100
