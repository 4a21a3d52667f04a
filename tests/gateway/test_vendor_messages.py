import json
import tempfile
from pathlib import Path

import pytest

from otppi.gateway.journal import Journal
from otppi.gateway.vendor_book import VendorBook
from otppi.gateway.vendor_messages import CreditUsedUp, State, VendorMessages
from otppi.model.events import DeliveryReported, MessageFinished, Outcome
from otppi.model.received_pdu import ReportOutcome

NUMBER = "6281200000001"
KEY = bytes(32)


class Desk:
    """Messages and their book, which find again what a restart or a power cut left."""

    def __init__(self, folder, clock, capacity=20_000):
        self.folder, self.clock, self.capacity = folder, clock, capacity
        self.start()

    @property
    def file(self):
        return self.folder / "book.json"

    def start(self):
        self.journal = Journal(self.folder / "run", self.clock)
        assert self.journal.is_kept
        self.book = VendorBook(self.file, self.journal, self.clock)
        self.messages = VendorMessages(self.book, KEY, self.clock, self.journal, self.capacity)

    def kill(self):
        self.journal.close()
        self.start()

    def cut_power(self):
        self.journal.close()
        for file in (self.folder / "run").iterdir():
            file.unlink()
        self.start()

    def begin(self, number=NUMBER, content="text", account="shop", token="", repeat_s=120, parts=1, credit=0):
        (one,) = self.messages.begin(
            account, [number], content, token=token, repeat_s=repeat_s, parts=parts, credit=credit
        )
        return one

    def state(self, message_id, account="shop"):
        return next((one.state for one in self.messages.report(account, [message_id])), None)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture
def desk(folder, clock):
    one = Desk(folder, clock)
    yield one
    one.journal.close()


def finished(message_id, outcome=Outcome.SENT, *, door="vendor", sent_as="abc", late=True):
    return MessageFinished(
        message_id=sent_as,
        modem_id="m0",
        modem_name="m0",
        door=door,
        user="shop",
        masked_number="62812•••01",
        parts=1,
        outcome=outcome,
        late=late,
        tag=str(message_id),
    )


def reported(sent_as, outcome):
    return DeliveryReported(message_id=sent_as, modem_id="m0", masked_number="", outcome=outcome)


def test_the_same_again_is_the_same_message_for_so_long_and_no_longer(desk, clock):
    first = desk.begin()
    assert desk.begin() == first
    others = [desk.begin(number="6281200000002"), desk.begin(content="other"), desk.begin(account="till")]
    assert len({first, *others}) == 4
    clock.advance(119)
    assert desk.begin() == first
    clock.advance(1)
    assert desk.begin() != first
    assert desk.begin(repeat_s=0) != desk.begin(repeat_s=0)


def test_what_was_signed_with_the_same_time_is_the_same_message_for_an_hour(desk, clock):
    first = desk.begin(token="20270115080000", repeat_s=0)
    clock.advance(3599)
    assert desk.begin(token="20270115080000", repeat_s=0) == first
    clock.advance(1)
    assert desk.begin(token="20270115080000", repeat_s=0) != first
    assert desk.begin(token="20270115090000", repeat_s=0) != desk.begin(token="20270115090001", repeat_s=0)


def test_what_surely_failed_is_forgotten_and_given_back_when_all_who_wait_know_it(desk):
    first = desk.begin(parts=3)
    assert desk.begin(parts=3) == first  # the repeat waits for the first one's outcome
    assert desk.book.sent("shop") == 3
    desk.messages.answered(first, is_failed=True)
    assert desk.state(first) is State.SENDING, "the repeat may be sending it afresh"
    desk.messages.answered(first, is_failed=True)
    assert (desk.state(first), desk.book.sent("shop")) == (None, 0)
    assert desk.begin() != first


def test_what_was_sent_for_one_who_waits_is_sent_though_another_failed(desk):
    first = desk.begin()
    desk.begin()
    desk.messages.answered(first, is_failed=True)
    desk.messages.sent(first, "abc")
    desk.messages.answered(first, is_failed=False)
    assert desk.state(first) is State.SENT


def test_credit_is_for_all_of_a_request_or_for_none(desk):
    numbers = [f"628120000000{n}" for n in range(3)]
    options = {"token": "", "repeat_s": 120, "parts": 2, "credit": 5}
    with pytest.raises(CreditUsedUp):
        desk.messages.begin("shop", numbers, "text", **options)
    assert desk.book.sent("shop") == 0
    ids = desk.messages.begin("shop", numbers[:2], "text", **options)
    assert desk.messages.begin("shop", numbers[:2], "text", **options) == ids
    with pytest.raises(CreditUsedUp):
        desk.begin(content="one more", parts=2, credit=5)
    assert desk.begin(content="a short one", parts=1, credit=5)


def test_news_from_the_modems_changes_the_state(desk):
    late, silent = desk.begin(), desk.begin(content="silent")
    for one in (late, silent):
        desk.messages.answered(one, is_failed=False)
    desk.messages.take(finished(late, sent_as="abc"))
    desk.messages.take(finished(silent, Outcome.UNKNOWN))
    desk.messages.take(finished(silent, door="rest"))
    assert (desk.state(late), desk.state(silent)) == (State.SENT, State.SENDING)
    desk.messages.take(reported("abc", ReportOutcome.FAILED))
    desk.messages.take(reported("of another door", ReportOutcome.FAILED))
    assert desk.state(late) is State.FAILED
    assert desk.begin() == late, "it went out, so the same again is a repeat"
    desk.messages.take(reported("abc", ReportOutcome.DELIVERED))
    assert desk.state(late) is State.SENT
    assert desk.state(late, account="till") is None


def test_a_restart_finds_all_but_the_numbers_in_the_clear(desk):
    sent, gone = desk.begin(content="zebra"), desk.begin(content="zebra gone")
    open_one = desk.begin(content="zebra open", parts=2)
    desk.messages.sent(sent, "abc")
    desk.messages.answered(gone, is_failed=True)
    written = (desk.folder / "run" / "journal.jsonl").read_text()
    assert "abc" in written
    for secret in (NUMBER, NUMBER[2:], "zebra"):
        assert secret not in written
    desk.kill()
    assert [desk.state(one) for one in (sent, gone, open_one)] == [State.SENT, None, State.SENDING]
    (told,) = desk.messages.report("shop", [sent])
    assert (told.number, told.at_s) == (NUMBER, desk.clock.wall_s())
    assert desk.begin(content="zebra") == sent
    assert desk.book.sent("shop") == 3
    desk.messages.take(reported("abc", ReportOutcome.EXPIRED))
    assert desk.state(sent) is State.FAILED


def test_messages_are_kept_for_three_days_and_so_many_at_most(folder, clock):
    desk = Desk(folder, clock, capacity=3)
    ids = [desk.begin(content=str(n)) for n in range(4)]
    assert [desk.state(one) for one in ids] == [None, *[State.SENDING] * 3]
    clock.advance(3 * 86_400 - 1)
    desk.begin(content="younger")
    assert desk.state(ids[3]) is State.SENDING
    clock.advance(61)
    last = desk.begin(content="last")
    assert [desk.state(one) for one in (ids[3], last)] == [None, State.SENDING]
    desk.kill()
    assert [desk.state(one) for one in (ids[3], last)] == [None, State.SENDING]
    desk.journal.close()


def test_no_id_comes_twice_whatever_happens(desk, clock):
    ids = [desk.begin(content="a")]
    desk.kill()
    ids.append(desk.begin(content="b"))
    desk.book.save_if_due()
    ids += [desk.begin(content=f"c{n}") for n in range(10)]
    desk.cut_power()
    ids.append(desk.begin(content="d"))
    desk.book.close()
    desk.cut_power()
    ids.append(desk.begin(content="e"))
    assert ids == sorted(set(ids))
    assert ids[-1] < 2**31


def test_the_disk_is_written_for_fifty_parts_or_after_ten_minutes(desk, clock):
    desk.begin()
    desk.book.save_if_due()  # the first of a life, as ids are given out
    first = desk.file.stat().st_ino
    desk.begin(content="b", parts=49)
    desk.book.save_if_due()
    assert desk.file.stat().st_ino == first
    desk.begin(content="c")
    desk.book.save_if_due()
    desk.cut_power()
    assert desk.book.sent("shop") == 51
    desk.begin(content="d")
    desk.book.save_if_due()
    clock.advance(601)
    desk.begin(content="e")
    desk.book.save_if_due()
    desk.cut_power()
    assert desk.book.sent("shop") == 53


def test_a_damaged_book_begins_anew_and_a_disk_that_fails_stops_nothing(desk, clock, caplog):
    desk.begin()
    desk.book.close()
    desk.journal.close()
    desk.file.write_text('{"next_id": "x"')
    desk.cut_power()
    assert (desk.book.sent("shop"), len(str(desk.begin()))) == (0, 7)
    desk.file.unlink()
    desk.file.mkdir()
    for n in range(3):
        desk.begin(content=str(n), parts=60)
        desk.book.save_if_due()
    assert caplog.text.count("cannot be written") == 1
    desk.file.rmdir()
    clock.advance(61)
    desk.book.save_if_due()
    assert json.loads(desk.file.read_text())["sent"] == {"shop": 181}


def test_received_messages_are_read_once_by_each_account_also_over_a_restart(desk):
    desk.book.settle({"shop", "till"}, ["old"])
    received = ["old", "one", "two", "three"]
    assert desk.book.take_unread("shop", received, 2) == ["one", "two"]
    desk.kill()
    assert desk.book.take_unread("shop", received, 2) == ["three"]
    desk.book.give_back("shop", ["three"])
    desk.kill()
    assert desk.book.take_unread("shop", [*received, "four"], 9) == ["three", "four"]
    assert desk.book.take_unread("till", ["three"], 9) == ["three"]
    assert desk.book.take_unread("new", ["three"], 9) == [], "nothing is for it yet"
    desk.book.close()
    desk.cut_power()
    assert desk.book.take_unread("shop", [*received, "four"], 9) == []


def test_an_account_that_is_removed_and_made_anew_begins_anew(desk):
    desk.book.settle(["shop"], [])
    desk.begin(parts=5)
    desk.book.settle([], [])
    desk.kill()
    desk.book.settle(["shop"], ["m"])
    assert desk.book.sent("shop") == 0
    assert desk.book.take_unread("shop", ["m", "n"], 9) == ["n"]
