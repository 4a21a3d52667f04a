"""Over HTTP: a real gateway, and servers that behave as gateways and what stands before them should not."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace

import pytest

from otppi.model.errors import DuplicateReference
from otppi.publisher import (
    AnswerTimeout,
    CannotConnect,
    CodesUnavailable,
    ConnectionLost,
    Limits,
    LoginRefused,
    OwnCodes,
    Publisher,
    PublisherError,
    Refused,
    RestTransport,
    Tls,
)
from tests.broker_servers.certificates import certificates
from tests.gateway_under_test import PASSWORD, USER

NUMBER = "081200000001"
QUICK = Limits(connect_s=2, answer_s=2)


@pytest.fixture(scope="module")
def transport(real):
    return RestTransport(url=f"http://127.0.0.1:{real.port}/api/otp", username=USER, password=PASSWORD)


@dataclass
class Server:
    """Answers each connection with what it is told, once the whole request is there."""

    reply: bytes | Callable[[socket.socket], None] = b""
    requests: list[bytes] = field(default_factory=list)
    url: str = ""

    def transport(self, **changes):
        return RestTransport(
            **{"url": self.url, "username": USER, "password": PASSWORD, "limits": QUICK, **changes}
        )


@contextmanager
def serving(reply, context: ssl.SSLContext | None = None):
    server = Server(reply)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http{'s' if context else ''}://127.0.0.1:{listener.getsockname()[1]}/api/otp"

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    with connection if context is None else context.wrap_socket(connection, True) as one:
                        _serve(server, one)
                except ssl.SSLError:
                    connection.close()
                except OSError:
                    return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _serve(server: Server, connection: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request or len(request.partition(b"\r\n\r\n")[2]) < _length(request):
        piece = connection.recv(4096)
        if not piece:
            return
        request += piece
    server.requests.append(request)
    if callable(server.reply):
        server.reply(connection)
    else:
        connection.sendall(server.reply)


def _length(request: bytes) -> int:
    head = request.partition(b"\r\n\r\n")[0].lower()
    return int(head.partition(b"content-length:")[2].split(b"\r\n")[0])


def http(status: str, body: object = None, *headers: str) -> bytes:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers])
    return f"{head}\r\n\r\n".encode() + content


def test_every_call_reaches_a_real_gateway(real, transport):
    publisher = Publisher(transport)
    sent = publisher.send_sms(NUMBER, "Halo")
    assert (sent.code, sent.is_success, sent.is_answered, sent.is_unknown) == ("0000", True, True, False)
    assert real.texts()[-1] == "Halo"
    assert publisher.send_message(NUMBER, "Halo lagi").is_success
    assert publisher.send_email("ani@example.com", "Hai", "Halo").code == "1102"  # it has no account

    params = ["100000", "123"]
    created = publisher.create_otp(NUMBER, "ref-1", 60, "Kode %s, 100%% rahasia: %%s", params[:1], "Kode")
    assert created.code == "0000"
    code = real.texts()[-1].split(" ")[1].rstrip(",")
    assert publisher.create_otp(NUMBER, "ref-1", 60, "Kode %s").code == "1201"
    assert publisher.verify_otp(NUMBER, code, "ref-1", params).code == "1202"
    assert publisher.verify_otp(NUMBER, code, "ref-1", params[:1]).is_success
    assert publisher.verify_otp(NUMBER, code, "ref-1", params[:1]).code == "1202"

    assert publisher.block("081200000009").is_success
    blocked = publisher.send_sms("081200000009", "Halo")
    assert (blocked.code, blocked.is_unknown) == ("1301", False)
    assert publisher.unblock("081200000009").is_success

    listed = publisher.modem_list()
    assert [one["name"] for one in listed.modems.values()] == ["m0"]
    reply = publisher.request_ussd("m0", "*123#")
    assert reply.is_success
    assert reply.text
    assert publisher.request_ussd("nobody", "*123#").code == "1404"


def test_the_same_id_is_a_repeat_and_without_one_each_call_is_a_message(real, transport):
    publisher = Publisher(transport)
    before = len(real.texts())
    for _ in range(2):
        assert publisher.send_sms(NUMBER, "Sama", id="order-7").is_success
    assert len(real.texts()) == before + 1
    for _ in range(2):
        assert publisher.send_sms(NUMBER, "Sama").is_success
    assert len(real.texts()) == before + 3


def test_a_wrong_password_is_an_error_and_shows_nowhere(transport):
    wrong = replace(transport, password="wrong password 8")
    with pytest.raises(LoginRefused, match="The gateway refuses the user name") as caught:
        Publisher(wrong).send_sms(NUMBER, "Halo")
    assert not caught.value.is_unknown
    assert "wrong password 8" not in repr(wrong) + repr(caught.value)


def test_own_codes_are_sent_by_the_gateway_and_checked_here(real, transport, tmp_path):
    publisher = Publisher(transport, codes=OwnCodes(tmp_path / "codes"))
    created = publisher.create_otp(NUMBER, "own-1", 60, "Kode %s", ["7"], "Kode Anda")
    assert (created.command, created.code) == ("send-message", "0000")
    text = real.texts()[-1]
    assert len(text) == len("Kode 123456")
    assert text.split(" ")[1] not in repr(created)
    other = Publisher(transport, codes=OwnCodes(tmp_path / "codes"))
    duplicate = other.create_otp(NUMBER, "own-1", 60, "Kode %s")
    assert duplicate.code == "1201"
    assert 0 < duplicate.retry_after_s <= 60
    wrong = other.verify_otp(NUMBER, "nope", "own-1", ["7"])
    assert (wrong.command, wrong.code, wrong.is_answered) == ("verify-otp", "1202", True)
    right = other.verify_otp(NUMBER, text.split(" ")[1], "own-1", ["7"])
    assert right.is_success
    assert set(right.data) == {"date_time", "receiver", "reference"}
    for _ in range(6):
        last = other.verify_otp(NUMBER, "nope", "own-2")
    assert last.code == "1202"
    for message_format, reference in (("no place", "r"), ("%s and %s", "r"), ("Kode %s", " ")):
        assert other.create_otp(NUMBER, reference, 60, message_format).code == "1400"
    assert other.create_otp("nobody", "r", 60, "Kode %s").code == "1400"
    assert other.create_otp(NUMBER, "r", 0, "Kode %s").code == "1410"


def test_request_otp_becomes_send_message_as_in_php(tmp_path):
    with serving(http("200 OK", {"response_code": "0000"})) as server:
        publisher = Publisher(server.transport(), codes=OwnCodes(tmp_path / "codes"))
        publisher.create_otp(NUMBER, "r", 60, "Kode %s", id="7", subject="Kode")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    document = json.loads(body)
    assert document["command"] == "send-message"
    assert set(document["data"]) == {"date_time", "expiration", "id", "receiver", "message", "subject"}
    assert document["data"]["expiration"] == document["data"]["date_time"] + 60
    assert set(document) == {"command", "data"}
    assert head.startswith(b"POST /api/otp HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Basic " in head


@pytest.mark.parametrize(
    ("reply", "is_kept"),
    [
        (http("200 OK", {"response_code": "0000", "data": {}}), True),
        (http("200 OK", {"response_code": "1408", "data": {}}), True),
        (http("200 OK", {}), True),
        (http("502 Bad Gateway"), True),
        (b"", True),
        (http("200 OK", {"response_code": "1101", "data": {}}), False),
        (http("503 Service Unavailable", None, "Retry-After: 7"), False),
        (http("401 Unauthorized"), False),
    ],
)
def test_a_code_whose_sending_surely_failed_is_forgotten_and_no_other(tmp_path, reply, is_kept):
    codes = OwnCodes(tmp_path / "codes")
    with serving(reply) as server:
        publisher = Publisher(server.transport(), codes=codes)
        with suppress(PublisherError):
            publisher.create_otp(NUMBER, "r", 60, "Kode %s")
        assert len(server.requests) == 1
    with pytest.raises(DuplicateReference) if is_kept else nullcontext():
        codes.issue("r", NUMBER, ("", "", "", ""), 60)


def test_nothing_is_sent_when_codes_cannot_be_kept(tmp_path):
    with serving(http("200 OK", {"response_code": "0000"})) as server:
        publisher = Publisher(server.transport(), codes=OwnCodes(tmp_path / "no" / "codes"))
        with pytest.raises(CodesUnavailable):
            publisher.create_otp(NUMBER, "r")
    assert server.requests == []


@pytest.mark.parametrize(
    ("reply", "code", "retry_after_s", "is_unknown"),
    [
        (http("200 OK", {"command": "send-sms", "response_code": "000"}), "000", None, False),
        (
            http("429 Too Many", {"response_code": "1205", "error": "slow", "data": {"retry_after": 3}}),
            "1205",
            3,
            False,
        ),
        (http("429 Too Many", b"slow down", "Retry-After: 9"), "1205", 9, False),
        (http("503 Busy", b"<html>", "Retry-After: tomorrow"), "1503", None, False),
        (http("500 Oops", {"response_code": "1102", "error": "no"}), "1102", None, False),
        (http("413 Too Large", {"response_code": "1400", "error": "too large"}), "1400", None, False),
        (http("200 OK", {}), "", None, True),
        (http("200 OK", {"response_code": 1101, "data": []}), "1101", None, False),
    ],
)
def test_refusals_and_old_gateways_are_answers(reply, code, retry_after_s, is_unknown):
    with serving(reply) as server:
        answer = Publisher(server.transport()).send_sms(NUMBER, "Halo")
    assert (answer.code, answer.retry_after_s, answer.is_unknown) == (code, retry_after_s, is_unknown)
    assert answer.command == "send-sms"


@pytest.mark.parametrize(
    ("reply", "error", "is_unknown", "words"),
    [
        (http("200 OK", b"<html>log in here"), Refused, False, "Something else listens"),
        (http("200 OK", b"[" * 100_000), Refused, False, "Something else listens"),
        (http("404 Not Found", b"nothing"), Refused, False, "HTTP 404"),
        (http("302 Found", None, "Location: http://127.0.0.1:1/"), Refused, False, "HTTP 302"),
        (http("403 Forbidden"), Refused, False, "HTTP 403"),
        (http("500 Oops", b"trace"), ConnectionLost, True, "HTTP 500"),
        (b"", ConnectionLost, True, "may have been taken"),
        (b"SSH-2.0-hello\r\n", ConnectionLost, True, "may have been taken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", ConnectionLost, True, "may have been taken"),
    ],
)
def test_what_is_no_answer_is_an_error(reply, error, is_unknown, words):
    with serving(reply) as server:
        with pytest.raises(error, match=words) as caught:
            Publisher(server.transport()).send_sms(NUMBER, "Halo")
    assert caught.value.is_unknown is is_unknown


def test_a_server_that_says_a_byte_now_and_then_is_not_waited_for_for_ever():
    gone = threading.Event()

    def dribble(connection: socket.socket) -> None:
        try:
            for byte in http("200 OK", {"response_code": "0000", "padding": "x" * 4096}):
                connection.sendall(bytes([byte]))
                if gone.wait(0.02):
                    return
        except OSError:
            return

    with serving(dribble) as server:
        began_s = time.monotonic()
        with pytest.raises(AnswerTimeout) as caught:
            Publisher(server.transport(limits=Limits(connect_s=2, answer_s=0.2))).send_sms(NUMBER, "Halo")
        took_s = time.monotonic() - began_s
        gone.set()
    assert caught.value.is_unknown
    assert took_s < 2


def test_nothing_that_listens_is_surely_not_sent(free_port):
    with pytest.raises(CannotConnect, match="whether the gateway runs") as caught:
        Publisher(RestTransport(url=f"http://127.0.0.1:{free_port()}/")).send_sms(NUMBER, "Halo")
    assert not caught.value.is_unknown


def test_the_certificate_of_the_gateway_is_checked(tmp_path):
    pairs = certificates()
    for name, text in (("ca", pairs.ca.pem), ("cert", pairs.server.pem), ("key", pairs.server.key_pem)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with serving(http("200 OK", {"response_code": "0000"}), context) as server:
        with pytest.raises(CannotConnect, match="certificate of the gateway is not trusted"):
            Publisher(server.transport()).send_sms(NUMBER, "Halo")
        assert server.requests == []
        for tls in (Tls(ca_file=tmp_path / "ca"), Tls(verify=False)):
            assert Publisher(server.transport(tls=tls)).send_sms(NUMBER, "Halo").is_success
        plain = replace(server.transport(), url=server.url.replace("https", "http"))
        with pytest.raises((CannotConnect, ConnectionLost)):
            Publisher(plain).send_sms(NUMBER, "Halo")


def test_a_code_goes_to_another_receiver_if_it_does_not_get_through(real, transport):
    publisher = Publisher(transport)
    answer = publisher.create_otp("person@example.com", "elsewhere", fallback=[NUMBER], after_s=5)
    assert (answer.code, answer.data["channel"], answer.data["fallback"]) == ("0000", "sms", 1)
    assert publisher.verify_otp("person@example.com", real.code_sent(), "elsewhere").is_success
    sent = publisher.send_message("person@example.com", "halo", fallback=[NUMBER])
    assert (sent.code, sent.data["fallback"]) == ("0000", 1)
