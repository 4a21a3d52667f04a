"""STOMP 1.2, as RabbitMQ and ActiveMQ speak it."""

import logging
import queue
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from otppi.brokers.errors import BrokerError, Trouble
from otppi.publisher.transport import (
    BrokerTransport,
    Countdown,
    Credentials,
    Document,
    as_answer,
    translated,
)

if TYPE_CHECKING:
    import stomp

_LEAVE_S = 1.0
_PROBE_S = 2.0
_LISTEN_S = 0.5  # for what a server says of itself when a client comes
_TLS_ALERT = b"\x15\x03"  # RFC 8446, 5.1
_SUBSCRIPTION = "answers"
_LIBRARY_LOG = logging.getLogger("stomp.py")


@dataclass(frozen=True, kw_only=True)
class StompTransport(BrokerTransport):
    """Sends to /queue/TOPIC when durable, else to /topic/TOPIC, which nobody keeps; waits for the broker's receipt."""

    section: ClassVar[str] = "STOMP"

    port: int = 61613
    vhost: str = "/"

    def answer_topic(self, name: str) -> str:
        """See `BrokerTransport`; RabbitMQ would keep a queue for ever, of a topic nothing is left."""
        return f"/topic/{name}" if self.is_durable else name

    def send_as(self, credentials: Credentials, body: str, answer_topic: str) -> Document | None:
        """See `BrokerTransport`."""
        import stomp  # a process that uses another broker need not have it

        with translated(stomp.exception.StompException) as stage, self._session(credentials) as session:
            if answer_topic:
                session.subscribe(self._destination(answer_topic))
            stage.was_handed_over = True
            try:
                session.send(self._destination(self.topic), body, is_persistent=self.is_durable)
            except _ErrorFrame:
                stage.was_handed_over = False  # instead of the receipt: it was not taken
                raise
            return session.answer(self.limits.answer_s) if answer_topic else None

    def _destination(self, name: str) -> str:
        if name.startswith("/"):
            return name
        return f"/queue/{name}" if self.is_durable else f"/topic/{name}"

    @contextmanager
    def _session(self, credentials: Credentials) -> Iterator["_Session"]:
        session = _Session(self, credentials)
        try:
            session.log_in()
            yield session
        finally:
            session.leave()


class _ErrorFrame(BrokerError):
    """The broker has sent ERROR, after which it hangs up."""

    def __init__(self, frame: Any) -> None:  # noqa: ANN401 - the library's
        from otppi.brokers.stomp import refusal

        super().__init__(*refusal(frame))


class _Session:
    """One connection; the library reads it on a thread of its own and puts what it hears into a queue."""

    def __init__(self, transport: StompTransport, credentials: Credentials) -> None:
        import stomp

        # At the level debug it logs every frame, with its password or text.
        _LIBRARY_LOG.setLevel(max(_LIBRARY_LOG.getEffectiveLevel(), logging.WARNING))
        self._transport = transport
        self._credentials = credentials
        self._heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._answer: Document | None = None
        self._connection = connection = stomp.Connection12(
            [(transport.host, transport.port)],
            prefer_localhost=False,
            try_loopback_connect=False,
            reconnect_sleep_initial=0,
            reconnect_attempts_max=1,
            timeout=transport.limits.connect_s,
            vhost=transport.vhost,
            # With a length ActiveMQ makes it a message of bytes, which older gateways do not read.
            auto_content_length=False,
        )
        connection.set_listener("publisher", _Listener(self._heard))
        _use_tls(connection, transport)

    def log_in(self) -> None:
        import stomp

        username, password = self._credentials
        try:
            self._connection.connect(username or None, password or None)
        except stomp.exception.ConnectFailedException:
            _say_why(self._transport)
            raise
        try:
            self._hear(Countdown(self._transport.limits.connect_s))  # nothing else can come first
        except _ErrorFrame as error:
            is_vhost = "virtual host" in error.detail.lower()
            raise BrokerError(Trouble.NO_VHOST if is_vhost else Trouble.LOGIN, error.detail) from error
        except BrokerError:
            _say_why(self._transport)
            raise

    def subscribe(self, destination: str) -> None:
        receipt = secrets.token_hex(8)
        self._connection.subscribe(destination, _SUBSCRIPTION, receipt=receipt)
        self._await_receipt(receipt)

    def send(self, destination: str, body: str, *, is_persistent: bool) -> None:
        receipt = secrets.token_hex(8)
        headers = {"persistent": "true"} if is_persistent else {}
        self._connection.send(destination, body, "application/json", headers, receipt=receipt)
        self._await_receipt(receipt)

    def answer(self, limit_s: float) -> Document | None:
        countdown = Countdown(limit_s)
        while self._answer is None:
            self._hear(countdown)
        return self._answer

    def leave(self) -> None:
        """Take leave, and hang up if the broker does not."""
        if self._connection.is_connected():
            with suppress(BrokerError, OSError):
                self._connection.disconnect()
                countdown = Countdown(_LEAVE_S)
                while True:
                    self._hear(countdown)
        self._connection.transport.disconnect_socket()

    def _await_receipt(self, receipt: str) -> None:
        countdown = Countdown(self._transport.limits.connect_s)
        while True:
            heard, frame = self._hear(countdown)
            if heard == "receipt" and frame.headers.get("receipt-id") == receipt:
                return

    def _hear(self, countdown: Countdown) -> tuple[str, Any]:
        """Return the next frame; an answer is kept as well, as it may be faster than the receipt."""
        try:
            heard, frame = self._heard.get(timeout=countdown.left_s())
        except queue.Empty:
            raise BrokerError(Trouble.TIMEOUT) from None
        match heard:
            case "error":
                raise _ErrorFrame(frame)
            case "disconnected":
                raise BrokerError(Trouble.LOST)
            case "message":
                self._answer = self._answer or as_answer(frame.body)
        return heard, frame


class _Listener:
    """Called on the library's thread for every frame."""

    def __init__(self, heard: "queue.SimpleQueue[tuple[str, Any]]") -> None:
        self._heard = heard

    def on_connected(self, frame: Any) -> None:  # noqa: ANN401 - the library's
        self._heard.put(("connected", frame))

    def on_receipt(self, frame: Any) -> None:  # noqa: ANN401
        self._heard.put(("receipt", frame))

    def on_message(self, frame: Any) -> None:  # noqa: ANN401
        self._heard.put(("message", frame))

    def on_error(self, frame: Any) -> None:  # noqa: ANN401
        self._heard.put(("error", frame))

    def on_disconnected(self) -> None:
        self._heard.put(("disconnected", None))


def _use_tls(connection: "stomp.Connection12", transport: StompTransport) -> None:
    if transport.tls is None:
        return
    files = transport.tls
    transport.tls.context()  # raises for files that cannot be used; the library would hide the reason
    connection.set_ssl(
        for_hosts=[(transport.host, transport.port)],
        ca_certs=files.ca_file,
        cert_file=files.certificate_file,
        key_file=files.key_file,
        verify=files.verify,
    )


def _say_why(transport: StompTransport) -> None:
    """Connect once more, without the library, which only says that it failed; raises what the reason is."""
    with socket.create_connection((transport.host, transport.port), _PROBE_S) as plain:
        if transport.tls is not None:
            with transport.tls.context().wrap_socket(plain, server_hostname=transport.host):
                return
        with suppress(OSError):
            plain.settimeout(_LISTEN_S)
            greeting = _first_bytes(plain) or _first_bytes(plain, b"STOMP\n\n\0")
            if b"ActiveMQ" in greeting:
                raise BrokerError(Trouble.OPENWIRE)
            if greeting.startswith(_TLS_ALERT):
                raise BrokerError(Trouble.NEEDS_TLS)


def _first_bytes(sock: socket.socket, said: bytes = b"") -> bytes:
    with suppress(TimeoutError):
        sock.sendall(said)
        return sock.recv(64)
    return b""
