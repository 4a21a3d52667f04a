import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from otppi.contracts.sms import OutgoingSms, Priority
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import SendFailed
from otppi.model.number import Number
from otppi.model.requests import Origin
from otppi.model.results import SmsReceipt
from otppi.model.sms_text import code_text
from otppi.work.queue import SmsJob, WorkQueue

ORIGIN = Origin(door="rest", user="shop")


@pytest.fixture
def queue():
    return WorkQueue()


@pytest.fixture
def bells():
    made = {name: Wakeup() for name in ("a", "b", "c")}
    yield made
    for bell in made.values():
        bell.close()


def job(queue, eligible, priority=Priority.NORMAL, done=None):
    sms = OutgoingSms(number=Number("6281200000001"), text=code_text("x"), origin=ORIGIN, priority=priority)
    return SmsJob(queue, sms, eligible, done if done is not None else lambda _: None)


def ready(queue, bells, *names):
    for name in names:
        queue.join(name, bells[name])
        assert queue.next_for(name) is None


def test_a_free_modem_gets_the_job_at_once_and_is_woken(queue, bells):
    ready(queue, bells, "a")
    one = job(queue, ["a"])
    queue.put(one)
    assert bells["a"].wait(0)
    assert queue.next_for("a") is one
    assert one.modem_id == "a"


def test_the_longest_idle_of_several_takes_it(queue, bells):
    ready(queue, bells, "a", "b", "c")
    taken = []
    for _ in range(6):
        one = job(queue, ["a", "b", "c"])
        queue.put(one)
        for name in "abc":
            if bells[name].wait(0):
                taken.append(name)
                assert queue.next_for(name) is one
                assert queue.next_for(name) is None
    assert "".join(taken) == "abcabc"


def test_only_an_eligible_modem_takes_it(queue, bells):
    ready(queue, bells, "a", "b")
    one = job(queue, ["b"])
    queue.put(one)
    assert not bells["a"].wait(0)
    assert queue.next_for("a") is None
    assert queue.next_for("b") is one


def test_time_critical_jobs_overtake_waiting_ones_and_order_is_kept_otherwise(queue, bells):
    queue.join("a", bells["a"])
    jobs = [job(queue, ["a"]), job(queue, ["a"]), *(job(queue, ["a"], Priority.TIME_CRITICAL) for _ in "xy")]
    for one in jobs:
        queue.put(one)
    assert [queue.next_for("a") for _ in range(4)] == [jobs[2], jobs[3], jobs[0], jobs[1]]


def test_a_job_without_a_ready_modem_fails_at_once(queue):
    done = []
    one = job(queue, ["a"], done=done.append)
    queue.put(one)
    assert done == [one]
    with pytest.raises(SendFailed):
        one.result()


def test_jobs_that_only_a_leaving_modem_could_do_fail_and_the_others_wait(queue, bells):
    queue.join("a", bells["a"])
    queue.join("b", bells["b"])
    done = []
    only_a, either = job(queue, ["a"], done=done.append), job(queue, ["a", "b"], done=done.append)
    queue.put(only_a)
    queue.put(either)
    queue.leave("a", bells["a"])
    assert done == [only_a]
    assert queue.next_for("b") is either


def test_a_job_that_a_leaving_modem_was_given_and_had_not_begun_goes_to_another(queue, bells):
    ready(queue, bells, "a")
    one = job(queue, ["a", "b"])
    queue.put(one)
    queue.join("b", bells["b"])
    queue.leave("a", bells["a"])
    assert queue.next_for("b") is one


def test_only_what_no_modem_has_begun_can_be_withdrawn(queue, bells):
    ready(queue, bells, "a")
    given, waiting = job(queue, ["a"]), job(queue, ["a"])
    queue.put(given)
    queue.put(waiting)
    assert waiting.withdraw()
    assert given.withdraw()
    assert not given.withdraw()
    assert queue.next_for("a") is None
    begun = job(queue, ["a"])
    queue.put(begun)
    assert queue.next_for("a") is begun
    assert not begun.withdraw()


def test_a_modem_that_rests_takes_only_what_is_time_critical_and_then_the_rest(queue, bells):
    ready(queue, bells, "a")
    queue.rest("a", 0.2)
    waits, hurries = job(queue, ["a"]), job(queue, ["a"], Priority.TIME_CRITICAL)
    queue.put(waits)
    assert not bells["a"].wait(0)
    queue.put(hurries)
    assert bells["a"].wait(0)
    assert queue.next_for("a") is hurries
    assert queue.next_for("a") is None
    assert not bells["a"].wait(queue.asks_again_in_s("a"))
    assert queue.next_for("a") is waits


def test_a_modem_that_does_not_rest_need_not_ask_again(queue, bells):
    ready(queue, bells, "a")
    assert queue.asks_again_in_s("a") == float("inf")


def test_a_message_goes_past_a_modem_that_rests_to_an_equal_one(queue, bells):
    ready(queue, bells, "a", "b")
    queue.rest("a", 60)
    one = job(queue, ["a", "b"])
    queue.put(one)
    assert queue.next_for("b") is one


def test_the_expected_wait_counts_what_is_ahead_and_who_shares_it(queue, bells):
    ready(queue, bells, "a", "b")
    assert queue.expected_wait_s(["a"]) == 0
    queue.note_duration("a", 4.0)
    queue.note_duration("b", 4.0)
    for _ in range(2):
        queue.put(job(queue, ["a", "b"]))
    for name in "ab":
        queue.next_for(name)
    for _ in range(3):
        queue.put(job(queue, ["a", "b"]))
    assert queue.expected_wait_s(["a", "b"]) == pytest.approx(8.0)
    assert queue.expected_wait_s(["nobody"]) == 0


def test_under_a_storm_every_job_is_done_exactly_once(queue):
    names = [f"m{n}" for n in range(4)]
    bells = {name: Wakeup() for name in names}
    stop, done = threading.Event(), []

    for name in names:
        queue.join(name, bells[name])

    def work(name):
        while not stop.is_set():
            one = queue.next_for(name)
            if one is None:
                bells[name].wait(0.5)
            else:
                one.finish(SmsReceipt(modem_id=name, modem_name=name, parts=1, references=(0,)))

    workers = [threading.Thread(target=work, args=(name,)) for name in names]
    for worker in workers:
        worker.start()
    with ThreadPoolExecutor(8) as callers:
        for n in range(2000):
            callers.submit(
                lambda n=n: queue.put(job(queue, [names[n % 4], names[(n + 1) % 4]], done=done.append))
            )
    deadline = threading.Event()
    while len(done) < 2000 and not deadline.wait(0.01):
        pass
    stop.set()
    for name in names:
        bells[name].ring()
    for worker in workers:
        worker.join()
    for name in names:
        bells[name].close()
    assert len(done) == len(set(map(id, done))) == 2000


def test_a_job_that_a_leaving_modem_gives_back_wakes_an_idle_one(queue, bells):
    ready(queue, bells, "a", "b")
    one = job(queue, ["a", "b"])
    queue.put(one)
    assert bells["a"].wait(0)
    queue.leave("a", bells["a"])
    assert bells["b"].wait(0)
    assert queue.next_for("b") is one


def test_an_old_thread_that_leaves_late_takes_nothing_from_its_successor(queue, bells):
    queue.join("a", bells["a"])
    queue.join("a", bells["b"])
    queue.leave("a", bells["a"])
    assert queue.next_for("a") is None
