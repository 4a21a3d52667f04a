"""A message by hand: to whom, through which modem, how long it is and what it would cost."""

from collections.abc import Mapping
from typing import Any

from otppi.gateway import answers
from otppi.gateway.rights import Role
from otppi.model.errors import Busy, OtpPiError
from otppi.web import sending, sms_length
from otppi.web.sending import Outcome
from otppi.web.site import Response, Visit, get, post


def show(visit: Visit) -> Response:
    """Show the form."""
    return _drawn(visit, given={"modem": visit.query("modem")})


def send(visit: Visit) -> Response:
    """Send the message, and wait for what becomes of it."""
    given, reference = visit.form_items(), sending.reference(visit)
    try:
        answer = visit.call(
            "send",
            number=visit.form("number"),
            text=visit.form("text"),
            modem=visit.form("modem"),
            reference=reference,
        )
    except Busy as error:
        answer = answers.failure("send", error)
    outcome = sending.outcome(visit, answer)
    if outcome.is_good:
        return visit.redirect("/send", outcome.title)
    return _drawn(visit, status=sending.REFUSED, given=given, outcome=outcome, reference=reference)


def check(visit: Visit) -> Response:
    """Say how long the message is and which modem would send it, and send nothing."""
    given = visit.form_items()
    checked = _checked(visit, given)
    return visit.json(checked) if visit.wants_json else _drawn(visit, given=given, checked=checked)


def _checked(visit: Visit, given: Mapping[str, str]) -> dict[str, Any]:
    """Return a line for each modem, or why there are none."""
    number, modem = given.get("number", ""), given.get("modem", "")
    length = sms_length.measure(given.get("text", ""))
    if not number or length is None:
        return {"lines": [], "refused": ""}
    try:
        route = visit.call("route", number=number, parts=length.parts, is_code=False)
    except OtpPiError as error:
        return {"lines": [], "refused": next(iter(visit.field_errors(error).values()))}
    rows = route["modems"]
    if modem:
        names = {one["id"]: one["name"] for one in sending.senders(visit)}
        rows = [row for row in rows if row["modem"] in (modem, names.get(modem))]
    # Why others do not matters only where nobody does.
    rows = [row for row in rows if row["turn"] is not None] or rows
    return {"lines": [_line(visit, row, route["currency"]) for row in rows], "refused": ""}


def _line(visit: Visit, row: Mapping[str, Any], currency: str) -> dict[str, str]:
    words, reason = visit.words, visit.words.said(row["reason"])
    if row["turn"] is None:
        text = words("does not send it now: {reason}", reason=reason)
    elif row["cost"] is None:
        text = reason
    else:
        text = words("{price} ({reason})", price=words.money(row["cost"], currency), reason=reason)
    return {"modem": row["modem"], "text": text}


def _drawn(
    visit: Visit,
    status: int = 200,
    *,
    given: Mapping[str, str],
    outcome: Outcome | None = None,
    checked: Mapping[str, Any] | None = None,
    reference: str = "",
) -> Response:
    text = given.get("text", "")
    return visit.page(
        "send.html",
        status=status,
        title=visit.words("Send SMS"),
        modems=[one for one in sending.senders(visit) if one["active"] and not one.get("internetAccess")],
        given=given,
        outcome=outcome,
        errors=outcome.errors if outcome is not None else {},
        checked=checked,
        reference=reference or sending.new_reference(),
        next_reference=sending.new_reference(),
        text=text,
        length=sms_length.measure(text),
        sms_length=sms_length,
    )


ROUTES = (
    get("/send", show, Role.OPERATOR),
    post("/send", send, Role.OPERATOR),
    post("/send/check", check, Role.OPERATOR),
)
