"""Sierra Wireless on USB, and Wavecom, which it bought: the modems of serial pools.

Witnesses: ModemManager's plugins sierra and wavecom and their udev rules; the manual of Westermo's GD-01, which
has a Wavecom inside (+CPINC).
"""

import re

from otppi.model.ports import UsbId
from otppi.modems.families.family import Family, Layout, Question

_VENDOR = 0x1199
_DIAGNOSTICS, _POSITIONS = "diagnostics", "satellite positions"
_PIN_TRIES = re.compile(r": *(?P<pin>\d+) *, *\d+ *, *(?P<puk>\d+) *, *\d+")

SIERRA = Family(
    name="Sierra Wireless",
    usb_vendors=frozenset({_VENDOR}),
    # ModemManager, 77-mm-sierra.rules: MC74xx, EM7455, EM7565, RC7611; HL7812.
    layouts={
        UsbId(vendor=_VENDOR, product=product): Layout(at=(3,), other={0: _DIAGNOSTICS, 2: _POSITIONS})
        for product in (0x9071, 0x9079, 0x9091, 0x68C0)
    }
    | {UsbId(vendor=_VENDOR, product=0xC001): Layout(at=(0, 2), other={4: _POSITIONS})},
    words=re.compile("sierra", re.IGNORECASE),
    restart="AT!RESET",
    iccid=Question(command="AT!ICCID?", prefix="!ICCID:"),
    pin_tries=Question(command="AT+CPINC?", prefix="+CPINC:", pattern=_PIN_TRIES),
)

WAVECOM = Family(
    name="Wavecom",
    usb_vendors=frozenset({0x114F}),
    # SL8084T is Wavecom's under Sierra's name.
    words=re.compile(r"wavecom|\bSL80\d\d", re.IGNORECASE),
    pin_tries=Question(command="AT+CPINC", prefix="+CPINC:", pattern=_PIN_TRIES),
)
