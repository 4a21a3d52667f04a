"""A gateway on a device whose modems are plugged in, moved and added while it runs."""

import pytest
from click.testing import CliRunner

from otppi.model.events import DeviceNotice, ModemLearned, SettingsChanged
from otppi.model.ports import SerialPort, Stick
from otppi.modems.settings import ModemSettings
from otppi.services.cli import main
from otppi.services.control import call
from tests.gateway_under_test import Sim

A, B = "490154203237518", "356938035643809"


def stick(place, line):
    return Stick(place=place, ports=(SerialPort(node=str(line.path), driver="option"),))


def notice(line):
    return DeviceNotice(kind="serial", name=line.name, node=str(line.path), description="", is_present=True)


@pytest.fixture
def device(gateway):
    """A gateway with one modem, and the sticks that are plugged in."""
    plugged = []
    one = gateway(modems=(Sim(name="m0", default=True, imei=A),), on_desk=True, sticks=lambda: tuple(plugged))
    return one, plugged


def cli(one, *words):
    return CliRunner().invoke(main, [*words, "--state-dir", str(one.state_dir)])


def found(one):
    return call(one.state_dir, "modem.found", {}, 10)["modems"]


def learned(one):
    return one.gateway.store.items(ModemSettings)["m0"].imei


def test_the_imei_is_kept_once_and_the_modem_goes_on(device):
    one, _ = device
    one.wait_until(lambda: learned(one) == A)
    one.wait_until(lambda: one.gateway.store.items(ModemSettings)["m0"].iccid)
    changes = []
    one.gateway.bus.subscribe("test", changes.append, SettingsChanged)
    one.gateway.bus.publish(ModemLearned(modem_id="m0", imei=B))
    assert one.call("send-sms", receiver="081200000001", message="x").code == "0000"
    one.gateway.bus.stop()  # whatever was published has been heard
    assert learned(one) == A
    assert changes == []


def test_a_modem_that_was_moved_sends_again(device):
    one, plugged = device
    one.wait_until(lambda: learned(one) == A)
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") == "absent")
    moved = one.sim.add("elsewhere", imei=A)
    plugged.append(stick("1-1.4", moved))
    one.gateway.bus.publish(notice(moved))
    one.wait_until(lambda: one.state("m0") == "ready")
    assert one.call("send-sms", receiver="081200000001", message="from there").code == "0000"
    assert [message.text for message in moved.messages] == ["from there"]


def test_a_new_modem_waits_for_its_owner_who_uses_it_in_one_step(device):
    one, plugged = device
    new = one.sim.add("new", imei=B)
    plugged.append(stick("1-1.2", new))
    one.gateway.bus.publish(notice(new))
    one.wait_until(lambda: found(one))
    (shown,) = found(one)
    assert (shown["node"], shown["imei"], shown["used_as"]) == (str(new.path), "…3809", "")
    assert any(check["name"] == "new modem" for check in one.gateway.diagnose())
    use = {"modem": B, "name": "second", "prefixes": ["62811"], "is_default": None}
    call(one.state_dir, "modem.use", use, 10)
    one.wait_until(lambda: "second" in [modem.name for modem in one.gateway.pool.snapshot()])
    one.wait_until(lambda: one.state("second") == "ready")
    assert one.call("send-sms", receiver="081100000001", message="by the second").code == "0000"
    assert [message.text for message in new.messages] == ["by the second"]
    one.wait_until(lambda: [modem["used_as"] for modem in found(one)] == ["second"])


def test_a_new_modem_is_added_by_itself_where_that_is_wanted(device):
    one, plugged = device
    one.gateway.store.set_path("general.modems_auto_add", True)
    new = one.sim.add("new", imei=B)
    plugged.append(stick("1-1.2", new))
    one.gateway.bus.publish(notice(new))
    one.wait_until(lambda: "Modem 3809" in [modem.name for modem in one.gateway.pool.snapshot()])
    one.wait_until(lambda: one.state("Modem 3809") == "ready")
    added = [modem for modem in one.gateway.store.items(ModemSettings).values() if modem.imei == B]
    assert [(modem.active, modem.is_default) for modem in added] == [(True, False)]


def test_another_sim_is_told_of_until_its_owner_takes_it(device):
    one, plugged = device
    one.wait_until(lambda: one.gateway.store.items(ModemSettings)["m0"].iccid)
    first = one.gateway.store.items(ModemSettings)["m0"].iccid
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") == "absent")
    other = one.sim.add("same stick", imei=A, iccid="8962109900000000999")
    plugged.append(stick("1-1.4", other))
    one.gateway.bus.publish(notice(other))
    one.wait_until(lambda: one.state("m0") == "ready")

    def finding():
        return next(check for check in one.gateway.diagnose() if check["name"] == "modem m0")

    one.wait_until(lambda: finding()["level"] == "yellow")
    assert "…0999" in finding()["finding"]
    assert f"…{first[-4:]}" in finding()["finding"]
    assert one.call("send-sms", receiver="081200000001", message="all the same").code == "0000"
    _, _, command = finding()["advice"].partition("otppi settings set ")
    path, _ = command.split()
    call(one.state_dir, "settings.set", {"values": {path: ""}}, 10)
    one.wait_until(lambda: finding()["level"] == "green")
    one.wait_until(lambda: one.gateway.store.items(ModemSettings)["m0"].iccid == "8962109900000000999")


def test_what_is_found_is_shown_with_its_firmware_and_why_at_this_port(device):
    one, plugged = device
    done = cli(one, "modem", "found")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "otppi modem doctor" in done.stderr
    one.wait_until(lambda: learned(one) == A)
    new = one.sim.add("new", imei=B)
    plugged += [stick("1-1.1", one.lines["m0"]), stick("1-1.2", new)]
    one.gateway.bus.publish(notice(new))
    one.wait_until(lambda: len(found(one)) == 2)
    own, other = found(one)
    assert own["used_as"] == "m0"
    assert own["revision"] == other["revision"] != ""
    lines = cli(one, "modem", "found").stdout.splitlines()
    assert [line.partition("; ")[0] for line in lines[1::2]] == [
        "\tits driver, option, is one for modems"
    ] * 2
    assert all(line.endswith(f"firmware {own['revision']}") for line in lines[1::2])


def test_where_only_a_new_modem_is_there_the_advice_is_to_use_it(gateway):
    plugged = []
    one = gateway(modems=(), on_desk=True, sticks=lambda: tuple(plugged))

    def advice():
        return next(check["advice"] for check in one.gateway.diagnose() if check["name"] == "modems")

    assert "otppi modem add" in advice()
    new = one.sim.add("new", imei=B)
    plugged.append(stick("1-1.2", new))
    one.gateway.bus.publish(notice(new))
    one.wait_until(lambda: "otppi modem use" in advice())


def test_a_clone_can_be_used_beside_the_modem_whose_imei_it_has(device):
    one, plugged = device
    one.wait_until(lambda: learned(one) == A)
    clone = one.sim.add("clone", imei=A)
    plugged += [stick("1-1.1", one.lines["m0"]), stick("1-1.2", clone)]
    one.gateway.bus.publish(notice(clone))
    one.wait_until(lambda: len(found(one)) == 2)
    (problem,) = [check for check in one.gateway.diagnose() if check["name"] == "modem ports"]
    assert A[:14] not in problem["finding"]
    assert "leave each where it is" in problem["finding"]
    assert cli(one, "modem", "use", str(clone.path), "--name", "second").exit_code == 0
    one.wait_until(lambda: one.state("second") == "ready")
