"""A change on trial: where it is confirmed, and what proves that it works."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from otppi.model.network import InterfaceState, NetworkPlan


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A change that goes back unless it is confirmed."""

    token: str = field(repr=False)  # whoever has it may confirm
    address: str  # where the device is after the change; empty where only a DHCP server will know
    deadline_s: float  # on the boot clock


def is_by_dhcp(plan: NetworkPlan) -> bool:
    """Whether a DHCP server decides where the device will be."""
    return plan.ethernet is not None and plan.ethernet.address is None


def new_address(plan: NetworkPlan, previous: NetworkPlan) -> str:
    """Return where to confirm: the address that is new, else one that stays; empty if only a DHCP server knows."""
    new, old = _planned_addresses(plan), _planned_addresses(previous)
    if is_by_dhcp(plan) and plan.ethernet != previous.ethernet and set(new) <= set(old):
        return ""
    return str(next((one for one in new if one not in old), new[0] if new else ""))


def proves(plan: NetworkPlan, arrived_at: str, present: Iterable[InterfaceState]) -> bool:
    """Whether a request to this address of the device shows that it can be reached as planned.

    Args:
        plan: What is on trial.
        arrived_at: The address, as the listener tells it.
        present: The interfaces as they are; looked at only where a DHCP server decides.
    """
    arrived = _address(arrived_at)
    if arrived is None or arrived.is_loopback:
        return False
    if arrived in _planned_addresses(plan):
        return True
    return is_by_dhcp(plan) and any(arrived == address.ip for one in present for address in one.addresses)


def _planned_addresses(plan: NetworkPlan) -> list[IPv4Address]:
    planned = [part.address for part in (plan.access_point, plan.ethernet) if part is not None]
    return [address.ip for address in planned if address is not None]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
