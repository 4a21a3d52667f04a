"""What the gateway answers when it did what was asked."""

from dataclasses import dataclass

from otppi.model.modems import ModemStatus


@dataclass(frozen=True, kw_only=True)
class SmsReceipt:
    """A modem got `+CMGS` for every part."""

    modem_id: str
    modem_name: str
    parts: int
    references: tuple[int, ...]  # TP-MR of each part
    message_id: str = ""  # what a `DeliveryReported` of it will say
    fallback: int = 0  # the receiver that it went to: 0 is the first one asked for


@dataclass(frozen=True, kw_only=True)
class MailReceipt:
    """A server took an e-mail."""

    account_id: str
    account_name: str
    message_id: str
    fallback: int = 0  # as in `SmsReceipt`


Receipt = SmsReceipt | MailReceipt


@dataclass(frozen=True, kw_only=True)
class OtpSent:
    """A code is on its way to its receiver."""

    receipt: Receipt
    life_s: int


@dataclass(frozen=True, kw_only=True)
class OtpVerified:
    """The code was right, and is used up."""


@dataclass(frozen=True, kw_only=True)
class BlockListChanged:
    """The number is blocked, or no longer."""


@dataclass(frozen=True, kw_only=True)
class ModemList:
    """All modems as they stand."""

    modems: tuple[ModemStatus, ...]


@dataclass(frozen=True, kw_only=True)
class UssdReply:
    """The network's answer to a USSD code (3GPP TS 27.007, 7.15)."""

    modem_id: str
    text: str
    raw: str
    expects_reply: bool


@dataclass(frozen=True, kw_only=True)
class UssdCancelled:
    """No USSD session is open any more."""


@dataclass(frozen=True, kw_only=True)
class Echoed:
    """The request itself."""


Result = Receipt | OtpSent | OtpVerified | BlockListChanged | ModemList | UssdReply | UssdCancelled | Echoed
