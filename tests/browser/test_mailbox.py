"""What a real browser makes of a hostile e-mail in the demo's mailbox."""

import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otppi.sim.mailbox import Mailbox
from tests.browser.window import PHONE

HOSTILE = """<style>p { color: rgb(1, 2, 3) } @import "OUTSIDE/import.css"; body { background: url(OUTSIDE/style.png) }
</style><p>Your OTP is 123456</p><img src="OUTSIDE/image.png"><link rel="stylesheet" href="OUTSIDE/link.css">
<script>top.document.title = "taken over"; fetch("OUTSIDE/script")</script><iframe src="OUTSIDE/frame"></iframe>
<meta http-equiv="refresh" content="0;url=OUTSIDE/refresh"><a href="OUTSIDE/clicked">click</a>"""


asked: list[str] = []  # of whoever is outside


class Outside(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def outside() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Outside) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_hostile_email_is_shown_and_neither_runs_nor_loads_anything(browser, outside, tmp_path, free_port):
    email = EmailMessage()
    email["Subject"], email["To"] = "Long" * 50, "person@example.com"
    email.set_content(HOSTILE.replace("OUTSIDE", outside), subtype="html")
    with Mailbox(tmp_path, smtp_port=free_port(), page_port=free_port()) as mailbox:
        with smtplib.SMTP(mailbox.host, mailbox.smtp_port, timeout=10) as client:
            client.send_message(email, "otp@example.com", "person@example.com")
        page = browser.new_page(viewport={"width": PHONE, "height": 800})
        page.goto(mailbox.page)
        page.get_by_role("link").click()
        text = page.frame_locator("iframe").get_by_text("Your OTP is 123456")
        assert text.evaluate("one => getComputedStyle(one).color") == "rgb(1, 2, 3)"
        page.wait_for_load_state("networkidle")
        page.frame_locator("iframe").get_by_role("link").click()
        page.wait_for_load_state("networkidle")
        assert page.title() == "Long" * 50
        assert page.url == f"{mailbox.page}1"
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE
        page.close()
    assert asked == []
