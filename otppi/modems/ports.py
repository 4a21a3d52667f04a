"""Which port of a stick takes AT commands, and why; no byte is sent here."""

from dataclasses import dataclass

from otppi.model.ports import SerialPort, Stick
from otppi.modems.families import family_on_usb
from otppi.modems.families.family import Family, Layout

# USB class codes, https://www.usb.org/defined-class-codes.
_NETWORK_CLASSES = frozenset({0x02, 0xE0})  # CDC, and RNDIS as a wireless controller
_STORAGE_CLASS = 0x08
# A modem class of CDC: subclass 2, and as protocol one of six sets of AT commands (CDC 1.2, table 5).
_CDC_ACM = (0x02, 0x02)
_CDC_AT_PROTOCOLS = range(1, 7)
# Drivers of the kernel for modems alone (ModemManager, mm-filter.c).
_MODEM_DRIVERS = frozenset({"option", "option1", "qcserial", "qcaux", "nozomi", "sierra"})


@dataclass(frozen=True, kw_only=True)
class PortChoice:
    """A port, whether it may be asked, and why; in words for a person."""

    port: SerialPort
    why: str
    may_be_asked: bool = True
    # Other things than modems look just like this, so nothing is asked until the owner names the port.
    only_if_named: bool = False


def candidates(stick: Stick) -> tuple[PortChoice, ...]:
    """Return the ports that may take AT commands, the likeliest first; the first that answers is the one.

    Where the USB id tells all interfaces, only the right ones are among them. A stick may be just showing
    itself: its other ports can follow within a second.
    """
    return tuple(choice for choice in _choices(stick) if choice.may_be_asked)


def left_out(stick: Stick) -> tuple[PortChoice, ...]:
    """Return the ports that are not to be disturbed."""
    return tuple(choice for choice in _choices(stick) if not choice.may_be_asked)


def why_without_port(stick: Stick) -> str:
    """Explain a stick that is a modem and has no serial port; empty if there is nothing to explain."""
    family = family_on_usb(stick.usb)
    if stick.ports or family is None:
        return ""
    what = f"{stick.usb} is a {family.name} stick"
    if stick.interface_classes & _NETWORK_CLASSES:
        return (
            f"{what} that shows itself as a network card (HiLink) and has no serial port, so it cannot send messages "
            "here. Some can be changed to the firmware of a stick; better take another one."
        )
    if _STORAGE_CLASS in stick.interface_classes:
        return (
            f"{what} that still shows itself as a CD with its drivers. usb_modeswitch should have switched it; pull "
            "it out and put it in again."
        )
    return f"{what} without a serial port. Its driver may not know it yet; pull it out and put it in again."


def _choices(stick: Stick) -> list[PortChoice]:
    family = family_on_usb(stick.usb)
    if family is None or stick.usb is None:
        return [_of_unknown(port) for port in stick.ports]
    if (layout := family.layouts.get(stick.usb)) is not None:
        return _by_layout(stick, family, layout)
    ranked = [_by_hint(port, family) for port in stick.ports]
    return [choice for _, choice in sorted(ranked, key=lambda one: one[0])]


def _by_layout(stick: Stick, family: Family, layout: Layout) -> list[PortChoice]:
    known = f"{stick.usb} is a {family.name} modem"
    chosen = [
        PortChoice(port=port, why=f"{known} that takes commands at interface {number}")
        for number in layout.at
        for port in stick.ports
        if port.interface == number
    ]
    others = [
        PortChoice(
            port=port,
            why=f"{known}; interface {port.interface} is for {_purpose(layout, port)}",
            may_be_asked=False,
        )
        for port in stick.ports
        if port.interface not in layout.at
    ]
    return chosen + others


def _purpose(layout: Layout, port: SerialPort) -> str:
    return (
        layout.other.get(port.interface, "something else") if port.interface is not None else "something else"
    )


def _by_hint(port: SerialPort, family: Family) -> tuple[int, PortChoice]:
    kind, number = port.interface_kind, port.interface
    if kind is not None and (purpose := family.other_kinds.get(kind)):
        why = f"{family.name} marks interface {number} as one for {purpose}"
        return 999, PortChoice(port=port, why=why, may_be_asked=False)
    if kind in family.at_kinds:
        why = f"{family.name} marks interface {number} as one for commands"
        return family.at_kinds.index(kind), PortChoice(port=port, why=why)
    if number in family.usual:
        why = f"{family.name} modems usually take commands at interface {number}"
        return 100 + family.usual.index(number), PortChoice(port=port, why=why)
    why = f"it is a {family.name} modem, and what interface {number} is for is not known"
    return 200, PortChoice(port=port, why=why)


def _of_unknown(port: SerialPort) -> PortChoice:
    if port.driver == "cdc_acm" and port.interface_kind is not None:
        *kind, protocol = port.interface_kind
        if tuple(kind) != _CDC_ACM or protocol not in _CDC_AT_PROTOCOLS:
            why = "it does not claim to take AT commands; name the port if it is a modem all the same"
            return PortChoice(port=port, why=why, may_be_asked=False)
        why = "it claims to take AT commands, which other things than modems do as well; name the port if it is one"
        return PortChoice(port=port, why=why, only_if_named=True)
    if port.driver in _MODEM_DRIVERS:
        return PortChoice(port=port, why=f"its driver, {port.driver}, is one for modems")
    # A converter from USB to serial, a UART, a pseudo-terminal.
    why = "behind it may be anything, so only the settings can say that it is a modem"
    return PortChoice(port=port, why=why, only_if_named=True)
