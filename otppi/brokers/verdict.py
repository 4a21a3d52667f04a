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
_NEVER = frozenset({BadRequest.code, UnknownModem.code})


class Verdict(IntEnum):
    """The worst holds for a message of several requests."""

    DONE = 0  # its outcome is final
    DEAD = 1  # nothing can be done with it, now or later
    AGAIN = 2  # it was surely not sent, and may be later


def judge(answer: Answer, tries: int) -> Verdict:
    """Say what becomes of a message that was worked on so many times."""
    return max(_judged(one, tries) for one in _each(answer))


def _each(answer: Answer) -> Iterator[Answer]:
    if not answer.inner:
        yield answer
    for one in answer.inner:
        yield from _each(one)


def _judged(answer: Answer, tries: int) -> Verdict:
    code, command = answer.document.get("response_code"), answer.document.get("command")
    if answer.error is None:
        return Verdict.DONE
    if code == BadRequest.code:
        return Verdict.DEAD
    if command not in _SENDING:
        return Verdict.DONE
    if code in _NEVER:
        return Verdict.DEAD
    if code in _LATER:
        return Verdict.AGAIN
    if code == _REFUSED:
        return Verdict.AGAIN if tries < _TRIES_OF_REFUSED else Verdict.DEAD
    return Verdict.DONE
