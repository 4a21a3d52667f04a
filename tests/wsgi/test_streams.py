import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bottle
import pytest

from otppi.wsgi.server import WebServer
from otppi.wsgi.streams import Streams
from otppi.wsgi.tls import ensure_certificate, server_context

PATIENCE_S = 5.0
GET = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = b"data: hello\n\n"


class Listener:
    """A browser that listens."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket = sock if tls is None else tls.wrap_socket(sock)
        self.socket.sendall(GET)
        self._file = self.socket.makefile("rb")
        self.head = self._until(b"\r\n")
        self.hello = b""

    @property
    def status(self) -> int:
        return int(self.head[0].split()[1])

    def event(self) -> bytes:
        """Return the lines up to the next empty one."""
        return b"".join(self._until(b"\n"))

    def rest(self) -> bytes:
        return self._file.read()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def _until(self, end: bytes) -> list[bytes]:
        lines = []
        while (line := self._file.readline()) not in (end, b""):
            lines.append(line)
        return lines


class Radio:
    """A server with streams of one key, and listeners that are hung up on at the end."""

    def __init__(self, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.allowed: Callable[[], bool] = lambda: True
        self.begin: Callable[..., None] = lambda start: start(HELLO)
        self.streams: Streams[str] = Streams("test", **options)
        self._tls = tls
        app = bottle.Bottle()
        app.route("/stream", "GET", self._answer)
        app.route("/healthz", "GET", lambda: "well")
        self.server = WebServer("test", app, "127.0.0.1", 0, threads=2, max_body_bytes=1000, tls=tls)
        self.listeners: list[Listener] = []

    def listen(self, tls: ssl.SSLContext | None = None) -> Listener:
        one = Listener(self.server.port, tls)
        self.listeners.append(one)
        return one

    def listen_on_air(self, tls: ssl.SSLContext | None = None) -> Listener:
        """Return a listener that gets all that is sent from now on."""
        one = self.listen(tls)
        assert one.status == 200
        assert one.event().startswith(b"retry: ")
        one.hello = one.event()
        return one

    def ask(self, method: str, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_S)
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def _answer(self) -> bottle.HTTPResponse:
        return self.streams.open(
            bottle.request.environ,
            key="news",
            is_allowed=lambda: self.allowed(),
            begin=lambda start: self.begin(start),
        )


@contextmanager
def on_air(tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[Radio]:
    radio = Radio(tls, **options)
    radio.streams.start()
    radio.server.start()
    try:
        yield radio
    finally:
        radio.server.stop(PATIENCE_S)
        radio.streams.stop()
        for listener in radio.listeners:
            listener.close()


def eventually(holds: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True


# -- who listens


def test_who_is_no_longer_allowed_hears_nothing_more_and_does_not_wait_for_the_heartbeat() -> None:
    with on_air(heartbeat_s=60.0) as radio:
        listener = radio.listen_on_air()
        radio.allowed = lambda: False
        radio.streams.send("news", b"data: secret\n\n")
        assert listener.rest() == b""
        assert eventually(lambda: radio.streams.count() == 0)


def test_everybody_hears_what_is_sent_in_its_order() -> None:
    with on_air() as radio:
        listeners = [radio.listen_on_air() for _ in range(5)]
        assert [listener.hello for listener in listeners] == [b"data: hello\n"] * 5
        assert radio.streams.listened_to() == {"news"}
        for number in range(100):
            radio.streams.send("news", b"data: %d\n\n" % number)
            radio.streams.send("other", b"data: not this\n\n")
        for listener in listeners:
            assert [listener.event() for _ in range(100)] == [b"data: %d\n" % n for n in range(100)]


def test_a_stream_is_declared_as_one_that_ends_with_its_connection() -> None:
    with on_air() as radio:
        head = b"".join(radio.listen_on_air().head).lower()
    assert b"content-type: text/event-stream" in head
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head
    assert b"content-length" not in head


def test_streams_over_tls_get_all_of_long_news(tmp_path: Any) -> None:
    server = server_context(ensure_certificate(tmp_path, ["localhost"]))
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    news = b"data: %s\n\n" % os.urandom(150_000).hex().encode()
    with on_air(server, most_unsent_bytes=1_000_000) as radio:
        listeners = [radio.listen_on_air(client) for _ in range(3)]
        radio.streams.send("news", news)
        radio.streams.send("news", b"data: after it\n\n")
        for listener in listeners:
            assert listener.event() == news[:-1]
            assert listener.event() == b"data: after it\n"


def test_nothing_is_missed_and_nothing_told_twice_where_a_stream_begins() -> None:
    """While news is sent without pause, what a stream begins with and what follows fit together."""
    lock, told = threading.Lock(), 0
    stopped = threading.Event()

    def begin(start: Callable[[bytes], None]) -> None:
        with lock:
            start(b"data: %d\n\n" % told)

    with on_air(most_unsent_bytes=1_000_000) as radio:
        radio.begin = begin

        def tell() -> None:
            nonlocal told
            while not stopped.wait(0.0005):
                with lock:
                    told += 1
                    radio.streams.send("news", b"data: %d\n\n" % told)

        teller = threading.Thread(target=tell)
        teller.start()
        try:
            for _ in range(8):
                listener = radio.listen_on_air()
                events = [listener.hello, *(listener.event() for _ in range(50))]
                numbers = [int(event.removeprefix(b"data: ")) for event in events]
                assert numbers == list(range(numbers[0], numbers[0] + 51))
        finally:
            stopped.set()
            teller.join()


# -- what it costs the server


def test_streams_take_no_worker() -> None:
    with on_air(most_per_client=20) as radio:
        for _ in range(20):
            radio.listen_on_air()
        assert radio.ask("GET", "/healthz").status == 200
        assert radio.server.died() == ()
        assert eventually(lambda: radio.server.progress() == (21, 0))


def test_a_stream_that_nothing_is_told_to_costs_nothing() -> None:
    with on_air() as radio:
        for _ in range(5):
            radio.listen_on_air()
        thread = next(one for one in threading.enumerate() if one.name == "test:streams")

        def switches() -> str:
            with open(f"/proc/self/task/{thread.native_id}/status") as status:
                return next(line for line in status if line.startswith("voluntary"))

        def is_quiet() -> bool:
            before = switches()
            time.sleep(0.5)
            return switches() == before

        assert any(is_quiet() for _ in range(3))  # the last listener may have been told hello late


def test_head_is_answered_without_a_stream() -> None:
    with on_air() as radio:
        answer = radio.ask("HEAD", "/stream")
        assert (answer.status, answer.getheader("Content-Type")) == (200, "text/event-stream; charset=utf-8")
        assert radio.streams.listened_to() == set()


def test_a_stream_too_many_is_told_to_come_later() -> None:
    with on_air(most=3) as radio:
        for _ in range(3):
            radio.listen_on_air()
        assert radio.listen().status == 503
        assert radio.ask("GET", "/stream").getheader("Retry-After") == "15"
        radio.listeners[0].close()
        assert eventually(lambda: radio.listen().status == 200)


def test_one_client_has_its_own_limit() -> None:
    with on_air(most_per_client=2) as radio:
        for _ in range(2):
            radio.listen_on_air()
        assert radio.listen().status == 503


def test_those_that_come_at_the_same_moment_cannot_exceed_the_limit() -> None:
    """Whether there is room is asked again when the stream begins, as several may have been told yes."""
    barrier = threading.Barrier(2)

    def begin(start: Callable[[bytes], None]) -> None:
        barrier.wait(PATIENCE_S)
        start(b"data: on air\n\n")

    with on_air(most=1) as radio:
        radio.begin = begin
        listeners = [radio.listen() for _ in range(2)]
        assert [listener.status for listener in listeners] == [200, 200]
        assert all(listener.event().startswith(b"retry: ") for listener in listeners)
        assert sorted(listener.event() for listener in listeners if listener) in ([b"", b"data: on air\n"],)


# -- ends


def test_a_listener_that_leaves_is_forgotten_and_its_descriptor_given_back() -> None:
    with on_air() as radio:
        fds = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            radio.listen_on_air().close()
            assert eventually(lambda: radio.streams.listened_to() == set())
        assert eventually(lambda: len(os.listdir("/proc/self/fd")) == fds)


def test_a_listener_that_does_not_read_is_hung_up_on_and_slows_nobody_down() -> None:
    with on_air() as radio:
        slow, quick = radio.listen_on_air(), radio.listen_on_air()
        piece = b"data: %s\n\n" % (b"x" * 10_000)
        sent = 0
        while radio.streams.count() == 2 and sent < 3000:
            radio.streams.send("news", piece)
            assert quick.event() == piece[:-1]
            sent += 1
        assert 6 < sent < 3000
        assert eventually(lambda: radio.server.progress() == (2, 0))
        assert not slow.rest().endswith(piece * sent)


def test_who_speaks_on_a_stream_is_hung_up_on() -> None:
    with on_air() as radio:
        listener = radio.listen_on_air()
        listener.socket.sendall(GET)
        assert eventually(lambda: radio.streams.count() == 0)


def test_a_heartbeat_keeps_a_quiet_stream_alive() -> None:
    with on_air(heartbeat_s=0.05) as radio:
        listener = radio.listen_on_air()
        assert [listener.event() for _ in range(3)] == [b":\n"] * 3


@pytest.mark.parametrize("fails", [False, True], ids=["no", "cannot be asked"])
def test_a_stream_ends_when_its_session_does(fails: bool, caplog: Any) -> None:
    def fail() -> bool:
        raise KeyError("no such session")

    with on_air(heartbeat_s=0.05) as radio:
        listener = radio.listen_on_air()
        assert listener.event() == b":\n"
        radio.allowed = fail if fails else lambda: False
        assert set(listener.rest().split()) <= {b":"}
        assert radio.streams.listened_to() == set()
        assert radio.streams.died() == ()
    assert ("could not be checked" in caplog.text) is fails


def test_a_server_that_stops_ends_its_streams_at_once_and_leaves_those_of_others() -> None:
    with on_air() as radio, on_air() as other:
        other.streams, own = radio.streams, other.streams
        ending, staying = radio.listen_on_air(), other.listen_on_air()
        start_s = time.monotonic()
        radio.server.stop(PATIENCE_S)
        assert ending.rest() == b""
        assert time.monotonic() - start_s < 1.0
        radio.streams.send("news", b"data: still here\n\n")
        assert staying.event() == b"data: still here\n"
        other.server.stop(PATIENCE_S)
        assert staying.rest() == b""
        other.streams = own


def test_a_stream_that_begins_while_its_server_stops_ends_too() -> None:
    entered, leave = threading.Event(), threading.Event()

    def begin(start: Callable[[bytes], None]) -> None:
        entered.set()
        leave.wait(PATIENCE_S)
        start(b"")

    with on_air() as radio:
        radio.begin = begin
        listener = radio.listen()
        assert listener.event().startswith(b"retry: ")
        assert entered.wait(PATIENCE_S)
        radio.server.stop_listening()
        leave.set()
        assert listener.rest() == b""


def test_the_end_of_all_streams_leaves_no_thread_and_no_descriptor() -> None:
    threads, fds = threading.active_count(), os.listdir("/proc/self/fd")
    with ExitStack() as stack:
        radio = stack.enter_context(on_air())
        listeners = [radio.listen_on_air() for _ in range(3)]
        radio.streams.stop()
        assert [listener.rest() for listener in listeners] == [b""] * 3
        assert radio.listen().status == 503
        radio.streams.send("news", b"nobody hears it")
        radio.streams.stop = lambda: None  # type: ignore[method-assign]
    assert threading.active_count() == threads
    assert os.listdir("/proc/self/fd") == fds


def test_a_connection_whose_answer_failed_is_not_handed_over() -> None:
    handed_over = []

    def app(environ: Any, start_response: Any) -> Any:
        environ["otppi.hand_over"](handed_over.append, lambda: None)
        raise KeyError("it failed")

    server = WebServer("test", app, "127.0.0.1", 0, threads=1, max_body_bytes=1000)
    server.start()
    try:
        for _ in range(2):
            listener = Listener(server.port)
            assert listener.status == 500
            listener.rest()
            listener.close()
    finally:
        server.stop(PATIENCE_S)
    assert handed_over == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_by_mistake_is_named_and_takes_no_more() -> None:
    def end_the_thread() -> bool:
        raise SystemExit

    with on_air(heartbeat_s=0.05) as radio:
        radio.allowed = end_the_thread
        listener = radio.listen()
        assert listener.rest().startswith(b"retry: ")
        assert eventually(lambda: radio.streams.died() == ("test:streams",))
        assert radio.listen().status == 503
        radio.streams.send("news", b"nobody hears it")
