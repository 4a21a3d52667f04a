"""The owner's settings of the network as a plan, or the reason why they cannot be one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from otppi.model.checks import Check, Level
from otppi.model.errors import SettingsError
from otppi.model.network import (
    AccessPointPlan,
    AddressRange,
    DhcpPlan,
    EthernetPlan,
    NetworkPlan,
    NetworkState,
)
from otppi.settings.section import Section
from otppi.system.network.addresses import (
    default_range,
    is_usable_in,
    merged,
    read_address,
    read_interface,
    read_range,
    without,
)
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings

# Offered in this order where the access point has the addresses of the LAN: rarely used by routers for homes.
_OTHER_ADDRESSES = tuple(
    IPv4Interface(one) for one in ("192.168.50.11/24", "10.11.0.11/24", "172.31.11.11/24")
)


@dataclass(frozen=True, kw_only=True)
class Born:
    """What the access point has where the owner chose nothing."""

    ssid: str
    passphrase: str = field(repr=False)


def plan(
    wlan: WlanSettings,
    dhcp: DhcpSettings,
    ethernet: EthernetSettings,
    network: NetworkSettings,
    born: Born,
) -> NetworkPlan:
    """Return the network that these settings describe.

    Raises:
        SettingsError: They do not fit together; every reason is under the setting to be changed.
    """
    _check_each(wlan, dhcp, ethernet, network)
    access_point = plan_access_point(wlan, dhcp, born) if wlan.enabled else None
    wired = _plan_ethernet(ethernet)
    if access_point is not None:
        _keep_apart(access_point, wired)
    return NetworkPlan(hostname=network.hostname.lower(), access_point=access_point, ethernet=wired)


def plan_access_point(wlan: WlanSettings, dhcp: DhcpSettings, born: Born) -> AccessPointPlan:
    """Return the access point alone; see `plan`."""
    _check_each(wlan, dhcp)
    own = read_interface(wlan.address)
    return AccessPointPlan(
        interface=wlan.interface,
        ssid=wlan.ssid or born.ssid,
        passphrase=wlan.passphrase or born.passphrase,
        allows_wpa3=wlan.wpa3,
        band=wlan.band,
        channel=wlan.channel,
        country=wlan.country.upper(),
        address=own,
        forwards=wlan.forwarding,
        dhcp=_plan_dhcp(dhcp, own),
    )


def notes(made: NetworkPlan, dhcp: DhcpSettings) -> tuple[str, ...]:
    """Return what an owner should know of a plan that was made, sentence by sentence."""
    if made.access_point is None:
        return ("The access point is off; without Ethernet nobody reaches the device.",)
    return tuple(_dhcp_notes(made.access_point, dhcp))


@dataclass(frozen=True, kw_only=True)
class Clash:
    """A network that the device is in and that has the addresses of the access point."""

    interface: str
    network: IPv4Network
    own: IPv4Network
    free: IPv4Interface | None  # an address for the access point that nobody has

    @property
    def finding(self) -> str:
        """What is wrong."""
        return (
            f"the network at {self.interface} ({self.network}) has the same addresses as the access point "
            f"({self.own}), so devices in one of them may not be reached"
        )


def clash(made: NetworkPlan, state: NetworkState) -> Clash | None:
    """Return which network clashes with the access point, if one does."""
    if made.access_point is None:
        return None
    access_point, own = made.access_point, made.access_point.address.network
    others = [one for one in state.interfaces if one.interface not in (access_point.interface, "lo")]
    conflicts = [(one, net) for one in others for net in one.networks if net.overlaps(own)]
    if not conflicts:
        return None
    taken = [net for one in others for net in one.networks]
    interface, network = conflicts[0]
    return Clash(interface=interface.interface, network=network, own=own, free=_free_beside(taken))


def lan_conflict(made: NetworkPlan, state: NetworkState) -> Check | None:
    """Return the same for the diagnosis, with what to do."""
    found = clash(made, state)
    if found is None:
        return None
    free = found.free or "ADDRESS/24"
    return Check(
        name="network addresses",
        level=Level.RED,
        finding=found.finding,
        advice=f"Give the access point another address: otppi settings set wlan.address {free}",
    )


def _free_beside(taken: Iterable[IPv4Network]) -> IPv4Interface | None:
    networks = tuple(taken)
    return next((one for one in _OTHER_ADDRESSES if not any(map(one.network.overlaps, networks))), None)


def _check_each(*sections: Section) -> None:
    errors = {
        f"{section.key}.{name}": reason for section in sections for name, reason in section.check().items()
    }
    if errors:
        raise SettingsError(errors)


def _plan_ethernet(ethernet: EthernetSettings) -> EthernetPlan:
    is_static = ethernet.method == "static"
    address = read_interface(ethernet.address) if is_static else None
    gateway = read_address(ethernet.gateway) if is_static and ethernet.gateway else None
    if address is not None and gateway is not None:
        if gateway == address.ip:
            raise SettingsError({"ethernet.gateway": "is the device's own address"})
        if not is_usable_in(gateway, address.network):
            raise SettingsError({"ethernet.gateway": f"{gateway} is not in the network {address.network}"})
    return EthernetPlan(
        interface=ethernet.interface,
        address=address,
        gateway=gateway,
        name_servers=_unique(filter(None, (ethernet.dns1, ethernet.dns2))),
    )


def _keep_apart(access_point: AccessPointPlan, wired: EthernetPlan) -> None:
    if access_point.interface == wired.interface:
        raise SettingsError(
            {"wlan.interface": f"{wired.interface} is the interface of Ethernet (ethernet.interface)"}
        )
    own = access_point.address.network
    if wired.address is not None and own.overlaps(wired.address.network):
        reason = (
            f"the access point ({own}) and Ethernet ({wired.address.network}) would have the same addresses, and "
            f"devices in one of them would not be reached; give one of them others, such as "
            f"{_free_beside([wired.address.network])} for the access point"
        )
        raise SettingsError({"wlan.address": reason, "ethernet.address": reason})


def _plan_dhcp(dhcp: DhcpSettings, own: IPv4Interface) -> DhcpPlan:
    router = read_address(dhcp.router) if dhcp.router else own.ip
    asked = _ranges(dhcp, own)
    ranges = without(asked, (own.ip, router))
    errors = {
        **_wrong_router(router, own),
        **_wrong_masks({"netmask": dhcp.netmask, "subnet_mask": dhcp.subnet_mask}, own),
        **_wrong_ranges(asked, ranges, own),
    }
    if errors:
        raise SettingsError(errors)
    return DhcpPlan(
        domain=dhcp.domain_name.lower(),
        router=router,
        name_servers=_name_servers(dhcp) or (own.ip,),
        netmask=own.netmask,
        default_lease_s=dhcp.default_lease_s,
        ranges=ranges,
    )


def _ranges(dhcp: DhcpSettings, own: IPv4Interface) -> tuple[AddressRange, ...]:
    return merged(map(read_range, dhcp.ranges)) if dhcp.ranges else (default_range(own.network),)


def _wrong_router(router: IPv4Address, own: IPv4Interface) -> Mapping[str, str]:
    if is_usable_in(router, own.network):
        return {}
    return {"dhcp.router": f"{router} is not in the access point's network {own.network}; empty, it follows"}


def _wrong_masks(masks: Mapping[str, str], own: IPv4Interface) -> Mapping[str, str]:
    reason = f"must be {own.netmask}, that of the access point ({own}); empty, it follows"
    return {
        f"dhcp.{name}": reason for name, mask in masks.items() if mask and IPv4Address(mask) != own.netmask
    }


def _wrong_ranges(
    asked: Iterable[AddressRange], given_out: tuple[AddressRange, ...], own: IPv4Interface
) -> Mapping[str, str]:
    for one in asked:
        if not (is_usable_in(one.first, own.network) and is_usable_in(one.last, own.network)):
            hosts = f"{own.network.network_address + 1} to {own.network.broadcast_address - 1}"
            return {
                "dhcp.ranges": f"{one.first}-{one.last} is not within {hosts}, the access point's network; "
                "empty, they follow"
            }
    if not given_out:
        return {"dhcp.ranges": "hold no address but those of the device and the router"}
    return {}


def _name_servers(dhcp: DhcpSettings) -> tuple[IPv4Address, ...]:
    further = (one for one in dhcp.domain_name_servers if not _is_name(one))
    return _unique((*dhcp.domain_name_servers_address, *further))


def _unique(addresses: Iterable[str]) -> tuple[IPv4Address, ...]:
    return tuple(dict.fromkeys(map(read_address, addresses)))


def _is_name(server: str) -> bool:
    return any(character.isalpha() for character in server)


def _dhcp_notes(access_point: AccessPointPlan, dhcp: DhcpSettings) -> Iterable[str]:
    own, made = access_point.address, access_point.dhcp
    asked = _ranges(dhcp, own)
    # In this order: the device may be the router.
    in_use = {made.router: "the router", own.ip: "the device"}
    for address, whose in in_use.items():
        if any(one.first <= address <= one.last for one in asked):
            yield f"{address} is the address of {whose} and is left out of the range."
    if names := [one for one in dhcp.domain_name_servers if _is_name(one)]:
        yield f"Name servers are told to clients by address; {', '.join(names)} will not be."
    far = [str(one) for one in made.name_servers if one not in own.network]
    if far and not access_point.forwards:
        yield f"Clients do not reach the name server {', '.join(far)} while forwarding is off."
    if made.router != own.ip:
        yield f"Clients send what goes further to {made.router}, not to the device; it is lost if nobody is there."
