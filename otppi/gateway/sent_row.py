"""What is kept of a message that was sent, or was to be: no text, and of its number only the masked form."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from otppi.model.events import Channel, DeliveryReported, MessageFinished
from otppi.model.received_pdu import ReportOutcome

# What a modem gave as its reason may be of any length.
_LONGEST_TEXT: Final = 200
_ROW, _NEWS = "row", "news"
_FEWEST_FIELDS: Final = 15  # of a row as the first release wrote it
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Delivery(StrEnum):
    """What the network said of a message that a modem had sent."""

    NONE = "none"  # nothing yet, or it was not asked
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"  # given on without confirmation, or silence to the end


_DELIVERY: Final = {
    ReportOutcome.DELIVERED: Delivery.DELIVERED,
    ReportOutcome.UNCONFIRMED: Delivery.UNKNOWN,
    ReportOutcome.TRYING: Delivery.NONE,
    ReportOutcome.EXPIRED: Delivery.FAILED,
    ReportOutcome.FAILED: Delivery.FAILED,
    ReportOutcome.SILENCE: Delivery.UNKNOWN,
}


class News(NamedTuple):
    """What came later about a message; empty where nothing did."""

    message_id: str
    outcome: str = ""
    delivery: str = ""
    delivered_s: float | None = None  # when the network's last word came, whatever it said

    def after(self, older: "News | None") -> "News":
        """Return both in one."""
        if older is None:
            return self
        if self.delivery:
            return self._replace(outcome=self.outcome or older.outcome)
        return older._replace(outcome=self.outcome or older.outcome)

    def line(self) -> bytes:
        """Return it as a line, without a line end."""
        return _line(_NEWS, self)


class SentRow(NamedTuple):
    """One message at one modem. The order of the fields is that of the line in the file; new ones go to its end."""

    at_s: float  # wall clock
    message_id: str
    door: str
    user: str
    modem_id: str
    modem: str  # its name then
    number: str  # masked
    parts: int
    outcome: str
    reason: str
    duration_s: float
    is_timed: bool  # somebody vouched for the clock
    is_late: bool = False  # confirmed after its outcome had been called unknown
    delivery: str = Delivery.NONE.value
    delivered_s: float | None = None
    channel: str = Channel.SMS.value

    def told(self, news: News) -> "SentRow":
        """Return the row with what came later."""
        row = self
        if news.outcome:
            row = row._replace(outcome=news.outcome, reason="", is_late=True)
        if news.delivery:
            row = row._replace(delivery=news.delivery, delivered_s=news.delivered_s)
        return row

    def line(self) -> bytes:
        """Return it as a line, without a line end."""
        return _line(_ROW, self)

    def as_json(self) -> dict[str, Any]:
        """Return it for pages and programs, with times in the zone of the device."""
        return {
            "at": local_time(self.at_s).isoformat(timespec="seconds"),
            "is_timed": self.is_timed,
            "message_id": self.message_id,
            "door": self.door,
            "user": self.user,
            "channel": self.channel,
            "modem_id": self.modem_id,
            "modem": self.modem,
            "number": self.number,
            "parts": self.parts,
            "outcome": self.outcome,
            "is_late": self.is_late,
            "reason": self.reason,
            "duration_s": self.duration_s,
            "delivery": self.delivery,
            "delivered_at": None
            if self.delivered_s is None
            else local_time(self.delivered_s).isoformat(timespec="seconds"),
        }


def row_of(event: MessageFinished, at_s: float, *, is_timed: bool) -> SentRow:
    """Return the row of a message that a modem is done with."""
    return SentRow(
        round(at_s, 3),
        event.message_id,
        event.door,
        _text(event.user),
        event.modem_id,
        _text(event.modem_name),
        event.masked_number,
        event.parts,
        event.outcome.value,
        _text(event.reason),
        round(event.duration_s, 3),
        is_timed,
        event.late,
        channel=event.channel.value,
    )


def news_of(event: MessageFinished | DeliveryReported, at_s: float) -> News:
    """Return what a late confirmation or a delivery report says."""
    if isinstance(event, MessageFinished):
        return News(event.message_id, outcome=event.outcome.value)
    return News(event.message_id, delivery=_DELIVERY[event.outcome].value, delivered_s=round(at_s, 3))


def read_line(values: object) -> SentRow | News | None:
    """Return what the JSON value of a line says; None if it is no such line."""
    match values:
        case ["row", *fields] if _FEWEST_FIELDS <= len(fields) <= len(SentRow._fields):
            missing = SentRow._fields[len(fields) :]  # what an earlier release did not write
            return SentRow._make([*fields, *(SentRow._field_defaults[name] for name in missing)])
        case ["news", *fields] if len(fields) == len(News._fields):
            return News._make(fields)
    return None


def local_time(at_s: float) -> datetime:
    """Return a time in the zone of the device."""
    return datetime.fromtimestamp(at_s).astimezone()


def _text(told: str) -> str:
    # Half a pair of surrogates may be in a name that somebody typed; it must not keep all others from the disk.
    return told[:_LONGEST_TEXT].encode(errors="replace").decode()


def _line(kind: str, values: SentRow | News) -> bytes:
    return _encoder.encode([kind, *values]).encode()
