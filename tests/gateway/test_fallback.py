"""The walk from one receiver to the next."""

from typing import NamedTuple

from otppi.gateway.fallback import Way, deliver_along
from otppi.lib.deadline import Deadline
from otppi.model.errors import Busy, MessageExpired, NoModemAvailable, OtpPiError, OutcomeUnknown, SendFailed
from otppi.model.number import Number
from otppi.model.requests import EmailAddress
from otppi.model.results import MailReceipt, SmsReceipt


class Late(NamedTuple):
    """Nobody knows what became of it, and then somebody says it."""

    error: OutcomeUnknown
    receipt: SmsReceipt


PHONE = Number("6281200000001")
MAIL = EmailAddress(address="person@example.com")
SMS_SENT = SmsReceipt(modem_id="m1", modem_name="one", parts=1, references=(1,))
MAIL_SENT = MailReceipt(account_id="a1", account_name="one", message_id="x")


def walk(clock, attempts, *, may_repeat=True):
    tried = []

    def attempt(way, patience, confirmed):
        tried.append((way.receiver, patience.remaining_s))
        what = attempts[len(tried) - 1]
        if isinstance(what, tuple) and not isinstance(what, Late | SmsReceipt):
            clock.advance(what[0])
            what = what[1]
        if isinstance(what, Late):
            confirmed(what.receipt)
            what = what.error
        if isinstance(what, Exception):
            raise what
        return what

    until = Deadline.after(clock, 60)
    ways = [Way(place=0, receiver=PHONE), Way(place=2, receiver=MAIL, after_s=20)]
    try:
        return deliver_along(ways, until, attempt, may_repeat=may_repeat), tried
    except OtpPiError as error:
        return error, tried


def test_who_gets_it_is_the_last_one_tried(clock):
    receipt, tried = walk(clock, [SMS_SENT])
    assert (receipt, len(tried)) == (SMS_SENT, 1)


def test_a_sure_failure_is_followed_at_once(clock):
    receipt, tried = walk(clock, [NoModemAvailable("none"), MAIL_SENT])
    assert (receipt.fallback, receipt.account_id) == (2, "a1")
    assert tried == [(PHONE, 20), (MAIL, 60)]


def test_the_last_one_has_all_the_time_that_is_left(clock):
    receipt, tried = walk(clock, [(20, Busy("no modem", 1)), MAIL_SENT])
    assert receipt.fallback == 2
    assert tried[1] == (MAIL, 40)


def test_a_code_goes_on_though_nobody_knows_and_other_messages_do_not(clock):
    unknown = OutcomeUnknown("silent")
    assert walk(clock, [unknown, MAIL_SENT])[0].fallback == 2
    error, tried = walk(clock, [unknown, MAIL_SENT], may_repeat=False)
    assert error is unknown
    assert len(tried) == 1


def test_what_may_have_been_sent_is_said_before_what_was_not(clock):
    unknown = OutcomeUnknown("silent")
    assert walk(clock, [(20, unknown), (40, SendFailed("refused"))])[0] is unknown
    assert walk(clock, [SendFailed("refused"), (60, unknown)])[0] is unknown


def test_who_was_silent_is_heard_when_nobody_else_is_left(clock):
    late = Late(OutcomeUnknown("silent"), SMS_SENT)
    receipt, tried = walk(clock, [late, SendFailed("refused")])
    assert (receipt, len(tried)) == (SMS_SENT, 2)


def test_the_first_reason_is_told(clock):
    first = NoModemAvailable("none")
    assert walk(clock, [first, SendFailed("refused")])[0] is first


def test_when_the_time_is_over_nobody_else_is_tried(clock):
    error, tried = walk(clock, [(60, MessageExpired("over")), MAIL_SENT])
    assert isinstance(error, MessageExpired)
    assert len(tried) == 1
