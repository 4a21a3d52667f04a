"""What NetworkManager reports, in the words of the product."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Final

from otppi.model.network import InterfaceState
from otppi.system.network.profiles import WITHOUT_PROTECTED_FRAMES

_KINDS: Final[Mapping[int, str]] = {
    1: "ethernet",
    2: "wifi",
    8: "modem",
    13: "bridge",
    16: "tunnel",
    # A virtual cable behaves like a real one.
    20: "ethernet",
    22: "dummy",
    23: "ppp",
    29: "wireguard",
}
# The loopback, and the shadow that a radio has for Wi-Fi Direct: no owner knows them.
_NOT_SHOWN: Final = frozenset({30, 32})
_STATES: Final[Mapping[int, str]] = {
    0: "unknown",
    10: "unmanaged",
    20: "unavailable",
    30: "disconnected",
    **dict.fromkeys((40, 50, 60, 70, 80, 90), "activating"),
    100: "activated",
    110: "deactivating",
    120: "failed",
}
_MODES: Final[Mapping[int, str]] = {1: "adhoc", 2: "infrastructure", 3: "ap", 4: "mesh"}
_HAS_CARRIER: Final = 0x10000


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One device as NetworkManager reports it, in its own words."""

    interface: str
    kind: int
    state: int
    flags: int | None
    profile: str = ""
    addresses: tuple[Mapping[str, Any], ...] = ()
    gateway: str = ""
    name_servers: tuple[Mapping[str, Any], ...] = ()
    by_dhcp: bool = False
    mode: int = 0
    ssid: str = ""
    frequency_mhz: int = 0
    protected_frames: int = 0
    key_management: str = ""


def is_shown(kind: int) -> bool:
    """Whether a device of this type belongs into a state."""
    return kind not in _NOT_SHOWN


def interface_state(device: Reported, *, radio_can_wpa3: bool) -> InterfaceState:
    """Return what NetworkManager reports of a device in the words of the product."""
    return InterfaceState(
        interface=device.interface,
        kind=_KINDS.get(device.kind, f"type {device.kind}"),
        state=_STATES.get(device.state, f"state {device.state}"),
        profile=device.profile,
        addresses=tuple(_addresses(device.addresses)),
        gateway=IPv4Address(device.gateway) if device.gateway else None,
        name_servers=tuple(str(one["address"]) for one in device.name_servers if "address" in one),
        has_carrier=None if device.flags is None else bool(device.flags & _HAS_CARRIER),
        ssid=device.ssid,
        mode=_MODES.get(device.mode, "") if device.ssid else "",
        security=_security(device, radio_can_wpa3=radio_can_wpa3),
        channel=channel_of(device.frequency_mhz),
        by_dhcp=device.by_dhcp,
    )


def _addresses(reported: Iterable[Mapping[str, Any]]) -> Iterable[IPv4Interface]:
    return (IPv4Interface(f"{one['address']}/{int(one['prefix'])}") for one in reported)


def _security(device: Reported, *, radio_can_wpa3: bool) -> str:
    if device.key_management == "sae":
        return "wpa3"
    if device.key_management != "wpa-psk":
        return device.key_management
    is_offered = radio_can_wpa3 and device.protected_frames != WITHOUT_PROTECTED_FRAMES
    return "wpa2 and wpa3" if is_offered else "wpa2"


def channel_of(frequency_mhz: int) -> int:
    """Return the number of a Wi-Fi channel, 0 where there is none."""
    if frequency_mhz == 2484:
        return 14
    if 2412 <= frequency_mhz <= 2472:
        return (frequency_mhz - 2407) // 5
    if 5160 <= frequency_mhz <= 5885:
        return (frequency_mhz - 5000) // 5
    return 0


_REASONS: Final[Mapping[int, str]] = {
    4: "the settings were not accepted by the network interface",
    5: "no address came by DHCP, or the address cannot be used",
    6: "the address of the DHCP server ran out",
    7: "the passphrase is missing",
    8: "the Wi-Fi service ended it",
    9: "the Wi-Fi service did not accept the settings; often the channel is not allowed in this country",
    10: "the Wi-Fi service failed; often the radio cannot be an access point on this channel",
    11: "the Wi-Fi service did not answer in time",
    15: "the DHCP client did not start",
    16: "the DHCP client failed",
    17: "no DHCP server answered",
    18: "the address server of the access point did not start",
    19: "the address server of the access point failed",
    35: "the firmware of the radio is missing",
    36: "the network interface was removed",
    37: "the network is switched off",
    38: "the profile was removed",
    39: "it was switched off",
    40: "there is no link; is the cable plugged in?",
    60: "another change came in between",
    64: "another device on the network has this address",
}


def reason_text(reason: int) -> str:
    """Say in words why NetworkManager gave up on a device."""
    return _REASONS.get(reason, f"NetworkManager's reason {reason}")
