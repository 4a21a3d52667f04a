"""Redis: a stream that a group of devices divides, or a channel as older publishers use it.

A link reads on one connection and has others for everything else, so that an answer never waits for a message.
"""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from redis import exceptions

from otppi.brokers.device_name import device_name
from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.heartbeat import Heartbeat
from otppi.brokers.link import DEAD_LIFE_S, Link, Message
from otppi.brokers.reach import context_for, explained
from otppi.brokers.settings import RedisSettings
from otppi.brokers.tls import secured

_FIELD = b"json"
# How often pending entries are looked after; no reply of the broker takes longer.
_LOOK_EVERY_S = 10.0
# An entry that no device has looked after for so long is anybody's. A device that lives does so many times in between.
_ABANDONED_S = 60.0
# What this device has given back is for others first.
_OTHERS_FIRST_S = 15.0
_MOST_PENDING = 1_000  # at one look
_MOST_DEAD = 10_000

# A publisher in PHP asks first and listens afterwards.
_LISTENER_LATE_S, _LISTENER_LOOK_S = 3.0, 0.05


def probe(settings: RedisSettings) -> str:
    """See `Kind.probe`."""
    let_in = "The broker let this device in."
    if not settings.is_durable:
        ChannelLink(settings).close()
        return let_in
    link = _RedisLink(settings)
    try:
        with _translating():
            # Settles nothing; but who may not settle is told so.
            link.client.xack(settings.topic, settings.group, "0-1")
            return f"{let_in} Messages in the stream: {link.client.xlen(settings.topic)}."
    finally:
        link.close()


def open_link(settings: RedisSettings, most_in_hand: int) -> Link:
    """See `Kind.open`."""
    return StreamLink(settings, most_in_hand) if settings.is_durable else ChannelLink(settings)


class _RedisLink:
    """What both modes have in common."""

    def __init__(self, settings: RedisSettings) -> None:
        """Connect and log in; raises BrokerError."""
        self._settings = settings
        self._pool = _pool(settings)
        self._closed = threading.Event()
        self._reader = self._pool.make_connection()
        self.client = redis.Redis(connection_pool=self._pool)
        try:
            with _translating():
                self._reader.send_command("PING")
                self._reader.read_response()
        except BrokerError as error:
            self.close()
            raise _explained(error, settings) from error

    def publish(self, topic: str, body: bytes) -> None:
        """See `Link`; to the channel of that name, again and again until somebody listens."""
        is_for_caller = topic != self._settings.received_topic
        until_s = time.monotonic() + (_LISTENER_LATE_S if is_for_caller else 0.0)
        while not self._closed.is_set():
            with _translating():
                if self.client.publish(topic, body):
                    return
            if time.monotonic() >= until_s:
                raise BrokerError(Trouble.UNHEARD, topic)
            self._closed.wait(_LISTENER_LOOK_S)
        raise BrokerError(Trouble.LOST)

    def close(self) -> None:
        """See `Link`."""
        self._closed.set()
        with contextlib.suppress(Exception):
            self._reader.disconnect()
        with contextlib.suppress(Exception):
            # What others are about to say on theirs may still be said.
            self._pool.disconnect(inuse_connections=False)


class ChannelLink(_RedisLink):
    """See `Link`; the compatible mode."""

    keeps = False

    def __init__(self, settings: RedisSettings) -> None:
        """Connect and subscribe; raises BrokerError."""
        super().__init__(settings)
        self._heartbeat = Heartbeat(settings.timeout_s)
        try:
            with _translating():
                self._reader.send_command("SUBSCRIBE", settings.topic)
                self._reader.read_response()
        except BrokerError:
            self.close()
            raise

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        until_s = time.monotonic() + timeout_s
        with _translating():
            while self._reader.can_read(max(until_s - time.monotonic(), 0)):
                reply = self._reader.read_response()
                self._heartbeat.heard()
                if reply[0] == b"message":
                    return Message(body=reply[2])
            if self._heartbeat.must_ask():
                self._reader.send_command("PING")
        return None

    def settle(self, message: Message) -> None:
        """See `Link`."""

    def give_back(self, message: Message) -> bool:  # noqa: ARG002 - it is gone from the broker already
        """See `Link`."""
        return False

    def bury(self, message: Message, reason: str) -> bool:  # noqa: ARG002 - there is no place for it
        """See `Link`."""
        return False


@dataclass(frozen=True)
class _Entry:
    id: bytes
    fields: Mapping[bytes, bytes] = field(repr=False)


class StreamLink(_RedisLink):
    """See `Link`; the durable mode.

    Redis keeps a list of pending entries for the group: who was given which, how often, and how long ago. What is in
    hand is called our own again and again, however long it waits for a modem; what a device had that died is not
    called so any more, and others take it.
    """

    keeps = True

    def __init__(self, settings: RedisSettings, most_in_hand: int) -> None:
        """Connect and join the group; raises BrokerError."""
        super().__init__(settings)
        self._most_in_hand = most_in_hand
        self._me = settings.consumer or device_name()
        self._given_back_by_me = f"{self._me}.given-back"  # of which no device takes care
        self._inbox: deque[Message] = deque()
        self._lock = threading.Condition()  # of what is in hand; tells of room for more
        self._in_hand: set[bytes] = set()
        self._owning = threading.Lock()  # held while we say whose an entry is
        self._failure: BrokerError | None = None
        self._next_of_mine: bytes | None = b"0"  # what we had before we connected comes first
        self._reply_due_s: float | None = None  # while a request is under way
        self._look_due_s = 0.0
        self._look_from: bytes = b"-"
        self._is_ours_alone = False
        try:
            with _translating():
                self._join()
        except BrokerError:
            self.close()
            raise

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        until_s = time.monotonic() + timeout_s
        with _translating():
            while not self._inbox:
                try:
                    if not self._is_next_there(max(until_s - time.monotonic(), 0)):
                        return None
                except exceptions.ResponseError as error:
                    if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                        raise
                    self._join()  # somebody has deleted the stream
        return self._inbox.popleft()

    def settle(self, message: Message) -> None:
        """See `Link`."""
        if self._closed.is_set():
            return
        entry: _Entry = message.handle
        settings = self._settings
        try:
            with _translating(), self.client.pipeline(transaction=False) as settling:
                settling.xack(settings.topic, settings.group, entry.id)
                if self._is_ours_alone:
                    settling.xdel(settings.topic, entry.id)
                _results(settling)
        except BrokerError as error:
            self._failure = error  # a new connection finds it pending
        self._let_go(entry)

    def give_back(self, message: Message) -> bool:
        """See `Link`."""
        entry: _Entry = message.handle
        if self._closed.is_set():
            return True
        try:
            with _translating(), self._owning:
                # It did no harm here, so it counts as if it had never been handed over.
                abandoned = {"idle": _ms(_ABANDONED_S), "retrycount": 0, "justid": True}
                self._claim(self._given_back_by_me, [entry.id], **abandoned)
                self._let_go(entry)
        except BrokerError:
            return False
        return True

    def bury(self, message: Message, reason: str) -> bool:
        """See `Link`."""
        entry: _Entry = message.handle
        dead = self._settings.dead_topic
        if _FIELD not in entry.fields:
            reason = f"it has no field {_FIELD.decode()}"
        fields: dict[Any, Any] = {**entry.fields, b"reason": reason[:200].encode()}
        if self._closed.is_set():
            return False
        with _translating():
            self.client.xadd(dead, fields, maxlen=_MOST_DEAD)
            self.client.expire(dead, int(DEAD_LIFE_S))
        return True

    def _join(self) -> None:
        self._reply_due_s = None
        try:
            # From the beginning: what was published before the first device came is wanted as well.
            self.client.xgroup_create(self._settings.topic, self._settings.group, id="0", mkstream=True)
        except exceptions.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _is_next_there(self, timeout_s: float) -> bool:
        """Do the next step towards a message; False if there is none in time."""
        if self._failure is not None:
            raise self._failure
        if self._reply_due_s is None:
            self._look_after_pending()
            if self._inbox:
                return True
            if not self._request():
                with self._lock:
                    return self._lock.wait_for(self._room, timeout_s) > 0
        if not self._reader.can_read(timeout_s):
            if self._reply_due_s is not None and time.monotonic() > self._reply_due_s:
                raise BrokerError(Trouble.TIMEOUT)
            return False
        self._reply_due_s = None
        self._take_reply(self._reader.read_response())
        return True

    def _room(self) -> int:
        return self._most_in_hand - len(self._in_hand)

    def _request(self) -> bool:
        """Ask for as many as may still be in hand; False if that is none."""
        settings, room = self._settings, self._room()
        if room <= 0:
            return False
        self._reader.send_command(
            *("XREADGROUP", "GROUP", settings.group, self._me, "COUNT", room),
            *("BLOCK", _ms(_LOOK_EVERY_S), "STREAMS", settings.topic, self._next_of_mine or ">"),
        )
        self._reply_due_s = time.monotonic() + _LOOK_EVERY_S + settings.timeout_s
        return True

    def _take_reply(self, reply: Any) -> None:  # noqa: ANN401 - the library's
        entries = reply[0][1] if reply else []
        if self._next_of_mine is None:
            self._take([_Entry(id, _paired(flat)) for id, flat in entries])
        elif entries:
            first, last = entries[0][0], entries[-1][0]
            self._next_of_mine = last
            if deleted := [id for id, flat in entries if flat is None]:
                self.client.xack(self._settings.topic, self._settings.group, *deleted)
            pending = self._pending(self.client, first, last, self._me)
            self._take(
                [_Entry(id, _paired(flat)) for id, flat in entries if flat is not None],
                {one["message_id"]: one["times_delivered"] for one in pending},
            )
        else:
            self._next_of_mine = None

    def _look_after_pending(self) -> None:
        """Now and then keep what is in hand from others, and take what no device has in hand any more."""
        now_s = time.monotonic()
        if now_s < self._look_due_s:
            return
        self._look_due_s = now_s + _LOOK_EVERY_S
        with self._owning:
            with self.client.pipeline(transaction=False) as looking:
                looking.xinfo_groups(self._settings.topic)
                self._pending(looking, "-", "+", self._me)
                self._pending(looking, self._look_from, "+")
                groups, mine, everybodys = _results(looking)
            if kept := [one["message_id"] for one in mine if one["message_id"] in self._in_hand]:
                self._claim(self._me, kept, justid=True)
        # Another group would miss what we delete.
        self._is_ours_alone = len(groups) == 1
        if self._next_of_mine is None:
            self._take_over(everybodys)

    def _take_over(self, pending: Sequence[Mapping[str, Any]]) -> None:
        abandoned = {
            one["message_id"]: one["times_delivered"] + 1
            for one in pending
            if one["message_id"] not in self._in_hand and self._is_abandoned(one)
        }
        wanted = list(abandoned)[: max(self._room(), 0)]
        # What waits, or what nobody can do anything with, must not hide for ever what is newer.
        if len(wanted) == len(abandoned):
            self._look_from = _behind(pending[-1]["message_id"]) if len(pending) == _MOST_PENDING else b"-"
        elif wanted:
            self._look_from = _behind(wanted[-1])
        if wanted:
            # Of several devices that want it one is the first, and then it is not abandoned any more.
            claimed = self._claim(self._me, wanted, min_idle_time=_ms(_ABANDONED_S))
            self._take([_Entry(id, fields) for id, fields in claimed if id is not None], abandoned)

    def _is_abandoned(self, pending: Mapping[str, Any]) -> bool:
        is_of_others_first = pending["consumer"].decode() == self._given_back_by_me
        after_s = _ABANDONED_S + _OTHERS_FIRST_S if is_of_others_first else _ABANDONED_S
        return bool(pending["time_since_delivered"] >= _ms(after_s))

    def _pending(self, client: redis.Redis, first: Any, last: Any, consumer: str | None = None) -> Any:  # noqa: ANN401 - the library's
        settings = self._settings
        return client.xpending_range(settings.topic, settings.group, first, last, _MOST_PENDING, consumer)

    def _claim(self, consumer: str, ids: list[Any], *, min_idle_time: int = 0, **how: Any) -> Any:  # noqa: ANN401 - the library's
        settings = self._settings
        return self.client.xclaim(settings.topic, settings.group, consumer, min_idle_time, ids, **how)

    def _take(self, entries: Sequence[_Entry], deliveries: Mapping[bytes, int] | None = None) -> None:
        """Put entries into the inbox; those that were handed over before have a number of deliveries."""
        for entry in entries:
            count = 1 if deliveries is None else deliveries.get(entry.id, 2)
            with self._lock:
                self._in_hand.add(entry.id)
            self._inbox.append(
                Message(
                    body=entry.fields.get(_FIELD, b""),
                    handle=entry,
                    token=f"redis {entry.id.decode()}",
                    is_redelivered=deliveries is not None,
                    deliveries=count,
                )
            )

    def _let_go(self, entry: _Entry) -> None:
        with self._lock:
            self._in_hand.discard(entry.id)
            self._lock.notify_all()


class _TlsConnection(redis.Connection):
    """A connection with a context of ours: that of the library can be given no certificate but as a file."""

    def __init__(self, *, context: ssl.SSLContext, **kwargs: Any) -> None:  # noqa: ANN401 - the library's
        self._context = context
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]

    def _connect(self) -> ssl.SSLSocket:
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        return secured(plain, self._context, self.host)


def _pool(settings: RedisSettings) -> Any:  # noqa: ANN401 - half of what its connections do has no types
    tls: dict[str, Any] = {}
    if settings.tls:
        tls = {"connection_class": _TlsConnection, "context": context_for(settings)}
    return redis.ConnectionPool(
        host=settings.host,
        port=settings.port,
        db=settings.database if settings.is_durable else 0,
        username=settings.username or None,
        password=settings.password or None,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        protocol=2,  # older servers know no other
        driver_info=None,  # a user of few rights may not say which library he has
        **tls,
    )


def _results(pipeline: "redis.client.Pipeline") -> list[Any]:
    # The library itself would raise errors with the commands in them.
    results = pipeline.execute(raise_on_error=False)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def _paired(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _behind(id: bytes) -> bytes:
    # As a range that leaves its beginning out, which Redis 5 does not have.
    milliseconds, number = id.split(b"-")
    return b"%b-%d" % (milliseconds, int(number) + 1)


def _ms(duration_s: float) -> int:
    return int(duration_s * 1000)


def _explained(error: BrokerError, settings: RedisSettings) -> BrokerError:
    """Return what is behind an error: one without TLS waits for more when TLS begins to speak to it."""
    if not settings.tls or error.trouble is not Trouble.TIMEOUT:
        return explained(error, settings)
    try:
        _RedisLink(replace(settings, tls=False, username="", password="")).close()
    except BrokerError as plain:
        is_plain = plain.trouble is Trouble.LOGIN
    else:
        is_plain = True
    return BrokerError(Trouble.NOT_TLS) if is_plain else error


@contextlib.contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except exceptions.RedisError as error:
        raise translated(error) from error


def translated(error: exceptions.RedisError) -> BrokerError:
    """Return what an error of the library is for the owner."""
    # Of a command that is unknown it repeats what came with it.
    text = str(error).partition(", with args")[0][:200]
    match error:
        case exceptions.NoPermissionError():
            return BrokerError(Trouble.FORBIDDEN, text)
        case exceptions.AuthenticationError() | exceptions.AuthorizationError():
            return BrokerError(Trouble.LOGIN, text)
        case exceptions.TimeoutError():
            return BrokerError(Trouble.TIMEOUT)
        case exceptions.InvalidResponse():
            return BrokerError(Trouble.OTHER_PROTOCOL)
        case exceptions.BusyLoadingError():
            return BrokerError(Trouble.REFUSAL, text)
        case exceptions.ResponseError() if text.startswith("WRONGTYPE"):
            return BrokerError(Trouble.OTHER_QUEUE)
        case exceptions.ResponseError() if re.match("unknown command .X", text):
            return BrokerError(Trouble.NO_STREAMS)
        case exceptions.ResponseError():
            return BrokerError(Trouble.REFUSAL, text)
    return from_os(error)
