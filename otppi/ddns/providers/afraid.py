"""FreeDNS by the token of a name, or by user name and password: https://freedns.afraid.org/dynamic/v2/.

Its answers are sentences. Those of the older `dynamic/update.php` are understood as well: `nic/update` gives them too.
"""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from otppi.ddns import nic, wire
from otppi.ddns.outcome import Address, Next, Outcome
from otppi.ddns.settings import AAAA, AfraidSettings, DdnsRecord

# The page names this host for IPv6.
_HOST, _HOST_OF_IPV6 = "sync.afraid.org", "v6.sync.afraid.org"
_TOKEN = Outcome(
    next=Next.STOPPED,
    finding="FreeDNS does not know this update token",
    advice="Copy the token of this very name from FreeDNS, Dynamic DNS, version 2, to the page Dynamic DNS; nothing is "
    "sent until then.",
)
_NOTHING_SET = Outcome(
    next=Next.STOPPED,
    finding="there is neither an update token nor a user name with a password",
    advice="Enter the token of this name, or user name and password of FreeDNS, on the page Dynamic DNS.",
)
# What stands in a sentence, in small letters, and what follows; the first that fits. Witnesses: the page above, and the
# answers that ddclient, inadyn and the firmware of many routers look for.
_SENTENCES = (
    (r"\bcould not authenticate\b", nic.BADAUTH),
    (r"\bfailed authenticating\b", nic.BADAUTH),
    (r"\binvalid update url\b", _TOKEN),
    (
        r"\bunable to locate this record\b|\bcouldn't find any matching dns records\b",
        Outcome(
            next=Next.STOPPED,
            finding="FreeDNS does not find this name with this token, or this user name and password",
            advice="Check the name, and token or user name and password, on the page Dynamic DNS. A name that was made "
            "anew has a new token.",
        ),
    ),
    (
        r"\bis an invalid ip address\b",
        Outcome(
            next=Next.STOPPED,
            finding="FreeDNS does not take this kind of address for this name",
            advice="Check that the type, A or AAAA, is the same at FreeDNS and on the page Dynamic DNS.",
        ),
    ),
    (r"\bhas not changed\b", nic.NOCHG),
    (r"\bno ip change detected\b", nic.NOCHG),
)


def update(account: AfraidSettings, record: DdnsRecord, address: Address) -> Outcome:
    """See `Provider`."""
    # A password that is wrong says nothing of names with a token, nor a token that is right of the password.
    return replace(_update(account, record, address), stops_account=False)


def _update(account: AfraidSettings, record: DdnsRecord, address: Address) -> Outcome:
    try:
        if record.token:
            answer = wire.ask(
                f"{token_endpoint(account, record)}/{record.token}/",
                agent=wire.user_agent(account.company, account.email),
                query={"ip": str(address)},
            )
            if answer.status == 404:
                return replace(_TOKEN, word="HTTP 404")
        elif account.username and account.password:
            answer = nic.ask(account, {"hostname": record.host, "myip": str(address)})
        else:
            return _NOTHING_SET
    except wire.Ended as end:
        return end.outcome
    outcome = _read(answer, address)
    if outcome is None:
        return nic.read(answer, address) or wire.unread(answer, account, record)
    if outcome.next is Next.DONE:
        return outcome
    return replace(outcome, word=wire.said(answer.text, account, record))


def token_endpoint(account: AfraidSettings, record: DdnsRecord) -> str:
    """Return where FreeDNS is asked with the token of this record."""
    endpoint = account.token_endpoint.rstrip("/")
    if record.type == AAAA and urlsplit(endpoint).hostname == _HOST:
        return endpoint.replace(_HOST, _HOST_OF_IPV6, 1)
    return endpoint


def _read(answer: wire.Answer, address: Address) -> Outcome | None:
    if answer.is_page:
        return None
    text = answer.text.lower()
    for part, outcome in _SENTENCES:
        if re.search(part, text):
            return nic.judged(outcome, text, address) if outcome.next is Next.DONE else outcome
    # Updated otp.example.com from 198.51.100.1 to 203.0.113.7
    _, updated, change = text.partition("updated ")
    _, to, now = change.partition(" to ")
    return nic.judged(nic.GOOD, now, address) if updated and to else None
