import random
import statistics
import time
import tracemalloc

import pytest

from otppi.gateway.traffic import Durations, Traffic
from otppi.lib.bus import Bus
from otppi.model.events import DeliveryReported, MessageFinished, Outcome, RequestAnswered
from otppi.model.number import Number
from otppi.model.received_pdu import ReportOutcome


def finished(message_id="a", outcome=Outcome.SENT, duration_s=2.0, late=False):
    return MessageFinished(
        message_id=message_id,
        modem_id="m0",
        modem_name="tri",
        door="rest",
        user="shop",
        masked_number=Number("6281200000034").masked,
        parts=1,
        outcome=outcome,
        duration_s=duration_s,
        late=late,
    )


def answered(door="rest", duration_s=0.5):
    return RequestAnswered(door=door, command="send-sms", code="0000", duration_s=duration_s)


@pytest.fixture
def traffic(clock):
    return Traffic(clock)


def test_an_hour_without_anything_has_sixty_empty_minutes(traffic, clock):
    recent = traffic.recent()
    assert len(recent["minutes"]) == 60
    assert recent["messages"] == []
    assert {
        (one["sent"], one["failed"], one["unknown"], one["median_s"], one["p95_s"])
        for one in recent["minutes"]
    } == {(0, 0, 0, None, None)}


def test_news_from_the_bus_are_counted_in_their_minute(traffic, clock):
    def tell(*events):
        bus = Bus()
        bus.subscribe("traffic", traffic.take, MessageFinished, DeliveryReported, RequestAnswered)
        for event in events:
            bus.publish(event)
        bus.stop()

    tell(finished("a"), finished("b", Outcome.FAILED), answered(), answered("cli", 4.0))
    clock.advance(60)
    tell(finished("c", Outcome.UNKNOWN), finished("d", duration_s=8.0))
    recent = traffic.recent()
    before, now = recent["minutes"][-2:]
    assert (before["sent"], before["failed"], before["unknown"]) == (1, 1, 0)
    assert before["median_s"] == pytest.approx(2.0, rel=0.03)
    assert sorted(before["answers"]) == ["cli", "rest"]
    assert before["answers"]["cli"] == {
        "count": 1,
        "median_s": pytest.approx(4.0, rel=0.03),
        "p95_s": pytest.approx(4.0, rel=0.03),
    }
    assert (now["sent"], now["failed"], now["unknown"], now["answers"]) == (1, 0, 1, {})
    assert [message["message_id"] for message in recent["messages"]] == ["d", "c", "b", "a"]
    assert {message["number"] for message in recent["messages"]} == {"62812••••••34"}


def test_a_message_that_did_not_go_makes_sending_look_no_quicker(traffic):
    for number in range(10):
        traffic.take(finished(f"{number}", Outcome.FAILED, 0.01))
    traffic.take(finished("a", duration_s=3.0))
    assert traffic.recent()["minutes"][-1]["median_s"] == pytest.approx(3.0, rel=0.03)


def test_a_late_confirmation_and_a_report_settle_what_was_told(traffic, clock):
    traffic.take(finished("a", Outcome.UNKNOWN))
    clock.advance(120)
    traffic.take(finished("a", late=True))
    traffic.take(finished("long gone", late=True))
    traffic.take(
        DeliveryReported(message_id="a", modem_id="m0", masked_number="", outcome=ReportOutcome.DELIVERED)
    )
    recent = traffic.recent()
    (message,) = recent["messages"]
    assert (message["outcome"], message["is_late"], message["delivery"]) == ("sent", True, "delivered")
    assert [(one["sent"], one["unknown"]) for one in recent["minutes"][-3:]] == [(1, 0), (0, 0), (0, 0)]


def test_what_is_older_than_an_hour_is_forgotten(traffic, clock):
    traffic.take(finished("a"))
    clock.advance(59 * 60)
    assert traffic.recent()["minutes"][0]["sent"] == 1
    clock.advance(60)
    traffic.take(finished("b"))
    assert [one["sent"] for one in traffic.recent()["minutes"]] == [0] * 59 + [1]


def test_a_jump_of_the_wall_clock_moves_no_message_to_another_minute(traffic, clock):
    traffic.take(finished("a"))
    clock.advance(60)
    clock.wall -= 10_000_000
    minutes = traffic.recent()["minutes"]
    assert [one["sent"] for one in minutes[-2:]] == [1, 0]
    assert len({one["at"] for one in minutes}) == 60


def test_a_flood_takes_little_memory_and_time(traffic):
    events = [finished(f"{number}", duration_s=random.uniform(0.001, 60)) for number in range(20_000)]
    events += [answered(duration_s=random.uniform(0.001, 60)) for _ in range(20_000)]
    tracemalloc.start()
    try:
        for event in events:
            traffic.take(event)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 500_000
    assert len(traffic.recent()["messages"]) == 200
    began_s = time.perf_counter()
    traffic.recent()
    assert time.perf_counter() - began_s < 0.5


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_quantile_is_right_to_three_percent(share):
    draw = random.Random(3)
    durations, exact = Durations(), [draw.lognormvariate(0.5, 1.0) for _ in range(2001)]
    for one in exact:
        durations.add(one)
    expected = statistics.quantiles(exact, n=100, method="inclusive")[int(share * 100) - 1]
    assert durations.quantile_s(share) == pytest.approx(expected, rel=0.04)


def test_no_time_at_all_is_a_duration():
    durations = Durations()
    durations.add(0.0)
    assert durations.quantile_s(0.5) == pytest.approx(0.0001, rel=0.03)


def test_of_an_hour_in_which_the_program_started_it_is_said(traffic, clock):
    assert not traffic.recent()["is_whole"]
    clock.advance(3600)
    assert traffic.recent()["is_whole"]
