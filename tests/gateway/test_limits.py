import tempfile
import threading
from pathlib import Path

import pytest

from otppi.gateway.journal import Journal
from otppi.gateway.limits import RateLimits, Rule, SlidingLimit
from otppi.gateway.otp import OtpSettings
from otppi.model.errors import TooManyRequests

KEY = bytes(32)
SOMEBODY = "6281200000001"


@pytest.fixture
def ram_dir():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def limits(clock, directory=None, **settings):
    chosen = OtpSettings(**settings)
    journal = Journal(directory, clock)
    made = RateLimits(lambda: chosen, KEY, clock, journal)
    made.journal = journal
    return made


def refused(one, receiver=SOMEBODY, user="app", address="192.0.2.1"):
    with pytest.raises(TooManyRequests) as refusal:
        one.take(receiver, user, address)
    return str(refusal.value).split()[-1], refusal.value.retry_after_s


def test_the_window_slides_exactly():
    limit = SlidingLimit(Rule(2, 10.0))
    for now in (0.0, 4.0):
        assert limit.wait_s(b"k", now) == 0
        limit.take(b"k", now)
    assert limit.wait_s(b"k", 4.0) == 6.0
    assert limit.wait_s(b"k", 9.75) == 0.25
    assert limit.wait_s(b"k", 10.0) == 0
    limit.take(b"k", 10.0)
    assert limit.wait_s(b"k", 10.0) == 4.0
    assert limit.wait_s(b"other", 10.0) == 0


def test_of_two_rules_the_stricter_one_counts():
    limit = SlidingLimit(Rule(1, 10.0), Rule(2, 100.0))
    limit.take(b"k", 0.0)
    assert limit.wait_s(b"k", 0.0) == 10.0
    limit.take(b"k", 10.0)
    assert limit.wait_s(b"k", 10.0) == 90.0


def test_a_limit_of_zero_is_none_and_keeps_nothing():
    limit = SlidingLimit(Rule(0, 10.0))
    assert not any(limit.take(b"k", 0.0) for _ in range(1000))
    assert limit.wait_s(b"k", 0.0) == 0
    assert limit.moments(0.0) == []


def test_a_lowered_limit_counts_what_was_taken_before():
    limit = SlidingLimit(Rule(5, 10.0))
    for now in (0.0, 1.0, 2.0):
        limit.take(b"k", now)
    limit.set_rules(Rule(2, 10.0))
    assert limit.wait_s(b"k", 2.0) == 9.0


def test_old_keys_are_forgotten_and_so_is_the_longest_untouched_beyond_the_capacity():
    limit = SlidingLimit(Rule(1, 10.0), capacity=3)
    for n in range(3):
        limit.take(str(n).encode(), 0.0)
    limit.take(b"3", 1.0)
    assert limit.wait_s(b"0", 1.0) == 0
    assert limit.wait_s(b"1", 1.0) == 9.0
    limit.take(b"4", 10.5)
    assert limit.moments(10.5) == [(b"3", 1.0), (b"4", 10.5)]
    assert len(limit._moments) == 2


def test_a_receiver_gets_five_codes_in_ten_minutes_and_ten_in_an_hour(clock):
    one = limits(clock)
    for _ in range(5):
        one.take(SOMEBODY, "app", "192.0.2.1")
        clock.advance(10)
    assert refused(one) == ("receiver", 550.0)
    clock.advance(550)
    one.take(SOMEBODY, "app", "192.0.2.1")
    clock.advance(600)
    for _ in range(4):
        one.take(SOMEBODY, "app", "192.0.2.1")
    clock.advance(600)
    scope, retry_after_s = refused(one)
    assert scope == "receiver"
    assert retry_after_s == 3600 - (50 + 550 + 600 + 600)
    clock.advance(retry_after_s)
    one.take(SOMEBODY, "app", "192.0.2.1")


def test_one_application_server_may_carry_everybody(clock):
    one = limits(clock)
    for n in range(2000):
        one.take(f"62812{n:08d}", "app", "192.0.2.1")


def test_user_and_address_have_limits_of_their_own_when_switched_on(clock):
    one = limits(clock, user_limit=2, address_limit=3)
    one.take("1", "a", "192.0.2.1")
    one.take("2", "a", "192.0.2.2")
    assert refused(one, "3", "a", "192.0.2.3") == ("user", 60.0)
    one.take("3", "b", "192.0.2.1")
    one.take("4", "b", "192.0.2.1")
    assert refused(one, "5", "c", "192.0.2.1") == ("address", 60.0)
    one.take("5", "", "")
    one.take("6", "", "")
    one.take("7", "", "")
    one.take("8", "", "")


def test_a_refusal_takes_from_none(clock):
    one = limits(clock, user_limit=1, receiver_limit=2)
    one.take("a", "app", "")
    for _ in range(10):
        assert refused(one, "b")[0] == "user"
    clock.advance(60)
    one.take("b", "app", "")
    clock.advance(60)
    one.take("b", "app", "")
    clock.advance(60)
    assert refused(one, "b")[0] == "receiver"
    one.take("c", "app", "")


def test_of_several_the_limit_that_lasts_longest_is_named(clock):
    one = limits(clock, user_limit=1, receiver_limit=1)
    one.take(SOMEBODY, "app", "")
    assert refused(one) == ("receiver", 600.0)


def test_a_code_that_reached_nobody_is_given_back_once(clock):
    one = limits(clock, receiver_limit=2)
    first = one.take(SOMEBODY, "", "")
    clock.advance(1)
    one.take(SOMEBODY, "", "")
    one.give_back(first)
    one.give_back(first)
    one.take(SOMEBODY, "", "")
    assert refused(one)[0] == "receiver"


def test_the_limit_of_a_receiver_survives_a_restart_and_what_was_given_back_does_not(ram_dir, clock):
    one = limits(clock, ram_dir)
    for _ in range(4):
        one.take(SOMEBODY, "app", "192.0.2.1")
        clock.advance(10)
    one.give_back(one.take(SOMEBODY, "app", "192.0.2.1"))
    for _ in range(2):
        one.journal.close()
        one = limits(clock, ram_dir)
    one.take(SOMEBODY, "app", "192.0.2.1")
    assert refused(one) == ("receiver", 560.0)
    written = b"".join(file.read_bytes() for file in ram_dir.iterdir())
    assert SOMEBODY.encode() not in written
    assert SOMEBODY not in repr(vars(one)) + repr(vars(one._receivers))
    one.journal.close()


def test_a_restart_after_compaction_still_counts_right(ram_dir, clock):
    one = limits(clock, ram_dir)
    for _ in range(3):
        one.take(SOMEBODY, "", "")
    for n in range(2500):
        one.give_back(one.take(f"62812{n:08d}", "", ""))
    one.take(SOMEBODY, "", "")
    one.journal.close()
    one = limits(clock, ram_dir)
    one.take(SOMEBODY, "", "")
    assert refused(one)[0] == "receiver"
    one.journal.close()


def test_of_fifty_who_take_at_once_five_succeed(clock):
    one = limits(clock)
    start = threading.Barrier(50)
    taken = []

    def take():
        start.wait()
        try:
            taken.append(one.take(SOMEBODY, "app", "192.0.2.1"))
        except TooManyRequests:
            return

    threads = [threading.Thread(target=take) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 5
