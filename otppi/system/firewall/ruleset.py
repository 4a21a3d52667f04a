"""The rules of the firewall as they follow from the settings; no input adds a line or an option to them.

What arrives goes through OTPPI-INPUT in the table filter, which ends with a drop: what is not opened is closed, on
every interface. Of what the device could forward OTPPI-FORWARD decides, in the table mangle: NetworkManager's shared
mode puts rules that accept at the head of filter's FORWARD, at any time, and a drop in mangle is final before them.
What the device sends is not filtered: brokers, mail and time servers may be anywhere.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from otppi.system.firewall.services import ACCESS_POINT, AccessPoint, Services
from otppi.system.firewall.settings import ANY, ETHERNET, FirewallSettings, OpenPort

Family = Literal[4, 6]
Rules = tuple[str, ...]
INPUT_CHAIN: Final = "OTPPI-INPUT"
FORWARD_CHAIN: Final = "OTPPI-FORWARD"

# Mobile internet is the internet: the services are not offered there unless an owner's entry does so.
_MOBILE = "ppp+"
_NEW = "-m conntrack --ctstate NEW"
_REPLIES = "-m conntrack --ctstate ESTABLISHED,RELATED"
_SHORTEST_MEMORY_MS = 10_000


def rules(
    family: Family, settings: FirewallSettings, open_ports: Mapping[str, OpenPort], services: Services
) -> Rules:
    """Return the rules of one family as lines for its restore command; none if the firewall is off."""
    if not settings.enabled:
        return ()
    arriving = (
        *_ground(family, services),
        *_ping(family, settings),
        *_neighbourhood(family, services),
        # Before everything that accepts, so that an owner's entry for a service port does not lift the limits.
        *_limits(family, settings, services),
        *(f"-p tcp -m tcp --dport {port} ! -i {_MOBILE} -j ACCEPT" for port in _ports_for_all(services)),
        *_portal(services),
        *(rule for entry in open_ports.values() for rule in _opened(family, entry, services)),
        *_remainder(settings),
    )
    return _in_chains(arriving, services.access_point)


def emergency_rules(family: Family, services: Services) -> Rules:
    """Return the fewest rules with which the device is closed and its services are still reached.

    They need nothing of the kernel but connection tracking.
    """
    arriving = (
        *_ground(family, services),
        *_neighbourhood(family, services),
        *(f"-p tcp -m tcp --dport {port} ! -i {_MOBILE} -j ACCEPT" for port in _ports_for_all(services)),
        *_portal(services),
        "-j DROP",
    )
    return _in_chains(arriving, services.access_point)


def _in_chains(arriving: Rules, access_point: AccessPoint | None) -> Rules:
    return (
        *(f"-A {INPUT_CHAIN} {rule}" for rule in arriving),
        *(f"-A {FORWARD_CHAIN} {rule}" for rule in _forwarded(access_point)),
    )


def _ports_for_all(services: Services) -> Rules:
    ports = (*services.admin_ports, *services.api_ports, *services.smtp_ports)
    return tuple(str(port) for port in dict.fromkeys(ports))


def _ground(family: Family, services: Services) -> Iterator[str]:
    """What holds whatever is opened."""
    yield "-i lo -j ACCEPT"
    if family == 4 and services.access_point is not None:
        # The strong host model, which sysctl has for ARP only: a packet to this address came over the access point,
        # so its sender knows the passphrase.
        yield f"-d {services.access_point.address}/32 ! -i {services.access_point.interface} -j DROP"
    if family == 6:
        yield from _icmpv6(services)
    yield f"{_REPLIES} -j ACCEPT"
    yield "-m conntrack --ctstate INVALID -j DROP"


def _icmpv6(services: Services) -> Iterator[str]:
    """Without these there is no IPv6 (RFC 4890, 4.4.1); they are not tracked, so they come before what is INVALID."""
    for kind in (135, 136):
        yield f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255 -j ACCEPT"
    elsewhere = f" ! -i {services.access_point.interface}" if services.access_point else ""
    # Nobody who joined the access point becomes the device's way out.
    yield f"-s fe80::/10{elsewhere} -p ipv6-icmp -m icmp6 --icmpv6-type 134 -m hl --hl-eq 255 -j ACCEPT"
    for kind in (130, 131, 132, 143):
        yield f"-s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT"


def _ping(family: Family, settings: FirewallSettings) -> Iterator[str]:
    # Errors of ICMP belong to a connection (RELATED).
    if settings.answers_ping:
        kind = "-p icmp -m icmp --icmp-type 8" if family == 4 else "-p ipv6-icmp -m icmp6 --icmpv6-type 128"
        yield f"{kind} -j ACCEPT"


def _neighbourhood(family: Family, services: Services) -> Iterator[str]:
    """What brings the device into its networks, and others into the device's own."""
    access_point = services.access_point
    if family == 4:
        elsewhere = f"! -i {access_point.interface} " if access_point else ""
        # Answers to a broadcast do not belong to a connection.
        yield f"{elsewhere}-p udp -m udp --sport 67 --dport 68 -j ACCEPT"
        # IGMP by number: names of protocols are in a package that not every system has. Switches that listen to it
        # would otherwise cut the device off from mDNS.
        yield "-d 224.0.0.0/4 -p 2 -j ACCEPT"
        if access_point is not None:
            for protocol, port in (("udp", 67), ("udp", 53), ("tcp", 53)):
                where = f"-i {access_point.interface} -p {protocol} -m {protocol}"
                yield f"{where} --dport {port} -j ACCEPT"
    else:
        yield "-s fe80::/10 -d fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT"
    if services.mdns:
        group = "224.0.0.251/32" if family == 4 else "ff02::fb/128"
        yield f"-d {group} ! -i {_MOBILE} -p udp -m udp --dport 5353 -j ACCEPT"


def _limits(family: Family, settings: FirewallSettings, services: Services) -> Iterator[str]:
    # An API that was given the port of the captive portal keeps the limit of the API.
    if ports := (*services.admin_ports, *services.portal_ports):
        rate, burst = settings.admin_connections_per_minute, settings.admin_burst
        yield _too_many(family, "admin", ports, f"{rate}/minute", burst, burst * 60_000 // rate)
    rate, burst = settings.api_connections_per_second, settings.api_burst
    for name, ports in (("api", services.api_ports), ("smtp", services.smtp_ports)):
        if ports:
            yield _too_many(family, name, ports, f"{rate}/second", burst, burst * 1_000 // rate)


def _too_many(
    family: Family, name: str, ports: tuple[int, ...], rate: str, burst: int, refill_ms: int
) -> str:
    # A drop and no refusal: a caller's system tries again after a second, and its program only sees a delay.
    # An IPv6 customer has a /64 of addresses at least.
    return (
        f"-p tcp -m multiport --dports {','.join(str(port) for port in ports)} {_NEW} "
        f"-m hashlimit --hashlimit-above {rate} --hashlimit-burst {burst} --hashlimit-mode srcip "
        f"--hashlimit-srcmask {32 if family == 4 else 64} "
        # The kernel finds the table by its name and then takes the old limits: so a new limit has a new name.
        f"--hashlimit-name otppi-{name}-{rate.partition('/')[0]}-{burst} "
        "--hashlimit-htable-size 1024 --hashlimit-htable-max 32768 "
        f"--hashlimit-htable-expire {max(_SHORTEST_MEMORY_MS, refill_ms)} -j DROP"
    )


def _portal(services: Services) -> Iterator[str]:
    if services.access_point is not None:
        for port in services.portal_ports:
            yield f"-i {services.access_point.interface} -p tcp -m tcp --dport {port} -j ACCEPT"


def _opened(family: Family, entry: OpenPort, services: Services) -> Iterator[str]:
    network, interface = entry.network, _interface(entry.interface, services)
    if not entry.open or interface is None or (network is not None and network.version != family):
        return
    first, last = entry.ports
    source = f"-s {network} " if network is not None else ""
    where = f"-i {interface} " if interface else ""
    ports = str(first) if first == last else f"{first}:{last}"
    yield f"{source}{where}-p {entry.protocol} -m {entry.protocol} --dport {ports} -j ACCEPT"


def _interface(word: str, services: Services) -> str | None:
    """Return the interface that an owner means; empty for any, None for one that there is not."""
    if word == ACCESS_POINT:
        return services.access_point.interface if services.access_point else None
    return {ANY: "", ETHERNET: services.ethernet}.get(word, word)


def _remainder(settings: FirewallSettings) -> Iterator[str]:
    if settings.log_dropped:
        # What is called into the whole network fills logs and tells nothing.
        yield "-m pkttype ! --pkt-type unicast -j DROP"
        yield '-m limit --limit 6/minute --limit-burst 6 -j LOG --log-prefix "otppi refused: "'
    yield "-j DROP"


def _forwarded(access_point: AccessPoint | None) -> Iterator[str]:
    # NetworkManager's shared mode makes the whole device a router, so this also keeps mobile internet and Ethernet
    # apart, which nobody asked to be connected.
    if access_point is not None and access_point.forwards:
        yield f"-i {access_point.interface} -j RETURN"
        yield f"-o {access_point.interface} {_REPLIES} -j RETURN"
    yield "-j DROP"
