"""One window of a real browser, and everything that went wrong in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Request,
    Response,
    sync_playwright,
)

from tests import needs
from tests.browser.accessibility import barriers

HOST = "otppi.local"  # not 127.0.0.1, which browsers trust more than a device without encryption
WIDE, PHONE = 1280, 360
_HEIGHT = 800
_PATIENCE_MS = 15_000
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
_LEFT = "net::ERR_ABORTED"  # somebody went to another page meanwhile
# What is wider than the window, by what it is and says.
_WIDER = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const wide = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > room + 1);
  return wide.filter((one) => !wide.some((other) => other !== one && one.contains(other)))
    .map((one) => `${one.tagName.toLowerCase()}.${one.className?.baseVal ?? one.className}: ${one.textContent.trim()}`)
    .map((one) => one.slice(0, 120)).concat(`the page has ${document.documentElement.scrollWidth} px`);
}"""
# As sent, headers included; what came from the cache was not.
_WEIGHT = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
  .reduce((sum, one) => sum + one.encodedBodySize + 300, 0)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's browser, which reaches nothing but this machine."""
    needs.programs("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.program("chromium"), args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A window with cookies of its own.

    `complaints` are errors and warnings of the console, scripts that failed, whatever did not load, and every request
    that did not go to the device. A forgetful one loads scripts and styles anew for each page.
    """

    def __init__(
        self,
        browser: Browser,
        port: int,
        *,
        host: str = HOST,
        cookies: dict[str, str] | None = None,
        language: str = "en",
        width: int = WIDE,
        is_dark: bool = False,
        is_forgetful: bool = False,
    ) -> None:
        self.base = f"http://{host}:{port}"
        self.complaints: list[str] = []
        # Statuses that the test means to get, and beginnings of paths that it lets fail.
        self.expected: set[int] = set()
        self.cut: tuple[str, ...] = ()
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": _HEIGHT},
            color_scheme="dark" if is_dark else "light",
            # Colours are what they are at once.
            reduced_motion="reduce",
            locale={"en": "en-US", "id": "id-ID"}.get(language, language),
        )
        self.context.add_cookies(
            [{"name": name, "value": value, "url": self.base} for name, value in (cookies or {}).items()]
        )
        self.context.set_default_timeout(_PATIENCE_MS)
        self.page = self.context.new_page()
        if is_forgetful:
            protocol = self.context.new_cdp_session(self.page)
            protocol.send("Network.enable")
            protocol.send("Network.setCacheDisabled", {"cacheDisabled": True})
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._look_at)
        self.page.on("websocket", lambda socket: self.complaints.append(f"web socket: {socket.url}"))
        self.page.on("response", self._judge)
        self.page.on("requestfailed", self._miss)

    def close(self) -> None:
        """Close the window and forget its cookies."""
        self.context.close()

    def open(self, path: str) -> int:
        """Go to a page, and return its status."""
        answer = self.page.goto(f"{self.base}{path}")
        assert answer is not None
        return answer.status

    @property
    def path(self) -> str:
        """Where the window is."""
        return urlsplit(self.page.url).path

    def resize(self, width: int) -> None:
        """Make the window so wide."""
        self.page.set_viewport_size({"width": width, "height": _HEIGHT})

    def too_wide(self) -> list[str]:
        """Return what would have to be scrolled to the side."""
        return list(self.page.evaluate(_WIDER))

    def weight_bytes(self) -> int:
        """Return how much had to be sent for the page and all that it loads: all of it in a forgetful window."""
        return int(self.page.evaluate(_WEIGHT))

    def barriers(self) -> list[str]:
        """Return what keeps somebody from using the page: whatever axe-core calls serious or critical."""
        return barriers(self.page)

    def taken_complaints(self) -> list[str]:
        """Return what went wrong so far, once."""
        taken, self.complaints = self.complaints, []
        return taken

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = _REFUSED.match(message.text)
        if refused and int(refused[1]) in self.expected:
            return
        where = message.location.get("url", "")
        if not urlsplit(where).path.startswith(self.cut):
            self.complaints.append(f"console: {message.text} ({where})")

    def _look_at(self, request: Request) -> None:
        if not request.url.startswith((f"{self.base}/", "data:")):
            self.complaints.append(f"request elsewhere: {request.url}")

    def _judge(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"status {response.status}: {response.url}")

    def _miss(self, request: Request) -> None:
        if request.failure != _LEFT and not urlsplit(request.url).path.startswith(self.cut):
            self.complaints.append(f"{request.failure}: {request.url}")
