"""The gate before the worker threads: only whole requests pass, so that slow clients cost no thread."""

import errno
import json
import logging
import math
import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from otppi.gateway import answers
from otppi.lib.faults import fault
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import BadRequest
from otppi.wsgi.connection import PROGRESS_BYTES, READ_BYTES, Connection
from otppi.wsgi.framing import Framing, Refusal, Request, Wait

log = logging.getLogger(__name__)

_ACCEPT_PAUSE_S = 1.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may take of a server.

    Attributes:
        request_timeout_s: From the first byte (on a new connection: from its start) to the last one of a
            request, the handshake of TLS included; once more for every 64 KiB that have come.
        keep_alive_s: How long a connection may rest between two requests.
        write_timeout_s: How long a client may take for each 64 KiB of an answer.
        linger_s: How long a client is heard out whose request was refused, so that it reads the answer.
        max_connections: Connections in the gate or waiting for a thread; above that the oldest goes.
        max_held_bytes: Memory for requests of all clients together, those with a worker included if they are long.
    """

    request_timeout_s: float = 10.0
    keep_alive_s: float = 60.0
    write_timeout_s: float = 10.0
    linger_s: float = 3.0
    max_connections: int = 512
    max_held_bytes: int = 32 * 1024 * 1024


class Gate:
    """Accepts connections, shakes hands, collects requests and hands them over, all on one thread.

    One timer serves all deadlines: the thread sleeps until something comes or a deadline may have passed.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        server: object,
        hand_over: Callable[[Connection], None],
        queued: Callable[[], int],
        max_body_bytes: int,
        body_limit: Callable[[Mapping[str, str]], int] | None,
        tls: ssl.SSLContext | None,
        limits: Limits,
    ) -> None:
        """Take what connections need.

        Args:
            listener: A listening socket that does not block; closed here.
            server: The server that cheroot's requests ask for its properties.
            hand_over: Called on the thread of the gate with a connection that holds a whole request. Whoever
                has served it calls `let_go`, and then `take_back` if nobody else goes on with it.
            queued: Returns how many of them wait for a worker.
            max_body_bytes: The longest body that is taken from anybody.
            body_limit: Says from whom a longer one is taken; see `Framing`.
            tls: Set if the clients speak TLS.
            limits: What clients may take.
        """
        self._listener = listener
        self._server = server
        self._hand_over = hand_over
        self._queued = queued
        self._max_body_bytes = max_body_bytes
        self._body_limit = body_limit
        self._tls = tls
        self._limits = limits
        self._epoll = select.epoll()
        self._wakeup = Wakeup()
        self._waiting: dict[int, Connection] = {}
        self._held_bytes = 0
        self._accepts_again_s = math.inf
        # No deadline is earlier than this; it may be too early, as served connections are not taken out.
        self._next_check_s = math.inf
        self._lock = threading.Lock()
        self._returned: deque[tuple[Connection, bool]] = deque()
        self._stopping = False

    @property
    def held_bytes(self) -> int:
        """How much of `Limits.max_held_bytes` is used."""
        return self._held_bytes

    def let_go(self, conn: Connection) -> None:
        """Forget the request that was served; on the worker's thread."""
        conn.rfile.close()
        self._count(conn, 0)

    def take_back(self, conn: Connection, *, keep: bool) -> None:
        """Get a connection back from the worker that served it; keep it for the next request, or end it."""
        if not keep:
            conn.end_output()
            # To close with input unread resets the connection, which can destroy the answer on its way.
            if not _has_unread_input(conn.fd):
                conn.hang_up()
                return
        with self._lock:
            if not self._stopping:
                self._returned.append((conn, keep))
                self._wakeup.ring()
                return
        conn.end_output()
        conn.hang_up()

    def stop(self) -> None:
        """Make `run` return soon; connections that are with a worker stay."""
        with self._lock:
            # The bell is gone if `run` has ended already.
            if not self._stopping:
                self._stopping = True
                self._wakeup.ring()

    def run(self) -> None:
        """Serve until stopped, then close the listener and every connection that is not with a worker."""
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._wakeup.fd, select.EPOLLIN)
        try:
            while not self._stopping:
                for fd, _ in self._epoll.poll(self._rest_s()):
                    self._attend(fd)
                self._check_deadlines()
        finally:
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._stopping = True
        self._listener.close()
        for conn in (*self._waiting.values(), *(conn for conn, _ in self._returned)):
            conn.end_output()
            conn.hang_up()
        self._waiting.clear()
        self._returned.clear()
        self._epoll.close()
        self._wakeup.close()

    def _attend(self, fd: int) -> None:
        if (conn := self._waiting.get(fd)) is not None:
            self._go_on(conn)
        elif fd == self._wakeup.fd:
            self._wakeup.clear()
            self._take_returned()
        elif fd == self._listener.fileno():
            self._accept()

    def _go_on(self, conn: Connection) -> None:
        try:
            conn.step(conn)
        except OSError as error:
            log.debug("lost a client", extra={"fields": {"error": type(error).__name__}})
            self._drop(conn)
        except Exception as error:  # noqa: BLE001 - a fault with one client must not stop all others
            log.error("a connection failed", extra={"fields": fault(error)})  # noqa: TRY400 - see `fault`
            self._drop(conn)

    # -- new and returned connections

    def _accept(self) -> None:
        # One at a time: without a free descriptor a further call would fail even if nobody waited.
        try:
            sock, address = self._listener.accept()
        except OSError as error:
            self._accept_failed(error)
            return
        try:
            self._welcome(sock, address)
        except OSError as error:
            log.debug("lost a client", extra={"fields": {"error": type(error).__name__}})
            sock.close()

    def _accept_failed(self, error: OSError) -> None:
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return  # a client that left before it was let in
        log.warning("cannot accept a connection", extra={"fields": {"reason": os.strerror(error.errno)}})
        # The listener stays readable, so without a pause this would be tried without end.
        self._epoll.unregister(self._listener)
        self._accepts_again_s = time.monotonic() + _ACCEPT_PAUSE_S
        self._next_check_s = min(self._next_check_s, self._accepts_again_s)
        self._drop_oldest()

    def _welcome(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        sock.setblocking(False)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        conn = Connection(self._server, sock, address, Framing(self._max_body_bytes, self._body_limit))
        conn.since_s = time.monotonic()
        conn.deadline_s = conn.since_s + self._limits.request_timeout_s
        conn.step = self._receive if self._tls is None else self._shake_hands
        self._go_on(conn)
        while len(self._waiting) + self._queued() > self._limits.max_connections and self._waiting:
            self._drop_oldest()

    def _take_returned(self) -> None:
        while self._returned:
            conn, keep = self._returned.popleft()
            conn.step = self._resume if keep else self._linger
            self._go_on(conn)

    def _resume(self, conn: Connection) -> None:
        """Look for the next request, first in what had already come with the last one."""
        conn.socket.settimeout(0)
        conn.since_s = None
        conn.deadline_s = time.monotonic() + self._limits.keep_alive_s
        conn.step = self._receive
        if conn.framing.held_bytes:
            self._examine(conn, b"")
        else:
            self._await(conn, select.EPOLLIN)

    # -- steps of a connection

    def _shake_hands(self, conn: Connection) -> None:
        try:
            conn.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._await(conn, select.EPOLLIN)
        except ssl.SSLWantWriteError:
            self._await(conn, select.EPOLLOUT)
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST":
                raise
            # Below TLS, as there is none.
            os.write(conn.fd, _refusal_bytes("400 Bad Request", "This port speaks HTTPS only."))
            self._end_after_answer(conn)
        else:
            conn.step = self._receive
            self._receive(conn)

    def _receive(self, conn: Connection) -> None:
        try:
            data = conn.socket.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._await(conn, select.EPOLLIN)
        except ssl.SSLWantWriteError:
            self._await(conn, select.EPOLLOUT)
        else:
            if data:
                self._examine(conn, data)
            else:
                self._drop(conn)

    def _examine(self, conn: Connection, data: bytes) -> None:
        verdict = conn.framing.take(data)
        if verdict is Wait.FOR_CONTINUE:
            conn.socket.send(_CONTINUE)
        if isinstance(verdict, Request):
            self._pass(conn, verdict)
        elif isinstance(verdict, Refusal):
            self._refuse(conn, verdict.status)
        else:
            self._await_rest(conn)

    def _await_rest(self, conn: Connection) -> None:
        if conn.since_s is None:
            conn.since_s = time.monotonic()
        self._count(conn, conn.framing.held_bytes)
        times = 1 + conn.framing.held_bytes // PROGRESS_BYTES
        conn.deadline_s = conn.since_s + self._limits.request_timeout_s * times
        self._await(conn, select.EPOLLIN)
        if self._held_bytes > self._limits.max_held_bytes:
            self._drop_oldest(holding=READ_BYTES)

    def _pass(self, conn: Connection, request: Request) -> None:
        self._forget(conn)
        # What a worker has, or waits for one, still takes its memory; of short ones there cannot be too many.
        if len(request.data) > READ_BYTES:
            self._count(conn, len(request.data))
        conn.socket.settimeout(self._limits.write_timeout_s)
        conn.present(request)
        self._hand_over(conn)

    # -- ends

    def _refuse(self, conn: Connection, status: str) -> None:
        log.debug("refused a request", extra={"fields": {"status": status}})
        conn.socket.send(_refusal_bytes(status, _explanation(status, conn.framing.max_body_bytes)))
        self._end_after_answer(conn)

    def _end_after_answer(self, conn: Connection) -> None:
        conn.end_output()
        self._forget(conn)
        self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        conn.framing = Framing(0)
        conn.since_s = time.monotonic()
        conn.deadline_s = conn.since_s + self._limits.linger_s
        conn.step = self._hear_out
        self._await(conn, select.EPOLLIN)

    def _hear_out(self, conn: Connection) -> None:
        if not conn.throw_away_input():
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self._forget(conn)
        conn.hang_up()

    def _drop_oldest(self, holding: int = 0) -> None:
        """Drop the connection that has been at its request longest; if there is none, the longest at rest."""
        candidates = [conn for conn in self._waiting.values() if conn.framing.held_bytes >= holding]
        if candidates:
            self._drop(min(candidates, key=_age_order))

    # -- what is waited for

    def _await(self, conn: Connection, events: int) -> None:
        if conn.awaited_events == 0:
            self._epoll.register(conn.fd, events)
            self._waiting[conn.fd] = conn
        elif conn.awaited_events != events:
            self._epoll.modify(conn.fd, events)
        conn.awaited_events = events
        self._next_check_s = min(self._next_check_s, conn.deadline_s)

    def _forget(self, conn: Connection) -> None:
        self._count(conn, 0)
        if conn.awaited_events:
            self._epoll.unregister(conn.fd)
            del self._waiting[conn.fd]
            conn.awaited_events = 0

    def _count(self, conn: Connection, held_bytes: int) -> None:
        if held_bytes != conn.counted_bytes:
            with self._lock:
                self._held_bytes += held_bytes - conn.counted_bytes
            conn.counted_bytes = held_bytes

    def _rest_s(self) -> float | None:
        if self._next_check_s == math.inf:
            return None
        return max(0.0, self._next_check_s - time.monotonic())

    def _check_deadlines(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_check_s:
            return
        if now_s >= self._accepts_again_s:
            self._accepts_again_s = math.inf
            self._epoll.register(self._listener, select.EPOLLIN)
        for conn in [conn for conn in self._waiting.values() if conn.deadline_s <= now_s]:
            self._time_out(conn)
        deadlines = (conn.deadline_s for conn in self._waiting.values())
        self._next_check_s = min(deadlines, default=math.inf)
        self._next_check_s = min(self._next_check_s, self._accepts_again_s)

    def _time_out(self, conn: Connection) -> None:
        if conn.framing.held_bytes:
            conn.step = lambda conn: self._refuse(conn, "408 Request Timeout")
            self._go_on(conn)
        else:
            # A browser keeps connections in stock; it need not be told.
            self._drop(conn)


def _age_order(conn: Connection) -> tuple[bool, float]:
    return (True, conn.deadline_s) if conn.since_s is None else (False, conn.since_s)


def _has_unread_input(fd: int) -> bool:
    try:
        return bool(os.read(fd, READ_BYTES))
    except OSError:
        return False


def _explanation(status: str, max_body_bytes: int) -> str:
    if status.startswith("413"):
        return f"the body is longer than {max_body_bytes} bytes"
    return status.partition(" ")[2].lower()


def _refusal_bytes(status: str, explanation: str) -> bytes:
    document = json.dumps(answers.failure("", BadRequest("", explanation)))
    return (
        f"HTTP/1.1 {status}\r\nServer: otppi\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(document)}\r\nConnection: close\r\n\r\n{document}"
    ).encode("ascii")
