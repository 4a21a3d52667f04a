"""First contact with a booted device, over its access point and from its Ethernet side, and changes of its network."""

import json
import re
from dataclasses import dataclass

import pytest

from tests.image_bench.machine import TOOLBOX
from tests.web.admin_client import AdminClient

ADMIN = 8888
OWN, MOVED = "192.168.0.11", "192.168.77.1"
USER, PASSWORD = "owner", "a long password"
ADDRESS_NOW = "ip -4 -o address show wlan0"


@dataclass
class Browser:
    """On the client's side of the access point."""

    station: object
    jar: str
    address: str = OWN

    def ask(self, method, path, **fields):
        words = [f"{name}={value}" for name, value in fields.items()]
        url = f"http://{self.address}:{ADMIN}{path}"
        done = self.station.run("python3", "-I", f"{TOOLBOX}/browse.py", self.jar, method, url, *words)
        assert done.code == 0, done.said
        return json.loads(done.said.splitlines()[-1])

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, **fields):
        return self.ask("POST", path, **fields)


@pytest.fixture(scope="module")
def born(machine):
    return json.loads(machine.run("cat /var/lib/otppi/keys/born.json").said)


@pytest.fixture
def nobody(machine):
    """A device that has no administrator yet, and has none afterwards."""
    machine.run("otppi settings reset admins")
    yield
    machine.run("otppi settings reset admins")


@pytest.fixture
def browser(machine, station, born):
    assert station.join(born["ssid"], born["passphrase"])
    station.lease()
    machine.run("rm -f /run/station/jar /run/station/jar.token /run/station/*.token")
    return Browser(station, "/run/station/jar")


@pytest.fixture
def ethernet(machine):
    return AdminClient(machine.ports[ADMIN])


def set_up(browser):
    assert "secret" not in re.findall(r'name="([a-z]+)"', browser.get("/setup")["text"])
    made = browser.post("/setup", user=USER, password=PASSWORD, again=PASSWORD)
    assert (made["status"], made["location"]) == (303, "/setup/device"), made["text"][-2000:]


@pytest.mark.usefixtures("nobody")
def test_over_the_access_point_every_page_leads_to_the_set_up_and_nothing_more_is_asked(browser):
    for path in ("/", "/modems", "/login", "/nonsense"):
        answer = browser.get(path)
        assert answer["status"] in (302, 303), path
        assert answer["location"].endswith("/setup"), path
    set_up(browser)
    assert browser.get("/modems")["status"] == 200
    assert browser.get("/setup")["status"] == 303  # it is gone


@pytest.mark.usefixtures("nobody")
def test_from_the_ethernet_side_the_secret_of_the_brochure_is_asked(machine, ethernet, born):
    page = ethernet.get("/setup")
    assert 'name="secret"' in page.text
    assert born["setup_secret"] not in page.text
    form = {"user": USER, "password": PASSWORD, "again": PASSWORD}
    for wrong in ({}, {"secret": "wrong-secret"}):
        refused = ethernet.post("/setup", {**form, **wrong})
        assert refused.status >= 400
    assert machine.run("otppi settings get admins --json").said.strip() in ("{}", "[]")
    made = ethernet.post("/setup", {**form, "secret": born["setup_secret"]})
    assert made.status == 303, made.visible
    assert ethernet.get("/modems").status == 200


@pytest.fixture
def owner(machine, nobody, browser):
    """Logged in over the access point; nobody waits for longer than half a minute."""
    set_up(browser)
    machine.run("otppi settings set network.confirm_s 30")
    yield browser
    machine.wait_for(f"{ADDRESS_NOW} | grep -q {OWN}/24", limit_s=180)
    machine.run("otppi settings set network.confirm_s 120")


def changed(browser, address):
    """Give the access point another address, and return the path of what confirms it."""
    browser.get("/network")  # whose form has the token of the page
    offered = browser.post("/network/address", address=f"{address}/24")
    assert offered["status"] == 303, offered["text"][-2000:]
    trial = browser.get(offered["location"])
    link = re.search(rf"http://{re.escape(address)}:{ADMIN}(/network/confirm/[\w-]+)", trial["text"])
    assert link, trial["text"][-3000:]
    return link[1]


def test_a_change_that_nobody_confirms_goes_back_by_itself(machine, owner):
    changed(owner, MOVED)
    machine.wait_for(f"{ADDRESS_NOW} | grep -q {MOVED}/24", limit_s=60)
    machine.wait_for(f"{ADDRESS_NOW} | grep -q {OWN}/24", limit_s=120)
    assert "192.168.0.11/24" in machine.run("otppi settings get wlan.address --json").said


def test_a_change_of_the_network_that_is_confirmed_from_the_new_address_stays(machine, station, born, owner):
    path = changed(owner, MOVED)
    machine.wait_for(f"{ADDRESS_NOW} | grep -q {MOVED}/24", limit_s=60)
    assert station.join(born["ssid"], born["passphrase"])
    assert station.lease()["router"] == MOVED
    there = Browser(station, "/run/station/other-jar", MOVED)
    assert there.get(path)["status"] == 200
    assert there.post(path)["status"] == 200
    # Longer than the time in which it would have gone back.
    machine.run("sleep 40", limit_s=80)
    assert MOVED in machine.run(ADDRESS_NOW).said
    # And back, with time enough for a client that has to join anew.
    machine.run("otppi settings set network.confirm_s 300")
    machine.run("otppi settings set wlan.address 192.168.0.11/24")
    machine.wait_for(f"{ADDRESS_NOW} | grep -q {OWN}/24", limit_s=60)
    token = machine.run("otppi network trial --json").said
    assert station.join(born["ssid"], born["passphrase"])
    station.lease()
    back = Browser(station, "/run/station/other-jar")
    assert back.post(f"/network/confirm/{json.loads(token)['token']}")["status"] == 200
