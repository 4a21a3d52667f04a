import os
import time

import pytest

from otppi.gateway.sent_query import SentFilter, SentSummary
from otppi.gateway.sent_row import row_of
from otppi.model.events import MessageFinished, Outcome
from otppi.model.number import Number

NOW_S = 1_800_000_000.0  # 2027-01-15 08:00 UTC
DAY_S = 86_400


@pytest.fixture
def zone():
    """Put the device into a time zone."""
    before = os.environ.get("TZ")

    def put(name):
        os.environ["TZ"] = name
        time.tzset()

    yield put
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def row(at_s, outcome=Outcome.SENT, modem="tri", parts=1, modem_id=""):
    event = MessageFinished(
        message_id="a",
        modem_id=modem_id or modem,
        modem_name=modem,
        door="rest",
        user="shop",
        masked_number=Number("6281200000034").masked,
        parts=parts,
        outcome=outcome,
    )
    return row_of(event, at_s, is_timed=True)


def summed(rows, **wanted):
    summary = SentSummary(SentFilter(**wanted))
    summary.count(rows)
    return summary.as_json(NOW_S)


def test_nothing_adds_up_to_noughts():
    assert summed([]) == {
        "messages": 0,
        "parts": 0,
        "outcomes": {"sent": 0, "failed": 0, "unknown": 0},
        "deliveries": {"none": 0, "delivered": 0, "failed": 0, "unknown": 0},
        "modems": [],
        "step": "day",
        "chart": [],
    }


def test_rows_are_counted_by_outcome_and_modem():
    rows = [row(NOW_S), row(NOW_S, Outcome.FAILED, parts=3), row(NOW_S, Outcome.UNKNOWN, "xl")]
    summary = summed(rows)
    assert (summary["messages"], summary["parts"]) == (3, 5)
    assert summary["outcomes"] == {"sent": 1, "failed": 1, "unknown": 1}
    assert summary["modems"] == [
        {"modem_id": "tri", "modem": "tri", "sent": 1, "failed": 1, "unknown": 0},
        {"modem_id": "xl", "modem": "xl", "sent": 0, "failed": 0, "unknown": 1},
    ]


def test_a_modem_that_got_another_name_is_one_modem_under_the_newest():
    summary = summed([row(NOW_S, modem="new", modem_id="m0"), row(NOW_S - 60, modem="old", modem_id="m0")])
    assert summary["modems"] == [{"modem_id": "m0", "modem": "new", "sent": 2, "failed": 0, "unknown": 0}]


def test_days_are_those_of_the_device_and_none_is_left_out(zone):
    zone("Asia/Jakarta")
    rows = [
        row(NOW_S),
        row(NOW_S - 3 * DAY_S),
        row(NOW_S + 9 * 3600),
    ]  # the last is 0:00 of the next day there
    assert [(step["at"], step["sent"]) for step in summed(rows)["chart"]] == [
        ("2027-01-12", 1),
        ("2027-01-13", 0),
        ("2027-01-14", 0),
        ("2027-01-15", 1),
        ("2027-01-16", 1),
    ]


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("Asia/Jakarta", ["2027-01-15T13:00+07:00", "2027-01-15T14:00+07:00", "2027-01-15T15:00+07:00"]),
        ("Asia/Kolkata", ["2027-01-15T11:00+05:30", "2027-01-15T12:00+05:30", "2027-01-15T13:00+05:30"]),
    ],
)
def test_two_days_at_most_are_counted_by_the_hour(zone, name, hours):
    zone(name)
    rows = [row(NOW_S), row(NOW_S - 7200), row(NOW_S - 7140, Outcome.FAILED)]
    summary = summed(rows, from_s=NOW_S - 2 * DAY_S)
    assert summary["step"] == "hour"
    assert [(step["at"], step["sent"], step["failed"]) for step in summary["chart"]] == [
        (hours[0], 1, 1),
        (hours[1], 0, 0),
        (hours[2], 1, 0),
    ]
    assert summed(rows, from_s=NOW_S - 3 * DAY_S)["step"] == "day"
    assert summed(rows, from_s=NOW_S - 3 * DAY_S, until_s=NOW_S - 2 * DAY_S)["step"] == "hour"


def test_the_hour_that_comes_twice_in_autumn_is_two_hours(zone):
    zone("Europe/Berlin")
    change_s = 1_824_944_400.0  # 2027-10-31 02:00 there, for the second time
    summary = summed([row(change_s), row(change_s - 3600)], from_s=change_s - 3600, until_s=change_s + 3600)
    assert [(step["at"], step["sent"]) for step in summary["chart"]] == [
        ("2027-10-31T02:00+02:00", 1),
        ("2027-10-31T02:00+01:00", 1),
    ]


def test_what_was_sent_before_the_clock_was_set_is_counted_and_in_no_chart():
    summary = summed([row(NOW_S), row(1000.0)])
    assert summary["messages"] == 2
    assert [step["sent"] for step in summary["chart"]] == [1]
