"""Addresses as people write them, and ranges of them."""

from collections.abc import Collection, Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError

from otppi.model.network import AddressRange

# What `192.168.0.11` alone means; the old product had the prefix in a field of its own, and this in it.
_USUAL_PREFIX = 24
_DEFAULT_FIRST = 40
_DEFAULT_LAST = 254


def read_address(text: str) -> IPv4Address:
    """Return an address.

    Raises:
        ValueError: It is none, or none that a device can have; the message says why.
    """
    try:
        address = IPv4Address(text)
    except AddressValueError as error:
        raise ValueError("is not an IPv4 address such as 192.168.0.11") from error
    if address.is_multicast or address.is_loopback or address.is_unspecified or address.is_reserved:
        raise ValueError("is not an address that a device can have")
    return address


def read_interface(text: str) -> IPv4Interface:
    """Return an address with its network: 192.168.0.11/24, 192.168.0.11/255.255.255.0, or without either for /24.

    Raises:
        ValueError: See `read_address`; or its network has no such address, or no room.
    """
    address, slash, prefix = text.partition("/")
    read_address(address)
    try:
        own = IPv4Interface(f"{address}/{prefix if slash else _USUAL_PREFIX}")
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError("needs a prefix such as /24 or a netmask such as /255.255.255.0") from error
    if not 8 <= own.network.prefixlen <= 30:
        raise ValueError("needs a prefix from /8 to /30")
    if own.ip == own.network.network_address:
        raise ValueError(f"is the name of the network {own.network} itself, not an address in it")
    if own.ip == own.network.broadcast_address:
        raise ValueError(f"is the broadcast address of {own.network}")
    return own


def is_usable_in(address: IPv4Address, network: IPv4Network) -> bool:
    """Whether a device in this network can have this address."""
    return network.network_address < address < network.broadcast_address


def read_range(text: str) -> AddressRange:
    """Return a range written as `first-last`; a single address is a range of one.

    Raises:
        ValueError: It is none; the message says why.
    """
    first_text, dash, last_text = (part.strip() for part in text.partition("-"))
    first = read_address(first_text)
    last = read_address(last_text) if dash else first
    if last < first:
        raise ValueError("ends before it begins")
    return AddressRange(first=first, last=last)


def default_range(network: IPv4Network) -> AddressRange:
    """Return .40 to .254 of a /24, and what comes nearest to that in another network."""
    size = network.num_addresses
    first = _DEFAULT_FIRST if size > 2 * _DEFAULT_FIRST else size // 2
    base = network.network_address
    return AddressRange(first=base + first, last=base + min(_DEFAULT_LAST, size - 2))


def merged(ranges: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """Return the same addresses in order, in as few ranges as possible."""
    result: list[AddressRange] = []
    for one in sorted(ranges, key=lambda one: one.first):
        if result and int(one.first) <= int(result[-1].last) + 1:
            result[-1] = AddressRange(first=result[-1].first, last=max(one.last, result[-1].last))
        else:
            result.append(one)
    return tuple(result)


def without(ranges: Iterable[AddressRange], taken: Collection[IPv4Address]) -> tuple[AddressRange, ...]:
    """Return the ranges, cut where an address is taken."""
    result = tuple(ranges)
    for address in taken:
        result = tuple(part for one in result for part in _cut(one, address))
    return result


def _cut(one: AddressRange, address: IPv4Address) -> Iterable[AddressRange]:
    if not one.first <= address <= one.last:
        yield one
        return
    if one.first < address:
        yield AddressRange(first=one.first, last=address - 1)
    if address < one.last:
        yield AddressRange(first=address + 1, last=one.last)
