"""First contact, all by clicks: from a device without an administrator to a verified one-time password."""

import json
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from otppi.gateway.policy import GeneralSettings
from otppi.model.ports import SerialPort, Stick
from tests import needs
from tests.browser.window import PHONE, Window
from tests.gateway_under_test import GatewayUnderTest
from tests.web.admin_client import PASSWORD

NUMBER = "081200000001"
SOON_MS = 20_000


@pytest.fixture
def fresh(gateway) -> GatewayUnderTest:
    """A device that nobody has set up, with a modem that nobody has put to work."""
    sticks: list[Stick] = []
    one = gateway(modems=(), on_desk=True, sticks=lambda: tuple(sticks))
    line = one.sim.add("new", "sim7600", operator="Telkomsel")
    one.lines["new"] = line
    port = SerialPort(node=str(line.path), interface=2, driver="option")
    sticks.append(Stick(place="1-1", description="SimTech SIM7600", ports=(port,)))
    return one


@pytest.fixture(params=["en", "id"])
def somebody(request, fresh, window) -> Window:
    """Somebody with a phone, who knows the address that the brochure names."""
    return window(fresh, host="127.0.0.1", language="id" if request.param == "en" else "en", width=PHONE)


def test_from_the_first_look_to_a_verified_code(fresh, somebody, pasted):
    page, faults = somebody.page, []

    def look_at(step: str) -> None:
        expect(page.locator("[aria-current=step]")).to_have_count(1)
        faults.extend(f"{step}: {one}" for one in (*somebody.barriers(), *somebody.too_wide()))

    # Whatever address: it leads to the set-up, in the language of the phone until another is chosen.
    somebody.open("/anything")
    assert somebody.path == "/setup"
    other = page.locator("form[action='/language'] button[aria-pressed=false]")
    wanted = other.get_attribute("lang")
    other.click()
    expect(page.locator("html")).to_have_attribute("lang", wanted)
    look_at("administrator")
    for name, value in {"user": "budi", "password": PASSWORD, "again": PASSWORD, "phone": NUMBER}.items():
        page.fill(f"#{name}", value)
    page.click("form[action='/setup'] button.btn-primary")
    page.wait_for_url("**/setup/device")

    look_at("device")
    page.fill("[name='general.device_name']", "Kasir Budi")
    page.select_option("#zone", "Asia/Makassar")
    page.click("form[action='/setup/device'] button.btn-primary")
    page.wait_for_url("**/setup/modem")
    assert fresh.gateway.store.get(GeneralSettings).device_name == "Kasir Budi"

    expect(page.locator("form[action='/setup/modem/use']")).to_be_visible(timeout=SOON_MS)
    look_at("modem that is new")
    page.select_option("#operator-1", "telkomsel")
    page.click("form[action='/setup/modem/use'] button")
    # It gets ready without a reload.
    expect(page.locator("#setup-modems .text-bg-success")).to_be_visible(timeout=SOON_MS)
    look_at("modem that is ready")
    expect(page.locator("#number")).to_have_value(NUMBER)
    page.click("form[action='/setup/modem/test'] button")
    expect(page.locator("#notices .alert-success")).to_be_visible()
    assert len(fresh.texts("new")) == 1
    look_at("test message that was sent")
    page.click("a.btn-primary[href='/setup/api']")

    look_at("API user")
    page.fill("#user", "toko")
    page.click("form[action='/setup/api'] button")
    look_at("API user that was made")
    assert pasted(page, "#curl-request") == "0000"
    code = fresh.code_sent()
    assert pasted(page, "#curl-verify") == "1202"
    assert pasted(page, "#curl-verify", code) == "0000"
    page.click("main a.btn-primary")

    assert somebody.path == "/setup/wifi"
    look_at("Wi-Fi")
    page.click("main form a.btn-link")
    assert somebody.path == "/setup/done"
    look_at("end")
    page.click("main a.btn-primary[href='/']")
    assert somebody.path == "/"
    expect(page.locator("html")).to_have_attribute("lang", wanted)
    assert not faults, "\n".join(faults)


@pytest.fixture
def pasted() -> Callable[..., str]:
    """Do with a program on a page what its reader does: paste it into a shell, with the code in its place."""
    needs.other_program("curl")

    def paste(page: Page, where: str, code: str = "") -> str:
        program = page.locator(where).text_content().replace("123456", code or "123456")
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)["response_code"]

    return paste
