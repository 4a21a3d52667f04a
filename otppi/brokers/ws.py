"""WSMessageBroker: what one client sends on a topic goes to all others there, and nothing is kept."""

import base64
import contextlib
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode

import websocket
from websocket import ABNF

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.heartbeat import Heartbeat
from otppi.brokers.link import Message
from otppi.brokers.reach import context_for, explained
from otppi.brokers.settings import WsSettings
from otppi.brokers.tls import secured

# Of a connection that ends it says what the subscriber says.
logging.getLogger("websocket").setLevel(logging.CRITICAL)

_MESSAGES = (ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY)
# Less is none for the library.
_LEAST_WAIT_S = 0.001

# RFC 6455, 7.4.1: status codes.
_WELL, _GOING_AWAY, _POLICY = 1000, 1001, 1008
_TROUBLES = {
    HTTPStatus.UNAUTHORIZED: Trouble.LOGIN,
    HTTPStatus.FORBIDDEN: Trouble.LOGIN,
    # What a web server says to plain HTTP at its port of TLS.
    HTTPStatus.BAD_REQUEST: Trouble.OTHER_PROTOCOL,
    HTTPStatus.TOO_MANY_REQUESTS: Trouble.REFUSAL,
}


def probe(settings: WsSettings) -> str:
    """See `Kind.probe`."""
    # On the topic itself it would be given what waits there for the subscription.
    WsLink(settings, f"otppi-test-{secrets.token_hex(8)}").close()
    return "The broker let this device in."


def open_link(settings: WsSettings, most_in_hand: int) -> "WsLink":  # noqa: ARG001 - nothing is kept, so nothing is held back
    """See `Kind.open`."""
    return WsLink(settings, settings.topic)


class WsLink:
    """See `Link`."""

    keeps = False

    def __init__(self, settings: WsSettings, topic: str) -> None:
        """Connect; raises BrokerError."""
        self._settings = settings
        self._inbox: deque[Message] = deque()
        self._heartbeat = Heartbeat(settings.timeout_s)
        self._line = _connected(settings, topic)
        try:
            self._wait_until_let_in()
        except BrokerError:
            self.close()
            raise

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        until_s = time.monotonic() + timeout_s
        with _translated():
            while not self._inbox:
                if self._hear(until_s - time.monotonic()) is None:
                    if self._heartbeat.must_ask():
                        self._line.ping()
                    return None
        return self._inbox.popleft()

    def settle(self, message: Message) -> None:
        """See `Link`."""

    def give_back(self, message: Message) -> bool:  # noqa: ARG002 - it is gone from the broker already
        """See `Link`."""
        return False

    def bury(self, message: Message, reason: str) -> bool:  # noqa: ARG002 - there is no place for it
        """See `Link`."""
        return False

    def publish(self, topic: str, body: bytes) -> None:
        """See `Link`; by a connection of its own, as one is for one topic."""
        line = _connected(self._settings, topic)
        try:
            with _translated():
                line.send(body, ABNF.OPCODE_TEXT)
                # It reads one frame after the other: when it says goodbye it has read the message.
                line.close(timeout=self._settings.timeout_s)
            if line.close_frame is None:
                raise BrokerError(Trouble.LOST)
            if _status(line.close_frame) not in (_WELL, _GOING_AWAY):
                raise _ended(line.close_frame)
        finally:
            line.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """See `Link`."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._line.send_close()
        self._line.shutdown()  # type: ignore[no-untyped-call]

    def _wait_until_let_in(self) -> None:
        """Make sure that the broker wants us: the one in PHP upgrades every connection, and looks then who it is."""
        until_s = time.monotonic() + self._settings.timeout_s
        try:
            with _translated():
                self._line.ping()
                while self._hear(until_s - time.monotonic()) != ABNF.OPCODE_PONG:
                    if time.monotonic() > until_s:
                        raise BrokerError(Trouble.TIMEOUT)
        except BrokerError as error:
            if error.trouble is Trouble.LOST:
                raise BrokerError(Trouble.HUNG_UP, error.detail) from error
            raise

    def _hear(self, timeout_s: float) -> int | None:
        """Read one frame, which may be a message; return what it was, or None if none came in time."""
        self._line.settimeout(max(timeout_s, _LEAST_WAIT_S))
        try:
            opcode, frame = self._line.recv_data_frame(control_frame=True)
        except websocket.WebSocketTimeoutException:
            return None
        self._heartbeat.heard()
        if opcode == ABNF.OPCODE_CLOSE:
            raise _ended(frame)
        if opcode in _MESSAGES:
            self._inbox.append(Message(body=_data(frame)))
        return int(opcode)


def _connected(settings: WsSettings, topic: str) -> websocket.WebSocket:
    try:
        with _translated():
            return _connect(settings, topic)
    except BrokerError as error:
        raise explained(error, settings) from error


def _connect(settings: WsSettings, topic: str) -> websocket.WebSocket:
    # The library would look for a proxy in the environment; so the socket is made here.
    plain = socket.create_connection((settings.host, settings.port), settings.timeout_s)
    line = websocket.WebSocket(skip_utf8_validation=True)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.connect(  # type: ignore[no-untyped-call]
            _url(settings, topic),
            socket=secured(plain, context_for(settings), settings.host) if settings.tls else plain,
            # Without any the one in PHP would let us in and tell us nothing.
            header=[f"Authorization: Basic {_credentials(settings)}"],
            suppress_origin=True,
            redirect_limit=0,  # the password is for this broker
        )
    except BaseException:
        plain.close()
        if (status := line.getstatus()) is not None:
            raise _refusal(status) from None  # to another address
        raise
    return line


def _url(settings: WsSettings, topic: str) -> str:
    scheme = "wss" if settings.tls else "ws"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    path, _, query = settings.path.partition("?")
    others = [(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key != "topic"]
    return f"{scheme}://{host}:{settings.port}{path}?{urlencode([*others, ('topic', topic)], quote_via=quote, safe='')}"


def _credentials(settings: WsSettings) -> str:
    return base64.b64encode(f"{settings.username}:{settings.password}".encode()).decode()


def _data(frame: ABNF) -> bytes:
    return frame.data if isinstance(frame.data, bytes) else frame.data.encode()


def _status(frame: ABNF) -> int:
    # One that gives no reason is content.
    return int.from_bytes(_data(frame)[:2], "big") if frame.data else _WELL


def _ended(frame: ABNF) -> BrokerError:
    status, reason = _status(frame), _data(frame)[2:].decode("utf-8", "replace")
    detail = f"{status} {reason}".strip()[:200]
    return BrokerError(Trouble.LOGIN if status == _POLICY else Trouble.LOST, detail)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except websocket.WebSocketBadStatusException as error:
        raise _refusal(error.status_code) from error
    except websocket.WebSocketTimeoutException as error:
        raise BrokerError(Trouble.TIMEOUT) from error
    except websocket.WebSocketConnectionClosedException as error:
        raise BrokerError(Trouble.LOST) from error
    except websocket.WebSocketException as error:
        raise BrokerError(Trouble.OTHER_PROTOCOL) from error
    except OSError as error:
        raise from_os(error) from error


def _refusal(status: int) -> BrokerError:
    is_busy = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    known = {int(one): trouble for one, trouble in _TROUBLES.items()}
    return BrokerError(known.get(status, Trouble.REFUSAL if is_busy else Trouble.PATH), f"HTTP {status}")
