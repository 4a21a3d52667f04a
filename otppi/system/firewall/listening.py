"""Which programs listen on the device, and whom the firewall lets through to them."""

import os
import pwd
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from otppi.system.firewall.services import Services
from otppi.system.firewall.settings import OpenPort

_PROC = Path("/proc")
# Of the kernel's tables: which have what, and the state of a socket that waits for anybody.
_TABLES = (("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07"))
_WORD = 8  # hexadecimal digits
_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A port on which somebody waits."""

    protocol: str
    address: IPv4Address | IPv6Address
    port: int
    user: str  # whose program it is
    program: str  # empty where the gateway may not see it

    @property
    def is_reachable(self) -> bool:
        """Whether anybody but the device itself could reach it without a firewall."""
        return not self.address.is_loopback


@dataclass(frozen=True, kw_only=True)
class Way:
    """Who comes through to a port, and why."""

    reached_from: str  # as in `Need`, or the interface of an owner's entry
    source: str = ""  # the address or network that callers must have; empty for all
    whose: str = ""  # the service that the port is for; empty for an entry of the owner's
    note: str = ""  # what the owner wrote down about it


def listeners(proc: Path = _PROC) -> tuple[Listener, ...]:
    """Return all, by port."""
    programs = _programs(proc)
    found = [
        one
        for table, protocol, state in _TABLES
        for one in _read(proc / "net" / table, protocol, state, programs)
    ]
    return tuple(
        sorted(set(found), key=lambda one: (one.port, one.protocol, one.address.version, str(one.address)))
    )


def ways(listener: Listener, ports: Mapping[str, OpenPort], services: Services) -> tuple[Way, ...]:
    """Return who comes through the firewall, while it is on; nobody if the port is closed."""
    needed = (
        Way(reached_from=need.reached_from, whose=need.whose)
        for need in services.needed()
        if (need.protocol, need.port) == (listener.protocol, listener.port)
    )
    opened = (
        Way(reached_from=entry.interface, source=entry.source, note=entry.note)
        for entry in ports.values()
        if entry.open and entry.protocol == listener.protocol and _is_within(listener.port, entry)
    )
    return (*needed, *opened)


def _is_within(port: int, entry: OpenPort) -> bool:
    first, last = entry.ports
    return first <= port <= last


def _read(table: Path, protocol: str, state: str, programs: Mapping[str, str]) -> Iterator[Listener]:
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return  # a kernel without IPv6
    for line in lines:
        _, local, _, present, _, _, _, uid, _, inode, *_ = line.split()
        if present == state:
            address, _, port = local.partition(":")
            yield Listener(
                protocol=protocol,
                address=_address(address),
                port=int(port, 16),
                user=_user(int(uid)),
                program=programs.get(inode, ""),
            )


def _address(digits: str) -> IPv4Address | IPv6Address:
    """Read an address as the kernel writes it: words of 32 bits, each in the order of this machine."""
    words = (int(digits[at : at + _WORD], 16) for at in range(0, len(digits), _WORD))
    return ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _programs(proc: Path) -> dict[str, str]:
    """Return the names of programs by the inodes of their sockets; those of other users are not seen."""
    found = dict[str, str]()
    for process in proc.glob("[0-9]*"):
        # It may be another user's, or have ended.
        with suppress(OSError):
            name = (process / "comm").read_text("utf-8", "replace").strip()
            found |= dict.fromkeys(_sockets(process / "fd"), name)
    return found


def _sockets(files: Path) -> Iterator[str]:
    for one in files.iterdir():
        with suppress(OSError):  # closed meanwhile
            if match := _SOCKET.fullmatch(os.readlink(one)):
                yield match[1]
