"""A doorbell that can be waited for together with a file descriptor."""

import os
import select


class Wakeup:
    """Rings from any thread; heard by one thread that polls `fd` beside other descriptors."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wake the listener, now or when it next waits; several rings before it wakes count as one."""
        os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Forget the rings so far."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring alone; True if it rang."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        rang = bool(poll.poll(max(0.0, timeout_s) * 1000))
        self.clear()
        return rang

    def close(self) -> None:
        """Give the descriptor back; ring no more after that."""
        os.close(self.fd)
