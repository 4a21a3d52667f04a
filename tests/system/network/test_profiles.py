from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from otppi.model.network import AccessPointPlan, AddressRange, DhcpPlan, EthernetPlan, NetworkPlan
from otppi.system.network.profiles import (
    Abilities,
    abilities,
    access_point_profile,
    differs,
    ethernet_profile,
    profiles_of,
)

DHCP = DhcpPlan(
    domain="otppi.example",
    router=IPv4Address("192.168.0.11"),
    name_servers=(IPv4Address("192.168.0.11"),),
    netmask=IPv4Address("255.255.255.0"),
    default_lease_s=600,
    ranges=(
        AddressRange(first=IPv4Address("192.168.0.40"), last=IPv4Address("192.168.0.99")),
        AddressRange(first=IPv4Address("192.168.0.120"), last=IPv4Address("192.168.0.199")),
    ),
)
ACCESS_POINT = AccessPointPlan(
    interface="wlan0",
    ssid="OTP-Pi ünï",
    passphrase="invented passphrase",
    allows_wpa3=True,
    band="bg",
    channel=6,
    country="ID",
    address=IPv4Interface("192.168.0.11/24"),
    forwards=False,
    dhcp=DHCP,
)
STATIC = EthernetPlan(
    interface="eth0",
    address=IPv4Interface("192.0.2.10/24"),
    gateway=IPv4Address("192.0.2.1"),
    name_servers=(IPv4Address("192.0.2.53"),),
)
BY_DHCP = replace(STATIC, address=None, gateway=None)
OLD, NEW = Abilities(), Abilities(sets_dhcp_range=True)


def access_point(plan=ACCESS_POINT, able=OLD, hostname="otppi"):
    return access_point_profile(plan, able, hostname)


def test_an_access_point_is_wpa2_with_nothing_weaker():
    security = access_point()["802-11-wireless-security"]
    assert security["key-mgmt"] == "wpa-psk"
    assert (security["proto"], security["pairwise"], security["group"]) == (["rsn"], ["ccmp"], ["ccmp"])


@pytest.mark.parametrize(
    ("allows", "can", "protected_frames"), [(True, True, 2), (True, False, 1), (False, True, 1)]
)
def test_wpa3_is_offered_only_where_it_is_wanted_and_possible(allows, can, protected_frames):
    profile = access_point(replace(ACCESS_POINT, allows_wpa3=allows), Abilities(radio_can_wpa3=can))
    assert profile["802-11-wireless-security"]["pmf"] == protected_frames


def test_an_access_point_has_its_address_and_no_ipv6():
    profile = access_point()
    assert profile["ipv4"]["method"] == "shared"
    assert profile["ipv4"]["address-data"] == [{"address": "192.168.0.11", "prefix": 24}]
    assert profile["ipv6"] == {"method": "disabled"}
    assert profile["802-11-wireless"] == {
        "mode": "ap",
        "ssid": "OTP-Pi ünï".encode(),
        "band": "bg",
        "channel": 6,
    }


def test_a_channel_of_0_is_left_to_the_radio():
    assert "channel" not in access_point(replace(ACCESS_POINT, channel=0))["802-11-wireless"]


def test_networkmanager_is_told_the_first_range_only_where_it_knows_ranges():
    assert "shared-dhcp-range" not in access_point()["ipv4"]
    ipv4 = access_point(able=NEW)["ipv4"]
    assert ipv4["shared-dhcp-range"] == "192.168.0.40,192.168.0.99"
    assert ipv4["shared-dhcp-lease-time"] == 600


@pytest.mark.parametrize(("asked_s", "told_s"), [(1, 120), (7200, 7200), (10**9, 365 * 24 * 3600)])
def test_a_lease_keeps_to_what_networkmanager_takes(asked_s, told_s):
    plan = replace(ACCESS_POINT, dhcp=replace(DHCP, default_lease_s=asked_s))
    assert access_point(plan, NEW)["ipv4"]["shared-dhcp-lease-time"] == told_s


@pytest.mark.parametrize(
    "other",
    [
        access_point(hostname="another"),
        access_point(replace(ACCESS_POINT, dhcp=replace(DHCP, domain="another.example"))),
        access_point(replace(ACCESS_POINT, dhcp=replace(DHCP, ranges=DHCP.ranges[:1]))),
        access_point(replace(ACCESS_POINT, passphrase="another passphrase")),
        access_point(replace(ACCESS_POINT, channel=11)),
        access_point(replace(ACCESS_POINT, channel=0)),
        access_point(able=Abilities(radio_can_wpa3=True)),
    ],
)
def test_what_its_clients_would_notice_makes_another_profile(other):
    assert differs(access_point(), other)
    assert differs(other, access_point())


def test_a_wire_by_dhcp_keeps_its_own_name_servers():
    ipv4 = ethernet_profile(BY_DHCP)["ipv4"]
    assert ipv4 == {"method": "auto", "dns": ["192.0.2.53"], "route-metric": 100}


def test_a_static_wire_has_address_gateway_and_name_servers():
    ipv4 = ethernet_profile(STATIC)["ipv4"]
    assert ipv4["method"] == "manual"
    assert ipv4["address-data"] == [{"address": "192.0.2.10", "prefix": 24}]
    assert (ipv4["gateway"], ipv4["dns"]) == ("192.0.2.1", ["192.0.2.53"])


def test_what_networkmanager_leaves_out_is_no_difference():
    wanted = ethernet_profile(STATIC)
    present = {group: dict(values) for group, values in wanted.items()}
    del present["connection"]["autoconnect"]
    present["ipv4"]["addresses"] = [["192.0.2.10", 24, "192.0.2.1"]]
    present["ipv6"]["addr-gen-mode"] = 0
    assert not differs(present, wanted)


@pytest.mark.parametrize("left_over", [{"gateway": "192.0.2.1"}, {"dns": ["192.0.2.53"]}])
def test_what_is_left_of_an_older_plan_is_a_difference(left_over):
    wanted = ethernet_profile(replace(BY_DHCP, name_servers=()))
    present = {**wanted, "ipv4": wanted["ipv4"] | left_over}
    assert differs(present, wanted)


def test_parts_that_are_left_alone_have_no_profile():
    assert profiles_of(NetworkPlan(hostname="otppi", access_point=None, ethernet=None), OLD) == []
    both = profiles_of(NetworkPlan(hostname="otppi", access_point=ACCESS_POINT, ethernet=STATIC), OLD)
    assert [one["connection"]["id"] for one in both] == ["otppi-ethernet", "otppi-access-point"]
    assert len({one["connection"]["uuid"] for one in both}) == 2


@pytest.mark.parametrize(
    ("version", "knows"),
    [("1.42.4", False), ("1.52.1", True), ("1.52", True), ("2.0.0", True), ("odd", False)],
)
def test_ranges_are_known_from_1_52_on(version, knows):
    assert abilities(version, radio_can_wpa3=False).sets_dhcp_range is knows


def test_a_passphrase_is_not_in_the_words_of_a_plan():
    assert "invented" not in repr(ACCESS_POINT)
