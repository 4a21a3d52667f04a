"""The last hour in figures, and the last messages; in memory only."""

import math
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from otppi.gateway.sent_row import SentRow, local_time, news_of, row_of
from otppi.lib.clock import Clock
from otppi.model.events import DeliveryReported, MessageFinished, Outcome, RequestAnswered

_MINUTE_S: Final = 60
_MINUTES: Final = 60
_MESSAGES: Final = 200
# Durations are told apart by this factor, so that a minute needs no memory for each; a quantile is off by half of it.
_STEP: Final = math.log(1.05)
_SHORTEST_S: Final = 0.0001


class Durations:
    """Counts durations, in memory that does not grow with them."""

    def __init__(self) -> None:
        self.count = 0
        self._steps: Counter[int] = Counter()

    def add(self, duration_s: float) -> None:
        """Count one."""
        self.count += 1
        self._steps[round(math.log(max(duration_s, _SHORTEST_S)) / _STEP)] += 1

    def quantile_s(self, share: float) -> float | None:
        """Return what so large a share of them does not exceed, to within 3 %; None if there are none."""
        wanted = share * self.count
        for step in sorted(self._steps):
            wanted -= self._steps[step]
            if wanted <= 0:
                return float(f"{math.exp(step * _STEP):.3g}")
        return None

    def as_json(self) -> dict[str, Any]:
        """Return what a chart shows of them."""
        return {"count": self.count, "median_s": self.quantile_s(0.5), "p95_s": self.quantile_s(0.95)}


@dataclass
class _Minute:
    outcomes: Counter[str] = field(default_factory=Counter)
    sent: Durations = field(default_factory=Durations)
    answers: dict[str, Durations] = field(default_factory=dict)  # by door

    def as_json(self, at_s: float) -> dict[str, Any]:
        return {
            "at": local_time(at_s).isoformat(timespec="seconds"),
            **{outcome.value: self.outcomes[outcome.value] for outcome in Outcome},
            "median_s": self.sent.quantile_s(0.5),
            "p95_s": self.sent.quantile_s(0.95),
            "answers": {door: answered.as_json() for door, answered in self.answers.items()},
        }


class Traffic:
    """Counts what the bus tells; every method may be called from any thread.

    Minutes are those of the clock that never jumps. How long sending takes is counted of what was sent: one that is
    refused at once would make it look quicker.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.boot_s()
        self._lock = threading.Lock()
        self._minutes: dict[int, _Minute] = {}  # by their number since boot
        self._messages: OrderedDict[str, tuple[int, SentRow]] = (
            OrderedDict()
        )  # with the minute that counts it

    def take(self, event: MessageFinished | DeliveryReported | RequestAnswered) -> None:
        """Take news from the bus."""
        with self._lock:
            number = int(self._clock.boot_s() // _MINUTE_S)
            match event:
                case RequestAnswered():
                    answers = self._minute(number).answers
                    answers.setdefault(event.door, Durations()).add(event.duration_s)
                case MessageFinished(late=False):
                    self._finished(number, event)
                case _:
                    self._told(event)

    def recent(self) -> dict[str, Any]:
        """Return the last sixty minutes, the oldest first, and the last messages, the newest first.

        `is_whole` says whether the service ran all the time: what was before its start is not known.
        """
        with self._lock:
            boot_s, wall_s = self._clock.boot_s(), self._clock.wall_s()
            now = int(boot_s // _MINUTE_S)
            none = _Minute()
            return {
                "is_whole": boot_s - self._began_s >= _MINUTES * _MINUTE_S,
                "minutes": [
                    self._minutes.get(number, none).as_json(wall_s - boot_s + number * _MINUTE_S)
                    for number in range(now - _MINUTES + 1, now + 1)
                ],
                "messages": [row.as_json() for _, row in reversed(self._messages.values())],
            }

    def _finished(self, number: int, event: MessageFinished) -> None:
        minute = self._minute(number)
        minute.outcomes[event.outcome.value] += 1
        if event.outcome is Outcome.SENT:
            minute.sent.add(event.duration_s)
        row = row_of(event, self._clock.wall_s(), is_timed=self._clock.wall_is_trusted())
        self._messages[event.message_id] = number, row
        if len(self._messages) > _MESSAGES:
            self._messages.popitem(last=False)

    def _told(self, event: MessageFinished | DeliveryReported) -> None:
        number, row = self._messages.get(event.message_id, (0, None))
        if row is None:
            return
        told = row.told(news_of(event, self._clock.wall_s()))
        self._messages[event.message_id] = number, told
        if (minute := self._minutes.get(number)) is not None:
            minute.outcomes[row.outcome] -= 1
            minute.outcomes[told.outcome] += 1

    def _minute(self, number: int) -> _Minute:
        minute = self._minutes.get(number)
        if minute is None:
            minute = self._minutes[number] = _Minute()
            for old in [one for one in self._minutes if one <= number - _MINUTES]:
                del self._minutes[old]
        return minute
