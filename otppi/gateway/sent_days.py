"""What the sent messages of past days add up to, so that a report of a month need not read its files each time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Final

from otppi.gateway.sent_file import DayFile
from otppi.gateway.sent_query import QUARTER_S, SentFilter, SentSummary
from otppi.gateway.sent_row import SentRow, local_time

# Some five kilobytes each where there are four modems.
_MOST_DAYS: Final = 400


@dataclass(frozen=True)
class _Kept:
    state: object  # all that its counts follow from
    from_s: float
    days: dict[float, SentSummary]  # by their beginning; those without a message are left out


class PastDays:
    """Counts whole days of the device once; every method may be called from any thread.

    A day is past when all of it is before the day, of UTC, of the newest file: no row of it comes any more. Counts are
    kept while the older files stay as they are, the time zone is the same and nothing came about a message in a file.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def summary(
        self,
        wanted: SentFilter,
        files: Sequence[DayFile],
        news: int,
        rows: Callable[[SentFilter], Iterator[SentRow]],
    ) -> SentSummary:
        """Count rows of whole days, whatever they say; only those from after the past days are read if it can be.

        Args:
            wanted: Must be about nothing but time.
            files: All there are, the newest first.
            news: Another number than before if something came about a message that is in a file.
            rows: Reads rows, those of past days from files alone.
        """
        end_s = past_until(files)
        settled = tuple(file for file in files if file.begin_s < files[0].begin_s)
        state = (time.tzname, end_s, settled, news)
        kept = self._kept
        if kept is None or kept.state != state or wanted.from_s < kept.from_s:
            past = SentFilter(from_s=wanted.from_s, until_s=end_s)
            kept = _Kept(state, wanted.from_s, _by_day(rows(past)))
            self._kept = kept if len(kept.days) <= _MOST_DAYS else None
        summary = SentSummary(wanted)
        summary.count(rows(replace(wanted, from_s=end_s)))
        for begin_s, day in kept.days.items():
            if wanted.from_s <= begin_s < wanted.until_s:
                summary.add_day(begin_s, day)
        return summary


def past_until(files: Sequence[DayFile]) -> float:
    """Return when the last past day ended."""
    return midnight_s(files[0].begin_s) if files else 0.0


def midnight_s(at_s: float) -> float:
    """Return when the day of a moment began, in the zone of the device."""
    day = local_time(at_s)
    return datetime(day.year, day.month, day.day).timestamp()


def _by_day(rows: Iterator[SentRow]) -> dict[float, SentSummary]:
    days: dict[float, SentSummary] = {}
    begin_s = cache(lambda quarter: midnight_s(quarter * QUARTER_S))
    for day_s, some in groupby(rows, lambda row: begin_s(row.at_s // QUARTER_S)):
        day = days.setdefault(day_s, SentSummary(SentFilter()))
        day.count(some)
        day.quarters.clear()
    return days
