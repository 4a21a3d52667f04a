"""What survives a restart of the service, and not a power cut: a log of records on a RAM file system."""

import errno
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from otppi.lib.clock import Clock

log = logging.getLogger(__name__)

Record = list[Any]  # what JSON can hold; no text of a message, no code, no number in the clear

_FORMAT = 1
_NAME = "journal.jsonl"
_RAM_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})
_FEWEST_RECORDS_TO_COMPACT = 1000
_RETRY_S = 60.0
_CHUNK_BYTES = 1 << 16
_NEW_FILE = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Journal:
    """Keeps the records of several owners in one file, one line each, written by one call of `write`.

    An owner changes its memory first and appends the record next, both while it holds `lock`. There is one
    lock for all owners because compaction, which any append may start, asks every owner for what is live.

    Without a directory on a RAM file system nothing is written, unless any will do. The same holds after a failed
    write, until there is room again: sending goes on either way.
    """

    def __init__(self, directory: Path | None, clock: Clock, *, needs_ram: bool = True) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self._live: dict[str, Callable[[], Iterable[Record]]] = {}
        self._unclaimed: dict[str, list[Record]] = {}
        self._fd: int | None = None
        self._records = 0
        self._compact_at = 0
        self._is_failing = False
        self._retry_at_boot_s = 0.0
        self._path = _usable_path(directory, needs_ram=needs_ram)
        if self._path is not None:
            self._boot_id = _boot_id()
            self._unclaimed = _records_by_kind(_lines_of_this_boot(self._path, self._boot_id))
            self._rewrite_or_start_over()

    @property
    def is_kept(self) -> bool:
        """Whether a restart of the service now would find what was recorded."""
        return self._fd is not None

    def register(
        self, kind: str, replay: Callable[[Record], None], live: Callable[[], Iterable[Record]]
    ) -> None:
        """Give an owner its records of before the restart, oldest first, and take its new ones from now on.

        `live` must yield records that rebuild the owner's memory when they are replayed; it is called with
        the lock held.
        """
        with self.lock:
            for record in self._unclaimed.pop(kind, []):
                try:
                    replay(record)
                except (ValueError, TypeError, IndexError, KeyError):
                    log.warning(
                        "a record of the journal was not understood", extra={"fields": {"kind": kind}}
                    )
            self._live[kind] = live

    def append(self, kind: str, record: Record) -> None:
        """Write one record; never raises for want of room."""
        with self.lock:
            if self._path is None:
                return
            if self._fd is None:
                self._try_again()
                return
            try:
                _write(self._fd, _line(kind, record))
            except OSError as error:
                self._start_over(error)
                return
            self._records += 1
            if self._records >= self._compact_at:
                self._rewrite_or_start_over()

    def compact(self) -> None:
        """Write anew what is live, and drop the rest."""
        with self.lock:
            if self._fd is not None:
                self._rewrite_or_start_over()

    def close(self) -> None:
        """Write nothing more; what is written stays for the next start."""
        with self.lock:
            self._path = None
            self._close_file()

    def _try_again(self) -> None:
        if self._clock.boot_s() < self._retry_at_boot_s:
            return
        self._rewrite_or_start_over()
        if self._fd is not None:
            self._is_failing = False
            log.info("the journal is written again")

    def _rewrite_or_start_over(self) -> None:
        try:
            self._rewrite()
        except OSError as error:
            self._start_over(error)

    def _rewrite(self) -> None:
        assert self._path is not None  # noqa: S101 - tells the type checker what every caller has tested
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, _NEW_FILE, 0o600)
        try:
            count = _write_all(fd, self._all_lines())
            temporary.replace(self._path)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        self._close_file()
        self._fd = fd
        self._records = count
        self._compact_at = max(2 * count, _FEWEST_RECORDS_TO_COMPACT + 1)

    def _all_lines(self) -> Iterator[bytes]:
        yield _header(self._boot_id)
        for kind, records in self._unclaimed.items():
            yield from (_line(kind, record) for record in records)
        for kind, live in self._live.items():
            yield from (_line(kind, record) for record in live())

    def _start_over(self, error: OSError) -> None:
        """Drop the file: with a record missing it would bring a used code back to life."""
        if not self._is_failing:
            self._is_failing = True
            log.error(
                "the journal cannot be written; going on in memory",
                extra={"fields": {"reason": _name(error)}},
            )
        self._retry_at_boot_s = self._clock.boot_s() + _RETRY_S
        self._close_file()
        with suppress(OSError):
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _usable_path(directory: Path | None, *, needs_ram: bool) -> Path | None:
    reason = "no directory was given" if directory is None else _objection(directory, needs_ram=needs_ram)
    if directory is None or reason:
        log.warning(
            "no journal: live codes and repeats are forgotten when the service restarts",
            extra={"fields": {"reason": reason}},
        )
        return None
    return directory / _NAME


def _objection(directory: Path, *, needs_ram: bool) -> str:
    """Say why this directory cannot hold a journal; empty if it can. Makes it if it is not there."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        file_system = _file_system_of(directory)
        mode = stat.S_IMODE(directory.stat().st_mode)
        owner = directory.stat().st_uid
        _boot_id()
    except OSError as error:
        return _name(error)
    if needs_ram and file_system not in _RAM_FILE_SYSTEMS:
        return f"{file_system} is not a RAM file system"
    if mode & 0o022 or owner != os.geteuid():
        return "others may write to the directory"
    return ""


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown")


def _file_system_of(directory: Path) -> str:
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # proc(5): mount id, parent id, major:minor, ..., optional fields, a dash, file system type, ...
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            return after.split()[0]
    return "an unknown file system"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _header(boot_id: str) -> bytes:
    return json.dumps({"journal": _FORMAT, "boot_id": boot_id}).encode() + b"\n"


def _line(kind: str, record: Record) -> bytes:
    return json.dumps([kind, record], separators=(",", ":")).encode() + b"\n"


def _lines_of_this_boot(path: Path, boot_id: str) -> list[bytes]:
    try:
        header, *lines = path.read_bytes().splitlines(keepends=True)
    except (OSError, ValueError):
        return []
    if header != _header(boot_id):
        return []
    return [line for line in lines if line.endswith(b"\n")]  # without its end it is a torn one


def _records_by_kind(lines: Iterable[bytes]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for line in lines:
        try:
            kind, record = json.loads(line)
            found.setdefault(kind, []).append(record)
        except (ValueError, TypeError):
            log.warning("a line of the journal was not understood")
    return found


def _write_all(fd: int, lines: Iterable[bytes]) -> int:
    """Write the header and the records; return how many records there were."""
    count = -1
    chunk = bytearray()
    for line in lines:
        chunk += line
        count += 1
        if len(chunk) >= _CHUNK_BYTES:
            _write(fd, bytes(chunk))
            chunk.clear()
    _write(fd, bytes(chunk))
    return count


def _write(fd: int, data: bytes) -> None:
    if os.write(fd, data) < len(data):
        raise OSError(errno.ENOSPC, "only a part was written")
