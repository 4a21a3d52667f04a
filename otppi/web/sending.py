"""What pages that send a message have in common: each is sent once, and its outcome is told in words."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from otppi.gateway.answers import SUCCESS
from otppi.model.errors import BadRequest, NumberBlocked, OutcomeUnknown, SendFailed, UnknownModem
from otppi.web import mail_words
from otppi.web.site import Visit
from otppi.web.words import N_

_EXPLAINED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "1101": (
            N_("No modem could take the message. It was not sent."),
            N_("See whether a modem is ready, then send it again."),
        ),
        "1102": (
            N_("The message was refused. It was not sent."),
            N_("Check the number and the credit of the SIM card, then send it again."),
        ),
        "1301": (
            N_("The receiver is on the block list. Nothing was sent."),
            N_("Unblock the number first if it may receive messages again."),
        ),
        "1302": (
            N_("The SIM card has used up its quota. The message was not sent."),
            N_("Wait, choose another modem, or change the quota of this one."),
        ),
        "1400": (N_("The message cannot be sent like this."), N_("Correct what is marked below.")),
        "1404": (N_("There is no such modem."), N_("Choose another one.")),
        "1408": (
            N_("Nobody knows whether the message was sent."),
            N_(
                "A modem took it and never said what became of it. It may still arrive. Ask the receiver before you "
                "send it again, or the message may arrive twice."
            ),
        ),
        "1410": (N_("The message was too old. It was not sent."), N_("Send it again.")),
        "1503": (
            N_("The modems are too busy. The message was not sent."),
            N_("Wait a moment, then send it again."),
        ),
    }
)
_OF_EMAIL: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "1302": (
            N_("The e-mail accounts have sent as many messages as they may today. The message was not sent."),
            N_("Add an account, or raise what one may send in a day if its provider lets it."),
        ),
        "1408": (
            N_("Nobody knows whether the message was sent."),
            N_(
                "A server was given it and never said what became of it. It may still arrive. Ask the receiver before "
                "you send it again, or the message may arrive twice."
            ),
        ),
        "1503": (
            N_("No e-mail account can send now. The message was not sent."),
            N_("Wait a moment, then send it again."),
        ),
    }
)
REFUSED: Final = 422  # the form was understood, and nothing came of it
_OTHER = (N_("The message was not sent."), N_("Send it again."))
_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "data.receiver": "number",
        "data.message": "text",
        "data.subject": "subject",
        "data.modem_id": "modem",
    }
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a message, in the reader's words."""

    code: str
    title: str
    advice: str
    detail: str
    errors: Mapping[str, str]  # by field of the form
    is_unknown: bool
    is_blocked: bool

    @property
    def is_good(self) -> bool:
        """Whether it was sent."""
        return self.code == SUCCESS


def reference(visit: Visit) -> str:
    """Return what names the message of the posted form: the same form sent twice is one message.

    Who was told that the outcome is unknown and wants a second one all the same gets another name for it.
    """
    return visit.form("next_reference" if visit.ticked("again") else "reference") or new_reference()


def new_reference() -> str:
    """Return a name for one more message."""
    return f"page-{secrets.token_urlsafe(12)}"


def outcome(visit: Visit, answer: Mapping[str, Any]) -> Outcome:
    """Explain an answer of the gateway about an SMS, or about an e-mail that was asked for in its place."""
    title = _sent(visit, answer["data"]) if answer["response_code"] == SUCCESS else ""
    return _outcome(visit, answer, title, _EXPLAINED)


def outcome_of_email(visit: Visit, answer: Mapping[str, Any]) -> Outcome:
    """Explain an answer of the gateway about an e-mail."""
    reason, title = str(answer.get("error", "")), ""
    if answer["response_code"] == SUCCESS:
        title = _sent(visit, answer["data"])
    refused = (N_("The message was refused. It was not sent."), mail_words.advice(reason))
    return _outcome(visit, answer, title, {**_EXPLAINED, **_OF_EMAIL, SendFailed.code: refused})


def _outcome(
    visit: Visit, answer: Mapping[str, Any], title_if_sent: str, explained: Mapping[str, tuple[str, str]]
) -> Outcome:
    words, code = visit.words, str(answer["response_code"])
    if code == SUCCESS:
        title, advice = title_if_sent, ""
    else:
        title, advice = map(words, explained.get(code, _OTHER))
    field = str(answer.get("field", ""))
    detail = words.said(str(answer.get("error", "")).removeprefix(f"{field}: "))
    if wait_s := answer["data"].get("retry_after"):
        advice = words("Try again in {wait}.", wait=words.duration(wait_s))
    errors = {}
    if code == BadRequest.code:
        errors = {_FIELDS.get(field, ""): detail}
    elif code == UnknownModem.code:
        errors = {"modem": detail}
    return Outcome(
        code=code,
        title=title,
        advice=advice,
        detail="" if errors else detail,
        errors=errors,
        is_unknown=code == OutcomeUnknown.code,
        is_blocked=code == NumberBlocked.code,
    )


def senders(visit: Visit) -> list[Mapping[str, Any]]:
    """Return all that messages can go through: modems, and behind them accounts at vendors."""
    return [*visit.call("modem.list"), *visit.call("vendor_route.list")]


def _sent(visit: Visit, data: Mapping[str, Any]) -> str:
    if "account" in data:
        return visit.words("A mail server took the message, through {account}.", account=data["account"])
    name = next((one["name"] for one in senders(visit) if one["id"] == data["modemID"]), "")
    return visit.words.many(
        "Sent in {count} part through {modem}.",
        "Sent in {count} parts through {modem}.",
        data["parts"],
        modem=name or data["modemID"],
    )
