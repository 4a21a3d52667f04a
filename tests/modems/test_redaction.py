"""What a modem says, and what of it may leave the device."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.modems.recording import Recording
from otppi.modems.redaction import redacted

IMEI, ICCID, IMSI, NUMBER = "004999010000001", "89620000000000001234", "510100000000001", "6281200000001"

# What was said, and what must not be found in what is left: whole, in pieces, or in another writing.
HIDDEN = {
    "IMEI": (f"\r\n{IMEI}\r\n\r\nOK\r\n", ["0049990"]),
    "IMEI with a name in front": (f'\r\n+CGSN: "{IMEI}"\r\n', ["0049990"]),
    "IMEI as on its label": ("\r\nIMEI: 00-499901-000000-1\r\n", ["499901", "000000"]),
    "known IMEI with blanks": ("\r\nIMEI: 004999 010000 001\r\n", ["004999", "010000"]),
    "IMEISV": ("\r\n0049990100000012\r\n", ["0049990"]),
    "IMSI": (f"\r\n{IMSI}\r\n", ["51010"]),
    "ICCID": (f"\r\n+CCID: {ICCID}\r\n", ["8962"]),
    "ICCID with a filler": (f"\r\n^ICCID: {ICCID[:-1]}F\r\n", ["8962"]),
    "ICCID, digits of each byte swapped": ('\r\n+CRSM: 144,0,"98260000000000002143"\r\n', ["9826", "2143"]),
    "ICCID swapped, with a filler": ('\r\n+CRSM: 144,0,"982600000000000021F3"\r\n', ["9826", "21F3"]),
    "own number": (f'\r\n+CNUM: "Budi","+{NUMBER}",145\r\n', ["Budi", "62812"]),
    "own number of few digits": ('\r\n+CNUM: "","08120",129\r\n', ["08120"]),
    "SMS centre": ('\r\n+CSCA: "+6281100000",145\r\n', ["62811"]),
    "SMS centre in UCS-2": (
        '\r\n+CSCA: "002B0036003200380031003100300030003000300030",145\r\n',
        ["0036", "0032", "002B"],
    ),
    "number in UCS-2 anywhere": ("\r\n^X: 00360032003800310032003000300030\r\n", ["0036"]),
    "number in hex of its letters": ("\r\n^X: 36323831323030303030303031\r\n", ["3632"]),
    "packed text of few digits": ("\r\n^X: EFCDABEFCDABEFCDAB\r\n", ["EFCD"]),
    "digits in two lines": ("\r\n6281\r\n200000001\r\n", ["6281", "2000"]),
    "digits in many lines": ("\r\n6\r\n2\r\n8\r\n1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n", ["8", "4"]),
    "caller": (f'\r\nRING\r\n\r\n+CLIP: "+{NUMBER}",145,,,"Budi",0\r\n', ["62812", "Budi"]),
    "received PDU": (
        "\r\n+CMT: ,25\r\n0791261842010000040D91261802000000F100006210101000000004C8329BFD\r\n",
        ["2618", "C832"],
    ),
    "listed PDU": ("\r\n+CMGL: 1,1,,24\r\n0791261842010000\r\n\r\nOK\r\n", ["2618"]),
    "report": ("\r\n+CDS: 25\r\n0006050D91261802000000F162101010\r\n", ["2618"]),
    "PDU that is sent": ("AT+CMGS=18\r0001000D91261802000000F1000005E8329BFD06\x1a", ["2618", "E832"]),
    "message in text mode": (
        f'\r\n+CMT: "+{NUMBER}",,"26/01/01,00:00:00+28"\r\nYour code is 4711\r\nBye, Budi\r\n',
        ["62812", "4711", "code", "Bye", "Budi"],
    ),
    "listed message in text mode": (
        '\r\n+CMGL: 1,"REC READ","Shop",,"26/01/01,00:00:00+28"\r\ncode 4711\r\n\r\nOK\r\n',
        ["Shop", "4711"],
    ),
    "USSD": ('\r\n+CUSD: 0,"Nomor Anda 0812.\nPulsa Rp500",15\r\n', ["Nomor", "Pulsa", "0812", "500"]),
    "USSD in hex": ('\r\n+CUSD: 0,"00500075006C0073",72\r\n', ["0050"]),
    "phone book": ('\r\n+CPBR: 1,"4711",129,"Ibu"\r\n', ["4711", "Ibu"]),
    "cell": ('\r\n+CREG: 2,1,"1A2B","01C3D4E5",7\r\n', ["1A2B", "01C3", "D4E5"]),
    "cell without quotes": ("\r\n+CGREG: 2,1,1A2B,C3D4,2\r\n", ["1A2B", "C3D4"]),
    "cell in four digits": ('\r\n+CEREG: 5,"4711","4712",7\r\n', ["4711", "4712"]),
    "cell in digits without quotes": ("\r\n+CREG: 1,4711,4712\r\n", ["4711", "4712"]),
    "cell of SIMCom": ("\r\n+CPSI: LTE,Online,510-10,0x1A2B,4711\r\n", ["1A2B", "4711", "510"]),
    "cells of Quectel": ('\r\n+QENG: "servingcell","NOCONN","LTE","FDD",510,10,1A2B\r\n', ["1A2B", "510"]),
    "position": ("\r\n$GPGGA,120000,0610.50,S,10649.50,E\r\n", ["0610", "10649"]),
    "serial number": ("\r\nS/N: 1234567\r\n", ["1234567"]),
    "date that hangs on nothing": ("\r\n20260101\r\n", ["2026"]),
    "number behind a letter": ("\r\nX6281200000001\r\n", ["62812"]),
    "number that begins as a date": ("\r\n_2026010112345\r\n", ["202601"]),
}

STAYS = [
    "\r\n+CREG: 0,1\r\n\r\nOK\r\n",
    '\r\n+COPS: 0,0,"PT Telekomunikasi Selular",7\r\n',
    '\r\n+COPS: 0,2,"51010"\r\n',
    '\r\n+COPS: 0,0,"00540065006C006B006F006D00730065006C"\r\n',  # Telkomsel in UCS-2
    "\r\n11.126.15.00.00\r\n",
    "\r\nBD_3GHAP673A4V1.0.0B02\r\n",
    "\r\nSWI9X30C_02.24.05.06 r7040 CARMD-EV-FRMWR2 2017/05/19 06:23:09\r\n",
    "\r\nRevision:1418B05SIM800L24\r\n",
    "\r\n+CGMR: LE20B03SIM7600M22_20190805\r\n",
    "\r\nMULTIBAND  900E  1800\r\n",
    '\r\n+CPMS: "SM",0,20,"SM",0,20,"SM",0,20\r\n',
    "\r\n+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)\r\n",
    "\r\n+CMS ERROR: 302\r\n",
    "AT+CRSM=176,12258,0,0,10\r",
    "\r\n^BOOT:1,0,0,0,72\r\n\r\n^RSSI:21\r\n",
]


@pytest.mark.parametrize("case", HIDDEN)
def test_nothing_of_a_person_a_sim_or_a_place_is_left(case):
    said, secrets = HIDDEN[case]
    left = redacted(said, (IMEI, ICCID, IMSI, NUMBER))
    assert [secret for secret in secrets if secret in left] == []
    assert len(left) == len(said)
    assert redacted(left) == left


@pytest.mark.parametrize("said", STAYS)
def test_what_names_nobody_stays(said):
    assert redacted(said, (IMEI, ICCID, IMSI, NUMBER)) == said


def test_around_what_is_hidden_the_rest_stays():
    assert redacted('+CNUM: "Budi","+6281200000001",145') == '+CNUM: "xxxx","xxxxxxxxxxxxxx",145'
    assert redacted('+CREG: 2,1,"1A2B","01C3D4E5",7') == '+CREG: 2,1,"xxxx","xxxxxxxx",7'


def test_digits_that_come_in_pieces_with_commands_between_them_are_hidden():
    recording = Recording()
    for piece in (b"\r\n62812", b"000", b"00001\r\n"):
        recording.add(piece, is_heard=True)
        recording.add(b"AT\r", is_heard=False)
    shown = "\n".join(recording.lines(redacted))
    assert shown.count("> AT") == 3
    assert re.findall(r"< (\S+)", shown) == ["xxxxx", "xxx", "xxxxx"]


def test_a_line_that_comes_in_pieces_is_one_line_of_the_transcript():
    recording = Recording()
    recording.add(b"AT+CSQ\r", is_heard=False)
    for byte in b"AT+CSQ\r\r\n+CSQ: 21,0\r\n\r\nOK\r\n> \x1a":
        recording.add(bytes([byte]), is_heard=True)
    shown = [line.split(None, 1)[1] for line in recording.lines(redacted)]
    assert shown == ["> AT+CSQ", "< AT+CSQ", "< +CSQ: 21,0", "< OK", "< > \\x1a"]


@given(st.text(alphabet='0123456789AFx_+:," \r\n', max_size=60))
def test_never_seven_digits_in_a_row_but_in_the_date_of_a_build(said):
    left = redacted(said)
    assert len(left) == len(said)
    for run in re.findall(r"[0-9](?:[\r\n]*[0-9]){6,}", left):
        assert re.fullmatch(r"20[0-4]\d{5}", re.sub(r"[\r\n]", "", run))
