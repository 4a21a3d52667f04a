"""What of the device is to be reached from outside, as the firewall needs to know it."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

ACCESS_POINT: Final = "access-point"
# Every network but mobile internet, which is the internet.
NEAR: Final = "near"

_DNS = 53
_DHCP_SERVER, _DHCP_CLIENT, _DHCPV6_CLIENT = 67, 68, 546
_MDNS = 5353


@dataclass(frozen=True, kw_only=True)
class AccessPoint:
    """The device's own Wi-Fi."""

    interface: str
    address: IPv4Address
    portal_port: int  # answers the probes of phones that look for a captive portal
    forwards: bool  # whether those that join reach further than the device


@dataclass(frozen=True, kw_only=True)
class Need:
    """A port that no entry of the owner's closes."""

    protocol: str
    port: int
    whose: str
    reached_from: str  # NEAR or ACCESS_POINT


@dataclass(frozen=True, kw_only=True)
class Services:
    """Ports and interfaces that the settings of other parts ask for."""

    admin_ports: tuple[int, ...]
    api_ports: tuple[int, ...]
    access_point: AccessPoint | None
    smtp_ports: tuple[int, ...] = ()
    ethernet: str = "eth0"  # the interface that owners call so
    mdns: bool = True

    @property
    def portal_ports(self) -> tuple[int, ...]:
        """The port of the captive portal, unless it is open to everybody for another reason."""
        if self.access_point is None or self.access_point.portal_port in (
            *self.admin_ports,
            *self.api_ports,
            *self.smtp_ports,
        ):
            return ()
        return (self.access_point.portal_port,)

    def needed(self) -> Iterator[Need]:
        """Name every port that is open whatever the owner enters."""
        yield from (_near("tcp", port, "the admin pages") for port in self.admin_ports)
        yield from (_near("tcp", port, "the API") for port in self.api_ports)
        yield from (_near("tcp", port, "the local SMTP server") for port in self.smtp_ports)
        if self.mdns:
            yield _near("udp", _MDNS, "the device's name in the network")
        yield _near("udp", _DHCP_CLIENT, "the device's own address by DHCP")
        yield _near("udp", _DHCPV6_CLIENT, "the device's own address by DHCP")
        if self.access_point is not None:
            yield _joined("tcp", self.access_point.portal_port, "the access point's first page")
            yield _joined("udp", _DHCP_SERVER, "DHCP on the access point")
            yield _joined("udp", _DNS, "DNS on the access point")
            yield _joined("tcp", _DNS, "DNS on the access point")


def _near(protocol: str, port: int, whose: str) -> Need:
    return Need(protocol=protocol, port=port, whose=whose, reached_from=NEAR)


def _joined(protocol: str, port: int, whose: str) -> Need:
    return Need(protocol=protocol, port=port, whose=whose, reached_from=ACCESS_POINT)
