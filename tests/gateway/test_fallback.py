"""The walk from one receiver to the next."""

from otppi.gateway.fallback import deliver_along
from otppi.lib.deadline import Deadline
from otppi.model.errors import Busy, MessageExpired, NoModemAvailable, OtpPiError, OutcomeUnknown, SendFailed
from otppi.model.number import Number
from otppi.model.requests import EmailAddress, Fallback
from otppi.model.results import MailReceipt, SmsReceipt

PHONE = Number("6281200000001")
MAIL = EmailAddress(address="person@example.com")
SMS_SENT = SmsReceipt(modem_id="m1", modem_name="one", parts=1, references=(1,))
MAIL_SENT = MailReceipt(account_id="a1", account_name="one", message_id="x")


def walk(clock, attempts, *, may_repeat=True):
    tried = []

    def attempt(to, until):
        tried.append((to, until.remaining_s))
        what = attempts[len(tried) - 1]
        if isinstance(what, tuple):
            clock.advance(what[0])
            what = what[1]
        if isinstance(what, Exception):
            raise what
        return what

    until, fallback = Deadline.after(clock, 60), [Fallback(receiver=MAIL, after_s=20)]
    try:
        return deliver_along(PHONE, fallback, until, attempt, may_repeat=may_repeat), tried
    except OtpPiError as error:
        return error, tried


def test_who_gets_it_is_the_last_one_tried(clock):
    receipt, tried = walk(clock, [SMS_SENT])
    assert (receipt, len(tried)) == (SMS_SENT, 1)


def test_a_sure_failure_is_followed_at_once(clock):
    receipt, tried = walk(clock, [NoModemAvailable("none"), MAIL_SENT])
    assert (receipt.fallback, receipt.account_id) == (1, "a1")
    assert tried == [(PHONE, 20), (MAIL, 60)]


def test_the_last_one_has_all_the_time_that_is_left(clock):
    receipt, tried = walk(clock, [(20, Busy("no modem", 1)), MAIL_SENT])
    assert receipt.fallback == 1
    assert tried[1] == (MAIL, 40)


def test_a_code_goes_on_though_nobody_knows_and_other_messages_do_not(clock):
    unknown = OutcomeUnknown("silent")
    assert walk(clock, [unknown, MAIL_SENT])[0].fallback == 1
    error, tried = walk(clock, [unknown, MAIL_SENT], may_repeat=False)
    assert error is unknown
    assert len(tried) == 1


def test_what_may_have_been_sent_is_said_before_what_was_not(clock):
    unknown = OutcomeUnknown("silent")
    assert walk(clock, [unknown, SendFailed("refused")])[0] is unknown
    assert walk(clock, [SendFailed("refused"), unknown])[0] is unknown


def test_the_first_reason_is_told(clock):
    first = NoModemAvailable("none")
    assert walk(clock, [first, SendFailed("refused")])[0] is first


def test_the_end_of_ones_time_is_not_the_end_of_the_message(clock):
    error, _ = walk(clock, [(20, MessageExpired("over")), MessageExpired("over")])
    assert isinstance(error, Busy)
    error, tried = walk(clock, [(60, MessageExpired("over")), MAIL_SENT])
    assert isinstance(error, MessageExpired)
    assert len(tried) == 1
