"""The description of the REST API, and a page that shows it without the internet."""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bottle

from otppi.api.openapi import description
from otppi.api.rest import PERMANENT_PATHS
from otppi.wsgi.staticfiles import answer_file, has, not_modified

_STATIC = Path(__file__).with_name("static")


@dataclass(frozen=True)
class _StaticFile:
    """A file of the page; the large ones are stored compressed."""

    path: str
    content_type: str


_PAGE = _StaticFile("docs.html", "text/html; charset=utf-8")
_FILES = {
    "docs.css": _StaticFile("docs.css", "text/css; charset=utf-8"),
    "docs.js": _StaticFile("docs.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": _StaticFile("swagger-ui/swagger-ui.css.gz", "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": _StaticFile(
        "swagger-ui/swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"
    ),
    # The head of the bundle names the first, and the first goes with the second.
    "swagger-ui-bundle.js.LICENSE.txt": _StaticFile(
        "swagger-ui/swagger-ui-bundle.js.LICENSE.txt", "text/plain; charset=utf-8"
    ),
    "LICENSE": _StaticFile("swagger-ui/LICENSE", "text/plain; charset=utf-8"),
}

_HEADERS = {
    # Icons of the viewer are data URLs in its style sheet. Nothing comes from, or goes to, another host.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Browsers keep the files and ask each time whether they are still right, so an update shows at once.
    "Cache-Control": "no-cache",
}


class ApiDocs:
    """Shows a description to anybody: it holds nothing secret, and trying a command asks for the log-in."""

    def __init__(
        self, describe: Callable[[], Mapping[str, Any]] = lambda: description(PERMANENT_PATHS)
    ) -> None:
        """Take what makes the description; it is asked once."""
        self._describe = describe

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes; before those of the REST API, which take every path."""
        app.route("/openapi.json", ["GET", "HEAD"], self._show_description)
        app.route("/docs", ["GET", "HEAD"], self._show_page)
        app.route("/docs/<name>", ["GET", "HEAD"], self._show_file)

    def _show_description(self) -> bottle.HTTPResponse:
        etag = f'"{hashlib.sha256(self._description).hexdigest()[:16]}"'
        if has(etag):
            return not_modified(etag, _HEADERS)
        headers = {**_HEADERS, "ETag": etag, "Content-Type": "application/json"}
        return bottle.HTTPResponse(self._description, headers=headers)

    def _show_page(self) -> bottle.HTTPResponse:
        return _response(_PAGE)

    def _show_file(self, name: str) -> bottle.HTTPResponse:
        file = _FILES.get(name)
        return _response(file) if file else bottle.HTTPResponse(status=404)

    @functools.cached_property
    def _description(self) -> bytes:
        # Most devices are never asked for it, so it is made when the first one asks.
        return json.dumps(self._describe(), separators=(",", ":")).encode()


def _response(file: _StaticFile) -> bottle.HTTPResponse:
    return answer_file(_STATIC / file.path, file.content_type, _HEADERS)
