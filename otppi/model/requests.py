"""What can be asked of the gateway: one frozen class per command.

A field that holds a message, a code or a password never shows in `repr`, so that it cannot reach a log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otppi.lib.deadline import Deadline
from otppi.lib.masking import masked_address
from otppi.model.number import Number


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What is known of a message that a broker hands over again until it is acknowledged."""

    token: str = field(repr=False)  # names the message: the same each time it is handed over
    # Whether one of the same token that came before is this very message. Where a broker gives no names the token is
    # made of the content, and two messages may have the same.
    is_repeat: bool
    held_s: float = 0.0  # for how long it has been here, since it was first handed over


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who asks, and through which door."""

    door: str  # "rest", "vendor", "smtp", "cli", "admin", or the name of a broker
    user: str  # the API user, or the topic
    address: str = ""
    arrival: Arrival | None = None  # of what comes from a broker
    tag: str = ""  # the door's own name for the message; `MessageFinished` tells it again


@dataclass(frozen=True, kw_only=True)
class EmailAddress:
    """A receiver of e-mail."""

    address: str = field(repr=False)

    @property
    def masked(self) -> str:
        """The address as logs and reports show it."""
        return masked_address(self.address)


Receiver = Number | EmailAddress


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """Another receiver, for a message that the ones before it did not get."""

    receiver: Receiver
    after_s: float  # how long the one before it is tried at most


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every command carries: who asked, and the fields that are echoed in the answer."""

    origin: Origin
    command: str
    echo: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class SendMessage(Request):
    """`send-sms`, `send-message`, `send-email`, `send-mail`."""

    receiver: Receiver
    text: str = field(repr=False)
    subject: str = field(default="", repr=False)
    life: Deadline
    modem: str = ""  # id or name of the one that may send it; empty if any may
    fallback: tuple[Fallback, ...] = ()
    # What names a repeat: the caller's `id` or `reference`, else its `date_time`; empty if it sent neither.
    repeat_token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class RequestOtp(Request):
    """`request-otp`: make a code, remember its hash, send it."""

    reference: str = field(repr=False)
    receiver: Receiver
    template: str = field(repr=False)
    params: tuple[str, str, str, str] = field(default=("", "", "", ""), repr=False)
    life: Deadline
    subject: str = field(default="", repr=False)
    web_host: str = ""
    app_hash: str = ""
    fallback: tuple[Fallback, ...] = ()  # the code stays bound to `receiver`


@dataclass(frozen=True, kw_only=True)
class VerifyOtp(Request):
    """`verify-otp`: is this the code of that reference?"""

    reference: str = field(repr=False)
    receiver: Receiver
    code: str = field(repr=False)
    params: tuple[str, str, str, str] = field(default=("", "", "", ""), repr=False)


@dataclass(frozen=True, kw_only=True)
class BlockNumber(Request):
    """`block-msisdn` and `unblock-msisdn`."""

    number: Number
    blocked: bool


@dataclass(frozen=True, kw_only=True)
class ListModems(Request):
    """`get-modem-list`."""


@dataclass(frozen=True, kw_only=True)
class RequestUssd(Request):
    """`request-ussd`."""

    modem: str
    ussd_code: str = field(repr=False)  # or the reply to a menu, which may be a PIN


@dataclass(frozen=True, kw_only=True)
class CancelUssd(Request):
    """`cancel-ussd`."""

    modem: str


@dataclass(frozen=True, kw_only=True)
class Echo(Request):
    """`echo`: the whole request comes back."""

    document: Mapping[str, Any] = field(repr=False)
