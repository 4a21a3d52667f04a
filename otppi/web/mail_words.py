"""How pages tell of e-mail accounts: their state, what they may send, and what to do where a server refuses."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from otppi.model.mail import MailState
from otppi.web.modem_words import Standing
from otppi.web.words import N_, Words

_STANDINGS: Mapping[str, Standing] = MappingProxyType(
    {
        MailState.READY.value: Standing(level="good", title=N_("Ready")),
        MailState.RESTING.value: Standing(
            level="warn",
            title=N_("Resting"),
            advice=N_("Other accounts take its messages meanwhile. It is tried again by itself in a moment."),
        ),
        MailState.FAILED.value: Standing(level="bad", title=N_("Needs attention")),
        MailState.OFF.value: Standing(level="off", title=N_("Switched off")),
    }
)
_SHARE_SENT = Standing(
    level="note",
    title=N_("Done for today"),
    advice=N_("It has sent as many messages as it may in a day. The other accounts go on."),
)
# What a reason asks of the owner; the first that fits counts. Its words are those of `otppi.mail` and of the system,
# its numbers those of RFC 5321 and RFC 4954.
_ADVICE: Final = (
    (r"no e-mail account active", N_("Add an account, or switch one on.")),
    (
        r"as much as it may|(relay|sending|sender|rate|hourly|daily) (limit|quota)|too many (logins|messages)",
        N_(
            "The provider lets this account send no more for now. Lower its messages in a day, or add accounts."
        ),
    ),
    (
        r"certificate|self[- ]signed|hostname mismatch",
        N_(
            "The device does not trust the certificate of the server. Check the host; for a server with a certificate "
            "of its own enter who vouches for it."
        ),
    ),
    (
        r"begin to encrypt|ssl|tls|another encryption or port",
        N_("Port and encryption do not fit together: 587 goes with STARTTLS and 465 with SSL on connect."),
    ),
    (r"app password", N_("Make an app password, enter it as the password of the account, and send a test.")),
    (
        r"user name (or the|and a) password|\b53[0458]\b",
        N_("Check user name and password of the account, then send a test."),
    ),
    (
        r"not known|name resolution|has no address",
        N_("Check how the host is written, and whether the device has internet."),
    ),
    (
        r"cannot be reached|connection refused|timed out|answer in time|unreachable|no route|hung up|says nothing",
        N_(
            "Check host and port, and whether the device has internet. Many internet providers close port 25; 587 and "
            "465 are open nearly everywhere."
        ),
    ),
    (
        r"refuses the receiver|from this account|\b55[0-4]\b",
        N_("The server does not take mail for this receiver or from this sender: check both addresses."),
    ),
    (
        r"\b4[25]\d\b|are in use",
        N_("The server is busy or wants to wait. Try it again in a few minutes."),
    ),
)
_OTHER_ADVICE = N_("Check host, port, encryption, user name and password of the account.")


def standing(account: Mapping[str, Any]) -> Standing:
    """Return how an account of "email_account.list" is and what its owner can do."""
    found = _STANDINGS[account["state"]]
    if account["state"] == MailState.FAILED:
        return Standing(level=found.level, title=found.title, advice=advice(account["reason"]))
    if account["active"] and account["left_today"] == 0:
        return _SHARE_SENT
    return found


def advice(reason: str) -> str:
    """Return what to do where a server, or the way to it, says this; to be translated."""
    return next((what for words, what in _ADVICE if re.search(words, reason, re.IGNORECASE)), _OTHER_ADVICE)


def ready(words: Words, accounts: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return how many active accounts can send, with the level of `parts.badge`; no text if none is active."""
    active = [one for one in accounts if one["active"]]
    count = sum(standing(one).level == "good" for one in active)
    if not active:
        return "off", ""
    level = "good" if count == len(active) else "warn" if count else "bad"
    return level, words(
        "{ready} of {count} ready", ready=words.number(count), count=words.number(len(active))
    )


def used_today(words: Words, account: Mapping[str, Any]) -> str:
    """Say what an account has sent of what it may."""
    sent = words.number(account["sent_today"])
    if not account["limit_per_day"]:
        return words("{sent} today, without a limit", sent=sent)
    return words("{sent} of {limit} today", sent=sent, limit=words.number(account["limit_per_day"]))


def daily_sum(words: Words, accounts: Sequence[Mapping[str, Any]]) -> str:
    """Say what all active accounts may send in a day together, and what they have sent; empty if there is none."""
    active = [one for one in accounts if one["active"]]
    sent = words.number(sum(one["sent_today"] for one in active))
    if not active:
        return ""
    if not all(one["limit_per_day"] for one in active):
        return words.many(
            "{count} account may send any number of messages a day; {sent} sent today.",
            "{count} accounts may send any number of messages a day; {sent} sent today.",
            len(active),
            sent=sent,
        )
    return words.many(
        "{count} account may send {limit} messages a day; {sent} sent today.",
        "{count} accounts may send {limit} messages a day; {sent} sent today.",
        len(active),
        limit=words.number(sum(one["limit_per_day"] for one in active)),
        sent=sent,
    )
