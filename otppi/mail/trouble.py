"""Why a server did not take an e-mail, and what follows for the account."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from otppi.contracts.mail import MailRefused
from otppi.lib.masking import without_address
from otppi.model.errors import OutcomeUnknown, SendFailed
from otppi.work.standing import Hold

NOT_NOW = 421  # the server closes the connection

_LONGEST_WORDS = 200
_HIDDEN = "•••"


class AccountTrouble(SendFailed):
    """An e-mail was surely not sent; the message says why, with the server's own words where it said any."""

    def __init__(self, reason: str, hold: Hold, reply_code: int = 0) -> None:
        """Take the reason, what follows, and the three digits that the server said, if it said any."""
        super().__init__(reason)
        self.hold = hold
        self.reply_code = reply_code


class VerdictUnknown(OutcomeUnknown):
    """The server had all of an e-mail when it fell silent or hung up."""

    def __init__(self, why: str, hold: Hold) -> None:
        """Take which of both, and what follows."""
        super().__init__(f"the server did not say what became of the message: {why}")
        self.hold = hold


class Stage(Enum):
    """Where in the conversation a server refuses, as the reason begins."""

    GREETING = "the server does not talk to this device"
    ENCRYPTION = "the server does not begin to encrypt"
    LOGIN = "the server refuses the user name or the password"
    SENDER = "the server does not take a message from this account"
    RECEIVER = "the server refuses the receiver"
    CONTENT = "the server refuses the message"


@dataclass(frozen=True)
class _Known:
    """What a reply with these words means, whatever its code says in general."""

    words: re.Pattern[str]
    finding: str
    hold: Hold


def _known(words: str, finding: str, hold: Hold) -> _Known:
    return _Known(re.compile(words, re.IGNORECASE), finding, hold)


_GMAIL_WANTS = (
    "Gmail does not take this password; it wants an app password, which is made in the Google account under Security, "
    "2-Step Verification"
)
_DAY_IS_OVER = "the account has sent as much as it may in a day"

# The first that fits counts. Each was seen in the wild, at the place named beside it.
_KNOWN: Sequence[_Known] = (
    # nodemailer/nodemailer#1116 and Der-Henning/tgtg#517: no app password, with 2-Step Verification on
    _known(r"^534 5\.7\.9 .*(google\.com|gsmtp)", _GMAIL_WANTS, Hold.PERSON),
    # PHPMailer/PHPMailer#1708: no app password, or a wrong one
    _known(r"^535 5\.7\.8 .*(google\.com|gsmtp)", _GMAIL_WANTS, Hold.PERSON),
    # jordan-wright/email#99 and AnalogJ/justvanish#13: one login for each message; it passes by itself
    _known(r"^454 4\.7\.0 .*too many login attempts", "Gmail has seen too many logins", Hold.WHILE),
    # gen-smtp/gen_smtp#140 and gophish/gophish#1604: after the final dot
    _known(r"^550 5\.4\.5 ", _DAY_IS_OVER, Hold.WHILE),
    # wazuh/wazuh#15825: "550 5.7.1 Daily SMTP relay limit exceeded for customer", after the final dot
    # (the class of 5.2.1 would be about the receiver's own limit)
    _known(r"^\d+ (?!\d\.2\.).*\bdaily\b.*\b(limit|quota)\b", _DAY_IS_OVER, Hold.WHILE),
    # nodemailer/nodemailer#1685 (outlook.com) and #1484 (Microsoft 365, "SmtpClientAuthentication is disabled")
    _known(
        r"^535 5\.7\.139 ",
        "Microsoft takes no passwords here; in Microsoft 365 an administrator can allow authenticated SMTP for the "
        "mailbox, for outlook.com there is no way",
        Hold.PERSON,
    ),
    # cachethq/cachet#3052: after the final dot
    _known(
        r"^550 5\.4\.6 .*unusual",
        "the mail service has blocked the account for unusual activity; somebody has to unblock it there",
        Hold.PERSON,
    ),
    # frappe/erpnext#19057 and mybb/mybb#2644: Zoho, after the final dot
    _known(
        r"^553 .*relaying disallowed as",
        "the sender's address is not one of this account",
        Hold.PERSON,
    ),
    # RFC 4954, 6; getgrav and others see it where no login was set
    _known(r"^530 ", "the server wants a user name and a password, or encryption first", Hold.PERSON),
    # Gmail, support.google.com/a/answer/3726730: "450 4.2.1 Peak SMTP relay limit exceeded for customer"
    # (again not the receiver's own limit, of class 2)
    _known(
        r"\brelay (limit|quota)|^\d+ (?!\d\.2\.).*\b(sending|sender|rate|hourly|message) (limit|quota)",
        Stage.SENDER.value,
        Hold.MOMENT,
    ),
    # Postfix and Exim, each in several forms: somebody who has not logged in may not send to strangers
    _known(r"\brelay(ing)?\b.*\b(denied|not permitted|prohibited)\b", Stage.SENDER.value, Hold.MOMENT),
    _known(
        r"\b(authenticat(e|ion)\b.*\b(required|first)|not (authenticated|logged in))\b",
        Stage.SENDER.value,
        Hold.MOMENT,
    ),
)

# RFC 3463: what the parts of 5.7.1 mean.
_CODE = re.compile(r"^[245]\.(\d{1,3})\.(\d{1,3})\b")
_ADDRESS, _MAILBOX, _PROTOCOL, _MEDIA, _POLICY = 1, 2, 5, 6, 7
_BAD_SENDERS = (7, 8)  # of the class of addresses
_TOO_LARGE = 552
_NOT_UNDERSTOOD = range(500, 505)


def trouble_of(
    stage: Stage, code: int, reply: bytes, *, receiver: str = "", secrets: Sequence[str] = ()
) -> MailRefused | AccountTrouble:
    """Return what a refusal says, with the server's own words in it.

    Args:
        stage: What was refused.
        code: The three digits.
        reply: All that came after them, in lines.
        receiver: Whose address is masked where the server repeats it.
        secrets: What the server must not be quoted with.
    """
    said = f"{code} {told(reply, secrets, receiver)}".rstrip()
    # Whoever chooses a receiver must not choose what is read here.
    words = told(reply, [receiver.rpartition("@")[2]], receiver)
    for known in _KNOWN:
        if known.words.search(f"{code} {words}"):
            return AccountTrouble(f"{known.finding}: {said}", known.hold, code)
    reason = f"{stage.value}: {said}"
    hold = _hold(stage, code, words)
    return MailRefused(reason) if hold is None else AccountTrouble(reason, hold, code)


def told(reply: bytes, secrets: Sequence[str] = (), receiver: str = "") -> str:
    """Return what a server said on one line of printable letters, not longer than a person reads.

    Args:
        reply: All that came after the code, in lines.
        secrets: What must not show.
        receiver: Whose address is masked.
    """
    lines = reply.decode("utf-8", "replace").splitlines()
    # Each line of a reply repeats the enhanced code.
    first, rest = lines[:1], [_CODE.sub("", line) for line in lines[1:]]
    words = " ".join(" ".join([*first, *rest]).split())
    for secret in filter(None, secrets):
        words = re.sub(re.escape(secret), _HIDDEN, words, flags=re.IGNORECASE)
    if receiver:
        words = without_address(words, receiver)
    return "".join(letter for letter in words if letter.isprintable())[:_LONGEST_WORDS]


def _hold(stage: Stage, code: int, words: str) -> Hold | None:
    """Return what follows for the account; None if no other account would be of use.

    Whoever chooses a receiver or a content must not make an account rest by it, and then the next one.
    """
    found = _CODE.match(words)
    subject, detail = (int(found[1]), int(found[2])) if found else (0, 0)
    is_for_good = code >= 500
    if code == NOT_NOW or stage in (Stage.GREETING, Stage.ENCRYPTION):
        return Hold.MOMENT
    if stage is Stage.LOGIN:
        return Hold.PERSON if is_for_good else Hold.MOMENT
    if code == _TOO_LARGE and subject != _MAILBOX and stage is not Stage.RECEIVER:
        return Hold.NO  # another server may take more
    if stage is Stage.SENDER or (subject == _ADDRESS and detail in _BAD_SENDERS):
        return Hold.MOMENT
    if not is_for_good:
        is_of_server = stage is Stage.CONTENT and subject not in (_ADDRESS, _MAILBOX)
        return Hold.MOMENT if is_of_server else Hold.NO
    if subject == _POLICY:
        return Hold.NO  # of receiver, content or sender: another server may see it otherwise
    if stage is Stage.RECEIVER or subject in (_ADDRESS, _MAILBOX, _MEDIA):
        return None
    if code in _NOT_UNDERSTOOD:
        return Hold.MOMENT
    return Hold.NO  # the content, in words that are not known: another server may see it otherwise
