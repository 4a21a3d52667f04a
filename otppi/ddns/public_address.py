"""The public address of the device: asked at two sources that must agree, or read from an interface."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from otppi.ddns.outcome import Address
from otppi.ddns.settings import AAAA, INTERFACE, A, PublicAddressSettings
from otppi.lib.clock import Clock

log = logging.getLogger(__name__)

_LEAST_GAP_S = 60.0
_TIMEOUT_S = 10.0
_OK = 200
_MOST_BYTES = 1024
_LONGEST_ANSWER = 64  # bytes; an IPv6 address has at most 45
_CARRIER_NAT = IPv4Network("100.64.0.0/10")
_LOCAL_NETWORKS = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_DOCUMENTATION: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),
    *map(IPv6Network, ("2001:db8::/32", "3fff::/20")),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TUNNELS = tuple(map(IPv6Network, ("2001::/32", "2002::/16")))  # Teredo and 6to4: reached by few

_ASK_INSTEAD = (
    "If the device is behind a router let the address be asked on the internet: Public address, Learnt from."
)
_LOOK_AT_SOURCES = "If it stays so, choose other sources: Public address."


class NoAnswer(Exception):
    """A source did not say anything; the text says why, without its name."""


Ask = Callable[[str, str], str]


def ask_source(url: str, record_type: str) -> str:
    """Ask a source over HTTPS, by IPv4 or IPv6 alone as the type of record wants, and return what it says.

    Raises:
        NoAnswer: It does not say anything.
    """
    # What encrypts takes its time to load, and nobody needs it before.
    import ssl

    from otppi.lib import https

    try:
        answer = https.ask(
            urlsplit(url),
            context=ssl.create_default_context(),
            timeout_s=_TIMEOUT_S,
            most_bytes=_MOST_BYTES,
            headers={"Accept": "text/plain", "User-Agent": "OTP-Pi"},
            from_host="::" if record_type == AAAA else "0.0.0.0",  # noqa: S104 - asks, listens to nobody
        )
    except https.Unreached as error:
        if error.is_untrusted:
            raise NoAnswer(f"the certificate is not trusted: {error}") from None
        raise NoAnswer(f"cannot be reached: {error}") from None
    except https.Unanswered as error:
        raise NoAnswer(f"does not answer: {error}") from None
    if answer.status != _OK:
        raise NoAnswer(f"answers HTTP {answer.status}")
    return answer.body.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What is known of the public address.

    Attributes:
        address: None if it is not known, or none that a name may point to.
        is_sure: Whether all sources say so. Otherwise it is good for nothing but to say that nothing has changed.
        finding: What is wrong; empty if nothing is.
        advice: What the owner can do about it.
        at_wall_s: When it was learnt.
    """

    address: Address | None = None
    is_sure: bool = True
    finding: str = ""
    advice: str = ""
    at_wall_s: float = 0.0


def read_answer(text: str, record_type: str) -> Learnt:
    """Read what a source says."""
    plain = text.strip()
    if "<" in plain:
        return Learnt(
            finding="a web page comes instead of an address",
            advice="A network that wants a log-in first does this. Log in, or use another network.",
        )
    try:
        if len(plain.encode()) > _LONGEST_ANSWER:
            raise ValueError
        address = IPv6Address(plain) if record_type == AAAA else IPv4Address(plain)
    except ValueError:
        return Learnt(finding="what comes is no address", advice=_LOOK_AT_SOURCES)
    return judged(address)


def judged(address: Address) -> Learnt:
    """Refuse an address that nobody on the internet can reach, and say why."""
    finding, advice = _refusal(address)
    return Learnt(finding=finding, advice=advice) if finding else Learnt(address=address)


def agreed(first: Learnt, second: Learnt, names: tuple[str, str]) -> Learnt:
    """Put together what two sources say; `names` are theirs."""
    if first.address is not None and first.address == second.address:
        return first
    if first.address is not None and second.address is not None:
        return Learnt(
            finding=f"the two sources disagree: {first.address} and {second.address}",
            advice="Nothing is changed until they agree. A proxy or two ways to the internet do this; "
            + _LOOK_AT_SOURCES,
        )
    failed, name = (first, names[0]) if first.address is None else (second, names[1])
    who = "both sources" if first.finding == second.finding else name
    return Learnt(
        address=first.address or second.address,
        is_sure=False,
        finding=f"{who}: {failed.finding}",
        advice=failed.advice,
    )


def of_interface(interface: str, addresses: Iterable[Address], record_type: str) -> Learnt:
    """Choose among the addresses of an interface."""
    kind = IPv6Address if record_type == AAAA else IPv4Address
    found = [judged(one) for one in addresses if isinstance(one, kind)]
    if not found:
        version = "IPv6" if record_type == AAAA else "IPv4"
        return Learnt(
            finding=f"{interface} has no {version} address",
            advice="Look whether the interface is connected and its name is right.",
        )
    return next((one for one in found if one.address is not None), found[0])


class PublicAddress:
    """Learns it for all records together; one thread at a time may learn, any may ask for the last."""

    def __init__(
        self,
        settings: Callable[[], PublicAddressSettings],
        clock: Clock,
        *,
        ask: Ask,
        interface_addresses: Callable[[str], Iterable[Address]],
        own_address: Callable[[], Address | None] = lambda: None,
    ) -> None:
        """Take what tells addresses; `own_address` is that by which the device itself goes to the internet."""
        self._settings = settings
        self._clock = clock
        self._ask = ask
        self._interface_addresses = interface_addresses
        self._own_address = own_address
        self._last: Mapping[str, Learnt] = {}  # by type of record
        self._asked: dict[str, tuple[float, PublicAddressSettings]] = {}  # on the boot clock

    def last(self) -> Mapping[str, Learnt]:
        """Return what was learnt last for each type of record."""
        return self._last

    def learn(self, record_type: str) -> Learnt:
        """Return the address for a type of record; asks at most once a minute, and waits for the sources then."""
        settings, now_s = self._settings(), self._clock.boot_s()
        asked_s, asked_by = self._asked.get(record_type, (0.0, None))
        if asked_by != settings or now_s >= asked_s + _LEAST_GAP_S:
            found = replace(self._found(settings, record_type), at_wall_s=self._clock.wall_s())
            self._log(found, self._last.get(record_type, Learnt()))
            self._last = {**self._last, record_type: found}
            self._asked[record_type] = (now_s, settings)
        return self._last[record_type]

    def _found(self, settings: PublicAddressSettings, record_type: str) -> Learnt:
        if settings.source == INTERFACE:
            name = settings.interface
            return of_interface(name, self._interface_addresses(name), record_type)
        own = self._own_address() if record_type == A else None
        if own is not None and own in _CARRIER_NAT:
            return judged(own)  # what the sources see is the carrier's
        first, second = (self._said(url, record_type) for url in (settings.first_url, settings.second_url))
        return agreed(first, second, (_host(settings.first_url), _host(settings.second_url)))

    @staticmethod
    def _log(found: Learnt, before: Learnt) -> None:
        if found.finding and found.finding != before.finding:
            log.warning("the public address is not known", extra={"fields": {"reason": found.finding}})
        elif before.finding and not found.finding:
            log.info("the public address is known again")

    def _said(self, url: str, record_type: str) -> Learnt:
        try:
            return read_answer(self._ask(url, record_type), record_type)
        except NoAnswer as error:
            return Learnt(finding=str(error), advice=_LOOK_AT_SOURCES)


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _refusal(address: Address) -> tuple[str, str]:
    """Return why no name may point to an address, and what to do; nothing if one may."""
    finding, advice = "", _ASK_INSTEAD
    if address in _CARRIER_NAT:
        finding = "your provider shares one address among many customers (carrier NAT); no name can lead to this device"
        advice = "Use a message broker instead: page Message brokers."
    elif any(address in network for network in _LOCAL_NETWORKS):
        finding = f"{address} is an address of a local network; nobody outside can reach it"
    elif address.is_loopback:
        finding = f"{address} is what every device calls itself (loopback)"
    elif address.is_link_local:
        finding = (
            f"{address} is valid on one cable only (link-local); no router has given the device an address"
        )
    elif address.is_multicast:
        finding = f"{address} is an address of groups (multicast), not of a device"
    elif address.is_unspecified:
        finding = f"{address} is no address of a device (unspecified)"
    elif any(address in network for network in _DOCUMENTATION):
        finding = f"{address} is an address for examples in manuals; nobody can reach it"
    elif not address.is_global or not _is_reachable(address):
        finding = f"{address} is not an address that all of the internet can reach"
    return finding, advice if finding else ""


def _is_reachable(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not address.is_reserved
    return address in _GLOBAL_UNICAST and not any(address in network for network in _TUNNELS)
