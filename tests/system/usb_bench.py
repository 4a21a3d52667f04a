"""Serial ports of an umockdev testbed, which only a program under umockdev-wrapper can see."""

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402


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
