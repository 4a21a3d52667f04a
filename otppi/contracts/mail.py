"""Sending e-mail, as the core sees it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from otppi.lib.deadline import Deadline
from otppi.model.errors import SendFailed
from otppi.model.mail import MailAccountStatus


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a caller wrote; the account makes an e-mail of it."""

    subject: str = field(repr=False)  # empty for the subject of the settings
    text: str = field(repr=False)  # plain text or HTML
    is_code: bool = False  # has another subject when the caller brings none


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """A finished e-mail (RFC 5322) that an application handed over."""

    sender: str = field(repr=False)  # of the envelope; empty for a bounce
    content: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class OutgoingMail:
    """One e-mail to one receiver."""

    address: str = field(repr=False)
    body: Written | Relayed
    message_id: (
        str  # names it in events and reports; the Message-ID of what the account writes has it as well
    )


class MailRefused(SendFailed):
    """The server refused this receiver, or this very message, for good: no other account would be of use."""


class MailSender(Protocol):
    """The e-mail accounts, and the way without one."""

    def accounts(self) -> tuple[MailAccountStatus, ...]:
        """Return every account as it stands, in the order of the settings."""
        ...

    def send(
        self, account_id: str, mail: OutgoingMail, until: Deadline, before_submit: Callable[[], None]
    ) -> None:
        """Hand one e-mail to a server; waits, on the caller's thread, for a connection and the server's answers.

        Args:
            account_id: From `accounts`, or `DIRECT`.
            mail: What to send.
            until: When the wait is over.
            before_submit: Called just before the first byte of the content leaves.

        Raises:
            Busy: Surely not sent; all connections of the account were in use until then.
            MailRefused: Surely not sent, and it would not be by another account.
            SendFailed: Surely not sent; the account rests if the fault is its own.
            OutcomeUnknown: The whole content went out and the server did not say what became of it.
        """
        ...
