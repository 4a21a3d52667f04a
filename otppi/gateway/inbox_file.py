"""The file of received messages: a line for each part, and marks of what became of messages."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from otppi.gateway.inbox_line import PartLine, decoded
from otppi.gateway.inbox_parts import OpenMessages, PartKey
from otppi.lib.linefile import LineFile, Place
from otppi.model.inbox import InboxMessage
from otppi.model.received_pdu import mended

log = logging.getLogger(__name__)

_LONGEST_LINE: Final = 1 << 16
_MOST_IDS_IN_A_LINE: Final = 1000
_FEWEST_BYTES_TO_COMPACT: Final = 1 << 16
# Parts that were deleted may still be on a SIM if the power went in between; so many are known again.
_GONE_REMEMBERED: Final = 1000

# Marks, as they stand in the file.
_GONE, _READ, _UNREAD, _SHOWN = "gone", "read", "unread", "shown"


@dataclass(slots=True)
class Stored:
    """What is in memory of a message: where its parts are, and nothing of what they say."""

    received_s: float
    total: int
    parts: tuple[tuple[int, str, Place], ...] = ()  # number, id and place of each
    is_read: bool = False
    is_shown: bool = False  # complete, or shown as it is

    @property
    def is_complete(self) -> bool:
        """Whether every part has come."""
        return len(self.parts) == self.total

    @property
    def bytes(self) -> int:
        """What it takes in the file."""
        return sum(place.size + 1 for _, _, place in self.parts)


class InboxFile:
    """Received messages on the disk; used by one thread at a time.

    What is deleted is overwritten in place, and the file is written anew when half of it is of no use. After an
    `OSError` memory and file may differ: drop the object and make it anew.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and read it once; made if it is not there.

        Raises:
            OSError: It cannot be read.
        """
        self.messages: dict[str, Stored] = {}  # in the order in which they began
        self.bytes = 0
        self._known: set[str] = set()
        self._gone: dict[str, None] = {}
        self._open = OpenMessages()
        self._file = LineFile(path, _LONGEST_LINE)
        self._load()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def has(self, part_id: str) -> bool:
        """Whether this part is here, or was and has been deleted."""
        return part_id in self._known

    def message_with(self, part_id: str) -> str | None:
        """Return the message that a part belongs to; None if it is not here, or no longer."""
        for message_id, stored in self.messages.items():
            if any(part_id == one_id for _, one_id, _ in stored.parts):
                return message_id
        return None

    def incomplete(self) -> list[str]:
        """Return the messages that lack parts, in the order in which they began."""
        return list(self._open)

    def add(self, lines: Sequence[PartLine]) -> list[str]:
        """Keep parts that are not here yet; they are on the disk when this returns.

        Returns:
            The messages that they complete.
        """
        lines = [self._at_home(line) for line in lines]
        for line, place in zip(lines, self._file.append([line.encoded() for line in lines]), strict=True):
            self._place(line, place)
        touched = dict.fromkeys(line.message_id for line in lines)
        return [one_id for one_id in touched if self.messages[one_id].is_complete]

    def read(self, message_id: str) -> InboxMessage | None:
        """Return a message as far as it can be read; None if nothing of it can."""
        stored = self.messages[message_id]
        lines: dict[int, PartLine] = {}
        for number, _, place in stored.parts:
            with suppress(ValueError, TypeError, KeyError):
                lines[number] = decoded(json.loads(self._file.read(place)))
        if not lines:
            return None
        first = next(iter(lines.values()))
        numbers = range(1, stored.total + 1)
        return InboxMessage(
            id=message_id,
            modem_id=first.modem_id,
            sim=first.sim,
            sender=first.sender,
            text=mended("".join(_piece(lines, number, stored.total) for number in numbers)),
            is_data=first.is_data,
            sent_at=min((line.sent_at for line in lines.values() if line.sent_at is not None), default=None),
            received_at=datetime.fromtimestamp(stored.received_s, UTC),
            parts=stored.total,
            missing=tuple(number for number in numbers if number not in lines),
            is_read=stored.is_read,
        )

    def erase(self, message_ids: Iterable[str]) -> int:
        """Delete messages; their texts are gone from the file when this returns. Returns how many there were."""
        there = [one_id for one_id in dict.fromkeys(message_ids) if one_id in self.messages]
        parts = [part for one_id in there for part in self.messages[one_id].parts]
        if parts:
            self._file.overwrite([(place, _mark(_GONE, [part_id])) for _, part_id, place in parts])
        for one_id in there:
            self.bytes -= self.messages.pop(one_id).bytes
            self._open.forget(one_id)
        self._remember_gone(part_id for _, part_id, _ in parts)
        self._compact_if_worth()
        return len(there)

    def mark_read(self, message_ids: Iterable[str], *, is_read: bool) -> None:
        """Note that messages have been read, or that they count as new."""
        there = [
            one for one in message_ids if one in self.messages and self.messages[one].is_read is not is_read
        ]
        self._note(_READ if is_read else _UNREAD, there)

    def mark_shown(self, message_ids: Sequence[str]) -> None:
        """Note that messages are shown though they lack parts."""
        self._note(_SHOWN, message_ids)

    def kept_lines(self) -> list[bytes]:
        """Return what a backup takes along: every part, and which messages were read or are shown."""
        parts = [place for stored in self.messages.values() for _, _, place in stored.parts]
        return [*map(self._file.read, parts), *self._marks_of_messages()]

    def merge(self, lines: Iterable[bytes]) -> int:
        """Put messages of a backup among these by when they came, those that were deleted since included.

        Drop the object and make it anew after that, whatever the outcome.

        Returns:
            How many messages are new here.

        Raises:
            ValueError, TypeError, KeyError: A line is none; nothing has changed.
            OSError: The file is as it was.
        """
        documents = [json.loads(line) for line in lines]
        here = {part_id for stored in self.messages.values() for _, part_id, _ in stored.parts}
        coming = [decoded(one) for one in documents if "id" in one]
        coming = list({one.id: one for one in coming if one.id not in here}.values())
        begun_s = {one_id: stored.received_s for one_id, stored in self.messages.items()}
        new: dict[str, list[Place | bytes]] = {}
        for one in coming:
            begun_s.setdefault(one.message_id, one.received_s)
            new.setdefault(one.message_id, []).append(one.encoded())
        merged: list[Place | bytes] = []
        for one_id in sorted(begun_s, key=begun_s.__getitem__):
            stored = self.messages.get(one_id)
            merged += [place for _, _, place in stored.parts] if stored is not None else []
            merged += new.get(one_id, [])
        back = {one.id for one in coming}
        merged += _marks(_GONE, [one_id for one_id in self._gone if one_id not in back])
        merged += self._marks_of_messages()
        for mark, ids in ((mark, ids) for one in documents if "id" not in one for mark, ids in one.items()):
            if mark in (_READ, _SHOWN):
                merged += _marks(mark, [str(one_id) for one_id in ids if one_id in new])
        self._file.rewrite(merged)
        return len(new.keys() - self.messages.keys())

    def _at_home(self, line: PartLine) -> PartLine:
        """Give a part to the message that waits for it, or let it begin one."""
        if line.concat is None:
            return line
        key = _key(line)
        home = self._open.home(key, line.number, line.stamp_s)
        line = replace(line, message_id=home or line.id)
        self._open.add(key, line.message_id, line.number, line.stamp_s)
        return line

    def _place(self, line: PartLine, place: Place) -> None:
        stored = self.messages.get(line.message_id)
        if stored is None:
            stored = self.messages[line.message_id] = Stored(line.received_s, line.total)
        stored.parts = (*stored.parts, (line.number, line.id, place))
        stored.is_shown = stored.is_shown or stored.is_complete
        self._known.add(line.id)
        self.bytes += place.size + 1

    def _note(self, mark: str, message_ids: Sequence[str]) -> None:
        # Not waited for: a power cut may take the mark back, and that does no harm.
        self._file.append(_marks(mark, message_ids), is_durable=False)
        self._apply(mark, message_ids)
        self._compact_if_worth()

    def _apply(self, mark: str, ids: Sequence[str]) -> None:
        if mark == _GONE:
            self._remember_gone(ids)
            return
        for stored in (self.messages[one_id] for one_id in ids if one_id in self.messages):
            if mark == _SHOWN:
                stored.is_shown = True
            else:
                stored.is_read = mark == _READ

    def _remember_gone(self, part_ids: Iterable[str]) -> None:
        for part_id in part_ids:
            self._known.add(part_id)
            self._gone[part_id] = None
        while len(self._gone) > _GONE_REMEMBERED:
            oldest = next(iter(self._gone))
            del self._gone[oldest]
            self._known.discard(oldest)

    def _compact_if_worth(self) -> None:
        if self._file.size - self.bytes <= max(self.bytes, _FEWEST_BYTES_TO_COMPACT):
            return
        parts = [place for stored in self.messages.values() for _, _, place in stored.parts]
        places = iter(self._file.rewrite([*parts, *self._all_marks()]))
        for stored in self.messages.values():
            stored.parts = tuple((number, part_id, next(places)) for number, part_id, _ in stored.parts)

    def _all_marks(self) -> Iterator[bytes]:
        yield from _marks(_GONE, list(self._gone))
        yield from self._marks_of_messages()

    def _marks_of_messages(self) -> Iterator[bytes]:
        yield from _marks(_READ, [one_id for one_id, stored in self.messages.items() if stored.is_read])
        yield from _marks(_SHOWN, [one_id for one_id in self._open if self.messages[one_id].is_shown])

    def _load(self) -> None:
        damaged = 0
        for place, line in self._file.lines():
            if not line:
                continue
            try:
                self._replay(place, json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):
                damaged += 1
        if damaged:
            log.warning("lines of the inbox are damaged and left out", extra={"fields": {"lines": damaged}})

    def _replay(self, place: Place, document: Any) -> None:  # noqa: ANN401 - JSON
        if "id" not in document:
            ((mark, ids),) = document.items()
            self._apply(mark, [str(one_id) for one_id in ids])
            return
        line = decoded(document)
        if self.has(line.id):
            return
        if line.concat is not None:
            self._open.add(_key(line), line.message_id, line.number, line.stamp_s)
        self._place(line, place)


def _key(line: PartLine) -> PartKey:
    assert line.concat is not None  # noqa: S101 - tells the type checker what every caller has tested
    return PartKey(line.sim, line.sender.text, line.concat.reference, line.concat.total)


def _piece(lines: dict[int, PartLine], number: int, total: int) -> str:
    return lines[number].text if number in lines else f"[… {number}/{total} …]"


def _marks(mark: str, ids: Sequence[str]) -> list[bytes]:
    return [
        _mark(mark, ids[first : first + _MOST_IDS_IN_A_LINE])
        for first in range(0, len(ids), _MOST_IDS_IN_A_LINE)
    ]


def _mark(mark: str, ids: Sequence[str]) -> bytes:
    return json.dumps({mark: ids}, separators=(",", ":")).encode("ascii")
