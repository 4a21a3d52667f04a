"""One client's connection: cheroot's, with its waiting taken out."""

import errno
import io
import math
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest

from otppi.wsgi.framing import Framing, Request

# As long as a TLS record: one read leaves nothing of it inside OpenSSL, where no event would tell of it.
READ_BYTES = 16 * 1024
# What must get through within each time limit, in both directions.
PROGRESS_BYTES = 64 * 1024
# Where an application whose answer has no end finds `Connection.hand_over` in its WSGI environment.
HAND_OVER: Final = "otppi.hand_over"
_MAPPED_IPV4 = "::ffff:"


class _Headers(HeaderReader):
    """Reads header fields without those that WSGI could not tell from others (`Content_Length`)."""

    def _allow_header(self, key_name: bytes) -> bool:
        return b"_" not in key_name


class _HttpRequest(HTTPRequest):
    header_reader = _Headers()

    def read_request_line(self) -> bool:
        """See `HTTPRequest`; answers 400 as well where a target cannot be taken apart."""
        try:
            return bool(super().read_request_line())  # type: ignore[no-untyped-call]
        except ValueError:
            self.simple_response("400 Bad Request")
            return False

    def respond(self) -> None:
        """See `HTTPRequest`; notes that the application gave its answer."""
        super().respond()
        self.conn.was_answered = True

    def send_headers(self) -> None:
        """See `HTTPRequest`; what another goes on with ends with the connection, so it has no chunks."""
        if self.conn.next_owner is not None:
            self.response_protocol = "HTTP/1.0"
        super().send_headers()

    def write(self, chunk: bytes) -> None:
        """See `HTTPRequest`; sends no body where the client expects none (RFC 9110, 9.3.2)."""
        if self.method != b"HEAD":
            super().write(chunk)


class _ResponseFile:
    """Takes a response from cheroot; the client must keep reading it."""

    bytes_written = 0

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # The head of a response until something follows it, so that a short answer is one packet; None after that.
        self._held: bytes | None = b""
        self.pieces_sent = 0

    def write(self, data: bytes) -> int:
        """Send it all; the head goes with what follows it, or with `end`.

        Raises:
            ConnectionAbortedError: The client is gone or too slow; cheroot takes this for no error of ours.
        """
        if self._held == b"":
            self._held = data
        else:
            self._send((self._held or b"") + data)
            self._held = None
        return len(data)

    def end(self) -> None:
        """End one response; raises like `write`."""
        held, self._held = self._held, b""
        if held:
            self._send(held)

    def _send(self, data: bytes) -> None:
        try:
            with memoryview(data) as view:
                for start in range(0, len(data), PROGRESS_BYTES):
                    self._socket.sendall(view[start : start + PROGRESS_BYTES])
                    self.pieces_sent += 1
        except OSError as error:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the client does not take its answer") from error


def _file_for(sock: socket.socket, mode: str, _buffer_bytes: int) -> object:
    # A worker reads from memory and finds its end there; it can never be made to wait for a client.
    return io.BytesIO() if "r" in mode else _ResponseFile(sock)


class Connection(HTTPConnection):
    """One client. Belongs to the thread of the gate, and to a worker while that serves a request of it."""

    RequestHandlerClass = _HttpRequest

    def __init__(
        self, server: object, sock: socket.socket, address: tuple[Any, ...], framing: Framing
    ) -> None:
        super().__init__(server, sock, _file_for)
        self.remote_addr = address[0].removeprefix(_MAPPED_IPV4)
        self.remote_port = address[1]
        self.local_addr = sock.getsockname()[0].removeprefix(_MAPPED_IPV4)
        self.framing = framing
        self.fd = sock.fileno()
        self.step: Callable[[Connection], None] = Connection.hang_up
        self.awaited_events = 0
        self.counted_bytes = 0
        # When the request in hand began; None between requests.
        self.since_s: float | None = None
        self.deadline_s = math.inf
        # What takes it after this answer instead of the gate, and what hears then that the server stops.
        self.next_owner: tuple[Callable[[Connection], None], Callable[[], None]] | None = None
        self.was_answered = False
        if isinstance(sock, ssl.SSLSocket):
            self.ssl_env = {"wsgi.url_scheme": "https", "HTTPS": "on"}

    @property
    def pieces_sent(self) -> int:
        """How many pieces of at most PROGRESS_BYTES the client has taken so far."""
        return int(self.wfile.pieces_sent)

    @property
    def server_runs(self) -> bool:
        """Whether the server that accepted it still listens."""
        return bool(self.server.ready)

    def communicate(self) -> bool:
        """See `HTTPConnection`; answers one request, and says whether the connection is to be kept."""
        self.was_answered = False
        keep = bool(super().communicate())  # type: ignore[no-untyped-call]
        try:
            self.wfile.end()
        except ConnectionAbortedError:
            keep = self.was_answered = False
        return keep

    def hand_over(self, keep: Callable[["Connection"], None], server_stops: Callable[[], None]) -> None:
        """Let another go on with the connection when all is sent that the application answers now.

        Args:
            keep: Called with it on the worker's thread; from then on it is another's to write to and to hang up.
            server_stops: Called when connections whose `server_runs` is false are to be ended, on any thread.
        """
        self.next_owner = keep, server_stops

    def present(self, request: Request) -> None:
        """Make this the request that `communicate` answers."""
        self.rfile = io.BytesIO(request.data)

    def end_output(self) -> None:
        """Tell the client that nothing more will come; do not wait."""
        with suppress(OSError, ValueError):
            self.socket.settimeout(0)
            if isinstance(self.socket, ssl.SSLSocket):
                self.socket.unwrap()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def throw_away_input(self) -> bool:
        """Read and forget what is there; False when the client has ended too."""
        try:
            return bool(os.read(self.fd, READ_BYTES))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def cut_off(self) -> None:
        """Make whoever sends or receives on this connection fail; may be called from any thread."""
        with suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Give the descriptor back."""
        self.socket.close()
