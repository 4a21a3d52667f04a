"""What is typed: it survives the end of a session, and a password can be looked at."""

import pytest
from playwright.sync_api import expect

from tests.browser.furnished import logged_in
from tests.browser.window import Window
from tests.web.admin_client import PASSWORD, admin_client

NAME, PASSPHRASE = "[name='wlan.ssid']", "[name='wlan.passphrase']"
SAVE = "form[action='/setup/wifi'] button.btn-primary"


@pytest.fixture
def desk(gateway):
    return gateway(on_desk=True)


@pytest.fixture
def somebody(desk, window) -> Window:
    return window(desk, cookies=admin_client(desk).cookies)


def log_in(page) -> None:
    page.fill("#user", "owner")
    page.fill("#password", PASSWORD)
    page.click("form[action='/login'] button.btn-primary")


def kept(page):
    return page.evaluate("() => JSON.stringify(sessionStorage)")


def test_what_was_typed_into_a_form_comes_back_after_the_log_in(desk, somebody):
    page = somebody.page
    somebody.open("/setup/wifi")
    page.fill(NAME, "Toko")
    page.fill(PASSPHRASE, "a secret passphrase")
    page.click("[data-eye]")
    page.context.clear_cookies()
    page.click(SAVE)
    expect(page.locator("main .alert-warning")).to_contain_text("nothing was saved yet")
    assert "Toko" in kept(page)
    assert "a secret" not in kept(page)
    log_in(page)
    expect(page.locator(NAME)).to_have_value("Toko")
    expect(page.locator(PASSPHRASE)).to_have_value("")
    expect(page.locator("#notices .alert-info")).to_contain_text("is back in the form")
    assert "#" not in page.url
    assert "Toko" not in kept(page)
    page.reload()
    expect(page.locator(NAME)).to_have_value("")


def test_what_was_typed_comes_back_where_the_page_was_too_old(desk, somebody):
    page = somebody.page
    somebody.open("/setup/wifi")
    page.fill(NAME, "Toko")
    somebody_else = logged_in(desk)
    page.context.add_cookies(
        [
            {"name": name, "value": value, "url": page.url.removesuffix("/setup/wifi")}
            for name, value in somebody_else.cookies.items()
            if name == "otppi_session"
        ]
    )
    page.click(SAVE)
    expect(page.locator("#notices .alert-warning")).to_contain_text("too old")
    expect(page.locator(NAME)).to_have_value("Toko")


@pytest.mark.parametrize("way", ["saved", "logged out"])
def test_nothing_is_kept_of_what_was_saved_or_left_by_a_log_out(somebody, way):
    page = somebody.page
    somebody.open("/setup/device")
    page.fill("[name='general.device_name']", "Kasir")
    if way == "saved":
        page.click("form[action='/setup/device'] button.btn-primary")
        page.wait_for_url("**/setup/modem")
    else:
        page.locator("form[action='/logout']").evaluate("(form) => form.requestSubmit()")
        page.wait_for_url("**/login")
    assert "Kasir" not in kept(page)


def test_a_password_can_be_looked_at_and_is_sent_as_one(somebody):
    page = somebody.page
    somebody.open("/setup/wifi")
    box, eye = page.locator(PASSPHRASE), page.locator("[data-eye]")
    for pressed, kind in (("true", "text"), ("false", "password"), ("true", "text")):
        eye.click()
        expect(eye).to_have_attribute("aria-pressed", pressed)
        expect(box).to_have_attribute("type", kind)
    page.evaluate(
        """() => addEventListener("submit", (event) => {
          event.preventDefault();
          document.title = event.target.querySelector("[name='wlan.passphrase']").type;
        })"""
    )
    page.click(SAVE)
    expect(page).to_have_title("password")
