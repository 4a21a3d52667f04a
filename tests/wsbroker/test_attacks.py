"""Who has no password gets nothing, costs little and keeps nobody out; who has one cannot harm the others."""

import contextlib
import itertools
import logging
import random
import struct
import time

import pytest

from otppi.lib.logfmt import LogfmtFormatter
from tests.wsbroker.running import LIMIT_S, RunningBroker, heard, masked, request


@pytest.fixture
def works(shared):
    """Two who do their work on a broker, before and after what a test does to it."""

    def work(broker: RunningBroker = shared) -> None:
        receiver, sender = broker.client("work"), broker.client("work", "shop")
        sender.send("as ever")
        assert heard(receiver) == "as ever"
        sender.close()
        receiver.close()

    return work


def test_silent_connections_from_everywhere_keep_nobody_out(broker, works):
    one = broker(connections=300, strangers=50, per_address=10)
    silent = [one.stranger(source=f"127.0.{1 + n // 250}.{1 + n % 250}") for n in range(1500)]
    works(one)
    assert sum(client.is_silent_for(0.001) for client in silent) <= 50


def test_one_address_cannot_take_all_connections(broker, works):
    one = broker(connections=100, strangers=40, per_address=20)
    silent = [one.stranger(source="127.0.0.2") for _ in range(500)]
    works(one)
    assert sum(client.is_silent_for(0.001) for client in silent) <= 20


def test_a_request_that_drips_in_is_ended(broker, works):
    one = broker(handshake_s=0.4)
    slow, begin = one.stranger(), time.monotonic()
    for byte in itertools.cycle(request("a", "shop")[:60]):
        slow.send(bytes([byte]))
        if not slow.is_silent_for(0.02):
            break
    assert 0.3 < time.monotonic() - begin < LIMIT_S
    works(one)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?topic=a HTTP/1.1\r\n" + b"X: " + b"x" * 20_000,
        b"GET /?topic=a HTTP/1.1\r\n" + b"X: x\r\n" * 200,
        b"GET /?topic=a HTTP/1.1\r\n" + (b"X: " + b"x" * 4000 + b"\r\n") * 250,
        b"GET /" + b"x" * 9000,
        b"\0" * 100_000,
    ],
    ids=["one long", "many", "a megabyte", "a long path", "zeros"],
)
def test_a_request_without_end_is_not_collected(shared, works, head):
    client = shared.stranger()
    with contextlib.suppress(ConnectionResetError):
        client.send(head)
    answer = client.read_until_end()
    assert not answer or answer.split()[1] in (b"431", b"414")
    works()


def test_a_request_that_is_none_is_answered_with_nothing_or_words(shared, works):
    chance = random.Random(7)
    for _ in range(40):
        client = shared.stranger()
        text = bytearray(request("a", "shop")[: -chance.randrange(1, 40)])
        for _ in range(chance.randrange(1, 12)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        client.send(bytes(text) + b"\r\n\r\n")
        answer = client.read_until_end_of_head()
        assert not answer or answer.startswith(b"HTTP/1.1 ")
        client.close()
    works()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x82\xff" + struct.pack("!Q", 1 << 30) + b"mask", 1009),
        (b"\x82\xff" + struct.pack("!Q", (1 << 64) - 1) + b"mask", 1009),
        (b"\x81\x05plain", 1002),
        (masked(b"a", 0xC1), 1002),
        (masked(b"a", 0x83), 1002),
        (masked(b"x" * 126, 0x89), 1002),
        (masked(b"a", 0x80), 1002),
        (masked(b"\xff\xfe"), 1007),
        (masked(b"\x00", 0x88), 1002),
    ],
    ids=[
        "a gigabyte announced",
        "all announced",
        "not masked",
        "compressed",
        "of a kind that does not exist",
        "a long ping",
        "the end of nothing",
        "text that is none",
        "half a code",
    ],
)
def test_a_frame_that_is_against_the_rules_ends_its_sender_alone(shared, works, frame, code):
    client = shared.raw("a", "other")
    assert b" 101 " in client.read()
    client.send(frame)
    first, payload = client.frame()
    assert (first, payload[:2]) == (0x88, struct.pack("!H", code))
    works()


def test_a_flood_of_pings_whose_answers_nobody_reads_ends_its_sender_alone(shared, works):
    client = shared.raw("a", "other", receive_buffer=4096)
    assert b" 101 " in client.read()
    pings = masked(b"x" * 100, 0x89) * 100_000
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.send(pings)
    works()


def test_pieces_without_end_are_limited_together(shared, works):
    client = shared.raw("a", "other")
    assert b" 101 " in client.read()
    client.send(masked(b"x" * 40_000, 0x01) + masked(b"x" * 40_000, 0x00))
    first, payload = client.frame()
    assert (first, payload[:2]) == (0x88, struct.pack("!H", 1009))
    client = shared.raw("a", "other")
    assert b" 101 " in client.read()
    client.send(masked(b"", 0x01) + masked(b"", 0x00) * 5000)
    first, payload = client.frame()
    assert (first, payload[:2]) == (0x88, struct.pack("!H", 1009))
    works()


def test_no_name_breaks_a_line_of_the_log(broker, caplog):
    caplog.set_level(logging.INFO)
    one = broker()
    one.client("a%E2%80%A8b%22%C2%A0" + "x" * 200).close()
    client = one.stranger()
    client.send(request("a", "evil\n2026 error \x1b[2J"))
    assert client.read().startswith(b"HTTP/1.1 401")
    one.close_clients()
    one.stop()
    lines = [LogfmtFormatter().format(record) for record in caplog.records]
    assert all(line.isprintable() and len(line) < 500 for line in lines)
    assert any('topic="a\\u2028b\\u0022\\u00a0xxx' in line for line in lines)


def test_refusals_do_not_fill_the_log(broker, caplog):
    one = broker(per_address=1, look_s=0.2)
    one.client("a", "shop")
    for _ in range(200):
        one.stranger()
    until = time.monotonic() + LIMIT_S
    while not any(record.getMessage() == "more clients were refused" for record in caplog.records):
        assert time.monotonic() < until
        time.sleep(0.01)
    told = [record for record in caplog.records if "refused" in record.getMessage()]
    assert len(told) <= 30
