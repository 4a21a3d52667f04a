"""Serial ports and the sticks that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, kw_only=True)
class UsbId:
    """What a USB device is: the numbers of its maker and its product."""

    vendor: int
    product: int

    def __str__(self) -> str:
        """Return it as `lsusb` writes it."""
        return f"{self.vendor:04x}:{self.product:04x}"


@dataclass(frozen=True, kw_only=True)
class SerialPort:
    """One serial port, as the kernel and udev tell it."""

    node: str  # such as /dev/ttyUSB0; another one after each plugging in
    interface: int | None = None  # the number of the USB interface behind it
    interface_kind: tuple[int, int, int] | None = None  # class, subclass and protocol of that interface
    driver: str = ""
    links: tuple[str, ...] = ()  # names that last: /dev/serial/by-id/…, /dev/serial/by-path/…

    def answers_to(self, name: str) -> bool:
        """Whether settings that name a port mean this one: a node, its last part, or a name that lasts."""
        return name in (self.node, PurePath(self.node).name, *self.links)


@dataclass(frozen=True, kw_only=True)
class Stick:
    """One piece of hardware with its serial ports; on USB these are the ports of one device."""

    place: str  # where it is plugged in, such as `1-1.3` (the name in /sys/bus/usb/devices); else its node
    usb: UsbId | None = None
    serial: str = ""  # what the device says; many say nothing, or all the same
    description: str = ""  # maker and model as the device tells them
    interface_classes: frozenset[int] = (
        frozenset()
    )  # of all its USB interfaces, those without a port included
    ports: tuple[SerialPort, ...] = ()  # by interface, then node

    @property
    def nodes(self) -> tuple[str, ...]:
        """The device files of its ports."""
        return tuple(port.node for port in self.ports)


def stick_at(node: str) -> Stick:
    """Return a port that only the settings know as a stick of its own.

    A UART on the pin header never shows what hangs on it, and a pseudo-terminal is no hardware at all, so
    neither is looked for; the owner names it.
    """
    return Stick(place=node, ports=(SerialPort(node=node),))


def port_named(sticks: Sequence[Stick], name: str) -> tuple[Stick, SerialPort] | None:
    """Find the port that settings name."""
    for stick in sticks:
        for port in stick.ports:
            if port.answers_to(name):
                return stick, port
    return None
