"""What became of the messages of the last months, for reports."""

import errno
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from otppi.gateway.sent_days import PastDays, midnight_s, past_until
from otppi.gateway.sent_file import DayFile, SentFiles
from otppi.gateway.sent_query import SentFilter, SentSummary
from otppi.gateway.sent_row import News, SentRow, news_of, row_of
from otppi.lib.clock import Clock
from otppi.lib.threads import died
from otppi.model.errors import HostError
from otppi.model.events import DeliveryReported, MessageFinished
from otppi.settings.fields import boolean, integer
from otppi.settings.section import Section

log = logging.getLogger(__name__)

_DAY_S: Final = 86_400
_FLUSH_EVERY_S: Final = 60.0
# So many at once leave memory for the file before a minute is over; the kernel writes them when it likes.
_MOST_IN_HAND: Final = 500
# While the disk does not take them.
_MOST_IN_RAM: Final = 5000


class SentSettings(Section, key="sent", title="Reports of sent messages"):
    """What is kept of messages that were sent, or were to be; never a text, and of a number a few digits only."""

    keep_rows: bool = boolean(
        title="Keep reports of sent messages",
        default=True,
        help="Keep one row for each message: when, who asked, which modem, the masked number and what became of it. "
        "Off, nothing more is noted; what was kept stays until it is too old.",
    )
    retention_days: int = integer(
        title="Keep for",
        default=90,
        minimum=1,
        maximum=3650,
        unit="days",
        help="Older rows are deleted. With more than 32 MiB, some 200,000 messages, the oldest go earlier.",
    )


@dataclass(frozen=True, kw_only=True)
class SentPage:
    """Some rows of those that were asked for, newest first."""

    rows: tuple[SentRow, ...]
    total: int  # how many there are on all pages


@dataclass(frozen=True)
class _Seen:
    """All that there is at one moment; what comes later does not disturb who reads it."""

    rows: list[SentRow]  # those that are not in a file yet, in the order of coming
    news: dict[str, News]
    files: list[DayFile]  # the newest first
    changes: int  # how much had been taken or deleted
    news_of_files: int  # how much of it was about rows that are in files


class SentMessages:
    """Keeps a row for each message; every method may be called from any thread.

    Rows come from the bus and are in files a minute later at most; the thread `sent` writes them. A power cut costs
    that minute. A disk that takes nothing stops nothing: rows wait in memory, and of too many the oldest are dropped.
    """

    def __init__(self, folder: Path, settings: Callable[[], SentSettings], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()  # of what is in hand
        self._rows: dict[str, SentRow] = {}
        self._news: dict[str, News] = {}
        self._news_written: dict[str, News] = {}  # the last that were
        self._newest_s = 0.0  # when the last of it came
        self._lost = 0
        self._changes = 0
        self._news_of_files = 0
        self._past_days = PastDays()
        self._last: tuple[object, SentSummary] | None = None
        self._disk = threading.Lock()  # of the files; taken before the other
        self._files = SentFiles(folder)
        self._is_failing = False
        self._ahead_s: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sent", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()
        with self._disk:
            self._files.close()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stop.is_set())

    def take(self, event: MessageFinished | DeliveryReported) -> None:
        """Take news from the bus."""
        if not self._settings().keep_rows:
            return
        at_s, is_timed = self._now()
        with self._lock:
            self._changes += 1
            self._newest_s = at_s
            if isinstance(event, MessageFinished) and not event.late:
                self._add(row_of(event, at_s, is_timed=is_timed))
            else:
                self._learn(news_of(event, at_s))
            is_much = len(self._rows) + len(self._news) >= _MOST_IN_HAND
        if is_much and not self._is_failing:
            with self._disk:
                self._write(is_durable=False)

    @property
    def is_on(self) -> bool:
        """Whether a row is kept of what is sent now."""
        return self._settings().keep_rows

    def flush(self) -> None:
        """Bring all that is in hand to the disk; what it does not take stays in memory."""
        with self._disk:
            self._write(is_durable=True)

    def sweep(self) -> None:
        """Delete what is too old.

        Raises:
            HostError: The disk does not let it.
        """
        if not self._clock.wall_is_trusted():
            return
        oldest_s = self._clock.wall_s() - self._settings().retention_days * _DAY_S
        with self._disk, _checked():
            self._files.expire(oldest_s)

    def rows(self, wanted: SentFilter) -> Iterator[SentRow]:
        """Yield rows, newest first, as they are now; few of them are in memory at a time.

        Raises:
            HostError: The disk does not give them.
        """
        return _rows(self._seen(), wanted)

    def page(self, wanted: SentFilter, *, offset: int = 0, count: int = 50) -> SentPage:
        """Return some rows, newest first, and count all.

        Raises:
            HostError: The disk does not give them.
        """
        seen = self._seen()
        rows = tuple(itertools.islice(_rows(seen, wanted), offset, offset + count))
        return SentPage(rows=rows, total=self._summed(seen, wanted).messages)

    def summary(self, wanted: SentFilter) -> SentSummary:
        """Count rows by outcome, modem and time.

        Raises:
            HostError: The disk does not give them.
        """
        return self._summed(self._seen(), wanted)

    def delete_before(self, at_s: float) -> int:
        """Delete rows from before a time, and return how many there were.

        Raises:
            HostError: Some may be there still.
        """
        with self._disk:
            self._write(is_durable=True)
            with self._lock:
                self._changes += 1
                kept = {message_id: row for message_id, row in self._rows.items() if row.at_s >= at_s}
                count = len(self._rows) - len(kept)
                self._rows = kept
            with _checked():
                return count + self._files.delete_before(at_s)

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_EVERY_S):
            try:
                self.flush()
                self.sweep()
            except HostError:
                pass  # it is tried again
            except Exception:
                log.exception("the rows of sent messages could not be written")

    def _now(self) -> tuple[float, bool]:
        """Return the time for a row, and whether somebody vouches for it."""
        wall_s = self._clock.wall_s()
        if self._clock.wall_is_trusted():
            return wall_s, True
        if self._ahead_s is None:
            # A board without a clock starts in the past; what it sends then is still newer than all before.
            with self._disk:
                self._ahead_s = max(0.0, _newest_day_s(self._files) - wall_s)
        return wall_s + self._ahead_s, False

    def _add(self, row: SentRow) -> None:
        # The report on the first of several parts may come before the last of them has been sent.
        news = self._news.pop(row.message_id, None) or self._news_written.get(row.message_id)
        self._rows[row.message_id] = row if news is None else row.told(news)
        if len(self._rows) > _MOST_IN_RAM:
            del self._rows[next(iter(self._rows))]
            self._lost += 1

    def _learn(self, news: News) -> None:
        row = self._rows.get(news.message_id)
        if row is not None:
            self._rows[news.message_id] = row.told(news)
            return
        self._news_of_files += 1
        self._news[news.message_id] = news.after(self._news.get(news.message_id))
        if len(self._news) > _MOST_IN_RAM:
            del self._news[next(iter(self._news))]

    def _write(self, *, is_durable: bool) -> None:
        """Move to the files what is in hand; the caller has the files."""
        with self._lock:
            rows, self._rows = self._rows, {}
            news, self._news = self._news, {}
            self._news_written = news or self._news_written
        try:
            for some in _batches(list(rows.values())):
                self._files.append(some[0].at_s, [row.line() for row in some])
                for row in some:
                    del rows[row.message_id]
            if news:
                self._files.append(self._newest_s, [one.line() for one in news.values()])
                news = {}
            if is_durable:
                self._files.sync()
        except OSError as error:
            self._files.close()
            self._take_back(rows, news)
            if not self._is_failing:
                self._is_failing = True
                reason = errno.errorcode.get(error.errno or 0, "unknown")
                log.error(  # noqa: TRY400
                    "rows of sent messages cannot be written; they wait in memory",
                    extra={"fields": {"reason": reason}},
                )
            return
        if self._is_failing:
            self._is_failing = False
            log.info("rows of sent messages are written again", extra={"fields": {"lost": self._lost}})
            self._lost = 0

    def _take_back(self, rows: dict[str, SentRow], news: dict[str, News]) -> None:
        with self._lock:
            self._rows = rows | self._rows
            for message_id, one in news.items():
                newer = self._news.get(message_id)
                self._news[message_id] = one if newer is None else newer.after(one)
            while len(self._rows) > _MOST_IN_RAM:
                del self._rows[next(iter(self._rows))]
                self._lost += 1

    def _seen(self) -> _Seen:
        with self._disk, _checked():
            with self._lock:
                rows, news = list(self._rows.values()), dict(self._news)
                changes, news_of_files = self._changes, self._news_of_files
            return _Seen(rows, news, self._files.all(), changes, news_of_files)

    def _summed(self, seen: _Seen, wanted: SentFilter) -> SentSummary:
        # A page of rows and the figures above it are asked for one after the other.
        state = (time.tzname, seen.changes, seen.files, wanted)
        last = self._last
        if last is not None and last[0] == state:
            return last[1]
        if self._is_of_whole_days(seen, wanted):
            news, rows = seen.news_of_files, partial(_rows, seen)
            summary = self._past_days.summary(wanted, seen.files, news, rows)
        else:
            summary = SentSummary(wanted)
            summary.count(_rows(seen, wanted))
        self._last = state, summary
        return summary

    def _is_of_whole_days(self, seen: _Seen, wanted: SentFilter) -> bool:
        """Whether it may be put together from counts of days, some of which are past."""
        past_until_s = past_until(seen.files)
        return (
            wanted.is_of_time
            and wanted.from_s < past_until_s
            and not wanted.is_short(self._clock.wall_s())
            and wanted.from_s in (0.0, midnight_s(wanted.from_s))
            and (wanted.until_s >= past_until_s or wanted.until_s == midnight_s(wanted.until_s))
            # Somebody set the clock back.
            and all(row.at_s >= past_until_s for row in seen.rows)
        )


def _rows(seen: _Seen, wanted: SentFilter) -> Iterator[SentRow]:
    news = dict(seen.news)  # of rows that are still to come, as they are older
    with _checked():
        for one in itertools.chain(reversed(seen.rows), _in_files(seen.files, wanted)):
            if isinstance(one, News):
                newer = news.get(one.message_id)
                news[one.message_id] = one if newer is None else newer.after(one)
                continue
            told = news.pop(one.message_id, None)
            row = one if told is None else one.told(told)
            if wanted.fits(row):
                yield row


def _in_files(files: list[DayFile], wanted: SentFilter) -> Iterator[SentRow | News]:
    for file in files:
        if file.end_s <= wanted.from_s:
            return
        yield from file.newest_first(only_news=file.begin_s >= wanted.until_s)


def _batches(rows: list[SentRow]) -> Iterator[list[SentRow]]:
    """Split them by day, and so that a batch is never more than a file takes."""
    for _, of_day in itertools.groupby(rows, lambda row: row.at_s // _DAY_S):
        while some := list(itertools.islice(of_day, _MOST_IN_HAND)):
            yield some


def _newest_day_s(files: SentFiles) -> float:
    try:
        return max((file.begin_s for file in files.all()), default=0)
    except OSError:
        return 0


@contextmanager
def _checked() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "unknown")
        raise HostError(f"rows of sent messages cannot be read or deleted: {reason}") from error
