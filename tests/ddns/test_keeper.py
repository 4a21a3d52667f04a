"""Dynamic DNS as the gateway has it, against a vendor and two sources that speak HTTPS."""

import json
import subprocess
import sys
import threading
from collections import Counter

import pytest
from click.testing import CliRunner

from otppi.ddns.settings import DdnsRecord, NoIpSettings, PublicAddressSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.model.errors import BadRequest
from otppi.model.events import DdnsChanged
from otppi.services.cli_ddns import ddns
from otppi.services.control import ControlServer
from otppi.services.ddns import Ddns
from otppi.services.folders import StateFolder
from otppi.services.sections import SECTIONS
from otppi.settings.store import SettingsStore
from tests.broker_servers.certificates import certificates
from tests.ddns_server import PASSWORD, USER, DdnsServer, Reply, Request
from tests.gateway_under_test import GatewayUnderTest

HOST = "otp.example.com"


class Internet(DdnsServer):
    """Two sources beside the vendors."""

    address = "8.8.4.4"

    def _documented(self, request: Request) -> Reply:
        if request.path in ("/one", "/two"):
            return Reply(text=f"{self.address}\n")
        return super()._documented(request)

    def asked(self) -> Counter:
        return Counter(one.path for one in self.requests)


class Device:
    def __init__(self, folder, internet):
        self.internet = internet
        self.state = StateFolder.prepared(folder / "state")
        self.bus = Bus()
        self.events = []
        self.bus.subscribe("test", self.take, DdnsChanged)
        self.heard = threading.Semaphore(0)
        self.store = SettingsStore(self.state.path, SECTIONS, self.bus)
        self.store.update(
            PublicAddressSettings,
            {"first_url": f"{internet.url}/one", "second_url": f"{internet.url}/two"},
        )
        self.store.update(
            NoIpSettings,
            {
                "active": True,
                "endpoint": f"{internet.url}/nic/update",
                "username": USER,
                "password": PASSWORD,
            },
        )
        self.store.put(DdnsRecord, "r1", {"provider": "noip", "zone": "example.com", "record_name": "otp"})
        self.ddns = None

    def take(self, event):
        self.events.append(event)
        self.heard.release()

    def start(self):
        self.ddns = Ddns(
            state=self.state,
            store=self.store,
            bus=self.bus,
            clock=SystemClock(),
            key=bytes(32),
            own_address=lambda: None,
        )
        self.ddns.start()

    def stop(self):
        if self.ddns is not None:
            self.ddns.stop()

    def row(self):
        return self.ddns.list()["records"][0]


@pytest.fixture
def internet(tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text(certificates().ca.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    one = Internet()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def device(tmp_path, internet):
    one = Device(tmp_path, internet)
    yield one
    one.stop()
    one.bus.stop()


def test_a_name_is_updated_once_and_a_restart_only_looks(device, internet):
    device.start()
    assert device.heard.acquire(timeout=10)
    assert device.events == [DdnsChanged(host=HOST, finding="the vendor has the address")]
    assert internet.hosts[HOST] == "8.8.4.4"
    device.stop()
    device.start()
    GatewayUnderTest.wait_until(lambda: device.row()["state"] == "done")
    assert internet.asked() == {"/one": 2, "/two": 2, "/nic/update": 1}
    row, address = device.row(), device.ddns.list()["address"]
    assert (row["host"], row["address"], row["word"]) == (HOST, "8.8.4.4", "good")
    assert row["updated_at"] <= address["A"]["at"] <= row["next_at"]
    assert address["A"]["address"] == "8.8.4.4"
    assert address["AAAA"] == {"address": "", "finding": "", "advice": "", "at": None}
    (check,) = device.ddns.checks()
    assert (check.level, check.finding) == ("green", "points to 8.8.4.4, confirmed just now")


def test_a_power_cut_between_update_and_save_costs_one_update_more(device, internet):
    device.start()
    assert device.heard.acquire(timeout=10)
    device.stop()
    device.state.ddns.unlink()
    device.start()
    assert device.heard.acquire(timeout=10)
    assert device.row()["word"] == "nochg"
    device.stop()
    device.start()
    GatewayUnderTest.wait_until(lambda: device.row()["state"] == "done")
    assert internet.asked()["/nic/update"] == 2


def test_a_wrong_password_stops_and_the_right_one_goes_on(device, internet):
    device.store.update(NoIpSettings, {"password": "wrong-Password"})
    device.start()
    assert device.heard.acquire(timeout=10)
    assert device.events[0].is_failure
    assert (device.row()["state"], device.row()["word"], device.row()["next_at"]) == (
        "stopped",
        "badauth",
        None,
    )
    (check,) = device.ddns.checks()
    assert (check.name, check.level) == ("DDNS otp.example.com A", "red")
    assert check.advice
    assert "wrong-Password" not in device.state.ddns.read_text()
    device.store.update(NoIpSettings, {"password": PASSWORD})
    # The vendor was asked less than a minute ago.
    GatewayUnderTest.wait_until(lambda: device.row()["state"] == "later")
    assert internet.asked()["/nic/update"] == 1


def test_there_is_a_thread_only_while_a_record_is_active(device):
    def is_there():
        return "ddns" in {one.name for one in threading.enumerate()}

    device.store.put(DdnsRecord, "r1", {"active": False})
    device.start()
    assert not is_there()
    device.store.put(DdnsRecord, "r1", {"active": True})
    assert device.heard.acquire(timeout=10)
    assert is_there()
    device.store.remove(DdnsRecord, "r1")
    GatewayUnderTest.wait_until(lambda: not is_there())
    assert device.ddns.died() == ()


def test_sources_that_are_not_trusted_or_say_nonsense_are_named(device, internet, monkeypatch):
    internet.script.extend([Reply(text="moved", status=302), Reply(text="8.8.4.4")])
    device.start()
    GatewayUnderTest.wait_until(lambda: device.row()["finding"] == "127.0.0.1: answers HTTP 302")
    device.stop()
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    device.start()
    GatewayUnderTest.wait_until(
        lambda: "both sources: the certificate is not trusted" in device.row()["finding"]
    )
    assert "/nic/update" not in internet.asked()
    warning, record = device.ddns.checks()
    assert (warning.name, warning.level, record.level) == ("public address A", "yellow", "yellow")
    assert "not trusted" in warning.finding


def test_a_record_of_ipv6_asks_by_ipv6_alone(device, internet):
    device.store.put(DdnsRecord, "r1", {"type": "AAAA"})
    device.start()  # the sources have an address of IPv4 only
    GatewayUnderTest.wait_until(lambda: "both sources: cannot be reached" in device.row()["finding"])
    assert internet.asked() == {}


def test_the_command_line_lists_and_updates(device, internet):
    internet.script.extend([Reply(text="8.8.4.4"), Reply(text="8.8.4.4"), Reply(text="nohost")])
    device.start()
    assert device.heard.acquire(timeout=10)
    control = ControlServer(device.state.path, device.ddns.functions())
    control.start()
    try:

        def run(*arguments):
            return CliRunner().invoke(ddns, [*arguments, "--state-dir", str(device.state.path)])

        listed = run("list")
        assert "public address A\t8.8.4.4" in listed.output
        assert f"{HOST}\tA\tnoip\tstopped" in listed.output
        assert "this name is not in the account (nohost)" in listed.output
        assert json.loads(run("list", "--json").output)["records"][0]["id"] == "r1"
        soon = run("update", HOST.upper())
        assert soon.exit_code == 1
        assert "too many requests for this name" in soon.output
        assert "no such record" in run("update", "nosuch").output
        device.stop()
        known = json.loads(device.state.ddns.read_text())
        known["records"]["r1"]["asked"] = [1.8e9]
        device.state.ddns.write_text(json.dumps(known))
        device.start()
        control.stop()
        control = ControlServer(device.state.path, device.ddns.functions())
        control.start()
        done = run("update", HOST)
        assert done.exit_code == 0, done.output
        assert f"{HOST}\tA\tnoip\tdone\t8.8.4.4" in done.output
    finally:
        control.stop()


def test_a_name_of_two_records_has_to_be_told_apart(device):
    device.store.put(
        DdnsRecord, "r2", {"provider": "noip", "zone": "example.com", "record_name": "otp", "type": "AAAA"}
    )
    device.start()
    with pytest.raises(BadRequest, match="r1, r2"):
        device.ddns.update(HOST)


def test_without_a_record_nothing_that_speaks_https_is_loaded(tmp_path):
    program = """
import sys
from pathlib import Path
from otppi.ddns import settings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.services.ddns import Ddns
from otppi.services.folders import StateFolder
from otppi.settings.store import SettingsStore
state = StateFolder.prepared(Path(sys.argv[1]))
sections = (settings.DdnsRecord, settings.PublicAddressSettings, *settings.VENDORS)
ddns = Ddns(state=state, store=SettingsStore(state.path, sections, None), bus=Bus(), clock=SystemClock(), key=bytes(32))
ddns.start()
print(ddns.list()["records"], [one for one in ("ssl", "http.client", "cryptography") if one in sys.modules])
ddns.stop()
"""
    command = [sys.executable, "-c", program, str(tmp_path / "state")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[] []\n"
