"""What messages cost and what was saved, what the quotas leave, and what is left on the SIM cards."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import modem_words
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_

_PERIODS: Mapping[str, str] = {
    "today": N_("Today"),
    "day_before": N_("The day before"),
    "this_month": N_("This month"),
    "month_before": N_("The month before"),
}
_FIRST = "this_month"


def show(visit: Visit) -> Response:
    """Show all of it for one period."""
    period = visit.query("period", _FIRST)
    if period not in _PERIODS:
        period = _FIRST
    cost = visit.call("cost")
    modems, currency = cost["modems"], cost["currency"]
    return visit.page(
        "costs.html",
        title=visit.words("Costs"),
        periods=_PERIODS,
        period=period,
        label=next((one[period]["label"] for one in modems if one[period]["label"]), ""),
        rows=[_row(visit, one["modem"], [one[period]], currency) for one in modems],
        total=_row(visit, visit.words("All modems"), (one[period] for one in modems), currency),
        quotas=[(one["modem"], uses) for one in modems if (uses := modem_words.quota_uses(visit.words, one))],
        balances=[_balance(visit, one, currency) for one in visit.call("balance.list")],
    )


def ask(visit: Visit) -> Response:
    """Ask one SIM card for its balance."""
    try:
        balance = visit.call("balance.ask", modem=visit.form("modem"))
    except OtpPiError as error:
        return visit.redirect("/costs", visit.error_text(error), "bad")
    amount = visit.words.money(balance["amount"], visit.call("cost")["currency"])
    if balance.get("is_vendor"):
        text = visit.words("{amount} is left on the account {name}.", amount=amount, name=balance["modem"])
    else:
        text = visit.words(
            "{amount} is left on the SIM card of {modem}.", amount=amount, modem=balance["modem"]
        )
    return visit.redirect("/costs", text)


def _row(visit: Visit, name: str, periods: Iterable[Mapping[str, Any]], currency: str) -> Mapping[str, str]:
    parts, spent, saved = 0, Decimal(), Decimal()
    for one in periods:
        parts += one["parts"]
        spent += Decimal(one["cost"])
        saved += Decimal(one["saved"])
    words = visit.words
    return {
        "name": name,
        "parts": words.number(parts),
        "spent": words.money(round(spent, 2), currency),
        "saved": words.money(round(saved, 2), currency),
    }


def _balance(visit: Visit, one: Mapping[str, Any], currency: str) -> Mapping[str, Any]:
    return {
        **one,
        "left": visit.words.money(one["amount"], currency) if "amount" in one else "",
        "until": visit.words.day(one.get("valid_until")),
        "asked": visit.words.moment(one.get("at")),
    }


ROUTES = (
    get("/costs", show),
    post("/costs/ask", ask, Role.OPERATOR),
)
