"""Counts of past days that are kept in memory: always what the files say, and seldom read from them."""

import os
import random
import time
from datetime import datetime, timedelta

import pytest

from otppi.gateway import sent_days
from otppi.gateway.sent import SentMessages, SentSettings
from otppi.gateway.sent_query import SentFilter, SentSummary
from otppi.model.events import DeliveryReported, MessageFinished, Outcome
from otppi.model.number import Number
from otppi.model.received_pdu import ReportOutcome

HOUR_S, DAY_S = 3600, 86_400


def finished(message_id="a", **others):
    values = {
        "modem_id": "m0",
        "modem_name": "telkomsel",
        "door": "rest",
        "user": "shop",
        "masked_number": Number("6281200000034").masked,
        "parts": 2,
        "outcome": Outcome.SENT,
        "duration_s": 2.5,
    }
    return MessageFinished(message_id=message_id, **(values | others))


def reported(message_id):
    return DeliveryReported(
        message_id=message_id, modem_id="m0", masked_number="", outcome=ReportOutcome.DELIVERED
    )


class Desk:
    """Rows on a real disk, and the days of the device as a page asks for them."""

    def __init__(self, folder, clock):
        self.folder = folder
        self.clock = clock
        self.sent = SentMessages(folder, lambda: SentSettings(retention_days=30), clock)

    def restart(self):
        self.sent.stop()
        self.sent = SentMessages(self.folder, lambda: SentSettings(retention_days=30), self.clock)

    def send(self, *message_ids, **others):
        for message_id in message_ids:
            self.sent.take(finished(message_id, **others))

    def days(self, count, until=0):
        """The filter for so many days of the device, the last of them so many days ago."""
        now = datetime.fromtimestamp(self.clock.wall)
        today = datetime(now.year, now.month, now.day)
        until_s = (today - timedelta(days=until - 1)).timestamp() if until else float("inf")
        return SentFilter(from_s=(today - timedelta(days=until + count - 1)).timestamp(), until_s=until_s)

    def asked(self, wanted):
        return self.sent.summary(wanted).as_json(self.clock.wall)

    def read(self, wanted):
        """The same without anything that was kept."""
        summary = SentSummary(wanted)
        summary.count(self.sent.rows(wanted))
        return summary.as_json(self.clock.wall)

    def spoil_files(self, *, but=0):
        """Make rubbish of what is in the files but the newest; who looks at names and sizes alone sees nothing."""
        files = sorted(self.folder.iterdir())
        for file in files[: len(files) - but]:
            file.write_bytes(b"x" * file.stat().st_size)


@pytest.fixture(autouse=True)
def zone():
    """Put the device into a time zone; that of Jakarta, whose days begin at 17:00 UTC, to begin with."""
    before = os.environ.get("TZ")

    def put(name):
        os.environ["TZ"] = name
        time.tzset()

    put("Asia/Jakarta")
    yield put
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def desk(tmp_path, clock):
    one = Desk(tmp_path / "reports", clock)
    yield one
    one.sent.stop()


@pytest.fixture
def ten_days(desk, clock):
    """Four messages a day, the last of them six hours ago."""
    for number in range(40):
        desk.send(f"{number}")
        clock.advance(6 * HOUR_S)
    desk.sent.flush()
    return desk


def test_a_report_of_many_days_reads_the_files_of_past_days_once(ten_days, clock):
    wanted = ten_days.days(30)
    before = ten_days.asked(wanted)
    assert before["messages"] == 40
    ten_days.spoil_files(but=2)  # today began in the last but one
    ten_days.send("new")
    after = ten_days.asked(wanted)
    assert (after["messages"], after["parts"]) == (41, 82)
    assert after["outcomes"]["sent"] == 41
    assert after["chart"][:-2] == before["chart"][:-2]
    assert ten_days.asked(ten_days.days(5, until=3))["messages"] == 20
    assert ten_days.read(wanted)["messages"] < 40


def test_a_page_of_rows_and_the_figures_above_it_are_read_at_once(ten_days):
    wanted = SentFilter(user="shop")
    assert ten_days.sent.page(wanted).total == 40
    ten_days.spoil_files()
    assert ten_days.asked(wanted)["messages"] == 40
    ten_days.send("new")
    assert ten_days.asked(wanted)["messages"] == 1


@pytest.mark.parametrize(
    "event",
    [reported("3"), finished("3", late=True)],
    ids=["delivery report", "late confirmation"],
)
def test_what_comes_about_a_message_of_a_past_day_is_in_the_next_report(desk, clock, event):
    for number in range(20):
        desk.send(f"{number}", outcome=Outcome.UNKNOWN)
        clock.advance(12 * HOUR_S)
    desk.sent.flush()
    wanted = desk.days(30)
    assert desk.asked(wanted)["outcomes"]["unknown"] == 20
    desk.sent.take(event)
    told = desk.asked(wanted)
    assert told == desk.read(wanted)
    assert (told["deliveries"]["delivered"], told["outcomes"]["sent"]) in ((1, 0), (0, 1))
    desk.sent.flush()
    assert desk.asked(wanted) == told


def test_days_that_were_deleted_or_grew_too_old_are_counted_no_more(ten_days, clock):
    wanted = SentFilter()
    assert ten_days.asked(wanted)["messages"] == 40
    assert ten_days.sent.delete_before(clock.wall - 5 * DAY_S) == 20
    assert ten_days.asked(wanted)["messages"] == 20
    clock.advance(28 * DAY_S)
    ten_days.send("new")
    assert ten_days.asked(wanted)["messages"] == 21
    ten_days.sent.sweep()
    assert ten_days.asked(wanted)["messages"] == len(list(ten_days.sent.rows(wanted))) < 21


def test_another_time_zone_has_other_days(ten_days, zone):
    jakarta = ten_days.asked(SentFilter())["chart"]
    zone("UTC")
    assert ten_days.asked(SentFilter()) == ten_days.read(SentFilter())
    assert ten_days.asked(SentFilter())["chart"] != jakarta


def test_a_clock_that_is_set_back_brings_new_rows_into_past_days(ten_days, clock):
    wanted = SentFilter()
    assert ten_days.asked(wanted)["messages"] == 40
    clock.wall -= 4 * DAY_S
    ten_days.send("back")
    for _ in range(2):
        assert ten_days.asked(wanted) == ten_days.read(wanted)
        assert ten_days.asked(wanted)["messages"] == 41
        ten_days.sent.flush()


def test_times_that_are_no_whole_days_are_counted_to_the_moment(ten_days, clock):
    for wanted in (
        SentFilter(from_s=clock.wall - 7 * DAY_S - 3 * HOUR_S),
        SentFilter(until_s=clock.wall - 4 * DAY_S - 3 * HOUR_S),
    ):
        assert ten_days.asked(wanted) == ten_days.read(wanted)


def test_counts_of_too_many_days_are_not_kept(ten_days, monkeypatch):
    monkeypatch.setattr(sent_days, "_MOST_DAYS", 5)
    assert ten_days.asked(SentFilter())["messages"] == 40
    ten_days.spoil_files()
    ten_days.send("new")
    assert ten_days.asked(SentFilter())["messages"] == 1


@pytest.mark.parametrize("name", ["Asia/Jakarta", "UTC", "Europe/Berlin", "America/St_Johns"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_a_report_is_what_the_files_say(desk, clock, zone, name, seed):
    zone(name)
    chance = random.Random(seed)
    ids = [f"{number}" for number in range(400)]
    sent_ids = []
    for _ in range(150):
        match chance.randrange(12):
            case 0:
                desk.sent.flush()
            case 1:
                desk.sent.delete_before(clock.wall - chance.choice((3, 12)) * DAY_S)
            case 2:
                desk.sent.sweep()
            case 3 if chance.randrange(4) == 0:
                desk.restart()
            case 4 if sent_ids:
                desk.sent.take(reported(chance.choice(sent_ids)))
            case 5 if sent_ids:
                desk.sent.take(finished(chance.choice(sent_ids), late=True))
            case 6 if chance.randrange(4) == 0:
                clock.wall -= chance.randrange(3 * DAY_S)
            case 7 | 8:
                clock.advance(chance.randrange(2 * DAY_S))
            case _:
                sent_ids.append(ids.pop())
                outcome, modem = chance.choice(list(Outcome)), chance.choice(("m0", "m1"))
                desk.send(sent_ids[-1], outcome=outcome, modem_id=modem, modem_name=modem)
        filters = SentFilter(), *(desk.days(*one) for one in ((1,), (7,), (9, 1), (4, 5)))
        for wanted in chance.sample(filters, len(filters)):
            assert desk.asked(wanted) == desk.read(wanted), wanted
