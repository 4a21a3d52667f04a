import http.client
import io
import json
import logging
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from otppi.wsgi.connection import HAND_OVER
from otppi.wsgi.gate import Limits
from otppi.wsgi.server import PortUnavailable, WebServer

PATIENCE_S = 5.0
MAX_BODY_BYTES = 100_000


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with what came in."""
    body = environ["wsgi.input"].read()
    answer = {name: value for name, value in environ.items() if isinstance(value, str)}
    answer["body"] = body.decode("latin-1")
    data = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


@contextmanager
def serving(
    app: Any = echo, host: str = "127.0.0.1", grace_s: float = 5.0, **options: Any
) -> Iterator[WebServer]:
    options = {"threads": 4, "max_body_bytes": MAX_BODY_BYTES, **options}
    server = WebServer("test", app, host, 0, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop(grace_s)


@contextmanager
def connected(server: WebServer, *data: bytes, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection((host, server.port), PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in data:
            sock.sendall(piece)
        yield sock


class Answers:
    """Reads answer after answer from one connection, to the byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")

    def next(self, method: str = "GET") -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(_Holding(self._file), method=method)  # type: ignore[arg-type]
        response.begin()
        response.body = response.read()  # type: ignore[attr-defined]
        return response

    def line(self) -> bytes:
        return self._file.readline()

    def rest(self) -> bytes:
        return self._file.read()

    def __enter__(self) -> "Answers":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _Holding:
    def __init__(self, file: Any) -> None:
        self._file = file

    def makefile(self, _mode: str) -> Any:
        return _Unclosed(self._file)


class _Unclosed(io.BufferedIOBase):
    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, *args: Any) -> bytes:
        return bytes(self._file.read(*args))

    def readinto(self, buffer: Any) -> int:
        return int(self._file.readinto(buffer))

    def readline(self, *args: Any) -> bytes:
        return bytes(self._file.readline(*args))


def document(response: Any) -> dict[str, str]:
    assert response.status == 200
    return dict(json.loads(response.body))


def status_of(server: WebServer, *data: bytes) -> int:
    with connected(server, *data) as sock, Answers(sock) as answers:
        return answers.next().status


def is_alive(server: WebServer) -> bool:
    return status_of(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") == 200


def eventually(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    end_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


# -- ordinary HTTP


def test_a_connection_serves_one_request_after_another() -> None:
    with serving() as server, connected(server) as sock, Answers(sock) as answers:
        for number in range(3):
            sock.sendall(b"GET /%d?a=b HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            answer = answers.next()
            assert document(answer)["PATH_INFO"] == f"/{number}"
            assert document(answer)["QUERY_STRING"] == "a=b"
            assert answer.getheader("Connection") is None


def test_the_server_names_itself_without_a_version() -> None:
    with serving() as server, connected(server, GET, b"GET / HTTP/1.1\r\nX\r\n\r\n") as sock:
        with Answers(sock) as answers:
            assert [answers.next().getheader("Server") for _ in range(2)] == ["otppi", "otppi"]


def test_a_client_that_asks_for_it_is_disconnected() -> None:
    with serving() as server, connected(server, GET_AND_CLOSE) as sock, Answers(sock) as answers:
        assert answers.next().getheader("Connection") == "close"
        assert answers.rest() == b""


def test_http_1_0_is_served_and_disconnected() -> None:
    with serving() as server, connected(server, b"GET / HTTP/1.0\r\n\r\n") as sock, Answers(sock) as answers:
        assert document(answers.next())["SERVER_PROTOCOL"] == "HTTP/1.0"
        assert answers.rest() == b""


def test_http_1_0_may_ask_to_stay() -> None:
    request = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    with serving() as server, connected(server, request) as sock, Answers(sock) as answers:
        assert answers.next().getheader("Keep-Alive") == "timeout=60"
        sock.sendall(request)
        assert answers.next().status == 200


def test_head_has_no_body() -> None:
    request = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving() as server, connected(server, request, GET_AND_CLOSE) as sock, Answers(sock) as answers:
        head = answers.next(method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert answers.next().status == 200


def test_an_answer_without_length_is_chunked() -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"one", b"two"]

    with serving(app) as server, connected(server, GET, GET) as sock, Answers(sock) as answers:
        assert [answers.next().body for _ in range(2)] == [b"onetwo", b"onetwo"]


def test_pipelined_requests_are_answered_in_their_order() -> None:
    requests = b"".join(b"POST /%d HTTP/1.1\r\nContent-Length: 2\r\n\r\n%02d" % (n, n) for n in range(20))
    with serving() as server, connected(server, requests) as sock, Answers(sock) as answers:
        assert [document(answers.next())["body"] for _ in range(20)] == [f"{n:02d}" for n in range(20)]


def test_a_body_that_the_application_leaves_unread_is_not_taken_for_a_request() -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("204 No Content", [])
        return []

    hidden = b"GET /smuggled HTTP/1.1\r\nHost: other\r\n\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
    request = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + GET_AND_CLOSE
    with serving(app) as server, connected(server, request) as sock, Answers(sock) as answers:
        assert [answers.next().status for _ in range(2)] == [204, 204]
        assert answers.rest() == b""


def test_the_application_sees_chunks_as_a_body_of_known_length() -> None:
    request = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n"
    with serving() as server, connected(server, request, GET) as sock, Answers(sock) as answers:
        answer = document(answers.next())
        assert (answer["body"], answer["CONTENT_LENGTH"]) == ("a\nbc", "4")
        assert "HTTP_TRANSFER_ENCODING" not in answer
        assert document(answers.next())["body"] == ""


def test_an_input_can_be_read_beyond_its_end_without_waiting() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        data = [stream.readline(), stream.read(100), stream.read(), stream.readline()]
        start_response("200 OK", [])
        return [repr(data).encode()]

    request = POST + b"Content-Length: 4\r\n\r\na\nbc"
    with serving(app) as server, connected(server, request) as sock, Answers(sock) as answers:
        assert answers.next().body == repr([b"a\n", b"bc", b"", b""]).encode()


@pytest.mark.parametrize(
    ("length", "body"),
    [(b"Content-Length: 5", b"hello"), (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")],
)
def test_a_client_that_waits_for_continue_gets_it_once(length: bytes, body: bytes) -> None:
    head = POST + b"Expect: 100-continue\r\n" + length + b"\r\n\r\n"
    with serving(threads=1) as server, connected(server, head) as sock, Answers(sock) as answers:
        assert (answers.line(), answers.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        assert is_alive(server)  # with its only thread
        sock.sendall(body)
        # A second one would be taken for this answer.
        assert document(answers.next())["body"] == "hello"


def test_a_body_over_the_limit_is_refused_instead_of_continued() -> None:
    head = POST + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n"
    with serving() as server:
        assert status_of(server, head) == 413


def test_header_fields_that_wsgi_could_mix_up_are_left_out() -> None:
    request = b"GET / HTTP/1.1\r\nContent_Length: 5\r\nX_A: spoofed\r\nX-A: real\r\n\r\n"
    with serving() as server, connected(server, request) as sock, Answers(sock) as answers:
        answer = document(answers.next())
        assert answer["HTTP_X_A"] == "real"
        assert "CONTENT_LENGTH" not in answer


def test_both_families_are_served_and_ipv4_addresses_look_as_usual() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with serving(host="::") as server:
        for host in ("127.0.0.1", "::1"):
            with connected(server, GET, host=host) as sock, Answers(sock) as answers:
                answer = document(answers.next())
                assert answer["REMOTE_ADDR"] == answer["SERVER_ADDR"] == host
                assert answer["REMOTE_PORT"] == str(sock.getsockname()[1])
                assert answer["SERVER_PORT"] == str(server.port)


def test_small_answers_leave_at_once() -> None:
    # With Nagle's algorithm each answer would wait for the client's delayed acknowledgement: 40 ms.
    with serving() as server, connected(server) as sock, Answers(sock) as answers:
        start_s = time.monotonic()
        for _ in range(30):
            sock.sendall(GET)
            answers.next()
        assert time.monotonic() - start_s < 0.6


# -- refusals


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"hello\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"GET //[ HTTP/1.1\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (POST + b"Content-Length: 100001\r\n\r\n" + b"x" * 100_001, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n186A1\r\n" + b"x" * 100_001, 413),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_what_cannot_be_served_is_refused_and_disconnected(data: bytes, status: int) -> None:
    with serving() as server:
        with connected(server, data) as sock, Answers(sock) as answers:
            assert answers.next().status == status
            assert answers.rest() == b""
        assert is_alive(server)


@pytest.mark.parametrize(
    "head", [b"Content-Length: 3000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n2DC6C0\r\n"]
)
def test_who_sends_too_much_can_send_it_all_and_then_read_the_refusal(head: bytes) -> None:
    with serving() as server, connected(server, POST + head, b"x" * 3_000_000) as sock:
        with Answers(sock) as answers:
            assert answers.next().status == 413


def test_what_follows_a_closing_request_does_not_destroy_its_answer() -> None:
    with serving() as server, connected(server, GET_AND_CLOSE + b"x" * 3_000_000) as sock:
        with Answers(sock) as answers:
            assert answers.next().status == 200
            assert answers.rest() == b""


def test_a_failing_application_answers_500_and_the_log_does_not_quote_it(caplog: Any) -> None:
    def app(environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise SystemExit("hidden words") if environ["PATH_INFO"] == "/exit" else KeyError("hidden words")

    with serving(app, threads=1) as server:
        assert status_of(server, GET) == 500
        with connected(server, b"GET /exit HTTP/1.1\r\n\r\n") as sock:
            assert sock.recv(100) == b""
        assert status_of(server, GET) == 500
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.fields["error"] for record in records] == ["KeyError", "SystemExit", "KeyError"]
    assert all(record.fields["at"].startswith("test_server.py:") for record in records)
    assert "hidden words" not in caplog.text


# -- slow clients


def percentile_99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99) - 1]


@contextmanager
def dripping(socks: list[socket.socket]) -> Iterator[None]:
    """Send one byte a second on each, spread over the second."""
    stopped = threading.Event()

    def drip() -> None:
        while True:
            for sock in socks:
                if stopped.wait(1.0 / len(socks)):
                    return
                sock.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.mark.parametrize("request_", [GET, GET_AND_CLOSE], ids=["kept alive", "a connection each"])
def test_two_hundred_slow_clients_do_not_slow_down_the_others(request_: bytes) -> None:
    durations_s = []
    with ExitStack() as stack:
        server = stack.enter_context(serving(threads=4))
        for _ in range(100):
            stack.enter_context(connected(server))
        slow = [stack.enter_context(connected(server, b"GET /")) for _ in range(100)]
        stack.enter_context(dripping(slow))
        for _ in range(10):
            with connected(server) as sock, Answers(sock) as answers:
                for _ in range(20 if request_ is GET else 1):
                    start_s = time.monotonic()
                    sock.sendall(request_)
                    assert answers.next().status == 200
                    durations_s.append(time.monotonic() - start_s)
        for _ in range(200 - len(durations_s)):
            start_s = time.monotonic()
            assert status_of(server, request_) == 200
            durations_s.append(time.monotonic() - start_s)
    assert len(durations_s) == 200
    assert percentile_99(durations_s) <= 0.05


def context_switches(prefix: str) -> int:
    """Return how often the threads of this name have gone to sleep."""
    total = 0
    for thread in threading.enumerate():
        if thread.name.startswith(prefix):
            status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
            total += int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
    return total


def test_a_server_with_nothing_to_do_does_nothing() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(threads=8))
        for _ in range(50):
            stack.enter_context(connected(server))
            resting = stack.enter_context(connected(server, GET))
            resting.recv(10_000)
        time.sleep(0.2)
        switches, cpu_s = context_switches("test:"), time.process_time()
        time.sleep(0.7)
        assert context_switches("test:") == switches
        assert time.process_time() - cpu_s < 0.05


QUICK = Limits(request_timeout_s=0.3, keep_alive_s=0.3, write_timeout_s=0.3, linger_s=0.3)


def test_a_client_that_says_nothing_is_disconnected_in_time() -> None:
    with serving(limits=QUICK) as server, connected(server) as sock:
        start_s = time.monotonic()
        assert sock.recv(100) == b""
        assert 0.2 < time.monotonic() - start_s < 1.0


def test_a_request_that_does_not_get_complete_is_answered_in_time() -> None:
    with serving(limits=QUICK) as server, connected(server, POST) as sock, Answers(sock) as answers:
        start_s = time.monotonic()
        assert answers.next().status == 408
        assert 0.2 < time.monotonic() - start_s < 1.0
        assert answers.rest() == b""


def test_bytes_now_and_then_do_not_prolong_a_request() -> None:
    with serving(limits=QUICK) as server, connected(server, b"GET / HTTP/1.1\r\nA: ") as sock:
        sock.settimeout(0.05)
        start_s = time.monotonic()
        answer = b""
        while not answer and time.monotonic() < start_s + PATIENCE_S:
            try:
                sock.sendall(b"x")
                answer = sock.recv(100)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - start_s < 1.0


def test_a_long_body_has_time_as_long_as_it_keeps_coming() -> None:
    length = 400_000
    with serving(limits=QUICK, max_body_bytes=length) as server:
        with connected(server, POST + b"Content-Length: %d\r\n\r\n" % length) as sock:
            for _ in range(10):
                sock.sendall(b"x" * (length // 10))
                time.sleep(0.08)
            with Answers(sock) as answers:
                assert len(document(answers.next())["body"]) == length


def test_a_resting_connection_is_closed_in_time() -> None:
    with serving(limits=QUICK) as server, connected(server, GET) as sock, Answers(sock) as answers:
        assert answers.next().status == 200
        start_s = time.monotonic()
        assert answers.rest() == b""
        assert 0.2 < time.monotonic() - start_s < 1.0


def test_rest_and_request_have_separate_times() -> None:
    limits = Limits(request_timeout_s=0.3, keep_alive_s=PATIENCE_S)
    with serving(limits=limits) as server, connected(server, GET) as sock, Answers(sock) as answers:
        assert answers.next().status == 200
        time.sleep(0.4)
        sock.sendall(GET[:10])
        time.sleep(0.1)
        sock.sendall(GET[10:])
        assert answers.next().status == 200
        sock.sendall(GET[:10])
        assert answers.next().status == 408


def test_a_client_that_does_not_read_holds_a_thread_no_longer_than_allowed() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"x" * 50_000_000] if environ["PATH_INFO"] == "/long" else [b"short"]

    with serving(app, threads=1, limits=QUICK) as server:
        with connected(server, b"GET /long HTTP/1.1\r\n\r\n"):
            start_s = time.monotonic()
            assert is_alive(server)
            assert time.monotonic() - start_s < 2.0


def test_a_client_that_reads_slowly_gets_all_of_a_long_answer() -> None:
    body = os.urandom(2_000_000)

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    with serving(app, limits=QUICK) as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        sock.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(GET_AND_CLOSE)
        received = bytearray()
        pause_s = 1.0 / 60  # much longer in all than one time limit
        while piece := sock.recv(50_000):
            received += piece
            time.sleep(pause_s)
        assert received.endswith(body)


# -- ends


def test_a_client_may_end_its_side_after_the_request() -> None:
    with serving() as server, connected(server, GET) as sock, Answers(sock) as answers:
        sock.shutdown(socket.SHUT_WR)
        assert answers.next().status == 200
        assert answers.rest() == b""


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("data", [b"", b"GET /", POST + b"Content-Length: 50\r\n\r\nx", GET])
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_clients_that_vanish_leave_nothing_behind(data: bytes, leave: Any, caplog: Any) -> None:
    with serving() as server:
        fds = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            with connected(server, data) as sock:
                leave(sock)
        assert is_alive(server)
        assert eventually(lambda: len(os.listdir("/proc/self/fd")) == fds)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_that_vanishes_while_it_is_served_is_no_error(caplog: Any) -> None:
    entered, leave = threading.Event(), threading.Event()

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        entered.set()
        leave.wait(PATIENCE_S)
        start_response("200 OK", [])
        return [b"x" * 10_000_000]

    with serving(app, threads=1) as server:
        with connected(server, GET) as sock:
            assert entered.wait(PATIENCE_S)
            reset(sock)
        leave.set()
        with connected(server, GET_AND_CLOSE) as sock, Answers(sock) as answers:
            assert answers.next().status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_start_and_stop_leave_no_thread_and_no_socket() -> None:
    threads, fds = threading.active_count(), os.listdir("/proc/self/fd")
    with serving(threads=8) as server:
        assert threading.active_count() == threads + 9
        with connected(server, GET) as resting, connected(server, b"GET /") as incomplete:
            with Answers(resting) as answers:
                assert answers.next().status == 200
            server.stop(PATIENCE_S)
            assert (resting.recv(10), incomplete.recv(10)) == (b"", b"")
        assert threading.active_count() == threads
    assert os.listdir("/proc/self/fd") == fds


def test_stopping_a_resting_server_is_quick_and_frees_the_port() -> None:
    with serving(threads=8) as server, connected(server, GET):
        start_s = time.monotonic()
        server.stop(PATIENCE_S)
        assert time.monotonic() - start_s < 0.2
        again = WebServer("test", echo, "127.0.0.1", server.port, threads=1, max_body_bytes=1)
        again.start()
        assert is_alive(again)
        again.stop(PATIENCE_S)


class Blocking:
    """An application that answers when it is allowed to."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.entered.release()
        self.allowed.wait(PATIENCE_S)
        return echo(environ, start_response)


def test_requests_in_hand_finish_when_the_server_stops() -> None:
    app = Blocking()
    with serving(app, threads=1) as server, connected(server, GET) as first, connected(server, GET) as second:
        assert app.entered.acquire(timeout=PATIENCE_S)
        stopping = threading.Thread(target=server.stop, args=(PATIENCE_S,))
        stopping.start()
        assert eventually(lambda: not _accepts(server.port))
        app.allowed.set()
        stopping.join()
        with Answers(first) as answers:
            assert answers.next().getheader("Connection") == "close"
            assert answers.rest() == b""
        second.recv(10_000)  # answered if it was complete in time, closed otherwise; never left hanging


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


def test_requests_that_outlast_the_grace_are_cut_off(caplog: Any) -> None:
    app = Blocking()
    threads = threading.active_count()
    with serving(app, threads=1) as server, connected(server, GET) as first:
        assert app.entered.acquire(timeout=PATIENCE_S)
        with connected(server, GET) as queued:
            time.sleep(0.1)
            start_s = time.monotonic()
            server.stop(0.2)
            assert 0.1 < time.monotonic() - start_s < 1.0
            assert (first.recv(10), queued.recv(10)) == (b"", b"")
        app.allowed.set()
        assert eventually(lambda: threading.active_count() == threads)
    assert [record.fields["requests"] for record in caplog.records if record.levelno == logging.WARNING] == [
        2
    ]


def test_many_threads_start_quickly() -> None:
    start_s = time.monotonic()
    with serving(threads=64):
        assert time.monotonic() - start_s < 0.3


def test_as_many_requests_as_threads_are_served_at_once() -> None:
    app = Blocking()
    with serving(app, threads=6) as server, ExitStack() as stack:
        socks = [stack.enter_context(connected(server, GET)) for _ in range(7)]
        for _ in range(6):
            assert app.entered.acquire(timeout=PATIENCE_S)
        assert not app.entered.acquire(timeout=0.1)
        app.allowed.set()
        for sock in socks:
            with Answers(sock) as answers:
                assert answers.next().status == 200


# -- limits of the gate


def has_ended(sock: socket.socket) -> bool:
    sock.settimeout(0.1)
    try:
        return sock.recv(10) == b""
    except TimeoutError:
        return False


def test_the_oldest_incomplete_request_makes_room_for_a_new_connection() -> None:
    limits = Limits(max_connections=10)
    with serving(limits=limits) as server, ExitStack() as stack:
        resting = stack.enter_context(connected(server, GET))
        resting_answers = stack.enter_context(Answers(resting))
        assert resting_answers.next().status == 200
        slow = []
        for _ in range(9):
            slow.append(stack.enter_context(connected(server, b"GET /")))
        # The resting one may not have come back from its worker yet when the first comes too many.
        assert eventually(lambda: is_alive(server) and has_ended(slow[0]))
        slow[1].sendall(b" HTTP/1.1\r\n\r\n")
        with Answers(slow[1]) as answers:
            assert answers.next().status == 200
        resting.sendall(GET)
        assert resting_answers.next().status == 200


def test_a_flood_of_connections_does_not_keep_others_out() -> None:
    with serving(limits=Limits(max_connections=20)) as server, ExitStack() as stack:
        for number in range(100):
            stack.enter_context(connected(server, b"GET /"))
            if number % 10 == 0:
                assert is_alive(server)


def test_memory_for_incomplete_bodies_is_limited_for_all_together() -> None:
    head = POST + b"Content-Length: 100000\r\n\r\n"
    limits = Limits(max_held_bytes=500_000)
    with serving(limits=limits) as server, ExitStack() as stack:
        slow = []
        for _ in range(8):
            slow.append(stack.enter_context(connected(server, head, b"x" * 90_000)))
            assert is_alive(server)
        assert slow[0].recv(10) == b""
        slow[-1].sendall(b"x" * 10_000)
        with Answers(slow[-1]) as answers:
            assert answers.next().status == 200


def test_a_long_request_takes_memory_until_it_is_served() -> None:
    """What waits for a worker counts, so that a queue of long requests cannot take all memory."""
    app, body = Blocking(), b"x" * 90_000
    request = POST + b"Content-Length: 90000\r\nConnection: close\r\n\r\n"
    limits = Limits(max_held_bytes=250_000)
    with serving(app, threads=1, limits=limits) as server, ExitStack() as stack:
        whole = [stack.enter_context(connected(server, request, body))]
        assert app.entered.acquire(timeout=PATIENCE_S)
        gate = server._running[1]
        assert gate.held_bytes == len(request) + 90_000
        whole.append(stack.enter_context(connected(server, request, body)))
        assert eventually(lambda: gate.held_bytes == 2 * (len(request) + 90_000))
        too_much = stack.enter_context(connected(server, request, body))
        with suppress(ConnectionResetError):  # what it had still to send is read by nobody
            assert too_much.recv(10) == b""
        short = stack.enter_context(connected(server, GET_AND_CLOSE))
        app.allowed.set()
        for sock in (*whole, short):
            with Answers(sock) as answers:
                assert answers.next().status == 200
        assert eventually(lambda: gate.held_bytes == 0)


def test_a_long_request_that_another_goes_on_with_takes_no_memory_any_more() -> None:
    taken: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[HAND_OVER](taken.append, lambda: None)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(app) as server:
        with connected(server, POST + b"Content-Length: 90000\r\n\r\n", b"x" * 90_000):
            assert eventually(lambda: taken)
            assert server._running[1].held_bytes == 0
            taken[0].hang_up()


def test_who_may_send_a_longer_body_is_asked_by_the_head_of_the_request() -> None:
    asked: list[str] = []

    def body_limit(fields: Mapping[str, str]) -> int:
        asked.append(fields.get("cookie", ""))
        return 300_000 if fields.get("cookie") == "a=owner" else 0

    known, stranger = b"cookie: a=owner\r\n", b"Cookie: a=b\r\n"
    lengths = b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"
    with serving(body_limit=body_limit) as server:
        for length in lengths:
            end = b"\r\n0\r\n\r\n" if b"chunked" in length else b""
            assert status_of(server, POST + stranger + length % 100_000, b"x" * 100_000 + end) == 200
            assert asked == [], "for what anybody may send"
            assert status_of(server, POST + known + length % 300_000, b"x" * 300_000 + end) == 200
            assert status_of(server, POST + known + length % 300_001, b"x" * 300_001 + end) == 413
            assert status_of(server, POST + stranger + length % 100_001, b"x" * 100_001 + end) == 413
            assert set(asked) == {"a=owner", "a=b"}
            asked.clear()
        # On one connection the next request is somebody else's.
        requests = POST + known + lengths[0] % 200_000 + b"x" * 200_000 + POST + lengths[0] % 200_000
        with connected(server, requests) as sock, Answers(sock) as answers:
            assert [answers.next().status for _ in range(2)] == [200, 413]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def no_free_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in fillers:
            os.close(fd)


def reasons_of_warnings(caplog: Any) -> list[str]:
    return [record.fields["reason"] for record in caplog.records if record.levelno == logging.WARNING]


def test_without_descriptors_a_waiting_connection_makes_room(caplog: Any) -> None:
    with serving() as server:
        both_ends = open_descriptors() + 2
        with connected(server) as idle, socket.socket() as sock:
            assert is_alive(server)  # so the one before has been accepted
            # This connection's own descriptor would let the next one in.
            assert eventually(lambda: open_descriptors() <= both_ends + 1)
            sock.settimeout(PATIENCE_S)
            with no_free_descriptors():
                sock.connect(("127.0.0.1", server.port))
                sock.sendall(GET)
                assert idle.recv(10) == b""
                with Answers(sock) as answers:
                    assert answers.next().status == 200
    assert set(reasons_of_warnings(caplog)) == {"Too many open files"}


def test_without_descriptors_the_server_tries_again_now_and_then(caplog: Any) -> None:
    with serving() as server, socket.socket() as sock:
        sock.settimeout(PATIENCE_S)
        with no_free_descriptors():
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(GET)
            time.sleep(0.2)
        with Answers(sock) as answers:
            assert answers.next().status == 200
    assert set(reasons_of_warnings(caplog)) == {"Too many open files"}


# -- ports


def test_a_port_that_is_taken_is_named_with_the_reason() -> None:
    with serving() as server:
        second = WebServer("second", echo, "127.0.0.1", server.port, threads=2, max_body_bytes=1)
        threads = threading.active_count()
        with pytest.raises(PortUnavailable) as caught:
            second.start()
        assert str(caught.value) == f"port {server.port} on 127.0.0.1: Address already in use"
        assert (caught.value.port, caught.value.reason) == (server.port, "Address already in use")
        assert threading.active_count() == threads
        second.stop(1.0)


def test_an_address_that_is_not_ours_is_named_with_the_reason() -> None:
    server = WebServer("test", echo, "192.0.2.1", 0, threads=1, max_body_bytes=1)
    with pytest.raises(PortUnavailable, match=r"port 0 on 192\.0\.2\.1: Cannot assign requested address"):
        server.start()


def test_threads_are_named_after_the_server() -> None:
    with serving(threads=2):
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("test:")]
    assert sorted(names) == ["test:gate", "test:worker-1", "test:worker-2"]


# -- any bytes


def test_a_request_sent_byte_by_byte_is_served() -> None:
    request = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with serving() as server, connected(server) as sock, Answers(sock) as answers:
        for start, end in pairwise(range(len(request) + 1)):
            sock.sendall(request[start:end])
        assert document(answers.next())["body"] == "hello"
