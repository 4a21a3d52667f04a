"""What an owner may set of the network; whether the parts fit together is looked at in `planning`."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from otppi.settings.fields import boolean, choice, integer, listing, retired, secret, text
from otppi.settings.section import Section
from otppi.system.network.addresses import read_address, read_interface, read_range

_INTERFACE = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rf"{_LABEL}(\.{_LABEL})*"
_CIDR = r"[0-9.]+(/[0-9.]+)?"
_CIDR_SHAPE = "an address with its prefix, such as 192.168.0.11/24"
_DOTTED = r"[0-9.]+"
_ADDRESS_SHAPE = "an IPv4 address, such as 192.168.0.11"
_LONGEST_SSID_BYTES = 32  # IEEE 802.11-2020, 9.4.2.2
_LONGEST_NAME = 253  # RFC 1035, 2.3.4

# Where an access point may open at once; between them lie the channels on which it would first have to listen for
# radar, which the radio of a Raspberry Pi does not do.
_CHANNELS = {"bg": range(14), "a": (0, 36, 40, 44, 48, 149, 153, 157, 161, 165)}
# Elsewhere a network of the same addresses could exist and be out of reach for all who joined.
_PRIVATE = tuple(IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


class WlanSettings(Section, key="wlan", title="Access point", reset_flag="RESET_WLAN"):
    """The device's own Wi-Fi, by which it is set up and looked after."""

    enabled: bool = boolean(title="Access point is on", default=True, help="Off, there is no access point.")
    interface: str = text(
        default="wlan0",
        pattern=_INTERFACE,
        shape="the name of an interface, such as wlan0",
        help="Name of the radio; leave it as it is on a Raspberry Pi.",
    )
    ssid: str = text(
        default="",
        pattern=r".{0,32}",
        shape="at most 32 bytes",
        title="Name of the Wi-Fi (SSID)",
        help="Name of the Wi-Fi; empty for the one that was born on the device.",
    )
    passphrase: str = secret(
        default="",
        pattern=r"([\x20-\x7e]{8,63})?",
        shape="8 to 63 letters, digits or signs of a US keyboard",
        help="8 to 63 letters, digits or signs of a US keyboard; empty for the one that was born on the device. "
        "A reset goes back to that.",
    )
    wpa3: bool = boolean(
        default=True, title="WPA3", help="Offer WPA3 beside WPA2 where the radio can; old phones still join."
    )
    band: str = choice(
        {"bg": "2.4 GHz (bg)", "a": "5 GHz (a)"},
        default="bg",
        help="bg is 2.4 GHz, reaches further and suits every phone; a is 5 GHz. Choose bg if unsure.",
    )
    channel: int = integer(
        default=0,
        minimum=0,
        maximum=165,
        help="0 leaves it to the radio. 1 to 13 at 2.4 GHz; 36, 40, 44, 48, 149, 153, 157, 161 or 165 at 5 GHz. "
        "Which of them may be used depends on the country.",
    )
    country: str = text(
        default="ID",
        pattern=r"[A-Za-z]{2}",
        shape="the two letters of a country, such as ID",
        help="Where the device stands; the law there decides about channels and power.",
    )
    address: str = text(
        title="Address of the device",
        default="192.168.0.11/24",
        pattern=_CIDR,
        shape=_CIDR_SHAPE,
        help="The device's own address for those who joined. The part after the / is the prefix (/24) or the "
        "netmask (/255.255.255.0); without it /24 is meant.",
    )
    forwarding: bool = boolean(
        title="Let those who joined reach other networks",
        default=False,
        help="On, those who joined reach the networks of the device and through them perhaps the internet; off, "
        "they reach the device only.",
    )
    key_management: str = retired(help="It is WPA2, and WPA3 where `wpa3` is on and the radio can.")
    prefix: str = retired(help="It is part of `address`.")
    netmask: str = retired(help="It is part of `address`.")
    gateway: str = retired(help="The access point is no way out; `dhcp.router` is what clients are told.")
    dns: str = retired(help="`dhcp.domain_name_servers_address` is what clients are told.")

    def check(self) -> dict[str, str]:
        """Look at what patterns cannot say."""
        errors: dict[str, str] = {}
        if len(self.ssid.encode()) > _LONGEST_SSID_BYTES:
            errors["ssid"] = f"must not be longer than {_LONGEST_SSID_BYTES} bytes; some letters take several"
        if self.channel not in _CHANNELS[self.band]:
            allowed = ", ".join(str(one) for one in _CHANNELS[self.band])
            errors["channel"] = f"must be one of {allowed} in band {self.band}"
        if reason := _reason(read_interface, self.address):
            errors["address"] = reason
        elif not any(read_interface(self.address).network.subnet_of(one) for one in _PRIVATE):
            errors["address"] = "must be private: 10.x.x.x, 172.16.x.x to 172.31.x.x or 192.168.x.x"
        return errors


class DhcpSettings(Section, key="dhcp", title="DHCP of the access point", reset_flag="RESET_DHCP"):
    """What those are told who join the access point. Empty fields follow the address of the access point."""

    domain_name: str = text(
        default="",
        pattern=rf"({_NAME})?",
        shape="a domain, such as otppi.lan",
        help="Domain in which clients look for short names; empty for none.",
    )
    domain_name_servers: tuple[str, ...] = listing(
        title="Further name servers",
        default=(),
        item_pattern=_NAME,
        item_shape="an address or a name",
        help="Addresses of further name servers. A lease carries addresses only, so names are kept and not sent; "
        "the old product sent them to nobody either.",
    )
    router: str = text(
        default="",
        pattern=rf"({_DOTTED})?",
        shape=_ADDRESS_SHAPE,
        title="Router address",
        help="Gateway that clients use; empty for the device itself.",
    )
    netmask: str = text(
        default="",
        pattern=rf"({_DOTTED})?",
        shape="a netmask, such as 255.255.255.0",
        help="Empty for that of the access point's address, and nothing else is accepted: clients with another "
        "one would not find the device. The netmask itself is set with the address of the access point.",
    )
    subnet_mask: str = text(
        default="",
        pattern=rf"({_DOTTED})?",
        shape="a netmask, such as 255.255.255.0",
        title="Subnet mask",
        help="The same as the netmask; the old product had both fields.",
    )
    domain_name_servers_address: tuple[str, ...] = listing(
        title="Name servers",
        default=(),
        item_pattern=_DOTTED,
        item_shape=_ADDRESS_SHAPE,
        help="Addresses of the name servers that clients are told first; empty for the device itself.",
    )
    default_lease_s: int = integer(
        default=600,
        minimum=120,
        maximum=86_400,
        unit="s",
        title="Default lease time",
        help="How long an address belongs to a client that does not ask for less.",
    )
    max_lease_s: int = integer(
        default=7200,
        minimum=120,
        maximum=86_400,
        unit="s",
        title="Maximum lease time",
        help="Has no effect: dnsmasq, the DHCP server of the device, does not know it and gives nobody more than "
        "the default lease time. It is kept for settings of the old product.",
    )
    ranges: tuple[str, ...] = listing(
        default=(),
        item_pattern=rf"{_DOTTED}(\s*-\s*{_DOTTED})?",
        item_shape="a range, such as 192.168.0.40-192.168.0.254",
        title="Addresses given out",
        help="Addresses that are given out: first-last, first-last. Empty for .40 to .254 of the access point's "
        "network (192.168.0.40-192.168.0.254). The device's own address is left out by itself.",
    )

    def check(self) -> dict[str, str]:
        """Look at every field by itself, and at the two times."""
        addresses = filter(_looks_like_address, self.domain_name_servers)
        reasons = {
            "router": _reason(read_address, self.router),
            "netmask": _reason(_read_netmask, self.netmask),
            "subnet_mask": _reason(_read_netmask, self.subnet_mask),
            "domain_name_servers_address": _reason(read_address, *self.domain_name_servers_address),
            "domain_name_servers": _reason(read_address, *addresses),
            "ranges": _reason(read_range, *self.ranges),
        }
        errors = {name: reason for name, reason in reasons.items() if reason}
        if len(self.domain_name) > _LONGEST_NAME:
            errors["domain_name"] = f"must not be longer than {_LONGEST_NAME} characters"
        if self.max_lease_s < self.default_lease_s:
            errors["max_lease_s"] = "must not be less than the default lease time"
        return errors


class EthernetSettings(Section, key="ethernet", title="Ethernet", reset_flag="RESET_ETHERNET"):
    """The wired network."""

    method: str = choice(
        {"auto": "automatic (auto): by DHCP", "static": "fixed (static): as given here"},
        default="auto",
        title="Where the address comes from",
        help="auto takes address and gateway from the DHCP server of the network, static from here.",
    )
    interface: str = text(
        default="eth0",
        pattern=_INTERFACE,
        shape="the name of an interface, such as wlan0",
        help="Name of the socket; leave it as it is on a Raspberry Pi.",
    )
    address: str = text(
        default="",
        pattern=rf"({_CIDR})?",
        shape=_CIDR_SHAPE,
        title="IP address",
        help="Used with static. The part after the / is the prefix (/24) or the netmask (/255.255.255.0); "
        "without it /24 is meant.",
    )
    gateway: str = text(
        default="",
        pattern=rf"({_DOTTED})?",
        shape=_ADDRESS_SHAPE,
        help="Used with static: the router of the network; empty where the internet is not to be reached.",
    )
    dns1: str = text(
        default="",
        pattern=rf"({_DOTTED})?",
        shape=_ADDRESS_SHAPE,
        title="DNS 1",
        help="Name server; with auto it comes before those that the network names.",
    )
    dns2: str = text(
        default="", pattern=rf"({_DOTTED})?", shape=_ADDRESS_SHAPE, title="DNS 2", help="Second name server."
    )
    prefix: str = retired(help="It is part of `address`.")
    netmask: str = retired(help="It is part of `address`.")

    def check(self) -> dict[str, str]:
        """Look at every field by itself, and whether a static address is there."""
        reasons = {
            "address": _reason(read_interface, self.address),
            "gateway": _reason(read_address, self.gateway),
            "dns1": _reason(read_address, self.dns1),
            "dns2": _reason(read_address, self.dns2),
        }
        if self.method == "static" and not self.address:
            reasons["address"] = "is required with static"
        return {name: reason for name, reason in reasons.items() if reason}


class NetworkSettings(Section, key="network", title="Network"):
    """The device in its networks."""

    hostname: str = text(
        title="Name in the network",
        default="otppi",
        pattern=_LABEL,
        shape="1 to 63 letters, digits or inner hyphens",
        help="Name of the device; it is found as NAME.local.",
    )
    confirm_s: int = integer(
        default=120,
        minimum=30,
        maximum=600,
        unit="s",
        title="Time to confirm",
        help="A change of the network goes back by itself when nobody confirms it within this time.",
    )

    def check(self) -> dict[str, str]:
        """Refuse names that mean something else."""
        if self.hostname.lower() == "localhost":
            return {"hostname": "means every device to itself"}
        if self.hostname.isdigit():
            return {"hostname": "needs a letter, or it could be taken for an address"}
        return {}


def _looks_like_address(server: str) -> bool:
    return server.replace(".", "").isdigit()


def _read_netmask(value: str) -> IPv4Address:
    try:
        return IPv4Network(f"0.0.0.0/{value}").netmask
    except ValueError as error:
        raise ValueError("is not a netmask such as 255.255.255.0") from error


def _reason(read: Callable[[str], object], *values: str) -> str:
    """Return which value cannot be read and why, or nothing; empty values are fine."""
    for value in filter(None, values):
        try:
            read(value)
        except ValueError as error:
            return f"{value} {error}"
    return ""
