"""Dynamic DNS: the public address, the names that follow it, and the accounts at those who keep the names."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web import ddns_words, forms, sheets
from otppi.web.ddns_words import VENDORS, Card
from otppi.web.sheets import Group
from otppi.web.site import Response, Route, Visit, get, post
from otppi.web.words import N_

_SECTION, _ADDRESS = "ddns", "ddns_address"
# The key of what is for one vendor alone is that vendor.
_GROUPS = (
    Group("name", N_("The name"), ("provider", "record_name", "zone", "type", "active")),
    Group("updates", N_("Updates"), ("every_minutes", "ttl")),
    Group("cloudflare", N_("For Cloudflare only"), ("proxied", "force_create_zone"), is_folded=True),
    Group("afraid", N_("For FreeDNS only"), ("token",), is_folded=True),
)


def show(visit: Visit) -> Response:
    """Show the public address, all names, and to an owner the accounts."""
    told = visit.call("ddns.list")
    return visit.page(
        "ddns.html",
        title=visit.words("Dynamic DNS"),
        addresses=ddns_words.public_addresses(visit, told["address"]),
        cards=[ddns_words.card(visit, one) for one in told["records"]],
        accounts=_accounts(visit, told["records"]) if visit.can("settings.set") else [],
    )


def new(visit: Visit) -> Response:
    """Show the form for a new name."""
    return _form(visit, "")


def add(visit: Visit) -> Response:
    """Add a name."""
    return _saved(visit, "")


def edit(visit: Visit, record: str) -> Response:
    """Show the form of a name."""
    return _form(visit, record)


def save(visit: Visit, record: str) -> Response:
    """Save a name."""
    return _saved(visit, record)


def switch(visit: Visit, record: str) -> Response:
    """Switch a name on or off."""
    _present(visit, record)
    is_on = visit.ticked("active")
    visit.call("settings.put", section=_SECTION, item=record, values={"active": is_on})
    host = _card(visit, record).record["host"]
    if is_on:
        text = visit.words("The name {name} is switched on.", name=host)
    else:
        text = visit.words("The name {name} is switched off.", name=host)
    return visit.redirect("/ddns", text)


def remove(visit: Visit, record: str) -> Response:
    """Remove a name; at its vendor it stays as it is."""
    visit.call("settings.remove", section=_SECTION, item=record)
    return visit.redirect("/ddns", visit.words("The name is removed here. Its vendor still has it."))


def update(visit: Visit, record: str) -> Response:
    """Tell the vendor the address now, and say what it answered."""
    card = ddns_words.card(visit, visit.call("ddns.update", record=record))
    host, level = card.record["host"], card.level
    if level == "good":
        text = visit.words("{name} leads to {address} now.", name=host, address=card.record["address"])
        return visit.redirect("/ddns", f"{text} {card.advice}".strip())
    reason = f"{card.finding}. {card.advice}" if card.finding else card.advice
    text = visit.words("{name}: {reason}", name=host, reason=reason)
    return visit.redirect("/ddns", text, "bad" if level == "bad" else "warn")


def _saved(visit: Visit, record_id: str) -> Response:
    described = visit.call("settings.describe", section=_SECTION)
    _present(visit, record_id)
    try:
        values = forms.read(described, visit.form_items(), forms.names_in(described))
        if visit.ticked(f"{sheets.FORGET}token"):
            values["token"] = ""
        item = record_id or uuid.uuid4().hex
        visit.call("settings.put", section=_SECTION, item=item, values=values, is_new=not record_id)
    except OtpPiError as error:
        return _form(visit, record_id, error)
    card = _card(visit, item)
    text = visit.words("The name {name} is saved.", name=card.record["host"])
    vendor = card.record["provider"]
    if card.record["active"] and not _is_active(visit, vendor):
        visit.tell(text)
        text = visit.words("Now give the account at {vendor}, and switch it on.", vendor=card.vendor)
        return visit.redirect(card.account_path, text, "warn")
    return visit.redirect("/ddns", text)


def _form(visit: Visit, record_id: str, error: OtpPiError | None = None) -> Response:
    present = _present(visit, record_id)
    errors = visit.field_errors(error) if error is not None else None
    vendor = visit.form("provider") or present.get("provider", "")
    groups = [replace(one, is_folded=one.is_folded and one.key != vendor) for one in _GROUPS]
    return visit.page(
        "ddns_record.html",
        status=200 if error is None else error.status,
        title=visit.words("The name {name}", name=_card(visit, record_id).record["host"])
        if record_id
        else visit.words("Add a name"),
        action=ddns_words.path_of(record_id) if record_id else "/ddns/records/new",
        form=sheets.grouped(visit, _SECTION, present, groups, errors),
        has_token=bool(present.get("token")),
    )


def _present(visit: Visit, record_id: str) -> Mapping[str, Any]:
    """Return the settings of a name; none of one that is new."""
    if not record_id:
        return {}
    records = visit.call("settings.get", path=_SECTION)
    if record_id not in records:
        raise BadRequest("record", "there is no such name")
    return dict(records[record_id])


def _card(visit: Visit, record_id: str) -> Card:
    records = visit.call("ddns.list")["records"]
    return next(ddns_words.card(visit, one) for one in records if one["id"] == record_id)


def _is_active(visit: Visit, vendor: str) -> bool:
    return bool(visit.call("settings.get", path=f"{vendor}.active"))


def _accounts(visit: Visit, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        {
            "title": visit.words(vendor.title),
            "path": ddns_words.account_path(key),
            "is_active": _is_active(visit, key),
            "count": sum(one["provider"] == key for one in records),
        }
        for key, vendor in VENDORS.items()
    ]


# -- what there is one of


def _routes_of(vendor: str) -> Iterator[Route]:
    path = ddns_words.account_path(vendor)

    def one(visit: Visit, error: OtpPiError | None = None) -> Response:
        records = visit.call("ddns.list")["records"]
        return visit.page(
            "ddns_vendor.html",
            status=200 if error is None else error.status,
            title=visit.words("Account at {vendor}", vendor=visit.words(VENDORS[vendor].title)),
            vendor=VENDORS[vendor],
            is_active=_is_active(visit, vendor),
            cards=[ddns_words.card(visit, one) for one in records if one["provider"] == vendor],
            path=path,
            sheet=sheets.draw(visit, (vendor,), error),
        )

    yield get(path, one, Role.OWNER)
    yield from sheets.saving(path, vendor, one)


def show_address(visit: Visit, error: OtpPiError | None = None) -> Response:
    """Show where the public address is learnt."""
    return visit.page(
        "ddns_address.html",
        status=200 if error is None else error.status,
        title=visit.words("Public address"),
        addresses=ddns_words.public_addresses(visit, visit.call("ddns.list")["address"]),
        sheet=sheets.draw(visit, (_ADDRESS,), error),
    )


_ONE = "/ddns/records/<record:re:[^/]+>"
ROUTES = (
    get("/ddns", show),
    get("/ddns/records/new", new, Role.OWNER),
    post("/ddns/records/new", add),
    get(_ONE, edit, Role.OWNER),
    post(_ONE, save),
    post(f"{_ONE}/switch", switch),
    post(f"{_ONE}/remove", remove),
    post(f"{_ONE}/update", update, Role.OPERATOR),
    get("/ddns/address", show_address, Role.OWNER),
    *sheets.saving("/ddns/address", _ADDRESS, show_address),
    *(route for vendor in VENDORS for route in _routes_of(vendor)),
)
