"""Going on with another receiver, often on another channel, when a message does not get through to the first."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from otppi.lib.deadline import Deadline
from otppi.model.errors import (
    Busy,
    DeliveryError,
    MessageExpired,
    OtpPiError,
    OutcomeUnknown,
    TooManyRequests,
)
from otppi.model.requests import Fallback, Receiver
from otppi.model.results import Receipt


def deliver_along(
    receiver: Receiver,
    fallback: Sequence[Fallback],
    until: Deadline,
    attempt: Callable[[Receiver, Deadline], Receipt],
    *,
    may_repeat: bool,
) -> Receipt:
    """Try one receiver after the other until a message is sent; waits as long as the attempts do.

    Args:
        receiver: Who is tried first.
        fallback: Who is tried next, in this order. A receiver to whom it surely cannot be sent is followed at once.
        until: When all of them have had their time.
        attempt: Sends to one receiver and waits at most so long.
        may_repeat: Whether the next one is tried as well when nobody knows if the message was sent to the one before:
            right for a code, wrong for what must not come twice.

    Raises:
        OutcomeUnknown: It may have been sent to one of them.
        OtpPiError: What kept it from the first one.
    """
    failure: OtpPiError | None = None
    unknown: OutcomeUnknown | None = None
    receivers = [receiver, *(one.receiver for one in fallback)]
    waits_s = [one.after_s for one in fallback]
    for position, one in enumerate(receivers):
        patience = until.within(waits_s[position]) if position < len(waits_s) else until
        try:
            return replace(attempt(one, patience), fallback=position)
        except OutcomeUnknown as error:
            unknown = unknown or error
            if not may_repeat:
                raise
        except (DeliveryError, MessageExpired, Busy, TooManyRequests) as error:
            failure = failure or error
        if until.expired:
            break
    raise unknown or _told(failure, until)


def _told(failure: OtpPiError | None, until: Deadline) -> OtpPiError:
    """Return what the caller reads: that the time of the first one was over says nothing of the message's life."""
    if failure is None or (isinstance(failure, MessageExpired) and not until.expired):
        return Busy("no modem and no account came free in time", retry_after_s=1.0)
    return failure
