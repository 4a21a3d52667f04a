"""What the common loop needs of a broker: one connection that has subscribed, and how one is made."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from otppi.brokers.settings import Connection

# An answer is worth nothing to who asked a minute ago.
ANSWER_LIFE_S = 60.0
DEAD_LIFE_S = 24 * 3600.0
# Handed over so often and never settled: it must be what ends us each time.
MOST_DELIVERIES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Message:
    """One message as the broker handed it over."""

    body: bytes = field(repr=False)
    handle: Any = None  # what the link needs to settle it
    token: str = ""  # a name that the broker or the publisher gave this message alone; empty if nobody did
    is_redelivered: bool = False  # the broker says that it was handed over before, to us or to another
    deliveries: int = 1  # how often it was handed over, where the broker counts

    @property
    def body_token(self) -> str:
        """A name for messages that have none: equal for equal messages."""
        return hashlib.sha256(self.body).hexdigest()


class Link(Protocol):
    """One connection that has subscribed; it ends with its first error, and another is made.

    `receive` and `close` are called on one thread only; everything else on any, and of a link that is closed already
    it does nothing.
    """

    keeps: bool  # whether the broker keeps a message until it is settled, and hands it over again

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, or None if none came in time; keeps the connection alive meanwhile.

        Raises:
            BrokerError: The connection is lost.
        """
        ...

    def settle(self, message: Message) -> None:
        """Let the broker forget the message; where it has forgotten it already, nothing happens."""
        ...

    def give_back(self, message: Message) -> bool:
        """Let the broker hand the message to whoever is next; False if it cannot, and then it stays with us."""
        ...

    def bury(self, message: Message, reason: str) -> bool:
        """Put the message, unchanged, where dead letters lie; False if the broker has no such place. Settles nothing.

        Raises:
            BrokerError: It is not there, or nobody knows (TIMEOUT, LOST).
        """
        ...

    def publish(self, topic: str, body: bytes) -> None:
        """Publish an answer or news; returns when the broker has it, as far as its protocol tells.

        Raises:
            BrokerError: It does not have it, or nobody took it.
        """
        ...

    def close(self) -> None:
        """End the connection; messages that were not settled come again, where the broker keeps them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of broker."""

    section: type[Connection]
    # Connects and subscribes; the number is how many messages may be in hand at once. Raises BrokerError.
    open: Callable[[Any, int], Link] = field(repr=False)
    # Connects, logs in, looks for the topic and leaves; takes no message and disturbs no running subscription. Returns
    # a sentence of what was found. Raises BrokerError.
    probe: Callable[[Any], str] = field(repr=False)
