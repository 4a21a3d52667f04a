"""What a service tells systemd about itself: ready, stopping, alive (the protocol of sd_notify(3))."""

import os
import socket
from collections.abc import Mapping

# The service manager may be busy, but whoever tells it something does not wait for it for ever.
_LIMIT_S = 2.0
_USEC = 1_000_000
_LONGEST_STATUS = 200


class ServiceNotice:
    """Sends notices to the service manager; where none listens they go nowhere. Usable from any thread."""

    def __init__(self, address: str) -> None:
        """Take the socket as NOTIFY_SOCKET names it: a path, `@name` for an abstract one, empty for none."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> "ServiceNotice":
        """Return the one for the service that this process is."""
        return cls(environ.get("NOTIFY_SOCKET", ""))

    def ready(self) -> bool:
        """Tell that the service does its work now."""
        return self._send("READY=1")

    def stopping(self) -> bool:
        """Tell that the service ends by itself; from now on its watchdog is off and the stop limit counts."""
        return self._send("STOPPING=1")

    def alive(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """Tell in one line what the service is doing, as `systemctl status` shows it."""
        line = "".join(c if c.isprintable() else " " for c in text)
        return self._send(f"STATUS={line[:_LONGEST_STATUS]}")

    def _send(self, notice: str) -> bool:
        """Return whether it was taken; also True where nobody wants to hear of it."""
        if not self._address:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(_LIMIT_S)
                sock.connect(self._address)
                sock.send(notice.encode())
        except OSError:
            return False
        return True


def watchdog_interval_s(environ: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Return how often at least systemd wants to hear of this process, or None if it does not.

    The meaning of the variables: sd_watchdog_enabled(3).
    """
    wanted = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", "")
    if not wanted.isascii() or not wanted.isdigit() or int(wanted) == 0:
        return None
    if meant and meant != str(os.getpid() if pid is None else pid):
        return None
    return int(wanted) / _USEC
