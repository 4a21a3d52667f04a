"""The web server under the REST API and the admin pages: cheroot's HTTP and WSGI behind a gate of our own."""

import itertools
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any
from wsgiref.types import WSGIApplication

from cheroot.wsgi import Gateway_10, Server

from otppi.lib.faults import fault
from otppi.wsgi.connection import HAND_OVER, Connection
from otppi.wsgi.gate import Gate, Limits

log = logging.getLogger(__name__)

_EVERY_ADDRESS = "::"
_EVERY_IPV4_ADDRESS = "0.0.0.0"  # noqa: S104 - the settings decide


class PortUnavailable(OSError):
    """The port cannot be listened on; says which and why."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        self.port = port
        # Failed look-ups of names have negative numbers and words of their own.
        is_of_system = cause.errno is not None and cause.errno > 0
        self.reason = os.strerror(cause.errno or 0) if is_of_system else str(cause.strerror)
        super().__init__(cause.errno, f"port {port} on {host}: {self.reason}")

    def __str__(self) -> str:
        return str(self.strerror)


class WebServer:
    """Serves one WSGI application on one port; starts and stops once."""

    def __init__(
        self,
        name: str,
        app: WSGIApplication,
        host: str,
        port: int,
        *,
        threads: int,
        max_body_bytes: int,
        body_limit: Callable[[Mapping[str, str]], int] | None = None,
        tls: ssl.SSLContext | None = None,
        backlog: int = 128,
        limits: Limits | None = None,
    ) -> None:
        """Take what is served and where.

        Args:
            name: The first part of the names of all threads.
            app: Called on any of the worker threads, with a whole request that is never chunked.
            host: An address or a name; `::` means every address of both families.
            port: 0 lets the system choose.
            threads: How many requests are served at once.
            max_body_bytes: Longer bodies are answered with 413,
            body_limit: unless this says that their sender may; see `otppi.wsgi.framing.Framing`.
            tls: Set to speak TLS only.
            backlog: Connections that the system keeps before they are accepted.
            limits: What clients may take.
        """
        self._name = name
        self._app = app
        self._host = host
        self._port = port
        self._max_body_bytes = max_body_bytes
        self._body_limit = body_limit
        self._tls = tls
        self._backlog = backlog
        self._limits = limits or Limits()
        self._workers = _Workers(name, threads)
        self._running: tuple[_Cheroot, Gate, threading.Thread] | None = None
        self._stopped = True

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    def progress(self) -> tuple[int, int]:
        """Something that is another one whenever a worker has answered, or sent a piece of an answer."""
        return self._workers.progress()

    def died(self) -> tuple[str, ...]:
        """Return the names of threads that ended while the server runs."""
        running = self._running
        if running is None:
            return ()
        threads = (running[2], *self._workers.threads)
        dead = tuple(thread.name for thread in threads if not thread.is_alive())
        return dead if self._running is running else ()

    def start(self) -> None:
        """Listen, and return; requests are served from now on.

        Raises:
            PortUnavailable: The port is taken or may not be used, or the address is not ours.
        """
        listener = listening(self._host, self._port, self._backlog)
        self._port = listener.getsockname()[1]
        cheroot = _Cheroot(self._app, (self._host, self._port), self._limits)
        gate = Gate(
            listener,
            server=cheroot,
            hand_over=self._workers.put,
            queued=self._workers.queued,
            max_body_bytes=self._max_body_bytes,
            body_limit=self._body_limit,
            tls=self._tls,
            limits=self._limits,
        )
        self._workers.start(gate)
        thread = threading.Thread(target=gate.run, name=f"{self._name}:gate", daemon=True)
        thread.start()
        self._running = (cheroot, gate, thread)
        self._stopped = False

    def stop_listening(self) -> None:
        """Give the port back, and close resting connections, incomplete requests and streams; those in hand go on."""
        if self._running is None:
            return
        cheroot, gate, thread = self._running
        self._running = None
        cheroot.ready = False
        gate.stop()
        thread.join()
        self._workers.tell_of_stop()

    def stop(self, grace_s: float) -> None:
        """Stop listening, wait for the requests in hand as long as the grace, and cut off the rest.

        An application that does not return keeps its thread, which does not keep the process.
        """
        self.stop_listening()
        if self._stopped:
            return
        self._stopped = True
        stuck = self._workers.stop(grace_s)
        if stuck:
            log.warning("requests were cut off", extra={"fields": {"server": self._name, "requests": stuck}})


class _Gateway(Gateway_10):
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]  # of the class above it, which makes none
        """Add the address of ours that the client reached, and what hands the connection over."""
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ["SERVER_ADDR"] = self.req.conn.local_addr
        environ[HAND_OVER] = self.req.conn.hand_over
        return environ


class _Cheroot(Server):
    """What cheroot's requests and WSGI gateway ask of their server; it neither listens nor runs threads."""

    version = "otppi"
    software = "otppi"
    ready = True

    def __init__(self, app: WSGIApplication, address: tuple[str, int], limits: Limits) -> None:
        super().__init__(address, app, server_name="otppi", timeout=int(limits.keep_alive_s))
        self.gateway = _Gateway

    def clear_stats(self) -> None:
        """Keep no statistics; cheroot's own would keep every server in a global table for ever."""
        self.stats = {"Enabled": False}

    @property
    def can_add_keepalive_connection(self) -> bool:
        """See `HTTPServer`."""
        return self.ready

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: ARG002
        """Log what went wrong with a request, without the words, which may quote it."""
        error = sys.exc_info()[1]
        log.log(level, "a request failed", extra={"fields": fault(error) if error else {}})


class _Workers:
    """A fixed number of threads that serve what the gate lets through."""

    def __init__(self, name: str, count: int) -> None:
        self._queue: SimpleQueue[Connection | None] = SimpleQueue()
        self._in_hand: set[Connection] = set()
        self._hear_of_stop: set[Callable[[], None]] = set()
        self.served = 0
        self._gate: Gate
        self._served = itertools.count(1)
        self.threads = [
            threading.Thread(target=self._run, name=f"{name}:worker-{number}", daemon=True)
            for number in range(1, count + 1)
        ]

    def start(self, gate: Gate) -> None:
        """Start all threads; served connections go back to the gate."""
        self._gate = gate
        for thread in self.threads:
            thread.start()

    def progress(self) -> tuple[int, int]:
        """Return how many requests were served so far, and how many pieces of the answers in hand were sent."""
        return self.served, sum(conn.pieces_sent for conn in tuple(self._in_hand))

    def tell_of_stop(self) -> None:
        """Tell whoever was handed connections that the server stops."""
        for hear in tuple(self._hear_of_stop):
            hear()

    def put(self, conn: Connection) -> None:
        """Serve a connection as soon as a thread is free."""
        self._queue.put(conn)

    def queued(self) -> int:
        """Return how many connections wait for a thread."""
        return self._queue.qsize()

    def stop(self, grace_s: float) -> int:
        """Serve what has been put, at most as long as the grace; return how many requests were cut off.

        Nothing may be put any more.
        """
        self._dismiss(self.threads)
        end_s = time.monotonic() + grace_s
        for thread in self.threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        busy = [thread for thread in self.threads if thread.is_alive()]
        if not busy:
            return 0
        queued = self._hang_up_on_queued()
        for conn in tuple(self._in_hand):
            conn.cut_off()
        self._dismiss(busy)
        return len(busy) + queued

    def _dismiss(self, threads: list[threading.Thread]) -> None:
        for _ in threads:
            self._queue.put(None)

    def _hang_up_on_queued(self) -> int:
        count = 0
        with suppress(Empty):
            while True:
                conn = self._queue.get_nowait()
                if conn is not None:
                    conn.hang_up()
                    count += 1
        return count

    def _run(self) -> None:
        while (conn := self._queue.get()) is not None:
            self._in_hand.add(conn)
            keep = self._serve(conn)
            self._in_hand.discard(conn)
            self.served = next(self._served)
            self._gate.let_go(conn)
            if conn.was_answered and conn.next_owner is not None:
                self._hand_over(conn, *conn.next_owner)
            else:
                self._gate.take_back(conn, keep=keep)

    def _hand_over(
        self, conn: Connection, keep: Callable[[Connection], None], server_stops: Callable[[], None]
    ) -> None:
        self._hear_of_stop.add(server_stops)
        try:
            keep(conn)
        except Exception as error:  # noqa: BLE001 - it must not take the worker along
            log.error("a connection failed", extra={"fields": fault(error)})  # noqa: TRY400 - see `fault`
            conn.hang_up()

    def _serve(self, conn: Connection) -> bool:
        try:
            return conn.communicate()
        except BaseException as error:  # noqa: BLE001 - sys.exit() in an application ends its request only
            log.error("a request failed", extra={"fields": fault(error)})  # noqa: TRY400 - see `fault`
            return False


def listening(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens and does not block; `::` means every address of both families.

    Raises:
        PortUnavailable: The port is taken or may not be used, or the address is not ours.
    """
    try:
        listener = _bound(host, port, backlog)
    except OSError as error:
        raise PortUnavailable(host, port, error) from error
    listener.setblocking(False)
    # Every connection inherits it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bound(host: str, port: int, backlog: int) -> socket.socket:
    if host == _EVERY_ADDRESS and not socket.has_dualstack_ipv6():
        host = _EVERY_IPV4_ADDRESS
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(
        (host, port), family=family, backlog=backlog, dualstack_ipv6=host == _EVERY_ADDRESS
    )
