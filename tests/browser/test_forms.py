"""Every form of settings: what is wrong says so beside its field and saves nothing; what is right stays."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from otppi.services.sections import SECTIONS
from tests.browser.furnished import logged_in
from tests.browser.window import Window
from tests.gateway_under_test import GatewayUnderTest, Sim
from tests.web.admin_client import PASSWORD, admin_client

REFUSED = {400, 422}


@dataclass(frozen=True, kw_only=True)
class Form:
    """Where something is set; what to put into its fields that is right, and into one that is not."""

    path: str
    right: Mapping[str, str]
    wrong: tuple[str, str] | None


GENERAL, API, MESSAGES, NETWORK = "/settings/general", "/settings/api", "/settings/messages", "/network"
FORMS = {
    "general": Form(path=GENERAL, right={"device_name": "Kasir & Ko"}, wrong=("modems_inspect_s", "-1")),
    "housekeeping": Form(
        path=GENERAL, right={"restart_device": "sunday"}, wrong=("restart_device_at", "noon")
    ),
    "admin": Form(path=GENERAL, right={"names": "otp.example.com"}, wrong=("https_port", "70000")),
    "reset": Form(path=GENERAL, right={"needs_secret": "on"}, wrong=None),
    "api": Form(path=API, right={"max_body_bytes": "32768"}, wrong=("threads", "many")),
    "vendor_api": Form(path=API, right={"repeat_s": "60"}, wrong=("most_numbers", "0")),
    "sms": Form(path=MESSAGES, right={"max_parts": "4"}, wrong=("country_code", "+62")),
    "otp": Form(path=MESSAGES, right={"length": "8"}, wrong=("max_wrong_tries", "0")),
    "inbox": Form(path=MESSAGES, right={"retention_days": "30"}, wrong=("max_messages", "1")),
    "reports": Form(path=MESSAGES, right={"ask": "on"}, wrong=("wait_h", "0")),
    "sent": Form(path=MESSAGES, right={"keep_rows": ""}, wrong=("retention_days", "0.5")),
    "network": Form(path=NETWORK, right={"confirm_s": "90"}, wrong=("hostname", "a b")),
    "wlan": Form(path=NETWORK, right={"ssid": "Toko Sejahtera"}, wrong=("passphrase", "short")),
    "dhcp": Form(path=NETWORK, right={"max_lease_s": "86000"}, wrong=("ranges", "10.9.8.7")),
    "ethernet": Form(
        path=NETWORK, right={"method": "static", "address": "192.168.7.2/24"}, wrong=("gateway", "10.0.0.300")
    ),
    "firewall": Form(path="/firewall", right={"log_dropped": "on"}, wrong=("api_burst", "-3")),
    "cloudflare": Form(
        path="/ddns/cloudflare", right={"account_id": "abc123"}, wrong=("auth_email", "siapa")
    ),
    "noip": Form(path="/ddns/noip", right={"username": "toko"}, wrong=("endpoint", "ftp://example.com")),
    "dynu": Form(path="/ddns/dynu", right={"api_version": "v2"}, wrong=("email", "siapa")),
    "afraid": Form(
        path="/ddns/afraid", right={"username": "toko"}, wrong=("token_endpoint", "http://example.com")
    ),
    "dyndns2": Form(
        path="/ddns/dyndns2", right={"company": "Toko"}, wrong=("endpoint", "http://example.com")
    ),
    "ddns_address": Form(
        path="/ddns/address", right={"source": "interface"}, wrong=("second_url", "https://icanhazip.com")
    ),
    "clock": Form(path="/clock", right={"time_zone": "Asia/Makassar"}, wrong=("ntp_server", "a b c;")),
    "amqp": Form(path="/brokers/amqp", right={"topic": "kode"}, wrong=("port", "0")),
    "mqtt": Form(path="/brokers/mqtt", right={"qos": "2"}, wrong=("topic", "a b")),
    "redis": Form(path="/brokers/redis", right={"group": "toko"}, wrong=("database", "-1")),
    "stomp": Form(path="/brokers/stomp", right={"tls": "on"}, wrong=("ca_certificate", "none")),
    "activemq": Form(path="/brokers/activemq", right={"mode": "compatible"}, wrong=("host", "a b")),
    "ws": Form(path="/brokers/ws", right={"path": "/ws"}, wrong=("host", "a b")),
    "email": Form(path="/email", right={"subject": "Kabar"}, wrong=("idle_s", "-1")),
    "smtp": Form(path="/smtp", right={"server_port": "2525"}, wrong=("server_address", "di sini")),
    "bell": Form(path="/bell", right={"quiet_from": "21:30"}, wrong=("quiet_until", "25:00")),
}


def test_every_section_that_is_there_once_is_tried_here():
    assert {section.key for section in SECTIONS if not section.many} == set(FORMS)


@pytest.fixture(scope="module")
def desk(tmp_path_factory, free_port) -> Iterator[GatewayUnderTest]:
    one = GatewayUnderTest(tmp_path_factory.mktemp("desk"), free_port, modems=(Sim(),), on_desk=True)
    one.start()
    admin_client(one)
    yield one
    one.stop()


@pytest.fixture(scope="module")
def cookies(desk) -> dict[str, str]:
    return logged_in(desk).cookies


@pytest.fixture
def owner_window(window, desk, cookies) -> Window:
    return window(desk, cookies=cookies)


def field(page: Page, name: str) -> Locator:
    """A field of a form, unfolded."""
    one = page.locator(f'main [name="{name}"]')
    one.evaluate(
        "one => { for (let at = one; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true }"
    )
    return one


def enter(page: Page, name: str, value: str) -> None:
    one = field(page, name)
    if one.get_attribute("type") == "checkbox":
        one.set_checked(bool(value))
    elif one.evaluate("one => one.tagName") == "SELECT":
        one.select_option(value)
    else:
        one.fill(value)


def shows(page: Page, name: str, value: str) -> None:
    one = field(page, name)
    if one.get_attribute("type") == "checkbox":
        expect(one).to_be_checked(checked=bool(value))
    else:
        expect(one).to_have_value(value)


def save(page: Page, name: str) -> None:
    """Press the button of the form that has this field; one that asks for one's own password gets it."""
    form = page.locator(f'main form:has([name="{name}"])')
    for own in form.locator("[autocomplete=current-password]").all():
        own.fill(PASSWORD)
    with page.expect_navigation():
        form.locator("button:not([type=button])").last.click()


def is_refused_beside(page: Page, name: str) -> None:
    """A reason stands beside the field, is read out with it, and the field has the focus."""
    one = field(page, name)
    described = (one.get_attribute("aria-describedby") or "").split()
    (error,) = (page.locator(f'[id="{id_}"]') for id_ in described if id_.endswith("-error"))
    expect(error).to_be_visible()
    assert error.inner_text().strip()
    expect(one).to_be_focused()


@pytest.mark.parametrize("section", FORMS)
def test_a_form_saves_all_or_nothing(desk, owner_window, section):
    form, page, store = FORMS[section], owner_window.page, desk.gateway.store
    right = {f"{section}.{name}": value for name, value in form.right.items()}
    before = {key: store.get_path(key) for key in FORMS}
    assert owner_window.open(form.path) == 200
    if form.wrong is not None:
        refuses(owner_window, right, f"{section}.{form.wrong[0]}", form.wrong[1])
        assert {key: store.get_path(key) for key in FORMS} == before
        assert owner_window.open(form.path) == 200
    for name, value in right.items():
        enter(page, name, value)
    save(page, name)
    if owner_window.path == "/network/trial":
        keep_the_network(page)
    owner_window.open(form.path)
    for name, value in right.items():
        shows(page, name, value)
    after = {key: store.get_path(key) for key in FORMS}
    assert {key for key in FORMS if after[key] != before[key]} == {section}
    assert {name for name, one in after[section].items() if one != before[section][name]} == set(form.right)


def refuses(window: Window, right: Mapping[str, str], wrong: str, value: str) -> None:
    """What is wrong says so beside its field; what was typed elsewhere still stands there."""
    for name, typed in right.items():
        enter(window.page, name, typed)
    enter(window.page, wrong, value)
    window.expected = REFUSED
    save(window.page, wrong)
    is_refused_beside(window.page, wrong)
    for name, typed in right.items():
        shows(window.page, name, typed)
    window.expected = set()


def keep_the_network(page: Page) -> None:
    trial = page.locator("#trial")
    expect(trial).to_have_attribute("data-stage", re.compile("reachable|over"))
    if trial.get_attribute("data-stage") == "reachable":
        page.get_by_role("button", name="Keep this network").click()
        page.wait_for_url("**/network")


# -- what there are many of: made, refused, changed, and removed


@dataclass(frozen=True, kw_only=True)
class Item:
    """How one of many is made and changed."""

    new: str  # where it is made
    first: Mapping[str, str]
    wrong: tuple[str, str]
    change: tuple[str, str] | None  # None: it has nothing to change
    name: str  # what the list shows of it
    listed: str
    link: str = "a[href]"  # of the list, to where it is changed


ITEMS = {
    "modems": Item(
        new="/modems/new",
        first={"name": "Gudang <b>", "port": "/dev/ttyUSB7", "quota_per_day": "100"},
        wrong=("prefixes", "0812"),
        change=("quota_per_day", "200"),
        name="Gudang <b>",
        listed="/modems",
        link="a:has-text('Edit')",
    ),
    "vendor_routes": Item(
        new="/vendors/new",
        first={
            "name": "Cadangan <b>",
            "url": "https://sms.example.com:20003",
            "account": "toko",
            "active": "",
        },
        wrong=("prefixes", "0812"),
        change=("in_flight", "2"),
        name="Cadangan <b>",
        listed="/vendors",
        link="a:has-text('Edit')",
    ),
    "email_accounts": Item(
        new="/email/new",
        first={
            "name": "Surel <b>",
            "host": "smtp.example.com",
            "sender_address": "toko@example.com",
            "password": PASSWORD,
            "active": "",
        },
        wrong=("port", "0"),
        change=("limit_per_day", "400"),
        name="Surel <b>",
        listed="/email",
        link="a:has-text('Edit')",
    ),
    "open_ports": Item(
        new="/firewall/ports/new",
        first={"port": "5001", "note": "Kamera <b>"},
        wrong=("source", "10.0.0.0/99"),
        change=("note", "Kamera depan"),
        name="5001",
        listed="/firewall",
    ),
    "ddns": Item(
        new="/ddns/records/new",
        first={"record_name": "toko", "zone": "example.com", "every_minutes": "10"},
        wrong=("ttl", "0"),
        change=("every_minutes", "30"),
        name="toko.example.com",
        listed="/ddns",
        link="a:has-text('Edit')",
    ),
    "blocklist": Item(
        new="/blocklist",
        first={"number": "0812 0000 0666"},
        wrong=("number", "12ab"),
        change=None,
        name="62812",
        listed="/blocklist",
    ),
    "api_users": Item(
        new="/api-users/add",
        first={"user": "toko-2", "password": PASSWORD, "name": "Toko <b>"},
        wrong=("phone", "0812x"),
        change=("name", "Toko Dua"),
        name="toko-2",
        listed="/api-users",
    ),
    "vendor_accounts": Item(
        new="/vendor-accounts/add",
        first={"user": "kasir-2", "password": PASSWORD, "name": "Kasir <b>", "credit": "100"},
        wrong=("addresses", "di sini"),
        change=("credit", "200"),
        name="kasir-2",
        listed="/vendor-accounts",
    ),
    "admins": Item(
        new="/administrators/add",
        first={"user": "siti", "password": PASSWORD, "name": "Siti <b>", "role": "operator"},
        wrong=("phone", "0812x"),
        change=("name", "Siti Aminah"),
        name="siti",
        listed="/administrators",
    ),
    "admin_tokens": Item(
        new="/account",
        first={"note": "Pemantauan <b>"},
        wrong=("note", "x" * 101),
        change=None,
        name="Pemantauan <b>",
        listed="/account",
    ),
}


def test_every_section_that_has_many_is_tried_here():
    assert {section.key for section in SECTIONS if section.many} == set(ITEMS)


@pytest.mark.parametrize("section", ITEMS)
def test_one_of_many_is_made_whole_changed_and_removed(desk, owner_window, section):
    item, page, store = ITEMS[section], owner_window.page, desk.gateway.store
    before = store.get_path(section)
    owner_window.open(item.new)
    # Passwords are typed anew each time.
    typed = {name: value for name, value in item.first.items() if name not in ("password", item.wrong[0])}
    for name in item.first.keys() - typed.keys() - {item.wrong[0]}:
        enter(page, name, item.first[name])
    # What a browser would not let through comes from elsewhere.
    field(page, item.wrong[0]).evaluate("one => one.removeAttribute('maxlength')")
    refuses(owner_window, typed, *item.wrong)
    assert store.get_path(section) == before

    owner_window.open(item.new)
    for name, value in item.first.items():
        enter(page, name, value)
    save(page, item.wrong[0] if item.wrong[0] in item.first else name)
    assert len(store.get_path(section)) == len(before) + 1
    owner_window.open(item.listed)
    entry = page.locator("main tr, main .card").filter(has_text=item.name).last
    expect(entry).to_be_visible()

    if item.change:
        entry.locator(item.link).first.click()
        name, value = item.change
        enter(page, name, value)
        save(page, name)
        assert any(
            one[name] in (value, int(value) if value.isdigit() else value)
            for one in store.get_path(section).values()
        )
        page.go_back()
        page.reload()
        shows(page, name, value)

    owner_window.open(item.listed)
    page.on("dialog", lambda dialog: dialog.accept())
    remove = entry.get_by_role("button", name="Remove")
    if not remove.count():
        entry.locator(item.link).first.click()
        remove = page.get_by_role("button", name="Remove")
    with page.expect_navigation():
        remove.click()
    assert store.get_path(section) == before


# Presses a button, and returns how it is while the answer is awaited and after the browser came back.
_PRESS = """async (button) => {
  const state = () => [button.disabled, button.ariaBusy, button.querySelectorAll(".spinner-border").length,
    button.textContent.trim()];
  button.click();
  await new Promise((done) => setTimeout(done, 0));
  const while_ = state();
  dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  return [while_, state()];
}"""


@pytest.mark.parametrize(
    ("path", "selector", "words"),
    [
        ("/bell", "form[action='/bell/test'] button", ("Test", "Test")),
        ("/send", "#send button.btn-primary", ("Sending …", "Send")),
    ],
)
def test_a_form_on_its_way_cannot_be_sent_again_until_the_browser_comes_back(
    owner_window, path, selector, words
):
    page = owner_window.page
    owner_window.open(path)
    if path == "/send":
        page.fill("#number", "081200000001")
        page.fill("#text", "Halo")
    held = []
    page.route(
        "**/*", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    # Not by the mouse, after which nothing can be asked of a page that is about to go.
    with page.expect_request(lambda one: one.method == "POST" and not one.url.endswith("/check")):
        on_its_way, back = page.locator(selector).evaluate(_PRESS)
    assert on_its_way == [True, "true", 1, words[0]]
    assert back == [False, None, 0, words[1]]
    owner_window.cut = ("/",)
    for one in held:
        one.abort()


def test_a_question_that_is_answered_with_no_leaves_the_button_as_it_is(desk, owner_window):
    page = owner_window.page
    owner_window.open("/bell")
    page.on("dialog", lambda dialog: dialog.dismiss())
    button = page.get_by_role("button", name="Factory values").first
    button.click()
    # What would rest the button comes after what the browser does at once.
    page.evaluate("() => new Promise((done) => setTimeout(done, 0))")
    expect(button).to_be_enabled()


def test_a_backup_that_was_downloaded_is_said_and_its_passphrase_forgotten(desk, owner_window):
    page = owner_window.page
    owner_window.open("/backup")
    page.fill("#f-passphrase", "a long passphrase")
    page.fill("#f-again", "another one")
    owner_window.expected = {422}
    download = page.get_by_role("button", name="Download the backup")
    download.click()
    is_refused_beside(page, "again")
    page.fill("#f-passphrase", "a long passphrase")
    page.fill("#f-again", "a long passphrase")
    with page.expect_download() as taken:
        download.click()
    assert taken.value.suggested_filename.endswith(".otppi")
    expect(page.get_by_text("The backup was downloaded.")).to_be_visible()
    expect(page.locator("#f-passphrase")).to_have_value("")
    expect(download).to_be_enabled()


def test_the_present_page_is_in_sight_in_the_menu(desk, owner_window):
    for path in ("/", "/about"):
        owner_window.open(path)
        expect(owner_window.page.locator("#menu [aria-current=page]")).to_be_in_viewport(ratio=1)
    assert owner_window.page.evaluate("scrollY") == 0
