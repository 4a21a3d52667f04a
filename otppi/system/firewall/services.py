"""What of the device is to be reached from outside, as the firewall needs to know it."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

_DNS = 53
_DHCP_SERVER = 67
_MDNS = 5353


@dataclass(frozen=True, kw_only=True)
class AccessPoint:
    """The device's own Wi-Fi."""

    interface: str
    address: IPv4Address
    portal_port: int  # answers the probes of phones that look for a captive portal
    forwards: bool  # whether those that join reach further than the device


@dataclass(frozen=True, kw_only=True)
class Services:
    """Ports and interfaces that the settings of other parts ask for."""

    admin_ports: tuple[int, ...]
    api_ports: tuple[int, ...]
    access_point: AccessPoint | None
    ethernet: str = "eth0"  # the interface that owners call so
    mdns: bool = True

    @property
    def portal_ports(self) -> tuple[int, ...]:
        """The port of the captive portal, unless it is open to everybody for another reason."""
        if self.access_point is None or self.access_point.portal_port in (*self.admin_ports, *self.api_ports):
            return ()
        return (self.access_point.portal_port,)

    def needed(self) -> Iterator[tuple[str, int, str]]:
        """Name every port that no owner's entry closes: protocol, port, and whose it is."""
        yield from (("tcp", port, "the admin pages") for port in self.admin_ports)
        yield from (("tcp", port, "the API") for port in self.api_ports)
        if self.mdns:
            yield "udp", _MDNS, "the device's name in the network"
        if self.access_point is not None:
            yield "tcp", self.access_point.portal_port, "the access point's first page"
            yield "udp", _DHCP_SERVER, "DHCP on the access point"
            yield "udp", _DNS, "DNS on the access point"
            yield "tcp", _DNS, "DNS on the access point"
