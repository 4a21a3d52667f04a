import base64
import hashlib
import re

from otppi.web.status import Status, StatusPage
from tests.web.serving import site

STATUS = Status(device_name="Shop", version="1", doors=(("rest", ""),), modems_ready=1, modems_active=1)


def page(**changes):
    with site(StatusPage(lambda: Status(**{**vars(STATUS), **changes}))) as pages:
        return pages.ask("GET", "/")


def test_what_came_and_went_is_shown_and_cannot_add_to_the_page():
    answer = page(notices=("ttyUSB0 (<b>Modem</b>) came",))
    assert "ttyUSB0 (&lt;b&gt;Modem&lt;/b&gt;) came" in answer.body


def test_a_trusted_clock_asks_no_browser_for_the_time():
    assert "<script>" not in page().body


def test_a_clock_that_is_not_trusted_asks_the_browser_by_the_one_script_that_may_run():
    answer = page(clock_is_trusted=False)
    script = re.search(r"<script>(.*?)</script>", answer.body, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert "/time" in script
