"""News that goes sideways: published once, heard by whoever subscribed, waited for by nobody."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

from otppi.lib.threads import died

log = logging.getLogger(__name__)

_STOP: Final = object()
# A subscriber that is this far behind is broken; newer news is dropped for it rather than memory eaten.
_LONGEST_BACKLOG = 10_000


class Bus:
    """Delivers event objects to subscribers, each on a thread and with a queue of its own."""

    def __init__(self) -> None:
        self._subscribers: list[_Subscriber] = []
        self._lock = threading.Lock()

    def subscribe(self, name: str, handler: Callable[[Any], None], *kinds: type, lag_s: float = 0.0) -> None:
        """Call `handler` with every event of the given classes, in order, on the thread `bus:NAME`.

        What the handler raises is logged and does not stop the next event.

        Args:
            name: Names the thread.
            handler: Takes one event.
            kinds: The classes it wants.
            lag_s: How long news may rest first. Whoever is in no hurry then wakes once for many events, and
                does not compete for the processor with those who publish them.
        """
        subscriber = _Subscriber(name, handler, kinds, lag_s)
        with self._lock:
            self._subscribers = [*self._subscribers, subscriber]
        subscriber.thread.start()

    def publish(self, event: object) -> None:
        """Hand an event to all who want it; returns at once, from any thread."""
        for subscriber in self._subscribers:
            if isinstance(event, subscriber.kinds):
                subscriber.take(event)

    def died(self) -> tuple[str, ...]:
        """Return the names of threads of subscribers that ended by mistake."""
        return tuple(
            name for one in self._subscribers for name in died(one.thread, was_asked=one.stopping.is_set())
        )

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let every subscriber finish what it has been given, then end its thread."""
        with self._lock:
            subscribers, self._subscribers = self._subscribers, []
        for subscriber in subscribers:
            subscriber.inbox.put(_STOP)
            subscriber.stopping.set()
        for subscriber in subscribers:
            subscriber.thread.join(timeout_s)
            if subscriber.thread.is_alive():
                log.error("a subscriber did not end", extra={"fields": {"subscriber": subscriber.name}})


class _Subscriber:
    def __init__(
        self, name: str, handler: Callable[[Any], None], kinds: tuple[type, ...], lag_s: float
    ) -> None:
        self.name = name
        self.kinds = kinds
        self.inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name=f"bus:{name}", daemon=True)
        self.stopping = threading.Event()
        self._handler = handler
        self._lag_s = lag_s
        self._lost = 0

    def take(self, event: object) -> None:
        if self.inbox.qsize() >= _LONGEST_BACKLOG:
            self._lost += 1
            if self._lost == 1:
                log.error(
                    "a subscriber is too slow, news is lost", extra={"fields": {"subscriber": self.name}}
                )
            return
        self._lost = 0
        self.inbox.put(event)

    def _run(self) -> None:
        while (event := self.inbox.get()) is not _STOP:
            if self._lag_s and self.inbox.empty():
                self.stopping.wait(self._lag_s)
            try:
                self._handler(event)
            except Exception:
                log.exception("a subscriber failed", extra={"fields": {"subscriber": self.name}})
