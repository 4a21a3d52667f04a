"""What one SIM has sent in this minute, hour, day and month, and what that cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from otppi.model.quota import Quota
from otppi.model.tariff import Fare, Sent

Json = dict[str, Any]

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0
_LONGEST_MONTH_S = 31 * _DAY_S


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Now, on the boot clock and in the calendar of the device."""

    boot_s: float
    day: str = ""  # such as 2026-11-21; empty while nobody vouches for the clock
    month: str = ""
    day_left_s: float = 0.0
    month_left_s: float = 0.0


class Window:
    """Parts sent within the last minute or hour.

    Counted in a dozen steps rather than one by one, so a part counts for up to a twelfth longer than it would
    have to, and never for less.
    """

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._step_s = length_s / 12
        self._steps: dict[int, int] = {}  # number of the step since boot, and parts; oldest first

    def add(self, boot_s: float, parts: int) -> None:
        """Count parts, or take them back if negative."""
        self._forget(boot_s)
        step = int(boot_s // self._step_s)
        self._steps[step] = self._steps.get(step, 0) + parts

    def take_back(self, boot_s: float, parts: int) -> None:
        """Undo what was counted at that moment, if it still counts."""
        step = int(boot_s // self._step_s)
        if step in self._steps:
            self._steps[step] -= parts

    def parts(self, boot_s: float) -> int:
        """Return how many count now."""
        self._forget(boot_s)
        return sum(self._steps.values())

    def wait_s(self, boot_s: float, most: int) -> float:
        """Return how long until at most so many count."""
        left = self.parts(boot_s)
        for step, parts in self._steps.items():
            if left <= most:
                break
            left -= parts
            if left <= most:
                return self._end_s(step) - boot_s
        return 0.0

    def as_json(self) -> list[list[int]]:
        """Return what is known, for the same boot of the machine."""
        return [[step, parts] for step, parts in self._steps.items()]

    def read(self, steps: list[list[int]]) -> None:
        """Know what another one knew."""
        self._steps = {int(step): int(parts) for step, parts in steps}

    def _end_s(self, step: int) -> float:
        return (step + 1) * self._step_s + self._length_s

    def _forget(self, boot_s: float) -> None:
        while self._steps and self._end_s(step := next(iter(self._steps))) <= boot_s:
            del self._steps[step]


@dataclass(kw_only=True)
class Period:
    """A day or a month of one SIM."""

    label: str = ""  # empty while nobody could say which one it is
    began_boot_s: float = 0.0
    parts: int = 0
    fares: dict[str, int] = field(default_factory=dict)  # parts by the name of the fare
    cost: Decimal = Decimal()
    saved: Decimal = Decimal()

    def add(self, parts: int, fare: str, cost: Decimal, saved: Decimal) -> None:
        """Count a message, or take one back with all signs turned."""
        self.parts += parts
        self.cost += cost
        self.saved += saved
        if fare:
            self.fares[fare] = self.fares.get(fare, 0) + parts

    def as_json(self) -> Json:
        """Return what is known."""
        return {
            "label": self.label,
            "began_boot_s": self.began_boot_s,
            "parts": self.parts,
            "fares": self.fares,
            "cost": str(self.cost),
            "saved": str(self.saved),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Period":
        """Return the period that was written."""
        return cls(
            label=str(document["label"]),
            began_boot_s=float(document["began_boot_s"]),
            parts=int(document["parts"]),
            fares={str(name): int(parts) for name, parts in document["fares"].items()},
            cost=Decimal(document["cost"]),
            saved=Decimal(document["saved"]),
        )


@dataclass(frozen=True)
class Entry:
    """One message as it was counted, for taking it back."""

    boot_s: float
    parts: int
    fare: str
    cost: Decimal
    saved: Decimal
    periods: tuple[Period, ...]


class Usage:
    """The counters of one SIM; its caller brings the time and sees to it that one thread at a time comes."""

    def __init__(self, now: Moment) -> None:
        self._minute, self._hour = Window(_MINUTE_S), Window(_HOUR_S)
        self.day = Period(label=now.day, began_boot_s=now.boot_s)
        self.month = Period(label=now.month, began_boot_s=now.boot_s)
        self.day_before, self.month_before = Period(), Period()

    def advance(self, now: Moment) -> None:
        """Begin a new day or month if one has come."""
        if _is_over(self.day, now.day, now.boot_s, _DAY_S):
            self.day, self.day_before = Period(label=now.day, began_boot_s=now.boot_s), self.day
        if _is_over(self.month, now.month, now.boot_s, _LONGEST_MONTH_S):
            self.month, self.month_before = Period(label=now.month, began_boot_s=now.boot_s), self.month
        # Only with a trusted clock is there a label, and whatever it says, what was counted stays counted.
        self.day.label = now.day or self.day.label
        self.month.label = now.month or self.month.label

    def sent(self, fare: Fare) -> Sent:
        """Return what was sent under a fare."""
        return Sent(day=self.day.fares.get(fare.name, 0), month=self.month.fares.get(fare.name, 0))

    def wait_s(self, quota: Quota, parts: int, now: Moment) -> float:
        """Return how long until a message of so many parts is within the quota; inf if it never is."""
        waits = [0.0]
        for limit, window in ((quota.minute, self._minute), (quota.hour, self._hour)):
            if limit:
                waits.append(math.inf if parts > limit else window.wait_s(now.boot_s, limit - parts))
        for limit, period, left_s, longest_s in (
            (quota.day, self.day, now.day_left_s, _DAY_S),
            (quota.month, self.month, now.month_left_s, _LONGEST_MONTH_S),
        ):
            if limit and period.parts + parts > limit:
                end_s = left_s if now.day else period.began_boot_s + longest_s - now.boot_s
                waits.append(math.inf if parts > limit else max(1.0, end_s))
        return max(waits)

    def count(self, now: Moment, parts: int, fare: str, cost: Decimal, saved: Decimal) -> Entry:
        """Count a message."""
        self._minute.add(now.boot_s, parts)
        self._hour.add(now.boot_s, parts)
        for period in (self.day, self.month):
            period.add(parts, fare, cost, saved)
        return Entry(now.boot_s, parts, fare, cost, saved, (self.day, self.month))

    def take_back(self, entry: Entry) -> None:
        """Undo a message that surely did not leave."""
        self._minute.take_back(entry.boot_s, entry.parts)
        self._hour.take_back(entry.boot_s, entry.parts)
        for period in entry.periods:
            period.add(-entry.parts, entry.fare, -entry.cost, -entry.saved)

    def assume(self, now: Moment, parts: int) -> None:
        """Count parts of which nobody knows whether they were sent; no price is put on them."""
        self._minute.add(now.boot_s, parts)
        self._hour.add(now.boot_s, parts)
        self.day.parts += parts
        self.month.parts += parts

    def left(self, quota: Quota, now: Moment) -> dict[str, int]:
        """Return how many parts each limit leaves."""
        used = {
            "minute": self._minute.parts(now.boot_s),
            "hour": self._hour.parts(now.boot_s),
            "day": self.day.parts,
            "month": self.month.parts,
        }
        return {name: max(0, limit - used[name]) for name in used if (limit := getattr(quota, name))}

    def as_json(self) -> Json:
        """Return all counters, for the same boot of the machine."""
        return {
            "minute": self._minute.as_json(),
            "hour": self._hour.as_json(),
            "day": self.day.as_json(),
            "month": self.month.as_json(),
            "day_before": self.day_before.as_json(),
            "month_before": self.month_before.as_json(),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any], now: Moment) -> "Usage":
        """Return the counters that were written in the same boot of the machine."""
        usage = cls(now)
        usage._minute.read(document["minute"])
        usage._hour.read(document["hour"])
        for name in ("day", "month", "day_before", "month_before"):
            setattr(usage, name, Period.read(document[name]))
        return usage

    @classmethod
    def read_of_earlier_boot(cls, document: Mapping[str, Any], now: Moment) -> "Usage":
        """Return counters whose boot clock is gone: what counted then counts as if it had been sent now."""
        usage = cls.read({**document, "minute": [], "hour": []}, now)
        usage._minute.add(now.boot_s, sum(parts for _, parts in document["minute"]))
        usage._hour.add(now.boot_s, sum(parts for _, parts in document["hour"]))
        usage.day.began_boot_s = usage.month.began_boot_s = now.boot_s
        return usage


def _is_over(period: Period, label: str, boot_s: float, longest_s: float) -> bool:
    if label:
        # An earlier day than the one that was counted means that the clock was wrong then: that is no new day.
        return bool(period.label) and label > period.label
    # While nobody vouches for the clock, a day is over when the device has run for one.
    return boot_s - period.began_boot_s >= longest_s
