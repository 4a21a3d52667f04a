"""Huawei sticks: E1xx, E3xx, K3xxx, E3372 as a stick.

Witnesses: ModemManager's plugin huawei and its udev rules; gammu's table of models and issue 4; the
configuration of asterisk-chan-dongle.
"""

import re

from otppi.modems.families.family import Family, Question, Sweep, UssdForm

_POSITIONS = "satellite positions"

HUAWEI = Family(
    name="Huawei",
    usb_vendors=frozenset({0x12D1}),
    words=re.compile("huawei", re.IGNORECASE),
    # ModemManager, 77-mm-huawei-net-port-types.rules: …02 is the port for commands, …01 the one for calls.
    at_kinds=((0xFF, 1, 2), (0xFF, 2, 2), (0xFF, 1, 1), (0xFF, 2, 1)),
    other_kinds={(0xFF, 1, 0x05): _POSITIONS, (0xFF, 1, 0x14): _POSITIONS, (0xFF, 6, 0x14): _POSITIONS},
    # asterisk-chan-dongle, dongle.conf: the first port is for calls, the second for audio, the third for commands.
    usual=(2, 0),
    # Stop the reports of ^RSSI and the like (gammu, F_HUAWEI_INIT); what is left comes to the port for
    # commands (ModemManager).
    init=("AT^CURC=0", "AT^PORTSEL=0"),
    # ModemManager; of the sticks that it knows one, MU736, takes the command and does not restart.
    restart="AT^RESET",
    iccid=Question(command="AT^ICCID?", prefix="^ICCID:"),
    # ModemManager: state, then tries of the code that is asked for now, then of PUK, PIN, PUK2, PIN2.
    pin_tries=Question(
        command="AT^CPIN?",
        prefix="^CPIN:",
        pattern=re.compile(r"\^CPIN: *[^,]+,[^,]*,(?P<puk>\d+),(?P<pin>\d+),\d+,\d+"),
    ),
    # gammu, F_SMS_LOCATION_0.
    first_index=0,
    # gammu, issue 4: sticks that never answer AT+CMGL=4 until they are pulled out.
    sweep=Sweep.BY_INDEX,
    # ModemManager (USSD encode) and gammu (F_ENCODED_USSD).
    ussd=UssdForm.PACKED,
)
