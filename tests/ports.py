"""Ports on loopback for the servers of tests."""

import itertools
import random
import socket
from collections.abc import Iterator

# Below those that Linux gives to outgoing connections: while a server is down nothing else gets its port.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port that nobody has, and that this run was not given lately."""
    return next(port for port in _ports if _is_free(port))


def _all_ports() -> Iterator[int]:
    """Begin elsewhere each time: another run on this machine has others then."""
    begin = random.randrange(len(_PORTS))
    return itertools.cycle([*_PORTS[begin:], *_PORTS[:begin]])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_ports = _all_ports()
