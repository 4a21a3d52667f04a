"""An SMS vendor as its published description has it, on loopback; answers badly where a test wants that."""

import calendar
import json
import socket
import socketserver
import ssl
import struct
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.broker_servers.certificates import certificates

ACCOUNT, PASSWORD, KEY = "toko", "p@ss word&1", "key-of-toko"
_HALF_AN_HOUR_S = 1800


class Fault(Enum):
    """What becomes of a request instead of an answer."""

    CLOSED = "the connection is closed before the request is read"
    RESET = "the connection is reset after the request"
    SILENT = "nothing comes after the request"
    CUT = "the connection ends in the middle of the answer"
    STUCK = "nothing more comes in the middle of the answer"
    GARBAGE = "the answer is no JSON"
    NO_STATUS = "the answer has no status"
    NOT_NAMED = "the number is not in the answer"
    REFUSED_BY_COUNT = "the answer says only that one failed"


class VendorServer:
    """Takes messages; `script` says what to do with the next ones: a fault, a status, or an HTTP status as text."""

    def __init__(self, *, is_tls: bool = False, is_mute: bool = False) -> None:
        self.script: deque[Fault | int | str] = deque()
        self.balance_status: int | str = 0  # as in the script
        self.balance = "499740.000000"
        self.reports: dict[int, int] = {}  # id to status; others are being sent
        self.array_as_text = False
        self.messages: list[tuple[str, str]] = []
        self.asked: Counter[str] = Counter()
        self.targets: list[str] = []
        self.most_at_once = 0
        self.answers_after = threading.Event()  # messages are answered only while it is set
        self.answers_after.set()
        self._at_once = 0
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._context = _server_context() if is_tls else None
        self._is_mute = is_mute
        self._server: socketserver.ThreadingTCPServer | None = None
        self.port = 0
        self.scheme = "https" if is_tls or is_mute else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        vendor = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                vendor._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._is_over.clear()
        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused."""
        self._is_over.set()
        self.answers_after.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, connection: socket.socket) -> None:
        if self._is_mute:
            self._is_over.wait(10)
            return
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._answer(connection)
        except OSError:  # a client that does not trust us, or has gone
            return

    def _answer(self, connection: socket.socket) -> None:
        if self.script and self.script[0] is Fault.CLOSED:
            self.script.popleft()
            return
        head = b""
        while b"\r\n\r\n" not in head:
            if not (got := connection.recv(65536)):
                return
            head += got
        target = head.split(b" ")[1].decode()
        function, fields = urlsplit(target).path.rsplit("/", 1)[-1], parse_qs(urlsplit(target).query)
        given = {name: values[0] for name, values in fields.items()}
        with self._lock:
            self.asked[function] += 1
            self.targets.append(target)
        wanted = self._wanted(function)
        match wanted:
            case Fault.RESET:
                # RST instead of FIN.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case Fault.SILENT:
                self._is_over.wait(10)
            case Fault.GARBAGE:
                _write(connection, 200, b"<html>no</html>")
            case Fault.NO_STATUS:
                _write(connection, 200, b'{"success": 1}')
            case Fault.CUT | Fault.STUCK:
                body = json.dumps(self._document(function, given)).encode()
                connection.sendall(_head(200, len(body)) + body[: len(body) // 2])
                if wanted is Fault.STUCK:
                    self._is_over.wait(10)
            case str():
                _write(connection, int(wanted), b"{}")
            case _:
                _write(connection, 200, json.dumps(self._document(function, given, wanted)).encode())

    def _wanted(self, function: str) -> Fault | int | str:
        """What is to become of a request; one with a message waits until messages are answered."""
        if function.startswith("getbalance"):
            return self.balance_status
        if not function.startswith("sendsms"):
            return 0
        with self._counted():
            self.answers_after.wait(10)
        return self.script.popleft() if self.script else 0

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def _document(self, function: str, given: dict[str, str], wanted: Fault | int = 0) -> dict[str, Any]:
        if not _is_proven(function, given):
            return {"status": -1}
        match function.removesuffix("V2"):
            case "getbalance":
                return {"status": wanted, "balance": self.balance, "gift": "0.000000"}
            case "getreport":
                rows = [
                    [int(one), 6281200000001, 20261121101517, self.reports.get(int(one), -1)]
                    for one in given["ids"].split(",")
                ]
                return {"status": 0, "array": rows, "success": len(rows), "fail": 0}
            case "sendsms":
                return self._taken(given["numbers"], given["content"], wanted)
        return {"status": -24}

    def _taken(self, number: str, text: str, wanted: Fault | int) -> dict[str, Any]:
        if isinstance(wanted, int) and wanted:
            return {"status": wanted}
        if wanted is Fault.REFUSED_BY_COUNT:
            return {"status": 0, "array": [], "success": 0, "fail": 1}
        if wanted is Fault.NOT_NAMED:
            return {"status": 0, "array": [[6281200009999, 1]], "success": 1, "fail": 0}
        with self._lock:
            self.messages.append((number, text))
            message_id = 1_620_442 + len(self.messages)
        array = f"[[{number},{message_id}]]" if self.array_as_text else [[int(number), message_id]]
        return {"status": 0, "array": array, "success": 1, "fail": 0}


def _is_proven(function: str, given: dict[str, str]) -> bool:
    if not function.endswith("V2"):
        return (given.get("account"), given.get("password")) == (ACCOUNT, PASSWORD)
    at = given["datetime"]
    age_s = abs(time.time() + 8 * 3600 - calendar.timegm(time.strptime(at, "%Y%m%d%H%M%S")))
    sign = md5(f"{ACCOUNT}{KEY}{at}".encode(), usedforsecurity=False).hexdigest()
    return given.get("account") == ACCOUNT and given.get("sign") == sign and age_s < _HALF_AN_HOUR_S


def _write(connection: socket.socket, status: int, body: bytes) -> None:
    connection.sendall(_head(status, len(body)) + body)


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = certificates().server
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "server.pem")
        file.write_text(server.pem + server.key_pem)
        context.load_cert_chain(file)
    return context
