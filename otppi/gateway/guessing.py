"""What stands between a guesser and a password: one look at a time, and waits that grow."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from otppi.lib import growingwaits
from otppi.model.errors import TooManyRequests

_QUEUE_PAUSE_S = 1.0


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


class GrowingWaits(growingwaits.GrowingWaits):
    """Growing waits that refuse in the words of the product."""

    def refuse(self, keys: Iterable[tuple[str, bytes]], now: float) -> None:
        """Refuse if one of these keys must wait; each comes with the word for it.

        Raises:
            TooManyRequests: Names the one that must wait longest.
        """
        wait_s, scope = self.longest(keys, now)
        if wait_s > 0:
            raise TooManyRequests(scope, wait_s)
