"""The files of sent messages: one for each day, appended to and read from their ends."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from otppi.gateway.sent_row import News, SentRow, read_line
from otppi.lib.atomicfile import private_folder, replacing, sync_folder
from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S
from otppi.lib.linefile import LineFile

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.(\d{1,6}))?\.jsonl")
_DAY_S: Final = 86_400
_DAY_OF_1970: Final = date(1970, 1, 1).toordinal()
_LONGEST_LINE: Final = 1 << 14
_CHUNK_BYTES: Final = 1 << 16
_NEWS_BEGINS: Final = b'["news"'
# Whatever the settings say, a flood fills neither the disk nor a spreadsheet: some 200,000 messages.
_MOST_BYTES: Final = 32 << 20
# A day of more than this has several files, so that its oldest rows can go when there are too many.
_FILE_BYTES: Final = 4 << 20


@dataclass(frozen=True, kw_only=True, order=True)
class DayFile:
    """One file as it was when somebody looked; what is appended later is beyond `size`."""

    begin_s: int  # of its day
    number: int  # 0 is the first of its day
    path: Path
    size: int

    @property
    def end_s(self) -> int:
        """When its day was over."""
        return self.begin_s + _DAY_S

    def newest_first(self, *, only_news: bool = False) -> Iterator[SentRow | News]:
        """Yield what is in it; one chunk of it is in memory at a time. What is damaged is passed over.

        Raises:
            OSError: The disk does not give it.
        """
        for lines in self._lines():
            wanted = [line for line in lines if line.startswith(_NEWS_BEGINS)] if only_news else lines
            for values in reversed(_parsed(wanted)):
                if (one := read_line(values)) is not None:
                    yield one

    def _lines(self) -> Iterator[list[bytes]]:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # deleted meanwhile
        try:
            yield from _backwards(fd, self.size)
        finally:
            os.close(fd)


class SentFiles:
    """A folder of files, in order of days and within a day of writing; used by one thread at a time.

    Days are those of UTC. So a name says which moments are in a file, whatever the time zone is or is changed to, and
    no day has 23 or 25 hours. What comes later about a message is a line in the file of the day when it came:
    only the newest file is ever written to.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made with the first line."""
        self._folder = folder
        self._open: tuple[Path, LineFile] | None = None
        self._is_synced = True

    def all(self) -> list[DayFile]:
        """Return all files, the newest first.

        Raises:
            OSError: The folder cannot be read.
        """
        found = []
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if (known := _NAME.fullmatch(entry.name)) and (day := _day(known[1])) is not None:
                    number, size = int(known[2] or 0), entry.stat(follow_symlinks=False).st_size
                    found.append(DayFile(begin_s=day, number=number, path=Path(entry.path), size=size))
        return sorted(found, reverse=True)

    def append(self, at_s: float, lines: Sequence[bytes]) -> None:
        """Add lines to the file of a day; on the disk after `sync`.

        Raises:
            OSError: None of them is there.
        """
        file = self._file(at_s, sum(len(line) + 1 for line in lines))
        self._is_synced = False
        file.append(lines, is_durable=False)

    def sync(self) -> None:
        """Bring to the disk what was added.

        Raises:
            OSError: Of what was added since the last time some may be lost.
        """
        if self._open is not None and not self._is_synced:
            self._open[1].append(())  # all that was appended before is on the disk when this returns
        self._is_synced = True

    def close(self) -> None:
        """Close the file that is open; the next line opens it again."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(OSError):
                opened[1].close()

    def expire(self, oldest_s: float) -> None:
        """Delete files whose day ended before this time, which is by a clock that somebody vouches for.

        Raises:
            OSError: Not all could be deleted.
        """
        for file in self.all():
            ended_s: float = file.end_s
            if ended_s < EARLIEST_PLAUSIBLE_WALL_S:
                # It was written before the clock was set. Its age counts from when that was found out.
                ended_s = file.path.stat().st_mtime
                if ended_s < EARLIEST_PLAUSIBLE_WALL_S:
                    os.utime(file.path)
                    continue
            if ended_s < oldest_s:
                self._delete(file)

    def delete_before(self, at_s: float) -> int:
        """Delete all rows from before a time, and return how many there were.

        Raises:
            OSError: Some may be there still.
        """
        count = 0
        self.sync()
        self.close()
        for file in self.all():
            if file.begin_s >= at_s:
                continue
            kept: list[bytes] = []
            for one in file.newest_first():
                is_old = isinstance(one, SentRow) and one.at_s < at_s
                count += is_old
                if not is_old and file.end_s > at_s:
                    kept.append(one.line())
            if kept:
                with replacing(file.path) as new:
                    new.writelines(line + b"\n" for line in reversed(kept))
            else:
                self._delete(file)
        return count

    def _file(self, at_s: float, size: int) -> LineFile:
        """Give the file for so many bytes of a day, with room made for them."""
        day_s = int(at_s // _DAY_S) * _DAY_S
        files = self.all()
        newest = next((file for file in files if file.begin_s == day_s), None)
        number = 0 if newest is None else newest.number
        if newest is not None and newest.size + size > _FILE_BYTES:
            number += 1
        path = self._folder / _name(day_s, number)
        # A file that somebody removed must not be written to for ever.
        if self._open is None or self._open[0] != path or newest is None:
            self.sync()
            self.close()
            private_folder(self._folder)
            self._make_room(files)
            self._open = path, LineFile(path, _LONGEST_LINE)
        return self._open[1]

    def _make_room(self, files: list[DayFile]) -> None:
        while files and sum(file.size for file in files) > _MOST_BYTES - _FILE_BYTES:
            self._delete(files.pop())

    def _delete(self, file: DayFile) -> None:
        if self._open is not None and self._open[0] == file.path:
            self.close()
        file.path.unlink(missing_ok=True)
        sync_folder(self._folder)


def _backwards(fd: int, size: int) -> Iterator[list[bytes]]:
    """Yield lists of lines, the last list of the file first, each in the order of the file."""
    end, rest = size, b""  # of a line that begins in an earlier chunk
    while end > 0:
        begin = max(0, end - _CHUNK_BYTES)
        rest, *lines = (os.pread(fd, end - begin, begin) + rest).split(b"\n")
        end = begin
        if len(rest) > _LONGEST_LINE:
            rest = b""
        yield lines
    yield [rest]


def _parsed(lines: Sequence[bytes]) -> list[Any]:
    present = [line for line in lines if line]
    try:
        whole = json.loads(b"[" + b",".join(present) + b"]")  # at once is several times as fast
    except (ValueError, RecursionError):
        # The power went in the middle of one of them.
        whole = [value for line in present for value in _one(line)]
    return list(whole)


def _one(line: bytes) -> Iterator[Any]:
    with suppress(ValueError, RecursionError):
        yield json.loads(line)


def _name(day_s: int, number: int) -> str:
    day = date.fromordinal(_DAY_OF_1970 + day_s // _DAY_S).isoformat()
    return f"{day}.{number}.jsonl" if number else f"{day}.jsonl"


def _day(name: str) -> int | None:
    try:
        return (date.fromisoformat(name).toordinal() - _DAY_OF_1970) * _DAY_S
    except ValueError:
        return None
