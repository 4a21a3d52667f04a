"""A clock that is set neither kills nor revives what was accepted before."""

import math

import pytest

from otppi.gateway.journal import Journal
from otppi.gateway.otp import OtpSettings, OtpStore
from otppi.gateway.repeats import Earlier, First, Repeats
from otppi.lib.deadline import Deadline
from otppi.model.errors import DuplicateReference, OtpExpired
from otppi.model.requests import Origin

YEARS_S = 30 * 365 * 86_400.0
JUMPS = pytest.mark.parametrize("jump_s", [YEARS_S, 3600.0, -3600.0, -YEARS_S, -1_800_000_000.0])
PARAMS = ("100000", "", "", "x")
RECEIVER = "6281200000001"


@pytest.fixture
def store(clock):
    return OtpStore(OtpSettings, bytes(32), clock, Journal(None, clock))


@JUMPS
def test_a_code_lives_on(clock, store, jump_s):
    issued = store.issue("r", RECEIVER, PARAMS, 300.0)
    clock.wall += jump_s
    clock.trusted = not clock.trusted
    clock.advance(299)
    with pytest.raises(DuplicateReference):
        store.issue("r", RECEIVER, PARAMS, 300.0)
    store.verify("r", RECEIVER, PARAMS, issued.code)


@JUMPS
def test_an_expired_code_stays_expired(clock, store, jump_s):
    issued = store.issue("r", RECEIVER, PARAMS, 300.0)
    clock.advance(301)
    clock.wall += jump_s
    with pytest.raises(OtpExpired):
        store.verify("r", RECEIVER, PARAMS, issued.code)


@JUMPS
def test_a_deadline_stays_where_it_was(clock, jump_s):
    deadline = Deadline.after(clock, 100)
    clock.wall += jump_s
    assert deadline.remaining_s == 100
    clock.advance(100)
    clock.wall += jump_s
    assert deadline.expired
    assert not Deadline.never(clock).expired


@JUMPS
@pytest.mark.parametrize("life_s", [300.0, math.inf])
def test_a_repeat_stays_a_repeat_and_no_longer_than_before(clock, jump_s, life_s):
    repeats = Repeats(clock, Journal(None, clock), bytes(32))
    key = repeats.key(Origin(door="rest", user="shop"), "send-sms", RECEIVER, "42", "text")
    assert isinstance(repeats.begin(key, life_s), First)
    clock.wall += jump_s
    clock.advance(299)
    assert isinstance(repeats.begin(key, life_s), Earlier)
    clock.wall += jump_s
    clock.advance(3600)
    assert isinstance(repeats.begin(key, life_s), First)
