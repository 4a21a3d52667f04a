"""A broker on a port of its own, and clients down to the single byte."""

import asyncio
import base64
import itertools
import operator
import os
import socket
import struct
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

import websocket

from otppi.wsbroker.certificate import Certificate
from otppi.wsbroker.door import listening
from otppi.wsbroker.limits import Limits
from otppi.wsbroker.passwords import PasswordFile
from otppi.wsbroker.server import Broker

# All three forms: shop has apr1, device SHA, other bcrypt. The password of each is its name, as the PHP client has it.
HTPASSWD = """\
shop:$apr1$Zq1x3c5v$2kLBNmCMFtRihFuAVJojI0
device:{SHA}86kpszZLRxpIH0982gtFWezemro=
other:$2y$04$wmH786gEVO.pcTVolqpRHetKB.lrNB5Ikz29Wka/6AfxMCDAACAuW
"""
LIMIT_S = 5.0
_NUMBERS = itertools.count()


class RunningBroker:
    """Listens when the constructor returns; `stop` waits for its end."""

    def __init__(
        self,
        htpasswd: Path,
        limits: Limits | None = None,
        *,
        certificate: Certificate | None = None,
        proxies: Collection[str] = (),
        host: str = "127.0.0.1",
        look_s: float = 1.0,
    ) -> None:
        listener = listening(host, 0)
        self.port = listener.getsockname()[1]
        self.is_tls = certificate is not None
        self._broker = Broker(
            listener,
            PasswordFile(htpasswd),
            limits or Limits(),
            certificate=certificate,
            proxies=proxies,
            look_s=look_s,
        )
        self._clients: list[websocket.WebSocket | RawClient] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._ready.wait(LIMIT_S)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._broker.run(self._stop)

    def stop(self) -> None:
        """Wait for its end; what it says to clients that are still there, they can read afterwards."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def close_clients(self) -> None:
        for client in self._clients:
            client.sock and client.sock.close()
        self._clients.clear()

    def client(self, topic: str = "sms", user: str = "device", **options: Any) -> websocket.WebSocket:
        """Connect by the library that devices use."""
        scheme = "wss" if self.is_tls else "ws"
        client = websocket.create_connection(
            f"{scheme}://127.0.0.1:{self.port}/ws?topic={topic}",
            header=[f"Authorization: {basic(user, user)}"],
            timeout=LIMIT_S,
            **options,
        )
        self._clients.append(client)
        return client

    def listener(self, topic: str = "sms", user: str = "device", **options: Any) -> websocket.WebSocket:
        """Connect, and return when a message that is sent now comes at once, since none is waited for any more."""
        client = self.client(topic, user, **options)
        probe, text = self.client(topic, "other", **options), f"probe {next(_NUMBERS)}"
        probe.send(text)
        while client.recv() != text:
            pass
        probe.close()
        return client

    def stranger(self, *, source: str = "127.0.0.1", receive_buffer: int = 0) -> "RawClient":
        """Connect, and say nothing."""
        client = RawClient(self.port, source=source, receive_buffer=receive_buffer)
        self._clients.append(client)
        return client

    def raw(self, topic: str = "sms", user: str = "device", **options: Any) -> "RawClient":
        """Connect byte by byte; the answer to the handshake is not yet read."""
        client = self.stranger(**options)
        client.send(request(topic, user))
        return client


class RawClient:
    """A socket; reads what came, says when nothing did."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((source, 0))
        self.sock.settimeout(LIMIT_S)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, size: int = 1024) -> bytes:
        """One read, as PHP's fread on a socket: what is there, or the first that comes."""
        return self.sock.recv(size)

    def read_until_end(self) -> bytes:
        """Everything up to the end of the connection, however it ends."""
        data = b""
        try:
            while more := self.sock.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def read_until_end_of_head(self) -> bytes:
        """The answer to the handshake, or nothing if the connection was closed instead."""
        data = b""
        try:
            while b"\r\n\r\n" not in data and (more := self.sock.recv(1024)):
                data += more
        except ConnectionResetError:
            pass
        return data

    def frame(self) -> tuple[int, bytes]:
        """Read one frame and return its first byte and its payload."""
        first, length = self._exactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", self._exactly(2))
        assert length <= 0xFFFF, "masked, or longer than a length of 16 bits says"
        return first, self._exactly(length)

    def is_silent_for(self, seconds: float) -> bool:
        """Whether nothing comes, and it is still open."""
        self.sock.settimeout(max(seconds, 0.001))
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        except ConnectionResetError:
            pass
        finally:
            self.sock.settimeout(LIMIT_S)
        return False

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            assert more, "the connection has ended"
            data += more
        return data


def heard(client: websocket.WebSocket) -> str | bytes:
    """Return the next message that is not one by which a listener was waited for."""
    while str(content := client.recv()).startswith("probe "):
        pass
    return content


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def request(topic: str, user: str, *, more: str = "") -> bytes:
    return (
        f"GET /ws?topic={topic} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: {basic(user, user)}\r\n{more}\r\n"
    ).encode()


def masked(payload: bytes, first: int = 0x81, mask: bytes = b"mask") -> bytes:
    """A frame as clients send it; its first byte says which kind."""
    size = len(payload)
    head = bytes([first, 0x80 | size]) if size < 126 else bytes([first, 0xFE]) + struct.pack("!H", size)
    return head + mask + bytes(map(operator.xor, payload, itertools.cycle(mask)))
