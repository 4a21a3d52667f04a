"""One question over HTTP or HTTPS and its answer, on a connection of its own.

Redirects are not followed and proxies of the environment are not used: what is sent reaches the named server or nobody.
Nothing of the question, which may hold a password, ever stands in an error.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.parse import SplitResult

# How many times the longest silence an answer may take from its first byte to its last, however it drips.
_MOST_SILENCES = 2


class Unreached(Exception):
    """There is no connection, so nothing was sent; the message is the reason in plain words.

    Attributes:
        is_untrusted: Whether it is because of the server's certificate.
    """

    def __init__(self, reason: str, *, is_untrusted: bool = False) -> None:
        super().__init__(reason)
        self.is_untrusted = is_untrusted


class Unanswered(Exception):
    """The question may have arrived, and no answer came; the message is the reason in plain words."""


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes:
        status: The HTTP status.
        headers: The header lines, by name in small letters.
        body: The content, cut at the most that was to be read.
        is_cut_off: Whether the connection ended before the content did.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut_off: bool


def ask(
    url: SplitResult,
    *,
    context: ssl.SSLContext | None,
    timeout_s: float,
    most_bytes: int,
    method: str = "GET",
    headers: Mapping[str, str],
    body: bytes | None = None,
    from_host: str | None = None,
    leaving: Callable[[], None] = lambda: None,
) -> Answer:
    """Ask once; waits for the answer.

    Args:
        url: Where; its path and query are sent as they stand.
        context: Of TLS; None for plain HTTP.
        timeout_s: How long the server may be silent at a time; an answer takes at most twice as long.
        most_bytes: How much of the content is read.
        method: Of HTTP.
        headers: Sent as UTF-8.
        body: What is sent after the headers.
        from_host: The own address that is asked from; 0.0.0.0 is any of IPv4, and :: any of IPv6.
        leaving: Called just before the first byte of the question leaves.

    Raises:
        Unreached: There is no connection.
        Unanswered: There is no answer.
    """
    target = url.path + (f"?{url.query}" if url.query else "")
    connection = _connection(url, context, timeout_s, from_host)
    try:
        _connect(connection)
        until_s = time.monotonic() + _MOST_SILENCES * timeout_s
        response_class = partial(_TimelyResponse, until_s=until_s, silence_s=timeout_s)
        connection.response_class = cast("type[http.client.HTTPResponse]", response_class)
        leaving()
        try:
            lines = {"Connection": "close", **headers}
            encoded = {name: value.encode() for name, value in lines.items()}
            connection.request(method, target or "/", body=body, headers=encoded)
            with connection.getresponse() as response:
                content = response.read(most_bytes)
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(_why(error)) from None
    finally:
        connection.close()
    return Answer(
        status=response.status,
        headers={name.lower(): value for name, value in response.getheaders()},
        body=content,
        is_cut_off=bool(response.length) and len(content) < most_bytes,  # to `read` this is no error
    )


class _TimelyResponse(http.client.HTTPResponse):
    """An answer that comes to its end in time, or to a TimeoutError."""

    def __init__(self, sock: socket.socket, *, method: str | None, until_s: float, silence_s: float) -> None:
        super().__init__(sock, method=method)
        self.fp = io.BufferedReader(_TimelyReading(self.fp.detach(), sock, until_s, silence_s))


class _TimelyReading(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until_s: float, silence_s: float) -> None:
        self._raw = raw
        self._sock = sock
        self._until_s = until_s
        self._silence_s = silence_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - whatever can be written to
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(min(left_s, self._silence_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connection(
    url: SplitResult, context: ssl.SSLContext | None, timeout_s: float, from_host: str | None
) -> http.client.HTTPConnection:
    try:
        host, port = url.hostname or "", url.port
    except ValueError:
        raise Unreached("there is no such port") from None
    source = (from_host, 0) if from_host is not None else None
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s, source_address=source)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, source_address=source, context=context)


def _connect(connection: http.client.HTTPConnection) -> None:
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        raise Unreached(error.verify_message, is_untrusted=True) from None
    except (OSError, UnicodeError) as error:  # the latter of a name with an empty part
        raise Unreached(_why(error)) from None


def _why(error: Exception) -> str:
    # What the libraries say of an error may repeat the address, with the password in it.
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_ADDRFAMILY:
        return "it has no address of the wanted version of IP, or there is no way to it"  # see `from_host`
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS as it should"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at that address and port"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke"
