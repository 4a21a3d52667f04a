"""STOMP 1.2, as RabbitMQ's plugin and ActiveMQ speak it."""

import contextlib
import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import stomp
from stomp.exception import StompException

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.link import ANSWER_LIFE_S, DEAD_LIFE_S, Message
from otppi.brokers.reach import context_for, reach
from otppi.brokers.settings import ActiveMqSettings, StompSettings
from otppi.brokers.tls import as_file

# Of a connection that fails it says in several lines what the subscriber says in one, and frames at the level debug.
logging.getLogger("stomp.py").setLevel(logging.CRITICAL)

Settings = StompSettings | ActiveMqSettings

_HEARTBEAT_MS = 10_000
_SUBSCRIPTION = "otppi"
_LISTEN_S = 0.5  # for what a server says of itself when a client comes
_TLS_ALERT = b"\x15\x03"  # RFC 8446, 5.1
_RABBIT = "rabbitmq"
_LEAVE_S = 2.0
# The library takes its parts away while others still use them.
_GONE = (StompException, OSError, AttributeError, ValueError)


def open_link(settings: Settings, most_in_hand: int) -> "StompLink":
    """See `Kind.open`."""
    link = StompLink(settings)
    try:
        link.subscribe(most_in_hand)
    except BaseException:
        link.close()
        raise
    return link


def probe(settings: Settings) -> str:
    """See `Kind.probe`."""
    link = StompLink(settings, is_probe=True)
    link.close()
    return f"{link.server or 'The broker'} let this device in."


class StompLink:
    """See `Link`; the library reads on a thread of its own, which only puts what it hears into a queue."""

    def __init__(self, settings: Settings, *, is_probe: bool = False) -> None:
        """Connect and log in; raises BrokerError."""
        self.keeps = settings.is_durable
        self.server = ""  # its name and version
        self._settings = settings
        self._inbox: queue.SimpleQueue[Message | BrokerError] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[BrokerError | None] = queue.SimpleQueue()  # to what is being asked
        self._asking = threading.Lock()
        self._receipt = ""
        self._is_closed = False
        self._hung_up = threading.Event()
        reach(settings.host, settings.port, settings.timeout_s)
        with contextlib.ExitStack() as files:
            self._connection = connection = _connection(settings, files)
            connection.set_listener("otppi", self)
            client_id = "" if is_probe else getattr(settings, "client_id", "")
            with self._asking:
                try:
                    connection.connect(
                        settings.username or None,
                        settings.password or None,
                        headers={"client-id": client_id} if client_id else {},
                    )
                except StompException as error:
                    self.close()
                    raise _why(settings) or from_os(error) from error
                try:
                    self._await_answer()
                    # Else each small frame would wait for the last one to be acknowledged.
                    connection.transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                except (BrokerError, OSError) as error:
                    self.close()
                    raise _why(settings) or _at_login(from_os(error)) from error

    def subscribe(self, most_in_hand: int) -> None:
        """Begin to take messages; raises BrokerError."""
        headers: dict[str, Any] = {}
        if self.keeps:
            headers = {"prefetch-count": most_in_hand, "activemq.prefetchSize": most_in_hand}
        self._ask(
            lambda receipt: self._connection.subscribe(
                self._destination(self._settings.topic),
                _SUBSCRIPTION,
                "client-individual" if self.keeps else "auto",
                headers,
                receipt=receipt,
            )
        )

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        try:
            heard = self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(heard, BrokerError):
            raise heard
        return heard

    def settle(self, message: Message) -> None:
        """See `Link`."""
        if self.keeps:
            with contextlib.suppress(*_GONE):
                self._connection.ack(message.handle)

    def give_back(self, message: Message) -> bool:
        """See `Link`; what ActiveMQ is given back goes to its dead letters."""
        if _RABBIT not in self.server.lower():
            return False
        with contextlib.suppress(*_GONE):
            self._connection.nack(message.handle)
        return True

    def bury(self, message: Message, reason: str) -> bool:
        """See `Link`."""
        if not self.keeps or self._is_closed:
            return False
        headers = {
            "persistent": "true",
            "x-otppi-reason": reason[:200],
            # Without it the frame would end where there is a zero in the message, and what follows be a frame too.
            "content-length": str(len(message.body)),
        }
        self._send(self._destination(self._settings.dead_topic), message.body, headers, DEAD_LIFE_S)
        return True

    def publish(self, topic: str, body: bytes) -> None:
        """See `Link`."""
        life_s = getattr(self._settings, "time_to_live_ms", ANSWER_LIFE_S * 1000) / 1000
        self._send(topic if topic.startswith("/") else self._destination(topic), body, {}, life_s)

    def close(self) -> None:
        """See `Link`."""
        self._is_closed = True
        transport = self._connection.transport
        # The library waits without end: for room to write, and with TLS for the broker to take leave as well.
        cutting = threading.Timer(_LEAVE_S, _cut, [transport.socket])
        cutting.daemon = True
        cutting.start()
        with contextlib.suppress(Exception):
            if self._connection.is_connected():
                self._connection.disconnect()
                self._hung_up.wait(_LEAVE_S)  # then the broker has read what was said before
        with contextlib.suppress(Exception):
            transport.disconnect_socket()
        with contextlib.suppress(Exception):
            transport.stop()
        cutting.cancel()

    def on_connected(self, frame: Any) -> None:  # noqa: ANN401 - the library's, as all that follow
        """Called on the library's thread, as are the others."""
        self.server = frame.headers.get("server", "")
        self._answers.put(None)

    def on_receipt(self, frame: Any) -> None:  # noqa: ANN401
        """The broker has done what was asked."""
        if frame.headers.get("receipt-id") == self._receipt:
            self._answers.put(None)

    def on_message(self, frame: Any) -> None:  # noqa: ANN401
        """A message came."""
        headers, body = frame.headers, frame.body
        name = headers.get("message-id", "") if _RABBIT not in self.server.lower() else ""
        self._inbox.put(
            Message(
                body=body if isinstance(body, bytes) else str(body or "").encode(),
                handle=headers.get("ack"),
                # ActiveMQ names a message for ever; RabbitMQ's plugin anew for each connection.
                token=f"stomp {name}" if name else "",
                is_redelivered=headers.get("redelivered") == "true",
            )
        )

    def on_error(self, frame: Any) -> None:  # noqa: ANN401
        """The broker refused something, and hangs up."""
        self._fail(BrokerError(*refusal(frame)))

    def on_heartbeat_timeout(self) -> None:
        """The broker has been silent for too long."""
        self._fail(BrokerError(Trouble.TIMEOUT))

    def on_disconnected(self) -> None:
        """The connection ended."""
        self._hung_up.set()
        self._fail(BrokerError(Trouble.LOST))

    def _fail(self, error: BrokerError) -> None:
        if not self._is_closed:
            self._inbox.put(error)
            self._answers.put(error)

    def _destination(self, name: str) -> str:
        return f"/queue/{name}" if self.keeps else f"/topic/{name}"

    def _send(self, destination: str, body: bytes, headers: dict[str, str], life_s: float) -> None:
        life_ms = int(life_s * 1000)
        expiry = {"expiration": str(life_ms)}  # RabbitMQ counts from the arrival
        if _RABBIT not in self.server.lower():
            expiry = {"expires": str(int(time.time() * 1000) + life_ms)}
        self._ask(
            lambda receipt: self._connection.send(
                destination, body, "application/json", {**headers, **expiry}, receipt=receipt
            )
        )

    def _ask(self, ask: Callable[[str], None]) -> None:
        """Have the broker do something, and wait until it says that it has."""
        with self._asking:
            receipt = self._new_receipt()
            try:
                ask(receipt)
            except _GONE as error:
                raise from_os(error) from error
            self._await_answer()

    def _new_receipt(self) -> str:
        self._receipt = secrets.token_hex(8)
        while not self._answers.empty():
            self._answers.get()  # what came too late
        return self._receipt

    def _await_answer(self) -> None:
        try:
            error = self._answers.get(timeout=self._settings.timeout_s)
        except queue.Empty:
            raise BrokerError(Trouble.TIMEOUT) from None
        if error is not None:
            raise error


def _connection(settings: Settings, files: contextlib.ExitStack) -> stomp.Connection12:
    connection = stomp.Connection12(
        [(settings.host, settings.port)],
        prefer_localhost=False,
        try_loopback_connect=False,
        reconnect_sleep_initial=0,
        reconnect_attempts_max=1,
        timeout=settings.timeout_s,
        heartbeats=(_HEARTBEAT_MS, _HEARTBEAT_MS),
        vhost=getattr(settings, "virtual_host", settings.host),
        auto_decode=False,
        # With a length ActiveMQ makes it a message of bytes, which older clients do not read.
        auto_content_length=False,
    )
    if settings.tls:
        context_for(settings)  # raises for what cannot be used; the library would hide the reason
        pems = (settings.ca_certificate, settings.client_certificate, settings.client_key)
        ca, certificate, key = (files.enter_context(as_file(pem)) if pem else None for pem in pems)
        connection.set_ssl(
            for_hosts=[(settings.host, settings.port)],
            ca_certs=ca,
            cert_file=certificate,
            key_file=key,
            verify=settings.tls_verify,
        )
    return connection


def _cut(line: socket.socket | None) -> None:
    with contextlib.suppress(OSError):
        if line is not None:
            line.shutdown(socket.SHUT_RDWR)


def refusal(frame: Any) -> tuple[Trouble, str]:  # noqa: ANN401 - the library's
    """Return what an ERROR frame says."""
    body = frame.body or ""
    body = body.decode(errors="replace") if isinstance(body, bytes) else body
    title, text = frame.headers.get("message", ""), body.strip().partition("\n")[0]
    words = title if not text or text.startswith(title) else f"{title}: {text}"
    return _trouble_of(words.lower()), words[:200]


def _trouble_of(words: str) -> Trouble:
    if "refused" in words or "not authorized" in words:
        return Trouble.FORBIDDEN
    return Trouble.OTHER_QUEUE if "precondition" in words else Trouble.REFUSAL


def _at_login(error: BrokerError) -> BrokerError:
    """Say what a refusal means that is the answer to the log-in."""
    if error.trouble not in (Trouble.REFUSAL, Trouble.FORBIDDEN):
        return error
    words = error.detail.lower()
    if "virtual host" in words:
        return BrokerError(Trouble.NO_VHOST, error.detail)
    if "clientid" in words or "client-id" in words or "already connected" in words:
        return BrokerError(Trouble.CLIENT_ID, error.detail)
    return BrokerError(Trouble.LOGIN, error.detail)


def _why(settings: Settings) -> BrokerError | None:
    """Connect once more, without the library, which only says that it failed; None if nothing is to be seen."""
    try:
        if settings.tls:
            with (
                _plain(settings) as plain,
                context_for(settings).wrap_socket(plain, server_hostname=settings.host),
            ):
                return None
    except OSError as error:
        # ActiveMQ waits for the rest of what it takes for a frame.
        is_plain = isinstance(error, TimeoutError) and _greeting(settings).startswith(
            (b"ERROR", b"CONNECTED")
        )
        return BrokerError(Trouble.NOT_TLS) if is_plain else from_os(error)
    greeting = _greeting(settings)
    if b"ActiveMQ" in greeting:
        return BrokerError(Trouble.OPENWIRE)
    if greeting.startswith(_TLS_ALERT):
        return BrokerError(Trouble.NEEDS_TLS)
    if greeting and not greeting.startswith((b"ERROR", b"CONNECTED")):
        return BrokerError(Trouble.OTHER_PROTOCOL)
    return None


def _greeting(settings: Settings) -> bytes:
    """Return what a server says of itself to a client that does not encrypt; empty if nothing."""
    try:
        with _plain(settings) as plain:
            plain.settimeout(_LISTEN_S)
            return _first_bytes(plain) or _first_bytes(plain, b"CONNECT\naccept-version:1.2\nhost:/\n\n\0")
    except OSError:
        return b""


def _plain(settings: Settings) -> socket.socket:
    return socket.create_connection((settings.host, settings.port), settings.timeout_s)


def _first_bytes(plain: socket.socket, said: bytes = b"") -> bytes:
    with contextlib.suppress(TimeoutError):
        plain.sendall(said)
        return plain.recv(64)
    return b""
