"""The audit trail: who changed what, and what was refused."""

import json
import logging
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otppi.gateway.limits import Rule, SlidingLimit
from otppi.lib.atomicfile import previous_copy, private_folder, sync_folder
from otppi.lib.clock import Clock
from otppi.lib.linefile import LineFile
from otppi.lib.masking import masked_digits
from otppi.lib.threads import died

log = logging.getLogger(__name__)

_FILE = "audit.jsonl"
_BATCH_S = 2.0
_RETRY_S = 60.0
# Of a disk that takes nothing, the memory holds so many.
_MOST_WAITING = 1000
_LONGEST_LINE = 16_384
_LONGEST_TEXT = 200
_MOST_ITEMS = 20
_OF_STRANGERS = Rule(limit=100, window_s=3600.0)
_ANYBODY = b"anybody"
# Of one kind and one user; nobody does more by hand, and who wants to push out what others did needs many hours.
_OF_USERS = (Rule(limit=30, window_s=60.0), Rule(limit=200, window_s=3600.0))
_DEEPEST = 4
_NUMBERS = frozenset({"number", "receiver", "phone"})
# Numbers also stand where no name tells them: ids of the block list, what somebody searched for.
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?[0-9]{9,15}(?![0-9A-Za-z])")

Row = dict[str, Any]


class Audit:
    """Notes calls in a file of JSON lines, with one copy of before; every method may be called from any thread.

    Noting waits for no disk: the thread `audit` writes what came within some seconds at once. A disk that takes
    nothing is logged once, and tried again. Of what repeats without end some is left out, and a row says so. Where
    values are secret is for the caller to know; numbers are masked here.
    """

    def __init__(self, folder: Path, clock: Clock, *, file_bytes: int = 512 * 1024) -> None:
        """Take the folder, which is made if it is not there, and how long a file may become."""
        self._path = folder / _FILE
        self._clock = clock
        self._file_bytes = file_bytes
        self._waiting: deque[Row] = deque(maxlen=_MOST_WAITING)
        self._strangers = SlidingLimit(_OF_STRANGERS)
        self._users = SlidingLimit(*_OF_USERS)
        self._disk = threading.Lock()
        self._is_failing = False
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what was noted is on the disk then, if the disk takes it."""
        self._stop.set()
        self._hurry.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._write()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stop.is_set())

    def note(self, *, user: str, address: str, what: str, details: Mapping[str, Any], outcome: str) -> None:
        """Note one call; never fails and never waits.

        Of one user it notes thirty in a minute of each function, and as many that were refused.

        Args:
            user: Who; empty if nobody was logged in.
            address: From where.
            what: The name of the function.
            details: Its arguments, without secrets. Numbers are masked and long values shortened.
            outcome: `done`, `refused` or `failed`.
        """
        kind = what if outcome == "done" else outcome
        self._note_some(
            self._users,
            f"{user}\n{kind}".encode("utf-8", "surrogatepass"),
            user,
            address,
            what,
            details,
            outcome,
        )

    def note_stranger(
        self, *, user: str, address: str, what: str, details: Mapping[str, Any], outcome: str
    ) -> None:
        """Note what somebody did or tried who has not proven to be anybody; see `note`.

        Of every hour it notes a hundred, so that a guesser cannot push out what was noted before.
        """
        self._note_some(self._strangers, _ANYBODY, user, address, what, details, outcome)

    def _note_some(
        self,
        limit: SlidingLimit,
        key: bytes,
        user: str,
        address: str,
        what: str,
        details: Mapping[str, Any],
        outcome: str,
    ) -> None:
        now = self._clock.boot_s()
        if limit.wait_s(key, now) > 0:
            return
        limit.take(key, now)
        if limit.wait_s(key, now) > 0:
            details = {"…": "more of it is not noted for some time", **details}
        at = None
        if self._clock.wall_is_trusted():
            at = datetime.fromtimestamp(self._clock.wall_s(), UTC).isoformat(timespec="seconds")
        row = {
            "at": at,
            "user": user,
            "address": address,
            "what": what,
            "details": _told("", details, _DEEPEST),
            "outcome": outcome,
        }
        self._waiting.append(row)
        if len(self._waiting) > _MOST_WAITING // 2:
            self._hurry.set()
        self._news.set()

    def page(self, offset: int = 0, count: int = 50, user: str = "") -> dict[str, Any]:
        """Return rows, newest first, and how many there are; of one user if one is named.

        `at` is UTC in ISO 8601, or None where the clock of the device was not set.
        """
        with self._disk:
            waiting = list(self._waiting)
            rows = [*self._stored(), *waiting]
        wanted = [row for row in reversed(rows) if not user or row["user"] == user]
        return {"rows": wanted[offset : offset + count], "total": len(wanted)}

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.wait()
            self._hurry.wait(_BATCH_S)
            self._hurry.clear()
            self._news.clear()
            if not self._write():
                self._stop.wait(_RETRY_S)
                self._news.set()

    def _write(self) -> bool:
        """Bring what waits to the disk; False if it takes nothing."""
        with self._disk:
            rows = list(self._waiting)
            if not rows:
                return True
            try:
                self._append([_line(row) for row in rows])
            except OSError as error:
                if not self._is_failing:
                    self._is_failing = True
                    fields = {"reason": error.strerror}
                    log.error("the audit trail cannot be written", extra={"fields": fields})  # noqa: TRY400
                return False
            self._is_failing = False
            for row in rows:
                # While the disk was slow, a full queue may have dropped some of them.
                if self._waiting and self._waiting[0] is row:
                    self._waiting.popleft()
            return True

    def _append(self, lines: list[bytes]) -> None:
        private_folder(self._path.parent)
        if self._path.exists() and self._path.stat().st_size >= self._file_bytes:
            self._path.replace(previous_copy(self._path))
            sync_folder(self._path.parent)
        file = LineFile(self._path, _LONGEST_LINE)
        try:
            file.append(lines)
        finally:
            file.close()

    def _stored(self) -> Iterator[Row]:
        for path in (previous_copy(self._path), self._path):
            with suppress(OSError):
                for line in path.read_bytes().splitlines():
                    with suppress(ValueError, KeyError, TypeError):
                        row = json.loads(line)
                        yield {
                            name: row[name]
                            for name in ("at", "user", "address", "what", "details", "outcome")
                        }


def _line(row: Row) -> bytes:
    line = json.dumps(row, separators=(",", ":")).encode()
    if len(line) > _LONGEST_LINE:
        line = json.dumps({**row, "details": {"…": "too long"}}, separators=(",", ":")).encode()
    return line


def _told(name: str, value: object, depth: int) -> object:
    """Return what is noted of a value: short, and without whole phone numbers."""
    if isinstance(value, Mapping | list | tuple) and depth == 0:
        return "…"
    if isinstance(value, Mapping):
        items = list(value.items())
        told = {_masked(str(key)): _told(str(key), one, depth - 1) for key, one in items[:_MOST_ITEMS]}
        return told if len(items) <= _MOST_ITEMS else {**told, "…": f"{len(items) - _MOST_ITEMS} more"}
    if isinstance(value, list | tuple):
        told_items = [_told(name, one, depth - 1) for one in value[:_MOST_ITEMS]]
        return (
            told_items if len(value) <= _MOST_ITEMS else [*told_items, f"… {len(value) - _MOST_ITEMS} more"]
        )
    if value is None or isinstance(value, bool | float):
        return value
    if name.rpartition(".")[2] in _NUMBERS:
        return masked_digits(re.sub(r"[^0-9]", "", str(value)))
    if isinstance(value, int):
        return value if value < 10**9 else _masked(str(value))
    return _masked(str(value))


def _masked(text: str) -> str:
    # Masked first: a number that the cut went through would no longer look like one.
    masked = _LONG_NUMBER.sub(lambda match: masked_digits(match[0].lstrip("+")), text)
    return masked if len(masked) <= _LONGEST_TEXT else f"{masked[:_LONGEST_TEXT]}…"
