"""Live news: what the bus tells, as open pages hear it, by a stream or by asking every few seconds."""

import itertools
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bottle

from otppi.gateway.rights import Role
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.events import (
    BalanceLow,
    BrokerLost,
    BrokerStateChanged,
    DdnsChanged,
    DeliveryReported,
    DeviceNotice,
    HostStrained,
    JobChanged,
    MailAccountChanged,
    MessageFinished,
    MessageTaken,
    ModemStateChanged,
    NetworkOnTrial,
    Outcome,
    ResetByStick,
    SettingsChanged,
    SmsReceived,
)
from otppi.model.mail import MailState
from otppi.model.modems import ModemState
from otppi.web.outcomes import BROKERS
from otppi.web.words import Words, words_for
from otppi.wsgi.streams import Streams

# Nobody sees so small a delay, and under load one waking serves many messages.
_LAG_S = 0.2
_REMEMBERED = 200
_NOTICES_REMEMBERED = 20
_PING_EVERY_S = 1.0
# Of each message two things are told. Nobody reads faster, and a page that draws more is of no use either.
_MOST_TRAFFIC_PER_S = 10
_SAME_NOTICE_AGAIN_S = 5.0
# What changes what a page shows: it fetches that anew.
_PINGS: Mapping[type, str] = {
    ModemStateChanged: "modems",
    BrokerStateChanged: "brokers",
    MailAccountChanged: "email",
    DdnsChanged: "ddns",
    SmsReceived: "inbox",
    DeliveryReported: "reports",
    NetworkOnTrial: "network",
    SettingsChanged: "settings",
    JobChanged: "jobs",
    DeviceNotice: "devices",
}
_TRAFFIC = (MessageTaken, MessageFinished)
_NOTICED = (BrokerLost, HostStrained, BalanceLow, ResetByStick)
_LEAST_ROLE: Mapping[str, Role] = {"inbox": Role.OPERATOR}

Listeners = tuple[str, Role]
"""Those who are told the same in the same words: language and role."""

Say = Callable[[Words], dict[str, Any]]
"""Puts what is told into the words of whoever reads it."""


@dataclass(frozen=True)
class _News:
    number: int
    topic: str
    at_wall_s: float
    say: Say

    def may_hear(self, role: Role) -> bool:
        return role.includes(_LEAST_ROLE.get(self.topic, Role.VIEWER))

    def as_json(self, words: Words) -> dict[str, Any]:
        return {"id": self.number, "topic": self.topic, "at": round(self.at_wall_s, 3), **self.say(words)}

    def as_event(self, words: Words) -> bytes:
        """Write it as a server-sent event."""
        return f"id: {self.number}\ndata: {json.dumps(self.as_json(words))}\n\n".encode("ascii")


class Live:
    """Hears the bus on the thread `bus:live`; every method may be called from any thread."""

    def __init__(self, bus: Bus, streams: Streams[Listeners], clock: Clock) -> None:
        """Subscribe to the bus."""
        self._streams = streams
        self._clock = clock
        self._lock = threading.Lock()
        # By the wall clock, so that a page cannot take a number of an earlier life of the service for one of this.
        self._first = int(clock.wall_s() * 1000) + 1
        self._numbers = itertools.count(self._first)
        self._news: deque[_News] = deque(maxlen=_REMEMBERED)
        self._notices: deque[_News] = deque(maxlen=_NOTICES_REMEMBERED)
        self._pings = _Pings(self._tell)
        # What failed is not left out for what went well.
        self._samples = {one: _Sample() for one in (("taken", False), ("traffic", False), ("traffic", True))}
        self._wording = _Wording()
        bus.subscribe("live", self._hear, *_PINGS, *_TRAFFIC, *_NOTICED, lag_s=_LAG_S)

    def stop(self) -> None:
        """Tell nothing that is held back any more."""
        self._pings.stop()

    def newest(self) -> int:
        """Return the number of what was told last: a page that is made now asks for what comes after it."""
        with self._lock:
            return self._newest()

    def since(self, language: str, role: Role, after: int) -> dict[str, Any]:
        """Return what was told after a number, for pages that ask.

        `missed` says that there was more than is remembered, or that the number is of an earlier life of the service:
        then a page fetches everything anew. `newest` is the number for the next time.
        """
        with self._lock:
            news, newest, missed = tuple(self._after(after, role)), self._newest(), self._has_missed(after)
        words = words_for(language)
        return {"news": [one.as_json(words) for one in news], "newest": newest, "missed": missed}

    def notices(self, language: str) -> list[dict[str, Any]]:
        """Return the last notices, the newest first, for a page that is made now."""
        with self._lock:
            notices = tuple(self._notices)
        words = words_for(language)
        return [one.as_json(words) for one in reversed(notices)]

    def stream(
        self,
        language: str,
        role: Role,
        last_id: int,
        environ: Mapping[str, Any],
        is_allowed: Callable[[], bool],
    ) -> bottle.HTTPResponse:
        """Answer with a stream of what is told after a number, or 503 where there are too many streams.

        An event of the topic `missed` says what `missed` says in `since`.
        """

        def begin(start: Callable[[bytes], None]) -> None:
            words = words_for(language)
            # Nothing is told between what the stream begins with and its beginning.
            with self._lock:
                missed = (_News(self._newest(), "missed", self._clock.wall_s(), lambda _: {}),)
                news = missed if self._has_missed(last_id) else self._after(last_id, role)
                start(b"".join(one.as_event(words) for one in news))

        return self._streams.open(environ, key=(language, role), is_allowed=is_allowed, begin=begin)

    def _newest(self) -> int:
        return self._news[-1].number if self._news else self._first - 1

    def _has_missed(self, after: int) -> bool:
        oldest = self._news[0].number if self._news else self._first
        return not oldest - 1 <= after <= self._newest()

    def _after(self, after: int, role: Role) -> Iterator[_News]:
        return (one for one in self._news if one.number > after and one.may_hear(role))

    def _hear(self, event: object) -> None:
        if isinstance(event, MessageTaken | MessageFinished):
            self._hear_traffic(event)
            return
        for level, sentence in self._wording.of(event):
            self._tell("notice", _noticed(level, sentence))
        if (topic := _PINGS.get(type(event))) is not None:
            self._pings.ping(topic)

    def _hear_traffic(self, event: MessageTaken | MessageFinished) -> None:
        topic = "taken" if isinstance(event, MessageTaken) else "traffic"
        fails = isinstance(event, MessageFinished) and event.outcome is not Outcome.SENT
        left_out = self._samples[topic, fails].take()
        if left_out is None:
            return
        say = _taken(event) if isinstance(event, MessageTaken) else _finished(event)
        self._tell(topic, lambda words: {**say(words), "left_out": left_out})

    def _tell(self, topic: str, say: Say) -> None:
        with self._lock:
            news = _News(next(self._numbers), topic, self._clock.wall_s(), say)
            self._news.append(news)
            if topic == "notice":
                self._notices.append(news)
            rendered: dict[str, bytes] = {}
            for language, role in self._streams.listened_to():
                if news.may_hear(role):
                    if language not in rendered:
                        rendered[language] = news.as_event(words_for(language))
                    self._streams.send((language, role), rendered[language])


class _Pings:
    """Tells the same at most once a second, and the last of many always."""

    def __init__(self, tell: Callable[[str, Say], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._next_s: dict[str, float] = {}  # monotonic: when the topic may be told again
        self._held_back: dict[str, threading.Timer] = {}
        self._is_stopped = False

    def ping(self, topic: str) -> None:
        with self._lock:
            wait_s = self._next_s.get(topic, 0.0) - time.monotonic()
            if wait_s > 0:
                self._hold_back(topic, wait_s)
                return
            self._next_s[topic] = time.monotonic() + _PING_EVERY_S
        self._tell(topic, lambda _: {})

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            timers = tuple(self._held_back.values())
        for timer in timers:
            timer.cancel()
            timer.join()

    def _hold_back(self, topic: str, wait_s: float) -> None:
        if topic in self._held_back or self._is_stopped:
            return
        self._held_back[topic] = timer = threading.Timer(wait_s, self._release, [topic])
        timer.daemon = True
        timer.start()

    def _release(self, topic: str) -> None:
        with self._lock:
            del self._held_back[topic]
            self._next_s[topic] = 0.0
        self.ping(topic)


class _Sample:
    """Lets so much of the traffic through as somebody can look at; used by one thread."""

    def __init__(self) -> None:
        self._second_ends_s = -math.inf
        self._taken = 0
        self._left_out = 0

    def take(self) -> int | None:
        """Return how many were left out just before this one; None if this one is left out."""
        now_s = time.monotonic()
        if now_s >= self._second_ends_s:
            self._second_ends_s, self._taken = now_s + 1.0, 0
        if self._taken >= _MOST_TRAFFIC_PER_S:
            self._left_out += 1
            return None
        self._taken += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


def _taken(event: MessageTaken) -> Say:
    return lambda _: {
        "message": event.message_id,
        "door": event.door,
        "user": event.user,
        "modem": event.modem_name,
        "modem_id": event.modem_id,
        "channel": event.channel.value,
        "number": event.masked_number,
    }


def _finished(event: MessageFinished) -> Say:
    return lambda words: {
        "message": event.message_id,
        "door": event.door,
        "user": event.user,
        "modem": event.modem_name,
        "modem_id": event.modem_id,
        "channel": event.channel.value,
        "number": event.masked_number,
        "parts": event.parts,
        "outcome": event.outcome.value,
        "reason": words.said(event.reason),
        "seconds": round(event.duration_s, 3),
        "late": event.late,
    }


# -- notices

Sentence = Callable[[Words], str]
Notice = tuple[str, Sentence]  # level: good, note, warn or bad


def _noticed(level: str, sentence: Sentence) -> Say:
    return lambda words: {"level": level, "text": sentence(words)}


# What is one trouble to whoever owns the modem.
_TROUBLE = frozenset({ModemState.HUNG, ModemState.RECOVERING})
_STRAINED: Mapping[str, Sentence] = {
    "temperature": lambda words: words("The device is too hot. Give it air and keep it out of the sun."),
    "voltage": lambda words: words(
        "The power supply of the device is too weak: its voltage is too low. Modems may fail."
    ),
    "memory": lambda words: words("The device is short of memory. A restart helps."),
}
_RECOVERED: Mapping[str, Sentence] = {
    "temperature": lambda words: words("The device has cooled down."),
    "voltage": lambda words: words("The voltage of the power supply is high enough again."),
    "memory": lambda words: words("The device has enough memory again."),
}


class _Wording:
    """Says what an owner should know of an event, once; used by one thread."""

    def __init__(self) -> None:
        self._modems: dict[str, object] = {}  # what was said of each modem last
        self._devices: dict[tuple[str, bool], float] = {}  # when it was said, monotonic

    def of(self, event: object) -> Iterable[Notice]:
        """Return the notices for an event; most have none, and none has two."""
        match event:
            case ModemStateChanged():
                yield from self._of_modem(event)
            case DeviceNotice():
                yield from self._of_device(event)
            case BrokerLost():
                yield "warn", _broker_lost(event)
            case MailAccountChanged(state=MailState.FAILED):
                yield "bad", _mail_account_failed(event)
            case DdnsChanged(is_failure=True):
                yield "bad", _name_not_kept(event)
            case HostStrained():
                said = (_RECOVERED if event.is_over else _STRAINED).get(event.what)
                if said is not None:
                    yield "good" if event.is_over else "bad", said
            case NetworkOnTrial():
                yield from _of_network(event)
            case BalanceLow():
                yield "warn", _balance_low(event)
            case JobChanged(state="done" | "failed", title=title) if title:
                yield _job_ended(event)
            case ResetByStick():
                yield "warn", _reset_by_stick(event)

    def _of_modem(self, event: ModemStateChanged) -> Iterable[Notice]:
        before = self._modems.get(event.modem_id)
        kind = "trouble" if event.state in _TROUBLE else event.state
        if kind == before or (event.state is ModemState.SEARCHING and before is not ModemState.READY):
            return
        notice = _modem_notice(event)
        if notice is not None:
            self._modems[event.modem_id] = kind
            yield notice

    def _of_device(self, event: DeviceNotice) -> Iterable[Notice]:
        # A stick with four ports comes four times.
        what, now_s = (event.description, event.is_present), time.monotonic()
        if now_s < self._devices.get(what, -math.inf) + _SAME_NOTICE_AGAIN_S:
            return
        self._devices = {
            one: at_s for one, at_s in self._devices.items() if now_s < at_s + _SAME_NOTICE_AGAIN_S
        }
        self._devices[what] = now_s
        yield "note", _device_came_or_went(event)


def _modem_notice(event: ModemStateChanged) -> Notice | None:
    if event.is_vendor:
        return _vendor_notice(event)
    name, reason = event.modem_name, event.reason
    match event.state:
        case ModemState.READY:
            return "good", lambda words: words("Modem {name} is ready.", name=name)
        case ModemState.ABSENT:
            return "warn", lambda words: words(
                "Modem {name} is not there: {reason}", name=name, reason=words.said(reason)
            )
        case ModemState.SEARCHING:
            return "warn", lambda words: words("Modem {name} has lost the mobile network.", name=name)
        case ModemState.PIN_NEEDED:
            return "warn", lambda words: words("The SIM card in modem {name} needs its PIN.", name=name)
        case ModemState.PUK_BLOCKED:
            return "bad", lambda words: words(
                "The SIM card in modem {name} is blocked and needs its PUK.", name=name
            )
        case ModemState.SIM_BLOCKED:
            return "bad", lambda words: words(
                "The SIM card in modem {name} needs attention: {reason}", name=name, reason=words.said(reason)
            )
        case ModemState.HUNG | ModemState.RECOVERING:
            return "warn", lambda words: words(
                "Modem {name} does not answer. The device tries to bring it back.", name=name
            )
        case ModemState.FAILED:
            return "bad", lambda words: words(
                "Modem {name} has failed: {reason}", name=name, reason=words.said(reason)
            )
    return None


def _vendor_notice(event: ModemStateChanged) -> Notice | None:
    name, reason = event.modem_name, event.reason
    match event.state:
        case ModemState.READY:
            return "good", lambda words: words("The account {name} at an SMS vendor is ready.", name=name)
        case ModemState.RESTING:
            return "warn", lambda words: words(
                "The account {name} at an SMS vendor rests: {reason}", name=name, reason=words.said(reason)
            )
        case ModemState.FAILED:
            return "bad", lambda words: words(
                "The account {name} at an SMS vendor needs attention: {reason}",
                name=name,
                reason=words.said(reason),
            )
    return None


def _device_came_or_went(event: DeviceNotice) -> Sentence:
    what = event.description or event.name
    if event.is_present:
        return lambda words: words("Plugged in: {device}", device=what)
    return lambda words: words("Pulled out: {device}", device=what)


def _broker_lost(event: BrokerLost) -> Sentence:
    return lambda words: words(
        "The connection to the broker {broker} is lost: {reason}",
        broker=BROKERS.get(event.broker, event.broker),
        reason=words.said(event.reason),
    )


def _mail_account_failed(event: MailAccountChanged) -> Sentence:
    return lambda words: words(
        "The e-mail account {name} needs attention: {reason}",
        name=event.account_name,
        reason=words.said(event.reason),
    )


def _name_not_kept(event: DdnsChanged) -> Sentence:
    return lambda words: words(
        "The name {name} does not follow the address of the device: {reason}",
        name=event.host,
        reason=words.said(event.finding),
    )


def _of_network(event: NetworkOnTrial) -> Iterable[Notice]:
    if event.state == "trying":
        yield (
            "warn",
            lambda words: words(
                "The network was changed on trial. Without a confirmation it goes back by itself."
            ),
        )
    elif event.state == "confirmed":
        yield "good", lambda words: words("The change of the network was confirmed.")
    else:
        yield (
            "warn",
            lambda words: words(
                "The change of the network was taken back: {reason}", reason=words.said(event.reason)
            ),
        )


def _balance_low(event: BalanceLow) -> Sentence:
    if event.is_vendor:
        return lambda words: words(
            "The account {name} at an SMS vendor should be topped up: {reason}",
            name=event.modem_name,
            reason=words.said(event.reason),
        )
    return lambda words: words(
        "The SIM card in modem {name} should be topped up: {reason}",
        name=event.modem_name,
        reason=words.said(event.reason),
    )


def _job_ended(event: JobChanged) -> Notice:
    if event.state == "done":
        return "good", lambda words: words("Finished: {work}", work=words.said(event.title))
    return "bad", lambda words: words("This did not work: {work}", work=words.said(event.title))


def _reset_by_stick(event: ResetByStick) -> Sentence:
    if event.refusal:
        return lambda words: words(
            "The reset file on a USB stick was refused: {reason}", reason=words.said(event.refusal)
        )
    return lambda words: words(
        "A USB stick has reset these settings: {sections}",
        sections=", ".join(words.said(title) for title in event.sections),
    )
