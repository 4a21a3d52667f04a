"""What the vendor API must not forget: which ids it gave out, what each account sent and which messages it has read."""

import errno
import json
import logging
import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from otppi.gateway.journal import Journal, Record
from otppi.lib.atomicfile import write_atomically
from otppi.lib.clock import Clock

log = logging.getLogger(__name__)

_KIND: Final = "vendor_book"
_FORMAT: Final = 1
# Ids must not come twice, as a client would read the report of somebody else's message. They fit into 31 bits.
_LOWEST_ID: Final = 1_000_000
_IDS_AHEAD: Final = 10_000
_MOST_UNSAVED_PARTS: Final = 50
_SAVE_EVERY_S: Final = 600.0
_RETRY_S: Final = 60.0


class VendorBook:
    """Every method may be called from any thread.

    A restart of the service finds it in the journal. The disk is written rarely: it tells an id that is surely free,
    and a power cut forgets fifty parts at most, and which messages were read since.
    """

    def __init__(self, file: Path, journal: Journal, clock: Clock) -> None:
        """Read what is known; nothing is written before `save`."""
        self._file = file
        self._journal = journal
        self._clock = clock
        self._next_id = _LOWEST_ID + secrets.randbelow(_LOWEST_ID)
        self._sent: dict[str, int] = {}  # parts by account
        self._read: dict[str, set[str]] = {}  # ids of received messages by account
        self._load()
        self._ids_saved_until = self._next_id
        self._unsaved_parts = 0
        self._has_changed = False
        self._save_at_s = clock.boot_s() + _SAVE_EVERY_S
        self._is_failing = False
        self._disk = threading.Lock()  # taken before that of the journal
        journal.register(_KIND, self._replay, self._live)

    def new_ids(self, count: int) -> range:
        """Return ids that nobody has had."""
        with self._journal.lock:
            ids = range(self._next_id, self._next_id + count)
            self._next_id = ids.stop
            self._has_changed = True
            self._journal.append(_KIND, ["next_id", self._next_id])
        return ids

    def sent(self, account: str) -> int:
        """Return how many parts an account has sent."""
        return self._sent.get(account, 0)

    def count(self, account: str, parts: int) -> None:
        """Count parts that an account sends; fewer than none that surely did not leave."""
        with self._journal.lock:
            self._sent[account] = max(0, self.sent(account) + parts)
            self._unsaved_parts += abs(parts)
            self._has_changed = True
            self._journal.append(_KIND, ["sent", account, self._sent[account]])

    def settle(self, accounts: Collection[str], received: Sequence[str]) -> None:
        """Follow the accounts that there are: a new one has nothing to read yet, one that is gone is forgotten."""
        with self._journal.lock:
            for account in set(accounts) - self._read.keys():
                self._note_read(account, received)
            for account in (self._read.keys() | self._sent.keys()) - set(accounts):
                self._read.pop(account, None)
                self._sent.pop(account, None)
                self._has_changed = True
                self._journal.append(_KIND, ["gone", account])

    def take_unread(self, account: str, received: Sequence[str], most: int) -> list[str]:
        """Return the first messages that the account has not read, which count as read from now on."""
        with self._journal.lock:
            known = self._read.setdefault(account, set(received))
            known &= set(received)
            unread = [one for one in received if one not in known][:most]
            if unread:
                self._note_read(account, unread)
        return unread

    def give_back(self, account: str, unread: Iterable[str]) -> None:
        """Undo `take_unread`: they could not be told."""
        with self._journal.lock:
            lost = list(unread)
            self._read[account].difference_update(lost)
            self._journal.append(_KIND, ["unread", account, lost])

    def save_if_due(self) -> None:
        """Write what is worth it; waits for the disk then."""
        is_time = self._clock.boot_s() >= self._save_at_s
        is_much = (
            self._unsaved_parts >= _MOST_UNSAVED_PARTS
            or self._next_id + _IDS_AHEAD // 2 > self._ids_saved_until
        )
        if self._has_changed and (is_time or (is_much and not self._is_failing)):
            self._save(_IDS_AHEAD)

    def close(self) -> None:
        """Write all of it; nothing may be changed any more."""
        if self._has_changed:
            self._save(0)

    def _save(self, ids_ahead: int) -> None:
        with self._disk:
            with self._journal.lock:
                until = self._next_id + ids_ahead
                document = {
                    "format": _FORMAT,
                    "next_id": until,
                    "sent": self._sent,
                    "read": {account: sorted(ids) for account, ids in self._read.items()},
                }
                data, parts = json.dumps(document).encode(), self._unsaved_parts
                self._has_changed = False
            try:
                write_atomically(self._file, data)
            except OSError as error:
                self._has_changed = True
                self._save_at_s = self._clock.boot_s() + _RETRY_S
                if not self._is_failing:
                    self._is_failing = True
                    reason = errno.errorcode.get(error.errno or 0, "unknown")
                    fields = {"reason": reason}
                    log.error("the book of the vendor API cannot be written", extra={"fields": fields})  # noqa: TRY400
                return
            with self._journal.lock:
                self._unsaved_parts -= parts
            self._is_failing = False
            self._ids_saved_until = until
            self._save_at_s = self._clock.boot_s() + _SAVE_EVERY_S

    def _load(self) -> None:
        try:
            document: dict[str, Any] = json.loads(self._file.read_bytes())
            self._next_id = int(document["next_id"])
            self._sent = {str(account): int(parts) for account, parts in document["sent"].items()}
            self._read = {str(account): set(map(str, ids)) for account, ids in document["read"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            log.exception("the book of the vendor API cannot be read; it begins anew")
            self._sent, self._read = {}, {}

    def _note_read(self, account: str, ids: Iterable[str]) -> None:
        new = list(ids)
        self._read.setdefault(account, set()).update(new)
        self._has_changed = True
        self._journal.append(_KIND, ["read", account, new])

    def _replay(self, written: Record) -> None:
        match written:
            case ["next_id", int(next_id)]:
                self._next_id = max(self._next_id, next_id)
            case ["sent", str(account), int(parts)]:
                self._sent[account] = parts
            case ["read", str(account), [*ids]]:
                self._read.setdefault(account, set()).update(ids)
            case ["unread", str(account), [*ids]]:
                self._read.setdefault(account, set()).difference_update(ids)
            case ["gone", str(account)]:
                self._sent.pop(account, None)
                self._read.pop(account, None)

    def _live(self) -> Iterator[Record]:
        yield ["next_id", self._next_id]
        for account, parts in self._sent.items():
            yield ["sent", account, parts]
        for account, ids in self._read.items():
            yield ["read", account, list(ids)]
