"""A whole gateway that looks after a host: the calls of the command line, the pages, the modems."""

import json
import subprocess
import sys

import pytest

from otppi.gateway.accounts import Administrator
from otppi.model.errors import HostUnreachable
from otppi.modems.settings import ModemSettings
from otppi.services.control import Refused, call
from otppi.system.network.settings import WlanSettings
from tests.gateway_under_test import Sim


def ask(one, name, **args):
    return call(one.state_dir, name, args, 30.0)


def test_the_diagnosis_has_a_line_for_every_part_of_the_device(gateway):
    one = gateway(on_desk=True)
    lines = {check["name"]: check for check in ask(one, "diagnose")}
    assert {
        "network service",
        "access point",
        "Ethernet",
        "devices",
        "mobile internet",
        "buzzer",
        "memory",
    } <= set(lines)
    assert {"housekeeping", "gateway", "storage"} <= set(lines)
    assert all(check["advice"] for check in lines.values() if check["level"] != "green")


def test_without_a_device_what_is_of_the_device_is_refused_in_words(gateway):
    with pytest.raises(Refused, match="--device"):
        ask(gateway(), "network.show")


def test_a_modem_that_is_kept_for_internet_is_given_up_before_it_is_dialled_and_the_other_way_round(gateway):
    one = gateway(modems=(Sim(name="m0"), Sim(name="m1")), on_desk=True)
    one.gateway.store.put(ModemSettings, "m0", {"internet_access": True, "apn": "internet"})
    one.wait_until(lambda: "unit otppi-mobile.service: started" in one.host_said)
    (m0,) = (modem for modem in one.gateway.pool.snapshot() if modem.id == "m0")
    assert m0.reason == "kept for mobile internet"
    assert one.call("send-sms", receiver="081200000001", message="Hello").code == "0000"
    assert len(one.texts("m1")) == 1
    one.gateway.store.put(ModemSettings, "m0", {"internet_access": False})
    one.wait_until(lambda: one.state("m0") == "ready")
    assert "unit otppi-mobile.service: stopped" in one.host_said


def test_a_stick_resets_a_running_device_without_any_confirmation(gateway):
    one = gateway(on_desk=True)
    one.gateway.store.put(Administrator, "owner", {"password": "an invented one"})
    one.gateway.store.update(WlanSettings, {"ssid": "Shop"})
    one.wait_until(lambda: ask(one, "network.trial") is not None)
    done = ask(one, "reset.apply", flags=["RESET_WLAN", "RESET_USER", "RESET_FUTURE"])
    assert (done["failed"], done["without"]) == ({}, ["RESET_FUTURE"])
    assert not one.gateway.store.items(Administrator)
    assert ask(one, "network.trial") is None
    wlan = next(i for i in ask(one, "network.show")["interfaces"] if i["interface"] == "wlan0")
    assert wlan["ssid"].startswith("OTP-Pi-")
    ask(one, "reset.report", sections=["Access point"], refusal="")
    one.wait_until(lambda: any(line.startswith("buzzer:") for line in one.host_said))


def test_a_change_of_the_network_is_confirmed_by_its_link(gateway):
    one = gateway(on_desk=True)
    one.gateway.store.update(WlanSettings, {"address": "10.11.0.11/24"})
    one.wait_until(lambda: ask(one, "network.trial") is not None)
    link = f"/network/confirm/{ask(one, 'network.trial')['token']}"
    assert one.http("GET", link, port=one.admin_port).status == 200
    one.wait_until(lambda: any("10.11.0.11" in line for line in one.host_said))
    from_the_page = {"Origin": f"http://127.0.0.1:{one.admin_port}"}
    assert one.http("POST", link, port=one.admin_port).status == 401
    assert one.http("POST", f"{link}x", headers=from_the_page, port=one.admin_port).status == 503
    assert ask(one, "network.trial") is not None
    assert one.http("POST", link, headers=from_the_page, port=one.admin_port).status == 200
    assert ask(one, "network.trial") is None
    assert one.gateway.store.get(WlanSettings).address == "10.11.0.11/24"


def test_the_time_of_a_browser_is_not_taken_where_the_clock_is_not_the_programs_to_set(gateway):
    one = gateway(on_desk=True)
    answer = one.http(
        "POST",
        "/time",
        json.dumps({"epoch_ms": 1_800_000_000_000}),
        {"Content-Type": "application/json"},
        port=one.admin_port,
    )
    assert (answer.status, answer.json) == (200, {"taken": False})


def test_every_worker_of_a_running_device_is_well(gateway):
    one = gateway(on_desk=True)
    assert {name: probe() for name, probe in one.gateway.probes().items()} == {
        "threads": "",
        "news": "",
        "web": "",
        "settings": "",
    }


def test_the_passphrase_of_the_access_point_is_shown_and_logged_nowhere(gateway, caplog):
    one = gateway(on_desk=True)
    one.gateway.store.update(WlanSettings, {"passphrase": "correct horse battery"})
    one.wait_until(lambda: ask(one, "network.trial") is not None)
    shown = json.dumps(
        [ask(one, "network.show"), ask(one, "diagnose"), ask(one, "settings.get", path="wlan")]
    )
    born = json.loads((one.state_dir / "keys" / "born.json").read_text())
    for secret in ("correct horse battery", born["passphrase"], born["setup_secret"]):
        assert secret not in shown
        assert secret not in caplog.text
        assert secret not in "".join(one.host_said)


def otppi(one, *arguments):
    command = (sys.executable, "-m", "otppi", *arguments, "--state-dir", str(one.state_dir))
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_several_settings_are_one_change_and_its_link_is_told(gateway):
    one = gateway(on_desk=True)
    done = otppi(one, "settings", "set", "wlan.address", "10.9.8.1/24", "dhcp.ranges", "10.9.8.20-10.9.8.90")
    assert (done.returncode, done.stderr) == (0, "")
    assert "/network/confirm/" in done.stdout
    refused = otppi(one, "settings", "set", "wlan.ssid", "Shop", "dhcp.no_such", "1")
    assert refused.returncode == 1
    assert one.gateway.store.get(WlanSettings).ssid == ""


def test_a_change_that_the_host_refuses_is_told_and_taken_back(gateway, monkeypatch):
    one = gateway(on_desk=True)

    def refuse(rollback_s):
        raise HostUnreachable("NetworkManager does not answer")

    monkeypatch.setattr(one.gateway.appliance.network._network, "begin_trial", refuse)
    done = otppi(one, "settings", "set", "wlan.ssid", "Shop")
    assert (done.returncode, done.stdout) == (1, "")
    assert "taken back: NetworkManager does not answer" in done.stderr
    assert one.gateway.store.get(WlanSettings).ssid == ""
    assert "last network change" in {check["name"] for check in ask(one, "diagnose")}


def test_ports_are_opened_listed_and_closed_by_hand(gateway):
    one = gateway(on_desk=True)
    assert otppi(one, "port", "add", "5000", "--source", "192.0.2.0/24").stdout == "open: tcp5000\n"
    assert otppi(one, "port", "list").stdout.split() == ["tcp5000", "open", "any", "192.0.2.0/24"]
    assert otppi(one, "port", "add", "70000").returncode == 1
    assert otppi(one, "port", "remove", "tcp5000").returncode == 0
    assert otppi(one, "port", "list").stdout == ""
