"""One question to a vendor and its answer, over HTTP; nothing of either ever stands in an error."""

import json
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from otppi.lib import https
from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.trouble import NothingThere, VendorTrouble
from otppi.work.standing import Hold

_MOST_BYTES = 256 * 1024
_OK, _TOO_MANY, _TIMEOUT, _SERVER_ERRORS = 200, 429, 408, 500
_HEADERS = {"Accept": "application/json", "User-Agent": "OTP-Pi"}


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
    url = urlsplit(f"{settings.address.scheme}://{settings.address.netloc}{target}")
    try:
        answer = https.ask(
            url,
            context=context,
            timeout_s=settings.timeout_s,
            most_bytes=_MOST_BYTES,
            headers=_HEADERS,
            leaving=leaving,
        )
    except https.Unreached as error:
        if error.is_untrusted:
            reason = f"the certificate of the vendor is not trusted: {error}"
            raise VendorTrouble(reason, Hold.PERSON) from None
        raise VendorTrouble(f"the vendor cannot be reached: {error}", Hold.MOMENT) from None
    except https.Unanswered as error:
        raise _unanswered(str(error)) from None
    return _document(answer.status, answer.body)


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
