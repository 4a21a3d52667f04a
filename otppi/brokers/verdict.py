"""What becomes of a message after it was worked on."""

from collections.abc import Iterator
from enum import IntEnum

from otppi.gateway.door import Answer
from otppi.model.errors import BadRequest, Busy, NoModemAvailable, QuotaUsedUp, SendFailed, UnknownModem

# What a modem is needed for; everything else is answered once, whatever the answer.
_SENDING = frozenset({"send-sms", "send-message", "send-email", "send-mail", "request-otp"})
# It was not sent, and could be before long.
_LATER = frozenset({NoModemAvailable.code, Busy.code, QuotaUsedUp.code})
# Every modem refused it: the network may be at fault, or the message.
_REFUSED = SendFailed.code
_TRIES_OF_REFUSED = 3
# Others can be sent while this one cannot: it waits no longer than so, lest it take their place for ever.
_LONGEST_WAIT_S = 3600.0
_NEVER = frozenset({BadRequest.code, UnknownModem.code})


class Verdict(IntEnum):
    """The worst holds for a message of several requests."""

    DONE = 0  # its outcome is final
    DEAD = 1  # nothing can be done with it, now or later
    AGAIN = 2  # it was refused, and is tried here again
    LATER = 3  # it was surely not sent, and may be later, here or by another device


def judge(answer: Answer, tries: int, waited_s: float, *, is_for_one_modem: bool) -> Verdict:
    """Say what becomes of a message that was worked on so many times.

    Args:
        answer: What came of it now.
        tries: How often it was worked on since it was handed over.
        waited_s: How long ago it was handed over first.
        is_for_one_modem: Whether its caller named the modem.
    """
    each = list(_each(answer))
    verdict = max(_judged(one, tries) for one in each)
    if verdict is not Verdict.LATER:
        return verdict
    is_alone = is_for_one_modem or any(_code(one) == QuotaUsedUp.code for one in each)
    if is_alone and waited_s > _LONGEST_WAIT_S:
        return Verdict.DEAD
    # Of a list another device would send again what was sent here.
    return Verdict.AGAIN if any(one.error is None for one in each) else Verdict.LATER


def _each(answer: Answer) -> Iterator[Answer]:
    if not answer.inner:
        yield answer
    for one in answer.inner:
        yield from _each(one)


def _judged(answer: Answer, tries: int) -> Verdict:
    code, command = _code(answer), answer.document.get("command")
    if answer.error is None:
        return Verdict.DONE
    if code == BadRequest.code:
        return Verdict.DEAD
    if command not in _SENDING:
        return Verdict.DONE
    if code in _NEVER:
        return Verdict.DEAD
    if code in _LATER:
        return Verdict.LATER
    if code == _REFUSED:
        return Verdict.AGAIN if tries < _TRIES_OF_REFUSED else Verdict.DEAD
    return Verdict.DONE


def _code(answer: Answer) -> object:
    return answer.document.get("response_code")
