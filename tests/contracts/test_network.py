"""What every `Network` does, simulated or real."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from otppi.contracts.host import Network
from otppi.lib.clock import SystemClock
from otppi.model.errors import HostRefused
from otppi.model.network import EthernetPlan, NetworkPlan
from otppi.sim.host import SimNetwork
from tests.system.network.nm_rig import DriverProcess, NetworkManagerRig, wait_for

PLAN = NetworkPlan(
    hostname="otppi",
    access_point=None,
    ethernet=EthernetPlan(
        interface="eth0",
        address=IPv4Interface("192.0.2.10/24"),
        gateway=IPv4Address("192.0.2.1"),
        name_servers=(IPv4Address("192.0.2.53"), IPv4Address("198.51.100.53")),
    ),
)
OTHER = replace(PLAN, ethernet=replace(PLAN.ethernet, address=IPv4Interface("198.51.100.5/24"), gateway=None))


@pytest.fixture(params=["simulated", "NetworkManager"])
def network(request, tmp_path):
    if request.param == "simulated":
        yield SimNetwork(SystemClock(), lambda _: None)
        return
    rig = NetworkManagerRig(tmp_path)
    driver = DriverProcess(rig.bus.address)
    try:
        wait_for(lambda: driver.state().of("eth0") is not None)
        yield driver
    finally:
        driver.stop()
        rig.stop()


def addresses(network: Network):
    return [str(address) for address in network.state().of("eth0").addresses]


class TestNetwork:
    def test_what_was_applied_is_what_is(self, network):
        network.apply(PLAN)
        state = network.state()
        wire = state.of("eth0")
        assert state.hostname == "otppi"
        assert (wire.kind, wire.state, wire.profile) == ("ethernet", "activated", "otppi-ethernet")
        assert wire.addresses == (IPv4Interface("192.0.2.10/24"),)
        assert wire.gateway == IPv4Address("192.0.2.1")
        assert wire.name_servers == ("192.0.2.53", "198.51.100.53")
        assert (wire.has_carrier, wire.by_dhcp) == (True, False)

    def test_a_plan_can_be_applied_again_and_replaced(self, network):
        network.apply(PLAN)
        network.apply(PLAN)
        network.apply(OTHER)
        assert addresses(network) == ["198.51.100.5/24"]
        assert network.state().of("eth0").gateway is None

    def test_a_wire_that_is_not_planned_is_left_alone(self, network):
        network.apply(PLAN)
        network.apply(replace(PLAN, hostname="renamed", ethernet=None))
        assert addresses(network) == ["192.0.2.10/24"]
        assert network.state().hostname == "renamed"

    def test_a_kept_trial_lasts(self, network):
        network.apply(PLAN)
        trial = network.begin_trial(60)
        network.apply(OTHER)
        network.keep(trial)
        assert addresses(network) == ["198.51.100.5/24"]

    def test_a_trial_is_taken_back(self, network):
        network.apply(PLAN)
        trial = network.begin_trial(60)
        network.apply(OTHER)
        network.take_back(trial)
        assert addresses(network) == ["192.0.2.10/24"]

    def test_a_trial_that_nobody_ends_comes_back_by_itself(self, network):
        network.apply(PLAN)
        trial = network.begin_trial(1)
        network.apply(OTHER)
        wait_for(lambda: addresses(network) == ["192.0.2.10/24"])
        with pytest.raises(HostRefused):
            network.keep(trial)

    def test_a_trial_ends_once(self, network):
        trial = network.begin_trial(60)
        network.keep(trial)
        with pytest.raises(HostRefused):
            network.keep(trial)
        with pytest.raises(HostRefused):
            network.take_back(trial)

    def test_there_is_one_trial_at_a_time(self, network):
        network.apply(PLAN)
        network.begin_trial(60)
        with pytest.raises(HostRefused):
            network.begin_trial(60)
