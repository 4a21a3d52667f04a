"""A pseudo-terminal that looks like a modem's serial port."""

import os
import tty
from pathlib import Path

_READ_SIZE = 65536


class PseudoTerminal:
    """The modem's end of a serial line; the host opens `link`."""

    def __init__(self, link: Path) -> None:
        """Open the terminal in raw mode and let the link point to it, in place of one that may be there."""
        self._link = link
        # The host's end is held open as well, or reading would fail whenever no host has it open.
        self.fd, self._host_end = os.openpty()
        tty.setraw(self._host_end)
        os.set_blocking(self.fd, False)
        fresh = link.with_name(link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._host_end))
        fresh.replace(link)

    def read(self) -> bytes:
        """Return what the host wrote, at once."""
        try:
            return os.read(self.fd, _READ_SIZE)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        """Send to the host, at once; return how many bytes there was room for."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Take the port away; a host that has it open gets an error."""
        self._link.unlink(missing_ok=True)
        os.close(self.fd)
        os.close(self._host_end)
