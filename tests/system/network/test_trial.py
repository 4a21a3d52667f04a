from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from otppi.model.network import InterfaceState, NetworkPlan
from otppi.system.network.trial import new_address, proves
from tests.system.network.test_profiles import ACCESS_POINT, BY_DHCP, STATIC

OLD = NetworkPlan(hostname="otppi", access_point=ACCESS_POINT, ethernet=STATIC)
MOVED_WIRE = replace(OLD, ethernet=replace(STATIC, address=IPv4Interface("198.51.100.5/24")))
MOVED_WIFI = replace(OLD, access_point=replace(ACCESS_POINT, address=IPv4Interface("192.168.50.11/24")))
TO_DHCP = replace(OLD, ethernet=BY_DHCP)
LEASED = InterfaceState(
    interface="eth0",
    kind="ethernet",
    state="activated",
    profile="otppi-ethernet",
    addresses=(IPv4Interface("203.0.113.7/24"),),
    gateway=None,
    name_servers=(),
    has_carrier=True,
)


@pytest.mark.parametrize(
    ("plan", "address"),
    [
        (MOVED_WIRE, "198.51.100.5"),
        (MOVED_WIFI, "192.168.50.11"),
        (TO_DHCP, ""),
        (replace(OLD, access_point=replace(ACCESS_POINT, ssid="Other")), "192.168.0.11"),
        (replace(OLD, access_point=None, ethernet=None), ""),
        (replace(MOVED_WIFI, ethernet=BY_DHCP), "192.168.50.11"),
    ],
)
def test_it_is_confirmed_at_what_is_new(plan, address):
    assert new_address(plan, OLD) == address


@pytest.mark.parametrize("arrived_at", ["198.51.100.5", "::ffff:198.51.100.5", "192.168.0.11"])
def test_a_planned_address_proves_it(arrived_at):
    assert proves(MOVED_WIRE, arrived_at, ())


@pytest.mark.parametrize(
    "arrived_at", ["192.0.2.10", "127.0.0.1", "::1", "", "otppi.local", "fe80::1%eth0", "203.0.113.7"]
)
def test_another_address_proves_nothing(arrived_at):
    assert not proves(MOVED_WIRE, arrived_at, (LEASED,))


def test_with_dhcp_any_present_address_proves_it():
    assert proves(TO_DHCP, "203.0.113.7", (LEASED,))
    assert not proves(TO_DHCP, "203.0.113.8", (LEASED,))
    assert not proves(TO_DHCP, "127.0.0.1", (LEASED,))
