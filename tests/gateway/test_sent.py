import json
import logging
import os
import random
import resource
import signal
import threading
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from otppi.gateway import sent_file
from otppi.gateway.sent import SentMessages, SentSettings
from otppi.gateway.sent_query import SentFilter
from otppi.lib.bus import Bus
from otppi.model.errors import HostError
from otppi.model.events import DeliveryReported, MessageFinished, Outcome
from otppi.model.number import Number
from otppi.model.received_pdu import ReportOutcome

DAY_S = 86_400
ALL = SentFilter()


def finished(message_id="a", **others):
    values = {
        "modem_id": "m0",
        "modem_name": "telkomsel",
        "door": "rest",
        "user": "shop",
        "masked_number": Number("6281200000034").masked,
        "parts": 1,
        "outcome": Outcome.SENT,
        "duration_s": 2.5,
    }
    return MessageFinished(message_id=message_id, **(values | others))


def unknown(message_id="a", **others):
    return finished(message_id, outcome=Outcome.UNKNOWN, reason="the modem did not say", **others)


def late(message_id="a"):
    return finished(message_id, late=True)


def reported(message_id="a", outcome=ReportOutcome.DELIVERED):
    return DeliveryReported(message_id=message_id, modem_id="m0", masked_number="", outcome=outcome)


class Desk:
    """Rows that come over a real bus, and a gateway that can be started again."""

    def __init__(self, folder, clock):
        self.folder = folder
        self.clock = clock
        self.settings = SentSettings()
        self.started()

    def started(self):
        self.bus = Bus()
        self.sent = SentMessages(self.folder, lambda: self.settings, self.clock)
        self.bus.subscribe("sent", self.sent.take, MessageFinished, DeliveryReported)

    def tell(self, *events):
        """Publish, and wait until all was taken."""
        for event in events:
            self.bus.publish(event)
        self.bus.stop()
        self.bus = Bus()
        self.bus.subscribe("sent", self.sent.take, MessageFinished, DeliveryReported)

    def stop(self):
        self.bus.stop()
        self.sent.stop()

    def restart(self):
        self.stop()
        self.started()

    def lose_power(self):
        """Begin anew on the files as they are; what was in memory is gone."""
        self.bus.stop()
        self.started()

    def rows(self, wanted=ALL):
        return list(self.sent.rows(wanted))

    def ids(self, wanted=ALL):
        return [row.message_id for row in self.sent.rows(wanted)]

    @property
    def files(self):
        return sorted(self.folder.iterdir()) if self.folder.exists() else []

    @property
    def lines(self):
        return [json.loads(line) for file in self.files for line in file.read_bytes().splitlines()]


@pytest.fixture
def desk(tmp_path, clock):
    one = Desk(tmp_path / "reports", clock)
    yield one
    one.stop()


@contextmanager
def no_file_beyond(size):
    """Stand for a disk that is full: from that size on writing fails."""
    old, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_message_is_a_row_at_once_and_after_a_restart(desk, clock):
    desk.tell(finished("a"), finished("b", outcome=Outcome.FAILED, reason="+CMS ERROR: 38", user=""))
    before = desk.rows()
    assert [(row.message_id, row.outcome, row.reason) for row in before] == [
        ("b", "failed", "+CMS ERROR: 38"),
        ("a", "sent", ""),
    ]
    row = before[1]
    assert (row.at_s, row.is_timed, row.door, row.user) == (clock.wall, True, "rest", "shop")
    assert (row.modem_id, row.modem, row.parts, row.duration_s) == ("m0", "telkomsel", 1, 2.5)
    assert (row.number, row.delivery, row.delivered_s, row.is_late) == ("62812••••••34", "none", None, False)
    desk.restart()
    assert desk.rows() == before


def test_rows_are_written_with_the_flush_and_not_before(desk):
    desk.tell(finished("a"), finished("b"))
    assert desk.files == []
    desk.sent.flush()
    assert [line[2] for line in desk.lines] == ["a", "b"]
    assert [file.name for file in desk.files] == ["2027-01-15.jsonl"]


def test_the_files_are_for_their_owner_alone(desk):
    desk.tell(finished())
    desk.sent.flush()
    assert desk.folder.stat().st_mode & 0o777 == 0o700
    assert desk.files[0].stat().st_mode & 0o777 == 0o600


def test_a_report_within_the_minute_needs_no_line_of_its_own(desk, clock):
    desk.tell(finished())
    clock.advance(4)
    desk.tell(reported())
    desk.sent.flush()
    assert len(desk.lines) == 1
    assert [(row.delivery, row.delivered_s) for row in desk.rows()] == [("delivered", clock.wall)]


@pytest.mark.parametrize(
    ("outcome", "delivery"),
    [
        (ReportOutcome.DELIVERED, "delivered"),
        (ReportOutcome.UNCONFIRMED, "unknown"),
        (ReportOutcome.EXPIRED, "failed"),
        (ReportOutcome.FAILED, "failed"),
        (ReportOutcome.SILENCE, "unknown"),
    ],
)
def test_a_report_that_comes_after_a_restart_and_another_day_settles_its_row(desk, clock, outcome, delivery):
    desk.tell(finished("a"), finished("b"))
    sent_s = clock.wall
    desk.restart()
    clock.advance(2 * DAY_S)
    desk.tell(reported("a", outcome))
    expected = [("b", "none", None), ("a", delivery, clock.wall)]
    assert [(row.message_id, row.delivery, row.delivered_s) for row in desk.rows()] == expected
    desk.restart()
    assert [(row.message_id, row.delivery, row.delivered_s) for row in desk.rows()] == expected
    # It is found for its day although its line is in a later file.
    assert desk.ids(SentFilter(until_s=sent_s + 1, delivery=delivery)) == ["a"]
    assert len(desk.files) == 2


def test_a_late_confirmation_turns_unknown_into_sent(desk, clock):
    desk.tell(unknown("a"), unknown("b"), unknown("c"))
    desk.tell(late("c"))
    desk.restart()
    desk.tell(late("a"))
    desk.restart()
    clock.advance(60)
    desk.tell(reported("a"))
    assert [(row.message_id, row.outcome, row.is_late, row.reason, row.delivery) for row in desk.rows()] == [
        ("c", "sent", True, "", "none"),
        ("b", "unknown", False, "the modem did not say", "none"),
        ("a", "sent", True, "", "delivered"),
    ]
    assert desk.ids(SentFilter(outcome="unknown")) == ["b"]
    desk.restart()
    assert [row.outcome for row in desk.rows()] == ["sent", "unknown", "sent"]


@pytest.mark.parametrize("flushes_between", [False, True])
def test_a_report_on_the_first_part_may_come_before_the_row(desk, flushes_between):
    desk.tell(reported("a", ReportOutcome.FAILED))
    if flushes_between:
        desk.sent.flush()
    desk.tell(unknown("a", parts=3))
    desk.restart()
    assert [(row.outcome, row.delivery) for row in desk.rows()] == [("unknown", "failed")]


def test_a_power_cut_costs_the_line_in_which_it_came_and_no_other(desk):
    names = ["a", "b", "c", "d"]
    desk.tell(*map(finished, names[:3]))
    desk.sent.flush()
    desk.tell(finished("d"), reported("b"))
    desk.restart()
    (file,) = desk.files
    whole = file.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 5
    for size in range(ends[1], len(whole)):
        desk.stop()
        file.write_bytes(whole[:size])
        desk.started()
        # With nothing but its line end missing a line is there.
        there = [name for name, end in zip(names, ends, strict=False) if size >= end]
        assert desk.ids() == there[::-1]
        assert [row.delivery for row in desk.rows()].count("delivered") == (size >= ends[4])
        desk.tell(finished("after"))
        desk.restart()
        assert desk.ids() == ["after", *there[::-1]]


def test_what_was_flushed_survives_a_power_cut(desk):
    desk.tell(finished("a"))
    desk.sent.flush()
    desk.tell(finished("b"))
    desk.lose_power()
    assert desk.ids() == ["a"]


def test_lines_of_rubbish_cost_themselves(desk):
    desk.tell(finished("a"))
    desk.sent.flush()
    (file,) = desk.files
    rubbish = [
        b"\0" * 5000,
        b"x" * 200_000,
        b"[" * 100_000,
        b'["row",1]',
        b'{"row":1}',
        b"17",
        b"\xff\xfe",
        b"",
        b"[]",
    ]
    with file.open("ab") as stream:
        stream.write(b"\n".join(rubbish) + b"\n")
    desk.restart()
    desk.tell(finished("b"))
    desk.restart()
    assert desk.ids() == ["b", "a"]


def test_rows_are_read_in_order_across_many_chunks_and_days(desk, clock):
    expected = []
    draw = random.Random(7)
    for number in range(3000):
        clock.advance(draw.uniform(0, 150))
        expected.append(f"{number:05}" * draw.randint(1, 9))
        desk.sent.take(finished(expected[-1]))
    desk.sent.flush()
    assert len(desk.files) > 2
    assert desk.ids() == expected[::-1]


def test_a_page_is_a_part_of_the_newest_and_the_number_of_all(desk, clock):
    for number in range(25):
        clock.advance(1)
        desk.tell(finished(f"{number}"))
        if number == 10:
            desk.sent.flush()
    page = desk.sent.page(ALL, offset=5, count=10)
    assert [row.message_id for row in page.rows] == [f"{number}" for number in range(19, 9, -1)]
    assert page.total == 25
    assert desk.sent.page(ALL, offset=25, count=10).rows == ()


def test_the_number_of_all_is_right_whatever_is_asked_for(desk, clock):
    begin_s = clock.wall
    for number in range(200):
        desk.tell(finished(f"{number}", user="bank" if number % 3 else "shop"))
        desk.tell(*([reported(f"{number - 20}")] if number % 10 == 0 else []))
        clock.advance(3600)
        if number == 150:
            desk.sent.flush()
    for wanted in (
        ALL,
        SentFilter(from_s=begin_s + 20 * 3600),
        SentFilter(until_s=begin_s + 90 * 3600),
        SentFilter(from_s=begin_s + 20 * 3600, until_s=begin_s + 120 * 3600),
        SentFilter(from_s=begin_s + 20 * 3600, user="bank"),
        SentFilter(delivery="delivered"),
        SentFilter(number="35"),
    ):
        assert desk.sent.page(wanted, count=1).total == len(desk.ids(wanted)), wanted


def test_a_filter_finds_what_fits_all_of_it(desk):
    desk.tell(
        finished("a"),
        finished("b", modem_id="m1", modem_name="tri", user="bank"),
        unknown("c", door="mqtt"),
        finished("d", masked_number=Number("12345").masked),
    )
    desk.tell(reported("b"))
    for wanted, ids in {
        SentFilter(modem="m1"): ["b"],
        SentFilter(modem="tri"): ["b"],
        SentFilter(modem="telkomsel"): ["d", "c", "a"],
        SentFilter(door="mqtt"): ["c"],
        SentFilter(user="bank"): ["b"],
        SentFilter(outcome="unknown"): ["c"],
        SentFilter(delivery="delivered"): ["b"],
        SentFilter(delivery="none", door="rest"): ["d", "a"],
        SentFilter(user="bank", modem="m0"): [],
    }.items():
        assert desk.ids(wanted) == ids, wanted


@pytest.mark.parametrize(
    ("typed", "is_found"),
    [
        ("34", True),
        ("4", True),
        ("0034", True),
        ("0812 0000 0034", True),
        ("0812-0000-00034", False),  # a digit more
        ("+6281200000034", True),
        ("81299999934", True),  # nobody can see what is hidden
        ("35", False),
        ("081300000034", False),
        ("99 6281200000034", False),
    ],
)
def test_a_number_is_found_by_those_of_its_digits_that_are_to_be_seen(desk, typed, is_found):
    desk.tell(finished("a"), finished("short", masked_number=Number("6789", is_short_code=True).masked))
    assert desk.ids(SentFilter(number=typed)) == (["a"] if is_found else [])


def test_dates_choose_rows_to_the_moment(desk, clock):
    begin_s = clock.wall
    for number in range(100):
        desk.tell(finished(f"{number}"))
        clock.advance(3600)
    desk.sent.flush()
    wanted = SentFilter(from_s=begin_s + 30 * 3600, until_s=begin_s + 60 * 3600)
    assert desk.ids(wanted) == [f"{number}" for number in range(59, 29, -1)]


def test_off_nothing_is_noted_and_what_was_kept_stays(desk):
    desk.tell(finished("a"))
    desk.sent.flush()
    desk.settings = SentSettings(keep_rows=False)
    desk.tell(finished("b"), reported("a"), late("a"))
    desk.restart()
    assert [(row.message_id, row.delivery) for row in desk.rows()] == [("a", "none")]
    assert len(desk.lines) == 1


def test_what_is_too_old_is_deleted(desk, clock):
    for number in range(10):
        desk.tell(finished(f"{number}"))
        clock.advance(DAY_S)
    desk.sent.flush()
    desk.settings = SentSettings(retention_days=3)
    desk.sent.sweep()
    assert desk.ids() == ["9", "8", "7"]
    clock.trusted = False
    clock.advance(400 * DAY_S)
    desk.sent.sweep()
    assert len(desk.ids()) == 3
    clock.trusted = True
    desk.sent.sweep()
    assert desk.ids() == []


def test_what_was_sent_before_the_clock_was_set_is_newest_then_and_says_so(desk, clock):
    desk.tell(finished("before"))
    desk.restart()
    set_s, clock.wall, clock.trusted = clock.wall, 1000.0, False
    desk.tell(finished("unset"))
    desk.restart()
    desk.tell(finished("unset again"))
    desk.restart()
    clock.wall, clock.trusted = set_s + 60, True
    desk.tell(finished("set"))
    desk.restart()
    assert [(row.message_id, row.is_timed) for row in desk.rows()] == [
        ("set", True),
        ("unset again", False),
        ("unset", False),
        ("before", True),
    ]


def test_rows_of_a_clock_that_was_never_set_have_their_time_from_when_it_is(desk, clock):
    set_s, clock.wall, clock.trusted = datetime.now(UTC).timestamp(), 1000.0, False
    desk.tell(finished("a"))
    desk.sent.flush()
    (file,) = desk.files
    assert file.name == "1970-01-01.jsonl"
    os.utime(file, (1000, 1000))  # as the board's own clock had it
    clock.wall, clock.trusted = max(set_s, sent_file.EARLIEST_PLAUSIBLE_WALL_S) + 10, True
    desk.sent.sweep()
    assert desk.ids() == ["a"]
    if set_s > sent_file.EARLIEST_PLAUSIBLE_WALL_S:
        clock.advance(91 * DAY_S)
        desk.sent.sweep()
        assert desk.ids() == []


def test_a_flood_costs_the_oldest_and_no_more_disk_than_is_allowed(desk, monkeypatch):
    monkeypatch.setattr(sent_file, "_MOST_BYTES", 200_000)
    monkeypatch.setattr(sent_file, "_FILE_BYTES", 40_000)
    for number in range(5000):
        desk.sent.take(finished(f"{number}"))
    desk.sent.flush()
    assert sum(file.stat().st_size for file in desk.files) <= 200_000
    ids = desk.ids()
    assert ids == [f"{number}" for number in range(4999, 4999 - len(ids), -1)]
    assert len(ids) > 500
    desk.restart()
    desk.tell(finished("one more"))
    desk.restart()
    assert desk.ids()[:2] == ["one more", "4999"]


def test_a_full_disk_is_said_once_and_costs_nothing_when_it_has_room_again(desk, caplog):
    desk.tell(finished("before"))
    desk.sent.flush()
    with no_file_beyond(desk.files[0].stat().st_size + 10), caplog.at_level(logging.INFO):
        desk.tell(finished("a"), finished("b"), reported("before"))
        desk.sent.flush()
        desk.tell(finished("c"), reported("a"))
        desk.sent.flush()
        assert desk.ids() == ["c", "b", "a", "before"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.records[0].fields == {"reason": "EFBIG"}
    with caplog.at_level(logging.INFO):
        desk.sent.flush()
    assert caplog.records[-1].fields == {"lost": 0}
    desk.restart()
    assert [(row.message_id, row.delivery) for row in desk.rows()] == [
        ("c", "none"),
        ("b", "none"),
        ("a", "delivered"),
        ("before", "delivered"),
    ]
    assert len(desk.lines) == 5


def test_while_the_disk_fails_memory_has_a_limit_and_the_newest_rows(desk, caplog):
    desk.tell(finished("before"))
    desk.sent.flush()
    with no_file_beyond(desk.files[0].stat().st_size):
        for number in range(7000):
            desk.sent.take(finished(f"{number}"))
            desk.sent.take(reported(f"unheard of {number}"))
        desk.sent.flush()
        ids = desk.ids()
    assert ids == [*(f"{number}" for number in range(6999, 1999, -1)), "before"]
    assert len(caplog.records) == 1
    with caplog.at_level(logging.INFO):
        desk.sent.flush()
    assert caplog.records[-1].fields == {"lost": 2000}
    assert desk.ids() == ids


def test_a_folder_that_cannot_be_used_stops_nothing_and_is_an_error_for_who_asks(tmp_path, clock):
    (tmp_path / "reports").write_text("not a folder")
    sent = SentMessages(tmp_path / "reports", SentSettings, clock)
    sent.take(finished())
    sent.flush()
    with pytest.raises(HostError, match="ENOTDIR"):
        sent.page(ALL)
    with pytest.raises(HostError, match="ENOTDIR"):
        sent.delete_before(clock.wall)
    sent.stop()


def test_many_rows_leave_memory_before_the_minute_is_over(desk):
    tracemalloc.start()
    try:
        for number in range(20_000):
            desk.sent.take(finished(f"{number:032}"))
        held = tracemalloc.get_traced_memory()[0]
        page = desk.sent.page(ALL)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert page.total == 20_000
    assert held < 1_000_000
    assert peak < 3_000_000


def test_what_is_older_than_a_moment_can_be_deleted(desk, clock):
    begin_s = clock.wall
    for number in range(60):
        desk.tell(finished(f"{number}"))
        clock.advance(3600)
    desk.tell(reported("50"))
    desk.sent.flush()
    desk.tell(finished("in hand"))
    assert desk.sent.delete_before(begin_s + 40 * 3600) == 40
    expected = ["in hand", *(f"{number}" for number in range(59, 39, -1))]
    assert desk.ids() == expected
    assert [row.message_id for row in desk.rows() if row.delivery == "delivered"] == ["50"]
    desk.tell(finished("later"))
    desk.restart()
    assert desk.ids() == ["later", *expected]
    assert desk.sent.delete_before(clock.wall + 1) == 22
    assert desk.ids() == []


def test_who_reads_is_not_disturbed_by_what_comes_and_goes_meanwhile(desk, clock):
    for number in range(2000):
        desk.sent.take(finished(f"{number}"))
        clock.advance(100)
    desk.sent.flush()
    reading = desk.sent.rows(ALL)
    first = next(reading)
    desk.tell(finished("meanwhile"))
    desk.sent.flush()
    assert len([first, *reading]) == 2000
    reading = desk.sent.rows(ALL)
    next(reading)
    desk.sent.delete_before(clock.wall + DAY_S)
    assert all(row.message_id != "0" for row in reading)  # what is gone is not read, and nothing breaks


def test_rows_from_many_threads_are_all_there(desk):
    def tell(name):
        for number in range(500):
            desk.sent.take(finished(f"{name}-{number}"))
            if number % 50 == 0:
                desk.sent.flush()
                desk.sent.page(ALL)

    threads = [threading.Thread(target=tell, args=(name,)) for name in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    desk.restart()
    assert sorted(desk.ids()) == sorted(f"{name}-{number}" for name in range(4) for number in range(500))


def test_the_thread_ends_with_the_last_rows_on_the_disk(desk):
    desk.sent.start()
    assert desk.sent.died() == ()
    desk.bus.publish(finished("a"))
    desk.restart()
    assert desk.ids() == ["a"]


def test_names_of_any_kind_are_kept(desk):
    odd = 'line\nend "quote" \ud83d \x00 ünï'
    desk.tell(replace(finished("a"), modem_name=odd, user=odd, reason="x" * 5000))
    before = desk.rows()
    desk.restart()
    assert desk.rows() == before
    assert before[0].modem == 'line\nend "quote" ? \x00 ünï'
    assert len(before[0].reason) == 200
