"""What the test of serial ports does inside an umockdev testbed; run under umockdev-wrapper.

Prints one JSON list of sticks per scene.
"""

import json

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402

from otppi.system.serialports import present_sticks  # noqa: E402


class Bench:
    def __init__(self) -> None:
        self.testbed = UMockdev.Testbed.new()

    def device(self, subsystem, name, parent, attributes, **properties):
        flat = [[part for pair in pairs.items() for part in pair] for pairs in (attributes, properties)]
        return self.testbed.add_device(subsystem, name, parent, *flat)

    def usb(self, name, usb, *, main_class="00", parent=None, **attributes):
        vendor, product = usb.split(":")
        numbers = {"idVendor": vendor, "idProduct": product, "bDeviceClass": main_class}
        return self.device("usb", name, parent, numbers | attributes, DEVTYPE="usb_device")

    def interface(self, device, name, number, kind, driver="option"):
        main, sub, protocol = kind.split("/")
        attributes = {
            "bInterfaceNumber": number,
            "bInterfaceClass": main,
            "bInterfaceSubClass": sub,
            "bInterfaceProtocol": protocol,
        }
        path = self.device("usb", name, device, attributes, DEVTYPE="usb_interface", DRIVER=driver)
        self.testbed.set_attribute_link(path, "driver", f"../../bus/usb/drivers/{driver}")
        return path

    def tty(self, parent, name, *links):
        return self.device("tty", name, parent, {}, DEVNAME=f"/dev/{name}", DEVLINKS=" ".join(links))

    def huawei(self, place, first):
        device = self.usb(place, "12d1:1506", serial="0123456789ABCDEF", ID_VENDOR="x")
        kinds = ("ff/01/01", "ff/01/03", "ff/01/02")
        paths = [device]
        for index, kind in enumerate(kinds):
            name = f"ttyUSB{first + index}"
            interface = self.interface(device, f"{place}:1.{index}", f"{index:02x}", kind)
            links = (
                f"/dev/serial/by-path/platform-usb-0:{place}:1.{index}-port0",
                f"/dev/char/188:{first + index}",
            )
            paths += [interface, self.tty(interface, name, *links)]
        storage = self.interface(device, f"{place}:1.3", "03", "08/06/50", "usb-storage")
        return [*paths, storage]


def tell() -> None:
    print(
        json.dumps(
            [
                {
                    "place": stick.place,
                    "usb": str(stick.usb),
                    "serial": stick.serial,
                    "classes": sorted(stick.interface_classes),
                    "ports": [
                        [port.node, port.interface, port.interface_kind, port.driver, port.links]
                        for port in stick.ports
                    ],
                }
                for stick in present_sticks()
            ]
        ),
        flush=True,
    )


def main() -> None:
    bench = Bench()
    bench.usb("usb1", "1d6b:0002", main_class="09")
    bench.device("tty", "ttyS0", None, {"type": "4"}, DEVNAME="/dev/ttyS0")
    tell()
    stick = bench.huawei("1-1.2", first=0)
    hilink = bench.usb("1-1.3", "12d1:14db")
    bench.interface(hilink, "1-1.3:1.0", "00", "02/06/00", "cdc_ether")
    converter = bench.usb("1-1.4", "1a86:7523", serial="\x1b[31mEvil" + "x" * 100)
    bench.tty(bench.interface(converter, "1-1.4:1.0", "00", "ff/01/02", "ch341"), "ttyUSB9")
    tell()
    for path in reversed(stick):
        bench.testbed.uevent(path, "remove")
        bench.testbed.remove_device(path)
    tell()
    bench.huawei("1-1.1", first=3)
    tell()


main()
