"""What an owner may set of the firewall."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from otppi.model.errors import SettingsError
from otppi.settings.fields import boolean, choice, integer, text
from otppi.settings.paths import dotted
from otppi.settings.section import Section
from otppi.system.firewall.services import Services

_HIGHEST_PORT = 65_535
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}"

ANY, ETHERNET = "any", "ethernet"


class FirewallSettings(Section, key="firewall", title="Firewall", reset_flag="RESET_FIREWALL"):
    """Who may knock at the device, and how often. What is not opened here or by a service is closed."""

    enabled: bool = boolean(
        title="Firewall is on",
        default=True,
        help="Off, every port is open to everybody, and those who join the access point reach the other networks "
        "of the device.",
    )
    answers_ping: bool = boolean(
        title="Answer ping", default=True, help="Who looks whether the device is there gets an answer."
    )
    admin_connections_per_minute: int = integer(
        title="Connections to the admin pages in a minute",
        default=300,
        minimum=30,
        maximum=6_000,
        help="New connections to the admin pages that one address may open. More are delayed.",
    )
    admin_burst: int = integer(
        title="Connections to the admin pages at once",
        default=100,
        minimum=10,
        maximum=1_000,
        help="New connections that may come at once before the limit above counts.",
    )
    api_connections_per_second: int = integer(
        default=500,
        minimum=20,
        maximum=10_000,
        title="Connections to the API in a second",
        help="New connections to the API that one address may open. More are delayed. An application server may "
        "need one for each request.",
    )
    api_burst: int = integer(
        default=1_000,
        minimum=20,
        maximum=10_000,
        title="Connections to the API at once",
        help="New connections that may come at once before the limit above counts.",
    )
    log_dropped: bool = boolean(
        title="Log what is refused",
        default=False,
        help="Write into the system's log what was refused, at most six lines a minute.",
    )


class OpenPort(Section, key="open_ports", title="Open ports", reset_flag="RESET_FIREWALL", many=True):
    """A port that is open beside those of the services; without its entry it is closed."""

    port: str = text(
        pattern=r"[0-9]{1,5}(\s*-\s*[0-9]{1,5})?",
        shape="a port from 1 to 65535, or a range such as 5000-5010",
        help="Port, or first and last port.",
    )
    protocol: str = choice(("tcp", "udp"), default="tcp", help="Protocol.")
    interface: str = text(
        title="Open for callers from",
        default=ANY,
        pattern=_NAME,
        shape="any, access-point, ethernet or the name of an interface such as ppp0",
        help="Where callers may come from: any (mobile internet included), access-point, ethernet, or the name of "
        "an interface such as ppp0.",
    )
    source: str = text(
        title="Only for this address or network",
        default="",
        pattern=r"[0-9A-Fa-f:.]*(/[0-9]{1,3})?",
        shape="an address or a network, such as 10.0.0.0/8",
        help="Address or network that callers must have; empty for all.",
    )
    open: bool = boolean(default=True, help="Off, the entry opens nothing and is only kept.")
    note: str = text(default="", pattern=r".{0,100}", shape="at most 100 characters", help="What it is for.")

    def check(self) -> dict[str, str]:
        """Look at what patterns cannot say."""
        errors: dict[str, str] = {}
        first, last = self.ports
        if not 1 <= first <= _HIGHEST_PORT or not 1 <= last <= _HIGHEST_PORT:
            errors["port"] = f"must be 1 to {_HIGHEST_PORT}"
        elif first > last:
            errors["port"] = "must name the lower port of the range first"
        try:
            _ = self.network
        except ValueError:
            errors["source"] = "must be an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"
        return errors

    @property
    def ports(self) -> tuple[int, int]:
        """First and last port."""
        first, _, last = self.port.partition("-")
        return int(first), int(last or first)

    @property
    def network(self) -> IPv4Network | IPv6Network | None:
        """The callers' network, or None for all of both families."""
        return ip_network(self.source, strict=False) if self.source else None


def refuse_closing(ports: Mapping[str, OpenPort], services: Services) -> None:
    """Let a list of ports pass, unless it looks as if a port were closed that a service keeps open.

    Raises:
        SettingsError: Names every such entry.
    """
    errors: dict[str, str] = {}
    for item_id, entry in ports.items():
        first, last = entry.ports
        for need in services.needed():
            if not entry.open and entry.protocol == need.protocol and first <= need.port <= last:
                errors[dotted(OpenPort, item_id)] = (
                    f"port {need.port}/{need.protocol} is needed for {need.whose} and cannot be closed here"
                )
                break
    if errors:
        raise SettingsError(errors)
