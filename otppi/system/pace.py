"""A pace for news of which a faulty or hostile device could make any number."""

from collections import deque


class Pace:
    """Says whether something may be told now: so often by one name, so often in all, within a sliding window."""

    def __init__(self, *, per_name: int, in_all: int, within_s: float) -> None:
        self._per_name = per_name
        self._within_s = within_s
        self._told: deque[tuple[float, str]] = deque()
        self._in_all = in_all

    def allows(self, name: str, now_s: float, *, has_calmed: bool = False) -> bool:
        """Return whether it may be told, and if so count it; `now_s` never goes back.

        What has calmed down may be told however often it was.
        """
        while self._told and self._told[0][0] <= now_s - self._within_s:
            self._told.popleft()
        if len(self._told) >= self._in_all:
            return False
        if not has_calmed and sum(one == name for _, one in self._told) >= self._per_name:
            return False
        self._told.append((now_s, name))
        return True
