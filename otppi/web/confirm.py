"""The page by which a change of the network is confirmed from the other side of it."""

from collections.abc import Callable
from html import escape

import bottle

from otppi.model.errors import HostRefused, OtpPiError

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class ConfirmPage:
    """Whoever opens the link at the new address has shown that the new address works.

    The token in the link is all that is asked: it was told only to the one who made the change.
    """

    def __init__(self, confirm: Callable[[str, str], None]) -> None:
        """Take what confirms: it gets the token and the address of ours that was reached, and may refuse."""
        self._confirm = confirm

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes to an application."""
        app.route("/network/confirm/<token>", ["GET", "HEAD"], self._ask)
        app.route("/network/confirm/<token>", "POST", self._take)

    def _ask(self, token: str) -> bottle.HTTPResponse:
        # A link alone must not do it: mail scanners and previews open links.
        return _page(
            200,
            "Keep this network?",
            f'<form method="post" action="/network/confirm/{escape(token, quote=True)}">'
            "<p>You see this page, so the device can be reached. Without an answer it goes back to the network of "
            "before by itself.</p>"
            "<button>Keep it</button></form>",
        )

    def _take(self, token: str) -> bottle.HTTPResponse:
        try:
            self._confirm(token, bottle.request.environ.get("SERVER_ADDR", ""))
        except OtpPiError as error:
            return _page(
                error.status,
                "Not confirmed",
                f"<p>{escape(error.text if isinstance(error, HostRefused) else str(error))}</p>",
            )
        return _page(200, "Confirmed", "<p>The network stays as it is now.</p>")


def _page(status: int, title: str, body: str) -> bottle.HTTPResponse:
    return bottle.HTTPResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
""",
        status=status,
        headers=_HEADERS,
    )
