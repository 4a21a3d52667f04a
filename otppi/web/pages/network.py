"""The network: what it really is, its settings, and the trial that every change of them is."""

from collections.abc import Mapping
from typing import Any

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import sheets
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_

_SECTIONS = ("wlan", "ethernet", "dhcp", "network")
_TRIAL = "/network/trial"
_KINDS = {
    "ap": ("wifi", N_("Access point")),
    "wifi": ("wifi", N_("Wi-Fi")),
    "ethernet": ("ethernet", N_("Ethernet")),
    "modem": ("globe2", N_("Mobile internet")),
    "ppp": ("globe2", N_("Mobile internet")),
}
_STATES = {
    "activated": ("good", N_("connected")),
    "activating": ("note", N_("is being connected")),
    "deactivating": ("note", N_("is being disconnected")),
    "disconnected": ("off", N_("not connected")),
    "unavailable": ("off", N_("no cable, or switched off")),
    "unmanaged": ("off", N_("not looked after by the device")),
    "failed": ("bad", N_("could not be connected")),
}
_SECURITY = {
    "wpa2": N_("WPA2"),
    "wpa3": N_("WPA3"),
    "wpa2 and wpa3": N_("WPA2 and WPA3"),
}


def show(visit: Visit) -> Response:
    """Show the network, and to an owner what may be set."""
    return _drawn(visit)


def save(visit: Visit) -> Response:
    """Save all of it, and lead to the trial."""
    told = _told(visit)
    try:
        changed = sheets.save(visit, _SECTIONS)
    except OtpPiError as error:
        return _drawn(visit, error)
    if not changed:
        return visit.redirect("/network", visit.words("There was nothing to change."))
    return visit.redirect(f"{_TRIAL}?after={told}")


def reset(visit: Visit) -> Response:
    """Put one section back to its factory values; that is on trial as well."""
    section = visit.form("section")
    if section not in _SECTIONS:
        return visit.lost()
    told = _told(visit)
    visit.call("settings.reset", section=section)
    return visit.redirect(f"{_TRIAL}?after={told}")


def move(visit: Visit) -> Response:
    """Give the access point the free address that the page offered."""
    told = _told(visit)
    visit.call("settings.set", values={"wlan.address": visit.form("address")})
    return visit.redirect(f"{_TRIAL}?after={told}")


def show_trial(visit: Visit) -> Response:
    """Show how the last change is doing; scripts ask the same to see when that is something else."""
    trial = visit.call("network.trial", arrived_at=visit.own_address.strip("[]"))
    outcome = visit.call("network.outcome")
    stage = _stage(visit, trial, outcome)
    if visit.wants_json:
        return visit.json({"stage": stage, "remaining_s": trial["remaining_s"] if trial else 0})
    link = _link(visit, trial) if trial else ""
    return visit.page(
        "network_trial.html",
        title=visit.words("Change of the network"),
        stage=stage,
        trial=trial,
        refusal=visit.words.said(outcome["refusal"]),
        link=link,
        picture=_picture(link) if link else "",
        path=visit.path,
    )


def confirm(visit: Visit) -> Response:
    """Keep the change: whoever asked came in by the network as it is now."""
    try:
        visit.site.facts["confirm_network"](visit.form("token"), visit.own_address.strip("[]"))
    except OtpPiError as error:
        visit.note("network.confirm", "refused")
        return visit.redirect(_TRIAL, visit.error_text(error), "bad")
    visit.note("network.confirm")
    return visit.redirect("/network", visit.words("The network stays as it is now."))


def way_to_trial(visit: Visit) -> str:
    """Return where it shows what becomes of a change that is made next; empty where no network is looked after."""
    return f"{_TRIAL}?after={_told(visit)}" if visit.can("network.trial") else ""


def _drawn(visit: Visit, error: OtpPiError | None = None) -> Response:
    may_change = visit.can("settings.set")
    facts, problem = None, ""
    try:
        facts = visit.call("network.show")
    except OtpPiError as unknown:
        problem = visit.error_text(unknown)
    return visit.page(
        "network.html",
        status=200 if error is None else error.status,
        title=visit.words("Network"),
        facts=facts,
        problem=problem,
        kinds=_KINDS,
        states=_STATES,
        security=_SECURITY,
        refusal=visit.words.said(visit.call("network.outcome")["refusal"]),
        is_on_trial=may_change and visit.call("network.trial") is not None,
        sheet=sheets.draw(visit, _SECTIONS, error) if may_change else None,
    )


def _told(visit: Visit) -> int:
    """Return a number that is another as soon as the device has taken up what is saved now."""
    outcome = visit.call("network.outcome")
    return int(outcome["changes"] + outcome["settled"])


def _stage(visit: Visit, trial: Mapping[str, Any] | None, outcome: Mapping[str, Any]) -> str:
    if trial is not None:
        return "reachable" if trial["can_confirm_here"] else "trying"
    is_before = visit.query_number("after", -1) == outcome["changes"] + outcome["settled"]
    return "waiting" if is_before or outcome["is_open"] else "over"


def _link(visit: Visit, trial: Mapping[str, Any]) -> str:
    """Return where the change is confirmed; where only a DHCP server knows the address, by the device's name."""
    host = trial["address"] or f"{visit.call('settings.get', path='network.hostname').lower()}.local"
    port, _ = visit.site.device.admin_ports()
    return f"http://{host}:{port}/network/confirm/{trial['token']}"


def _picture(link: str) -> str:
    import segno

    return segno.make_qr(link, error="m").svg_data_uri(scale=5, dark="#000", light="#fff")


ROUTES = (
    get("/network", show),
    post("/network", save),
    post("/network/reset", reset),
    post("/network/address", move),
    get(_TRIAL, show_trial, Role.OWNER),
    post(f"{_TRIAL}/confirm", confirm),
)
