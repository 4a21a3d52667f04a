"""A WebSocket broker, such as `otppi ws-broker` or the one of OTP-Publisher."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from otppi.brokers.errors import BrokerError, Trouble
from otppi.publisher.errors import Refused
from otppi.publisher.transport import (
    BrokerTransport,
    Countdown,
    Credentials,
    Document,
    Mode,
    as_answer,
    translated,
)

if TYPE_CHECKING:
    import websocket

# RFC 6455, 7.4.1: it has ended well, goes away, or says nothing.
_GOOD_ENDS = frozenset({1000, 1001, 0})
_LEAVE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class WsTransport(BrokerTransport):
    """Sends one text frame to whoever is connected with the same topic; there is no durable mode.

    Nobody can say who got it: ask for an answer where that matters.
    """

    section: ClassVar[str] = "WS"

    port: int = 9000
    path: str = "/ws/"
    mode: Mode = Mode.COMPATIBLE

    def credentials(self) -> list[Credentials]:
        """See `BrokerTransport`; the publisher in PHP sends its user name for a password."""
        return [(self.username, self.password), (self.username, self.username)]

    def send_as(self, credentials: Credentials, body: str, answer_topic: str) -> Document | None:
        """See `BrokerTransport`."""
        import websocket  # a process that uses another broker need not have it

        with translated() as stage:
            try:
                with ExitStack() as connections:
                    # The broker keeps nothing: who is to hear the answer must be there before it.
                    answers = (
                        connections.enter_context(self._connected(credentials, answer_topic))
                        if answer_topic
                        else None
                    )
                    requests = connections.enter_context(self._connected(credentials, self.topic))
                    stage.was_handed_over = True
                    requests.send(body)
                    requests.close(timeout=self.limits.connect_s)
                    _check_end(requests)
                    return self._answer(answers) if answers is not None else None
            except websocket.WebSocketException as error:
                raise _translated(error) from error

    @contextmanager
    def _connected(self, credentials: Credentials, topic: str) -> Iterator["websocket.WebSocket"]:
        import websocket

        connection = websocket.create_connection(
            self._url(topic),
            timeout=self.limits.connect_s,
            header={
                "Authorization": "Basic " + base64.b64encode(":".join(credentials).encode()).decode(),
                "Content-type": "application/json",
            },
            sslopt={"context": self.tls.context()} if self.tls is not None else None,
            suppress_origin=True,
            redirect_limit=0,  # the password is for this broker
            http_no_proxy=["*"],
        )
        try:
            yield connection
        finally:
            connection.close(timeout=_LEAVE_S)

    def _url(self, topic: str) -> str:
        scheme = "wss" if self.tls is not None else "ws"
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = f"/{self.path.removeprefix('/')}"
        return (
            f"{scheme}://{host}:{self.port}{path}{'&' if '?' in path else '?'}topic={quote(topic, safe='')}"
        )

    def _answer(self, answers: "websocket.WebSocket") -> Document:
        countdown = Countdown(self.limits.answer_s)
        while True:
            answers.settimeout(countdown.left_s())
            text = answers.recv()  # empty when the broker hangs up
            if not text:
                raise BrokerError(Trouble.LOST)
            answer = as_answer(text)
            if answer is not None:
                return answer


def _check_end(connection: "websocket.WebSocket") -> None:
    """Accept that the broker, which reads one frame after the other, has said good-bye as well."""
    frame = connection.close_frame
    if frame is None:
        raise BrokerError(Trouble.LOST)
    data = bytes(frame.data)  # type: ignore[arg-type]  # of a close frame it is never text
    status, reason = int.from_bytes(data[:2], "big"), data[2:].decode("utf-8", "replace")
    if status not in _GOOD_ENDS:
        raise Refused(Trouble.REFUSAL, f"{status} {reason}".strip()[:200])


def _translated(error: "websocket.WebSocketException") -> BrokerError:
    import websocket

    match error:
        case websocket.WebSocketTimeoutException():
            return BrokerError(Trouble.TIMEOUT)
        case websocket.WebSocketAddressException():
            return BrokerError(Trouble.NAME)
        case websocket.WebSocketBadStatusException():
            troubles = {401: Trouble.LOGIN, 403: Trouble.FORBIDDEN}
            return BrokerError(
                troubles.get(error.status_code, Trouble.OTHER_PROTOCOL), f"HTTP {error.status_code}"
            )
        case websocket.WebSocketConnectionClosedException():
            return BrokerError(Trouble.LOST)
    return BrokerError(Trouble.OTHER_PROTOCOL, type(error).__name__)
