"""First contact: from a device without an administrator to a verified one-time password."""

import html
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import bottle
import pytest

from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.first_administrator import FirstAdministrator
from otppi.gateway.journal import Journal
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.lib.bus import Bus
from otppi.lib.passwords import verify_password
from otppi.model.errors import BadRequest, TooManyRequests
from otppi.model.events import DeviceNotice
from otppi.model.ports import SerialPort, Stick
from otppi.modems.settings import ModemSettings
from otppi.services.admin_site import AdminSite
from otppi.services.folders import StateFolder
from otppi.services.sections import SECTIONS
from otppi.settings.store import SettingsStore
from otppi.system.clock.settings import ClockSettings
from otppi.system.network.settings import WlanSettings
from otppi.web import routes
from otppi.web.shown_once import MadePassword, ShownOnce
from otppi.wsgi.server import WebServer
from tests import needs
from tests.gateway_under_test import USER, Sim
from tests.web.admin_client import PASSWORD, AdminClient, admin_client

FIRST = {"user": "owner", "password": PASSWORD, "again": PASSWORD, "phone": "", "email": ""}
NUMBER = "081200000001"


@pytest.fixture
def fresh(pages) -> AdminClient:
    """Somebody at a device that has no administrator."""
    return AdminClient(pages.admin_port)


def administrators(one):
    return one.gateway.store.items(Administrator)


def path_of(route) -> str:
    """A path that a route serves: what bottle calls wildcards gets a word in its place."""
    return re.sub(r"<[^>]*>", "word", route.path)


# -- before there is an administrator


def test_every_address_leads_to_the_set_up(fresh):
    walked = [route for route in routes.ROUTES if route.method == "GET" and route.path != "/setup"]
    addresses = ["/", "/anything", "/generate_204", *(path_of(route) for route in walked)]
    open_anyway = ("/static/", "/network/confirm/")
    for address in addresses:
        page = fresh.get(address)
        if address.startswith(open_anyway):
            assert page.status in (200, 404), address
            continue
        assert (page.status, page.location) == (303, "/setup"), address
        assert page.headers["Cache-Control"] == "no-store"


def test_nothing_but_the_set_up_can_be_posted(pages, fresh):
    before = {
        section: pages.gateway.store.get_path(section) for section in ("general", "sms", "wlan", "admins")
    }
    # Of these the first two are for the set-up itself, and the others have nothing that they could change.
    open_anyway = ("/setup", "/language", "/logout", "/forgot", "/network/confirm/")
    for route in routes.ROUTES:
        if route.method == "POST" and (
            route.path.startswith("/setup/") or not route.path.startswith(open_anyway)
        ):
            assert 400 <= fresh.post(path_of(route)).status < 500, route.path
    assert fresh.post("/anything").status == 403
    assert before == {section: pages.gateway.store.get_path(section) for section in before}


def test_the_language_is_chosen_first_and_is_that_of_the_account(pages, fresh):
    fresh.post("/language", {"language": "id"})
    assert 'lang="id"' in fresh.get("/setup").text
    fresh.post("/setup", FIRST)
    assert administrators(pages)["owner"].language == "id"


def test_who_made_the_account_is_logged_in_and_the_page_is_gone(pages, fresh):
    made = fresh.post("/setup", {**FIRST, "phone": "0812 0000 0001", "email": "a@shop.example"})
    assert (made.status, made.location) == (303, "/setup/device")
    assert fresh.get("/setup/device").status == 200
    owner = administrators(pages)["owner"]
    assert (owner.role, owner.phone, owner.email) == ("owner", "0812 0000 0001", "a@shop.example")
    for client in (fresh, AdminClient(pages.admin_port)):
        assert client.get("/setup").location == "/"
        assert client.post("/setup", {**FIRST, "user": "second"}).location == "/"
    assert list(administrators(pages)) == ["owner"]
    assert AdminClient(pages.admin_port).log_in().status == 303


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"password": "short", "again": "short"}, "password", "at least 10 characters"),
        ({"password": "password123", "again": "password123"}, "password", "a very common word"),
        ({"again": "another long one"}, "again", "not the same"),
        ({"user": ""}, "user", "1 to 64 printable characters"),
        ({"user": "a:b"}, "user", "no colon"),
        ({"phone": "12ab"}, "phone", "not part of a phone number"),
        ({"phone": "111"}, "phone", "not a possible phone number"),
        ({"email": "x" * 255}, "email", ""),
    ],
)
def test_what_is_not_accepted_says_so_beside_its_field(pages, fresh, given, field, reason):
    page = fresh.post("/setup", {**FIRST, **given})
    assert page.status in (400, 422)
    error = re.search(rf'id="{field}-error">([^<]*)<', page.text)
    assert error, page.visible
    assert reason in error[1]
    assert PASSWORD not in page.text
    assert not administrators(pages)


def test_all_that_is_not_accepted_is_said_at_once(pages, fresh):
    wrong = {"user": "a:b", "password": "short", "again": "other", "phone": "12ab", "email": "x" * 255}
    page = fresh.post("/setup", wrong)
    assert set(re.findall(r'id="([a-z]+)-error"', page.text)) == set(wrong)
    assert not administrators(pages)


def test_what_was_typed_stays_text(fresh):
    page = fresh.post("/setup", {**FIRST, "user": '"><script>x</script>', "again": "other"})
    assert page.value_of("user") == '"><script>x</script>'
    assert "<script>x" not in page.text


def test_of_many_browsers_at_once_one_makes_the_administrator(pages):
    ready = threading.Barrier(5)

    def make(number: int) -> str:
        client = AdminClient(pages.admin_port)
        ready.wait()
        return client.post("/setup", {**FIRST, "user": f"owner{number}"}).location

    with ThreadPoolExecutor(5) as pool:
        led_to = sorted(pool.map(make, range(5)))
    assert led_to == ["/", "/", "/", "/", "/setup/device"]
    assert len(administrators(pages)) == 1


def test_a_page_of_another_site_cannot_make_the_administrator(pages, fresh):
    refused = fresh.post("/setup", FIRST, Origin="http://evil.example")
    assert refused.status == 401
    assert fresh.post("/setup", FIRST, Sec_Fetch_Site="cross-site").status == 401
    assert fresh.post("/setup", FIRST, Host="evil.example").status == 421
    assert not administrators(pages)


def test_a_machine_that_is_no_device_has_its_first_administrator_made_at_the_command_line(gateway):
    one = gateway()
    client = AdminClient(one.admin_port)
    page = client.get("/setup")
    assert "otppi admin add NAME" in page.text
    assert 'name="password"' not in page.text
    assert client.post("/setup", FIRST).status == 400
    assert not administrators(one)


# -- the set-up secret, which is asked for wherever somebody does not stand beside the device

SECRET = "lusab-babad-gutih-tugad"


class Notes(list):
    def note(self, **details) -> None:
        self.append(details)


@pytest.fixture
def first(tmp_path, clock):
    store = SettingsStore(tmp_path, (Administrator, SmsSettings), None)
    return FirstAdministrator(store, clock, Notes(), lambda: SECRET)


def make(first, secret="", address="192.0.2.7", **given):
    wanted = {"again": PASSWORD, "phone": "", "email": "", "language": "en", "is_beside": False, **given}
    return first.make("owner", PASSWORD, address=address, secret=secret, **wanted)


def test_from_elsewhere_the_secret_of_the_device_is_asked_for(first):
    for wrong in ("", "lusab", SECRET.upper()):
        with pytest.raises(BadRequest) as refused:
            make(first, wrong)
        assert refused.value.field == "secret"
        assert SECRET not in str(refused.value)
    assert make(first, f" {SECRET} ")
    assert not make(first, SECRET)


def test_beside_the_device_no_secret_is_asked_for(first):
    assert make(first, is_beside=True)


def test_guessing_the_secret_takes_ever_longer_and_the_right_one_counts_again_later(first, clock):
    for _ in range(5):
        with pytest.raises(BadRequest):
            make(first, "wrong")
    with pytest.raises(TooManyRequests) as refused:
        make(first, SECRET)
    assert refused.value.retry_after_s == pytest.approx(1)
    clock.advance(1)
    with pytest.raises(BadRequest):
        make(first, "wrong")
    with pytest.raises(TooManyRequests) as refused:
        make(first, SECRET)
    assert refused.value.retry_after_s == pytest.approx(2)
    clock.advance(2)
    assert make(first, SECRET)


def test_guesses_from_many_addresses_wait_together_and_never_long(first, clock):
    for number in range(20):
        with pytest.raises(BadRequest):
            make(first, "wrong", address=f"192.0.2.{number}")
    with pytest.raises(TooManyRequests):
        make(first, SECRET, address="192.0.2.200")
    for _ in range(20):
        clock.advance(10)
        with pytest.raises(BadRequest):
            make(first, "wrong", address="192.0.2.201")
        clock.advance(60)
    with pytest.raises(BadRequest):
        make(first, "wrong", address="192.0.2.202")
    clock.advance(10)
    assert make(first, SECRET, address="192.0.2.200")
    assert make(first, is_beside=True) is False


@pytest.fixture
def office(tmp_path, clock):
    """The pages of a device, seen from a network that is not its own."""
    state, bus = StateFolder.prepared(tmp_path), Bus()
    pages = AdminSite(
        state=state,
        store=SettingsStore(state.path, SECTIONS, bus),
        bus=bus,
        clock=clock,
        key=b"k" * 32,
        journal=Journal(None, clock),
        is_beside=lambda *_: False,
        send=lambda *_: None,
        setup_secret=lambda: SECRET,
    )
    app = bottle.Bottle()
    pages.install(app, {})
    server = WebServer("test", app, "127.0.0.1", 0, threads=2, max_body_bytes=10_000)
    server.start()
    yield AdminClient(server.port)
    server.stop(2.0)
    bus.stop()


def test_the_page_asks_for_the_secret_and_says_where_it_stands_and_how_long_to_wait(office, clock):
    page = office.get("/setup")
    assert "HDMI" in page.visible
    assert "otppi-brochure.html" in page.visible
    assert "data-offer-time" not in page.text
    for _ in range(5):
        refused = office.post("/setup", {**FIRST, "secret": "wrong"})
        assert (refused.status, "is not the set-up secret" in refused.visible) == (400, True)
    refused = office.post("/setup", {**FIRST, "secret": SECRET})
    assert refused.status == 429
    assert "Please wait 1 second." in refused.visible
    assert SECRET not in refused.text
    clock.advance(60)
    assert office.post("/setup", {**FIRST, "secret": SECRET}).location == "/setup/device"


# -- the steps


def test_every_step_shows_where_one_is_and_can_be_skipped(owner):
    path, seen = "/setup/device", []
    while path not in seen:
        seen.append(path)
        page = owner.get(path)
        assert page.status == 200
        assert re.search(r'aria-current="step"><strong>', page.text)
        onward = re.findall(r'<a class="btn btn-(?:link|primary)" href="(/setup/[a-z]+)">', page.text)
        path = onward[-1] if onward else path
    assert seen == ["/setup/device", "/setup/modem", "/setup/api", "/setup/wifi", "/setup/done"]


def test_only_owners_see_the_steps(operator, viewer):
    for client in (operator, viewer):
        for name in ("device", "modem", "api", "wifi", "done"):
            assert client.get(f"/setup/{name}").status == 403


def test_name_country_code_and_time_zone_are_saved_together_or_not_at_all(pages, owner):
    store = pages.gateway.store
    given = {"general.device_name": "Kasir 1", "sms.country_code": "60", "clock.time_zone": "Asia/Makassar"}
    refused = owner.post("/setup/device", {**given, "sms.country_code": "0"})
    assert refused.status == 422
    assert "is-invalid" in refused.text
    assert refused.value_of("general.device_name") == "Kasir 1"
    assert store.get(GeneralSettings).device_name == "OTP-Pi"
    assert owner.post("/setup/device", given).location == "/setup/modem"
    assert store.get(GeneralSettings).device_name == "Kasir 1"
    assert store.get(SmsSettings).country_code == "60"
    assert store.get(ClockSettings).time_zone == "Asia/Makassar"
    shown = owner.get("/setup/device").text
    assert '<option value="Asia/Makassar" selected>Central Indonesia (WITA): Makassar<' in shown


def test_all_that_is_wrong_with_the_device_is_said_at_once(owner):
    wrong = {"general.device_name": "", "sms.country_code": "0", "clock.time_zone": "nowhere"}
    refused = owner.post("/setup/device", wrong)
    assert refused.status == 422
    assert refused.text.count("is-invalid") == 3


def test_the_list_of_time_zones_begins_at_home_and_has_places_only(owner):
    zones = re.findall(r'<option value="([^"]+)"', owner.get("/setup/device").text)
    assert zones[:4] == ["Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura"]
    assert {"Asia/Singapore", "UTC"} < set(zones)
    assert not {"Factory", "localtime", "EST"} & set(zones)


# -- the first modem


@pytest.fixture
def plugged(gateway):
    """A device into which somebody can plug modems."""
    sticks = []
    one = gateway(modems=(), on_desk=True, sticks=lambda: tuple(sticks))
    one.plugged = sticks
    return one


def plug(one, name, **options):
    line = one.sim.add(name, **options)
    one.plugged.append(Stick(place=name, ports=(SerialPort(node=str(line.path), driver="option"),)))
    one.gateway.bus.publish(
        DeviceNotice(kind="serial", name=name, node=str(line.path), description="", is_present=True)
    )
    return line


def test_a_modem_is_found_while_one_looks_used_in_one_step_and_sends_a_test(plugged):
    owner = admin_client(plugged)
    assert "data-looking" in owner.get("/setup/modem").text
    line = plug(plugged, "first", imei="490154203237518")
    plugged.wait_until(lambda: "New modem found" in owner.get("/setup/modem").visible)
    page = owner.get("/setup/modem")
    used = owner.post(
        "/setup/modem/use", {"modem": page.value_of("modem"), "operator": "telkomsel", "name": ""}
    )
    assert (used.status, used.location) == (303, "/setup/modem")
    plugged.wait_until(lambda: "Telkomsel Ready" in owner.get("/setup/modem").visible)
    (modem,) = plugged.gateway.store.items(ModemSettings).values()
    assert (modem.name, modem.is_default, modem.imei) == ("Telkomsel", True, "490154203237518")
    assert "62811" in modem.prefixes
    sent = owner.follow(owner.post("/setup/modem/test", {"number": NUMBER, "modem": ""}))
    assert "The network took the test message" in sent.visible
    assert [message.text for message in line.messages] == ["This is a test message of OTP-Pi."]


def test_a_second_modem_gets_a_name_of_its_own(plugged):
    owner = admin_client(plugged)
    for name, imei in (("one", "490154203237518"), ("two", "356938035643809")):
        plug(plugged, name, imei=imei)
        plugged.wait_until(lambda: "New modem found" in owner.get("/setup/modem").visible)
        node = owner.get("/setup/modem").value_of("modem")
        taken = owner.post("/setup/modem/use", {"modem": node, "operator": "xl", "name": "XL (XLSmart)"})
        if name == "two":
            assert "another modem has this name" in taken.visible
            owner.post("/setup/modem/use", {"modem": node, "operator": "xl", "name": ""})
    modems = plugged.gateway.store.items(ModemSettings).values()
    assert sorted((one.name, one.is_default) for one in modems) == [
        ("XL (XLSmart)", True),
        ("XL (XLSmart) 2", False),
    ]


def test_a_sim_that_wants_its_pin_is_given_it(gateway):
    one = gateway(modems=(Sim(pin="1234"),), on_desk=True)
    owner = admin_client(one)
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    page = owner.get("/setup/modem")
    refused = owner.post("/setup/modem/pin", {"modem": page.value_of("modem"), "pin": "12"})
    assert refused.status == 400
    taken = owner.post("/setup/modem/pin", {"modem": page.value_of("modem"), "pin": "1234"})
    assert (taken.status, taken.location) == (303, "/setup/modem")
    one.wait_until(lambda: one.state("m0") == "ready")


def test_a_test_message_that_was_not_sent_says_why(owner):
    refused = owner.post("/setup/modem/test", {"number": "6280000000001", "modem": ""})
    assert refused.status == 422
    assert 'class="alert alert-danger"' in refused.text
    assert refused.value_of("number") == "6280000000001"


def test_what_is_wrong_with_the_number_of_a_test_message_stands_beside_it(owner):
    wrong = owner.post("/setup/modem/test", {"number": "abc", "modem": ""})
    reason = re.search(r'id="number-error">([^<]*)<', wrong.text)[1]
    assert "not part of a phone number" in reason
    assert "data.receiver" not in wrong.text
    assert wrong.value_of("number") == "abc"


# -- the first API user, and the programs for it


def made(owner, **given):
    page = owner.post("/setup/api", {"user": "shop2", "receiver": NUMBER, **given})
    page = owner.follow(page) if page.status == 303 else page
    programs = re.findall(r'<pre [^>]*id="([a-z-]+)"[^>]*>(.*?)</pre>', page.text, re.DOTALL)
    return page, {name: html.unescape(text) for name, text in programs}


def test_the_password_is_made_by_the_device_and_shown_once(pages, owner):
    page, programs = made(owner)
    assert page.status == 200
    assert page.headers["Cache-Control"] == "no-store"
    password = re.search(r'id="api-password">([^<]+)<', page.text)[1]
    assert len(password) == 24
    assert set(programs) == {"curl-request", "curl-verify", "php", "python", "javascript"}
    assert all(password in text for text in programs.values())
    again, _ = made(owner)
    assert (again.status, password in again.text) == (400, False)
    assert "there is one of this name already" in again.visible
    assert password not in owner.get("/setup/api").text


MADE = "/setup/api/made?user=shop2"


def test_the_page_with_the_password_can_be_loaded_again_in_the_same_session(pages, owner):
    page, programs = made(owner)
    password = re.search(r'id="api-password">([^<]+)<', page.text)[1]
    assert programs["php"] in html.unescape(owner.get(MADE).text)
    for other in (admin_client(pages, "second"), admin_client(pages)):
        shown = other.get(MADE)
        assert (shown.status, password in shown.text) == (200, False)
        assert "cannot be shown again" in shown.visible
        assert "PASSWORD" in shown.visible
    assert owner.get("/setup/api/made?user=nobody").location == "/setup/api"


def test_a_password_that_nobody_kept_is_made_anew(pages, owner):
    made(owner)
    before = pages.gateway.store.items(ApiUser)["shop2"].password
    page = owner.follow(owner.post("/setup/api/password", {"user": "shop2"}))
    password = re.search(r'id="api-password">([^<]+)<', page.text)[1]
    assert pages.gateway.store.items(ApiUser)["shop2"].password != before
    assert verify_password(password, pages.gateway.store.items(ApiUser)["shop2"].password)
    assert owner.post("/setup/api/password", {"user": "nobody"}).location == "/setup/api"
    assert "nobody" not in pages.gateway.store.items(ApiUser)


def test_a_password_is_held_for_ten_minutes_and_no_longer(clock):
    held, made = ShownOnce(clock), MadePassword(user="till", password=PASSWORD)
    held.hold("session", made)
    clock.advance(599)
    assert held.look("session", "till") == made
    clock.advance(2)
    assert held.look("session", "till") is None


def test_only_the_last_password_of_a_session_and_those_of_few_sessions_are_held(clock):
    held = ShownOnce(clock)
    for number in range(30):
        held.hold(f"session{number}", MadePassword(user="till", password=PASSWORD))
    seen = [number for number in range(30) if held.look(f"session{number}", "till")]
    assert seen == list(range(10, 30))
    held.hold("session29", MadePassword(user="other", password=PASSWORD))
    assert held.look("session29", "till") is None
    assert held.look("session29", "other")


@pytest.mark.parametrize(
    "given",
    [
        {"user": ""},
        {"user": "a b"},
        {"user": "a'b"},
        {"user": "<b>"},
        {"receiver": "<b>"},
        {"receiver": "12'"},
    ],
)
def test_what_could_break_a_program_is_refused(pages, owner, given):
    page, programs = made(owner, **given)
    assert page.status == 400
    assert not programs
    assert "<b>" not in page.text
    assert list(pages.gateway.store.items(ApiUser)) == [USER]


def pasted(one, *command):
    """Run a program that asks for the code, give it the one that was sent, and return what it printed last."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as program:
        one.wait_until(lambda: one.texts() or program.poll() is not None)
        assert program.poll() is None, program.stdout.read()
        printed, _ = program.communicate(f"{one.code_sent()}\n", timeout=30)
    return printed.strip().rsplit(" ", 1)[-1]


def test_the_curl_lines_request_and_verify_a_code(pages, owner):
    needs.other_program("curl")
    _, programs = made(owner)

    def paste(line):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)
        return json.loads(done.stdout)["response_code"]

    assert paste(programs["curl-request"]) == "0000"
    assert paste(programs["curl-verify"]) == "1202"
    assert paste(programs["curl-verify"].replace("123456", pages.code_sent())) == "0000"


def test_the_python_program_requests_and_verifies_a_code(pages, owner):
    _, programs = made(owner)
    assert pasted(pages, sys.executable, "-c", programs["python"]) == "verified"


def test_the_javascript_program_requests_and_verifies_a_code(pages, owner, tmp_path):
    needs.other_program("node")
    _, programs = made(owner)
    (tmp_path / "otp.mjs").write_text(programs["javascript"])
    assert pasted(pages, "node", str(tmp_path / "otp.mjs")) == "verified"


def test_the_php_program_requests_and_verifies_a_code(pages, owner, tmp_path):
    needs.other_program("php")
    _, programs = made(owner)
    (tmp_path / "otp.php").write_text(programs["php"])
    assert pasted(pages, "php", str(tmp_path / "otp.php")) == "verified"


# -- the Wi-Fi


def test_the_wifi_is_changed_on_trial(pages, owner):
    given = {"wlan.ssid": "Kasir", "wlan.passphrase": "", "wlan.country": "ID"}
    refused = owner.post("/setup/wifi", {**given, "wlan.passphrase": "short"})
    assert refused.status == 422
    assert "short" not in refused.text.replace("shorter", "")
    assert "must be 8 to 63 letters, digits or signs of a US keyboard" in refused.visible
    assert pages.gateway.store.get(WlanSettings).ssid == ""
    told = owner.post("/setup/wifi", given)
    assert told.location.startswith("/network/trial?after=")
    network = pages.gateway.appliance.network
    # From the first moment on the page waits for the change; it never says that there is none.
    page = owner.follow(told)
    assert "as it was set" not in page.visible
    pages.wait_until(network.trial)
    pages.wait_until(lambda: "Keep this network" in owner.follow(told).visible)
    assert "waits for its confirmation" in owner.get("/setup/wifi").visible
    link = f"/network/confirm/{network.trial()['token']}"
    pages.wait_until(lambda: AdminClient(pages.admin_port).post(link).status == 200)
    assert network.trial() is None
    assert pages.gateway.store.get(WlanSettings).ssid == "Kasir"


def test_a_wifi_that_is_left_as_it_is_is_not_tried(pages, owner):
    given = {"wlan.ssid": "", "wlan.passphrase": "", "wlan.country": "ID"}
    assert owner.post("/setup/wifi", given).location == "/setup/done"


def test_the_wifi_step_shows_what_the_wifi_is_called_now(pages, owner):
    network = pages.gateway.appliance.network
    pages.wait_until(lambda: any(one["mode"] == "ap" for one in network.show()["interfaces"]))
    page = owner.get("/setup/wifi")
    born = re.search(r'name="wlan.ssid"[^>]* placeholder="([^"]+)"', page.text)[1]
    assert born == pages.gateway.appliance.born().ssid
    assert page.value_of("wlan.ssid") == ""
