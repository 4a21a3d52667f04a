"""What stands between a guesser and a password: one look at a time, and waits that grow."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from otppi.model.errors import TooManyRequests

_QUEUE_PAUSE_S = 1.0
_FORGOTTEN_AFTER_S = 3600.0


class OneAtATime:
    """Lets one thread make a slow hash while few wait: each hash takes 16 MB for its moment."""

    def __init__(self, *, most_threads: int) -> None:
        """Take how many threads may be at a slow hash or wait for one; the rest stay free for those who are known."""
        self._queue = threading.BoundedSemaphore(most_threads)
        self._turn = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn.

        Whoever looks at limits does so inside: of many guesses at once, those behind the last one that is
        allowed are then not looked at.

        Raises:
            TooManyRequests: Too many wait already.
        """
        if not self._queue.acquire(blocking=False):
            raise TooManyRequests("device", retry_after_s=_QUEUE_PAUSE_S)
        try:
            with self._turn:
                yield
        finally:
            self._queue.release()


@dataclass(frozen=True, slots=True)
class _Wrong:
    count: int
    last_boot_s: float


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

    def refuse(self, keys: Iterable[tuple[str, bytes]], now: float) -> None:
        """Refuse if one of these keys must wait; each comes with the word for it.

        Raises:
            TooManyRequests: Names the one that must wait longest.
        """
        with self._lock:
            wait_s, scope = max(((self._wait_s(key, now), scope) for scope, key in keys), default=(0.0, ""))
        if wait_s > 0:
            raise TooManyRequests(scope, wait_s)

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
        return max(0.0, known.last_boot_s + wait_s - now)

    def _known(self, key: bytes, now: float) -> _Wrong | None:
        known = self._wrong.get(key)
        return None if known is None or now >= known.last_boot_s + _FORGOTTEN_AFTER_S else known
