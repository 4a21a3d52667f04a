"""A plan as NetworkManager's connection profiles.

Nothing here waits or knows D-Bus, but for two marks that say how wide a number travels.

WPA3: with `key-mgmt` wpa-psk and protected management frames not disabled, NetworkManager (1.42 as 1.52) offers WPA3
beside WPA2 by itself where supplicant and radio can do it, and WPA2 alone elsewhere; `sae` would shut out all that
know WPA2 only. Frames stay unprotected where the radio cannot do WPA3: half-capable radios lose clients otherwise.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any, Final

from otppi.model.network import AccessPointPlan, AddressRange, EthernetPlan, NetworkPlan

Profile = dict[str, dict[str, Any]]


class Unsigned(int):
    """A number that travels as 32 bits without sign."""


class Wide(int):
    """A number that travels as 64 bits with sign."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What this NetworkManager and this radio can do."""

    sets_dhcp_range: bool = False  # NetworkManager 1.52
    radio_can_wpa3: bool = False


ACCESS_POINT: Final = ("otppi-access-point", "6f0a4c1e-2d0b-5d0e-9a53-0f7b8e1c6a01")
ETHERNET: Final = ("otppi-ethernet", "6f0a4c1e-2d0b-5d0e-9a53-0f7b8e1c6a02")
ETHERNET_METRIC: Final = 100  # of the default route; mobile internet has a higher one
_FOREVER: Final = 0
_OURS_FIRST: Final = 100
WITHOUT_PROTECTED_FRAMES, _WITH_PROTECTED_FRAMES = 1, 2
_DHCP_KEY: Final = "otppi.dhcp"
_SHORTEST_LEASE_S: Final = 120
_LONGEST_LEASE_S: Final = 365 * 24 * 3600


def abilities(version: str, *, radio_can_wpa3: bool) -> Abilities:
    """Tell what can be asked of a NetworkManager of this version, such as 1.52.1."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    return Abilities(sets_dhcp_range=numbers >= [1, 52], radio_can_wpa3=radio_can_wpa3)


def profiles_of(plan: NetworkPlan, able: Abilities) -> list[Profile]:
    """Return the profiles of a plan, the wired one first: it is the one that is most likely to come up."""
    profiles = []
    if plan.ethernet is not None:
        profiles.append(ethernet_profile(plan.ethernet))
    if plan.access_point is not None:
        profiles.append(access_point_profile(plan.access_point, able, plan.hostname))
    return profiles


def access_point_profile(plan: AccessPointPlan, able: Abilities, hostname: str) -> Profile:
    """Return the profile of the device's own Wi-Fi.

    What NetworkManager's dnsmasq reads from a file of its own is in it as a fingerprint: dnsmasq starts anew only
    with the access point, so another file must make another profile.
    """
    wifi: dict[str, Any] = {"mode": "ap", "ssid": plan.ssid.encode(), "band": plan.band}
    if plan.channel:
        wifi["channel"] = Unsigned(plan.channel)
    with_wpa3 = plan.allows_wpa3 and able.radio_can_wpa3
    ipv4: dict[str, Any] = {"method": "shared", "address-data": _address_data(plan.address)}
    if able.sets_dhcp_range and plan.dhcp.ranges:
        ipv4["shared-dhcp-range"] = _range_text(plan.dhcp.ranges[0])
        lease_s = min(max(plan.dhcp.default_lease_s, _SHORTEST_LEASE_S), _LONGEST_LEASE_S)
        ipv4["shared-dhcp-lease-time"] = lease_s
    return {
        "connection": _connection(ACCESS_POINT, "802-11-wireless", plan.interface),
        "802-11-wireless": wifi,
        "802-11-wireless-security": {
            "key-mgmt": "wpa-psk",
            "psk": plan.passphrase,
            "proto": ["rsn"],
            "pairwise": ["ccmp"],
            "group": ["ccmp"],
            "pmf": _WITH_PROTECTED_FRAMES if with_wpa3 else WITHOUT_PROTECTED_FRAMES,
        },
        "ipv4": ipv4,
        "ipv6": {"method": "disabled"},
        "user": {"data": {_DHCP_KEY: _fingerprint(hostname, plan.forwards, plan.dhcp)}},
    }


def ethernet_profile(plan: EthernetPlan) -> Profile:
    """Return the profile of the wired network."""
    ipv4: dict[str, Any] = {"method": "auto", "route-metric": Wide(ETHERNET_METRIC)}
    if plan.address is not None:
        ipv4 |= {"method": "manual", "address-data": _address_data(plan.address)}
        if plan.gateway is not None:
            ipv4["gateway"] = str(plan.gateway)
    if plan.name_servers:
        ipv4["dns"] = [str(server) for server in plan.name_servers]
    return {
        "connection": _connection(ETHERNET, "802-3-ethernet", plan.interface),
        "ipv4": ipv4,
        "ipv6": {"method": "auto", "route-metric": Wide(ETHERNET_METRIC)},
    }


def _connection(name: tuple[str, str], kind: str, interface: str) -> dict[str, Any]:
    return {
        "id": name[0],
        "uuid": name[1],
        "type": kind,
        "interface-name": interface,
        "autoconnect": True,
        "autoconnect-priority": _OURS_FIRST,
        # NetworkManager's own default gives up after four tries; nobody is there to press a button.
        "autoconnect-retries": _FOREVER,
    }


def _address_data(address: IPv4Interface) -> list[dict[str, Any]]:
    return [{"address": str(address.ip), "prefix": Unsigned(address.network.prefixlen)}]


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _range_text(one: AddressRange) -> str:
    return f"{one.first},{one.last}"


# What is compared, and the value that NetworkManager means when it says nothing.
_COMPARED: Final[Mapping[str, Mapping[str, object]]] = {
    "connection": {
        "id": "",
        "type": "",
        "interface-name": "",
        "autoconnect": True,
        "autoconnect-priority": 0,
        "autoconnect-retries": -1,
    },
    "802-11-wireless": {"mode": "", "ssid": "", "band": "", "channel": 0},
    "802-11-wireless-security": {
        "key-mgmt": "",
        "psk": "",
        "proto": [],
        "pairwise": [],
        "group": [],
        "pmf": 0,
    },
    "ipv4": {
        "method": "",
        "address-data": [],
        "gateway": "",
        "dns": [],
        "route-metric": -1,
        "shared-dhcp-range": "",
        "shared-dhcp-lease-time": 0,
    },
    "ipv6": {"method": "", "route-metric": -1},
    "user": {"data": {}},
}


def differs(present: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a profile as NetworkManager has it must be written and activated anew to be as wanted."""
    return any(
        _plain(present.get(group, {}).get(key, default)) != _plain(wanted.get(group, {}).get(key, default))
        for group, keys in _COMPARED.items()
        for key, default in keys.items()
    )


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
