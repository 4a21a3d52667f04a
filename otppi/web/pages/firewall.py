"""The firewall: its switch and limits, the ports that are open, and what listens behind them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import forms, sheets
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_, Words

_SECTIONS = ("firewall",)
_PORTS = "open_ports"
_LONGEST_PORT = len("65535-65535")
# Where callers may come from, as the entries of the owner and the needs of services name it.
_ORIGINS = {
    "any": N_("everywhere, mobile internet included"),
    "access-point": N_("the access point"),
    "ethernet": N_("Ethernet"),
    "near": N_("every network but mobile internet"),
}


def show(visit: Visit) -> Response:
    """Show the firewall."""
    return _drawn(visit)


def new_port(visit: Visit) -> Response:
    """Show the form of a port that is to be opened."""
    return _port_form(visit, "")


def show_port(visit: Visit, item: str) -> Response:
    """Show the form of an open port."""
    if item not in visit.call("settings.get", path=_PORTS):
        return visit.lost()
    return _port_form(visit, item)


def save_port(visit: Visit, item: str = "") -> Response:
    """Open a port, or change an entry."""
    described = visit.call("settings.describe", section=_PORTS)
    values = forms.read(described, visit.form_items(), forms.names_in(described))
    wanted = item or _free_id(visit, values)
    try:
        visit.call("settings.put", section=_PORTS, item=wanted, values=values, is_new=not item)
    except OtpPiError as error:
        return _port_form(visit, item, error)
    return visit.redirect("/firewall", visit.words("Saved."))


def switch_port(visit: Visit, item: str) -> Response:
    """Open or close an entry without forgetting it."""
    is_open = visit.form("open")
    visit.call("settings.put", section=_PORTS, item=item, values={"open": is_open})
    text = visit.words("The port is open.") if is_open == "true" else visit.words("The port is closed.")
    return visit.redirect("/firewall", text)


def remove_port(visit: Visit, item: str) -> Response:
    """Forget an entry, which closes its port."""
    visit.call("settings.remove", section=_PORTS, item=item)
    return visit.redirect("/firewall", visit.words("The entry is gone, and its port closed."))


def origin(words: Words, name: str) -> str:
    """Return where callers may come from in words; the name of an interface stays as it is."""
    return words(_ORIGINS[name]) if name in _ORIGINS else name


def _drawn(visit: Visit, error: OtpPiError | None = None) -> Response:
    has_live = visit.can("firewall.show")
    return visit.page(
        "firewall.html",
        status=200 if error is None else error.status,
        title=visit.words("Firewall"),
        shown=visit.call("firewall.show") if has_live else None,
        ports=visit.call("settings.get", path=_PORTS),
        listening=_rows(visit) if has_live else (),
        is_on=visit.call("settings.get", path="firewall.enabled"),
        origin=lambda name: origin(visit.words, name),
        sheet=sheets.draw(visit, _SECTIONS, error),
    )


def _rows(visit: Visit) -> list[dict[str, Any]]:
    """Return what listens, one row for each port and program: IPv4 and IPv6 are two sockets of one thing."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in visit.call("port.listening"):
        key = (one["protocol"], one["port"], one["program"], one["user"], one["is_local"])
        rows.setdefault(key, {**one, "addresses": []})["addresses"].append(one["address"])
    return list(rows.values())


def _port_form(visit: Visit, item: str, error: OtpPiError | None = None) -> Response:
    described = visit.call("settings.describe", section=_PORTS)
    # A new one is offered for the cable alone, and for the world only if somebody wants that.
    present = visit.call("settings.get", path=_PORTS).get(item, {"interface": "ethernet"})
    errors = visit.field_errors(error) if error is not None else {}
    fields = forms.fields_of(
        described,
        present,
        visit.words,
        given=visit.form_items() if error is not None else None,
        errors=errors,
    )
    return visit.page(
        "firewall_port.html",
        status=200 if error is None else error.status,
        title=visit.words("Change an open port") if item else visit.words("Open a port"),
        action=f"/firewall/ports/{item}" if item else "/firewall/ports",
        fields=[_with_origins(visit, one) for one in fields],
        errors={place: reason for place, reason in errors.items() if place not in forms.names_in(described)},
    )


def _with_origins(visit: Visit, field: forms.Field) -> forms.Field:
    """Offer the interfaces that there are."""
    if field.name != "interface":
        return field
    interfaces = _interfaces(visit)
    names = ["ethernet", "access-point", *interfaces, "any"]
    if field.value and field.value not in names:
        names.append(str(field.value))
    titles = tuple(
        origin(visit.words, one) if one in _ORIGINS else visit.words("only {interface}", interface=one)
        for one in names
    )
    return replace(
        field,
        kind="choice",
        choices=tuple(names),
        choice_titles=titles,
        help=visit.words("From where the port can be reached. Choose as little as is needed."),
        limits="",
    )


def _interfaces(visit: Visit) -> list[str]:
    if not visit.can("network.show"):
        return []
    try:
        return [one["interface"] for one in visit.call("network.show")["interfaces"]]
    except OtpPiError:
        return []


def _free_id(visit: Visit, values: Mapping[str, Any]) -> str:
    """Return the id of a new entry: as the command line has it, or with a number behind where that is taken."""
    ports = visit.call("settings.get", path=_PORTS)
    port = "".join(str(values.get("port", "")).split())[:_LONGEST_PORT]
    base = f"{values.get('protocol', '')}{port}"
    numbers = (f"{base}-{number}" for number in range(2, len(ports) + 3))
    return next(one for one in (base, *numbers) if one not in ports)


_ITEM = "<item:path>"
ROUTES = (
    get("/firewall", show, Role.OWNER),
    *sheets.saving("/firewall", "firewall", _drawn),
    get("/firewall/ports/new", new_port, Role.OWNER),
    post("/firewall/ports", save_port),
    post(f"/firewall/ports/{_ITEM}/switch", switch_port),
    post(f"/firewall/ports/{_ITEM}/remove", remove_port),
    get(f"/firewall/ports/{_ITEM}", show_port, Role.OWNER),
    post(f"/firewall/ports/{_ITEM}", save_port),
)
