"""Waits that grow with each wrong try: what stands between a guesser and a secret."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

_FORGOTTEN_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Wrong:
    count: int
    last_s: float


class GrowingWaits:
    """Makes each wrong try of a key wait longer than the one before, up to a limit.

    What is refused while it waits does not make the wait longer, so nobody is locked out for ever. Every method
    may be called from any thread. Beyond `capacity` keys the one longest untouched is forgotten.
    """

    def __init__(self, *, free: int, longest_s: float, capacity: int = 10_000) -> None:
        """Let pass `free` wrong tries; the waits after that are 1, 2, 4 ... seconds, `longest_s` at most."""
        self._free = free
        self._longest_s = longest_s
        self._capacity = capacity
        self._lock = threading.Lock()
        self._wrong: dict[bytes, _Wrong] = {}  # in the order of the last wrong try

    def longest(self, keys: Iterable[tuple[str, bytes]], now: float) -> tuple[float, str]:
        """Return the longest wait of these keys in seconds, 0 if none must wait, and the word that came with it."""
        with self._lock:
            return max(((self._wait_s(key, now), scope) for scope, key in keys), default=(0.0, ""))

    def count(self, keys: Iterable[tuple[str, bytes]], now: float) -> None:
        """Count a wrong try against each of these keys."""
        with self._lock:
            for _, key in keys:
                known = self._known(key, now)
                self._wrong.pop(key, None)
                self._wrong[key] = _Wrong(known.count + 1 if known is not None else 1, now)
            while len(self._wrong) > self._capacity:
                del self._wrong[next(iter(self._wrong))]

    def forgive(self, key: bytes) -> None:
        """Forget what was wrong before."""
        with self._lock:
            self._wrong.pop(key, None)

    def _wait_s(self, key: bytes, now: float) -> float:
        known = self._known(key, now)
        if known is None or known.count < self._free:
            return 0.0
        # The exponent is bounded, as a float has no 2 to the power of 1024.
        wait_s = min(self._longest_s, 2.0 ** min(known.count - self._free, 32))
        return max(0.0, known.last_s + wait_s - now)

    def _known(self, key: bytes, now: float) -> _Wrong | None:
        known = self._wrong.get(key)
        return None if known is None or now >= known.last_s + _FORGOTTEN_AFTER_S else known
