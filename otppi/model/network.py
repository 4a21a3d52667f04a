"""The network of the device: what it is meant to be (a plan) and what it is (a state)."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


@dataclass(frozen=True, kw_only=True)
class AddressRange:
    """Addresses from the first to the last, both included."""

    first: IPv4Address
    last: IPv4Address


@dataclass(frozen=True, kw_only=True)
class DhcpPlan:
    """What the device tells those that join its access point."""

    domain: str  # empty for none
    router: IPv4Address
    name_servers: tuple[IPv4Address, ...]
    netmask: IPv4Address
    default_lease_s: int
    ranges: tuple[AddressRange, ...]


@dataclass(frozen=True, kw_only=True)
class AccessPointPlan:
    """The device's own Wi-Fi."""

    interface: str  # wlan0
    ssid: str
    passphrase: str = field(repr=False)  # 8 to 63 characters
    allows_wpa3: bool  # WPA3 beside WPA2, used only where the radio can do it
    band: str  # bg or a
    channel: int  # 0 leaves it to the radio
    country: str  # ISO 3166-1 alpha-2
    address: IPv4Interface
    forwards: bool  # whether those that join reach further than the device
    dhcp: DhcpPlan


@dataclass(frozen=True, kw_only=True)
class EthernetPlan:
    """The wired network."""

    interface: str  # eth0
    address: IPv4Interface | None  # None: DHCP
    gateway: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]  # with DHCP these come before those of the lease


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """Everything that is asked of the network; None where it is left alone."""

    hostname: str
    access_point: AccessPointPlan | None
    ethernet: EthernetPlan | None


@dataclass(frozen=True, kw_only=True)
class InterfaceState:
    """A network interface as it really is at one moment."""

    interface: str
    kind: str  # ethernet, wifi, ppp or another word of the system
    state: str  # activated, disconnected, unavailable, unmanaged, ... as NetworkManager names it
    profile: str  # name of the active profile, or empty
    addresses: tuple[IPv4Interface, ...]
    gateway: IPv4Address | None
    name_servers: tuple[str, ...]
    has_carrier: bool | None  # None where it is unknown
    ssid: str = ""
    mode: str = ""  # ap, infrastructure, ... of Wi-Fi
    security: str = ""  # wpa2, wpa3 or both, of an access point
    channel: int = 0
    by_dhcp: bool = False

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """The networks it is in."""
        return tuple(address.network for address in self.addresses)


@dataclass(frozen=True, kw_only=True)
class NetworkState:
    """The network as it really is."""

    hostname: str
    interfaces: tuple[InterfaceState, ...]
    wifi_enabled: bool | None
    radio_can_wpa3: bool | None
    country: str  # the regulatory domain in force; 00 is the world's, empty is unknown

    def of(self, interface: str) -> InterfaceState | None:
        """Return an interface by its name."""
        return next((one for one in self.interfaces if one.interface == interface), None)
