"""Settings that need no more than a form, and the search for any of them."""

from dataclasses import dataclass

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import sheets
from otppi.web.ddns_words import VENDORS
from otppi.web.outcomes import BROKERS
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_

_LONGEST_SEARCH = 100
_MOST_FOUND = 30


@dataclass(frozen=True)
class Page:
    """One page of settings: sections that are there once, one after the other."""

    title: str
    sections: tuple[str, ...]


PAGES = {
    "general": Page(N_("General settings"), ("general", "housekeeping", "admin", "reset")),
    "api": Page(N_("API settings"), ("api", "vendor_api")),
    "messages": Page(N_("Messages and codes"), ("sms", "otp", "inbox", "reports", "sent")),
}
# Where each section is set; those that are one item each have their own lists.
PLACES = {section: f"/settings/{name}" for name, page in PAGES.items() for section in page.sections} | {
    "network": "/network",
    "wlan": "/network",
    "dhcp": "/network",
    "ethernet": "/network",
    "firewall": "/firewall",
    "open_ports": "/firewall",
    **{broker: f"/brokers/{broker}" for broker in BROKERS},
    "ddns": "/ddns",
    "ddns_address": "/ddns/address",
    **{vendor: f"/ddns/{vendor}" for vendor in VENDORS},
    "clock": "/clock",
    "bell": "/bell",
    "modems": "/modems",
    "vendor_routes": "/vendors",
    "email": "/email",
    "email_accounts": "/email",
    "smtp": "/smtp",
    "api_users": "/api-users",
    "vendor_accounts": "/vendor-accounts",
    "admins": "/administrators",
    "blocklist": "/blocklist",
}
_WITH_ANCHORS = frozenset(PLACES) - {
    "open_ports",
    "ddns",
    "modems",
    "vendor_routes",
    "email_accounts",
    "api_users",
    "vendor_accounts",
    "admins",
    "blocklist",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A setting that a search found."""

    title: str
    section: str
    help: str
    path: str


def show(visit: Visit, name: str) -> Response:
    """Show a page of settings."""
    return _drawn(visit, name)


def save(visit: Visit, name: str) -> Response:
    """Save it."""
    page = PAGES.get(name)
    if page is None:
        return visit.lost()
    before = _own_port(visit)
    try:
        changed = sheets.save(visit, page.sections)
    except OtpPiError as error:
        return _drawn(visit, name, error)
    if not changed:
        return visit.redirect(f"/settings/{name}", visit.words("There was nothing to change."))
    return _done(visit, name, before, visit.words("Saved."))


def reset(visit: Visit, name: str) -> Response:
    """Put one section back to its factory values."""
    page, section = PAGES.get(name), visit.form("section")
    if page is None or section not in page.sections:
        return visit.lost()
    before = _own_port(visit)
    visit.call("settings.reset", section=section)
    return _done(visit, name, before, visit.words("These settings are as they came from the factory."))


def search(visit: Visit) -> Response:
    """Look for settings by words of their titles and helps, in the reader's language."""
    wanted = visit.query("q")[:_LONGEST_SEARCH].strip()
    words = wanted.casefold().split()
    found = [one for one in _all(visit) if _matches(one, words)] if words else []
    return visit.page(
        "settings_search.html",
        title=visit.words("Search settings"),
        wanted=wanted,
        found=found[:_MOST_FOUND],
    )


def _drawn(visit: Visit, name: str, error: OtpPiError | None = None) -> Response:
    page = PAGES.get(name)
    if page is None:
        return visit.lost()
    return visit.page(
        "settings.html",
        status=200 if error is None else error.status,
        title=visit.words(page.title),
        action=f"/settings/{name}",
        sheet=sheets.draw(visit, page.sections, error),
    )


def _own_port(visit: Visit) -> int | None:
    http, https = visit.site.device.admin_ports()
    return https if visit.is_tls else http


def _done(visit: Visit, name: str, before: int | None, text: str) -> Response:
    """Go on; where the pages have just moved to another port, a redirect might come before they are there."""
    now = _own_port(visit)
    if now == before:
        return visit.redirect(f"/settings/{name}", text)
    scheme = "https" if visit.is_tls and now is not None else "http"
    port = now or visit.site.device.admin_ports()[0]
    link = f"{scheme}://{visit.url_host}:{port}/settings/{name}"
    return visit.page("settings_moved.html", title=visit.words("The pages move"), link=link)


def _all(visit: Visit) -> list[Found]:
    said, found = visit.words.said, []
    for section, path in PLACES.items():
        described = visit.call("settings.describe", section=section)
        shown = sheets.shown_names(section, described)
        for one in described["settings"]:
            if one["name"] not in shown:
                continue
            anchor = f"#f-{section}.{one['name']}" if section in _WITH_ANCHORS else ""
            found.append(
                Found(
                    title=said(one["title"]),
                    section=said(described["title"]),
                    help=said(one["help"]),
                    path=path + anchor,
                )
            )
    return found


def _matches(one: Found, words: list[str]) -> bool:
    text = f"{one.title} {one.section} {one.help}".casefold()
    return all(word in text for word in words)


ROUTES = (
    get("/settings", search, Role.OWNER),
    get("/settings/<name:re:[a-z]+>", show, Role.OWNER),
    post("/settings/<name:re:[a-z]+>", save, Role.OWNER),
    post("/settings/<name:re:[a-z]+>/reset", reset, Role.OWNER),
)
