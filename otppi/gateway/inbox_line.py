"""One received part as a line of the inbox file."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from otppi.contracts.received import ReceivedPart
from otppi.model.pdu import Concat
from otppi.model.received_pdu import Party

_LATEST_S: Final = 1e11


@dataclass(frozen=True, kw_only=True)
class PartLine:
    """A part as it is kept."""

    id: str  # the same whenever this part is read from the SIM
    message_id: str  # the id of that part of the message which came first
    modem_id: str
    sim: str
    sender: Party
    text: str = field(repr=False)
    is_data: bool
    concat: Concat | None
    sent_at: datetime | None
    received_s: float  # wall clock

    @property
    def number(self) -> int:
        """Which part it is, from 1."""
        return self.concat.number if self.concat is not None else 1

    @property
    def total(self) -> int:
        """How many parts the message has."""
        return self.concat.total if self.concat is not None else 1

    @property
    def stamp_s(self) -> float:
        """When the SMS centre had it; by our own clock if that is not known."""
        return self.sent_at.timestamp() if self.sent_at is not None else self.received_s

    def encoded(self) -> bytes:
        """Return the line; it has no line end in it."""
        concat = self.concat
        return json.dumps(
            {
                "id": self.id,
                "message": self.message_id,
                "modem": self.modem_id,
                "sim": self.sim,
                "from": self.sender.text,
                "is_name": self.sender.is_name,
                "text": self.text,
                "is_data": self.is_data,
                "part": None if concat is None else [concat.reference, concat.total, concat.number],
                "sent": None if self.sent_at is None else self.sent_at.isoformat(),
                "received_s": self.received_s,
            },
            separators=(",", ":"),
        ).encode("ascii")


def part_line(part: ReceivedPart, part_id: str, received_s: float) -> PartLine:
    """Make the line of a part that begins a message."""
    message = part.message
    return PartLine(
        id=part_id,
        message_id=part_id,
        modem_id=part.modem_id,
        sim=part.sim,
        sender=message.sender,
        text=message.text,
        is_data=message.is_data,
        concat=message.concat,
        sent_at=message.sent_at,
        received_s=received_s,
    )


def decoded(document: Any) -> PartLine:  # noqa: ANN401 - JSON
    """Read a line.

    Raises:
        ValueError, TypeError, KeyError: It is none.
    """
    concat, sent, received_s = document["part"], document["sent"], float(document["received_s"])
    if not 0 <= received_s <= _LATEST_S:
        raise ValueError("no possible time")
    return PartLine(
        id=_text(document["id"]),
        message_id=_text(document["message"]),
        modem_id=_text(document["modem"]),
        sim=_text(document["sim"]),
        sender=Party(_text(document["from"]), is_name=bool(document["is_name"])),
        text=_text(document["text"]),
        is_data=bool(document["is_data"]),
        concat=None if concat is None else Concat(*map(int, concat)),
        sent_at=None if sent is None else datetime.fromisoformat(sent),
        received_s=received_s,
    )


def part_id(part: ReceivedPart, received_s: float) -> str:
    """Return what is the same whenever this part is read, and another for every other part.

    A network that brings a message twice stamps it the same, so that counts as reading it twice. Where the SMS
    centre gives no time, the hour in which it came takes its place.
    """
    message = part.message
    stamp = received_s // 3600 if message.sent_at is None else message.sent_at.isoformat()
    concat = message.concat
    named = [part.sim, message.sender.text, stamp, None if concat is None else vars(concat), message.text]
    return hashlib.sha256(json.dumps(named).encode("ascii")).hexdigest()[:16]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
