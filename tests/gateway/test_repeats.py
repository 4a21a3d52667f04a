import math
import tempfile
import threading
from pathlib import Path

import pytest

from otppi.gateway.journal import Journal
from otppi.gateway.repeats import Earlier, First, Progress, Repeats
from otppi.lib.deadline import Deadline
from otppi.model.requests import Origin

KEY = bytes(32)
SENT = {"code": "0000", "modem": "telkomsel", "parts": 2}
ORIGIN = Origin(door="rest", user="app", address="192.0.2.1")
TEXT = "secret text of a message"


@pytest.fixture
def ram_dir():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


class Desk:
    def __init__(self, clock, directory=None, capacity=50_000):
        self.clock = clock
        self.directory = directory
        self.capacity = capacity
        self.start()

    def start(self):
        self.journal = Journal(self.directory, self.clock)
        self.repeats = Repeats(self.clock, self.journal, KEY, self.capacity)

    def restart(self):
        self.journal.close()
        self.start()

    def key(self, token="42", origin=ORIGIN, command="send-sms", receiver="6281200000001", text=TEXT):
        return self.repeats.key(origin, command, receiver, token, text)

    def begin(self, token="42", life_s=300.0, **options):
        return self.repeats.begin(self.key(token), life_s, **options)

    def soon(self):
        return Deadline.after(self.clock, 20)

    def now(self):
        return Deadline.after(self.clock, 0)


@pytest.fixture
def desk(clock):
    return Desk(clock)


def waiting(desk, count, timeout_s=20.0):
    """Start threads that repeat the message; return a function that waits for what they got."""
    started = threading.Barrier(count + 1)
    got = []

    def repeat():
        earlier = desk.begin()
        started.wait()
        got.append((earlier.wait(Deadline.after(desk.clock, timeout_s)), earlier.progress))

    threads = [threading.Thread(target=repeat) for _ in range(count)]
    for thread in threads:
        thread.start()
    started.wait()

    def results():
        for thread in threads:
            thread.join()
        return got

    return results


def test_a_later_repeat_gets_the_outcome_at_once(desk):
    first = desk.begin()
    assert isinstance(first, First)
    assert not first.begun_before
    first.submitted()
    first.finished(SENT)
    for _ in range(2):
        earlier = desk.begin()
        assert isinstance(earlier, Earlier)
        assert earlier.wait(desk.now()) == SENT
        assert earlier.progress is Progress.FINISHED


@pytest.mark.parametrize(
    "change",
    [
        {"token": "43"},
        {"origin": Origin(door="mqtt", user="app")},
        {"origin": Origin(door="rest", user="other")},
        {"command": "send-message"},
        {"receiver": "6281200000002"},
        {"text": TEXT + "."},
    ],
)
def test_what_differs_in_anything_is_no_repeat(desk, change):
    assert desk.key() != desk.key(**change)


def test_the_address_of_a_caller_does_not_matter(desk):
    assert desk.key(origin=Origin(door="rest", user="app", address="192.0.2.99")) == desk.key()


def test_content_of_several_texts_is_unambiguous(desk):
    of = desk.repeats.key
    assert of(ORIGIN, "c", "r", "t", "a", "bc") != of(ORIGIN, "c", "r", "t", "ab", "c")


def test_without_a_token_every_message_is_its_own(desk):
    assert isinstance(desk.begin(token=""), First)
    assert isinstance(desk.begin(token=""), First)


def test_repeats_at_the_same_time_wait_and_get_the_same_outcome(desk):
    first = desk.begin()
    results = waiting(desk, 10)
    first.submitted()
    first.finished(SENT)
    assert results() == [(SENT, Progress.FINISHED)] * 10


def test_of_twenty_who_begin_at_once_exactly_one_is_the_first(desk):
    start = threading.Barrier(20)
    handles = []

    def begin():
        start.wait()
        handles.append(desk.begin())

    threads = [threading.Thread(target=begin) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(handle, First) for handle in handles) == 1
    assert len(handles) == 20


def test_who_waits_gives_up_at_its_own_deadline(desk):
    first = desk.begin()
    earlier = desk.begin()
    assert earlier.wait(desk.now()) is None
    assert earlier.progress is Progress.BEGUN
    first.submitted()
    assert earlier.wait(desk.now()) is None
    assert earlier.progress is Progress.SUBMITTED


def test_after_a_sure_failure_those_who_wait_learn_it_and_a_retry_is_a_fresh_try(desk):
    first = desk.begin()
    results = waiting(desk, 3)
    first.forget({"code": "1102"})
    assert results() == [({"code": "1102"}, Progress.FORGOTTEN)] * 3
    again = desk.begin()
    assert isinstance(again, First)
    assert not again.begun_before


def test_forgetting_without_an_outcome_wakes_those_who_wait(desk):
    first = desk.begin()
    results = waiting(desk, 2)
    first.forget()
    assert results() == [(None, Progress.FORGOTTEN)] * 2


def test_a_late_answer_corrects_an_unknown_outcome(desk):
    first = desk.begin()
    first.submitted()
    first.finished({"code": "1408"})
    assert desk.begin().wait(desk.now()) == {"code": "1408"}
    first.submitted()
    first.finished(SENT)
    assert desk.begin().wait(desk.now()) == SENT


def test_a_late_answer_of_a_forgotten_try_does_not_touch_the_next(desk):
    first = desk.begin()
    first.forget()
    second = desk.begin()
    first.finished(SENT)
    first.forget()
    assert desk.begin().wait(desk.now()) is None
    second.finished({"code": "1408"})
    assert desk.begin().wait(desk.now()) == {"code": "1408"}


@pytest.mark.parametrize(("life_s", "kept_s"), [(300, 300), (90_000, 86_400), (math.inf, 3600)])
def test_a_message_is_remembered_for_its_life_a_day_at_most_an_hour_without_end(desk, life_s, kept_s):
    desk.begin(life_s=life_s).finished(SENT)
    desk.clock.advance(kept_s - 0.001)
    assert isinstance(desk.begin(life_s=life_s), Earlier)
    desk.clock.advance(0.001)
    assert isinstance(desk.begin(life_s=life_s), First)


def test_after_a_restart_a_finished_message_has_its_outcome(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    first = desk.begin()
    first.submitted()
    first.finished(SENT)
    for _ in range(2):
        desk.restart()
        assert desk.begin().wait(desk.now()) == SENT
    desk.journal.close()


def test_after_a_restart_a_message_that_was_not_submitted_is_sent_as_if_new(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    desk.begin()
    desk.restart()
    again = desk.begin()
    assert isinstance(again, First)
    assert again.begun_before
    assert isinstance(desk.begin(), Earlier)
    again.finished(SENT)
    desk.restart()
    assert desk.begin().wait(desk.now()) == SENT
    desk.journal.close()


def test_after_a_restart_a_message_that_was_in_flight_says_so_at_once(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    desk.begin().submitted()
    for _ in range(2):
        desk.restart()
        earlier = desk.begin()
        assert earlier.wait(desk.soon()) is None
        assert earlier.progress is Progress.INTERRUPTED
    desk.journal.close()


def test_a_message_in_flight_at_the_restart_is_retried_by_exactly_one_if_asked(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    desk.begin().submitted()
    desk.restart()
    handles = [desk.begin(retry_interrupted=True) for _ in range(3)]
    assert [type(handle) for handle in handles] == [First, Earlier, Earlier]
    assert handles[0].begun_before
    handles[0].finished(SENT)
    assert [handle.wait(desk.now()) for handle in handles[1:]] == [SENT, SENT]
    desk.journal.close()


def test_what_was_cut_off_or_interrupted_stays_so_through_compaction(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    desk.begin("begun")
    desk.begin("submitted").submitted()
    desk.restart()
    for n in range(800):
        desk.begin(f"n{n}").forget()
    desk.restart()
    assert desk.begin("submitted").progress is Progress.INTERRUPTED
    assert desk.begin("begun").begun_before
    desk.journal.close()


def test_after_a_restart_a_forgotten_message_is_new(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    first = desk.begin()
    first.submitted()
    first.forget()
    desk.restart()
    again = desk.begin()
    assert isinstance(again, First)
    assert not again.begun_before
    desk.journal.close()


def test_the_submission_is_on_record_before_the_call_returns_and_only_once(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    first = desk.begin()
    (file,) = ram_dir.iterdir()
    before = len(file.read_bytes().splitlines())
    for _ in range(3):
        first.submitted()
    lines = file.read_text().splitlines()
    assert len(lines) == before + 1
    assert '"submitted"' in lines[-1]
    desk.journal.close()


def test_no_text_and_no_number_is_kept(ram_dir, clock):
    desk = Desk(clock, ram_dir)
    desk.begin().finished(SENT)
    written = b"".join(file.read_bytes() for file in ram_dir.iterdir()).decode() + repr(vars(desk.repeats))
    assert "secret text" not in written
    assert "6281200000001" not in written
    desk.journal.close()


def test_beyond_the_capacity_the_oldest_is_forgotten(clock):
    desk = Desk(clock, capacity=3)
    for token in "abcd":
        desk.begin(token).finished(SENT)
    assert isinstance(desk.begin("b"), Earlier)
    assert isinstance(desk.begin("a"), First)
    assert len(desk.repeats._entries) == 3


def test_memory_is_given_back(desk):
    for n in range(100):
        desk.begin(str(n), life_s=60).finished(SENT)
    desk.clock.advance(60)
    desk.begin("last")
    assert len(desk.repeats._entries) == 1
