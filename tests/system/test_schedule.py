import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model.checks import Level
from otppi.model.errors import HostUnreachable
from otppi.system.schedule import (
    CHOICES,
    HousekeepingSettings,
    Restarts,
    Scheduler,
    local_zone,
    next_due,
    was_due,
)

JAKARTA, BERLIN = ZoneInfo("Asia/Jakarta"), ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name) for name in ("Asia/Jakarta", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu")
]
MOMENTS = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, zone),
    st.integers(1_780_000_000, 1_900_000_000),
    st.sampled_from(ZONES),
)
TIMES = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))


def at(text: str, zone=JAKARTA) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("chosen", "time", "now", "due"),
    [
        ("daily", "03:00", "2026-11-21 02:59", "2026-11-21 03:00"),
        ("daily", "03:00", "2026-11-21 03:00", "2026-11-22 03:00"),
        ("every 12 hours", "00:00", "2026-11-21 00:00", "2026-11-21 12:00"),
        ("every 12 hours", "15:30", "2026-11-21 16:00", "2026-11-22 03:30"),
        ("monday", "00:00", "2026-11-21 10:00", "2026-11-23 00:00"),
        ("saturday", "09:00", "2026-11-21 10:00", "2026-11-28 09:00"),
        ("saturday", "11:00", "2026-11-21 10:00", "2026-11-21 11:00"),
        ("daily", "00:00", "2026-12-31 23:59", "2027-01-01 00:00"),
    ],
)
def test_the_next_due_time(chosen, time, now, due):
    assert next_due(chosen, time, at(now)) == at(due)


def test_never_is_never_due():
    assert next_due("never", "03:00", at("2026-11-21 10:00")) is None


def test_a_time_that_summer_time_leaves_out_comes_later_and_one_that_comes_twice_counts_once():
    spring = next_due("daily", "02:30", at("2027-03-27 12:00", BERLIN))
    assert spring.isoformat() == "2027-03-28T03:30:00+02:00"
    autumn = next_due("daily", "02:30", at("2026-10-24 12:00", BERLIN))
    assert autumn.isoformat() == "2026-10-25T02:30:00+02:00"
    assert next_due("daily", "02:30", autumn).isoformat() == "2026-10-26T02:30:00+01:00"


@given(st.sampled_from(CHOICES[1:]), TIMES, MOMENTS)
def test_due_times_lie_ahead_and_neither_too_near_nor_too_far(chosen, time, now):
    first = next_due(chosen, time, now)
    second = next_due(chosen, time, first)
    period = {"every 12 hours": timedelta(hours=12), "daily": timedelta(days=1)}.get(
        chosen, timedelta(days=7)
    )
    change = timedelta(hours=1)
    assert timedelta() < first.astimezone(UTC) - now.astimezone(UTC) <= period + change
    assert period - change <= second.astimezone(UTC) - first.astimezone(UTC) <= period + change


@given(st.sampled_from(CHOICES[1:]), TIMES, MOMENTS, st.integers(0, 60))
def test_of_ticks_every_minute_exactly_one_hits_a_due_time(chosen, time, now, offset_s):
    due = next_due(chosen, time, now).astimezone(UTC)
    ticks = [due + timedelta(seconds=offset_s + 60 * n) for n in range(-5, 6)]
    local = [tick.astimezone(now.tzinfo) for tick in ticks]
    hits = [was_due(chosen, time, one, other) for one, other in pairwise(local)]
    assert sum(hits) == 1


class Plant:
    """A scheduler in Jakarta on the fake clock, and what it restarted."""

    def __init__(self, clock, **settings):
        self.clock = clock
        self.done: list[str] = []
        self.error: Exception | None = None
        self.settings = HousekeepingSettings(**settings)
        self.start_service()

    def start_service(self):
        restarts = Restarts(service=lambda: self.restart("service"), device=lambda: self.restart("device"))
        self.scheduler = Scheduler(lambda: self.settings, self.clock, restarts, lambda: JAKARTA)

    def restart(self, what):
        if self.error:
            raise self.error
        self.done.append(what)

    def set_wall(self, text):
        self.clock.wall = at(text).timestamp()

    def run(self, seconds):
        for _ in range(int(seconds // 30)):
            self.scheduler.tick()
            self.clock.advance(30)
        self.scheduler.tick()


def test_a_service_restarts_once_a_day_at_its_time(clock):
    plant = Plant(clock, restart_service="daily", restart_service_at="04:00")
    plant.set_wall("2026-11-21 03:10")
    plant.run(3 * 3600)
    assert plant.done == []  # it began less than an hour before
    plant.run(2 * 86_400)
    assert plant.done == ["service", "service"]


def test_the_device_comes_first_where_both_are_due(clock):
    clock.boot = 90_000.0
    plant = Plant(clock, restart_service="daily", restart_device="daily", restart_device_at="00:00")
    plant.set_wall("2026-11-21 20:00")
    plant.run(8 * 3600)
    assert plant.done == ["device"]


def test_a_clock_that_is_set_back_over_the_due_time_does_not_make_a_loop(clock):
    clock.boot = 90_000.0
    plant = Plant(clock, restart_device="daily")
    plant.set_wall("2026-11-21 01:30")
    for _ in range(5):
        plant.run(7200)
        # The board starts anew without a clock of its own, some minutes before the time it was restarted at.
        plant.set_wall("2026-11-21 02:55")
        clock.boot = 20.0
        plant.start_service()
    plant.run(600)
    assert plant.done == ["device"]


def test_a_clock_that_jumps_over_the_due_time_restarts_nothing(clock):
    plant = Plant(clock, restart_service="daily", restart_device="daily")
    clock.boot = 90_000.0
    plant.set_wall("2026-11-20 22:00")
    plant.run(60)
    plant.set_wall("2026-11-21 09:00")
    plant.run(3600)
    assert plant.done == []


def test_an_untrusted_clock_restarts_nothing_and_says_so(clock):
    plant = Plant(clock, restart_service="daily", restart_device="every 12 hours")
    clock.boot, clock.trusted = 90_000.0, False
    plant.set_wall("2026-11-20 22:00")
    plant.run(2 * 86_400)
    assert plant.done == []
    (check,) = plant.scheduler.checks()
    assert check.level is Level.YELLOW


def test_a_restart_that_fails_is_told_and_not_repeated_before_it_is_due_again(clock, caplog):
    clock.boot = 90_000.0
    plant = Plant(clock, restart_device="daily")
    plant.error = HostUnreachable("no logind")
    plant.set_wall("2026-11-21 02:50")
    with caplog.at_level(logging.ERROR):
        plant.run(3600)
    assert len(caplog.records) == 1
    (check,) = plant.scheduler.checks()
    assert check.level is Level.YELLOW
    plant.error = None
    plant.run(86_400)
    assert plant.done == ["device"]
    (check,) = plant.scheduler.checks()
    assert check.finding == "device restarts 2026-11-23 03:00"


def test_the_zone_is_that_of_the_device(tmp_path):
    assert local_zone(tmp_path / "none") is UTC
    (tmp_path / "bad").write_text("no zone")
    assert local_zone(tmp_path / "bad") is UTC


@pytest.mark.parametrize("wrong", ["24:00", "3:00", "03:60", "noon", ""])
def test_a_time_that_is_none_is_refused(wrong):
    made, errors = HousekeepingSettings.parse({"restart_device_at": wrong})
    assert made is None
    assert set(errors) == {"restart_device_at"}
