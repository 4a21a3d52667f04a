"""The description of the REST API, and a page that shows it without the internet."""

import functools
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import bottle

import otppi
from otppi.api.openapi import description
from otppi.api.rest import PERMANENT_PATHS

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
    """Shows the description to anybody: it holds nothing secret, and trying a command asks for the log-in."""

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes; before those of the REST API, which take every path."""
        app.route("/openapi.json", ["GET", "HEAD"], self._show_description)
        app.route("/docs", ["GET", "HEAD"], self._show_page)
        app.route("/docs/<name>", ["GET", "HEAD"], self._show_file)

    def _show_description(self) -> bottle.HTTPResponse:
        etag = f'"{hashlib.sha256(self._description).hexdigest()[:16]}"'
        if _has(etag):
            return _not_modified(etag)
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
        return json.dumps(description(PERMANENT_PATHS), separators=(",", ":")).encode()


def _response(file: _StaticFile) -> bottle.HTTPResponse:
    """Answer with a file; it is read while it is sent and never held in memory as a whole."""
    path = _STATIC / file.path
    is_compressed = path.suffix == ".gz"
    goes_compressed = is_compressed and _accepts_gzip(bottle.request.get_header("Accept-Encoding", ""))
    stat = path.stat()
    # Images of a release may give every file the same time, hence the version.
    etag = f'"{otppi.__version__}-{stat.st_mtime_ns:x}-{stat.st_size:x}{"-gzip" * goes_compressed}"'
    if _has(etag):
        return _not_modified(etag)
    headers = {**_HEADERS, "ETag": etag, "Content-Type": file.content_type}
    if is_compressed:
        headers["Vary"] = "Accept-Encoding"
    if goes_compressed:
        headers["Content-Encoding"] = "gzip"
    body: BinaryIO | gzip.GzipFile
    if is_compressed and not goes_compressed:
        body = gzip.open(path)  # noqa: SIM115 - the server closes what it has sent
    else:
        body = path.open("rb")
        headers["Content-Length"] = str(stat.st_size)
    return bottle.HTTPResponse(body, headers=headers)


def _has(etag: str) -> bool:
    """Whether the client already has this version (RFC 9110, 13.1.2)."""
    known = bottle.request.get_header("If-None-Match", "").split(",")
    return etag in {one.strip().removeprefix("W/") for one in known}


def _not_modified(etag: str) -> bottle.HTTPResponse:
    return bottle.HTTPResponse(status=304, headers={**_HEADERS, "ETag": etag})


def _accepts_gzip(header: str) -> bool:
    """Read an Accept-Encoding header (RFC 9110, 12.5.3); a weight of 0 means no."""
    for one in header.lower().replace(" ", "").split(","):
        coding, _, weight = one.partition(";q=")
        if coding == "gzip":
            return not weight or bool(weight.strip("0."))
    return False
