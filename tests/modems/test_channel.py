"""The channel over a real pseudo-terminal, with the far end's bytes written out."""

import os
import threading

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.model.pdu import SubmitPdu
from otppi.modems.channel import AtRefused, Channel, NoAnswer, Owed, Untold
from otppi.modems.transport import PortGone, SerialLine, SerialTransport
from tests.modems.far_end import FarEnd

PDU = SubmitPdu(tpdu_octets=18, hex="0001000D91261821000000F000" + "05E8329BFD06")


def test_an_answer_is_read_whatever_stands_around_it(line):
    far, channel, unsolicited = line
    player = far.play((b"AT+CSQ\r", b'AT+CSQ\r\r\n+CMTI: "SM",3\r\n\r\n+CSQ: 12,0\r\n^RSSI:12\r\n\r\nOK\r\n'))
    assert channel.command("AT+CSQ", expect="+CSQ:") == ["+CSQ: 12,0"]
    assert unsolicited == ['+CMTI: "SM",3', "^RSSI:12"]
    player.join()


def test_a_refusal_says_why_and_hides_a_secret(line):
    far, channel, _ = line
    player = far.play((b'AT+CPIN="1234"\r', b"\r\n+CME ERROR: 16\r\n"))
    with pytest.raises(AtRefused, match=r"\+CME ERROR: 16") as caught:
        channel.command('AT+CPIN="1234"', shown='AT+CPIN="…"')
    assert "1234" not in str(caught.value)
    player.join()


DIALOGUES = {
    "plain": (b"\r\n> ", b"\r\n+CMGS: 42\r\n\r\nOK\r\n"),
    "prompt without a line": (b"> ", b"\r\n+CMGS: 42\r\n\r\nOK\r\n"),
    "prompt without a space": (b"\r\n>", b"\r\n+CMGS: 42\r\n\r\nOK\r\n"),
    "echo of command and PDU": (
        b"AT+CMGS=18\r\r\n> ",
        PDU.hex.encode() + b"\x1a\r\n+CMGS: 42\r\n\r\nOK\r\n",
    ),
    "unsolicited before the prompt": (b'\r\n+CMTI: "SM",3\r\n\r\n> ', b"\r\n+CMGS: 42\r\n\r\nOK\r\n"),
    "unsolicited after the prompt": (b'\r\n> \r\n+CMTI: "SM",3\r\n', b"\r\n+CMGS: 42\r\n\r\nOK\r\n"),
    "unsolicited before the result": (b"\r\n> ", b'\r\n+CMTI: "SM",3\r\n\r\n+CMGS: 42\r\n\r\nOK\r\n'),
    "unsolicited between reference and OK": (b"\r\n> ", b'\r\n+CMGS: 42\r\n+CMTI: "SM",3\r\n\r\nOK\r\n'),
    "result glued to a report": (b"\r\n> ", b"\r\n^RSSI:15\r\n+CMGS: 42\r\nOK\r\n"),
    "only line feeds": (b"\n> ", b"\n+CMGS: 42\nOK\n"),
    "a delivered message in the middle": (
        b"\r\n> ",
        b"\r\n+CMT: ,24\r\n07911326OK\r\n+CMGS: 42\r\n\r\nOK\r\n",
    ),
}


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_a_pdu_is_sent_through_every_dialogue(line, dialogue):
    far, channel, unsolicited = line
    prompt, result = dialogue
    submitted = []
    player = far.play((b"AT+CMGS=18\r", prompt), (PDU.hex.encode() + b"\x1a", result))
    assert channel.send_pdu(PDU, lambda: submitted.append(True), 5.0) == 42
    assert submitted == [True]
    player.join()
    assert all(line.startswith(("+CMTI", "^RSSI", "+CMT:")) for line in unsolicited)


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_one_byte_at_a_time_makes_no_difference(line, dialogue):
    far, channel, _ = line

    def run():
        far.expect(b"AT+CMGS=18\r")
        for byte in dialogue[0]:
            far.say(bytes([byte]))
        far.expect(PDU.hex.encode() + b"\x1a")
        for byte in dialogue[1]:
            far.say(bytes([byte]))

    player = threading.Thread(target=run, daemon=True)
    player.start()
    assert channel.send_pdu(PDU, lambda: None, 5.0) == 42
    player.join()


def test_an_error_in_place_of_the_prompt_means_that_nothing_was_submitted(line):
    far, channel, _ = line
    submitted = []
    player = far.play((b"AT+CMGS=18\r", b"\r\n+CMS ERROR: 310\r\n"))
    with pytest.raises(AtRefused):
        channel.send_pdu(PDU, lambda: submitted.append(True), 5.0)
    assert submitted == []
    player.join()


def test_ok_without_a_reference_is_no_success(line):
    far, channel, _ = line
    player = far.play((b"AT+CMGS=18\r", b"\r\n> "), (b"\x1a", b"\r\nOK\r\n"))
    with pytest.raises(NoAnswer):
        channel.send_pdu(PDU, lambda: None, 5.0)
    player.join()


def test_a_late_answer_is_not_taken_for_the_next_command(line):
    far, channel, unsolicited = line
    first = far.play((b"AT+CMGS=18\r", b"\r\n> "), (b"\x1a", b""))
    with pytest.raises(NoAnswer):
        channel.send_pdu(PDU, lambda: None, 0.05)
    first.join()
    second = far.play(
        (b"AT+CMEE?\r", b"\r\n+CMGS: 7\r\n\r\nOK\r\n\r\n+CMEE: 1\r\n\r\nOK\r\n"),
        (b"AT+CMGS=18\r", b"\r\n> "),
        (PDU.hex.encode() + b"\x1a", b"\r\n+CMGS: 8\r\n\r\nOK\r\n"),
    )
    assert channel.send_pdu(PDU, lambda: None, 5.0) == 8
    assert unsolicited == ["+CMGS: 7"]
    second.join()


@pytest.mark.parametrize("owed", [Owed(None), Owed(5)], ids=["unknown", "foretold"])
@pytest.mark.parametrize(
    ("second", "reference", "late"),
    [
        (b"", 5, []),
        (b"\r\n+CMS ERROR: 42\r\n", 5, ["+CMGS: 5"]),
    ],
    ids=["nothing more", "an error"],
)
def test_one_result_for_two_messages_is_nobodys(line, monkeypatch, owed, second, reference, late):
    monkeypatch.setattr("otppi.modems.channel._SECOND_RESULT_S", 0.3)
    far, channel, unsolicited = line
    player = far.play((b"AT+CMGS=18\r", b"\r\n> "), (b"\x1a", b"\r\n+CMGS: 5\r\n\r\nOK\r\n" + second))
    with pytest.raises(Untold) as caught:
        channel.send_pdu(PDU, lambda: None, 5.0, owed)
    assert (caught.value.reference, unsolicited) == (reference, late)
    player.join()
    # What still comes is not taken for the answer to the next command.
    player = far.play(
        (b"AT+CMEE?\r", b"\r\n+CMGS: 6\r\n\r\nOK\r\n\r\n+CMEE: 1\r\n\r\nOK\r\n"),
        (b"AT+CSQ\r", b"\r\n+CSQ: 12,0\r\n\r\nOK\r\n"),
    )
    assert channel.command("AT+CSQ", expect="+CSQ:") == ["+CSQ: 12,0"]
    player.join()


def test_an_error_for_two_messages_is_nobodys(line):
    far, channel, unsolicited = line
    player = far.play((b"AT+CMGS=18\r", b"\r\n> "), (b"\x1a", b"\r\n+CMS ERROR: 42\r\n"))
    with pytest.raises(Untold) as caught:
        channel.send_pdu(PDU, lambda: None, 5.0, Owed(5))
    assert (caught.value.reference, unsolicited) == (None, [])
    player.join()


def test_a_device_that_goes_away_is_an_error_at_once(line):
    far, channel, _ = line

    def run():
        far.expect(b"AT\r")
        os.close(far.master)
        far.master = os.open("/dev/null", os.O_RDWR)

    player = threading.Thread(target=run, daemon=True)
    player.start()
    with pytest.raises(PortGone):
        channel.command("AT", timeout_s=5.0)
    player.join()


def test_a_menu_of_several_lines_is_one_line(line):
    far, channel, unsolicited = line
    player = far.play((b"AT\r", b'\r\nOK\r\n\r\n+CUSD: 1,"1. Pulsa\r\n2. Kuota",15\r\n'))
    channel.command("AT")
    while not unsolicited:
        channel.idle(1.0)
    assert unsolicited == ['+CUSD: 1,"1. Pulsa\n2. Kuota",15']
    player.join()


def test_a_line_that_is_on_its_way_when_a_command_goes_out_is_not_lost(line):
    far, channel, unsolicited = line
    far.say(b'\r\n+CMTI: "S')
    channel.idle(1.0)
    player = far.play((b"AT+CSQ\r", b'M",3\r\n\r\n+CSQ: 12,0\r\n\r\nOK\r\n'))
    assert channel.command("AT+CSQ", expect="+CSQ:") == ["+CSQ: 12,0"]
    assert unsolicited == ['+CMTI: "SM",3']
    player.join()


def test_noise_and_an_old_prompt_do_not_stand_in_front_of_an_answer(line):
    far, channel, _ = line
    for noise in (b"\r\n> ", b"\xff\xfe"):
        far.say(noise)
        channel.idle(1.0)
        player = far.play((b"AT+CGMI\r", b"Simulated\r\nOK\r\n"))
        assert channel.command("AT+CGMI") == ["Simulated"]
        player.join()


def test_what_comes_while_the_beat_is_found_again_is_heard(line):
    far, channel, unsolicited = line
    report = "07911326040000F006010A81214365870962116150151400621161501514000"
    player = far.play((b"AT+CMEE?\r", f"\r\n+CDS: 25\r\n{report}\r\n+CMEE: 1\r\n^BOOT:1\r\nOK\r\n".encode()))
    assert channel.resynchronise()
    assert unsolicited == [f"+CDS: 25\n{report}", "^BOOT:1"]
    player.join()


def test_a_menu_whose_end_was_lost_swallows_no_results(line):
    far, channel, unsolicited = line
    player = far.play((b"AT+CSQ\r", b'\r\n+CUSD: 1,"1. Credit\n2. Packa\r\nOK\r\n'))
    assert channel.command("AT+CSQ", expect="+CSQ:") == []
    assert unsolicited == ['+CUSD: 1,"1. Credit\n2. Packa']
    player.join()


def test_the_bell_ends_an_idle_wait():
    far, wakeup = FarEnd(), Wakeup()
    transport = SerialTransport(far.path, SerialLine(), wakeup)
    wakeup.ring()
    Channel(transport, print).idle(60.0)
    transport.close()
    wakeup.close()
    far.close()


@pytest.mark.parametrize(
    ("port", "reason"), [("/dev/does-not-exist", "does not exist"), ("/etc/hostname", ".")]
)
def test_a_port_that_cannot_be_opened_says_why(port, reason):
    wakeup = Wakeup()
    with pytest.raises(PortGone, match=reason):
        SerialTransport(port, SerialLine(), wakeup)
    wakeup.close()
