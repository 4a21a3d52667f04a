"""Straight to the gateway, by its REST API."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from otppi.brokers.errors import BrokerError, Trouble
from otppi.model.errors import Busy, TooManyRequests
from otppi.publisher.errors import ConfigurationError, LoginRefused, Refused
from otppi.publisher.transport import Document, Limits, Tls, as_answer, translated

_PEER = "gateway"
_LONGEST_ANSWER = 1 << 20
# What the gateway, or a proxy in front of it, may say without having read the request to its end.
_REFUSALS = {429: TooManyRequests.code, 503: Busy.code}


@dataclass(frozen=True, kw_only=True)
class RestTransport:
    """POSTs every request to one address, whatever the command, as the publisher in PHP does."""

    url: str = "http://127.0.0.1:8899/api/otp"
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = field(default_factory=Tls)  # for https://
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        parts = _parts(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError("REST", "url", "must be such as https://gateway.example.com/api/otp")
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError("REST", "url", "must not hold a password: there are keys for it")

    def send(self, request: Document, *, wants_answer: bool) -> Document | None:  # noqa: ARG002 - there is one anyway
        """See `Transport`."""
        parts = _parts(self.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Authorization": self._authorization(), "Content-Type": "application/json"}
        with translated(HTTPException, peer=_PEER) as stage, closing(self._connection(parts)) as connection:
            connection.connect()
            connection.request("POST", path, json.dumps(request).encode(), headers)
            stage.was_handed_over = True
            with _hanging_up_after(self.limits.answer_s, connection.sock):
                response = connection.getresponse()
                content = response.read(_LONGEST_ANSWER)
            if response.length:
                raise BrokerError(Trouble.LOST, "the answer is not whole")
            return _understood(response, content)

    def _connection(self, parts: SplitResult) -> HTTPConnection:
        host, limit_s = parts.hostname or "", self.limits.connect_s
        if parts.scheme == "https":
            return HTTPSConnection(host, parts.port, timeout=limit_s, context=self.tls.context())
        return HTTPConnection(host, parts.port, timeout=limit_s)

    def _authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is none
    except ValueError as error:
        raise ConfigurationError("REST", "url", "is not an address") from error
    return parts


def _understood(response: HTTPResponse, content: bytes) -> Document:
    document = as_answer(content)
    match response.status:
        case 401:
            raise LoginRefused(Trouble.LOGIN, peer=_PEER)
        case 403:
            raise Refused(Trouble.REFUSAL, "HTTP 403", peer=_PEER)
        case status if document is not None and (status == 200 or "response_code" in document):
            return document
        case 429 | 503 as status:
            wait = response.getheader("Retry-After", "")
            data = {"retry_after": int(wait)} if wait.isdecimal() else {}
            return {"response_code": _REFUSALS[status], "error": f"HTTP {status}", "data": data}
        case status if status >= 500:
            # A proxy says so when the gateway behind it has not answered: it may work on it.
            raise BrokerError(Trouble.LOST, f"HTTP {status}")
        case status:
            raise Refused(Trouble.OTHER_PROTOCOL, f"HTTP {status}", peer=_PEER)


@contextmanager
def _hanging_up_after(limit_s: float, sock: socket.socket) -> Iterator[None]:
    """Bound the whole block, which time-outs of the socket would not: they begin anew with every byte."""
    sock.settimeout(None)
    is_late = threading.Event()

    def hang_up() -> None:
        is_late.set()
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # that of TLS is not for another thread

    timer = threading.Timer(limit_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException):
        if not is_late.is_set():
            raise
    finally:
        timer.cancel()
    if is_late.is_set():
        raise BrokerError(Trouble.TIMEOUT)
