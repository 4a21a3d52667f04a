"""How a modem that does not answer is brought back: what to try next, and when to call a person."""

import math
from collections.abc import Collection
from enum import Enum, unique


@unique
class Rung(Enum):
    """What is tried, gentlest first; the value says for how many seconds it may show its effect."""

    DRAIN = 0.0  # what it still says is read, and ESC ends what it may wait for
    REOPEN = 10.0  # the port is closed and opened
    RESTART = 20.0  # the modem is told to start anew; one on USB leaves the bus meanwhile
    REPLUG = 25.0  # its USB device is taken from the kernel's driver and given back
    ALARM = 60.0  # a person is called; what helps by itself is still waited for


_LADDER = tuple(Rung)
# Trouble that comes back so soon, with no message sent in between, was not cured by what was tried last.
_RELAPSE_S = 1_800.0
_LONGEST_PAUSE_S = 1_800.0


class Recovery:
    """Where on the ladder a modem stands; used by its thread alone. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """It has done something for somebody, or it is gone: the next trouble is a new one."""
        self.has_failed = False  # a person was called
        self._rung: Rung | None = None
        self._until_s = -math.inf
        self._answered_at_s: float | None = None  # None while it is in trouble
        self._pause_s = Rung.ALARM.value
        self._is_gone = False  # its port was missing when a person was called

    @property
    def is_under_way(self) -> bool:
        """Whether something was tried and the modem has not answered since."""
        return self._rung is not None and self._answered_at_s is None

    @property
    def took_port_away(self) -> bool:
        """Whether its port may be missing because of what was tried."""
        return self.is_under_way and (self._rung in (Rung.RESTART, Rung.REPLUG) or self._is_gone)

    def may_drain(self, now_s: float) -> bool:
        """Take note of trouble at an open port; False if more than the gentlest thing is called for."""
        if self._rung is not None and not self._is_over(now_s):
            return False
        self.forget()
        self._rung, self._until_s = Rung.DRAIN, now_s
        return True

    def next_rung(self, now_s: float, possible: Collection[Rung], *, is_gone: bool = False) -> Rung | None:
        """Take note of trouble and say what to do about it; None while the last thing may still help.

        Args:
            now_s: The time.
            possible: What can be tried with this modem, beside calling a person.
            is_gone: Whether the trouble is that its port is missing.
        """
        if self._is_over(now_s):
            self.forget()
        answered, self._answered_at_s = self._answered_at_s is not None, None
        # Who was called for a modem that comes and goes is given time.
        if now_s < self._until_s and (not answered or self._rung is Rung.ALARM):
            return None
        self._rung = self._above(possible)
        self._until_s = now_s + self._rung.value
        if self._rung is Rung.ALARM:
            self.has_failed, self._is_gone = True, is_gone
            self._until_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return self._rung

    def rest_s(self, now_s: float) -> float:
        """Return how long what was tried may still show its effect; inf if nothing is under way."""
        return max(0.0, self._until_s - now_s) if self.is_under_way else math.inf

    def answered(self, now_s: float) -> None:
        """It can be worked with; whether it does its work is to be seen."""
        if self._answered_at_s is None:
            self._answered_at_s = now_s

    def _is_over(self, now_s: float) -> bool:
        return self._answered_at_s is not None and now_s - self._answered_at_s >= _RELAPSE_S

    def _above(self, possible: Collection[Rung]) -> Rung:
        if self._rung is None:
            return Rung.REOPEN
        # After a pause the ladder is climbed again, but for what is tried all the time.
        last = Rung.REOPEN if self._rung is Rung.ALARM else self._rung
        return next((rung for rung in _LADDER[_LADDER.index(last) + 1 :] if rung in possible), Rung.ALARM)
