"""What the connection is just now."""

import errno
import fcntl
import socket
import struct
from ipaddress import IPv4Address

from otppi.system import dbus

_SYSTEMD = "org.freedesktop.systemd1"
_SIOCGIFADDR = 0x8915
_IFREQ = struct.Struct("16s4x4s16x")  # name, then the family and port before the address of a sockaddr_in
_NOT_THERE = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL})


def address_of(interface: str) -> IPv4Address | None:
    """Return the address of an interface; None if it has none or is not there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFADDR, _IFREQ.pack(interface.encode(), b""))
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
    return IPv4Address(_IFREQ.unpack(answer)[1])


def last_exit(unit: str) -> int | None:
    """Return the exit code with which a service ended last; None if it was killed or has not run.

    Raises:
        HostError: systemd cannot be asked, or does not know it.
    """
    manager = ("/org/freedesktop/systemd1", f"{_SYSTEMD}.Manager")
    path = dbus.call(_SYSTEMD, *manager, "LoadUnit", "s", (unit,))[0]
    service = dbus.get_properties(_SYSTEMD, path, f"{_SYSTEMD}.Service")
    # CLD_EXITED; anything else is a signal, or nothing yet.
    return int(service["ExecMainStatus"]) if service["ExecMainCode"] == 1 else None
