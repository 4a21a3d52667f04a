"""The accounts at SMS vendors: how each is, a test of its connection, and its settings."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.model.operators import OPERATORS, with_names
from otppi.web import forms, modem_words, sheets
from otppi.web.sheets import Group
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_

_SECTION = "vendor_routes"
_GROUPS = (
    Group(
        "vendor",
        N_("The account"),
        ("name", "active", "url", "allow_insecure", "dialect", "account", "password", "api_key"),
    ),
    Group("when", N_("When messages go this way"), ("last_resort", "prefixes")),
    Group("prices", N_("Prices"), ("prices",)),
    Group(
        "quotas",
        N_("Quotas"),
        ("quota_per_minute", "quota_per_hour", "quota_per_day", "quota_per_month"),
        is_folded=True,
    ),
    Group(
        "connection",
        N_("Connection and balance"),
        ("verify_tls", "ca", "in_flight", "timeout_s", "balance_low"),
        is_folded=True,
    ),
)
# The page explains them itself, with examples.
_EXPLAINED = ("prices",)


def show(visit: Visit) -> Response:
    """Show all accounts."""
    cost = visit.call("cost")
    costs = {one["modem_id"]: one for one in cost["modems"]}
    return visit.page(
        "vendors.html",
        title=visit.words("SMS vendors"),
        cards=[
            _card(visit, one, costs.get(one["id"]), cost["currency"])
            for one in visit.call("vendor_route.list")
        ],
    )


def new(visit: Visit) -> Response:
    """Show the form for a new one."""
    return _form(visit, "")


def add(visit: Visit) -> Response:
    """Add one."""
    return _saved(visit, "")


def edit(visit: Visit, route: str) -> Response:
    """Show the form of one."""
    return _form(visit, route)


def save(visit: Visit, route: str) -> Response:
    """Save one."""
    return _saved(visit, route)


def switch(visit: Visit, route: str) -> Response:
    """Switch one on or off."""
    is_on = visit.ticked("active")
    name = visit.call("vendor_route.put", route=route, values={"active": is_on})["name"]
    if is_on:
        text = visit.words("The account {name} is switched on.", name=name)
    else:
        text = visit.words("The account {name} is switched off.", name=name)
    return visit.redirect("/vendors", text)


def remove(visit: Visit, route: str) -> Response:
    """Remove one."""
    visit.call("settings.remove", section=_SECTION, item=route)
    return visit.redirect("/vendors", visit.words("The account is removed."))


def test(visit: Visit, route: str) -> Response:
    """Ask the vendor what is left, which shows that the connection works."""
    try:
        told = visit.call("vendor_route.test", route=route)
    except OtpPiError as error:
        return visit.redirect("/vendors", visit.error_text(error), "bad")
    left = visit.words.money(told["amount"], visit.call("cost")["currency"])
    text = visit.words("The connection to {name} works; {amount} is left.", name=told["modem"], amount=left)
    return visit.redirect("/vendors", text)


def _card(
    visit: Visit, route: Mapping[str, Any], cost: Mapping[str, Any] | None, currency: str
) -> Mapping[str, Any]:
    words = visit.words
    return {
        "route": route,
        "path": _path_of(route["id"]),
        "standing": modem_words.vendor_standing(route),
        "quotas": modem_words.quota_uses(words, cost) if cost is not None else [],
        "prices": modem_words.price_lines(words, route["prices"], currency),
        "balance": words.money(route["amount"], currency) if "amount" in route else "",
    }


def _path_of(route_id: str) -> str:
    return f"/vendors/{quote(route_id, safe='')}"


def _saved(visit: Visit, route_id: str) -> Response:
    described = visit.call("settings.describe", section=_SECTION)
    try:
        values = forms.read(described, visit.form_items(), forms.names_in(described))
        saved = visit.call("vendor_route.put", route=route_id, values=values)
    except OtpPiError as error:
        return _form(visit, route_id, error)
    return visit.redirect("/vendors", visit.words("The account {name} is saved.", name=saved["name"]))


def _form(visit: Visit, route_id: str, error: OtpPiError | None = None) -> Response:
    routes = visit.call("settings.get", path=_SECTION)
    if route_id and route_id not in routes:
        raise BadRequest("route", "there is no such account")
    present = routes.get(route_id, {})
    shown = {**present, "prices": [with_names(line) for line in present.get("prices", ())]}
    errors = visit.field_errors(error) if error is not None else None
    return visit.page(
        "vendor.html",
        status=200 if error is None else error.status,
        title=visit.words("Account {name}", name=present["name"])
        if present
        else visit.words("Add an account"),
        action=_path_of(route_id) if route_id else "/vendors/new",
        form=sheets.grouped(visit, _SECTION, shown, _GROUPS, errors, _EXPLAINED),
        operators=OPERATORS,
    )


_ONE = "/vendors/<route:re:[^/]+>"
ROUTES = (
    get("/vendors", show),
    get("/vendors/new", new, Role.OWNER),
    post("/vendors/new", add),
    get(_ONE, edit, Role.OWNER),
    post(_ONE, save),
    post(f"{_ONE}/switch", switch),
    post(f"{_ONE}/remove", remove),
    post(f"{_ONE}/test", test, Role.OPERATOR),
)
