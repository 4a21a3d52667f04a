"""Tells the resolver which name servers the mobile operator has, for its interface alone.

pppd writes them into a file. Were they put into /etc/resolv.conf, as Debian's script would do it, those of a better
connection would be lost; systemd-resolved keeps them apart, and forgets them with the interface.
"""

import logging
import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

from otppi.model.errors import HostError
from otppi.system import dbus
from otppi.system.mobile.keeper import INTERFACE
from otppi.system.mobile.reading import address_of

log = logging.getLogger(__name__)

# pppd(8), usepeerdns.
_WRITTEN = Path("/etc/ppp/resolv.conf")
_RESOLVED = ("org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager")
_MOST = 3
_LONGEST_BYTES = 1000


def read_servers(text: str) -> tuple[IPv4Address, ...]:
    """Read the file that pppd writes; what is no address of a name server is left out."""
    found = re.findall(r"^nameserver\s+([0-9.]{7,15})\s*$", text, re.MULTILINE)
    servers = []
    for one in found[:_MOST]:
        try:
            address = IPv4Address(one)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_unspecified or address.is_multicast):
            servers.append(address)
    return tuple(servers)


class NameServers:
    """Brings the name servers of a connection to systemd-resolved; `look` is called now and then by one thread."""

    def __init__(
        self,
        *,
        written: Path = _WRITTEN,
        address_of: Callable[[str], IPv4Address | None] = address_of,
        index_of: Callable[[str], int] = socket.if_nametoindex,
    ) -> None:
        self._written = written
        self._address_of = address_of
        self._index_of = index_of
        self._told: tuple[int, tuple[IPv4Address, ...]] | None = None
        self._problem = ""

    def look(self) -> None:
        """Tell the resolver what it does not know yet; waits for it."""
        try:
            if self._address_of(INTERFACE) is None:
                self._told = None
                return
            with self._written.open() as file:
                servers = read_servers(file.read(_LONGEST_BYTES))
            wanted = (self._index_of(INTERFACE), servers)
            if servers and wanted != self._told:
                _tell(*wanted)
                self._told = wanted
            self._problem = ""
        except (OSError, HostError) as error:
            if str(error) != self._problem:
                log.warning("name servers of mobile internet", extra={"fields": {"reason": str(error)}})
            self._problem = str(error)


def _tell(index: int, servers: tuple[IPv4Address, ...]) -> None:
    addresses = [[socket.AF_INET, one.packed] for one in servers]
    dbus.call(*_RESOLVED, "SetLinkDNS", "ia(iay)", (index, addresses))
    # Nobody in a mobile network is to be asked for names of this one.
    dbus.call(*_RESOLVED, "SetLinkLLMNR", "is", (index, "no"))
    dbus.call(*_RESOLVED, "SetLinkMulticastDNS", "is", (index, "no"))
    log.info("name servers of mobile internet were set", extra={"fields": {"servers": len(servers)}})
