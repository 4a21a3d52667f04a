"""The loop that all brokers have in common: connect, take, have it worked on, answer, acknowledge, begin again."""

import contextlib
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
from otppi.lib.faults import fault
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
_MOST_REMEMBERED = 1_000  # messages that were given back
_REFRESH_GRACE_S = 10.0  # for what is in hand when the connection is made anew while all is well
_LEAVE_S = 5.0  # for a library that does not come back
# A worker waits so long; more would keep others from being worked on.
_DEFAULT_CALLBACK_DELAY_MS, _LONGEST_CALLBACK_DELAY_MS = 10, 1_000
_UNSURE = frozenset({Trouble.TIMEOUT, Trouble.LOST})


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
        self._broken: BrokerError | None = None  # what a worker found, so that the connection is made anew
        self._came_s: dict[str, float] = {}  # when what was given back came first, by token; under the lock
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
        until_s = time.monotonic() + _LEAVE_S
        self._thread.join(_LEAVE_S)
        for _ in self._workers:
            with contextlib.suppress(queue.Full):
                self._inbox.put(None, timeout=_LOOK_S)
        for worker in self._workers:
            worker.join(max(0.0, until_s - time.monotonic()))  # one that still waits for a modem ends with it

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
            self._broken = None
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
        trouble = trouble.without(self.settings.password) if trouble is not None else None
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
                if self._broken is not None:
                    return self._broken
                if (message := link.receive(_LOOK_S)) is not None:
                    self._take(_Piece(link, message))
            self._drain(link)
        except BrokerError as error:
            return error
        except Exception as error:
            log.exception("a broker failed", extra={"fields": {"broker": self._name}})
            return from_os(error)
        finally:
            self._link = None
            try:
                link.close()
            except Exception:
                log.exception("a broker could not be closed", extra={"fields": {"broker": self._name}})
        return None

    def _drain(self, link: Link) -> None:
        """Let what is in hand end before the connection is closed."""
        is_ending = self._ending.is_set()
        until_s = float("inf") if is_ending else time.monotonic() + _REFRESH_GRACE_S
        while self._in_hand and not self._abandoning.is_set() and time.monotonic() < until_s:
            if link.keeps:
                link.receive(_LOOK_S / 10)  # acknowledges what is done; what comes now comes again
            elif is_ending:
                self._abandoning.wait(_LOOK_S / 10)
            else:
                return  # the workers go on, and whatever came meanwhile would be lost

    def _take(self, piece: _Piece) -> None:
        if not piece.link.keeps and len(piece.message.body) > _LONGEST_BODY:
            # Nobody bounds how many of these could wait here.
            self._count("dead")
            log.warning("too long a message", extra={"fields": {"broker": self._name}})
            return
        with self._lock:
            self._in_hand += 1
            self._counts["received"] += 1
            self._last_s = time.monotonic()
        while True:
            try:
                return self._inbox.put(piece, timeout=_LOOK_S)
            except queue.Full:
                if self._ending.is_set():
                    with self._lock:
                        self._in_hand -= 1
                    return None

    def _work(self) -> None:
        while (piece := self._inbox.get()) is not None:
            try:
                self._handle(piece)
            except Exception as error:  # noqa: BLE001 - logged without its text
                # A fault of ours. Kept in hand it would take the place of others, at every start anew.
                fields = {"broker": self._name, **fault(error)}
                log.error("a message of a broker failed", extra={"fields": fields})  # noqa: TRY400 - see `fault`
                self._finish(piece, Verdict.DEAD, "internal error")
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
        self._finish(piece, verdict, str(answer.error) if answer.error is not None else "")

    def _worked_on(self, piece: _Piece, document: object) -> tuple[Verdict, Answer] | None:
        """Have it worked on until its outcome is final; None if it is left to the broker."""
        link, message = piece.link, piece.message
        data = document.get("data") if isinstance(document, Mapping) else None
        is_for_one_modem = isinstance(data, Mapping) and bool(data.get("modem_id"))
        # Publishers may give many messages the same name.
        token = f"{message.token} {message.body_token}"
        began_s, tries = time.monotonic(), 0
        with self._lock:
            came_s = self._came_s.pop(token, began_s)
        pauses = delays_s(_FIRST_AGAIN_S, _LONGEST_AGAIN_S)
        while True:
            held_s = time.monotonic() - began_s
            # What is worked on again here was surely not sent, but for the others of a list.
            is_again_here = tries > 0 and isinstance(data, list)
            arrival = Arrival(
                token=token,
                is_repeat=bool(message.token) or message.is_redelivered or is_again_here,
                held_s=held_s,
            )
            origin = Origin(
                door=self._name, user=self.settings.topic, arrival=arrival if link.keeps else None
            )
            answer = self._door.answer(document, origin)
            tries += 1
            waited_s = time.monotonic() - came_s
            verdict = judge(answer, tries, waited_s, is_for_one_modem=is_for_one_modem)
            if verdict <= Verdict.DEAD:
                return verdict, answer
            if not link.keeps:
                return Verdict.DONE, answer
            self._count("later")
            if verdict is Verdict.LATER and held_s > _GIVE_BACK_AFTER_S:
                self._remember(token, came_s)
                if link.give_back(message):
                    return None
            self._ending.wait(next(pauses))
            if self._is_left(piece):
                return None

    def _remember(self, token: str, came_s: float) -> None:
        with self._lock:
            while len(self._came_s) >= _MOST_REMEMBERED:
                del self._came_s[next(iter(self._came_s))]
            self._came_s[token] = came_s

    def _is_left(self, piece: _Piece) -> bool:
        """Whether nothing more is done with it here: the broker hands it over again, or has lost it with us."""
        if not piece.link.keeps:
            return self._abandoning.is_set()
        return piece.link is not self._link or self._ending.is_set()

    def _finish(self, piece: _Piece, verdict: Verdict, reason: str) -> None:
        link, message = piece.link, piece.message
        if verdict is not Verdict.DEAD:
            self._count("done")
            link.settle(message)
            return
        fields = {"broker": self._name, "reason": reason, "bytes": len(message.body)}
        log.warning("nothing can be done with a message", extra={"fields": fields})
        self._count("dead")
        try:
            link.bury(message, reason)
        except BrokerError as error:
            fields = {"broker": self._name, "reason": str(error)}
            log.error("a dead letter could not be kept", extra={"fields": fields})  # noqa: TRY400
            if link is not self._link:
                return  # it comes again
            if error.trouble in _UNSURE:
                self._broken = error  # and so does it on the next connection
                return
            # Where the broker refuses it, it would be in hand for ever and take the place of others.
        link.settle(message)

    def _reply(self, document: object, answer: Answer) -> None:
        """Answer on the topic that the caller named, if it did."""
        topic = document.get("callback_topic") if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or not isinstance(topic, str) or not topic:
            return
        settings = self.settings
        # STOMP lets the caller choose between the two; nothing is said where requests are taken from, or news are told.
        name = topic.removeprefix("/queue/").removeprefix("/topic/")
        taken = (settings.topic, settings.dead_topic, settings.received_topic)
        if not re.fullmatch(TOPIC_PATTERN, topic) or name.startswith("/") or name in taken:
            log.warning("no answer to such a topic", extra={"fields": {"broker": self._name}})
            return
        self._abandoning.wait(_delay_s(document.get("callback_delay")))
        link = self._link
        try:
            if link is not None:
                link.publish(topic, _written(answer.document))
        except Exception as error:  # noqa: BLE001 - what was asked is done, and must be settled
            fields = {
                "broker": self._name,
                "reason": str(error) if isinstance(error, BrokerError) else type(error).__name__,
            }
            log.warning("an answer could not be published", extra={"fields": fields})

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


def _delay_s(raw: object) -> float:
    """Read `callback_delay`, in milliseconds; older clients send it as text, or with a sign."""
    try:
        delay_ms = abs(float(raw)) if isinstance(raw, int | float | str) else _DEFAULT_CALLBACK_DELAY_MS
    except (ValueError, OverflowError):
        delay_ms = _DEFAULT_CALLBACK_DELAY_MS
    # Not a number compares with nothing, and would be waited for no time.
    return min(delay_ms, _LONGEST_CALLBACK_DELAY_MS) / 1000 if delay_ms >= 0 else 0.0


def _written(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
