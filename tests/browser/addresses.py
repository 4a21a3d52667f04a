"""Addresses of pages: every route of the site, filled with what the device in use has."""

import re
from collections.abc import Callable, Mapping

from otppi.web.pages.settings import PAGES
from otppi.web.routes import ROUTES
from otppi.web.site import LIVE, Route
from tests.browser.furnished import (
    API_USER,
    DDNS_RECORD,
    EMAIL_ACCOUNT,
    OPEN_PORT,
    VENDOR_ACCOUNT,
    VENDOR_ROUTE,
    call,
)
from tests.web.admin_client import AdminClient

Fill = Callable[[AdminClient], list[str]]


def _modem(path: str) -> Fill:
    return lambda owner: [path.format(call(owner, "modem.list")[0]["id"])]


def _messages(owner: AdminClient) -> list[str]:
    found = call(owner, "inbox.list", search="", offset=0, count=50)["messages"]
    return [f"/inbox/{one['id']}" for one in found]


def _job(path: str) -> Fill:
    def fill(owner: AdminClient) -> list[str]:
        modem = call(owner, "modem.list")[0]["id"]
        return [path.format(modem=modem, job=call(owner, "sim.scan", modem=modem))]

    return fill


def _linked(page: str, start: str) -> Fill:
    """Return the first such link of a page."""
    return lambda owner: re.findall(rf'href="({re.escape(start)}[^"]+)"', owner.get(page).text)[:1]


# What stands in a path, or what a page is asked: the addresses of such a route.
FILLED: Mapping[str, Fill] = {
    "/settings": lambda _: ["/settings", "/settings?q=modem"],
    "/api-users/change": lambda _: [f"/api-users/change?user={API_USER}"],
    "/vendor-accounts/change": lambda _: [f"/vendor-accounts/change?user={VENDOR_ACCOUNT}"],
    "/administrators/change": lambda _: ["/administrators/change?user=viewer"],
    "/settings/<name:re:[a-z]+>": lambda _: [f"/settings/{name}" for name in PAGES],
    "/modems/<modem:re:[^/]+>": _modem("/modems/{}"),
    "/modems/<modem:re:[^/]+>/sim": _modem("/modems/{}/sim"),
    "/modems/<modem:re:[^/]+>/job/<job_id:re:[0-9a-f]+>": _job("/modems/{modem}/job/{job}"),
    "/email/new": lambda _: ["/email/new", "/email/new?preset=gmail-587"],
    "/email/<account:re:[^/]+>": lambda _: [f"/email/{EMAIL_ACCOUNT}"],
    "/email/<account:re:[^/]+>/test": lambda _: [f"/email/{EMAIL_ACCOUNT}/test"],
    "/ddns/records/<record:re:[^/]+>": lambda _: [f"/ddns/records/{DDNS_RECORD}"],
    "/vendors/<route:re:[^/]+>": lambda _: [f"/vendors/{VENDOR_ROUTE}"],
    "/jobs/<job_id:re:[0-9a-f]+>": _job("/jobs/{job}"),
    "/firewall/ports/<item:path>": lambda _: [f"/firewall/ports/{OPEN_PORT}"],
    "/inbox/<message_id:re:[0-9A-Za-z._-]{1,80}>": _messages,
    "/about/licence/<key:re:[a-z0-9-]+>": _linked("/about", "/about/licence/"),
    "/reports/<kind:re:csv|xlsx>": lambda _: ["/reports/csv", "/reports/xlsx"],
}
# Pages that have nothing to show by themselves, and what they answer then.
EMPTY: Mapping[str, int] = {
    "/backup/restore": 303,  # before a file was given
    "/backup/old-device/plan": 303,
    "/setup/api/made": 303,  # before there is a user whose password it shows
    "/jobs/<job_id:re:[0-9a-f]+>": 303,  # the result of the work has a page of its own
    "/logs/journal": 404,  # a desk has none
}


def page_routes() -> list[Route]:
    """Return every route that shows something to who has logged in, but the live news."""
    return [
        one
        for one in ROUTES
        if one.method == "GET" and one.role is not None and not one.path.startswith(LIVE)
    ]


def addresses(route: Route, owner: AdminClient) -> list[str]:
    """Return the addresses of a route on the device in use."""
    if route.path in FILLED:
        return FILLED[route.path](owner)
    assert "<" not in route.path, f"say in {__file__} what stands in {route.path}"
    return [route.path]
