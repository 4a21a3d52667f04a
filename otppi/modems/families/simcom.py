"""SIMCom: SIM800 and its like behind a UART, SIM7600 and its like on USB.

Witnesses: ModemManager's plugin simtech and its udev rules; SIM800 Series AT Command Manual 1.09; SIM7500/SIM7600
Series AT Command Manual 2.00.
"""

import re

from otppi.model.ports import UsbId
from otppi.modems.families.family import Family, Layout, Question

_VENDOR = 0x1E0E
_LTE = {0: "diagnostics", 1: "satellite positions", 4: "audio"}


def _usb(product: int) -> UsbId:
    return UsbId(vendor=_VENDOR, product=product)


# PIN first; in what order the rest follows differs from manual to manual.
_PIN_TRIES = Question(command="AT+SPIC", prefix="+SPIC:", pattern=re.compile(r": *(?P<pin>\d+)"))

SIM7600 = Family(
    name="SIMCom SIM7600",
    usb_vendors=frozenset({_VENDOR}),
    # ModemManager, 77-mm-simtech-port-types.rules.
    layouts={
        _usb(0x9001): Layout(at=(2, 3), other=_LTE),  # SIM7000, SIM7100, SIM7600
        _usb(0x9205): Layout(at=(2, 3), other=_LTE),  # SIM7070, SIM7080, SIM7090
        _usb(0x9206): Layout(at=(2, 5), other=_LTE),
        _usb(0x9011): Layout(at=(4, 5)),  # A7600E
        _usb(0x9100): Layout(at=(3, 1)),
        _usb(0x9200): Layout(at=(3, 1)),
        _usb(0xCEFE): Layout(at=(2, 0, 1)),
    },
    words=re.compile(r"(?:SIM7|SIMCOM_A76|\bA76)\d", re.IGNORECASE),
    iccid=Question(command="AT+CICCID", prefix="+ICCID:"),
    pin_tries=_PIN_TRIES,
    imei_write="AT+SIMEI={imei}",
)

SIM800 = Family(
    name="SIMCom SIM800",
    words=re.compile(r"SIM[89]\d\d|simcom", re.IGNORECASE),
    iccid=Question(command="AT+CCID", prefix="+CCID:"),  # in fact without a prefix
    pin_tries=_PIN_TRIES,
    # The chip is MediaTek's, and so is the command.
    imei_write='AT+EGMR=1,7,"{imei}"',
    answer_limit_s=60.0,
)
