"""What the HTTP request says that asks for a WebSocket: pure functions."""

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import parse_qsl, urlsplit

from otppi.model.errors import BadRequest, Unauthorized

# As long as names of topics and queues may be at other brokers.
LONGEST_TOPIC_BYTES = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MOST_QUERY_FIELDS = 32
# Who can choose an IPv6 address at all can choose any of a network of this size.
_IPV6_NETWORK_BITS = 64


@dataclass(frozen=True)
class Credentials:
    """A user name and the password that came with it, as bytes, since nothing says how it was written."""

    user: str
    password: bytes


def topic_of(target: str) -> str:
    """Return the topic that a request target names: `/any/path?topic=NAME`; of several the last one.

    The PHP server took a target without any for the empty topic. No known client leaves it out, so that is a
    mistake in an address, which nobody would ever notice: it is refused. `topic=` with nothing behind it is what
    publishers and devices with an empty setting send; they met there and still do.

    Raises:
        BadRequest: There is none, or it is none that can be used.
    """
    query = target.partition("#")[0].partition("?")[2]
    try:
        fields = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_QUERY_FIELDS)
    except UnicodeDecodeError:
        raise BadRequest("topic", "is not UTF-8") from None
    except ValueError:
        raise BadRequest("topic", "stands among too many other fields") from None
    topics = [value for key, value in fields if key == "topic"]
    if not topics:
        raise BadRequest("topic", "is missing; add it to the address: ?topic=NAME")
    if len(topics[-1].encode()) > LONGEST_TOPIC_BYTES:
        raise BadRequest("topic", f"is longer than {LONGEST_TOPIC_BYTES} bytes")
    if _CONTROL.search(topics[-1]):
        raise BadRequest("topic", "has control characters in it")
    return topics[-1]


def credentials_of(authorization: Sequence[str]) -> Credentials:
    """Read the values of the header Authorization: exactly one of the scheme Basic (RFC 7617).

    Raises:
        Unauthorized: There is none, or it cannot be read.
    """
    if len(authorization) != 1:
        raise Unauthorized("user name and password are needed")
    scheme, _, encoded = authorization[0].partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized("user name and password are needed by the scheme Basic")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise Unauthorized("user name and password cannot be read") from None
    user, colon, password = decoded.partition(b":")
    if not colon:
        raise Unauthorized("user name and password cannot be read")
    return Credentials(user.decode("utf-8", "surrogateescape"), password)


def is_of_another_site(origins: Sequence[str], hosts: Sequence[str]) -> bool:
    """Whether a page of another site asks by somebody's browser, which may add a password that it remembers."""
    if not origins:
        return False
    return len(origins) != 1 or len(hosts) != 1 or _name(origins[0]) != _name(f"//{hosts[0]}")


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def caller(address: str, forwarded: Sequence[str], proxies: Collection[str]) -> str:
    """Return whom limits are about: an IPv4 address, or the network of an IPv6 address.

    Args:
        address: Whom the connection is with.
        forwarded: Values of the header X-Forwarded-For; the last address in it is what the proxy itself saw.
        proxies: Whose word is taken for it, in the form of this function.
    """
    seen = _grouped(address)
    if seen in proxies and forwarded:
        return _grouped(forwarded[-1].rpartition(",")[2].strip())
    return seen


def _grouped(address: str) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:80]
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    shift = ip.max_prefixlen - _IPV6_NETWORK_BITS
    return str(ip) if ip.is_loopback else f"{IPv6Address(int(ip) >> shift << shift)}/{_IPV6_NETWORK_BITS}"
