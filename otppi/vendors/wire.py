"""One question to a vendor and its answer, over HTTP; nothing of either ever stands in an error."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any

from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.trouble import Hold, NothingThere, VendorTrouble

_MOST_BYTES = 256 * 1024
_OK, _TOO_MANY, _TIMEOUT, _SERVER_ERRORS = 200, 429, 408, 500
_HEADERS = {"Accept": "application/json", "Connection": "close", "User-Agent": "OTP-Pi"}


def tls_context(settings: VendorRouteSettings) -> ssl.SSLContext:
    """Make what connections to this vendor are encrypted by; takes a moment.

    Raises:
        VendorTrouble: The certificate of the CA cannot be used.
    """
    try:
        context = ssl.create_default_context(cadata=settings.ca or None)
    except ssl.SSLError:
        raise VendorTrouble("the certificate of the CA cannot be used", Hold.PERSON) from None
    if not settings.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def ask(
    settings: VendorRouteSettings,
    context: ssl.SSLContext | None,
    target: str,
    leaving: Callable[[], None],
) -> dict[str, Any]:
    """Ask once, on a connection of its own, and return the document of the answer.

    Nobody can say whether a request on a connection that was kept open has arrived when that breaks.

    Args:
        settings: Where the vendor is.
        context: Of TLS; None for plain HTTP.
        target: Path and query.
        leaving: Called just before the first byte of the request leaves.

    Raises:
        VendorTrouble: There is no answer that can be read, or no connection.
    """
    connection = _connection(settings, context)
    try:
        _connect(connection)
        leaving()
        try:
            connection.request("GET", target, headers=_HEADERS)
            with connection.getresponse() as response:
                status, body = response.status, response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _unanswered(_why(error)) from None
    finally:
        connection.close()
    return _document(status, body)


def _connection(settings: VendorRouteSettings, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    host, port = settings.address.hostname or "", settings.address.port
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=settings.timeout_s)
    return http.client.HTTPSConnection(host, port, timeout=settings.timeout_s, context=context)


def _connect(connection: http.client.HTTPConnection) -> None:
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        reason = f"the certificate of the vendor is not trusted: {error.verify_message}"
        raise VendorTrouble(reason, Hold.PERSON) from None
    except (OSError, UnicodeError) as error:  # the latter of a name with an empty part
        raise VendorTrouble(f"the vendor cannot be reached: {_why(error)}", Hold.MOMENT) from None


def _document(status: int, body: bytes) -> dict[str, Any]:
    if status == _TOO_MANY:
        raise VendorTrouble("the vendor is asked too often", Hold.MOMENT, passes_soon=True)
    if status == _TIMEOUT or status >= _SERVER_ERRORS:
        raise _unanswered(f"HTTP {status}")
    if status != _OK:
        raise NothingThere(f"the vendor answers HTTP {status}; check the address", Hold.PERSON)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _unanswered("its answer cannot be read")
    return document


def _unanswered(why: str) -> VendorTrouble:
    return VendorTrouble(f"the vendor did not say what became of it: {why}", Hold.MOMENT, may_have_left=True)


def _why(error: Exception) -> str:
    # What the libraries say of an error may repeat the address, with the password in it.
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS as it should"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at that address and port"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke"
