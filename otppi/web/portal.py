"""Port 80: leads a phone that has just joined the access point, and everybody else, to the admin pages.

Every system asks a page of its maker's whether the internet is there. While the device is being set up its DNS leads
these here, and a redirect makes the phone open the admin pages by itself.

Afterwards the answer is an error. To say that the internet is there would be kinder at first sight, as the phone
would stop asking; but it would then send everything through a Wi-Fi that leads nowhere, mail and calls included,
instead of its mobile network. To keep redirecting would open the sign-in window of the system again and again, and
closing that leaves the Wi-Fi. An error is what a network without internet looks like: phones say so, offer to stay,
and use their mobile network for the rest.
"""

from collections.abc import Callable

import bottle

PROBES = frozenset(
    {
        "/generate_204",  # Android, Chrome
        "/gen_204",
        "/hotspot-detect.html",  # iOS, macOS
        "/library/test/success.html",
        "/connecttest.txt",  # Windows
        "/ncsi.txt",
        "/redirect",
        "/success.txt",  # Firefox
        "/canonical.html",
    }
)
# What an answer says must not outlive the set-up in any cache.
_HEADERS = {"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}


class Portal:
    """Answers every path; nothing of a request is in an answer."""

    def __init__(self, admin_url: Callable[[], str], is_open: Callable[[], bool]) -> None:
        """Take where the admin pages are, and whether the device is still being set up."""
        self._admin_url = admin_url
        self._is_open = is_open

    def install(self, app: bottle.Bottle) -> None:
        """Add the one route to an application."""
        # Any character at all, line breaks too: a page of bottle's own would show what was asked for.
        app.route(r"<path:re:[\s\S]*>", "ANY", self._answer)

    def _answer(self, path: str) -> bottle.HTTPResponse:
        if path in PROBES and not self._is_open():
            return bottle.HTTPResponse("no internet here\n", status=503, headers=_HEADERS)
        return bottle.HTTPResponse(status=302, headers={**_HEADERS, "Location": self._admin_url()})
