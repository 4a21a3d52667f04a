"""The addresses that this machine has, read without any rights."""

import fcntl
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from otppi.ddns.outcome import Address

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_NAME_BYTES = 16  # linux/if.h: IFNAMSIZ
_ADDRESS_AT = slice(20, 24)  # in struct ifreq: after the name, the family and a port
_SOMEWHERE = ("192.0.2.1", 9)  # of the examples in manuals, so on no network of ours
_IPV6_TABLE = Path("/proc/net/if_inet6")
# linux/if_addr.h: addresses that go soon (temporary, deprecated) or cannot be used (DAD failed, tentative).
_PASSING = 0x01 | 0x20 | 0x08 | 0x40


def addresses_of(interface: str) -> Iterator[Address]:
    """Yield the first IPv4 address of an interface and its IPv6 addresses that stay; nothing if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = interface.encode().ljust(2 * _NAME_BYTES, b"\0")
        with suppress(OSError):  # there is no such interface, or it has no IPv4 address
            yield IPv4Address(fcntl.ioctl(any_socket, _SIOCGIFADDR, request)[_ADDRESS_AT])
    yield from ipv6_addresses(_IPV6_TABLE, interface)


def own_address() -> IPv4Address | None:
    """Return the IPv4 address by which this machine goes to the internet, None if it has no way there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        any_socket.connect(_SOMEWHERE)  # chooses the way; nothing is sent
        return IPv4Address(any_socket.getsockname()[0])
    return None


def ipv6_addresses(table: Path, interface: str) -> Iterator[IPv6Address]:
    """Yield the addresses of an interface that stay, as the kernel's table has them."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return  # a kernel without IPv6
    for line in lines:
        address, _, _, _, flags, name = line.split()
        if name == interface and not int(flags, 16) & _PASSING:
            yield IPv6Address(bytes.fromhex(address))
