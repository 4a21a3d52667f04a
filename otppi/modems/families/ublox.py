"""u-blox: LISA, SARA, TOBY, LARA.

Witnesses: ModemManager's plugin ublox and its udev rules; SARA-R4/N4 AT Commands Manual (UBX-17003787), 9.19.
"""

import re

from otppi.model.ports import UsbId
from otppi.modems.families.family import Family, Layout, Question

_VENDOR = 0x1546
_POSITIONS, _SIM_ACCESS, _LOG = "satellite positions", "SIM access profile", "diagnostics"
_RECEIVER = Layout(at=(), other={0: _POSITIONS})


def _usb(product: int) -> UsbId:
    return UsbId(vendor=_VENDOR, product=product)


UBLOX = Family(
    name="u-blox",
    usb_vendors=frozenset({_VENDOR}),
    # ModemManager, 77-mm-ublox-port-types.rules; the numbers are those of every second interface.
    layouts={
        _usb(0x1010): Layout(at=(6,), other={4: _LOG, 8: "updates"}),  # TOBY-L4
        _usb(0x1107): Layout(at=(0, 2, 4), other={6: _POSITIONS, 8: _SIM_ACCESS, 10: _LOG}),  # TOBY-R2
        _usb(0x110A): Layout(at=(0, 2, 4), other={6: _POSITIONS, 8: _SIM_ACCESS, 10: _LOG}),  # LARA-R2
        _usb(0x1102): Layout(
            at=(0, 2, 4), other={6: _POSITIONS, 8: _LOG, 10: _LOG, 12: _SIM_ACCESS}
        ),  # SARA-U2
        _usb(0x1104): Layout(at=(0,), other={2: _POSITIONS, 4: _LOG, 6: _SIM_ACCESS}),
        UsbId(vendor=0x05C6, product=0x908B): Layout(at=(1, 2), other={0: _LOG}),  # LARA-R6
    }
    | {_usb(product): _RECEIVER for product in (0x01A5, 0x01A6, 0x01A7, 0x01A8, 0x01A9)},
    # option.c of the kernel: SARA-R410M, which has Qualcomm's id.
    products=frozenset({UsbId(vendor=0x05C6, product=0x90B2)}),
    words=re.compile("u-?blox", re.IGNORECASE),
    restart="AT+CFUN=16",
    iccid=Question(command="AT+CCID", prefix="+CCID:"),
    pin_tries=Question(
        command="AT+UPINCNT",
        prefix="+UPINCNT:",
        pattern=re.compile(r": *(?P<pin>\d+) *, *\d+ *, *(?P<puk>\d+) *, *\d+"),
    ),
    # "Up to 3 min".
    answer_limit_s=180.0,
)
