"""Pictures of the main pages, for a person to look at: `make screenshots`."""

import html
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from otppi.web.navigation import GROUPS
from otppi.web.site import LOGIN
from tests.browser.furnished import furnished, logged_in
from tests.browser.window import PHONE, WIDE, Window, chromium
from tests.gateway_under_test import GatewayUnderTest
from tests.ports import free_port

FOLDER = Path(__file__).resolve().parents[2] / "build" / "screenshots"
# Whose pages, in which language, how wide, and whether they are dark.
LOOKS = [
    *(
        (user, language, width, False)
        for user, language in (("owner", "en"), ("owner-id", "id"))
        for width in (WIDE, PHONE)
    ),
    ("owner", "en", WIDE, True),
]
PAGES = [LOGIN, *(entry.path for _, entries in GROUPS for entry in entries), "/modems/new", "/setup/modem"]
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
            for look in LOOKS:
                _take(browser, device, look)
        finally:
            device.stop()
    _write_index()
    print(f"{len(list(FOLDER.glob('*.png')))} pictures: {FOLDER / 'index.html'}")


def _take(browser: Browser, device: GatewayUnderTest, look: tuple[str, str, int, bool]) -> None:
    user, language, width, is_dark = look
    options = {"language": language, "width": width, "is_dark": is_dark}
    window = Window(browser, device.admin_port, cookies=logged_in(device, user).cookies, **options)
    nobody = Window(browser, device.admin_port, **options)
    try:
        for path in PAGES:
            shown = nobody if path == LOGIN else window
            shown.open(path)
            if path in _LIVELY:
                device.call("send-sms", receiver="6281200000001", message="Pesanan Anda sudah dikirim.")
            shown.page.wait_for_timeout(_SETTLED_MS)
            shown.page.screenshot(path=FOLDER / _name(path, language, width, is_dark), full_page=True)
    finally:
        window.close()
        nobody.close()
    for complaint in window.taken_complaints():
        print(complaint)


def _name(path: str, language: str, width: int, is_dark: bool) -> str:
    page = "".join(letter if letter.isalnum() else "-" for letter in path.strip("/")) or "overview"
    return f"{page}-{language}-{width}{'-dark' if is_dark else ''}.png"


def _write_index() -> None:
    rows = []
    for path in PAGES:
        names = [_name(path, language, width, is_dark) for _, language, width, is_dark in LOOKS]
        pictures = "".join(f'<a href="{name}"><img src="{name}" alt="{name}"></a>' for name in names)
        rows.append(f"<h2>{html.escape(path)}</h2>{pictures}")
    document = (
        f'<!doctype html><meta charset="utf-8"><title>OTP-Pi</title><style>{_STYLE}</style>{"".join(rows)}'
    )
    (FOLDER / "index.html").write_text(document)


if __name__ == "__main__":
    main()
