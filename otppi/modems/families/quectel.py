"""Quectel: EC25 and its like on USB, M26 and its like behind a UART.

Witnesses: ModemManager's plugin quectel and its udev rules; kernel, drivers/usb/serial/option.c; WCDMA UGxx AT
Commands Manual, 9.8; asterisk-chan-quectel, pull request 75; ofono's driver of SIMs.
"""

import re
from dataclasses import replace

from otppi.model.ports import UsbId
from otppi.modems.families.family import Family, Layout, Question

_VENDOR = 0x2C7C
_DIAGNOSTICS, _POSITIONS = "diagnostics", "satellite positions"
# ModemManager, 77-mm-quectel-port-types.rules: EC21, EC25, EG91, EG95, BG96, EG06, EG12, RM500, RM520.
_USUAL = (0x0121, 0x0125, 0x0191, 0x0195, 0x0296, 0x0306, 0x0512, 0x0800, 0x0801)

EC25 = Family(
    name="Quectel EC25",
    usb_vendors=frozenset({_VENDOR}),
    # option.c: UC20 and UC15, which have Qualcomm's id.
    products=frozenset({UsbId(vendor=0x05C6, product=0x9003), UsbId(vendor=0x05C6, product=0x9090)}),
    layouts={
        UsbId(vendor=_VENDOR, product=product): Layout(at=(2, 3), other={0: _DIAGNOSTICS, 1: _POSITIONS})
        for product in _USUAL
    }
    | {UsbId(vendor=_VENDOR, product=0x0128): Layout(at=(5,), other={3: _DIAGNOSTICS, 4: _POSITIONS})},
    words=re.compile("quectel", re.IGNORECASE),
    iccid=Question(command="AT+QCCID", prefix="+QCCID:"),
    pin_tries=Question(
        command="AT+QPINC?",
        prefix="+QPINC:",
        pattern=re.compile(r'"SC" *, *(?P<pin>\d+) *, *(?P<puk>\d+)'),
    ),
    imei_write='AT+EGMR=1,7,"{imei}"',
    # "120s, determined by network".
    answer_limit_s=120.0,
    # Stored reports are announced as +CDSI: "SM",0 and lie in "SR", where nobody finds them.
    indications=("AT+CNMI=2,1,0,1,0", "AT+CNMI=2,1,0,0,0"),
)

M26 = replace(
    EC25,
    name="Quectel M26",
    usb_vendors=frozenset(),
    products=frozenset(),
    layouts={},
    words=re.compile(r"quectel.*\bM\d\d|quectel_M\d\d", re.IGNORECASE),
    # ofono, drivers/atmodem/sim.c: the modems behind a UART.
    pin_tries=Question(
        command="AT+QTRPIN",
        prefix="+QTRPIN:",
        pattern=re.compile(r": *(?P<pin>\d+) *, *\d+ *, *(?P<puk>\d+)"),
    ),
    # Nothing says that the smaller modems mislay reports.
    indications=Family(name="").indications,
)
