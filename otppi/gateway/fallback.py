"""Going on with another receiver, often on another channel, when a message does not get through to the first."""

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from otppi.lib.deadline import Deadline
from otppi.model.errors import (
    Busy,
    DeliveryError,
    MessageExpired,
    OtpPiError,
    OutcomeUnknown,
    TooManyRequests,
)
from otppi.model.requests import Receiver
from otppi.model.results import Receipt


@dataclass(frozen=True, kw_only=True)
class Way:
    """One of the receivers of a message."""

    place: int  # as the caller numbers them: 0 is the first
    receiver: Receiver
    after_s: float = 0.0  # how long the way before this one is tried


class Attempt(Protocol):
    """Sends to one receiver."""

    def __call__(self, way: Way, patience: Deadline, confirmed: Callable[[Receipt], None]) -> Receipt:
        """Send and wait for the outcome.

        Args:
            way: To whom.
            patience: How long it may wait to be taken; what may have left by then is waited for, unless another copy
                does no harm.
            confirmed: May be called with a receipt, then or later, from any thread.
        """
        ...


def deliver_along(ways: Sequence[Way], until: Deadline, attempt: Attempt, *, may_repeat: bool) -> Receipt:
    """Try one receiver after the other until a message is sent; waits as long as the attempts do.

    A receiver to whom it surely cannot be sent is followed at once.

    Args:
        ways: To whom, in this order; one at least.
        until: When all of them have had their time.
        attempt: Sends to one of them.
        may_repeat: Whether the next one is tried as well when nobody knows if the message was sent to the one before:
            right for a code, wrong for what must not come twice.

    Raises:
        OutcomeUnknown: It may have been sent to one of them.
        OtpPiError: What kept it from the first one.
    """
    failure: OtpPiError | None = None
    unknown: OutcomeUnknown | None = None
    confirmed: queue.SimpleQueue[Receipt] = queue.SimpleQueue()
    for position, way in enumerate(ways):
        followed_after_s = ways[position + 1].after_s if position + 1 < len(ways) else None
        patience = until if followed_after_s is None else until.within(followed_after_s)
        place = way.place

        def confirm(receipt: Receipt, place: int = place) -> None:
            confirmed.put(replace(receipt, fallback=place))

        try:
            return replace(attempt(way, patience, confirm), fallback=place)
        except OutcomeUnknown as error:
            unknown = unknown or error
            if not may_repeat:
                raise
        except (DeliveryError, MessageExpired, Busy, TooManyRequests) as error:
            failure = failure or error
        if until.expired:
            break
    if unknown is not None:
        try:
            # Nothing is left to be tried, and the time is not over: the one that was silent may speak yet.
            return confirmed.get(timeout=until.remaining_s)
        except queue.Empty:
            raise unknown from None
    raise failure or Busy("no modem and no account came free in time", retry_after_s=1.0)
