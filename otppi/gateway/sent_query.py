"""Which sent messages somebody wants to see, and what they add up to."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final

from otppi.gateway.sent_row import Delivery, SentRow, local_time
from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S
from otppi.model.events import Outcome

# All time zones are whole quarters of an hour away from UTC.
QUARTER_S: Final = 900
_HOURLY_UP_TO_S: Final = 2 * 86_400 + 3600  # two days, one of which may have 25 hours
_FEWEST_DIGITS_OF_A_WHOLE_NUMBER: Final = 8
_NOT_DIGITS = re.compile(r"\D")
_MASK = "•"


@dataclass(frozen=True, kw_only=True)
class SentFilter:
    """What a row must be; what is empty fits all."""

    from_s: float = 0.0
    until_s: float = float("inf")  # that moment not included
    modem: str = ""  # id or name
    door: str = ""
    user: str = ""
    outcome: str = ""
    delivery: str = ""
    channel: str = ""
    number: str = ""  # its last digits, or all of it, as a person types it

    def fits(self, row: SentRow) -> bool:
        """Whether the row is wanted."""
        return (
            self.from_s <= row.at_s < self.until_s
            and self.modem in ("", row.modem_id, row.modem)
            and self.door in ("", row.door)
            and self.user in ("", row.user)
            and self.outcome in ("", row.outcome)
            and self.delivery in ("", row.delivery)
            and self.channel in ("", row.channel)
            and (not self.number or any(one.search(row.number) for one in self._numbers))
        )

    @property
    def is_of_time(self) -> bool:
        """Whether every row of its time is wanted, whatever it says."""
        return SentFilter(from_s=self.from_s, until_s=self.until_s) == self

    def is_short(self, now_s: float) -> bool:
        """Whether it is about two days at most."""
        return min(self.until_s, now_s) - self.from_s <= _HOURLY_UP_TO_S

    @cached_property
    def _numbers(self) -> tuple[re.Pattern[str], ...]:
        digits = _NOT_DIGITS.sub("", self.number)
        # 0812… is written 62812…; of last digits the first may be 0 as well.
        is_whole = len(digits) >= _FEWEST_DIGITS_OF_A_WHOLE_NUMBER
        endings = {digits, digits.lstrip("0")} if is_whole else {digits}
        return tuple(_ending(one) for one in endings if one)


@dataclass
class SentSummary:
    """Counts rows of a filter, in memory that does not grow with them."""

    asked: SentFilter
    messages: int = 0
    parts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    modems: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # id, name, outcome
    quarters: Counter[tuple[int, str]] = field(default_factory=Counter)  # since 1970, outcome

    def count(self, rows: Iterable[SentRow]) -> None:
        """Count them."""
        for row in rows:
            self.messages += 1
            self.parts += row.parts
            self.outcomes[row.outcome] += 1
            self.deliveries[row.delivery] += 1
            self.modems[row.modem_id, row.modem, row.outcome] += 1
            # What came before the clock was set has no place in a chart.
            if row.at_s >= EARLIEST_PLAUSIBLE_WALL_S:
                self.quarters[int(row.at_s // QUARTER_S), row.outcome] += 1

    def add_day(self, begin_s: float, day: "SentSummary") -> None:
        """Add the counts of a whole day, in a chart by day to be."""
        self.messages += day.messages
        self.parts += day.parts
        self.outcomes.update(day.outcomes)
        self.deliveries.update(day.deliveries)
        self.modems.update(day.modems)
        if begin_s >= EARLIEST_PLAUSIBLE_WALL_S:
            for outcome, count in day.outcomes.items():
                self.quarters[int(begin_s // QUARTER_S), outcome] += count

    def as_json(self, now_s: float) -> dict[str, Any]:
        """Return the counts; those for a chart by day, or by hour where it is about two days at most."""
        is_hourly = self.asked.is_short(now_s)
        return {
            "messages": self.messages,
            "parts": self.parts,
            "outcomes": {outcome.value: self.outcomes[outcome.value] for outcome in Outcome},
            "deliveries": {delivery.value: self.deliveries[delivery.value] for delivery in Delivery},
            "modems": self._by_modem(),
            "step": "hour" if is_hourly else "day",
            "chart": self._chart(is_hourly),
        }

    def _by_modem(self) -> list[dict[str, Any]]:
        names = {modem_id: name for modem_id, name, _ in reversed(self.modems)}  # the newest name
        counts = {modem_id: dict.fromkeys(map(str, Outcome), 0) for modem_id in names}
        for (modem_id, _, outcome), count in self.modems.items():
            counts[modem_id][outcome] += count
        return [
            {"modem_id": modem_id, "modem": name, **counts[modem_id]}
            for modem_id, name in sorted(names.items(), key=lambda named: named[1])
        ]

    def _chart(self, is_hourly: bool) -> list[dict[str, Any]]:
        """Return the counts of every step from the first to the last that has any."""
        if not self.quarters:
            return []
        first, last = min(self.quarters)[0], max(self.quarters)[0]
        names = _hours(first, last) if is_hourly else _days(first, last)
        steps = {name: dict.fromkeys(map(str, Outcome), 0) for name in names}
        for (quarter, outcome), count in self.quarters.items():
            steps[_hour(quarter) if is_hourly else _date(quarter).isoformat()][outcome] += count
        return [{"at": name, **counts} for name, counts in steps.items()]


def _hours(first: int, last: int) -> Iterable[str]:
    return (_hour(quarter) for quarter in range(first, last + 1))


def _days(first: int, last: int) -> Iterable[str]:
    day, end = _date(first), _date(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)


def _hour(quarter: int) -> str:
    return local_time(quarter * QUARTER_S).replace(minute=0).isoformat(timespec="minutes")


def _date(quarter: int) -> date:
    return local_time(quarter * QUARTER_S).date()


def _ending(digits: str) -> re.Pattern[str]:
    """Return what finds numbers that may end so; the last digit at least must be seen."""
    return re.compile("".join(f"[{digit}{_MASK}]" for digit in digits[:-1]) + digits[-1] + "$")
