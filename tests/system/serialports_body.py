"""What the test of serial ports does inside an umockdev testbed; run under umockdev-wrapper.

Prints one JSON list of sticks per scene.
"""

import json

from otppi.system.serialports import present_sticks
from tests.system.usb_bench import Bench


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
