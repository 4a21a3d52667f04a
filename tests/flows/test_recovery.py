"""Modems that hang, each curable by something else, beside one that does not."""

import time
from dataclasses import replace

import pytest

import otppi.modems.modem
from otppi.model.events import ModemStateChanged
from otppi.model.modems import ModemState
from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.sim.faults import Faults
from otppi.sim.personality import load_personality
from tests.gateway_under_test import Sim

IMEIS = {
    "drains": "490154203237518",
    "restarts": "356938035643809",
    "replugs": "353918052107093",
    "dead": "353879234252633",
    "healthy": "359881030314356",
}
CONVERTER = UsbId(vendor=0x0403, product=0x6001)
NOTICED_S, HEALED_S = 20.0, 90.0


class Story:
    """Who became what, and when."""

    def __init__(self, bus):
        self._began_s = time.monotonic()
        self.told = []
        bus.subscribe("story", self._take, ModemStateChanged)

    def _take(self, event):
        self.told.append((event.modem_name, event.state, time.monotonic() - self._began_s))

    def first_s(self, name, state):
        return next((at_s for one, what, at_s in self.told if (one, what) == (name, state)), None)

    def states(self, name):
        return [what for one, what, _ in self.told if one == name]


@pytest.fixture
def rack(gateway):
    replugged = []

    def restart_usb(place):
        replugged.append(place)
        if place == "1-replugs":
            one.lines["replugs"].set_faults(Faults())

    def sticks():
        return tuple(
            Stick(place=f"1-{name}", usb=CONVERTER, ports=(SerialPort(node=str(one.lines[name].path)),))
            for name in IMEIS
        )

    one = gateway(
        modems=tuple(Sim(name=name, imei=imei, default=name == "healthy") for name, imei in IMEIS.items()),
        on_desk=True,
        sticks=sticks,
        restart_usb=restart_usb,
    )
    return one, replugged


def test_each_modem_is_brought_back_by_what_it_takes_and_the_others_go_on(rack, record_property):
    one, replugged = rack
    story = Story(one.gateway.bus)
    one.lines["drains"].set_faults(Faults(hung=True))
    one.lines["restarts"].set_faults(Faults(hung=True, hears_restart=True))
    for name in ("replugs", "dead"):
        one.lines[name].set_faults(Faults(hung=True))
    sent = 0
    while len([name for name, state, _ in story.told if state is ModemState.HUNG]) < 4:
        assert one.call("send-sms", receiver="081200000001", message="meanwhile").code in {"0000", "1408"}
        sent += 1
    one.lines["drains"].set_faults(Faults())
    one.wait_until(lambda: one.state("restarts") == "ready", timeout_s=HEALED_S)
    assert replugged == []
    one.wait_until(lambda: one.state("replugs") == "ready", timeout_s=HEALED_S)
    one.wait_until(lambda: one.state("dead") == "failed", timeout_s=HEALED_S)
    assert one.state("drains") == "ready"
    assert set(replugged) == {"1-replugs", "1-dead"}
    assert story.states("healthy") == []
    for name in ("drains", "restarts", "replugs", "dead"):
        assert story.first_s(name, ModemState.HUNG) < NOTICED_S
    healed = {name: story.first_s(name, ModemState.READY) for name in ("drains", "restarts", "replugs")}
    record_property("healed_s", healed)
    assert max(healed.values()) < HEALED_S
    check = next(one for one in one.gateway.diagnose() if one["name"] == "modem dead")
    assert check["level"] == "red"
    assert "failed" in check["finding"]


def restarts(line):
    return b"".join(data for _, way, data in line.log if way == "in").count(b"AT+CFUN=1,1\r")


def test_a_sim_that_does_not_answer_costs_one_restart_and_is_then_left_to_a_person(gateway, monkeypatch):
    monkeypatch.setattr(otppi.modems.modem, "_SIM_RETRY_S", 0.5)
    dead = replace(load_personality("generic"), answers={"+CPIN?": ("+CME ERROR: 13",)})
    one = gateway(modems=(Sim(name="m0", personality=dead, pin="1234"),))
    one.wait_until(lambda: one.state("m0") == "SIM needs attention")
    one.wait_until(lambda: restarts(one.lines["m0"]) == 1)
    asked = one.lines["m0"].at_commands
    one.wait_until(lambda: one.lines["m0"].at_commands > asked + 30)
    assert restarts(one.lines["m0"]) == 1
    assert one.state("m0") == "SIM needs attention"


def test_a_modem_that_hangs_while_its_sim_waits_is_noticed(gateway, monkeypatch):
    monkeypatch.setattr(otppi.modems.modem, "_PROBE_INTERVAL_S", 0.2)
    one = gateway(modems=(Sim(name="m0", pin="1234"),))
    story = Story(one.gateway.bus)
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    one.lines["m0"].set_faults(Faults(hung=True))
    one.wait_until(lambda: one.state("m0") == "recovering")
    one.lines["m0"].set_faults(Faults())
    one.wait_until(lambda: one.state("m0") == "PIN needed", timeout_s=30)
    assert ModemState.STARTING not in story.states("m0")
    assert one.lines["m0"].card.pin_tries_left == 3
