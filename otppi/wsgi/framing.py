"""Where an HTTP request ends: RFC 9112 framing, decided as the bytes come, without waiting for any."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

MAX_HEAD_BYTES = 16 * 1024

_MAX_CHUNK_LINE_BYTES = 256
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # RFC 9110, 5.6.2
_TOKEN_BYTE = re.compile(_TOKEN)
_REQUEST_LINE = re.compile(rb"%s++ [!-\xff]++ HTTP/(\d)\.(\d)\r\n" % _TOKEN)
# Possessive throughout, so that a long wrong head costs no more than a long right one. No folded lines and no
# space before the colon (RFC 9112, 5.1 and 5.2): servers that disagree about those can be played off.
_FIELD_LINE = rb"%s++:[^\r\n\0]*+\r\n" % _TOKEN
_FIELDS = re.compile(rb"(?:%s)*+\r\n" % _FIELD_LINE)
_TRAILER_LINE = re.compile(_FIELD_LINE)
_FRAMING_FIELD = re.compile(rb"\r\n(content-length|transfer-encoding|expect):([^\r\n]*+)", re.IGNORECASE)
_DROPPED_FIELDS = re.compile(rb"\r\n(?:transfer-encoding|expect):[^\r\n]*+", re.IGNORECASE)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*+(?:;[^\r\n\0]*+)?\r\n")

# More digits than any body has; beyond a few thousand int() itself refuses.
_MAX_LENGTH_DIGITS = 15


class Wait(Enum):
    """The request is not complete."""

    FOR_MORE = auto()
    # The client holds the body back until it has read `100 Continue`; said once a request.
    FOR_CONTINUE = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request, with a body that is never chunked and no expectation left in its head."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What follows on this connection cannot be understood or is too much; `status` is the answer."""

    status: str


Verdict = Wait | Request | Refusal

_BAD = Refusal("400 Bad Request")
_BODY_TOO_LARGE = Refusal("413 Content Too Large")
_LINE_TOO_LONG = Refusal("414 URI Too Long")
_HEAD_TOO_LARGE = Refusal("431 Request Header Fields Too Large")
_UNKNOWN_CODING = Refusal("501 Not Implemented")
_UNKNOWN_VERSION = Refusal("505 HTTP Version Not Supported")


class Framing:
    """Collects the bytes of one connection and cuts them into requests.

    Each byte is looked at a fixed number of times, however the stream was split. Chunked bodies are put
    together here (RFC 9112, 7.1.3) and come with a Content-Length, so that nothing above has to know chunks.
    """

    def __init__(
        self, max_body_bytes: int, body_limit: Callable[[Mapping[str, str]], int] | None = None
    ) -> None:
        """Take the longest body, and what says for whom it may be a longer one.

        Args:
            max_body_bytes: The longest body that anybody may send.
            body_limit: Asked only about a request whose body is longer: gets its header fields by their names in
                lower case, and returns the longest body for that one.
        """
        self._usual_limit = max_body_bytes
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._begin()

    @property
    def max_body_bytes(self) -> int:
        """The longest body that the request in hand may have, as far as that was asked for."""
        return self._limit

    @property
    def held_bytes(self) -> int:
        """How many bytes are kept here."""
        return len(self._head) + len(self._body) + len(self._buffer)

    def take(self, data: bytes = b"") -> Verdict:
        """Add what has come and say what there is now.

        After a `Request` the next one may already be here: call again, without data, when it is wanted. After
        a `Refusal` call no more.
        """
        self._buffer += data
        while True:
            verdict = self._step()
            if verdict is not None:
                return verdict

    def _begin(self) -> None:
        self._step: Callable[[], Verdict | None] = self._read_head
        self._searched = 0
        self._line_is_good = False
        self._head = b""
        self._body = bytearray()
        self._missing = 0
        self._overhead = 0
        self._limit = self._usual_limit

    def _finish(self, data: bytes) -> Request:
        self._begin()
        return Request(data)

    def _cut(self, length: int) -> bytes:
        piece = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._searched = 0
        return piece

    # -- head

    def _read_head(self) -> Verdict | None:
        # Old clients end a body with a line break too many (RFC 9112, 2.2).
        while self._buffer.startswith(b"\r\n"):
            self._cut(2)
        if not self._line_is_good and (verdict := self._judge_request_line()) is not None:
            return verdict
        end = self._buffer.find(b"\r\n\r\n", self._searched, MAX_HEAD_BYTES)
        if end >= 0:
            return self._read_fields(self._cut(end + 4))
        if len(self._buffer) >= MAX_HEAD_BYTES:
            return _HEAD_TOO_LARGE
        self._searched = max(0, len(self._buffer) - 3)
        return Wait.FOR_MORE

    def _judge_request_line(self) -> Verdict | None:
        if not self._buffer or self._buffer == b"\r":
            return Wait.FOR_MORE
        # Whoever speaks TLS or something else altogether need not wait for a line break of their own.
        if not _TOKEN_BYTE.match(self._buffer):
            return _BAD
        newline = self._buffer.find(b"\n", self._searched, MAX_HEAD_BYTES)
        if newline < 0:
            self._searched = len(self._buffer)
            return _LINE_TOO_LONG if len(self._buffer) >= MAX_HEAD_BYTES else Wait.FOR_MORE
        line = _REQUEST_LINE.fullmatch(self._buffer, 0, newline + 1)
        if line is None:
            return _BAD
        if line[1] != b"1":
            return _UNKNOWN_VERSION
        self._line_is_good = True
        self._searched = max(0, newline - 1)
        return None

    def _read_fields(self, head: bytes) -> Verdict | None:
        line_end = head.index(b"\r\n")
        if not _FIELDS.fullmatch(head, line_end + 2):
            return _BAD
        fields = _FRAMING_FIELD.findall(head, line_end)
        if not fields:
            return self._finish(head)
        lengths = _values(fields, b"content-length")
        codings = _values(fields, b"transfer-encoding")
        self._head = head
        self._is_1_0 = head.endswith(b"0", 0, line_end)
        if codings:
            verdict = self._begin_chunked(codings, lengths)
        elif lengths:
            verdict = self._begin_known_length(lengths)
        else:
            return self._finish(_DROPPED_FIELDS.sub(b"", head))
        return verdict or self._expectation(fields)

    def _begin_known_length(self, lengths: list[bytes]) -> Verdict | None:
        if len(lengths) > 1 or not lengths[0].isdigit():
            return _BAD
        if len(lengths[0]) > _MAX_LENGTH_DIGITS or self._is_too_long(int(lengths[0])):
            return _BODY_TOO_LARGE
        self._missing = int(lengths[0])
        self._step = self._read_known_length
        return None

    def _begin_chunked(self, codings: list[bytes], lengths: list[bytes]) -> Verdict | None:
        # Two ways to tell the end are how one request is smuggled inside another (RFC 9112, 6.1 and 6.3).
        if lengths or len(codings) > 1 or self._is_1_0:
            return _BAD
        if codings[0].lower() != b"chunked":
            return _UNKNOWN_CODING
        self._step = self._read_chunk_line
        return None

    def _expectation(self, fields: list[tuple[bytes, bytes]]) -> Verdict | None:
        expected = b"100-continue" in (value.lower() for value in _values(fields, b"expect"))
        if expected and not self._is_1_0 and not self._buffer and self._missing_body():
            return Wait.FOR_CONTINUE
        return None

    def _missing_body(self) -> bool:
        return self._step == self._read_chunk_line or self._missing > 0

    # -- body

    def _is_too_long(self, body_bytes: int) -> bool:
        if body_bytes > self._limit and self._body_limit is not None:
            self._limit = max(self._limit, self._body_limit(_fields(self._head)))
        return body_bytes > self._limit

    def _read_known_length(self) -> Verdict | None:
        if len(self._buffer) < self._missing:
            return Wait.FOR_MORE
        head = _DROPPED_FIELDS.sub(b"", self._head)
        return self._finish(head + self._cut(self._missing))

    def _read_chunk_line(self) -> Verdict | None:
        newline = self._buffer.find(b"\n", self._searched, _MAX_CHUNK_LINE_BYTES)
        if newline < 0:
            self._searched = len(self._buffer)
            return _BAD if len(self._buffer) >= _MAX_CHUNK_LINE_BYTES else Wait.FOR_MORE
        line = _CHUNK_LINE.fullmatch(self._buffer, 0, newline + 1)
        if line is None:
            return _BAD
        self._missing = int(line[1], 16)
        del line  # a match keeps its buffer from being shortened
        self._cut(newline + 1)
        return self._begin_chunk(newline + 1)

    def _begin_chunk(self, line_bytes: int) -> Verdict | None:
        # Many tiny chunks are work for nothing, so their lines have a limit of their own.
        self._overhead += line_bytes
        if self._is_too_long(len(self._body) + self._missing):
            return _BODY_TOO_LARGE
        if self._overhead > self._limit + MAX_HEAD_BYTES:
            return _BODY_TOO_LARGE
        self._step = self._read_chunk if self._missing else self._read_trailer
        return None

    def _read_chunk(self) -> Verdict | None:
        piece = self._cut(min(self._missing, len(self._buffer)))
        self._body += piece
        self._missing -= len(piece)
        if self._missing or len(self._buffer) < 2:
            return Wait.FOR_MORE
        if self._cut(2) != b"\r\n":
            return _BAD
        self._step = self._read_chunk_line
        return None

    def _read_trailer(self) -> Verdict | None:
        newline = self._buffer.find(b"\n", self._searched, MAX_HEAD_BYTES)
        if newline < 0:
            self._searched = len(self._buffer)
            return _HEAD_TOO_LARGE if len(self._buffer) >= MAX_HEAD_BYTES else Wait.FOR_MORE
        line = self._cut(newline + 1)
        if line == b"\r\n":
            return self._finish(self._whole_chunked())
        self._overhead += len(line)
        if self._overhead > self._limit + MAX_HEAD_BYTES:
            return _HEAD_TOO_LARGE
        return None if _TRAILER_LINE.fullmatch(line) else _BAD

    def _whole_chunked(self) -> bytes:
        head = _DROPPED_FIELDS.sub(b"", self._head)
        return b"%sContent-Length: %d\r\n\r\n%s" % (head[:-2], len(self._body), self._body)


def _fields(head: bytes) -> dict[str, str]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    return {name.decode("ascii").lower(): value.strip(b" \t").decode("latin-1") for name, _, value in lines}


def _values(fields: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value.strip(b" \t") for name, value in fields if name.lower() == wanted]
