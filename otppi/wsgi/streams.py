"""Answers without an end (server-sent events) that cost no worker thread: one thread sends to all who listen."""

import logging
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import bottle

from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.wsgi.connection import HAND_OVER, Connection

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 15
# A browser that has lost its stream comes back after this time.
_HELLO = b"retry: 3000\n\n"
_HEARTBEAT = b":\n\n"
# What the kernel keeps for a client that does not read; more of it would only be older news.
_KERNEL_BUFFER_BYTES = 64 * 1024
# A client that went out of reach does not say so: it is gone when it has taken nothing of what was sent for so long.
_LONGEST_SILENCE_S = 45
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "Connection": "close",
}

Key = TypeVar("Key", bound=Hashable)
Begin = Callable[[Callable[[bytes], None]], None]


class Streams(Generic[Key]):
    """Keeps the connections of those who listen, on the thread `NAME:streams`.

    Other methods than `start` and `stop` may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        *,
        most: int = 32,
        most_per_client: int = 8,
        most_unsent_bytes: int = 64 * 1024,
        heartbeat_s: float = 15.0,
    ) -> None:
        """Take how much there may be.

        Args:
            name: The first part of the name of the thread.
            most: Streams in all.
            most_per_client: Streams of one address.
            most_unsent_bytes: What is kept for a client that reads slowly; with more it is hung up on.
            heartbeat_s: How often all streams are sent a sign of life, and those ended that are no longer allowed.
        """
        self._most = most
        self._most_per_client = most_per_client
        self._most_unsent_bytes = most_unsent_bytes
        self._heartbeat_s = heartbeat_s
        self._lock = threading.Lock()
        self._open: set[_Stream[Key]] = set()  # also those that the thread has not seen yet
        self._news: deque[_Stream[Key] | tuple[Key, bytes]] = deque()
        self._stopping = False
        self._is_over = False  # also after a mistake: nothing more is taken, and nobody rings
        self._wakeup = Wakeup()
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Stream[Key]] = {}  # of the thread alone
        self._thread = threading.Thread(target=self._run, name=f"{name}:streams", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stopping)

    def stop(self) -> None:
        """End all streams."""
        with self._lock:
            self._stopping = self._is_over = True
            self._wakeup.ring()
        self._thread.join()
        self._epoll.close()
        self._wakeup.close()

    def open(
        self,
        environ: Mapping[str, Any],
        *,
        key: Key,
        is_allowed: Callable[[], bool],
        begin: Begin = lambda start: start(b""),
    ) -> bottle.HTTPResponse:
        """Return an answer that goes on as a stream, or 503 where there are too many.

        Args:
            environ: The request.
            key: What `send` reaches it by.
            is_allowed: Asked before each news and at each heartbeat, on the thread of the streams; False ends the
                stream.
            begin: Called when the answer is on its way; it must call its argument once, with what the stream begins
                with. Whatever is sent by `send` after that call comes after it, and nothing before.
        """
        if not self._has_room_for(environ["REMOTE_ADDR"]):
            return bottle.HTTPResponse(
                status=503, headers={"Retry-After": str(_RETRY_AFTER_S), "Cache-Control": "no-store"}
            )

        def keep(connection: Connection) -> None:
            begin(lambda first: self._keep(_Stream(connection, key, is_allowed, first)))

        def body() -> Iterator[bytes]:
            # Only an answer that is really given hands its connection over.
            environ[HAND_OVER](keep, self._look_again)
            yield _HELLO

        return bottle.HTTPResponse(b"" if environ["REQUEST_METHOD"] == "HEAD" else body(), headers=_HEADERS)

    def listened_to(self) -> set[Key]:
        """Return the keys that somebody listens to."""
        with self._lock:
            return {stream.key for stream in self._open}

    def count(self) -> int:
        """Return how many streams are open."""
        with self._lock:
            return len(self._open)

    def send(self, key: Key, data: bytes) -> None:
        """Send to all streams of this key; returns at once."""
        with self._lock:
            if not self._is_over:
                self._news.append((key, data))
                self._wakeup.ring()

    def _has_room_for(self, address: str) -> bool:
        with self._lock:
            return self._has_room(address)

    def _has_room(self, address: str) -> bool:
        own = sum(stream.connection.remote_addr == address for stream in self._open)
        return len(self._open) < self._most and own < self._most_per_client and not self._is_over

    def _keep(self, stream: "_Stream[Key]") -> None:
        with self._lock:
            # Others may have come since it was asked for.
            if self._has_room(stream.connection.remote_addr):
                self._open.add(stream)
                self._news.append(stream)
                self._wakeup.ring()
                return
        stream.end()

    def _look_again(self) -> None:
        with self._lock:
            if not self._is_over:
                self._wakeup.ring()

    # -- on the thread

    def _run(self) -> None:
        self._epoll.register(self._wakeup.fd, select.EPOLLIN)
        try:
            self._serve()
        finally:
            with self._lock:
                self._is_over = True
                streams, self._open = self._open, set()
            for stream in streams:
                stream.end()

    def _serve(self) -> None:
        beats_at_s = time.monotonic() + self._heartbeat_s
        while not self._stopping:
            rest_s = max(0.0, beats_at_s - time.monotonic()) if self._by_fd else None
            for fd, events in self._epoll.poll(rest_s):
                if fd == self._wakeup.fd:
                    self._wakeup.clear()
                    self._take_news()
                elif (stream := self._by_fd.get(fd)) is not None:
                    self._attend(stream, events)
            if time.monotonic() >= beats_at_s:
                beats_at_s = time.monotonic() + self._heartbeat_s
                self._beat()

    def _take_news(self) -> None:
        while self._news:
            one = self._news.popleft()
            if isinstance(one, _Stream):
                self._epoll.register(one.connection.fd, one.awaited_events)
                self._by_fd[one.connection.fd] = one
                continue
            key, data = one
            for stream in [listener for listener in self._by_fd.values() if listener.key == key]:
                if _is_still_allowed(stream):
                    stream.unsent += data
                else:
                    self._drop(stream)
        for stream in tuple(self._by_fd.values()):
            if not stream.connection.server_runs:
                self._drop(stream)
            elif not stream.is_blocked:
                self._send(stream)
            elif len(stream.unsent) > self._most_unsent_bytes:
                self._drop(stream)

    def _attend(self, stream: "_Stream[Key]", events: int) -> None:
        # Whoever listens has nothing to say: what comes is the end, or more than was agreed.
        if events & ~select.EPOLLOUT:
            self._drop(stream)
        else:
            self._send(stream)

    def _beat(self) -> None:
        for stream in tuple(self._by_fd.values()):
            if _is_still_allowed(stream):
                stream.unsent += _HEARTBEAT
                self._send(stream)
            else:
                self._drop(stream)

    def _send(self, stream: "_Stream[Key]") -> None:
        try:
            stream.send()
        except OSError as error:
            log.debug("lost a listener", extra={"fields": {"error": type(error).__name__}})
            self._drop(stream)
            return
        if len(stream.unsent) > self._most_unsent_bytes:
            self._drop(stream)
            return
        events = select.EPOLLIN | (select.EPOLLOUT if stream.is_blocked else 0)
        if events != stream.awaited_events:
            stream.awaited_events = events
            self._epoll.modify(stream.connection.fd, events)

    def _drop(self, stream: "_Stream[Key]") -> None:
        self._epoll.unregister(stream.connection.fd)
        del self._by_fd[stream.connection.fd]
        with self._lock:
            self._open.discard(stream)
        stream.end()


class _Stream(Generic[Key]):
    def __init__(
        self, connection: Connection, key: Key, is_allowed: Callable[[], bool], first: bytes
    ) -> None:
        self.connection = connection
        self.key = key
        self.is_allowed = is_allowed
        self.unsent = bytearray(first)
        self.is_blocked = False
        self.awaited_events = select.EPOLLIN
        sock = connection.socket
        sock.settimeout(0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _LONGEST_SILENCE_S)

    def send(self) -> None:
        """Send what the client takes now; raises OSError when it is gone."""
        self.is_blocked = False
        while self.unsent:
            try:
                # All of it each time: OpenSSL wants at least what it was given when it could not go on.
                sent = self.connection.socket.send(self.unsent)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.is_blocked = True
                return
            del self.unsent[:sent]

    def end(self) -> None:
        self.connection.end_output()
        self.connection.hang_up()


def _is_still_allowed(stream: _Stream[Any]) -> bool:
    try:
        return stream.is_allowed()
    except Exception:
        log.exception("a listener could not be checked")
        return False
