"""Modems that the network leaves, refuses, or takes as a guest."""

import pytest
from click.testing import CliRunner

import otppi.modems.modem
from otppi.services.cli import main
from otppi.sim.faults import Faults
from otppi.sim.personality import parse_personality
from tests.gateway_under_test import Sim


@pytest.fixture(autouse=True)
def asked_often(monkeypatch):
    monkeypatch.setattr(otppi.modems.modem, "_PROBE_INTERVAL_S", 0.2)
    monkeypatch.setattr(otppi.modems.modem, "_SEARCH_INTERVAL_S", 0.2)


def registered(state):
    """A personality whose networks all answer with this state (3GPP TS 27.007, 7.2)."""
    networks = ("+CREG", "+CEREG", "+CGREG")
    return parse_personality(
        f"registered{state}", "\n".join(f"AT{one}?  {one}: 0,{state}" for one in networks)
    )


def modem_list(one):
    done = CliRunner().invoke(main, ["modem", "list", "--state-dir", str(one.state_dir)])
    assert done.exit_code == 0, done.output
    return {line.split("\t")[0]: line.split("\t")[2] for line in done.stdout.splitlines()}


def diagnosis(one, name):
    return next(check for check in one.gateway.diagnose() if check["name"] == f"modem {name}")


def sends(one):
    return one.call("send-sms", receiver="081200000001", message="x").code == "0000"


def test_the_messages_of_a_modem_that_loses_the_network_go_to_another_until_it_is_back(gateway):
    one = gateway(modems=(Sim(name="m0", default=True), Sim(name="m1")))
    lost, other = one.lines["m0"], one.lines["m1"]
    assert sends(one)
    assert (len(lost.sent), len(other.sent)) == (1, 0)

    lost.set_faults(Faults(no_network=True))
    one.wait_until(lambda: one.state("m0") == "searching")
    assert modem_list(one)["m0"] == "searching (searching for a network)"
    tried = len(lost.ctrl_z_times)
    assert sends(one)
    assert len(other.sent) == 1
    assert len(lost.ctrl_z_times) == tried

    lost.set_faults(Faults())
    one.wait_until(lambda: one.state("m0") == "ready")
    assert sends(one)
    assert (len(lost.sent), len(other.sent)) == (2, 1)


def test_a_modem_that_the_network_denies_says_so(gateway):
    # Switched on later: the start of the gateway waits for those that are on to become ready.
    one = gateway(modems=(Sim(name="m0"), Sim(name="denied", personality=registered(3), active=False)))
    one.gateway.store.set_path("modems.denied.active", True)
    one.wait_until(lambda: one.state("denied") == "searching")
    assert modem_list(one)["denied"] == "searching (denied by the network)"
    check = diagnosis(one, "denied")
    assert (check["level"], check["finding"]) == ("red", "searching: denied by the network")
    assert sends(one)
    assert len(one.lines["m0"].sent) == 1


def test_a_modem_in_a_foreign_network_works_and_warns(gateway):
    one = gateway(modems=(Sim(name="m0", personality=registered(5)),))
    assert modem_list(one)["m0"] == "ready, registered, roaming"
    check = diagnosis(one, "m0")
    assert check["level"] == "yellow"
    assert check["finding"].endswith("roaming")
    assert sends(one)
