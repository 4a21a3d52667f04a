"""Dialogues as real modems hold them, byte for byte, and what becomes of them.

Witnesses: ModemManager, src/tests/test-at-serial-port.c and its plugins; gammu, libgammu/protocol/at/at.c and its
issues 4, 126, 146; python-gsmmodem, test/fakemodems.py.
"""

import random
import re

import pytest

from otppi.model.pdu import SubmitPdu
from otppi.modems import channel as channel_module
from otppi.modems.channel import AtRefused, NoAnswer

PDU = SubmitPdu(tpdu_octets=18, hex="0001000D91261821000000F000" + "05E8329BFD06")
PDU_END = PDU.hex.encode() + b"\x1a"

# What is asked, what is expected in front, what comes; then the answer, and what nobody asked for.
ANSWERS = {
    "plain": ("AT+CSQ", "+CSQ:", b"\r\n+CSQ: 12,0\r\n\r\nOK\r\n", ["+CSQ: 12,0"], []),
    "echo with two carriage returns": (
        "AT+CSQ",
        "+CSQ:",
        b"AT+CSQ\r\r\n+CSQ: 12,0\r\n\r\nOK\r\n",
        ["+CSQ: 12,0"],
        [],
    ),
    "Huawei boots in the middle": (
        "AT+CGMI",
        "",
        b"\r\n^BOOT:21364925,0,0,0,77\r\n\r\nhuawei\r\n\r\n^RSSI:14\r\n\r\nOK\r\n",
        ["huawei"],
        ["^BOOT:21364925,0,0,0,77", "^RSSI:14"],
    ),
    "Huawei ends lines of its own with more than one carriage return": (
        "AT+CGMM",
        "",
        b"\r\n^MODE:5,4\r\r\n\r\nE1752\r\n\r\nOK\r\n",
        ["E1752"],
        ["^MODE:5,4"],
    ),
    "ZTE builds its menu": (
        "AT+CGMM",
        "",
        b"\r\n+ZEND\r\n\r\nMF627\r\n\r\n+ZUSIMR:2\r\n\r\nOK\r\n",
        ["MF627"],
        ["+ZEND", "+ZUSIMR:2"],
    ),
    "SIM800 boots in the middle": (
        "AT+CGMM",
        "",
        b"\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\nSIMCOM_SIM800L\r\n\r\nCall Ready\r\n\r\nSMS Ready\r\n\r\nOK\r\n",
        ["SIMCOM_SIM800L"],
        ["RDY", "+CFUN: 1", "Call Ready", "SMS Ready"],
    ),
    "SIM7600 announces a call": (
        "AT+CGMM",
        "",
        b"\r\nMISSED_CALL: 11:04AM 000001\r\n\r\nSIMCOM_SIM7600E\r\n\r\nOK\r\n",
        ["SIMCOM_SIM7600E"],
        ["MISSED_CALL: 11:04AM 000001"],
    ),
    "u-blox and Sierra announce without a colon": (
        "AT+CGSN",
        "",
        b"\r\n+PBREADY\r\n\r\n+PACSP0\r\n\r\n004999010000001\r\n\r\nOK\r\n",
        ["004999010000001"],
        ["+PBREADY", "+PACSP0"],
    ),
    "Wavecom writes blanks": ("AT+CGMI", "", b"\r\n WAVECOM MODEM\r\n\r\nOK\r\n", ["WAVECOM MODEM"], []),
    "zero bytes of a line that wakes up": ("AT+CGMI", "", b"\x00\x00\r\nu-blox\r\n\x00\r\nOK\r\n", ["u-blox"], []),
    "an unsolicited line of the same name as another answer": (
        "AT+CSQ",
        "+CSQ:",
        b'\r\n+CREG: 1,"00C3","A5B1"\r\n\r\n+CSQ: 31,99\r\n\r\nOK\r\n',
        ["+CSQ: 31,99"],
        ['+CREG: 1,"00C3","A5B1"'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialogue", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("pieces", ["whole", "byte by byte", "half lines"])
def test_an_answer_is_told_from_what_stands_around_it(line, dialogue, pieces):
    far, channel, unsolicited = line
    command, expect, said, lines, chatter = dialogue
    player = far.play_pieces(f"{command}\r".encode(), cut(said, pieces))
    assert channel.command(command, expect=expect) == lines
    player.join()
    assert unsolicited == chatter


def cut(said, pieces):
    if pieces == "whole":
        return [said]
    size = 1 if pieces == "byte by byte" else 7
    return [said[at : at + size] for at in range(0, len(said), size)]


REFUSALS = {
    b"\r\nCOMMAND NOT SUPPORT\r\n": r"the modem refused AT\+WIND\?: ERROR",
    b"\r\nTOO MANY PARAMETERS\r\n": "ERROR",
    b"\r\nMODEM ERROR: 5\r\n": "ERROR",
    b"\r\nERROR\r\n\r\n^RSSI:4\r\n": "ERROR",
    b"\r\nERROR^RSSI:4\r\n": "ERROR",
    b"\r\n+CME ERROR: SIM busy\r\n": r"SIM busy \(answer to AT\+WIND\?: \+CME ERROR: 14\)",
    b"\r\n+CME ERROR:10\r\n": r"\+CME ERROR: 10",
    b"\r\n+CMS ERROR: 38\r\n": r"network out of order \(answer to AT\+WIND\?: \+CMS ERROR: 38\)",
}


@pytest.mark.parametrize(("said", "told"), REFUSALS.items())
def test_every_way_of_saying_no_is_heard(line, said, told):
    far, channel, _ = line
    player = far.play((b"AT+WIND?\r", said))
    with pytest.raises(AtRefused, match=told):
        channel.command("AT+WIND?")
    player.join()


# What stands between AT+CMGS and the PDU, what follows Ctrl-Z, and what nobody asked for.
SENDINGS = {
    "a result glued to a report": (b"\r\n> ", b"\r\n+CMGS: 42\r\n\r\nOK^RSSI:15\r\n", ["^RSSI:15"]),
    "a message comes behind the prompt": (
        b'\r\n> +CMTI: "SM",3\r\n',
        b"\r\n+CMGS: 42\r\n\r\nOK\r\n",
        ['+CMTI: "SM",3'],
    ),
    "a message with its text comes behind the prompt": (
        b"\r\n> +CMT: ,24\r\n07911326OK\r\n",
        b"\r\n+CMGS: 42\r\n\r\nOK\r\n",
        ["+CMT: ,24\n07911326OK"],
    ),
    "a call comes behind the prompt": (b"\r\n> RING\r\n", b"\r\n+CMGS: 42\r\n\r\nOK\r\n", ["RING"]),
    "a message comes in front of the prompt": (
        b'\r\n+CMTI: "SM",3\r\n> ',
        b"\r\n+CMGS: 42\r\n\r\nOK\r\n",
        ['+CMTI: "SM",3'],
    ),
    "a message comes between Ctrl-Z and the result": (
        b"\r\n> ",
        b'\r\n+CMTI: "SM",3\r\n\r\n+CMGS: 42\r\n\r\nOK\r\n',
        ['+CMTI: "SM",3'],
    ),
    "a report of another message comes first": (
        b"\r\n> ",
        b"\r\n+CDS: 25\r\n00062B0D91\r\n\r\n+CMGS: 42\r\n\r\nOK\r\n",
        ["+CDS: 25\n00062B0D91"],
    ),
    "Huawei chatters all along": (
        b"\r\n^RSSI:12\r\n> \r\n^DSFLOWRPT:00000124,00000082\r\n",
        b'\r\n^HCSQ:"WCDMA",39,29,45\r\n\r\n+CMGS: 42\r\n\r\n^MODE:3,3\r\n\r\nOK\r\n',
        ["^RSSI:12", "^DSFLOWRPT:00000124,00000082", '^HCSQ:"WCDMA",39,29,45', "^MODE:3,3"],
    ),
    "a call comes in": (
        b"\r\n> ",
        b'\r\nRING\r\n\r\n+CLIP: "",128\r\n\r\n+CMGS: 42\r\n\r\nOK\r\n',
        ["RING", '+CLIP: "",128'],
    ),
}


@pytest.mark.parametrize("dialogue", SENDINGS.values(), ids=SENDINGS.keys())
@pytest.mark.parametrize("pieces", ["whole", "byte by byte", "half lines"])
def test_a_message_is_sent_and_nothing_that_comes_meanwhile_is_lost(line, dialogue, pieces):
    far, channel, unsolicited = line
    prompt, result, chatter = dialogue
    first = far.play_pieces(b"AT+CMGS=18\r", cut(prompt, pieces))
    second = far.play_pieces(PDU_END, cut(result, pieces), after=first)
    assert channel.send_pdu(PDU, lambda: None, 5.0) == 42
    second.join()
    channel.idle(0.1)  # what was glued behind the result
    assert unsolicited == chatter


def test_a_lost_prompt_means_that_nothing_was_sent_and_the_next_message_goes(line, monkeypatch):
    monkeypatch.setattr(channel_module, "_PROMPT_LIMIT_S", 0.1)
    far, channel, _ = line
    submitted = []
    player = far.play(
        (b"AT+CMGS=18\r", b""),
        (b"AT+CMEE?\r", b"\r\nOK\r\n\r\n+CMEE: 1\r\n\r\nOK\r\n"),  # the first OK is the answer to the escape
        (b"AT+CMGS=18\r", b"\r\n> "),
        (PDU_END, b"\r\n+CMGS: 42\r\n\r\nOK\r\n"),
    )
    with pytest.raises(NoAnswer, match="no prompt"):
        channel.send_pdu(PDU, lambda: submitted.append(1), 5.0)
    assert submitted == []
    assert channel.send_pdu(PDU, lambda: submitted.append(2), 5.0) == 42
    assert submitted == [2]
    player.join()


def test_an_answer_may_lack_its_ok_and_a_late_one_is_not_the_next_commands(line):
    far, channel, _ = line
    player = far.play(
        (b"AT+CPIN?\r", b"\r\n+CPIN: READY\r\n"),
        (b"AT+CMEE?\r", b"\r\nOK\r\n\r\n+CMEE: 1\r\n\r\nOK\r\n"),
        (b"AT+CGMI\r", b"\r\nWAVECOM MODEM\r\n\r\nOK\r\n"),
    )
    assert channel.command("AT+CPIN?", expect="+CPIN:", may_lack_ok=True) == ["+CPIN: READY"]
    assert channel.command("AT+CGMI") == ["WAVECOM MODEM"]
    player.join()


RESULT = b'\r\n^RSSI:12\r\n\r\n+CMTI: "SM",3\r\n\r\n+CMGS: 142\r\n\r\nOK\r\n'


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_lost_of_a_result_nothing_is_called_sent_without_its_reference(line, seed):
    """A digit that is lost cannot be noticed; a reference is never made of anything else."""
    far, channel, _ = line
    chance = random.Random(seed)
    heard = bytes(byte for byte in RESULT if chance.random() > 0.15)
    player = far.play((b"AT+CMGS=18\r", b"\r\n> "), (PDU_END, heard))
    try:
        reference = channel.send_pdu(PDU, lambda: None, 0.2)
    except NoAnswer:
        pass
    else:
        assert re.search(rf"\+CMGS: *{reference}\r?\n?".encode(), heard)
        assert b"OK" in heard
    player.join()
