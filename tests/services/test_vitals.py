import pytest

from otppi.model.errors import BadRequest
from otppi.services.control import call
from otppi.services.vitals import VitalSigns
from tests.system.test_vitals import Pi


@pytest.fixture
def pi(tmp_path):
    return Pi(tmp_path / "board")


@pytest.fixture
def vitals(tmp_path, clock, pi):
    return VitalSigns(tmp_path, clock, pi.root)


def test_what_is_now(vitals, pi, clock):
    clock.advance(5)
    pi.ticks(busy=10, idle=30)
    now = vitals.now()
    assert (now["cpu_percent"], now["load"], now["temperature_c"]) == (25.0, (0.52, 0.31, 0.18), 48.3)
    assert now["memory"] == {"total_bytes": 943104 * 1024, "available_bytes": 471552 * 1024}
    assert now["swap"]["free_bytes"] == 393213 * 1024
    assert (now["is_slowed"], now["had_under_voltage"]) == (True, False)
    assert set(now["storage"]) == {"state", "root"}
    assert set(now["storage"]["state"]) == {"total_bytes", "used_bytes", "used_percent"}


def test_the_history_has_a_row_a_minute_however_often_it_is_sampled(vitals, pi, clock):
    for half_minute in range(7):
        vitals.sample()
        pi.ticks(busy=30 * (half_minute + 1), idle=70 * (half_minute + 1))
        clock.advance(30)
    rows = vitals.history()
    assert [one["at"] for one in rows] == [1_800_000_000 + 60 * minute for minute in range(4)]
    assert [one["cpu"] for one in rows] == [None, 30.0, 30.0, 30.0]
    assert {key: rows[0][key] for key in ("memory", "swap", "temperature")} == {
        "memory": 50.0,
        "swap": 25.0,
        "temperature": 48.3,
    }


def test_a_clock_that_was_set_later_puts_the_rows_where_they_belong(vitals, clock):
    clock.wall = 0.0
    vitals.sample()
    clock.advance(120)
    clock.wall = 1_900_000_000.0
    assert [one["at"] for one in vitals.history()] == [1_900_000_000 - 120]


def test_a_day_is_told_by_minutes_and_more_by_ten(vitals, clock):
    for _ in range(60 * 25):
        vitals.sample()
        clock.advance(60)
    assert len(vitals.history(1)) == 60
    assert len(vitals.history(24)) == 24 * 60
    assert len(vitals.history(168)) == 25 * 6


@pytest.mark.parametrize("hours", [0, -1, 169])
def test_hours_outside_a_week_are_refused(vitals, hours):
    with pytest.raises(BadRequest, match="hours"):
        vitals.history(hours)


def test_a_gateway_on_any_machine_tells_them(gateway):
    one = gateway(modems=())
    now = call(one.state_dir, "device.vitals", {}, 10)
    assert now["memory"]["total_bytes"] > now["memory"]["available_bytes"] > 0
    assert now["uptime_s"] > 0
    (row,) = call(one.state_dir, "device.history", {"hours": 1}, 10)
    assert 0 < row["memory"] < 100


def test_a_gateway_with_a_host_samples_by_itself(gateway):
    one = gateway(modems=(), on_desk=True)
    one.wait_until(lambda: call(one.state_dir, "device.history", {"hours": 1}, 10))
