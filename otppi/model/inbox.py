"""Received messages as people and programs see them."""

from dataclasses import dataclass, field
from datetime import datetime

from otppi.model.received_pdu import Party


@dataclass(frozen=True, kw_only=True)
class InboxMessage:
    """A message with all of its parts that came."""

    id: str
    modem_id: str
    sim: str  # the ICCID that it came to, or the modem's id where the SIM does not tell
    sender: Party
    text: str = field(repr=False)  # of data the octets in hexadecimal; `[… 2/3 …]` stands for a missing part
    is_data: bool
    sent_at: datetime | None  # by the clock of the SMS centre
    received_at: datetime
    parts: int
    missing: tuple[int, ...]  # numbers of the parts that did not come
    is_read: bool


@dataclass(frozen=True, kw_only=True)
class InboxPage:
    """Some messages of those that were asked for, newest first."""

    messages: tuple[InboxMessage, ...]
    total: int  # how many there are on all pages


@dataclass(frozen=True, kw_only=True)
class InboxFill:
    """How much there is."""

    messages: int
    unread: int
    bytes: int
