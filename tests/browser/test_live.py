"""News reach an open page by themselves, also where a stream cannot be had."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.furnished import logged_in
from tests.browser.window import Window
from tests.browser.wire import wire
from tests.gateway_under_test import GatewayUnderTest, Sim
from tests.web.admin_client import admin_client

SOON_MS = 10_000
NEWS, STREAM = "/live", "/live/stream"
ICON = "/static/icon.svg"


@pytest.fixture
def one(gateway) -> GatewayUnderTest:
    one = gateway(modems=(Sim(name="depan"), Sim(name="belakang")), on_desk=True)
    admin_client(one)
    return one


@pytest.fixture
def owner(one, window) -> Window:
    return window(one, cookies=logged_in(one).cookies)


def notices(page: Page, text: str) -> None:
    expect(page.locator("#notices")).to_contain_text(text, timeout=SOON_MS)


def stays_open(page: Page) -> Callable[[], None]:
    """Return what fails if the page was loaded anew meanwhile."""
    page.evaluate("window.wasHere = true")

    def look() -> None:
        assert page.evaluate("window.wasHere")

    return look


def test_a_modem_that_goes_and_comes_is_noticed_on_whatever_page_is_open(one, owner):
    owner.open("/certificate")
    still_open = stays_open(owner.page)
    one.lines["depan"].unplug()
    notices(owner.page, "Modem depan is not there")
    one.lines["depan"].plug()
    notices(owner.page, "Modem depan is ready")
    still_open()


def test_a_part_of_a_page_that_a_change_is_about_is_shown_anew(one, owner):
    owner.open("/modems")
    still_open = stays_open(owner.page)
    card = owner.page.locator("main .card", has_text="depan").first
    expect(card).to_contain_text("Ready")
    one.lines["depan"].unplug()
    expect(card).not_to_contain_text("Ready", timeout=SOON_MS)
    still_open()


def test_the_monitor_shows_a_message_while_it_is_sent(one, owner):
    owner.open("/monitor")
    still_open = stays_open(owner.page)
    assert one.call("send-sms", receiver="081200000001", message="rahasia").code == "0000"
    row = owner.page.locator("#messages tr").first
    expect(row).to_contain_text("62812••••••01", timeout=SOON_MS)
    expect(row).to_contain_text("sent")
    assert "rahasia" not in owner.page.content()
    still_open()


def test_a_stream_that_is_cut_says_so_and_what_was_missed_comes_with_the_next(one, window):
    with wire(one.admin_port) as way:
        owner = window(one, port=way.port, cookies=logged_in(one).cookies)
        owner.open("/certificate")
        still_open, badge = stays_open(owner.page), owner.page.locator("#connection")
        owner.cut = (NEWS, ICON)  # the browser fetches the icon when all else is done
        way.cut()
        expect(badge).to_be_visible(timeout=SOON_MS)
        one.lines["depan"].unplug()
        one.wait_until(lambda: one.state("depan") == "absent")
        way.mend()
        notices(owner.page, "Modem depan is not there")
        expect(badge).to_be_hidden()
        still_open()
        owner.close()


def test_without_a_stream_a_page_asks_every_few_seconds(one, owner):
    owner.cut, owner.expected = (STREAM,), {503}
    owner.page.route(f"**{STREAM}*", lambda route: route.fulfill(status=503))
    owner.open("/certificate")
    still_open = stays_open(owner.page)
    with owner.page.expect_request(lambda request: f"{NEWS}?" in request.url, timeout=SOON_MS):
        one.lines["depan"].unplug()
    notices(owner.page, "Modem depan is not there")
    expect(owner.page.locator("#connection")).to_be_hidden()
    still_open()
    # The next page tries a stream again.
    owner.page.unroute_all()
    with owner.page.expect_request(lambda request: STREAM in request.url, timeout=SOON_MS):
        owner.open("/certificate")
    one.lines["depan"].plug()
    notices(owner.page, "Modem depan is ready")


def test_a_page_that_asks_tries_the_stream_again(one, owner):
    owner.cut, owner.expected = (STREAM,), {503}
    owner.page.clock.install()
    owner.page.route(f"**{STREAM}*", lambda route: route.fulfill(status=503))
    with owner.page.expect_response(lambda answer: f"{NEWS}?" in answer.url, timeout=SOON_MS):
        owner.open("/certificate")
    still_open = stays_open(owner.page)
    with owner.page.expect_response(lambda answer: STREAM in answer.url, timeout=SOON_MS):
        owner.page.clock.fast_forward("01:00")
    owner.page.unroute_all()
    with owner.page.expect_response(lambda answer: STREAM in answer.url, timeout=SOON_MS):
        owner.page.clock.fast_forward("01:00")
    polled = []
    owner.page.on("request", lambda request: polled.append(request.url))
    one.lines["depan"].unplug()
    notices(owner.page, "Modem depan is not there")
    owner.page.clock.fast_forward("00:30")
    one.lines["depan"].plug()
    notices(owner.page, "Modem depan is ready")
    assert not [url for url in polled if f"{NEWS}?" in url]
    still_open()


def test_who_is_logged_out_keeps_what_he_typed_and_gets_a_link(one, owner):
    owner.open("/send")
    still_open = stays_open(owner.page)
    owner.page.fill("#text", "Halo")
    # Sessions do not outlive the service.
    owner.cut, owner.expected = ("/",), {401}
    one.restart()
    over = owner.page.locator("#logged-out")
    expect(over).to_contain_text("You are logged out", timeout=3 * SOON_MS)
    expect(over.get_by_role("link")).to_have_attribute("href", "/login?next=%2Fsend")
    expect(owner.page.locator("#connection")).to_be_hidden()
    expect(owner.page.locator("#text")).to_have_value("Halo")
    still_open()


def test_who_logs_out_in_one_window_is_told_so_in_the_other(one, owner):
    owner.open("/ussd")
    owner.cut, owner.expected = (NEWS, STREAM), {401}
    other = owner.context.new_page()
    other.goto(f"{owner.base}/account")
    other.locator("form[action='/logout'] button").first.evaluate("one => one.click()")
    other.wait_for_url("**/login")
    owner.page.fill("#ussd-code", "*888#")
    owner.page.click("#ussd-go")
    expect(owner.page.locator("#talk").get_by_role("link", name="Log in")).to_be_visible()
    expect(owner.page.locator("#logged-out")).to_be_visible(timeout=3 * SOON_MS)
