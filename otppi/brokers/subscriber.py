"""The loop that all brokers have in common: connect, take, have it worked on, answer, acknowledge, begin again."""

import json
import logging
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.link import MOST_DELIVERIES, Kind, Link, Message
from otppi.brokers.settings import TOPIC_PATTERN, Connection
from otppi.brokers.verdict import Verdict, judge
from otppi.gateway import answers
from otppi.gateway.body import parse_json
from otppi.gateway.door import Answer
from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.threads import died
from otppi.model.brokers import BrokerState
from otppi.model.errors import BadRequest
from otppi.model.events import BrokerLost, BrokerStateChanged
from otppi.model.requests import Arrival, Origin

log = logging.getLogger(__name__)

_LOOK_S = 0.5  # how soon a subscriber sees that it is to end, or to connect anew
_LONGEST_DELAY_S = 60.0
_HELD_S = 10.0  # the connection is a good one: the next failure begins with short delays again
_LONGEST_BODY = 65_536
# Of what a broker does not keep: so many may wait here, then the connection is not read any further.
_MOST_WAITING = 1_000
_FIRST_AGAIN_S, _LONGEST_AGAIN_S = 0.5, 15.0
_GIVE_BACK_AFTER_S = 10.0
_DEFAULT_CALLBACK_DELAY_MS, _LONGEST_CALLBACK_DELAY_MS = 10, 10_000


class Answering(Protocol):
    """What answers documents, as `Door` does."""

    def answer(self, document: object, origin: Origin) -> Answer:
        """See `Door.answer`."""
        ...


@dataclass(frozen=True, eq=False)
class _Piece:
    link: Link
    message: Message


class Subscriber:
    """Works on what one broker hands over, on the thread `broker:NAME` and as many workers as may be in hand."""

    def __init__(
        self, kind: Kind, settings: Connection, door: Answering, bus: Bus, most_in_hand: int
    ) -> None:
        """Take what it serves; nothing is connected yet."""
        self.settings = settings
        self.most_in_hand = most_in_hand
        self._kind = kind
        self._name = kind.section.key
        self._door = door
        self._bus = bus
        self._inbox: queue.Queue[_Piece | None] = queue.Queue(max(_MOST_WAITING, most_in_hand))
        self._link: Link | None = None
        self._ending = threading.Event()  # nothing more is taken
        self._abandoning = threading.Event()  # what is in hand is left to the broker
        self._lock = threading.Lock()
        self._in_hand = 0
        self._counts = {"received": 0, "done": 0, "dead": 0, "later": 0}
        self._state = BrokerState.OFF
        self._trouble: BrokerError | None = None
        self._since_s = time.monotonic()
        self._last_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"broker:{self._name}", daemon=True)
        self._workers = [
            threading.Thread(target=self._work, name=f"broker:{self._name}:{number}", daemon=True)
            for number in range(1, most_in_hand + 1)
        ]

    def start(self) -> None:
        """Begin to connect."""
        for thread in (*self._workers, self._thread):
            thread.start()

    def end(self) -> None:
        """Take nothing more; returns at once. Call `join` next."""
        self._ending.set()

    def join(self, grace_s: float) -> None:
        """Wait for what is in hand, at most so long; the rest comes again from a broker that keeps it."""
        self._thread.join(grace_s)
        self._abandoning.set()
        self._thread.join()
        for _ in self._workers:
            self._inbox.put(None)
        for worker in self._workers:
            worker.join(_LOOK_S)  # one that still waits for a modem ends with it

    def died(self) -> tuple[str, ...]:
        """Return the names of threads that ended by mistake."""
        was_asked = self._ending.is_set()
        return tuple(
            name for one in (self._thread, *self._workers) for name in died(one, was_asked=was_asked)
        )

    def show(self) -> dict[str, Any]:
        """Say how it stands; times are seconds ago."""
        now_s = time.monotonic()
        with self._lock:
            counts, in_hand, last_s = dict(self._counts), self._in_hand, self._last_s
        trouble = self._trouble
        return {
            "state": self._state.value,
            "reason": trouble.trouble.value if trouble is not None else "",
            "detail": trouble.detail if trouble is not None else "",
            "since_s": now_s - self._since_s,
            "in_hand": in_hand,
            "most_in_hand": self.most_in_hand,
            "last_s": None if last_s is None else now_s - last_s,
            **counts,
        }

    def publish(self, topic: str, document: Mapping[str, Any]) -> None:
        """Publish news; waits until the broker has it.

        Raises:
            BrokerError: It does not.
        """
        link = self._link
        if link is None:
            raise self._trouble or BrokerError(Trouble.LOST)
        link.publish(topic, _written(document))

    def _run(self) -> None:
        delays = self._delays()
        while not self._ending.is_set():
            self._note(BrokerState.CONNECTING, self._trouble)
            began_s = time.monotonic()
            try:
                link = self._kind.open(self.settings, self.most_in_hand)
            except BrokerError as error:
                self._wait_after(error, next(delays))
                continue
            except Exception as error:
                log.exception("a broker could not be opened", extra={"fields": {"broker": self._name}})
                self._wait_after(from_os(error), next(delays))
                continue
            if (lost := self._serve(link)) is not None:
                self._bus.publish(BrokerLost(broker=self._name, reason=str(lost)))
                if time.monotonic() - began_s > _HELD_S:
                    delays = self._delays()
                self._wait_after(lost, next(delays))
        self._note(BrokerState.OFF, None)

    def _delays(self) -> Iterator[float]:
        first_s = self.settings.reconnect_delay_ms / 1000
        return delays_s(first_s, max(first_s, _LONGEST_DELAY_S))

    def _wait_after(self, error: BrokerError, delay_s: float) -> None:
        self._note(BrokerState.WAITING, error)
        self._ending.wait(delay_s)

    def _note(self, state: BrokerState, trouble: BrokerError | None) -> None:
        is_news = (state, str(trouble)) != (self._state, str(self._trouble))
        if is_news and state is not BrokerState.CONNECTING:
            fields = {"broker": self._name, "state": state.value}
            if trouble is not None:
                log.warning("broker", extra={"fields": {**fields, "reason": str(trouble)}})
            else:
                log.info("broker", extra={"fields": fields})
        if BrokerState.CONNECTED in (state, self._state) and state is not self._state:
            self._since_s = time.monotonic()
        self._state, self._trouble = state, trouble
        if is_news:
            reason = str(trouble) if trouble is not None else ""
            self._bus.publish(BrokerStateChanged(broker=self._name, state=state, reason=reason))

    def _serve(self, link: Link) -> BrokerError | None:
        """Take messages until the connection is lost, to be made anew, or not wanted any more."""
        refresh_s = self.settings.refresh_s
        until_s = time.monotonic() + refresh_s if refresh_s else float("inf")
        self._link = link
        self._note(BrokerState.CONNECTED, None)
        try:
            while not self._ending.is_set() and time.monotonic() < until_s:
                if (message := link.receive(_LOOK_S)) is not None:
                    self._take(_Piece(link, message))
            while self._in_hand and not self._abandoning.is_set():
                link.receive(_LOOK_S / 10)  # acknowledges what is done; what comes now comes again
        except BrokerError as error:
            return error
        except Exception as error:
            log.exception("a broker failed", extra={"fields": {"broker": self._name}})
            return from_os(error)
        finally:
            self._link = None
            link.close()
        return None

    def _take(self, piece: _Piece) -> None:
        with self._lock:
            self._in_hand += 1
            self._counts["received"] += 1
            self._last_s = time.monotonic()
        while True:
            try:
                return self._inbox.put(piece, timeout=_LOOK_S)
            except queue.Full:
                if self._abandoning.is_set():
                    return None

    def _work(self) -> None:
        while (piece := self._inbox.get()) is not None:
            try:
                self._handle(piece)
            except Exception:
                log.exception("a message of a broker failed", extra={"fields": {"broker": self._name}})
            finally:
                with self._lock:
                    self._in_hand -= 1

    def _handle(self, piece: _Piece) -> None:
        message = piece.message
        if self._is_left(piece):
            return
        document: object = None
        try:
            if len(message.body) > _LONGEST_BODY:
                raise BadRequest("", f"longer than {_LONGEST_BODY} bytes")
            if message.deliveries > MOST_DELIVERIES:
                raise BadRequest("", "handed over too often")
            document = parse_json(message.body)
        except BadRequest as error:
            verdict, answer = Verdict.DEAD, Answer(answers.failure("", error), error)
        else:
            outcome = self._worked_on(piece, document)
            if outcome is None:
                return
            verdict, answer = outcome
        self._reply(document, answer)
        self._finish(piece, verdict, answer)

    def _worked_on(self, piece: _Piece, document: object) -> tuple[Verdict, Answer] | None:
        """Have it worked on until its outcome is final; None if it is left to the broker."""
        message, began_s, tries = piece.message, time.monotonic(), 0
        pauses = delays_s(_FIRST_AGAIN_S, _LONGEST_AGAIN_S)
        while True:
            held_s = time.monotonic() - began_s
            arrival = Arrival(
                token=message.token or message.body_token,
                is_repeat=bool(message.token) or message.is_redelivered or tries > 0,
                held_s=held_s,
            )
            origin = Origin(
                door=self._name, user=self.settings.topic, arrival=arrival if piece.link.keeps else None
            )
            answer = self._door.answer(document, origin)
            tries += 1
            verdict = judge(answer, tries)
            if verdict is not Verdict.AGAIN:
                return verdict, answer
            if not piece.link.keeps:
                return Verdict.DONE, answer
            self._count("later")
            if held_s > _GIVE_BACK_AFTER_S and piece.link.give_back(message):
                return None
            self._abandoning.wait(next(pauses))
            if self._is_left(piece):
                return None

    def _is_left(self, piece: _Piece) -> bool:
        """Whether the broker will hand it over again, so that nothing more is done with it here."""
        return piece.link.keeps and (piece.link is not self._link or self._abandoning.is_set())

    def _finish(self, piece: _Piece, verdict: Verdict, answer: Answer) -> None:
        link, message = piece.link, piece.message
        if verdict is Verdict.DEAD:
            fields = {"broker": self._name, "reason": str(answer.error), "bytes": len(message.body)}
            log.warning("nothing can be done with a message", extra={"fields": fields})
            self._count("dead")
            try:
                if link.bury(message, str(answer.error)):
                    return
            except BrokerError as error:
                # Kept in hand it would take the place of others for ever; of a lost connection it comes again.
                fields = {"broker": self._name, "reason": str(error)}
                log.error("a dead letter could not be kept", extra={"fields": fields})  # noqa: TRY400
        else:
            self._count("done")
        link.settle(message)

    def _reply(self, document: object, answer: Answer) -> None:
        """Answer on the topic that the caller named, if it did."""
        topic = document.get("callback_topic") if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or not isinstance(topic, str) or not topic:
            return
        if not re.fullmatch(TOPIC_PATTERN, topic) or topic in (self.settings.topic, self.settings.dead_topic):
            log.warning("no answer to such a topic", extra={"fields": {"broker": self._name}})
            return
        self._abandoning.wait(_delay_s(document.get("callback_delay")))
        link = self._link
        try:
            if link is not None:
                link.publish(topic, _written(answer.document))
        except BrokerError as error:
            # Whoever asked is told nothing; what was asked is done all the same.
            fields = {"broker": self._name, "reason": str(error)}
            log.warning("an answer could not be published", extra={"fields": fields})

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


def _delay_s(raw: object) -> float:
    """Read `callback_delay`, in milliseconds; older clients send it as text, or with a sign."""
    try:
        delay_ms = abs(float(raw)) if isinstance(raw, int | float | str) else _DEFAULT_CALLBACK_DELAY_MS
    except ValueError:
        delay_ms = _DEFAULT_CALLBACK_DELAY_MS
    # Not a number compares with nothing, and would be waited for no time.
    return min(delay_ms, _LONGEST_CALLBACK_DELAY_MS) / 1000 if delay_ms >= 0 else 0.0


def _written(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
