from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from otppi.lib.clock import SystemClock
from otppi.model.checks import Level
from otppi.model.network import NetworkPlan
from otppi.sim.host import SimNetwork
from otppi.system.network.diagnosis import look_at
from tests.system.network.test_profiles import ACCESS_POINT, BY_DHCP, STATIC

PLAN = NetworkPlan(hostname="otppi", access_point=ACCESS_POINT, ethernet=STATIC)


def state_with(plan=PLAN, **changes):
    """A state as planned, but for what is changed of one interface, named by `of`, or of the whole."""
    network = SimNetwork(SystemClock(), lambda _: None)
    network.apply(plan)
    state, name = network.state(), changes.pop("of", None)
    if name is None:
        return replace(state, **changes)
    interfaces = [replace(one, **changes) if one.interface == name else one for one in state.interfaces]
    return replace(state, interfaces=tuple(interfaces))


@pytest.mark.parametrize(
    ("state", "name", "level", "words"),
    [
        (state_with(), "access point", Level.GREEN, "OTP-Pi ünï at 192.168.0.11/24, channel 6"),
        (state_with(interfaces=()), "access point", Level.RED, "there is no wlan0"),
        (state_with(wifi_enabled=False), "access point", Level.RED, "blocked"),
        (state_with(of="wlan0", state="unavailable"), "access point", Level.RED, "not ready"),
        (state_with(of="wlan0", state="disconnected"), "access point", Level.RED, "not up (disconnected)"),
        (state_with(of="wlan0", mode="infrastructure"), "access point", Level.RED, "not up"),
        (state_with(of="wlan0", ssid="Other"), "access point", Level.YELLOW, "is called Other"),
        (state_with(of="wlan0", channel=11), "access point", Level.YELLOW, "channel 11, not 6"),
        (state_with(of="wlan0", addresses=()), "access point", Level.YELLOW, "another address"),
        (state_with(country="00"), "Wi-Fi country", Level.YELLOW, "00 is in force, ID is set"),
        (state_with(country=""), "Wi-Fi country", Level.YELLOW, "unknown is in force"),
        (state_with(), "Ethernet", Level.GREEN, "192.0.2.10/24, gateway 192.0.2.1"),
        (state_with(interfaces=()), "Ethernet", Level.RED, "there is no eth0"),
        (state_with(of="eth0", has_carrier=False), "Ethernet", Level.YELLOW, "no link"),
        (state_with(of="eth0", state="activating"), "Ethernet", Level.RED, "not up (activating)"),
        (state_with(of="eth0", gateway=None), "Ethernet", Level.YELLOW, "no gateway"),
        (
            state_with(of="eth0", addresses=(IPv4Interface("203.0.113.7/24"),)),
            "Ethernet",
            Level.RED,
            "another address than 192.0.2.10/24",
        ),
    ],
)
def test_what_is_found_is_said_with_advice(state, name, level, words):
    (check,) = [one for one in look_at(PLAN, state) if one.name == name]
    assert check.level is level
    assert words in check.finding
    assert bool(check.advice) is (level is not Level.GREEN)


def test_a_wire_that_waits_for_dhcp_points_to_the_router():
    plan = replace(PLAN, ethernet=BY_DHCP)
    (check,) = [
        one for one in look_at(plan, state_with(of="eth0", state="activating")) if one.name == "Ethernet"
    ]
    assert "router" in check.advice


def test_what_is_not_planned_is_not_looked_at():
    nothing = NetworkPlan(hostname="otppi", access_point=None, ethernet=None)
    assert [one.name for one in look_at(nothing, state_with(interfaces=()))] == ["network service"]


def test_a_plan_that_could_not_be_made_so_is_yellow():
    check = look_at(PLAN, state_with(), trouble="eth0 did not come up")[0]
    assert (check.level, check.finding) == (Level.YELLOW, "eth0 did not come up")
