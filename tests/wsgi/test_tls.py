import json
import logging
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S
from otppi.wsgi.gate import Limits
from otppi.wsgi.server import WebServer
from otppi.wsgi.tls import CertificateFiles, ensure_certificate, server_context
from tests import needs

PATIENCE_S = 5.0
DAY_S = 86_400
NAMES = ("otppi.local", "localhost", "127.0.0.1", "::1")
NOW_S = EARLIEST_PLAUSIBLE_WALL_S + 100 * DAY_S


class FakeClock:
    def __init__(self, wall_s: float = NOW_S) -> None:
        self.now_s = wall_s

    def wall_s(self) -> float:
        return self.now_s

    def boot_s(self) -> float:
        return 0.0

    def wall_is_trusted(self) -> bool:
        return self.now_s >= EARLIEST_PLAUSIBLE_WALL_S


def certificate(files: CertificateFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


# -- the certificate


def test_a_certificate_names_the_device_by_all_its_names_and_addresses(tmp_path: Path) -> None:
    made = certificate(ensure_certificate(tmp_path, NAMES, FakeClock()))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "otppi.local"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_begins_in_the_past_and_lasts_no_longer_than_browsers_allow(tmp_path: Path) -> None:
    made = certificate(ensure_certificate(tmp_path, NAMES, FakeClock()))
    begin_s, end_s = made.not_valid_before_utc.timestamp(), made.not_valid_after_utc.timestamp()
    assert begin_s == NOW_S - 365 * DAY_S
    assert end_s - begin_s + 1 == 825 * DAY_S


def test_a_device_that_does_not_know_the_time_counts_from_the_release(tmp_path: Path) -> None:
    made = certificate(ensure_certificate(tmp_path, NAMES, FakeClock(wall_s=0.0)))
    assert made.not_valid_before_utc.timestamp() == EARLIEST_PLAUSIBLE_WALL_S - 365 * DAY_S


def test_the_key_is_private_and_nothing_else_is_left_in_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there"
    files = ensure_certificate(directory, NAMES, FakeClock())
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sorted(os.listdir(directory)) == ["tls.crt", "tls.key"]
    assert "PRIVATE" not in files.certificate.read_text()


def test_the_fingerprint_is_the_one_that_browsers_show(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, NAMES, FakeClock())
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", files.certificate]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.strip().partition("=")[2] == files.fingerprint


def written(files: CertificateFiles) -> list[tuple[int, int]]:
    """Which files they are and when they were written; reading changes neither."""
    return [(one.st_ino, one.st_mtime_ns) for one in (files.certificate.stat(), files.key.stat())]


@pytest.mark.parametrize(
    ("names", "days_later"),
    [(NAMES, 0), (NAMES[:2], 0), (reversed(NAMES), 0), (NAMES, 429), (NAMES, -364), (NAMES, -1000)],
)
def test_a_good_certificate_stays(tmp_path: Path, names: Iterable[str], days_later: int) -> None:
    first = ensure_certificate(tmp_path, NAMES, FakeClock())
    before = written(first)
    assert ensure_certificate(tmp_path, list(names), FakeClock(NOW_S + days_later * DAY_S)) == first
    assert written(first) == before


@pytest.mark.parametrize(("names", "days_later"), [((*NAMES, "10.1.2.3"), 0), (NAMES, 431), (NAMES, 2000)])
def test_a_certificate_is_renewed_with_the_same_key(
    tmp_path: Path, names: tuple[str, ...], days_later: int
) -> None:
    first = ensure_certificate(tmp_path, NAMES, FakeClock())
    key = first.key.read_bytes()
    second = ensure_certificate(tmp_path, names, FakeClock(NOW_S + days_later * DAY_S))
    assert second != first
    assert second.key.read_bytes() == key
    assert ensure_certificate(tmp_path, names, FakeClock(NOW_S + days_later * DAY_S)) == second


def test_on_a_full_disk_the_old_certificate_goes_on_serving(tmp_path: Path, caplog: Any) -> None:
    needs.root()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        first = ensure_certificate(tmp_path, NAMES, FakeClock())
        filler = tmp_path / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        assert ensure_certificate(tmp_path, (*NAMES, "10.1.2.3"), FakeClock()) == first
        assert "the old TLS certificate stays" in caplog.text
        filler.unlink()
        assert ensure_certificate(tmp_path, (*NAMES, "10.1.2.3"), FakeClock()) != first
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_certificate_from_a_wrong_future_is_renewed_once_the_time_is_known(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, NAMES, FakeClock(NOW_S + 5000 * DAY_S))
    second = ensure_certificate(tmp_path, NAMES, FakeClock())
    assert second.fingerprint != first.fingerprint


@pytest.mark.parametrize("damage", [b"", b"not a key", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["tls.key", "tls.crt"])
def test_a_damaged_pair_is_made_anew(tmp_path: Path, name: str, damage: bytes) -> None:
    ensure_certificate(tmp_path, NAMES, FakeClock())
    (tmp_path / name).write_bytes(damage)
    server_context(ensure_certificate(tmp_path, NAMES, FakeClock()))


def test_a_key_that_does_not_belong_to_the_certificate_gets_one(tmp_path: Path) -> None:
    ensure_certificate(tmp_path / "a", NAMES, FakeClock())
    ensure_certificate(tmp_path / "b", NAMES, FakeClock())
    key = (tmp_path / "b" / "tls.key").rename(tmp_path / "a" / "tls.key").read_bytes()
    files = ensure_certificate(tmp_path / "a", NAMES, FakeClock())
    server_context(files)
    assert files.key.read_bytes() == key


def test_a_pair_from_elsewhere_stays(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, ["other.example"], FakeClock())
    text = first.certificate.read_text()
    first.certificate.write_text("Zertifikat für uns\n" + text.partition("\n")[2], "utf-8")
    assert ensure_certificate(tmp_path, NAMES, FakeClock(NOW_S + 2000 * DAY_S)) == first


def test_a_key_with_a_password_is_replaced_and_nobody_is_asked(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, NAMES, FakeClock())
    locked = tmp_path / "locked"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", files.key, "-out", locked]
    subprocess.run(command, capture_output=True, check=True)
    locked.replace(files.key)
    server_context(ensure_certificate(tmp_path, NAMES, FakeClock()))
    load_pem_private_key(files.key.read_bytes(), None)


def test_making_one_does_not_bring_the_library_into_the_gateway(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from otppi.wsgi.tls import ensure_certificate;"
        "ensure_certificate(pathlib.Path(sys.argv[1]), ['x']); assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)


# -- the server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return ensure_certificate(tmp_path_factory.mktemp("tls"), NAMES)


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    answer = {"scheme": environ["wsgi.url_scheme"], "body": body.decode("latin-1")}
    data = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Length", str(len(data)))])
    return [data]


@contextmanager
def serving(files: CertificateFiles, app: Any = echo, **options: Any) -> Iterator[WebServer]:
    options = {"threads": 2, "max_body_bytes": 2_000_000, "tls": server_context(files), **options}
    server = WebServer("test", app, "127.0.0.1", 0, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop(PATIENCE_S)


@contextmanager
def raw(server: WebServer, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(data)
        yield sock


@contextmanager
def connected(server: WebServer, files: CertificateFiles, data: bytes = b"") -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(files.certificate))
    # Newer releases of Python do so by themselves.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # An end that was not announced is an error here.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    with raw(server) as sock:
        with context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
            tls.sendall(data)
            yield tls


def everything(sock: socket.socket) -> bytes:
    received = bytearray()
    while piece := sock.recv(100_000):
        received += piece
    return bytes(received)


def body_of(answer: bytes) -> dict[str, str]:
    assert answer.startswith(b"HTTP/1.1 200 ")
    return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def is_alive(server: WebServer, files: CertificateFiles) -> bool:
    with connected(server, files, GET_AND_CLOSE) as sock:
        return everything(sock).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_trusts_the_certificate_is_served_and_the_end_is_announced(
    files: CertificateFiles,
) -> None:
    with serving(files) as server, connected(server, files, GET_AND_CLOSE) as sock:
        # Without the announcement (RFC 8446, 6.1) the last read would raise.
        assert body_of(everything(sock)) == {"scheme": "https", "body": ""}


def test_one_connection_serves_requests_after_each_other_and_at_once(files: CertificateFiles) -> None:
    with serving(files) as server, connected(server, files) as sock:
        for _ in range(3):
            sock.sendall(GET)
            answer = sock.recv(10_000)
            while not answer.endswith(b"}"):
                answer += sock.recv(10_000)
            assert body_of(answer)["scheme"] == "https"
        sock.sendall(GET * 5 + GET_AND_CLOSE)
        assert everything(sock).count(b"HTTP/1.1 200 ") == 6


@pytest.mark.parametrize("length", [16_384, 16_385, 40_000, 1_500_000])
def test_bodies_of_many_records_pass_both_ways(files: CertificateFiles, length: int) -> None:
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length
    with serving(files) as server, connected(server, files, head + b"x" * length) as sock:
        assert len(body_of(everything(sock))["body"]) == length


def test_requests_that_come_in_one_record_as_long_as_can_be_are_all_served(files: CertificateFiles) -> None:
    filler = b"GET / HTTP/1.1\r\nA: " + b"x" * (16_384 - len(GET_AND_CLOSE) - 23) + b"\r\n\r\n"
    assert len(filler + GET_AND_CLOSE) == 16_384
    with serving(files) as server, connected(server, files, filler + GET_AND_CLOSE) as sock:
        assert everything(sock).count(b"HTTP/1.1 200 ") == 2


def test_a_body_over_the_limit_is_refused(files: CertificateFiles) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n"
    with serving(files) as server, connected(server, files, head) as sock:
        assert everything(sock).startswith(b"HTTP/1.1 413 ")


def test_continue_is_sent(files: CertificateFiles) -> None:
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with serving(files) as server, connected(server, files, head) as sock:
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hi")
        assert body_of(everything(sock))["body"] == "hi"


def test_old_versions_of_tls_are_refused(files: CertificateFiles) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving(files) as server:
        with raw(server) as sock, pytest.raises(ssl.SSLError):
            context.wrap_socket(sock)
        assert is_alive(server, files)


def test_tls_1_2_is_served(files: CertificateFiles) -> None:
    context = ssl.create_default_context(cafile=str(files.certificate))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(files) as server, raw(server) as sock:
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as tls:
            tls.sendall(GET_AND_CLOSE)
            assert tls.version() == "TLSv1.2"
            assert body_of(everything(tls))["scheme"] == "https"


def test_http_on_the_tls_port_is_told_so(files: CertificateFiles, caplog: Any) -> None:
    with serving(files) as server, raw(server, GET + b"x" * 1000) as sock:
        answer = everything(sock)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"HTTPS" in answer
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("data", [b"\0" * 100, b"hello\r\n", b"\x16\x03\x01\x00\x05hello"])
def test_other_noise_on_the_tls_port_is_disconnected_quietly(
    files: CertificateFiles, data: bytes, caplog: Any
) -> None:
    with serving(files) as server:
        with raw(server, data) as sock:
            with suppress(ConnectionResetError):
                assert b"HTTP" not in everything(sock)
        assert is_alive(server, files)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    handshake = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


def test_handshakes_that_are_never_finished_hold_up_nobody(files: CertificateFiles) -> None:
    hello = client_hello()
    with serving(files) as server, ExitStack() as stack:
        for index in range(150):
            stack.enter_context(raw(server, (b"", hello[:50], hello)[index % 3]))
        durations_s = []
        for _ in range(100):
            start_s = time.monotonic()
            assert is_alive(server, files)
            durations_s.append(time.monotonic() - start_s)
        assert sorted(durations_s)[98] <= 0.05


def test_a_handshake_must_be_finished_in_time(files: CertificateFiles) -> None:
    with serving(files, limits=Limits(request_timeout_s=0.3)) as server, raw(server, client_hello()) as sock:
        start_s = time.monotonic()
        with suppress(ConnectionResetError):
            everything(sock)
        assert 0.2 < time.monotonic() - start_s < 1.0


def test_a_client_that_does_not_read_holds_a_thread_no_longer_than_allowed(files: CertificateFiles) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"x" * (50_000_000 if environ["PATH_INFO"] == "/long" else 5)]

    limits = Limits(write_timeout_s=0.3)
    with serving(files, app, threads=1, limits=limits) as server:
        with connected(server, files, b"GET /long HTTP/1.1\r\n\r\n"):
            start_s = time.monotonic()
            assert is_alive(server, files)
            assert time.monotonic() - start_s < 2.0


def test_clients_that_vanish_are_no_error_and_leave_nothing_behind(
    files: CertificateFiles, caplog: Any
) -> None:
    threads, fds = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with serving(files) as server:
        for data in (b"", GET[:10], GET) * 5:
            with connected(server, files, data) as sock:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        assert is_alive(server, files)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, fds)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
