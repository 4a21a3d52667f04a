"""Sending SMS, as the core sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from otppi.lib.deadline import Deadline
from otppi.model.modems import ModemStatus
from otppi.model.number import Number
from otppi.model.requests import Origin
from otppi.model.results import SmsReceipt, UssdReply
from otppi.model.sms_text import SmsText


class Priority(IntEnum):
    """Which message goes first; smaller is earlier."""

    TIME_CRITICAL = 0
    NORMAL = 1


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class OutgoingSms:
    """One message on its way to a modem, already coded and split."""

    number: Number
    text: SmsText = field(repr=False)
    origin: Origin
    priority: Priority = Priority.NORMAL
    only_modem: str = ""  # id of the one that may send it; empty if any may
    # How long the network may keep trying (TP-VP); None leaves it to the SMS centre.
    validity_s: float | None = None
    # Called on the modem's thread with its id before the message is begun; a `DeliveryError` keeps it from being sent
    # through this modem.
    before_taking: Callable[[str], None] = field(default=_nothing, repr=False)
    # Called on the modem's thread just before the first byte that could make the network send.
    before_submit: Callable[[], None] = field(default=_nothing, repr=False)
    # Called on the modem's thread when every part is confirmed, before the modem takes another message.
    after_sending: Callable[[SmsReceipt], None] = field(default=_nothing, repr=False)


class Ticket(Protocol):
    """A message that was handed over, and what is known of it."""

    @property
    def modem_id(self) -> str | None:
        """The modem that took it; None while it waits for one."""
        ...

    def withdraw(self) -> bool:
        """Take it back if no modem has taken it yet; True if so, and then it surely never leaves."""
        ...

    def result(self) -> SmsReceipt:
        """Return what became of it; call only after `on_done` was called.

        Raises:
            SendFailed: It surely did not leave.
            OutcomeUnknown: It may have left.
        """
        ...


class SmsSender(Protocol):
    """Takes messages and brings them to the network."""

    def submit(self, sms: OutgoingSms, eligible: Sequence[str], on_done: Callable[[Ticket], None]) -> Ticket:
        """Hand a message to whichever eligible modem is free first; among free ones the longest idle.

        Returns at once. `on_done` is called exactly once, on the modem's thread, unless the ticket was
        withdrawn; it must not wait.
        """
        ...

    def expected_wait_s(self, eligible: Sequence[str]) -> float:
        """Estimate how long a new message waits until one of these modems takes it."""
        ...


class UssdSender(Protocol):
    """Asks the network by USSD."""

    def request_ussd(self, modem_id: str, text: str, origin: Origin, deadline: Deadline) -> UssdReply:
        """Send a USSD code, or the reply to an open menu, and wait for the network's answer.

        An answer that expects a reply leaves a session open, which is its caller's: the next text of the same
        door and user goes on with it, a new code ends it first. It ends by itself after a while.

        Args:
            modem_id: The modem.
            text: A code or a reply (`otppi.model.ussd`); empty to cancel the open session, if there is one.
            origin: Who asks.
            deadline: How long the answer is waited for.

        Raises:
            UssdFailed: No answer, or a refusal.
            Busy: The open session is somebody else's.
        """
        ...


class ModemDirectory(Protocol):
    """Knows who can send: modems, and accounts at vendors."""

    def snapshot(self) -> tuple[ModemStatus, ...]:
        """Return every configured one as it stands, in the order of the settings."""
        ...
