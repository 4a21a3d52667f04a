"""The owner's DHCP and DNS of the access point, as a file for the dnsmasq that NetworkManager starts.

NetworkManager passes options of its own and reads the folder of this file last, so each line here has to win
against, or add to, a line before it:

* Options for clients (router, name servers, netmask): the last of equal ones wins, so ours do.
* Ranges add up. NetworkManager before 1.52 always passes one that it made up from the address; with 1.52 it can be
  told our first one. Addresses that only the made-up one has are therefore reserved for a client that does not exist.
* The lease time of an address is that of the first range that has it. A host line for every hardware address
  overrides it.

All values are typed or were checked by pattern; none can hold a line break, which would let it add an option, and
dnsmasq has options that run programs as root.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface

from otppi.model.network import AccessPointPlan, AddressRange, DhcpPlan

HEADER = "# Made from the settings of OTP-Pi; what is changed here is lost."
# No client says this of itself; one that did would get an address that is free anyway.
_NOBODY = "id:otppi-not-given-out"


def snippet(plan: AccessPointPlan, *, hostname: str, answers_every_name: bool) -> str:
    """Return the content of the file.

    Args:
        plan: The access point.
        hostname: Name of the device; clients find it by this name, and with .local also where they know no mDNS.
        answers_every_name: While the device is being set up every name leads to it, so that phones find its pages.
    """
    lines = [HEADER, *_dhcp_lines(plan, answers_every_name), *_dns_lines(plan, hostname, answers_every_name)]
    return "\n".join(lines) + "\n"


def networkmanager_range(own: IPv4Interface) -> AddressRange:
    """Return the range that NetworkManager makes up from an address (its nm-dnsmasq-utils.c, 1.42 as 1.52)."""
    prefix = max(own.network.prefixlen, 24)
    part = IPv4Interface(f"{own.ip}/{prefix}").network
    first, last = int(part.network_address) + 1, int(part.broadcast_address) - 1
    host = min(max(int(own.ip), first), last)
    if host > (first + last) // 2:
        last = host - 1 - min((host - first) // 10, 8)
    else:
        first = host + 1 + min((last - host) // 10, 8)
    return AddressRange(first=IPv4Address(first), last=IPv4Address(last))


def _dhcp_lines(plan: AccessPointPlan, answers_every_name: bool) -> Iterable[str]:
    dhcp, own = plan.dhcp, plan.address
    yield "dhcp-authoritative"
    for one in dhcp.ranges:
        yield f"dhcp-range={one.first},{one.last},{dhcp.default_lease_s}"
    yield f"dhcp-host=*:*:*:*:*:*,{dhcp.default_lease_s}"
    for address in _not_given_out(dhcp, own):
        yield f"dhcp-host={_NOBODY},{address}"
    # The name that a client gives itself must not become one that others ask for.
    yield "dhcp-ignore-names"
    yield f"dhcp-option=option:router,{dhcp.router}"
    yield f"dhcp-option=option:netmask,{dhcp.netmask}"
    servers = (own.ip,) if answers_every_name else dhcp.name_servers
    yield f"dhcp-option=option:dns-server,{','.join(map(str, servers))}"
    if dhcp.domain:
        yield f"domain={dhcp.domain}"
        yield f"dhcp-option=option:domain-search,{dhcp.domain}"


def _dns_lines(plan: AccessPointPlan, hostname: str, answers_every_name: bool) -> Iterable[str]:
    own = plan.address.ip
    names = [hostname, f"{hostname}.local"] + ([f"{hostname}.{plan.dhcp.domain}"] if plan.dhcp.domain else [])
    yield f"host-record={','.join(dict.fromkeys(names))},{own}"
    if answers_every_name:
        # Without the second line questions for IPv6 are refused, and phones ask again and again.
        yield f"address=/#/{own}"
        yield "local=/#/"
    if answers_every_name or not plan.forwards:
        # Who may not reach the internet learns no names of it either: it could be reached through these.
        yield "no-resolv"


def _not_given_out(dhcp: DhcpPlan, own: IPv4Interface) -> Iterable[IPv4Address]:
    made_up = networkmanager_range(own)
    for number in range(int(made_up.first), int(made_up.last) + 1):
        address = IPv4Address(number)
        if not any(one.first <= address <= one.last for one in dhcp.ranges):
            yield address
