"""ZTE sticks: MF1xx, MF6xx and others.

Witnesses: ModemManager's plugin zte and its udev rules; gammu's F_ZTE_INIT.
"""

import re

from otppi.model.ports import UsbId
from otppi.modems.families.family import Family, Layout, Question

_VENDOR = 0x19D2
# ModemManager, 77-mm-zte-port-types.rules: products by the interfaces that take commands, best first.
_INTERFACES = {
    (0, 2): "0001 1515",
    (2, 4): "0002 0012 0024 0025 0055",
    (0, 1): "0003 0004 0005 0006 0007 0008 0009 000a",
    (1, 3): "0015 0030 0054",
    (2, 1): "0016 0017 0018 0019 0117 0156",
    (
        3,
        1,
    ): "0021 0031 0037 0039 0042 0052 0057 0058 0061 0063 0066 0078 0082 0104 0106 0108 0122 0123 1007 1008 "
    "1010 1254 1268 2002 2003",
    (4, 1): "0033 0091 0113 0118 0121 0124 0126 0128",
    (3, 2): "0043",
    (4, 2): "0048 0049",
    (2, 0): "0064",
    (5, 1): "0125",
}

ZTE = Family(
    name="ZTE",
    usb_vendors=frozenset({_VENDOR}),
    layouts={
        UsbId(vendor=_VENDOR, product=int(product, 16)): Layout(at=interfaces)
        for interfaces, products in _INTERFACES.items()
        for product in products.split()
    },
    words=re.compile(r"\bzte\b", re.IGNORECASE),
    # gammu: stay online.
    init=("AT+ZOPRT=5",),
    # ModemManager: ends a flood of +ZUSIMR:2 that fills the stick until it crashes.
    init_with_sim=("AT+CPMS?",),
    iccid=Question(command="AT+ZGETICCID", prefix="+ZGETICCID:"),
    # ModemManager.
    pin_tries=Question(
        command="AT+ZPINPUK=?", prefix="+ZPINPUK:", pattern=re.compile(r": *(?P<pin>\d+) *, *(?P<puk>\d+)")
    ),
)
