"""The files of the pages: styles, scripts, icons."""

from pathlib import Path

import bottle

from otppi.web.site import SECURITY_HEADERS, Response, Route, Visit, get
from otppi.wsgi.staticfiles import answer_file

_STATIC = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Browsers keep the files and ask each time whether they are still right, so an update shows at once.
_HEADERS = {**SECURITY_HEADERS, "Cache-Control": "no-cache"}


def _files() -> dict[str, Path]:
    """Return every file by the path that it is asked for; large ones are stored compressed."""
    return {
        path.relative_to(_STATIC).as_posix().removesuffix(".gz"): path
        for path in _STATIC.rglob("*")
        if path.is_file() and Path(path.name.removesuffix(".gz")).suffix in _TYPES
    }


_FILES = _files()


def _show(_: Visit, name: str) -> Response:
    path = _FILES.get(name)
    if path is None:
        return bottle.HTTPResponse(status=404, headers=_HEADERS)
    return answer_file(path, _TYPES[Path(name).suffix], _HEADERS)


ROUTES: tuple[Route, ...] = (get("/static/<name:path>", _show, role=None),)
