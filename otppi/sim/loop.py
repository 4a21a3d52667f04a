"""One thread that serves descriptors and timers, and sleeps in between."""

import heapq
import itertools
import select
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from otppi.lib.wakeup import Wakeup

_T = TypeVar("_T")
# Far longer than any turn of the loop; whoever waits longer waits for a thread that is stuck.
_CALL_LIMIT_S = 10.0


class Loop:
    """Runs everything it is given on its own thread, one thing at a time, in order of time."""

    def __init__(self, name: str) -> None:
        self.turns = 0
        self._selector = selectors.EpollSelector()
        self._wakeup = Wakeup()
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ended = False
        self.watch(self._wakeup.fd, self._take_inbox)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def call(self, work: Callable[[], _T]) -> _T:
        """Run something on the loop's thread and wait for its result; from any thread.

        Raises:
            RuntimeError: The loop has been stopped.
        """
        if threading.current_thread() is self._thread:
            return work()
        if not self.is_running:
            raise RuntimeError("the loop has been stopped")
        future: Future[_T] = Future()
        self._inbox.put(lambda: _fulfil(future, work))
        self._wakeup.ring()
        return future.result(_CALL_LIMIT_S)

    def at(self, at_s: float, work: Callable[[], None]) -> None:
        """Run something at a moment of the monotonic clock; only from the loop's thread."""
        heapq.heappush(self._timers, (at_s, next(self._order), work))

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call this whenever the descriptor can be read; only from the loop's thread."""
        self._selector.register(fd, selectors.EVENT_READ, on_readable)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor, before it is closed; only from the loop's thread."""
        self._selector.unregister(fd)

    def stop(self) -> None:
        """End the thread and wait for it; timers that are not due are forgotten."""
        if not self.is_running:
            return
        self.call(self._end)
        self._thread.join()
        self._selector.close()
        self._wakeup.close()

    def _end(self) -> None:
        self._ended = True

    def _run(self) -> None:
        while not self._ended:
            self.turns += 1
            self._wait_for_timer()
            for key, _ in self._selector.select(0 if self._timers else None):
                key.data()
            self._run_due()

    def _wait_for_timer(self) -> None:
        if self._timers and (wait_s := self._timers[0][0] - time.monotonic()) > 0:
            # epoll rounds up to whole milliseconds, and a modem that takes a second would take a little more.
            select.select([self._selector.fileno()], (), (), wait_s)

    def _run_due(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _take_inbox(self) -> None:
        self._wakeup.clear()
        while not self._inbox.empty():
            self._inbox.get()()


def _fulfil(future: "Future[_T]", work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - goes to whoever waits
        future.set_exception(error)
