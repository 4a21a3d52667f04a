"""Pictures of the main pages, for a person to look at: `make screenshots`."""

import html
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser

from tests.bench.rig import free_port
from tests.browser.addresses import EMPTY, addresses, page_routes
from tests.browser.furnished import furnished, logged_in
from tests.browser.window import PHONE, WIDE, Window, chromium
from tests.gateway_under_test import GatewayUnderTest
from tests.web.admin_client import AdminClient

FOLDER = Path(__file__).resolve().parents[2] / "build" / "screenshots"
LOOKS = [
    (user, language, width, is_dark)
    for user, language in (("owner", "en"), ("owner-id", "id"))
    for width in (WIDE, PHONE)
    for is_dark in (False, True)
]
# What a page fetches when it is open: the first news, and a picture that is drawn by a script.
_SETTLED_MS = 700
_LIVELY = ("/", "/monitor")
_STYLE = (
    "body{font-family:sans-serif}img{border:1px solid #888;max-height:30rem;vertical-align:top;margin:.3rem}"
)


def main() -> None:
    """Start a device as it is in use, take all pictures, and write a page that shows them."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="otppi-screenshots-") as state, chromium() as browser:
        device = furnished(Path(state), free_port, is_spiteful=False)
        try:
            pages = _pages(logged_in(device))
            for look in LOOKS:
                _take(browser, device, pages, look)
        finally:
            device.stop()
    _write_index(pages)
    print(f"{len(list(FOLDER.glob('*.png')))} pictures: {FOLDER / 'index.html'}")


def _pages(owner: AdminClient) -> list[str]:
    paths = [path for route in page_routes() if route.path not in EMPTY for path in addresses(route, owner)]
    answers = {path: owner.get(path) for path in dict.fromkeys(paths)}
    return [
        path
        for path, answer in answers.items()
        if answer.status == 200 and answer.headers["Content-Type"].startswith("text/html")
    ]


def _take(
    browser: Browser, device: GatewayUnderTest, pages: Sequence[str], look: tuple[str, str, int, bool]
) -> None:
    user, language, width, is_dark = look
    cookies = logged_in(device, user).cookies
    window = Window(
        browser, device.admin_port, cookies=cookies, language=language, width=width, is_dark=is_dark
    )
    try:
        for path in ["/login", *pages]:
            window.open(path)
            if path in _LIVELY:
                device.call("send-sms", receiver="6281200000001", message="Pesanan Anda sudah dikirim.")
            window.page.wait_for_timeout(_SETTLED_MS)
            window.page.screenshot(path=FOLDER / _name(path, language, width, is_dark), full_page=True)
    finally:
        window.close()
    for complaint in window.taken_complaints():
        print(complaint)


def _name(path: str, language: str, width: int, is_dark: bool) -> str:
    page = "".join(letter if letter.isalnum() else "-" for letter in path.strip("/")) or "overview"
    return f"{page}-{language}-{width}{'-dark' if is_dark else ''}.png"


def _write_index(pages: Sequence[str]) -> None:
    rows = []
    for path in pages:
        names = [_name(path, language, width, is_dark) for _, language, width, is_dark in LOOKS]
        pictures = "".join(f'<a href="{name}"><img src="{name}" alt="{name}"></a>' for name in names)
        rows.append(f"<h2>{html.escape(path)}</h2>{pictures}")
    document = (
        f'<!doctype html><meta charset="utf-8"><title>OTP-Pi</title><style>{_STYLE}</style>{"".join(rows)}'
    )
    (FOLDER / "index.html").write_text(document)


if __name__ == "__main__":
    main()
