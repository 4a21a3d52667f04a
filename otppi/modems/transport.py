"""Bytes to and from a serial port. The only place that knows pyserial."""

import contextlib
import errno
import fcntl
import os
import select
import termios
from dataclasses import dataclass

import serial

from otppi.lib.holders import holders
from otppi.lib.wakeup import Wakeup

_WRITE_LIMIT_S = 10.0
_READ_SIZE = 4096
_HELD = (errno.EAGAIN, errno.EBUSY)


class PortGone(Exception):
    """The port cannot be opened, or went away while it was open."""


class PortHeld(PortGone):
    """Another program has the port."""


@dataclass(frozen=True, kw_only=True)
class SerialLine:
    """How the serial line is set; start bits are always one (asynchronous serial knows no other number)."""

    baud_rate: int = 115200
    parity: str = "N"
    stop_bits: float = 1


class SerialTransport:
    """An open serial port, owned by one thread.

    pyserial opens, locks and sets the line. Its lock (flock) holds those off that ask for one; TIOCEXCL holds off
    everybody but root. Bytes then move by the descriptor itself, so that one `poll`
    waits for the modem and for work alike, without a thread that only reads and without a time slice.
    """

    def __init__(self, port: str, line: SerialLine, wakeup: Wakeup) -> None:
        """Open and lock the port.

        Raises:
            PortHeld: Another program has it.
            PortGone: It does not exist, or the line cannot be set so.
        """
        try:
            self._serial = serial.Serial(
                port,
                baudrate=line.baud_rate,
                parity=line.parity,
                stopbits=line.stop_bits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
            self._fd = self._serial.fileno()
            fcntl.ioctl(self._fd, termios.TIOCEXCL)
        except (serial.SerialException, termios.error, ValueError, OSError) as error:
            kind = PortHeld if _number(error) in _HELD else PortGone
            raise kind(_reason(error, port)) from error
        self._wakeup = wakeup
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(wakeup.fd, select.POLLIN)
        self._poll_bytes = select.poll()
        self._poll_bytes.register(self._fd, select.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Wait until bytes came or somebody rang; True if it was the bell or the time, False for bytes."""
        events = self._poll.poll(max(0.0, timeout_s) * 1000)
        if any(fd == self._fd for fd, _ in events):
            return False
        if events:
            self._wakeup.clear()
        return True

    def wait_for_bytes(self, timeout_s: float) -> bool:
        """Wait for bytes alone, deaf to the bell; True if some came."""
        return bool(self._poll_bytes.poll(max(0.0, timeout_s) * 1000))

    def read(self) -> bytes:
        """Return what has arrived; call after a wait said so.

        Raises:
            PortGone: The device was unplugged.
        """
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortGone(_reason(error)) from error
        if not data:
            raise PortGone("the device was unplugged")
        return data

    def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            PortGone: The device was unplugged, or took nothing for ten seconds.
        """
        view = memoryview(data)
        try:
            while view:
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    self._wait_for_room()
        except OSError as error:
            raise PortGone(_reason(error)) from error

    def close(self) -> None:
        """Unlock and close the port; the wakeup stays with its owner."""
        with contextlib.suppress(OSError):  # gone already
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
        self._serial.close()

    def _wait_for_room(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if not poll.poll(_WRITE_LIMIT_S * 1000):
            raise PortGone("the device takes no more bytes")


def _reason(error: Exception, port: str = "") -> str:
    number = _number(error)
    if number == errno.ENOENT:
        return "the port does not exist"
    if number in _HELD:
        return f"{', '.join(holders(port)) or 'another program'} holds the port"
    if number in (errno.EACCES, errno.EPERM):
        return "no permission to open the port"
    if number in (errno.EIO, errno.ENODEV, errno.ENXIO):
        return "the device was unplugged"
    if number == errno.ENOTTY:
        return "it is no serial port"
    return str(error) if number is None else os.strerror(number)


def _number(error: BaseException) -> int | None:
    """Return the errno; pyserial puts errors of its own, without one, in the place of those of termios."""
    for one in (error, error.__context__):
        if isinstance(one, OSError) and one.errno is not None:
            return one.errno
        if isinstance(one, termios.error):  # no OSError
            return int(one.args[0])
    return None
