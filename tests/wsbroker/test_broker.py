"""The broker with real sockets, by the client library that devices use."""

import contextlib
import http.client
import json
import logging
import socket
import ssl
import time
from pathlib import Path

import pytest
import websocket

from otppi.wsbroker.certificate import Certificate
from tests.broker_servers.certificates import certificates
from tests.wsbroker.running import HTPASSWD, LIMIT_S, basic, heard, masked, request

SMS = json.dumps(
    {"command": "send-sms", "data": {"id": 1, "receiver": "6281200000001", "message": "Rp 5,- ✓"}}
)


def wait_until(is_so) -> None:
    until = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def refusal(port: int, path: str, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    with contextlib.closing(connection):
        connection.request("GET", path, headers=upgrade | headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_a_message_goes_to_all_on_its_topic_but_the_sender_unchanged(shared):
    one, two = shared.listener("forward"), shared.listener("forward", "other")
    elsewhere = shared.listener("elsewhere")
    sender = shared.client("forward", "shop")
    sender.send(SMS)
    sender.send_binary(bytes(range(256)))
    sender.send("")
    for receiver in (one, two):
        assert heard(receiver) == SMS
        assert receiver.recv_data() == (websocket.ABNF.OPCODE_BINARY, bytes(range(256)))
        assert receiver.recv_data() == (websocket.ABNF.OPCODE_TEXT, b"")
    two.send("back")
    assert [heard(sender), heard(one)] == ["back", "back"]
    elsewhere.settimeout(0.05)
    two.settimeout(0.05)
    for silent in (elsewhere, two):
        with pytest.raises(websocket.WebSocketTimeoutException):
            heard(silent)


def test_the_longest_message_goes_through_in_one_frame_and_a_longer_one_ends_its_sender(shared):
    receiver, sender = shared.raw("long"), shared.client("long", "shop")
    assert b" 101 " in receiver.read()
    sender.send("x" * 65_535)
    assert receiver.frame() == (0x81, b"x" * 65_535)
    sender.send("x" * 65_536)
    assert sender.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    assert receiver.is_silent_for(0.05)


def test_a_message_in_pieces_arrives_as_one_frame(shared):
    receiver, sender = shared.listener("pieces"), shared.raw("pieces", "shop")
    assert b" 101 " in sender.read()
    for first, text in ((0x01, b"one "), (0x89, b"ping"), (0x00, b"two "), (0x80, b"three")):
        sender.send(masked(text, first))
    assert heard(receiver) == "one two three"


def test_nothing_is_compressed_even_for_who_offers_it(shared):
    raw = shared.stranger()
    raw.send(request("compressed", "other", more="Sec-WebSocket-Extensions: permessage-deflate\r\n"))
    assert b"xtensions" not in raw.read()


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        ("/ws?topic=sms", {}, 401, "are needed"),
        ("/ws?topic=sms", {"Authorization": "Basic !"}, 401, "cannot be read"),
        ("/ws?topic=sms", {"Authorization": basic("shop", "wrong")}, 401, "is wrong"),
        ("/ws?topic=sms", {"Authorization": basic("nobody", "wrong")}, 401, "is wrong"),
        ("/ws", {"Authorization": basic("device", "device")}, 400, "?topic=NAME"),
        ("/ws?topic=%00", {"Authorization": basic("device", "device")}, 400, "control"),
        ("/ws?topic=" + "x" * 7000, {"Authorization": basic("device", "device")}, 400, "longer"),
        ("/ws?topic=" + "x" * 10_000, {"Authorization": basic("device", "device")}, 414, "expected no more"),
        (
            "/ws?topic=sms",
            {"Authorization": basic("device", "device"), "Origin": "https://evil.example"},
            403,
            "other sites",
        ),
        ("/ws?topic=sms", {"Authorization": basic("device", "device"), "Upgrade": "h2c"}, 426, "Upgrade"),
    ],
)
def test_who_may_not_come_in_is_refused_before_the_upgrade(broker, path, headers, status, words):
    got, body, answered = refusal(broker().port, path, headers)
    assert (got, "websocket" in answered.get("Upgrade", "")) == (status, status == 426)
    assert words in body
    assert answered.get("WWW-Authenticate", "").startswith("Basic realm=") == (status == 401)
    assert "Server" not in answered


def test_who_is_refused_hears_and_sends_nothing(shared):
    listener = shared.listener("refused")
    for attempt in (
        b"GET /?topic=refused HTTP/1.1\r\nHost: a\r\n\r\n",
        request("refused", "nobody"),
    ):
        raw = shared.stranger()
        raw.send(attempt + masked(b"smuggled"))
        assert raw.read_until_end().startswith(b"HTTP/1.1 4")
    listener.settimeout(0.05)
    with pytest.raises(websocket.WebSocketTimeoutException):
        heard(listener)


def test_an_empty_topic_is_a_topic(shared):
    receiver = shared.listener("")
    shared.client("", "shop").send("a")
    assert heard(receiver) == "a"


def test_a_consumer_that_was_away_for_a_moment_gets_what_it_missed_and_nothing_twice(shared):
    first, sender = shared.listener("away"), shared.client("away", "shop")
    sender.send("one")
    assert heard(first) == "one"
    first.close()
    sender.send("two")
    sender.send("three")
    second = shared.client("away")
    assert [heard(second), heard(second)] == ["two", "three"]
    sender.send("four")
    assert heard(second) == "four"
    second.sock.close()  # without a goodbye
    third = shared.listener("away")
    sender.send("five")
    assert heard(third) == "five"


def test_what_waits_in_a_dead_connection_comes_again(shared):
    """A window of TCP that stays shut stands for a network that broke: nothing more is acknowledged."""
    dead, sender = shared.raw("dead", receive_buffer=4096), shared.client("dead", "shop")
    assert b" 101 " in dead.read()
    sender.send("0")
    assert dead.frame() == (0x81, b"0")
    texts = [f"{number} {'x' * 60_000}" for number in range(1, 31)]
    for text in texts:
        sender.send(text)
    back = shared.client("dead")
    assert [heard(back) for _ in texts] == texts


LONG = b"x" * 60_000


def test_a_reader_that_does_not_read_is_cut_off_and_the_others_notice_nothing(broker):
    one = broker(waiting_bytes=200_000)
    slow = one.raw("slow", "other", receive_buffer=4096)
    good, sender, frame = one.raw("slow"), one.raw("slow", "shop"), masked(LONG)
    assert all(b" 101 " in client.read() for client in (good, sender))
    for _ in range(100):
        sender.send(frame)
        assert good.frame() == (0x81, LONG)
    assert len(slow.read_until_end()) < 100 * len(LONG)


def test_when_too_much_waits_for_all_together_the_slowest_goes(broker, caplog):
    caplog.set_level(logging.INFO)
    one = broker(all_waiting_bytes=500_000, look_s=0.05)
    slow = [one.raw("slow", "other", receive_buffer=4096) for _ in range(2)]
    good, sender, frame = one.raw("slow"), one.raw("slow", "shop"), masked(LONG)
    assert all(b" 101 " in client.read() for client in (*slow, good, sender))
    for _ in range(100):
        sender.send(frame)
        assert good.frame() == (0x81, LONG)
    reason = "reads too slowly while many do"
    wait_until(lambda: reason in [getattr(record, "fields", {}).get("end") for record in caplog.records])
    sender.send(masked(b"more"))
    assert good.frame() == (0x81, b"more")


def test_a_silent_client_is_asked_and_a_dead_one_is_dropped(broker):
    one = broker(ping_s=0.2, pong_s=0.3, look_s=0.05)
    alive, dead, talks = one.raw("ping"), one.raw("ping"), one.raw("ping")
    for client in (alive, dead, talks):
        assert b" 101 " in client.read()
    asked = 0
    until = time.monotonic() + 4
    while asked < 3 and time.monotonic() < until:
        assert alive.frame() == (0x89, b"")
        alive.send(masked(b"", 0x8A))
        talks.send(masked(b"unasked for", 0x8A))
        asked += 1
    assert asked == 3
    assert dead.read_until_end().startswith(b"\x89\x00")


def test_connections_are_limited_in_all_by_address_and_by_user(broker):
    one = broker(connections=6, per_address=3, per_user=2)

    def lets_in(user: str, source: str = "127.0.0.1") -> bool:
        client = one.raw("a", user, source=source)
        if client.read_until_end_of_head().startswith(b"HTTP/1.1 101 "):
            return True
        client.close()
        return False

    assert [lets_in("shop"), lets_in("shop"), lets_in("shop")] == [True, True, False]
    wait_until(lambda: lets_in("device"))
    assert [lets_in("other"), lets_in("other", "127.0.0.2")] == [False, True]
    wait_until(lambda: lets_in("other", "127.0.0.2"))
    assert lets_in("device", "127.0.0.2")
    assert not lets_in("device", "127.0.0.3")
    one.close_clients()
    wait_until(lambda: lets_in("shop", "127.0.0.3"))


def test_behind_a_proxy_limits_are_about_whom_it_speaks_for(broker):
    one = broker(per_address=2, proxies=["127.0.0.1"])
    stays = [one.client("a") for _ in range(4)]

    def status(user: str, password: str, address: str) -> int:
        headers = {"Authorization": basic(user, password), "X-Forwarded-For": f"203.0.113.1, {address}"}
        return refusal(one.port, "/", headers)[0]

    assert [status("device", str(n), "192.0.2.1") for n in range(6)] == [401] * 5 + [429]
    assert [status("shop", "x", "192.0.2.1"), status("shop", "shop", "192.0.2.2")] == [429, 400]
    assert len(stays) == 4


def test_who_guesses_is_told_to_wait(broker):
    one = broker()
    answers = [refusal(one.port, "/?topic=a", {"Authorization": basic("shop", str(n))}) for n in range(6)]
    assert [status for status, _, _ in answers] == [401] * 5 + [429]
    assert answers[-1][2]["Retry-After"] == "1"


def test_who_sends_too_fast_is_read_slowly_and_loses_nothing(broker):
    one = broker(messages_per_s=400)
    receiver, sender = one.listener("fast"), one.client("fast", "shop")
    begin = time.monotonic()
    for number in range(600):
        sender.send(str(number))
    assert [heard(receiver) for _ in range(600)] == [str(number) for number in range(600)]
    # A second's worth at once, the rest at the rate.
    assert time.monotonic() - begin > 0.45


def test_a_removed_user_is_sent_away_and_a_changed_file_is_read_anew(broker, tmp_path):
    file = tmp_path / "htpasswd"
    file.write_text(HTPASSWD)
    one = broker(file, look_s=0.1)
    gone, stays = one.client("a", "shop"), one.client("a")
    file.write_text("".join(line for line in HTPASSWD.splitlines(keepends=True) if "shop" not in line))
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        one.client("a", "shop")
    opcode, content = gone.recv_data()
    assert (opcode, content) == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xf0the account has changed")
    stays.ping()
    assert stays.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_PONG
    file.write_text(HTPASSWD)
    one.client("a", "shop")


def test_the_end_says_goodbye_to_those_who_are_in_and_does_not_wait_for_others(broker):
    one = broker(close_s=0.2)
    client, silent, half = one.client("a"), one.stranger(), one.stranger()
    half.send(b"GET /?topic=a HTTP/1.1\r\n")
    php = one.raw("a")  # answers no goodbye
    assert b" 101 " in php.read()
    begin = time.monotonic()
    one.stop()
    assert time.monotonic() - begin < 4
    assert client.recv_data() == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xe9")
    assert silent.read_until_end() == half.read_until_end() == b""
    with pytest.raises(ConnectionRefusedError):
        one.stranger()


def test_the_log_tells_who_did_what_and_nothing_of_what_was_said(broker, caplog):
    caplog.set_level(logging.DEBUG)
    one = broker()
    receiver, sender = one.listener("log%20me"), one.client("log%20me", "shop")
    sender.send("hidden text")
    assert heard(receiver) == "hidden text"
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(
            f"ws://127.0.0.1:{one.port}/?topic=a", header=[f"Authorization: {basic('shop', 'hidden guess')}"]
        )
    sender.close()
    one.close_clients()
    one.stop()
    told = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    assert "hidden" not in str(told)
    (of_shop,) = [fields for text, fields in told if fields.get("user") == "shop"]
    assert {
        name: of_shop[name] for name in ("address", "topic", "sent", "sent_bytes", "received", "end")
    } == {
        "address": "127.0.0.1",
        "topic": "log me",
        "sent": 1,
        "sent_bytes": len("hidden text"),
        "received": 0,
        "end": "closed with 1000",
    }
    assert (
        "a client is refused",
        {"address": "127.0.0.1", "reason": "user name or password is wrong"},
    ) in told


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "broker.pem", tmp_path / "broker.key"
    certificate.write_text(certificates().server.pem)
    key.write_text(certificates().server.key_pem)
    return certificate, key


def test_tls_with_a_certificate_that_is_renewed_meanwhile(broker, tls_files, caplog):
    certificate, key = tls_files
    one = broker(certificate=Certificate(certificate, key), handshake_s=0.5, look_s=0.1)
    trust = {"sslopt": {"context": ssl.create_default_context(cadata=certificates().ca.pem)}}
    first = one.listener("tls", **trust)
    silent = one.stranger()
    plain = one.raw("tls")
    sender = one.client("tls", "shop", **trust)
    sender.send("a" * 50_000)
    assert heard(first) == "a" * 50_000
    for text in ("b", "c", "d"):
        first.close() if text == "b" else first.sock.close()  # in good order, and without a goodbye
        sender.send(text)
        first = one.client("tls", **trust)
        assert heard(first) == text
    assert silent.read_until_end() == b""
    assert b" 101 " not in plain.read_until_end()
    # A certificate without its key yet, then the key as well.
    certificate.write_text(certificates().foreign_ca.pem)
    wait_until(lambda: "the old one stays" in caplog.text)
    one.client("tls", **trust).close()
    key.write_text(certificates().foreign_ca.key_pem)
    wait_until(lambda: served(one.port) == ssl.PEM_cert_to_DER_cert(certificates().foreign_ca.pem))
    first.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        one.client("tls", **trust)


def served(port: int) -> bytes | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as raw,
        context.wrap_socket(raw) as tls,
    ):
        return tls.getpeercert(binary_form=True)


def test_it_listens_to_ipv4_and_ipv6(broker):
    one = broker(host="::")
    with socket.create_connection(("::1", one.port), timeout=LIMIT_S) as six:
        six.sendall(request("a", "device"))
        assert b" 101 " in six.recv(1024)
    one.client("a")
