"""One question to a vendor of dynamic DNS and its answer: always over HTTPS, to nobody but whom the certificate names.

Also what follows from answers that are none of the vendor's own words.
"""

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from otppi import __version__
from otppi.ddns.outcome import Next, Outcome
from otppi.ddns.settings import DdnsRecord, VendorSettings
from otppi.lib import https
from otppi.settings.fields import Kind

TIMEOUT_S = 15.0
_MOST_BYTES = 64 * 1024
_MOST_SAID = 200
_DAY_S = 86_400.0
_SOON_S, _OFTEN_S, _HOUR_S = 60.0, 1800.0, 3600.0

TOO_OFTEN = Outcome(next=Next.LATER, finding="the vendor is asked too often", wait_s=_OFTEN_S, is_wish=True)
OWN_TROUBLE = Outcome(
    next=Next.LATER, finding="the vendor has trouble of its own at the moment", wait_s=_SOON_S
)
NOT_KNOWN = Outcome(
    next=Next.LATER,
    finding="the vendor's answer is not known here",
    advice="Look at the name on the vendor's web page. It is tried again by itself.",
    wait_s=_HOUR_S,
)
# What reading a JSON document raises that is not of the form that its vendor has published.
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Ended(Exception):
    """An update has come to its end before its last question.

    Attributes:
        outcome: What became of it.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.finding)
        self.outcome = outcome


@dataclass(frozen=True)
class Answer:
    """What a vendor's server said.

    Attributes:
        status: The HTTP status.
        text: The content.
        retry_after_s: After which time it wants to be asked again; None if it does not say.
    """

    status: int
    text: str
    retry_after_s: float | None

    @property
    def is_page(self) -> bool:
        """Whether it is a web page, which no vendor's interface gives."""
        return self.text.lstrip().startswith("<")

    def document(self) -> dict[str, Any] | None:
        """The object that the content is as JSON; None if it is none."""
        try:
            document = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


def ask(
    url: str,
    *,
    agent: str,
    method: str = "GET",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    document: object = None,
) -> Answer:
    """Ask once and wait for the answer, at most a minute.

    Args:
        url: Where; HTTPS is spoken whatever its scheme is.
        agent: What the program calls itself, see `user_agent`.
        method: Of HTTP.
        query: Put behind the address.
        headers: Beside the usual ones.
        document: Sent as JSON.

    Raises:
        Ended: There is no answer; the outcome says why, without anything of the question.
    """
    try:
        where = urlsplit(f"{url}?{urlencode(query)}" if query else url)
    except ValueError:
        raise Ended(_unreached(https.Unreached("there is no such address"))) from None
    lines = {"Accept": "*/*", "User-Agent": agent, **(headers or {})}
    body = None
    if document is not None:
        lines["Content-Type"] = "application/json"
        body = json.dumps(document).encode()
    try:
        answer = https.ask(
            where,
            # What the system trusts is read anew each time: updates are rare, and it would stay in memory.
            context=ssl.create_default_context(),
            timeout_s=TIMEOUT_S,
            most_bytes=_MOST_BYTES,
            method=method,
            headers=lines,
            body=body,
        )
    except https.Unreached as error:
        raise Ended(_unreached(error)) from None
    except https.Unanswered as error:
        raise Ended(_unanswered(str(error))) from None
    if answer.is_cut_off:
        raise Ended(_unanswered("the connection broke"))
    return Answer(answer.status, answer.body.decode("utf-8", "replace"), _seconds(answer.headers))


def user_agent(company: str = "", email: str = "") -> str:
    """Return what the program calls itself: company, device and version, and whom one can write to.

    No-IP wants this form and blocks what has another: https://www.noip.com/integrate/request.
    """
    name = f"{company} OTP-Pi" if company.strip() else "OTP-Pi Appliance"
    return f"{name}/{__version__} {email}".encode("ascii", "ignore").decode().strip()


def basic(username: str, password: str) -> str:
    """Return the line `Authorization` for a user name and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def said(text: str, account: VendorSettings, record: DdnsRecord) -> str:
    """Return a vendor's own words as they may be shown: short, printable, without what proves the account."""
    for secret in _secrets(account, record):
        text = text.replace(secret, "…")
    printable = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(printable.split())[:_MOST_SAID]


def unread(answer: Answer, account: VendorSettings, record: DdnsRecord) -> Outcome:
    """Return what follows from an answer that is none of the vendor's own words; nothing is guessed."""
    status, word = answer.status, f"HTTP {answer.status}"
    if status == 429:
        wait_s = _OFTEN_S if answer.retry_after_s is None else max(_SOON_S, answer.retry_after_s)
        return replace(TOO_OFTEN, word=word, wait_s=wait_s)
    if status == 401:
        return Outcome(
            next=Next.STOPPED,
            word=word,
            finding="the vendor does not accept what the account is proven by",
            advice="Check user name, password and key on the page Dynamic DNS; nothing is sent until then.",
            stops_account=True,
        )
    if status == 408 or status >= 500:
        return replace(OWN_TROUBLE, word=word)
    if 300 <= status < 400 or status in (404, 410):
        return Outcome(
            next=Next.LATER,
            word=word,
            finding="the vendor is not to be found at this address",
            advice="Check the endpoint on the page Dynamic DNS.",
            wait_s=_HOUR_S,
        )
    if answer.is_page:
        return Outcome(
            next=Next.LATER,
            word=word,
            finding="a web page came instead of the vendor's answer",
            advice="If the internet here wants a login in the browser, log in. Otherwise check the endpoint on the "
            "page Dynamic DNS.",
        )
    return replace(NOT_KNOWN, word=said(answer.text, account, record) or word)


def _unreached(error: https.Unreached) -> Outcome:
    if error.is_untrusted:
        return Outcome(
            next=Next.LATER,
            finding=f"the vendor's certificate is not trusted: {error}",
            advice="Check date and time of the device, and the endpoint. Nothing was sent.",
            wait_s=_SOON_S,
        )
    return Outcome(next=Next.LATER, finding=f"the vendor cannot be reached: {error}", wait_s=_SOON_S)


def _unanswered(reason: str) -> Outcome:
    return Outcome(next=Next.LATER, finding=f"the vendor did not answer: {reason}", wait_s=_SOON_S)


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    return min(float(text), _DAY_S) if text.isdecimal() and text.isascii() else None


def _secrets(account: VendorSettings, record: DdnsRecord) -> list[str]:
    username, password = getattr(account, "username", ""), getattr(account, "password", "")
    found = [username, getattr(account, "auth_email", ""), basic(username, password).removeprefix("Basic ")]
    for section in (account, record):
        kept = (name for name, one in section.declared.items() if one.kind is Kind.SECRET)
        found += [getattr(section, name) for name in kept]
    return sorted(filter(None, found), key=len, reverse=True)
