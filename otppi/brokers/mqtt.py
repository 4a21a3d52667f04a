"""MQTT 3.1.1 and 5, as Mosquitto speaks them.

All work on the connection is done on the thread that calls `receive`, and others hand theirs over: the library would
write to the socket on any thread that acknowledges.
"""

import contextlib
import os
import secrets
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from otppi.brokers.device_name import device_name
from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.link import Message
from otppi.brokers.reach import context_for, explained
from otppi.brokers.settings import MqttSettings
from otppi.lib.wakeup import Wakeup

# The library asks after so long a silence and waits as long for an answer: a network that hangs is noticed in 30 s.
_KEEPALIVE_S = 15
_LOOK_S = 1.0  # how soon it sees that it must ask
_FAREWELL_S = 5.0
# Mosquitto before 2.0.13 hands over far more than may be in hand, and with MQTT 3.1.1 others may as well. So many wait
# here for each that may be in hand; the rest is left out, and asked for again.
_WAITING_FOR_EACH = 100
# Not every broker takes more at once, and the library does not heed what they say.
_PUBLISHED_AT_ONCE = 8

# MQTT 5, 2.4: reason codes; the library translates those of MQTT 3.1.1.
_PROTOCOL_ERROR, _NOT_AUTHORIZED, _KEEP_ALIVE_TIMEOUT = 130, 135, 141
_REFUSED_CONNECTIONS = {
    132: Trouble.OTHER_VERSION,
    133: Trouble.CLIENT_ID,
    134: Trouble.LOGIN,
    _NOT_AUTHORIZED: Trouble.LOGIN,
}
_REFUSED_SUBSCRIPTIONS = {
    128: Trouble.FORBIDDEN,  # the only one of MQTT 3.1.1
    _NOT_AUTHORIZED: Trouble.FORBIDDEN,
    158: Trouble.NO_GROUPS,
}
_REFUSED_PUBLICATIONS = {16: Trouble.UNHEARD, _NOT_AUTHORIZED: Trouble.FORBIDDEN}
_ENDED_CONNECTIONS = {_NOT_AUTHORIZED: Trouble.FORBIDDEN, 142: Trouble.TAKEN_OVER}


def probe(settings: MqttSettings) -> str:
    """See `Kind.probe`."""
    # In a group of its own: one that is in use would hand messages over to it.
    group = _random_name() if settings.share_group else ""
    with contextlib.closing(Wakeup()) as wakeup:
        _Connection(settings, _random_name(), group, wakeup, lambda _: None).close()
    return "The broker let this device in and takes its subscription."


def open_link(settings: MqttSettings, most_in_hand: int) -> "MqttLink":
    """See `Kind.open`."""
    return MqttLink(settings, most_in_hand)


class MqttLink:
    """See `Link`."""

    def __init__(self, settings: MqttSettings, most_in_hand: int) -> None:
        """Connect and subscribe; raises BrokerError."""
        self.keeps = settings.is_durable
        self._settings = settings
        self._most_in_hand = most_in_hand
        self._waiting: deque[Message] = deque()
        self._is_left_out = False  # whether anything is, and with it all that came later
        self._in_hand: set[int] = set()
        self._orders: deque[Callable[[], None]] = deque()  # of other threads
        self._lock = threading.Lock()
        self._is_closed = False
        self._wakeup = Wakeup()
        self._name = _name(settings)
        try:
            self._connection = self._connected()
        except BrokerError:
            self._wakeup.close()
            raise

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        until_s = time.monotonic() + timeout_s
        while True:
            self._carry_out_orders()
            if self._waiting and len(self._in_hand) < self._most_in_hand:
                message = self._waiting.popleft()
                if message.handle is not None:
                    self._in_hand.add(message.handle)
                return message
            if self._is_left_out and not self._waiting and not self._in_hand:
                self._is_left_out = False
                self._connection.close()
                self._connection = self._connected()
                continue  # it may have heard the wakeup
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return None
            self._connection.exchange(left_s)

    def settle(self, message: Message) -> None:
        """See `Link`."""
        if message.handle is not None:
            self._order(lambda: self._acknowledge(message.handle))

    def give_back(self, message: Message) -> bool:  # noqa: ARG002 - MQTT has no word for it
        """See `Link`."""
        return False

    def bury(self, message: Message, reason: str) -> bool:  # noqa: ARG002 - MQTT has no place for it
        """See `Link`."""
        return False

    def publish(self, topic: str, body: bytes) -> None:
        """See `Link`."""
        done: Future[None] = Future()
        if not self._order(lambda: self._connection.publish(topic, body, done)):
            raise BrokerError(Trouble.LOST)
        try:
            done.result(self._settings.timeout_s)
        except TimeoutError:
            raise BrokerError(Trouble.TIMEOUT) from None

    def close(self) -> None:
        """See `Link`."""
        with self._lock:
            self._is_closed = True
        self._carry_out_orders()
        self._connection.close()
        self._wakeup.close()

    def _connected(self) -> "_Connection":
        return _Connection(
            self._settings,
            self._name,
            self._settings.share_group,
            self._wakeup,
            self._came,
            receive_maximum=self._most_in_hand if self.keeps else None,
        )

    def _came(self, message: Message) -> None:
        if self.keeps and len(self._waiting) >= _WAITING_FOR_EACH * self._most_in_hand:
            self._is_left_out = True
        if not self._is_left_out:
            self._waiting.append(message)

    def _acknowledge(self, number: int) -> None:
        self._in_hand.discard(number)
        self._connection.acknowledge(number)

    def _order(self, order: Callable[[], None]) -> bool:
        """Have something done on the thread of the connection; False if that is closed."""
        with self._lock:
            if not self._is_closed:
                self._orders.append(order)
                self._wakeup.ring()
            return not self._is_closed

    def _carry_out_orders(self) -> None:
        while self._orders:
            self._orders.popleft()()


class _Connection:
    """One client that has subscribed, used by one thread."""

    def __init__(
        self,
        settings: MqttSettings,
        name: str,
        group: str,
        wakeup: Wakeup,
        heard: Callable[[Message], None],
        *,
        receive_maximum: int | None = None,
    ) -> None:
        """Connect, log in and subscribe; raises BrokerError.

        Args:
            settings: Where, as whom, to what, and in which version.
            name: Client ID.
            group: Group that shares the subscription; empty for none.
            wakeup: Ends an `exchange` when it rings.
            heard: Takes what the broker hands over; called before this returns, and in `exchange`.
            receive_maximum: How much may be taken that is not acknowledged yet, in a session that outlives the
                connection; None for one that does not, and acknowledges by itself.
        """
        self._settings = settings
        self._group = group
        self._wakeup = wakeup
        self._heard = heard
        self._keeps = receive_maximum is not None
        self._is_5 = settings.version == "5"
        self._is_in = False
        self._granted: ReasonCode | None = None
        self._publishing: dict[int, Future[None]] = {}
        self._failure: OSError | None = None
        self._error: BrokerError | None = None
        self._client = self._made(name)
        try:
            self._log_in(receive_maximum)
            self._subscribe()
        except (BrokerError, OSError) as error:
            self.close()
            raise (from_os(error) if self._is_in else explained(from_os(error), settings)) from error

    def exchange(self, timeout_s: float) -> None:
        """Wait for the broker or for `wakeup`, and do what is due; raises BrokerError if the connection has ended."""
        line = self._client.socket()
        if not isinstance(line, socket.socket):
            raise self._error or BrokerError(Trouble.LOST)
        poll = select.poll()
        poll.register(self._wakeup.fd, select.POLLIN)
        poll.register(line, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        is_read_already = isinstance(line, ssl.SSLSocket) and line.pending() > 0
        ready = dict(poll.poll(0 if is_read_already else min(timeout_s, _LOOK_S) * 1000))
        self._wakeup.clear()
        happened = ready.get(line.fileno(), 0)
        if is_read_already or happened & ~select.POLLOUT:
            self._client.loop_read()
        if happened & select.POLLOUT:
            self._client.loop_write()
        self._client.loop_misc()

    def acknowledge(self, number: int) -> None:
        """Let the broker forget a message."""
        self._client.ack(number, 1)

    def publish(self, topic: str, body: bytes, done: Future[None]) -> None:
        """Publish; the future ends when the broker has it, or with this connection."""
        self._publishing[self._client.publish(topic, body, qos=1).mid] = done

    def close(self) -> None:
        """Leave; the session stays at the broker if it is to outlive the connection."""
        error = self._error or BrokerError(Trouble.LOST)
        line = self._client.socket()
        if isinstance(line, socket.socket):
            with socket.socket(fileno=os.dup(line.fileno())) as rest:
                self._client.disconnect()
                line.close()  # if the farewell could not be written at once
                if self._is_in:
                    _wait_for_end(rest)
        for done in self._publishing.values():
            done.set_exception(error)
        self._publishing.clear()

    def _made(self, name: str) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=None if self._is_5 else not self._keeps,
            protocol=paho.MQTTv5 if self._is_5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=self._keeps,
        )
        client.connect_timeout = settings.timeout_s
        client.max_inflight_messages = _PUBLISHED_AT_ONCE
        if settings.username:
            client.username_pw_set(settings.username, settings.password or None)
        client.on_socket_open = self._opened
        client.on_socket_close = self._closed
        client.on_connect = self._answered
        client.on_subscribe = self._subscribed
        client.on_message = self._handed_over
        client.on_publish = self._published
        client.on_disconnect = self._ended
        return client

    def _log_in(self, receive_maximum: int | None) -> None:
        settings, properties = self._settings, None
        if settings.tls:
            context = context_for(settings)
            context.sslsocket_class = _TlsSocket
            self._client.tls_set_context(context)
        if self._is_5 and receive_maximum is not None:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = settings.session_h * 3600
            properties.ReceiveMaximum = receive_maximum
        self._client.connect(
            settings.host,
            settings.port,
            _KEEPALIVE_S,
            clean_start=not self._keeps if self._is_5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )
        if not settings.tls:
            self._look_at_first_byte()
        self._await(lambda: self._is_in)

    def _subscribe(self) -> None:
        settings = self._settings
        # With QoS 2 a message would be ours when it is taken, and not when it is sent.
        qos = 1 if settings.is_durable else int(settings.qos)
        self._client.subscribe(self._filter(settings.topic), qos)
        self._await(lambda: self._granted is not None)
        reason = self._granted
        if reason is not None and (reason.is_failure or (settings.is_durable and reason.value < qos)):
            raise _refusal(reason, _REFUSED_SUBSCRIPTIONS)

    def _filter(self, topic: str) -> str:
        return f"$share/{self._group}/{topic}" if self._group else topic

    def _look_at_first_byte(self) -> None:
        """See that MQTT is spoken there: the library would make something of anything."""
        line = self._client.socket()
        if isinstance(line, socket.socket):
            line.settimeout(self._settings.timeout_s)
            first = line.recv(1, socket.MSG_PEEK)
            line.setblocking(False)
            if first not in (b"", bytes([paho.CONNACK])):
                raise BrokerError(Trouble.OTHER_PROTOCOL)

    def _await(self, is_done: Callable[[], bool]) -> None:
        until_s = time.monotonic() + self._settings.timeout_s
        while not is_done():
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise BrokerError(Trouble.TIMEOUT)
            self.exchange(left_s)

    # The library calls these with arguments of its own.

    def _opened(self, _: object, __: object, line: Any) -> None:  # noqa: ANN401
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _closed(self, _: object, __: object, line: Any) -> None:  # noqa: ANN401
        self._failure = line.failure if isinstance(line, _TlsSocket) else None

    def _answered(self, _: object, __: object, ___: object, reason: ReasonCode, ____: object) -> None:
        self._is_in = not reason.is_failure
        if reason.is_failure:
            self._error = _refusal(reason, _REFUSED_CONNECTIONS)

    def _subscribed(self, _: object, __: object, ___: int, reasons: list[ReasonCode], ____: object) -> None:
        self._granted = reasons[0]

    def _handed_over(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        number = message.mid if self._keeps and message.qos else None
        if message.retain:
            # It was there before this subscription; it would be sent anew each time one is made.
            if number is not None:
                self.acknowledge(number)
            return
        if message.topic != self._settings.topic:
            # The session is older than this setting: what the broker still has is sent, and nothing more is taken.
            self._client.unsubscribe(self._filter(message.topic))
        self._heard(Message(body=bytes(message.payload), handle=number, is_redelivered=message.dup))

    def _published(self, _: object, __: object, number: int, reason: ReasonCode, ___: object) -> None:
        done = self._publishing.pop(number)
        if reason.value == 0:
            done.set_result(None)
        else:
            done.set_exception(_refusal(reason, _REFUSED_PUBLICATIONS))

    def _ended(
        self, _: object, __: object, flags: paho.DisconnectFlags, reason: ReasonCode, ___: object
    ) -> None:
        if self._error is None:
            self._error = self._why(reason, was_said=flags.is_disconnect_packet_from_server)

    def _why(self, reason: ReasonCode, *, was_said: bool) -> BrokerError:
        if self._failure is not None:
            return from_os(self._failure)
        if was_said:
            return _refusal(reason, _ENDED_CONNECTIONS, Trouble.LOST)
        if reason.value == _KEEP_ALIVE_TIMEOUT:
            return BrokerError(Trouble.TIMEOUT)
        if reason.value == _PROTOCOL_ERROR:
            return BrokerError(Trouble.OTHER_PROTOCOL)
        # MQTT 3.1.1 has no word for being taken over, and Mosquitto says that of MQTT 5 since 2.0.15.
        hint = "the broker went, or another connection has the same client ID" if self._is_in else ""
        return BrokerError(Trouble.LOST, hint)


class _TlsSocket(ssl.SSLSocket):
    """Keeps what the library loses: why it failed, and the descriptor of one whose handshake did."""

    failure: OSError | None = None

    def do_handshake(self, block: bool = False) -> None:
        """See `ssl.SSLSocket`."""
        try:
            super().do_handshake(block)
        except OSError as error:
            self.close()
            if isinstance(error, (ConnectionError, ssl.SSLEOFError)):
                raise BrokerError(Trouble.NOT_TLS, error.strerror or "") from error
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """See `ssl.SSLSocket`."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = error
            raise


def _wait_for_end(line: socket.socket) -> None:
    """Wait until the broker hangs up: then it has read the acknowledgements too, which it could lose before."""
    until_s = time.monotonic() + _FAREWELL_S
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_WR)
        while (left_s := until_s - time.monotonic()) > 0:
            line.settimeout(left_s)
            if not line.recv(65_536):
                return


def _refusal(
    reason: ReasonCode, troubles: dict[int, Trouble], otherwise: Trouble = Trouble.REFUSAL
) -> BrokerError:
    return BrokerError(troubles.get(reason.value, otherwise), reason.getName())


def _name(settings: MqttSettings) -> str:
    """Return the client ID: the broker knows the session by it, so one that is kept has the same each time."""
    if not settings.is_durable and not settings.client_id:
        return _random_name()
    name = settings.client_id or device_name()
    # Another name in each group: else the session would remain in the group before.
    return f"{name}-{settings.share_group}" if settings.share_group else name


def _random_name() -> str:
    return f"otppi-{secrets.token_hex(8)}"
