from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from otppi.model.errors import SettingsError
from otppi.model.network import InterfaceState, NetworkState
from otppi.system.network.addresses import default_range
from otppi.system.network.planning import Born, lan_conflict, notes, plan
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings

BORN = Born(ssid="OTP-Pi-TEST", passphrase="abcd-efgh-jkmn")


def planned(wlan=None, dhcp=None, ethernet=None, network=None):
    return plan(
        wlan or WlanSettings(),
        dhcp or DhcpSettings(),
        ethernet or EthernetSettings(),
        network or NetworkSettings(),
        BORN,
    )


def refused(**settings) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        planned(**settings)
    return caught.value.errors


def static(address, **more):
    return EthernetSettings(method="static", address=address, **more)


def ranges_of(made):
    return [(str(one.first), str(one.last)) for one in made.access_point.dhcp.ranges]


def state(*addresses, interface="eth0"):
    one = InterfaceState(
        interface=interface,
        kind="ethernet",
        state="activated",
        profile="",
        addresses=tuple(map(IPv4Interface, addresses)),
        gateway=None,
        name_servers=(),
        has_carrier=True,
    )
    return NetworkState(
        hostname="otppi", interfaces=(one,), wifi_enabled=True, radio_can_wpa3=None, country="ID"
    )


def test_factory_settings_are_the_documented_network():
    made = planned()
    access_point = made.access_point
    assert access_point.address == IPv4Interface("192.168.0.11/24")
    assert (access_point.ssid, access_point.passphrase) == (BORN.ssid, BORN.passphrase)
    assert not access_point.forwards
    assert ranges_of(made) == [("192.168.0.40", "192.168.0.254")]
    assert access_point.dhcp.router == IPv4Address("192.168.0.11")
    assert access_point.dhcp.name_servers == (IPv4Address("192.168.0.11"),)
    assert made.ethernet.address is None
    assert notes(made, DhcpSettings()) == ()


def test_what_the_owner_chose_comes_before_what_was_born():
    made = planned(WlanSettings(ssid="Toko", passphrase="correct horse"))
    assert (made.access_point.ssid, made.access_point.passphrase) == ("Toko", "correct horse")
    assert "correct horse" not in repr(made)
    assert BORN.passphrase not in repr(BORN)


def test_dhcp_follows_the_access_point_to_other_addresses():
    made = planned(WlanSettings(address="10.11.0.11/24"))
    assert ranges_of(made) == [("10.11.0.40", "10.11.0.254")]
    assert made.access_point.dhcp.router == IPv4Address("10.11.0.11")


@pytest.mark.parametrize(
    ("network", "first", "last"),
    [
        ("10.0.0.0/8", "10.0.0.40", "10.0.0.254"),
        ("192.168.0.0/25", "192.168.0.40", "192.168.0.126"),
        ("192.168.0.0/26", "192.168.0.32", "192.168.0.62"),
        ("192.168.0.0/30", "192.168.0.2", "192.168.0.2"),
    ],
)
def test_the_range_of_the_factory_fits_into_every_network(network, first, last):
    found = default_range(IPv4Network(network))
    assert (str(found.first), str(found.last)) == (first, last)


def test_the_smallest_network_has_room_for_one():
    assert ranges_of(planned(WlanSettings(address="192.168.0.1/30"))) == [("192.168.0.2", "192.168.0.2")]
    assert "dhcp.ranges" in refused(wlan=WlanSettings(address="192.168.0.2/30"))


def test_the_devices_own_address_is_cut_out_of_a_range_and_said():
    dhcp = DhcpSettings(ranges=("192.168.0.10-192.168.0.100", "192.168.0.110-192.168.0.200"))
    made = planned(dhcp=dhcp)
    assert ranges_of(made) == [
        ("192.168.0.10", "192.168.0.10"),
        ("192.168.0.12", "192.168.0.100"),
        ("192.168.0.110", "192.168.0.200"),
    ]
    assert notes(made, dhcp) == ("192.168.0.11 is the address of the device and is left out of the range.",)


def test_another_router_is_cut_out_and_said_too():
    dhcp = DhcpSettings(router="192.168.0.50")
    made = planned(dhcp=dhcp)
    assert ranges_of(made) == [("192.168.0.40", "192.168.0.49"), ("192.168.0.51", "192.168.0.254")]
    assert any("192.168.0.50 is the address of the router" in note for note in notes(made, dhcp))


def test_names_of_name_servers_are_said_not_to_be_sent():
    dhcp = DhcpSettings(
        domain_name_servers=("ns1.otppi.lan", "192.0.2.54"), domain_name_servers_address=("192.0.2.53",)
    )
    made = planned(dhcp=dhcp)
    assert [str(one) for one in made.access_point.dhcp.name_servers] == ["192.0.2.53", "192.0.2.54"]
    said = " ".join(notes(made, dhcp))
    assert "ns1.otppi.lan will not be" in said
    assert "192.0.2.53, 192.0.2.54 while forwarding is off" in said
    assert "forwarding" not in " ".join(notes(planned(WlanSettings(forwarding=True), dhcp), dhcp))


def test_ranges_that_touch_become_one():
    dhcp = DhcpSettings(ranges=("192.168.0.60-192.168.0.70", "192.168.0.50-192.168.0.65", "192.168.0.71"))
    assert ranges_of(planned(dhcp=dhcp)) == [("192.168.0.50", "192.168.0.71")]


@pytest.mark.parametrize(
    ("dhcp", "field", "reason"),
    [
        ({"router": "192.168.1.1"}, "dhcp.router", "not in the access point's network 192.168.0.0/24"),
        ({"router": "192.168.0.255"}, "dhcp.router", "not in the access point's network"),
        ({"router": "192.168.0.0"}, "dhcp.router", "not in the access point's network"),
        ({"netmask": "255.255.0.0"}, "dhcp.netmask", "must be 255.255.255.0"),
        ({"subnet_mask": "255.255.0.0"}, "dhcp.subnet_mask", "must be 255.255.255.0"),
        (
            {"ranges": ("192.168.0.40-192.168.1.40",)},
            "dhcp.ranges",
            "not within 192.168.0.1 to 192.168.0.254",
        ),
        ({"ranges": ("192.168.0.0-192.168.0.40",)}, "dhcp.ranges", "not within"),
        ({"ranges": ("192.168.0.40-192.168.0.255",)}, "dhcp.ranges", "not within"),
        ({"ranges": ("192.168.0.11",)}, "dhcp.ranges", "no address but those of the device"),
    ],
)
def test_what_lies_outside_the_access_point_is_refused(dhcp, field, reason):
    errors = refused(dhcp=DhcpSettings(**dhcp))
    assert errors.keys() == {field}
    assert reason in errors[field]


def test_all_mistakes_are_told_at_once():
    dhcp = DhcpSettings(router="192.168.1.1", netmask="255.0.0.0", ranges=("192.168.1.5",))
    assert refused(dhcp=dhcp).keys() == {"dhcp.router", "dhcp.netmask", "dhcp.ranges"}


@pytest.mark.parametrize("address", ["192.168.0.5/24", "192.168.0.201/29", "192.168.77.1/16", "192.168.0.11"])
def test_overlapping_networks_are_refused_on_both_sides(address):
    errors = refused(ethernet=static(address))
    assert errors.keys() == {"wlan.address", "ethernet.address"}
    assert "would have the same addresses" in errors["wlan.address"]


def test_networks_side_by_side_are_fine():
    made = planned(ethernet=static("192.168.1.5/24", gateway="192.168.1.1", dns1="8.8.8.8", dns2="8.8.8.8"))
    assert made.ethernet.address == IPv4Interface("192.168.1.5/24")
    assert made.ethernet.gateway == IPv4Address("192.168.1.1")
    assert made.ethernet.name_servers == (IPv4Address("8.8.8.8"),)


@pytest.mark.parametrize("gateway", ["192.168.2.1", "192.168.1.0", "192.168.1.255", "192.168.1.5"])
def test_a_gateway_that_cannot_be_reached_is_refused(gateway):
    assert refused(ethernet=static("192.168.1.5/24", gateway=gateway)).keys() == {"ethernet.gateway"}


def test_values_of_static_wait_while_ethernet_is_automatic():
    made = planned(ethernet=EthernetSettings(address="192.168.0.5/24", gateway="10.9.9.9", dns1="9.9.9.9"))
    assert (made.ethernet.address, made.ethernet.gateway) == (None, None)
    assert made.ethernet.name_servers == (IPv4Address("9.9.9.9"),)


@pytest.mark.parametrize("address", ["192.168.0.0/24", "192.168.0.255/24"])
def test_the_name_of_a_network_is_no_address(address):
    assert refused(wlan=WlanSettings(address=address)).keys() == {"wlan.address"}
    other = address.replace("192.168.0", "192.168.1")
    assert refused(ethernet=static(other)).keys() == {"ethernet.address"}


def test_one_interface_cannot_be_both():
    assert refused(wlan=WlanSettings(interface="eth0")).keys() == {"wlan.interface"}


def test_without_an_access_point_its_addresses_do_not_matter():
    made = planned(WlanSettings(enabled=False), DhcpSettings(router="1.2.3.4"), static("192.168.0.5/24"))
    assert made.access_point is None
    assert "access point is off" in notes(made, DhcpSettings())[0]


def test_the_hostname_is_in_small_letters():
    assert planned(network=NetworkSettings(hostname="OTP-Pi-2")).hostname == "otp-pi-2"


@pytest.mark.parametrize(
    ("lan", "offered"),
    [
        (["192.168.0.77/24"], "192.168.50.11/24"),
        (["192.168.0.77/16"], "10.11.0.11/24"),
        (["192.168.0.77/16", "10.0.0.5/8"], "172.31.11.11/24"),
    ],
)
def test_a_lan_with_the_same_addresses_is_told_with_free_ones(lan, offered):
    made = planned()
    said = lan_conflict(made, state(*lan))
    assert "eth0" in said.finding
    assert said.advice.endswith(f"wlan.address {offered}")
    moved = planned(WlanSettings(address=offered))
    assert lan_conflict(moved, state(*lan)) is None


def test_where_nothing_is_free_nothing_is_offered():
    said = lan_conflict(planned(), state("192.168.0.7/16", "10.0.0.5/8", "172.16.0.5/12"))
    assert said.advice.endswith("wlan.address ADDRESS/24")


def test_the_access_point_does_not_conflict_with_itself():
    made = planned()
    assert lan_conflict(made, state("192.168.0.11/24", interface="wlan0")) is None
    assert lan_conflict(made, state("192.168.1.5/24")) is None
    assert lan_conflict(replace(made, access_point=None), state("192.168.0.7/24")) is None
