import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.wsgi.framing import MAX_HEAD_BYTES, Framing, Refusal, Request, Verdict, Wait

LIMIT = 100
POST = b"POST /api/otp HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def verdicts(*pieces: bytes, limit: int = LIMIT) -> list[Verdict]:
    """Return all that is said until nothing more can be, without the waiting in between."""
    framing = Framing(limit)
    said: list[Verdict] = []
    for piece in pieces:
        verdict = framing.take(piece)
        while isinstance(verdict, Request) or verdict is Wait.FOR_CONTINUE:
            said.append(verdict)
            verdict = framing.take()
        if isinstance(verdict, Refusal):
            return [*said, verdict]
    return said


def requests(*pieces: bytes) -> list[bytes]:
    said = verdicts(*pieces)
    assert all(isinstance(one, Request) for one in said)
    return [one.data for one in said if isinstance(one, Request)]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET /\xe4?q=\xff HTTP/1.1\r\nX-Empty:\r\nX-Latin: \xfc\r\n\r\n",
        POST + b"Content-Length: 0\r\n\r\n",
        POST + b"Content-Length: 5\r\n\r\nhello",
        POST + b"content-length:\t5 \r\n\r\nhello",
        POST + b"Content-Length: 100\r\n\r\n" + b"x" * 100,
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n\r\n",
    ],
)
def test_a_whole_request_passes_unchanged(data: bytes) -> None:
    assert requests(data) == [data]


@pytest.mark.parametrize("cut", range(len(POST + b"Content-Length: 5\r\n\r\nhello")))
def test_part_of_a_request_waits(cut: int) -> None:
    assert Framing(LIMIT).take((POST + b"Content-Length: 5\r\n\r\nhello")[:cut]) is Wait.FOR_MORE


@pytest.mark.parametrize(
    ("coded", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"2\r\nhe\r\n3\r\nllo\r\n000\r\n\r\n", b"hello"),
        (b"A;name=value\r\n0123456789\r\n0;last\r\n\r\n", b"0123456789"),
        (
            b"a \r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nTrailer: thrown away\r\nOther: too\r\n\r\n",
            b"\r\n\r\n\r\n\r\n\r\n",
        ),
        (b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n", b"x" * 100),
    ],
)
def test_a_chunked_request_comes_out_with_a_known_length(coded: bytes, body: bytes) -> None:
    assert requests(CHUNKED + coded) == [POST + b"Content-Length: %d\r\n\r\n" % len(body) + body]


def test_the_other_fields_of_a_chunked_request_stay() -> None:
    head = b"PUT / HTTP/1.1\r\nA: 1\r\nTRANSFER-ENCODING:  Chunked \r\nB: 2\r\n\r\n"
    assert requests(head + b"0\r\n\r\n") == [b"PUT / HTTP/1.1\r\nA: 1\r\nB: 2\r\nContent-Length: 0\r\n\r\n"]


BAD = "400 Bad Request"
TOO_LARGE = "413 Content Too Large"
HEAD_TOO_LARGE = "431 Request Header Fields Too Large"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", BAD),
        (b"\0", BAD),
        (b" GET / HTTP/1.1\r\n\r\n", BAD),
        (b"\rGET / HTTP/1.1\r\n\r\n", BAD),
        (b"hello\r\n", BAD),
        (b"GET /\r\n", BAD),
        (b"GET  / HTTP/1.1\r\n", BAD),
        (b"GET /a b HTTP/1.1\r\n", BAD),
        (b"GET / HTTP/1.1\n", BAD),
        (b"GET / HTTP/11\r\n", BAD),
        (b"GET / http/1.1\r\n", BAD),
        (b"PRI * HTTP/2.0\r\n", "505 HTTP Version Not Supported"),
        (b"GET /" + b"x" * MAX_HEAD_BYTES, "414 URI Too Long"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * MAX_HEAD_BYTES, HEAD_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * MAX_HEAD_BYTES + b"\r\n", HEAD_TOO_LARGE),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\n: no name\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\nA : space before the colon\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\n A: 1\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\nA: 1\nB: 2\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\nA: 1\rB: 2\r\n\r\n", BAD),
        (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", BAD),
        (POST + b"Content-Length: 101\r\n\r\n", TOO_LARGE),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", TOO_LARGE),
        (POST + b"Content-Length:\r\n\r\n", BAD),
        (POST + b"Content-Length: -1\r\n\r\n", BAD),
        (POST + b"Content-Length: +1\r\n\r\n", BAD),
        (POST + b"Content-Length: 1_0\r\n\r\n", BAD),
        (POST + b"Content-Length: 0x5\r\n\r\n", BAD),
        (POST + b"Content-Length: 5, 5\r\n\r\n", BAD),
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", BAD),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BAD),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", BAD),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "501 Not Implemented"),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n", "501 Not Implemented"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", BAD),
        (CHUNKED + b"x\r\n", BAD),
        (CHUNKED + b"\r\n", BAD),
        (CHUNKED + b"-1\r\n", BAD),
        (CHUNKED + b"0x1\r\n", BAD),
        (CHUNKED + b"1\n", BAD),
        (CHUNKED + b"1;a\0\r\n", BAD),
        (CHUNKED + b"1" * 1000, BAD),
        (CHUNKED + b"2\r\nhello\r\n", BAD),
        (CHUNKED + b"65\r\n", TOO_LARGE),
        (CHUNKED + b"fffffffffffffff\r\n", TOO_LARGE),
        (CHUNKED + b"63\r\n" + b"x" * 99 + b"\r\n2\r\n", TOO_LARGE),
        (CHUNKED + b"0\r\nno colon\r\n", BAD),
        (CHUNKED + b"0\r\n" + b"A: x\r\n" * MAX_HEAD_BYTES, HEAD_TOO_LARGE),
        (CHUNKED + b"0\r\n" + b"x" * MAX_HEAD_BYTES, HEAD_TOO_LARGE),
    ],
)
def test_what_cannot_be_understood_is_refused_at_once(data: bytes, status: str) -> None:
    assert verdicts(data) == [Refusal(status)]


def test_many_tiny_chunks_are_too_much_whatever_they_hold() -> None:
    long_lines = b"1" + b" " * 200 + b"\r\nx\r\n"
    assert verdicts(CHUNKED + long_lines * LIMIT) == [Refusal(TOO_LARGE)]


def test_requests_on_each_others_heels_come_one_by_one() -> None:
    first, second = b"GET /1 HTTP/1.1\r\n\r\n", POST + b"Content-Length: 1\r\n\r\n2"
    framing = Framing(LIMIT)
    assert framing.take(first + CHUNKED + b"1\r\n3\r\n0\r\n\r\n" + second + b"GET") == Request(first)
    assert framing.take() == Request(POST + b"Content-Length: 1\r\n\r\n3")
    assert framing.take() == Request(second)
    assert framing.take() is Wait.FOR_MORE
    assert framing.held_bytes == 3


def test_line_breaks_before_a_request_are_skipped() -> None:
    assert requests(b"\r\n", b"\r", b"\n\r\nGET / HTTP/1.1\r\n\r\n") == [b"GET / HTTP/1.1\r\n\r\n"]


@pytest.mark.parametrize("length", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_continue_is_asked_for_once_and_the_expectation_is_gone(length: bytes) -> None:
    framing = Framing(LIMIT)
    body = b"hello" if b"5" in length else b"5\r\nhello\r\n0\r\n\r\n"
    assert framing.take(POST + b"Expect: 100-Continue\r\n" + length + b"\r\n\r\n") is Wait.FOR_CONTINUE
    assert framing.take() is Wait.FOR_MORE
    assert framing.take(body[:1]) is Wait.FOR_MORE
    assert framing.take(body[1:]) == Request(POST + b"Content-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhel",
        POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        POST + b"Expect: 100-continue\r\n\r\n",
        POST + b"Expect: 100-continue\r\nContent-Length: 101\r\n\r\n",
        POST + b"Expect: something\r\nContent-Length: 5\r\n\r\n",
        POST.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_continue_is_not_asked_for_without_need(data: bytes) -> None:
    assert Wait.FOR_CONTINUE not in verdicts(data)


def test_bytes_are_counted_while_they_are_kept() -> None:
    framing = Framing(LIMIT)
    framing.take(CHUNKED + b"9\r\nhello")
    assert framing.held_bytes == len(CHUNKED) + 5
    framing.take(b"1234\r\n0\r\n\r\n")
    assert framing.held_bytes == 0


def test_neither_request_nor_error_shows_what_a_client_sent() -> None:
    assert "secret" not in repr(Request(b"secret"))


@pytest.mark.parametrize(
    "field", [b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"]
)
def test_a_byte_costs_the_same_however_many_came_before(field: bytes) -> None:
    def seconds(size: int) -> float:
        framing = Framing(size)
        framing.take(POST + field % size)
        start_s = time.process_time()
        for _ in range(size):
            framing.take(b"x")
        return time.process_time() - start_s

    # Ten times the bytes, with room for noise; looking at everything again would be a hundred times.
    assert min(seconds(400_000) for _ in range(2)) < 30 * min(seconds(40_000) for _ in range(3))


_PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /x HTTP/1.1\r\n",
        b"POST /x HTTP/1.0\r\n",
        b"Host: x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 500\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nA: b\r\n\r\n",
        b"65\r\n",
        b"A: " + b"x" * (MAX_HEAD_BYTES - 40),
        b"x" * 30,
    ]
)
_GOOD = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    ]
)
_STREAMS = st.lists(_PIECES | _GOOD | st.binary(max_size=8), max_size=12).map(b"".join)


@given(_STREAMS, st.lists(st.integers(0, 300), max_size=20))
def test_a_stream_means_the_same_however_it_is_split(stream: bytes, sizes: list[int]) -> None:
    pieces, rest = [], stream
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    split = [one for one in verdicts(*pieces, rest) if one is not Wait.FOR_CONTINUE]
    assert split == [one for one in verdicts(stream) if one is not Wait.FOR_CONTINUE]


@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(1, 40))
def test_any_body_in_any_chunks_arrives(chunks: list[bytes], step: int) -> None:
    coded = b"".join(b"%X\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"
    data = CHUNKED + coded
    body = b"".join(chunks)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    assert requests(*pieces) == [POST + b"Content-Length: %d\r\n\r\n" % len(body) + body]
