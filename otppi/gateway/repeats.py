"""Messages that come twice: a repeat gets the outcome of the first, and nothing is sent again."""

import json
import math
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from otppi.gateway.journal import Journal, Record
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.lib.keyfile import keyed_hash
from otppi.model.errors import OtpPiError, OutcomeUnknown
from otppi.model.requests import Origin

Outcome = Mapping[str, Any]  # small, and what JSON can hold: code, modem, parts; never a text or a number

LONGEST_MEMORY_S = 24 * 3600.0
MEMORY_WITHOUT_END_S = 3600.0  # of a message that may be delivered at any time
_SWEEP_EVERY_S = 60.0


class EarlierError(OtpPiError):
    """What the first of several like messages was refused with: no error of its own, but that one again."""

    def __init__(self, code: str, status: int, text: str) -> None:
        super().__init__(text)
        self.code = code  # type: ignore[misc]  # that of the first
        self.status = status  # type: ignore[misc]  # so is this


class Progress(StrEnum):
    """How far the first message of a key has come."""

    BEGUN = "begun"  # being worked on; no modem was told to send it
    SUBMITTED = "submitted"  # a modem may have sent it
    FINISHED = "finished"  # there is an outcome
    FORGOTTEN = "forgotten"  # surely failed, or not worth remembering: the next one is a fresh try
    CUT_OFF = "cut off before it was submitted"  # the service died; it surely was not sent
    INTERRUPTED = "in flight when the service died"  # it may have been sent, and nobody will ever know


_UNDER_WAY = frozenset({Progress.BEGUN, Progress.SUBMITTED})
_AFTER_RESTART = {Progress.BEGUN: Progress.CUT_OFF, Progress.SUBMITTED: Progress.INTERRUPTED}


@dataclass(slots=True, eq=False)
class _Entry:
    ends_boot_s: float
    progress: Progress = Progress.BEGUN
    outcome: str = ""  # JSON: a sixth of the memory that the same dictionary takes


class First:
    """Held by whoever works on a message; its methods may be called from any thread."""

    def __init__(self, repeats: "Repeats", key: bytes, entry: _Entry, begun_before: bool) -> None:
        self.begun_before = begun_before  # the same message was begun, or even sent, before a restart
        self._repeats = repeats
        self._key = key
        self._entry = entry

    def submitted(self) -> None:
        """Record that the message may have left; called just before each Ctrl-Z, of every part and copy."""
        self._repeats._advance(self._key, self._entry, Progress.SUBMITTED, None)

    def finished(self, outcome: Outcome) -> None:
        """Record the outcome and give it to all repeats; a late answer may correct an unknown one."""
        self._repeats._advance(self._key, self._entry, Progress.FINISHED, outcome)

    def forget(self, outcome: Outcome | None = None) -> None:
        """Forget a message that surely failed: repeats that wait get the outcome, later ones try anew."""
        self._repeats._advance(self._key, self._entry, Progress.FORGOTTEN, outcome)


class Earlier:
    """Held by whoever has come with a message that somebody else is working on, or has worked on."""

    def __init__(self, repeats: "Repeats", entry: _Entry) -> None:
        self._repeats = repeats
        self._entry = entry

    @property
    def progress(self) -> Progress:
        """How far the first message has come by now."""
        return self._entry.progress

    def wait(self, deadline: Deadline) -> Outcome | None:
        """Wait until the first message has an outcome; None if it has none, and `progress` says why.

        Without an outcome it is still under way (the deadline came), forgotten, or interrupted (at once).
        """
        return self._repeats._wait(self._entry, deadline)


class Repeats:
    """Remembers messages for as long as they live, at most 24 hours; one hour if they have no end.

    Beyond `capacity` messages the one that began first is forgotten.
    """

    def __init__(self, clock: Clock, journal: Journal, key: bytes, capacity: int = 50_000) -> None:
        self._clock = clock
        self._journal = journal
        self._key = key
        self._capacity = capacity
        self._entries: dict[bytes, _Entry] = {}
        self._next_sweep_boot_s = 0.0
        self._progressed = threading.Condition(journal.lock)
        journal.register("repeats", self._replay, self._live)

    def key(self, origin: Origin, command: str, receiver_key: str, token: str, *content: str) -> bytes:
        """Return what two messages have in common exactly if one is a repeat of the other.

        The token is the caller's id or reference, or its date_time. Without one, nothing tells a repeat from
        a second message with the same text, so every message is its own.
        """
        token = token or f"none {secrets.token_hex(16)}"
        return keyed_hash(
            self._key, "repeat", origin.door, origin.user, command, receiver_key, token, *content
        )

    def begin(
        self, key: bytes, life_s: float, *, retry_interrupted: bool = False, is_another: bool = False
    ) -> First | Earlier:
        """Say whether this message is the first of its key.

        Args:
            key: From `key`.
            life_s: How long the message may be delivered; `inf` if it has no end.
            retry_interrupted: Whether one that was in flight when the service died is sent once more.
            is_another: Whether this message is surely not the one that has the key already, however alike they are.
        """
        with self._journal.lock:
            now = self._clock.boot_s()
            old = self._entries.get(key)
            if is_another and old is not None and now < old.ends_boot_s:
                # One that is done gives its place to this one; beside one that is not, this one has no name.
                key = key if old.progress is Progress.FINISHED else secrets.token_bytes(len(key))
                old = None
            if old is not None and now < old.ends_boot_s and not _may_begin_anew(old, retry_interrupted):
                return Earlier(self, old)
            was_cut = old is not None and old.progress in _AFTER_RESTART.values() and now < old.ends_boot_s
            life_s = MEMORY_WITHOUT_END_S if math.isinf(life_s) else min(life_s, LONGEST_MEMORY_S)
            entry = _Entry(now + life_s)
            self._entries.pop(key, None)  # so that the new one is the youngest
            self._entries[key] = entry
            self._make_room(now)
            self._write(key, entry)
        return First(self, key, entry, was_cut)

    def _advance(self, key: bytes, entry: _Entry, progress: Progress, outcome: Outcome | None) -> None:
        with self._journal.lock:
            if progress is Progress.SUBMITTED and entry.progress is not Progress.BEGUN:
                return  # the next part or copy of it
            written = "" if outcome is None else json.dumps(outcome, separators=(",", ":"))
            if progress is entry.progress and (written == entry.outcome or not _is_unknown(entry.outcome)):
                return  # noted already, on the modem's thread; only an unknown outcome is corrected later
            entry.progress, entry.outcome = progress, written
            self._progressed.notify_all()
            if self._entries.get(key) is not entry:
                return  # its life is over, or another has begun in its place
            if progress is Progress.FORGOTTEN:
                del self._entries[key]
            self._write(key, entry)

    def _wait(self, entry: _Entry, deadline: Deadline) -> Outcome | None:
        with self._progressed:
            while entry.progress in _UNDER_WAY and not deadline.expired:
                self._progressed.wait(min(deadline.remaining_s, threading.TIMEOUT_MAX))
            return json.loads(entry.outcome) if entry.outcome else None

    def _make_room(self, now: float) -> None:
        if now >= self._next_sweep_boot_s:
            self._next_sweep_boot_s = now + _SWEEP_EVERY_S
            self._entries = {key: kept for key, kept in self._entries.items() if now < kept.ends_boot_s}
        while len(self._entries) > self._capacity:
            del self._entries[next(iter(self._entries))]

    def _write(self, key: bytes, entry: _Entry) -> None:
        self._journal.append("repeats", _as_written(key, entry))

    def _replay(self, written: Record) -> None:
        key = bytes.fromhex(written[0])
        self._entries.pop(key, None)
        progress = Progress(written[1])
        if progress is not Progress.FORGOTTEN:
            ends_boot_s, outcome = float(written[2]), str(written[3])
            self._entries[key] = _Entry(ends_boot_s, _AFTER_RESTART.get(progress, progress), outcome)

    def _live(self) -> Iterator[Record]:
        now = self._clock.boot_s()
        for key, entry in self._entries.items():
            if now < entry.ends_boot_s:
                yield _as_written(key, entry)


def _is_unknown(outcome: str) -> bool:
    return not outcome or json.loads(outcome).get("code") == OutcomeUnknown.code


def _may_begin_anew(old: _Entry, retry_interrupted: bool) -> bool:
    return old.progress is Progress.CUT_OFF or (retry_interrupted and old.progress is Progress.INTERRUPTED)


def _as_written(key: bytes, entry: _Entry) -> Record:
    return [key.hex(), entry.progress.value, entry.ends_boot_s, entry.outcome]
