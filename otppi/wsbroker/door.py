"""The listening socket, which turns away who has too many connections before anything is spent on one."""

import socket
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from otppi.wsbroker.limits import Limits
from otppi.wsbroker.request import caller

BACKLOG = 512


class Door(socket.socket):
    """A listening socket that counts what it has let in until it is closed.

    The event loop calls `accept`, and takes a connection that was turned away for one that its client gave up. So it
    costs neither a handshake of TLS nor a task.
    """

    def __init__(
        self,
        listener: socket.socket,
        limits: Limits,
        proxies: Collection[str],
        turned_away: Callable[[str, str], None],
    ) -> None:
        """Take the place of a listening socket.

        Args:
            listener: It is of no use any more afterwards.
            limits: How many may be inside.
            proxies: Addresses that stand for many clients, so that the limit for one is not for them.
            turned_away: Told why, and which address.
        """
        super().__init__(fileno=listener.detach())
        self.setblocking(False)
        self._limits = limits
        self._proxies = proxies
        self._turned_away = turned_away
        self._inside: Counter[str] = Counter()
        self._strangers: dict[int, _Entered] = {}  # by descriptor; the oldest first

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection that may come in.

        Raises:
            ConnectionAbortedError: The next one may not; it is closed.
            BlockingIOError: Nobody waits.
        """
        connection, name = super().accept()
        address = caller(name[0], (), ())
        if self._inside.total() >= self._limits.connections:
            self._turn_away(connection, address, "too many connections")
        if self._inside[address] >= self._limits.per_address and address not in self._proxies:
            self._turn_away(connection, address, "too many connections of this address")
        entered = _Entered(connection, address, self._has_gone)
        self._inside[address] += 1
        self._strangers[entered.fileno()] = entered
        if len(self._strangers) > self._limits.strangers:
            self._send_away(next(iter(self._strangers.values())))
        return entered, name

    def know(self, descriptor: int) -> None:
        """Note that a connection has said who it is."""
        self._strangers.pop(descriptor, None)

    def _turn_away(self, connection: socket.socket, address: str, reason: str) -> None:
        connection.close()
        self._turned_away(reason, address)
        raise ConnectionAbortedError(reason)

    def _send_away(self, stranger: "_Entered") -> None:
        self._has_gone(stranger)
        # Only the event loop may close it, which it will do as soon as it has let in all who wait.
        with suppress(OSError):
            stranger.shutdown(socket.SHUT_RDWR)
        self._turned_away("it did not say who it is, and others wait", stranger.address)

    def _has_gone(self, entered: "_Entered") -> None:
        if not entered.is_inside:
            return
        entered.is_inside = False
        self.know(entered.fileno())
        self._inside[entered.address] -= 1
        if not self._inside[entered.address]:
            del self._inside[entered.address]


class _Entered(socket.socket):
    def __init__(
        self, connection: socket.socket, address: str, has_gone: Callable[["_Entered"], None]
    ) -> None:
        super().__init__(fileno=connection.detach())
        self.address = address
        self.is_inside = True
        self._has_gone = has_gone

    def close(self) -> None:
        self._has_gone(self)
        super().close()


def listening(host: str, port: int) -> socket.socket:
    """Open a port; `::` stands for IPv4 as well.

    Raises:
        OSError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = family == socket.AF_INET6 and host == "::"
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=is_dual)
