"""A dial pad for USSD; what the network says is on the page and nowhere else."""

from collections.abc import Mapping
from typing import Any

from otppi.gateway.answers import SUCCESS
from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import modem_words
from otppi.web.site import Response, Visit, get, post


def show(visit: Visit) -> Response:
    """Show the dial pad."""
    return _drawn(visit, chosen=visit.query("modem"))


def dial(visit: Visit) -> Response:
    """Send a code or the reply to a menu, and wait for the network."""
    modem, code = visit.form("modem"), visit.form("code").strip()
    answer = visit.call("ussd", modem=modem, code=code)
    error = _refusal(visit, answer)
    if visit.wants_json:
        if error:
            return visit.json({"error": error}, status=OtpPiError.status)
        return visit.json({"text": answer["data"]["ussd_content"], "replyable": answer["data"]["replyable"]})
    return _drawn(visit, chosen=modem, code=code, answer=answer["data"], error=error)


def cancel(visit: Visit) -> Response:
    """End the session."""
    modem = visit.form("modem")
    error = _refusal(visit, visit.call("ussd.cancel", modem=modem))
    text = error or visit.words("The session is ended.")
    if visit.wants_json:
        return visit.json(
            {"error": error} if error else {"text": text}, status=OtpPiError.status if error else 200
        )
    visit.tell(text, "bad" if error else "good")
    return _drawn(visit, chosen=modem)


def _refusal(visit: Visit, answer: Mapping[str, Any]) -> str:
    """Return what the gateway answered other than success."""
    if answer["response_code"] == SUCCESS:
        return ""
    return visit.words.said(str(answer["error"]).removeprefix(f"{answer.get('field', '')}: "))


def _drawn(
    visit: Visit,
    *,
    chosen: str = "",
    code: str = "",
    answer: Mapping[str, Any] | None = None,
    error: str = "",
) -> Response:
    modems = [one for one in visit.call("modem.list") if one["active"] and not one["internetAccess"]]
    ready = [one["id"] for one in modems if modem_words.is_ready(one)]
    return visit.page(
        "ussd.html",
        status=OtpPiError.status if error else 200,
        title=visit.words("USSD"),
        modems=[(one, modem_words.standing(one)) for one in modems],
        chosen=chosen if any(chosen == one["id"] for one in modems) else next(iter(ready), ""),
        code=code,
        answer=answer if not error else None,
        error=error,
    )


ROUTES = (
    get("/ussd", show, Role.OPERATOR),
    post("/ussd", dial, Role.OPERATOR),
    post("/ussd/cancel", cancel, Role.OPERATOR),
)
