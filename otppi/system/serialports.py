"""The serial ports that are there, by the sticks they belong to, as the kernel and udev tell them."""

from collections.abc import Iterator

import pyudev

from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.system.devices import description_of

_HUB_CLASS = 0x09
_LONGEST_SERIAL = 60


def present_sticks() -> tuple[Stick, ...]:
    """Return every USB device that is no hub, by place, with its serial ports; those without a port as well.

    Reads /sys anew, which takes some milliseconds. It needs no running udev, which only adds the names that last.
    To be called at the start and, after a `DeviceNotice` or by a clock, again; ports of one stick come one by one.
    """
    context = pyudev.Context()
    ports: dict[str, list[SerialPort]] = {}
    for device in context.list_devices(subsystem="tty"):
        if (owner := device.find_parent("usb", "usb_device")) and (port := _port_of(device)):
            ports.setdefault(owner.sys_name, []).append(port)
    devices = context.list_devices(subsystem="usb", DEVTYPE="usb_device")
    sticks = (_stick_of(device, ports.get(device.sys_name, [])) for device in devices)
    return tuple(sorted((stick for stick in sticks if stick), key=lambda stick: stick.place))


def _stick_of(device: pyudev.Device, ports: list[SerialPort]) -> Stick | None:
    usb = _usb_id(device)
    if usb is None or _number(device, "bDeviceClass") == _HUB_CLASS:
        return None
    return Stick(
        place=device.sys_name,
        usb=usb,
        serial="".join(filter(str.isprintable, _text(device, "serial")))[:_LONGEST_SERIAL],
        description=description_of(device),
        interface_classes=frozenset(_interface_classes(device)),
        ports=tuple(sorted(ports, key=lambda port: (port.interface or 0, port.node))),
    )


def _port_of(device: pyudev.Device) -> SerialPort | None:
    if not device.device_node:
        return None
    interface = device.find_parent("usb", "usb_interface")
    return SerialPort(
        node=device.device_node,
        interface=_number(interface, "bInterfaceNumber"),
        interface_kind=_kind(interface),
        driver=(interface.driver if interface else None) or "",
        links=tuple(
            sorted(
                link
                for link in str(device.properties.get("DEVLINKS", "")).split()
                if link.startswith("/dev/serial/")
            )
        ),
    )


def _usb_id(device: pyudev.Device) -> UsbId | None:
    vendor, product = _number(device, "idVendor"), _number(device, "idProduct")
    return None if vendor is None or product is None else UsbId(vendor=vendor, product=product)


def _kind(interface: pyudev.Device | None) -> tuple[int, int, int] | None:
    numbers = [
        _number(interface, name) for name in ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    ]
    match numbers:
        case [int(main), int(sub), int(protocol)]:
            return main, sub, protocol
    return None


def _interface_classes(device: pyudev.Device) -> Iterator[int]:
    for child in device.children:
        if child.device_type == "usb_interface" and (number := _number(child, "bInterfaceClass")) is not None:
            yield number


def _number(device: pyudev.Device | None, attribute: str) -> int | None:
    try:
        return int(_text(device, attribute), 16)
    except ValueError:
        return None


def _text(device: pyudev.Device | None, attribute: str) -> str:
    if device is None:
        return ""
    try:
        return str(device.attributes.get(attribute, b""), "utf-8", "replace").strip()
    except OSError:  # just pulled out
        return ""
