"""The calling side: HTTP on keep-alive sockets, so cheap that it is not what is measured."""

import base64
import json
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.rows import CouldNotMeasure

USER, PASSWORD = "bench", "a password for the benchmark"
_CREDENTIALS = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_READ_SIZE = 65_536


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; times by CLOCK_MONOTONIC."""

    sent_s: float
    answered_s: float
    status: int
    body: bytes

    @property
    def took_s(self) -> float:
        """From the first byte of the request to the last of the answer."""
        return self.answered_s - self.sent_s

    @property
    def code(self) -> str:
        """The response code in the answer, or the HTTP status where there is none."""
        try:
            return str(json.loads(self.body)["response_code"])
        except (ValueError, KeyError, TypeError):
            return f"HTTP {self.status}"


def request(command: str, data: Mapping[str, Any]) -> bytes:
    """Build a whole request for one of the permanent paths."""
    body = json.dumps({"command": command, "data": data}).encode()
    return (
        f"POST /api/message HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {_CREDENTIALS}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def phone(index: int) -> str:
    """Return an invented number of twelve digits."""
    return f"628120{index:06d}"


def sms(index: int, **more: Any) -> bytes:
    """Build a request to send 70 characters of the GSM alphabet."""
    text = f"The benchmark sends this text as message {index:06d}, seventy in all.".ljust(70, ".")
    return request("send-sms", {"receiver": phone(index), "message": text, **more})


def otp_request(index: int) -> bytes:
    """Build a request to make and send the code of a reference."""
    data = {"reference": f"ref-{index}", "receiver": phone(index), "message": "Your code is %s."}
    return request("request-otp", data)


def verification(index: int, code: str) -> bytes:
    """Build a request to check the code of a reference."""
    return request("verify-otp", {"reference": f"ref-{index}", "receiver": phone(index), "otp": code})


class Connection:
    """One keep-alive connection, with at most one request on it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open()

    def exchange(self, wanted: bytes, limit_s: float) -> Exchange:
        """Send a request and wait for the answer."""
        self.socket.settimeout(limit_s)
        self.send(wanted)
        while (answer := self.receive()) is None:
            pass
        return answer

    def send(self, wanted: bytes) -> None:
        """Begin an exchange."""
        self._answer = b""
        self._sent_s = time.monotonic()
        self.socket.sendall(wanted)

    def receive(self) -> Exchange | None:
        """Take what has arrived; None if the answer goes on."""
        data = self.socket.recv(_READ_SIZE)
        if not data:
            raise CouldNotMeasure("the gateway hung up in the middle of a request")
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return None
        lowered = head.lower()
        if len(body) < _content_length(lowered):
            return None
        answer = Exchange(self._sent_s, time.monotonic(), int(head[9:12]), body)
        if b"\r\nconnection: close" in lowered:
            self.close()
            self._open()
        return answer

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=10.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def drive(port: int, requests: Sequence[bytes], connections: int, limit_s: float) -> list[Exchange]:
    """Make all requests, so many at a time, each connection its next one as soon as it is answered.

    Returns the exchanges in the order of the requests. All runs on the calling thread.

    Raises:
        CouldNotMeasure: They were not all answered in time.
    """
    done: list[Exchange | None] = [None] * len(requests)
    waiting = iter(range(len(requests)))
    deadline = time.monotonic() + limit_s
    opened = [Connection(port) for _ in range(min(connections, len(requests)))]
    asked: dict[Connection, int] = {}
    try:
        with selectors.DefaultSelector() as selector:
            for connection, index in zip(opened, waiting, strict=False):
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                asked[connection] = index
                connection.send(requests[index])
            while asked:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise CouldNotMeasure(f"{len(asked)} requests were not answered within {limit_s:g} s")
                for key, _ in ready:
                    connection = key.data
                    answer = connection.receive()
                    if answer is None:
                        continue
                    done[asked.pop(connection)] = answer
                    if connection.socket is not key.fileobj:  # the gateway hung up after its answer
                        selector.unregister(key.fileobj)
                        selector.register(connection.socket, selectors.EVENT_READ, connection)
                    if (index := next(waiting, -1)) >= 0:
                        asked[connection] = index
                        connection.send(requests[index])
    finally:
        for connection in opened:
            connection.close()
    return [exchange for exchange in done if exchange is not None]


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0
