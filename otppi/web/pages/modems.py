"""The modems: how each is, what was found, and their settings."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError, SettingsError, UnknownModem
from otppi.model.operators import OPERATORS, Operator, with_names
from otppi.web import forms, modem_words, sheets
from otppi.web.sheets import Group
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_

_GROUPS = (
    Group("modem", N_("The modem"), ("name", "port", "active", "api_enabled", "sim_pin")),
    Group("numbers", N_("Which numbers it is for"), ("prefixes", "is_default")),
    Group("prices", N_("Prices"), ("prices",)),
    Group(
        "quotas",
        N_("Quotas and pauses"),
        (
            "quota_per_minute",
            "quota_per_hour",
            "quota_per_day",
            "quota_per_month",
            "gap_min_s",
            "gap_max_s",
        ),
        is_folded=True,
    ),
    Group(
        "balance",
        N_("Balance of the SIM card"),
        ("balance_check", "balance_ussd", "balance_low", "balance_days", "balance_pattern"),
        is_folded=True,
    ),
    Group(
        "internet",
        N_("Mobile internet"),
        (
            "internet_access",
            "apn",
            "apn_username",
            "apn_password",
            "dial_number",
            "autoreconnect",
            "dial_command",
            "init_dial_1",
            "init_dial_2",
            "init_dial_3",
            "init_dial_4",
            "init_dial_5",
        ),
        is_folded=True,
    ),
)
# Whatever no other group has, so that a new setting cannot be left out.
_REST = N_("How the device knows it, and its serial line")
# The page explains them itself, with examples.
_EXPLAINED = ("prices",)
_PREFIX_PRESET, _APN_PRESET = "prefixes_of", "internet_of"


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """How somebody wanted to use a modem that was found, and why that was refused."""

    node: str
    given: Mapping[str, str]
    errors: Mapping[str, str]


# -- the list


def show(visit: Visit) -> Response:
    """Show all modems, and what was found."""
    return _listed(visit)


def look(visit: Visit) -> Response:
    """Look anew what is plugged in."""
    visit.call("modem.look")
    return visit.redirect(
        "/modems", visit.words("Looking for modems; what is found shows here in a moment."), "note"
    )


def use(visit: Visit) -> Response:
    """Put a modem that was found to work."""
    given = visit.form_items()
    node, name = given.get("modem", ""), given.get("name", "").strip()
    try:
        if name in (one["name"] for one in visit.call("modem.list")):
            raise SettingsError({"modems.name": "another modem has this name"})
        preset = _preset(given.get(_PREFIX_PRESET, ""))
        visit.call(
            "modem.use",
            modem=node,
            name=name,
            prefixes=list(preset.prefixes) if preset is not None else [],
            is_default=visit.ticked("is_default"),
        )
    except OtpPiError as error:
        wish = _Wish(node=node, given=given, errors=visit.field_errors(error))
        return _listed(visit, status=error.status, wish=wish)
    return visit.redirect("/modems", visit.words("The modem {name} is used now.", name=name))


def try_route(visit: Visit) -> Response:
    """Say which modem would take a message; the number stands in no address, and so in no history."""
    given = visit.form_items()
    try:
        route = visit.call(
            "route",
            number=given.get("number", ""),
            parts=_whole(given.get("parts", ""), 1),
            is_code=visit.ticked("is_code"),
        )
    except OtpPiError as error:
        return _listed(
            visit, status=error.status, tried=given, route_error="; ".join(visit.field_errors(error).values())
        )
    return _listed(visit, tried=given, route=route)


def _listed(
    visit: Visit,
    status: int = 200,
    *,
    wish: _Wish | None = None,
    tried: Mapping[str, str] | None = None,
    route: Mapping[str, Any] | None = None,
    route_error: str = "",
) -> Response:
    modems = visit.call("modem.list")
    cost = visit.call("cost")
    costs = {one["modem_id"]: one for one in cost["modems"]}
    balances = {one["modem_id"]: one for one in visit.call("balance.list")}
    found = visit.call("modem.found") if visit.can("modem.found") else {"modems": [], "problems": []}
    return visit.page(
        "modems.html",
        status=status,
        title=visit.words("Modems"),
        cards=[
            _card(visit, one, costs.get(one["id"]), balances.get(one["id"], {}), cost["currency"])
            for one in modems
        ],
        new=[one for one in found["modems"] if not one["used_as"]],
        problems=found["problems"],
        wish=wish,
        operators=OPERATORS,
        tried=tried or {},
        route=route,
        route_error=route_error,
    )


def _card(
    visit: Visit,
    modem: Mapping[str, Any],
    cost: Mapping[str, Any] | None,
    balance: Mapping[str, Any],
    currency: str,
) -> Mapping[str, Any]:
    words, signal = visit.words, modem["signalStrength"]
    return {
        "modem": modem,
        "path": path_of(modem["id"]),
        "standing": modem_words.standing(modem),
        "is_ready": modem_words.is_ready(modem),
        "is_nearly_full": modem_words.is_nearly_full(modem),
        "bars": modem_words.bars(signal.get("condition", "")),
        "signal": modem_words.signal_text(words, signal.get("condition", ""), signal.get("rssi")),
        "quotas": modem_words.quota_uses(words, cost) if cost is not None else [],
        "prices": modem_words.price_lines(words, modem["prices"], currency),
        "balance": words.money(balance["amount"], currency) if "amount" in balance else "",
        "balance_until": balance.get("valid_until"),
        "balance_warnings": balance.get("warnings", []),
    }


# -- one modem


def new(visit: Visit) -> Response:
    """Show the form for a modem that a person describes."""
    return _form(visit, None)


def add(visit: Visit) -> Response:
    """Add a modem."""
    return _saved(visit, None)


def edit(visit: Visit, modem: str) -> Response:
    """Show the form of a modem."""
    return _form(visit, modem)


def save(visit: Visit, modem: str) -> Response:
    """Save a modem."""
    return _saved(visit, modem)


def switch(visit: Visit, modem: str) -> Response:
    """Switch a modem on or off."""
    is_on = visit.ticked("active")
    name = visit.call("modem.put", modem=modem, values={"active": is_on})["name"]
    if is_on:
        text = visit.words("The modem {name} is switched on.", name=name)
    else:
        text = visit.words("The modem {name} is switched off.", name=name)
    return visit.redirect("/modems", text)


def remove(visit: Visit, modem: str) -> Response:
    """Remove a modem from the settings."""
    visit.call("settings.remove", section="modems", item=modem)
    return visit.redirect("/modems", visit.words("The modem is removed."))


def keep_sim(visit: Visit, modem: str) -> Response:
    """Let the settings of a modem be those of the SIM that is in now."""
    visit.call("modem.put", modem=modem, values={"iccid": ""})
    return visit.redirect("/modems", visit.words("The settings are those of the new SIM card now."))


def path_of(modem_id: str) -> str:
    """Return the address of a modem."""
    return f"/modems/{quote(modem_id, safe='')}"


def live(visit: Visit, modem_id: str) -> Mapping[str, Any]:
    """Return what `modem.list` has of one modem.

    Raises:
        UnknownModem: There is none of this id.
    """
    for one in visit.call("modem.list"):
        if one["id"] == modem_id:
            return dict(one)
    raise UnknownModem("there is no such modem")


def _saved(visit: Visit, modem_id: str | None) -> Response:
    described = visit.call("settings.describe", section="modems")
    given = visit.form_items()
    try:
        values = forms.read(described, given, forms.names_in(described))
        present = _present(visit, modem_id)
        if values.get("imei") == present.get("imei"):
            values.pop("imei", None)  # nobody touched it; with another port it may be that of another modem
        saved = visit.call("modem.put", modem=modem_id or "", values=_with_presets(values, given))
    except OtpPiError as error:
        return _form(visit, modem_id, status=error.status, given=given, errors=visit.field_errors(error))
    return visit.redirect("/modems", visit.words("The modem {name} is saved.", name=saved["name"]))


def _with_presets(values: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Add what is known of the operators that were chosen."""
    with_them = dict(values)
    if (operator := _preset(given.get(_PREFIX_PRESET, ""))) is not None:
        written = re.split(r"[,\s]+", values.get("prefixes", ""))
        with_them["prefixes"] = list(dict.fromkeys([*filter(None, written), *operator.prefixes]))
    if (operator := _preset(given.get(_APN_PRESET, ""))) is not None:
        for name in ("apn", "apn_username", "apn_password", "dial_number"):
            with_them[name] = getattr(operator, name)
    return with_them


def _preset(key: str) -> Operator | None:
    return next((one for one in OPERATORS if one.key == key), None)


def _present(visit: Visit, modem_id: str | None) -> Mapping[str, Any]:
    if modem_id is None:
        return {}
    modems = visit.call("settings.get", path="modems")
    if modem_id not in modems:
        raise UnknownModem("there is no such modem")
    return dict(modems[modem_id])


def _form(
    visit: Visit,
    modem_id: str | None,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    described, present = visit.call("settings.describe", section="modems"), _present(visit, modem_id)
    shown = {**present, "prices": [with_names(line) for line in present.get("prices", ())]}
    groups = _all_groups(forms.names_in(described))
    return visit.page(
        "modem.html",
        status=status,
        title=visit.words("Modem {name}", name=present["name"]) if present else visit.words("Add a modem"),
        action=path_of(modem_id) if modem_id is not None else "/modems/new",
        form=sheets.grouped(visit, "modems", shown, groups, errors, _EXPLAINED),
        given=given or {},
        operators=OPERATORS,
    )


def _all_groups(names: Sequence[str]) -> Iterable[Group]:
    yield from _GROUPS
    grouped = {name for group in _GROUPS for name in group.names}
    yield Group("rest", _REST, tuple(name for name in names if name not in grouped), is_folded=True)


def _whole(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and 1 <= len(text) <= 3 else default


_ONE = "/modems/<modem:re:[^/]+>"
ROUTES = (
    get("/modems", show),
    post("/modems/look", look, Role.OPERATOR),
    post("/modems/use", use),
    post("/modems/route", try_route, Role.OPERATOR),
    get("/modems/new", new, Role.OWNER),
    post("/modems/new", add),
    get(_ONE, edit, Role.OWNER),
    post(_ONE, save),
    post(f"{_ONE}/switch", switch),
    post(f"{_ONE}/remove", remove),
    post(f"{_ONE}/keep-sim", keep_sim),
)
