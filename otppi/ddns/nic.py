"""The update protocol that DynDNS began and most vendors speak: one GET, one word back."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address

from otppi.ddns import wire
from otppi.ddns.outcome import Address, Next, Outcome
from otppi.ddns.settings import AfraidSettings, DdnsRecord, Dyndns2Settings, DynuSettings, NoIpSettings

Account = NoIpSettings | DynuSettings | AfraidSettings | Dyndns2Settings

# The vendors want to be left alone for half an hour after 911: https://www.noip.com/integrate/response.
HALF_AN_HOUR_S = 1800.0
_HOUR_S = 3600.0
_MOST_SHOWN = 200

GOOD = Outcome(next=Next.DONE, word="good", finding="the vendor has the address")
NOCHG = Outcome(next=Next.DONE, word="nochg", finding="the vendor had the address already")
BADAUTH = Outcome(
    next=Next.STOPPED,
    word="badauth",
    finding="user name or password is wrong",
    advice="Check them on the page Dynamic DNS; nothing is sent until then.",
    stops_account=True,
)
BADAGENT = Outcome(
    next=Next.STOPPED,
    word="badagent",
    finding="the vendor does not let this program update names",
    advice="Enter company name and maintainer e-mail on the page Dynamic DNS. If they are there, ask the vendor; "
    "nothing is sent until then.",
    stops_account=True,
)
NOHOST = Outcome(
    next=Next.STOPPED,
    word="nohost",
    finding="this name is not in the account",
    advice="Make it on the vendor's web page, or correct name and domain on the page Dynamic DNS.",
)

# Witnesses: https://help.dyn.com/return-codes/ and https://www.noip.com/integrate/response;
# !yours and !active are of the older https://www.dyndns.com/developers/specs/return.html.
CODES: Mapping[str, Outcome] = {
    one.word: one
    for one in (
        GOOD,
        NOCHG,
        BADAUTH,
        BADAGENT,
        NOHOST,
        Outcome(
            next=Next.STOPPED,
            word="!donator",
            finding="the account's plan does not include this",
            advice="Look at the plan on the vendor's web page, then start the update on the page Dynamic DNS.",
            stops_account=True,
        ),
        Outcome(
            next=Next.STOPPED,
            word="abuse",
            finding="the vendor has blocked the account or the name",
            advice="Ask the vendor to open it again, then start the update on the page Dynamic DNS; nothing is sent "
            "until then.",
            stops_account=True,
        ),
        Outcome(
            next=Next.STOPPED,
            word="notfqdn",
            finding="the vendor does not take this for a whole name",
            advice="Correct name and domain on the page Dynamic DNS; a whole name is one such as otp.example.com.",
        ),
        Outcome(
            next=Next.STOPPED,
            word="!yours",
            finding="this name belongs to another account",
            advice="Use the account that has it, or correct name and domain on the page Dynamic DNS.",
        ),
        Outcome(
            next=Next.STOPPED,
            word="!active",
            finding="the domain is not in use at the vendor yet",
            advice="Finish setting it up on the vendor's web page, then start the update on the page Dynamic DNS.",
        ),
        Outcome(
            next=Next.STOPPED,
            word="numhost",
            finding="the vendor has several entries of this name and does not know which to update",
            advice="Keep one of them on the vendor's web page, then start the update on the page Dynamic DNS.",
        ),
        Outcome(
            next=Next.LATER,
            word="dnserr",
            finding="the vendor's name servers have a fault",
            wait_s=HALF_AN_HOUR_S,
            is_wish=True,
        ),
        Outcome(
            next=Next.LATER,
            word="911",
            finding="the vendor has a fault or is being maintained",
            wait_s=HALF_AN_HOUR_S,
            is_wish=True,
        ),
    )
}
_OTHER_ADDRESS = Outcome(
    next=Next.LATER,
    finding="the vendor has set another address than it was told",
    advice="Look at the name on the vendor's web page. It is tried again by itself.",
    wait_s=_HOUR_S,
)
_LOOPBACK = ip_address("127.0.0.1")


def update(
    account: Account,
    record: DdnsRecord,
    address: Address,
    *,
    query: Mapping[str, str] | None = None,
    codes: Mapping[str, Outcome] = CODES,
) -> Outcome:
    """Tell the vendor the address; see `otppi.ddns.outcome.Provider`.

    Args:
        account: Who asks.
        record: What is updated.
        address: What it shall point to.
        query: What the vendor is told, if it wants it in other words than most.
        codes: The vendor's words.
    """
    try:
        answer = ask(account, query or {"hostname": record.host, "myip": str(address)})
    except wire.Ended as end:
        return end.outcome
    return read(answer, address, codes) or wire.unread(answer, account, record)


def ask(account: Account, query: Mapping[str, str]) -> wire.Answer:
    """Ask by user name and password.

    Raises:
        Ended: There is no answer.
    """
    return wire.ask(
        account.endpoint,
        agent=wire.user_agent(account.company, account.email),
        query=query,
        headers={"Authorization": wire.basic(account.username, account.password)},
    )


def read(answer: wire.Answer, address: Address, codes: Mapping[str, Outcome] = CODES) -> Outcome | None:
    """Return what follows from the word that an answer begins with, None if it is not known.

    The word decides, not the HTTP status: 911 comes with 200 as well as with 500.
    """
    word, *rest = answer.text.split() or [""]
    outcome = codes.get(word.lower())
    if outcome is None or outcome.next is not Next.DONE:
        return outcome
    return judged(outcome, " ".join(rest), address)


def judged(done: Outcome, text: str, address: Address) -> Outcome:
    """Return this outcome unless the text names another address than the vendor was told."""
    named = list(_addresses(text))
    if _LOOPBACK in named and address != _LOOPBACK:
        return BADAGENT  # help.dyn.com: how a program that is not wanted is told
    of_this_kind = [one for one in named if one.version == address.version]
    if not of_this_kind or address in of_this_kind:
        return done
    return replace(_OTHER_ADDRESS, word=", ".join(map(str, of_this_kind))[:_MOST_SHOWN])


def _addresses(text: str) -> Iterator[Address]:
    for one in re.findall(r"[0-9A-Fa-f.:]+", text):
        try:
            yield ip_address(one.strip("."))
        except ValueError:
            continue
