"""Reports of sent messages as the command line, pages and the admin API see them, and as files to take away."""

import csv
import errno
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import date, datetime, timedelta, tzinfo
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Final, NamedTuple

from otppi.gateway.sent import SentMessages
from otppi.gateway.sent_query import SentFilter
from otppi.gateway.sent_row import Delivery, SentRow, local_time
from otppi.gateway.traffic import Traffic
from otppi.lib.atomicfile import private_folder
from otppi.lib.clock import Clock
from otppi.model.errors import BadRequest, Busy, HostError
from otppi.model.events import Channel, Outcome

_MOST_ON_A_PAGE: Final = 1000
_CHUNK_ROWS: Final = 200
_CHUNK_BYTES: Final = 1 << 16
_MOST_ROWS_OF_A_SHEET: Final = 1_048_575  # of the format, without the line of titles
_SHEET_RETRY_S: Final = 10.0
_COLUMN_WIDTH: Final = 18
_ROWS_BETWEEN_LOOKS: Final = 10_000  # each takes some 1300 bytes until the sheet is packed
_ROOM_LEFT_BYTES: Final = 32 << 20
_NO_ROOM: Final = "there is no room to make the spreadsheet; ask for fewer days, or for CSV, which needs none"
_MAKING: Final = "sheet-"
# What a spreadsheet takes for the beginning of a formula, OWASP's list for CSV.
_FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS: Final = (
    "Time",
    "Time is sure",
    "Number",
    "Parts",
    "Outcome",
    "Reason",
    "Seconds",
    "Delivery",
    "Delivery reported",
    "Modem",
    "Door",
    "User",
    "Message",
    "Channel",
)


class Export(NamedTuple):
    """A file to take away."""

    name: str
    content_type: str
    chunks: Iterator[bytes]  # has `close`, for whoever does not read it to its end


class SentReport:
    """Asks for rows of sent messages; every method may be called from any thread, and waits for the disk."""

    def __init__(self, sent: SentMessages, traffic: Traffic, clock: Clock, folder: Path) -> None:
        """Take the parts; in `folder` spreadsheets are made, which is no place in memory."""
        self._sent = sent
        self._traffic = traffic
        self._clock = clock
        self._folder = folder
        self._making_a_sheet = (
            threading.Lock()
        )  # one at a time: each takes room and a minute of the processor

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that front ends may make."""
        return {
            "report.list": self.list,
            "report.summary": self.summary,
            "report.delete_before": self.delete_before,
            "traffic.recent": self.recent,
        }

    def list(
        self,
        since: str = "",
        until: str = "",
        modem: str = "",
        door: str = "",
        user: str = "",
        outcome: str = "",
        delivery: str = "",
        number: str = "",
        channel: str = "",
        offset: int = 0,
        count: int = 50,
    ) -> dict[str, Any]:
        """Return sent messages, newest first, how many there are, and whether such rows are kept at all.

        `since` and `until` are days such as 2027-01-31, both included; a modem is named by id or name, a number by its
        last digits.
        """
        if offset < 0:
            raise BadRequest("offset", "must not be negative")
        if not 1 <= count <= _MOST_ON_A_PAGE:
            raise BadRequest("count", f"must be 1 to {_MOST_ON_A_PAGE}")
        wanted = _filter(since, until, modem, door, user, outcome, delivery, number, channel)
        page = self._sent.page(wanted, offset=offset, count=count)
        return {
            "rows": [row.as_json() for row in page.rows],
            "total": page.total,
            "is_kept": self._sent.is_on,
        }

    def summary(
        self,
        since: str = "",
        until: str = "",
        modem: str = "",
        door: str = "",
        user: str = "",
        outcome: str = "",
        delivery: str = "",
        number: str = "",
        channel: str = "",
    ) -> dict[str, Any]:
        """Count sent messages by outcome, delivery and modem, and by day, or by hour for up to two days."""
        wanted = _filter(since, until, modem, door, user, outcome, delivery, number, channel)
        return self._sent.summary(wanted).as_json(self._clock.wall_s())

    def delete_before(self, day: str) -> int:
        """Delete all rows of sent messages from before a day such as 2027-01-31; returns how many there were."""
        return self._sent.delete_before(_day("day", day).timestamp())

    def recent(self) -> dict[str, Any]:
        """Return the figures of the last sixty minutes, and the last messages."""
        return self._traffic.recent()

    def csv(self, **asked: str) -> Export:
        """Return the rows that `summary` would count as CSV (RFC 4180), made while it is read."""
        wanted = _filter(**asked)
        return Export(self._name("csv"), "text/csv; charset=utf-8", _csv_chunks(self._sent.rows(wanted)))

    def xlsx(self, **asked: str) -> Export:
        """Return the rows that `summary` would count as a spreadsheet, which is ready when this returns.

        Raises:
            Busy: Another one is being made.
            HostError: There is no room for it.
        """
        wanted = _filter(**asked)
        if not self._making_a_sheet.acquire(blocking=False):
            raise Busy("another spreadsheet is being made", _SHEET_RETRY_S)
        try:
            file = _sheet(self._sent.rows(wanted), local_time(self._clock.wall_s()).tzinfo, self._folder)
        finally:
            self._making_a_sheet.release()
        content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        return Export(self._name("xlsx"), content_type, _FileChunks(file))

    def _name(self, ending: str) -> str:
        return f"sent-messages-{local_time(self._clock.wall_s()):%Y-%m-%d-%H%M}.{ending}"


class _FileChunks:
    """Gives a file bit by bit and closes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> "_FileChunks":
        return self

    def __next__(self) -> bytes:
        if self._file.closed:
            raise StopIteration
        if not (chunk := self._file.read(_CHUNK_BYTES)):
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the file, read or not."""
        self._file.close()


def _filter(
    since: str = "",
    until: str = "",
    modem: str = "",
    door: str = "",
    user: str = "",
    outcome: str = "",
    delivery: str = "",
    number: str = "",
    channel: str = "",
) -> SentFilter:
    for field, value, choices in (
        ("outcome", outcome, Outcome),
        ("delivery", delivery, Delivery),
        ("channel", channel, Channel),
    ):
        if value and value not in list(choices):
            raise BadRequest(field, f"must be one of {', '.join(choices)}")
    if number and not any(character.isdigit() for character in number):
        raise BadRequest("number", "has no digits")
    return SentFilter(
        from_s=_day("since", since).timestamp() if since else 0.0,
        until_s=_day("until", until, later=timedelta(days=1)).timestamp() if until else float("inf"),
        modem=modem,
        door=door,
        user=user,
        outcome=outcome,
        delivery=delivery,
        number=number,
        channel=channel,
    )


def _day(field: str, text: str, later: timedelta = timedelta()) -> datetime:
    """Return the beginning of a day in the zone of the device."""
    try:
        day = date.fromisoformat(text) + later
        return datetime(day.year, day.month, day.day).astimezone()
    except (ValueError, OverflowError, OSError):
        raise BadRequest(field, "must be a day such as 2027-01-31") from None


def _cells(row: SentRow) -> tuple[datetime | str | float | None, ...]:
    """Return what `_COLUMNS` names."""
    return (
        local_time(row.at_s),
        "yes" if row.is_timed else "no",
        row.number,
        row.parts,
        "sent late" if row.is_late else row.outcome,
        row.reason,
        row.duration_s,
        row.delivery,
        None if row.delivered_s is None else local_time(row.delivered_s),
        row.modem,
        row.door,
        row.user,
        row.message_id,
        row.channel,
    )


def _csv_chunks(rows: Iterator[SentRow]) -> Iterator[bytes]:
    # Without the byte order mark spreadsheets take it for the code page of their country.
    yield _csv_lines([_COLUMNS]).encode("utf-8-sig")
    while some := list(islice(rows, _CHUNK_ROWS)):
        yield _csv_lines(map(_as_text, map(_cells, some))).encode(errors="replace")


def _csv_lines(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()


def _as_text(cells: Iterable[object]) -> Iterator[object]:
    for cell in cells:
        if isinstance(cell, datetime):
            yield cell.isoformat(timespec="seconds")
        elif isinstance(cell, str) and cell.startswith(_FORMULA_BEGINS):
            yield f"'{cell}"
        else:
            yield cell


def _sheet(rows: Iterator[SentRow], zone: tzinfo | None, folder: Path) -> IO[bytes]:
    """Return a spreadsheet that has no name on the disk; of too many rows it has the newest.

    Raises:
        HostError: It could not be written.
    """
    from xlsxwriter.exceptions import FileCreateError

    try:
        private_folder(folder)
        for left in folder.glob(f"{_MAKING}*"):  # by a power cut
            shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(prefix=_MAKING, dir=folder) as making, ExitStack() as undone:
            file = undone.enter_context(TemporaryFile(dir=making))
            _write_sheet(file, rows, zone, making)
            file.seek(0)
            undone.pop_all()
            return file
    except (OSError, FileCreateError) as error:
        raise HostError(_NO_ROOM) from error


def _write_sheet(file: IO[bytes], rows: Iterator[SentRow], zone: tzinfo | None, making: str) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": making})
    sheet = book.add_worksheet("Sent messages")
    as_time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(_COLUMNS) - 1, _COLUMN_WIDTH)
    try:
        # A sheet knows no zones: all its times are in that of now.
        for column, title in enumerate((f"Time ({datetime.now(zone):%Z})", *_COLUMNS[1:])):
            sheet.write_string(0, column, title)
        for line, row in enumerate(islice(rows, _MOST_ROWS_OF_A_SHEET), start=1):
            if line % _ROWS_BETWEEN_LOOKS == 0:
                _need_room(making)
            for column, cell in enumerate(_cells(row)):
                if isinstance(cell, datetime):
                    sheet.write_datetime(line, column, cell.astimezone(zone).replace(tzinfo=None), as_time)
                elif isinstance(cell, str):
                    sheet.write_string(line, column, cell)  # never a formula
                elif cell is not None:
                    sheet.write_number(line, column, cell)
        book.close()
    finally:
        # The library leaves it open after a failure; what it still holds back is of no use then.
        with suppress(OSError):
            sheet.row_data_fh.close()


def _need_room(making: str) -> None:
    status = os.statvfs(making)
    if status.f_bavail * status.f_frsize < _ROOM_LEFT_BYTES:
        raise OSError(errno.ENOSPC, "too little is left for everything else")
