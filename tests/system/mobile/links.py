from dataclasses import replace

from otppi.model.mobile import MobileLink

LINK = MobileLink(
    modem_id="data",
    modem_name="Data",
    device="/dev/ttyUSB3",
    baud_rate=460800,
    apn="internet",
    username="3data",
    password="s3cret pass#word",
    init_commands=("ATZ", 'AT+CGQREQ=1,2,4,3,6,31;+COPS=3,0,"x"'),
    dial_command="ATDT",
    dial_number="*99#",
    reconnects=True,
)


def link(**changes) -> MobileLink:
    return replace(LINK, **changes)
