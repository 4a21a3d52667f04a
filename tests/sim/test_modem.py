"""The state machine: bytes in, timed bytes out."""

import pytest

from otppi.sim.card import CardPrint, SimCard
from otppi.sim.faults import FOREVER, Faults, Moment
from otppi.sim.magic import Magic, MagicTimes, SimNetwork
from otppi.sim.modem import SimModem, Step
from otppi.sim.personality import Personality, load_personality, parse_personality

NUMBER = "6281200000001"
PART_1_OF_2 = (7, 2, 1)
PART_2_OF_2 = (7, 2, 2)


def submit(number=NUMBER, text="Kode 123456", part=None):
    """AT+CMGS and the PDU of a UCS-2 message, put together by hand (3GPP TS 23.040, 9.2.2.2)."""
    padded = number + "F" * (len(number) % 2)
    address = bytes.fromhex("".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2)))
    header = bytes([5, 0, 3, *part]) if part else b""
    body = header + text.encode("utf-16-be")
    first = 0x41 if part else 0x01
    tpdu = bytes([first, 0, len(number), 0x91]) + address + bytes([0, 8, len(body)]) + body
    return f"AT+CMGS={len(tpdu)}\r".encode(), b"00" + tpdu.hex().upper().encode() + b"\x1a"


def make(personality: Personality | str = "generic", *, name="m0", network=None, pin="", submit_s=0.0):
    if isinstance(personality, str):
        personality = load_personality(personality)
    printed = CardPrint(iccid="8962000000000000001", imsi="001010000000001", operator="Simnet", pin=pin)
    modem = SimModem(
        name,
        personality,
        SimCard(printed),
        network or SimNetwork(MagicTimes()),
        imei="004999010000001",
        submit_s=submit_s,
    )
    said(modem.receive(b"ATE0\r", 0.0))
    return modem


def said(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in sorted(steps, key=lambda step: step.at_s))


def ask(modem: SimModem, line: str, now_s: float = 0.0) -> str:
    return said(modem.receive(line.encode() + b"\r", now_s)).decode()


def send(modem: SimModem, now_s=0.0, **message) -> list[Step]:
    """Send one message the way a gateway does; return the steps after Ctrl-Z."""
    command, pdu = submit(**message)
    assert said(modem.receive(command, now_s)).endswith(b"\r\n> ")
    return modem.receive(pdu, now_s)


def taken(steps: list[Step]):
    return [step.taken.submitted for step in steps if step.taken]


OK = "\r\nOK\r\n"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT", OK),
        ("at", OK),
        ("AT+CGMI", "\r\nSimulated\r\n" + OK),
        ("AT+CGMM", "\r\nGeneric GSM\r\n" + OK),
        ("AT+CGMR", "\r\n1.0\r\n" + OK),
        ("AT+CGSN", "\r\n004999010000001\r\n" + OK),
        ("AT+CIMI", "\r\n001010000000001\r\n" + OK),
        ("AT+CCID", "\r\n+CCID: 8962000000000000001\r\n" + OK),
        ("AT+ICCID?", "\r\n+ICCID: 8962000000000000001\r\n" + OK),
        ("AT+CPIN?", "\r\n+CPIN: READY\r\n" + OK),
        ("AT+CSQ", "\r\n+CSQ: 21,0\r\n" + OK),
        ("AT+COPS?", '\r\n+COPS: 0,0,"Simnet"\r\n' + OK),
        ("AT+COPS=3,2;+COPS?", '\r\n+COPS: 0,2,"00101"\r\n' + OK),
        ("AT+CREG?", "\r\n+CREG: 0,1\r\n" + OK),
        ("AT+CREG=1;+CREG?", "\r\n+CREG: 1,1\r\n" + OK),
        ("AT+CSCA?", '\r\n+CSCA: "+6280000000000",145\r\n' + OK),
        ("AT+CSMS=1", "\r\n+CSMS: 1,1,1\r\n" + OK),
        ("AT+CSMS?", "\r\n+CSMS: 0,1,1,1\r\n" + OK),
        ("AT+CMMS=?", "\r\n+CMMS: (0-2)\r\n" + OK),
        ("AT+CMMS=2;+CMMS?", "\r\n+CMMS: 2\r\n" + OK),
        ("AT+CMGF=0", OK),
        ("AT+CNMI=2,1,0,0,0", OK),
        ("AT+CNMI=2, 1", OK),
        ("AT+CSCS?", '\r\n+CSCS: "GSM"\r\n' + OK),
        ("AT+CPMS?", '\r\n+CPMS: "SM",0,20,"SM",0,20,"SM",0,20\r\n' + OK),
        ('AT+CPMS="ME","SM"', "\r\n+CPMS: 0,20,0,20,0,20\r\n" + OK),
        ("AT+CGMI;+CGMM", "\r\nSimulated\r\nGeneric GSM\r\n" + OK),
        ("ATE0V1+CMEE=1;+CMEE?", "\r\n+CMEE: 1\r\n" + OK),
        ("AT&F", OK),
        ("ATS0=0", OK),
        ("ATZ", OK),
        ("AT+NOSUCH", "\r\nERROR\r\n"),
        ("AT+NOSUCH?", "\r\nERROR\r\n"),
        ("AT+NOSUCH=?", "\r\nERROR\r\n"),
        ("AT+CMEE=7", "\r\nERROR\r\n"),
        ("AT+CMEE=1;+CMMS=9;+CGMI", "\r\n+CME ERROR: 50\r\n"),
        ("AT+CMEE=2;+CMMS=9", "\r\n+CME ERROR: incorrect parameters\r\n"),
        ("ATD123", "\r\nERROR\r\n"),
        ("garbage", ""),
        ("", ""),
    ],
)
def test_answers_a_command(command, answer):
    assert ask(make(), command) == answer


def test_the_store_for_messages_can_be_chosen():
    modem = make()
    ask(modem, 'AT+CPMS="ME","SM"')
    assert ask(modem, "AT+CPMS?") == '\r\n+CPMS: "ME",0,20,"SM",0,20,"SM",0,20\r\n' + OK


def test_echo_is_on_after_power_up_and_can_be_switched_off():
    modem = make()
    modem.power_up()
    assert ask(modem, "ATE0") == "ATE0\r" + OK
    assert ask(modem, "AT") == OK
    assert ask(modem, "ATE1") == OK
    assert ask(modem, "AT") == "AT\r" + OK


def test_echo_covers_the_pdu_but_not_its_end():
    modem = make()
    ask(modem, "ATE1")
    command, pdu = submit()
    assert said(modem.receive(command, 0.0)) == command + b"\r\n> "
    assert said(modem.receive(pdu, 0.0)) == pdu[:-1] + b"\r\n+CMGS: 0\r\n\r\nOK\r\n"


def test_numeric_results_are_digits_with_a_carriage_return():
    modem = make()
    assert ask(modem, "ATV0") == "0\r"
    assert ask(modem, "AT+NOSUCH") == "4\r"
    assert ask(modem, "AT+CSQ") == "+CSQ: 21,0\r\n0\r"


def test_bytes_may_come_one_by_one_and_with_line_feeds():
    modem = make()
    answers = [said(modem.receive(bytes([byte]), 0.0)) for byte in b"AT\r\nAT+CSQ\r\n"]
    assert b"".join(answers) == b"\r\nOK\r\n\r\n+CSQ: 21,0\r\n\r\nOK\r\n"


def test_an_escape_and_a_stray_end_of_pdu_do_not_spoil_the_next_command():
    assert ask(make(), "\x1b\rAT+CMEE?") == "\r\n+CMEE: 0\r\n" + OK
    assert ask(make(), "00AABB\x1a\rAT") == OK


class TestSending:
    def test_a_message_gets_a_reference_and_reaches_the_network(self):
        steps = send(make())
        assert said(steps) == b"\r\n+CMGS: 0\r\n\r\nOK\r\n"
        (submitted,) = taken(steps)
        assert (submitted.number, submitted.text, submitted.concat) == (NUMBER, "Kode 123456", None)

    def test_references_count_up_and_wrap(self):
        modem = make()
        references = [step.taken.reference for _ in range(258) for step in send(modem) if step.taken]
        assert references == [*range(256), 0, 1]

    def test_parts_keep_their_place(self):
        (submitted,) = taken(send(make(), part=PART_2_OF_2))
        assert (submitted.concat.reference, submitted.concat.total, submitted.concat.number) == (7, 2, 2)

    def test_the_result_takes_as_long_as_a_submit(self):
        assert [step.at_s for step in send(make(submit_s=1.5), now_s=10.0)] == [11.5]

    def test_the_personality_says_how_long_a_submit_takes(self):
        modem = make(parse_personality("slow", "set submit_s 0.25"), submit_s=None)
        assert [step.at_s for step in send(modem, now_s=10.0)] == [10.25]

    def test_what_is_asked_during_a_submit_is_answered_after_it(self):
        modem = make(submit_s=3.0)
        send(modem, now_s=10.0)
        assert [step.at_s for step in modem.receive(b"AT\r", 11.0)] == [13.0]

    def test_escape_drops_the_pdu_and_ends_with_ok(self):
        modem = make()
        command, pdu = submit()
        modem.receive(command, 0.0)
        steps = modem.receive(pdu[:-1] + b"\x1b", 0.0)
        assert said(steps) == b"\r\nOK\r\n"
        assert not taken(steps)
        assert not modem.ctrl_z_times

    @pytest.mark.parametrize("change", [lambda p: p[2:], lambda p: p[:-3] + p[-1:], lambda _: b"XY\x1a"])
    def test_a_pdu_of_the_wrong_length_or_form_is_refused(self, change):
        modem = make()
        command, pdu = submit()
        modem.receive(command, 0.0)
        steps = modem.receive(change(pdu), 0.0)
        assert said(steps) == b"\r\n+CMS ERROR: 304\r\n"
        assert not taken(steps)

    def test_the_smsc_in_front_does_not_count_as_length(self):
        modem = make()
        command, pdu = submit()
        modem.receive(command, 0.0)
        assert taken(modem.receive(b"06912618000000" + pdu[2:], 0.0))

    @pytest.mark.parametrize("line", ["AT+CMGS=6", "AT+CMGS=165", 'AT+CMGS="6281200000001"', "AT+CMGS="])
    def test_a_length_that_cannot_be_gets_no_prompt(self, line):
        assert ask(make(), line) == "\r\n+CMS ERROR: 304\r\n"

    def test_text_mode_does_not_send(self):
        modem = make()
        ask(modem, "AT+CMGF=1")
        assert ask(modem, "AT+CMGS=30") == "\r\n+CMS ERROR: 303\r\n"

    def test_the_moment_of_ctrl_z_is_noted(self):
        modem = make(submit_s=2.0)
        send(modem, now_s=10.0)
        assert modem.ctrl_z_times == [10.0]

    def test_writing_to_the_sim_is_an_offence(self):
        modem = make()
        assert ask(modem, "AT+CMGW=20") == "\r\n+CMS ERROR: 302\r\n"
        assert modem.offences == ["+CMGW"]


class TestPin:
    def test_a_locked_card_opens_with_its_pin(self):
        modem = make(pin="1234")
        assert ask(modem, "AT+CPIN?") == "\r\n+CPIN: SIM PIN\r\n" + OK
        assert ask(modem, "AT+CMEE=1;+CIMI") == "\r\n+CME ERROR: 11\r\n"
        assert ask(modem, "AT+CMGS=20") == "\r\n+CMS ERROR: 311\r\n"
        assert ask(modem, 'AT+CPIN="1234"') == OK
        assert ask(modem, "AT+CIMI") == "\r\n001010000000001\r\n" + OK

    def test_three_wrong_pins_want_the_puk(self):
        modem = make(pin="1234")
        ask(modem, "AT+CMEE=1")
        for _ in range(3):
            assert ask(modem, "AT+CPIN=0000") == "\r\n+CME ERROR: 16\r\n"
        assert ask(modem, "AT+CPIN?") == "\r\n+CPIN: SIM PUK\r\n" + OK
        assert ask(modem, "AT+CPIN=1234") == "\r\n+CME ERROR: 12\r\n"
        assert ask(modem, 'AT+CPIN="12345678","4321"') == OK
        assert ask(modem, "AT+CPIN?") == "\r\n+CPIN: READY\r\n" + OK

    def test_used_up_tries_survive_a_restart_and_the_pin_is_asked_again(self):
        modem = make(pin="1234")
        ask(modem, "AT+CPIN=0000")
        modem.power_up()
        assert modem.card.pin_tries_left == 2
        ask(modem, "AT+CPIN=1234")
        assert modem.card.state == "READY"
        modem.power_up()
        assert modem.card.state == "SIM PIN"

    def test_ten_wrong_puks_end_the_card(self):
        card = SimCard(CardPrint(iccid="", imsi="", operator="", pin="1234"))
        for _ in range(3):
            card.enter_pin("0000")
        for _ in range(10):
            assert not card.enter_puk("00000000", "1111")
        assert not card.enter_puk("12345678", "1111")

    def test_a_pin_that_nobody_asked_for_is_refused(self):
        assert ask(make(), "AT+CPIN=1234") == "\r\nERROR\r\n"

    def test_the_pin_is_switched_on_changed_and_switched_off(self):
        modem = make()
        ask(modem, "AT+CMEE=1")
        assert ask(modem, 'AT+CLCK="SC",2') == "\r\n+CLCK: 0\r\n" + OK
        assert ask(modem, 'AT+CPWD="SC","0000","1234"') == "\r\n+CME ERROR: 3\r\n"
        assert ask(modem, 'AT+CLCK="SC",1,"9999"') == "\r\n+CME ERROR: 16\r\n"
        assert ask(modem, 'AT+CLCK="SC",1,"0000"') == OK
        assert ask(modem, 'AT+CLCK="SC",1,"0000"') == "\r\n+CME ERROR: 3\r\n"
        assert ask(modem, 'AT+CPWD="SC","0000","1234"') == OK
        modem.power_up()
        ask(modem, "ATE0;+CMEE=1")
        assert ask(modem, 'AT+CLCK="SC",2') == "\r\n+CME ERROR: 11\r\n"
        assert ask(modem, 'AT+CPIN="1234"') == OK
        assert ask(modem, 'AT+CLCK="SC",0,"1234"') == OK
        modem.power_up()
        assert modem.card.state == "READY"

    def test_an_open_card_blocks_as_well(self):
        modem = make(pin="1234")
        ask(modem, 'AT+CMEE=1;+CPIN="1234"')
        for pin in ("0001", "0002", "0003"):
            assert ask(modem, f'AT+CPWD="SC","{pin}","1111"') == "\r\n+CME ERROR: 16\r\n"
        assert ask(modem, "AT+CPIN?") == "\r\n+CPIN: SIM PUK\r\n" + OK
        assert ask(modem, "AT+CIMI") == "\r\n+CME ERROR: 12\r\n"

    @pytest.mark.parametrize(
        "command",
        ['+CLCK="SC",1', '+CLCK="SC",2,"0000"', '+CLCK="FD",2', '+CPWD="SC","0000"', '+CSCA="abc"', "+CSCA="],
    )
    def test_what_is_not_whole_is_refused(self, command):
        assert ask(make(), f"AT+CMEE=1;{command}") == "\r\n+CME ERROR: 50\r\n"


def test_the_sms_center_stays_on_the_card():
    modem = make()
    assert ask(modem, 'AT+CSCA="+6281100000"') == OK
    modem.power_up()
    assert ask(modem, "ATE0;+CSCA?").endswith('\r\n+CSCA: "+6281100000",145\r\n' + OK)


class TestOperators:
    def test_all_are_listed_and_what_may_be_set(self):
        listed = '(2,"Simnet","Simnet","00101",7),(1,"Roamnet","Roamnet","00102",7),(3,"Barnet","Barnet","00103",7)'
        assert ask(make(), "AT+COPS=?") == f"\r\n+COPS: {listed},,(0-4),(0-2)\r\n" + OK

    def test_nothing_else_is_done_while_it_looks_for_them(self):
        modem = make(parse_personality("slow", "set scan_s 90"))
        steps = modem.receive(b"AT+COPS=?\rAT+CSQ\r", 10.0)
        assert [step.at_s for step in steps] == [100.0, 100.0]

    def test_one_is_chosen_and_the_choice_is_kept(self):
        modem = make()
        assert ask(modem, 'AT+COPS=1,2,"00102"') == OK
        modem.power_up()
        ask(modem, "ATE0")
        assert ask(modem, "AT+COPS?;+CREG?") == '\r\n+COPS: 1,0,"Roamnet"\r\n+CREG: 0,5\r\n' + OK
        assert ask(modem, "AT+COPS=0;+COPS?") == '\r\n+COPS: 0,0,"Simnet"\r\n' + OK

    @pytest.mark.parametrize(("code", "error"), [("00103", 32), ("99999", 30)])
    def test_one_that_cannot_be_had_leaves_it_without_any(self, code, error):
        modem = make()
        assert ask(modem, f'AT+CMEE=1;+COPS=1,2,"{code}"') == f"\r\n+CME ERROR: {error}\r\n"
        assert ask(modem, "AT+COPS?;+CREG?") == "\r\n+COPS: 1\r\n+CREG: 0,3\r\n" + OK

    def test_none_is_found_without_a_network(self):
        modem = make()
        modem.set_faults(Faults(no_network=True))
        assert ask(modem, "AT+CMEE=1;+COPS=?") == "\r\n+CME ERROR: 30\r\n"


@pytest.mark.parametrize(
    ("personality", "command"),
    [
        ("quectel", 'AT+EGMR=1,7,"356938035643809"'),
        ("simcom", 'AT+EGMR=1,7,"356938035643809"'),
        ("sim7600", "AT+SIMEI=356938035643809"),
    ],
)
def test_a_written_imei_counts_after_a_restart(personality, command):
    modem = make(personality)
    assert ask(modem, command) == OK
    assert modem.imei == "004999010000001"
    ask(modem, "AT+CFUN=1,1")
    assert modem.imei == "356938035643809"
    assert ask(make("generic"), command) == "\r\nERROR\r\n"


class TestUssd:
    def test_the_answer_follows_later_as_a_line_of_its_own(self):
        steps = make().receive(b'AT+CUSD=1,"*100#",15\r', 10.0)
        first, second = sorted(steps, key=lambda step: step.at_s)
        assert (first.at_s, first.data) == (10.0, b"\r\nOK\r\n")
        assert second.at_s > 10.0
        assert second.data == b'\r\n+CUSD: 0,"You dialled *100#",15\r\n'

    def test_the_personality_may_know_a_menu(self):
        assert '\r\n+CUSD: 1,"1 Balance\n2 Packages' in ask(make(), 'AT+CUSD=1,"*123#",15')

    def test_texts_are_hex_when_the_line_speaks_ucs2(self):
        modem = make()
        code = "*1#".encode("utf-16-be").hex().upper()
        got = ask(modem, f'AT+CSCS="UCS2";+CUSD=1,"{code}",15')
        assert "You dialled *1#".encode("utf-16-be").hex().upper() in got

    def test_it_can_be_cancelled(self):
        assert ask(make(), "AT+CUSD=2") == OK


class TestFaults:
    def faulty(self, **faults):
        modem = make()
        modem.set_faults(Faults(**faults))
        return modem

    def test_a_hung_modem_says_nothing_at_all(self):
        modem = self.faulty(hung=True)
        assert ask(modem, "AT") == ""
        assert ask(modem, "\x1b\rAT") == ""
        modem.set_faults(Faults())
        assert ask(modem, "AT") == OK

    def test_a_hung_modem_may_hear_that_it_is_to_start_anew(self):
        modem = self.faulty(hung=True, hears_restart=True)
        assert ask(modem, "AT") == ask(modem, "AT+CFUN=1,1") == ""
        assert ask(modem, "AT").endswith(OK)
        modem = self.faulty(hung=True)
        assert ask(modem, "AT+CFUN=1,1") == ask(modem, "AT") == ""

    def test_the_prompt_stays_away_for_so_many_sends(self):
        modem = self.faulty(no_prompt_sends=2)
        assert ask(modem, "AT+CMGS=20") == ask(modem, "AT+CMGS=20") == ""
        assert ask(modem, "\x1b\rAT") == OK
        assert taken(send(modem))

    @pytest.mark.parametrize("reaches", [True, False])
    def test_silence_after_ctrl_z(self, reaches):
        modem = self.faulty(silent_sends=1, silent_reach_network=reaches)
        steps = send(modem)
        assert said(steps) == b""
        assert bool(taken(steps)) is reaches
        assert ask(modem, "AT") == OK
        assert b"+CMGS" in said(send(modem))

    def test_silence_for_ever(self):
        modem = self.faulty(silent_sends=FOREVER)
        assert {said(send(modem)) for _ in range(50)} == {b""}

    @pytest.mark.parametrize("error", ["+CMS ERROR: 38", "+CME ERROR: 100", "ERROR", "+CMS ERROR: 500"])
    def test_so_many_sends_fail_with_this_error(self, error):
        modem = self.faulty(failing_sends=2, fail_with=error)
        ask(modem, "AT+CMEE=1")
        for _ in range(2):
            steps = send(modem)
            assert said(steps).decode() == f"\r\n{error}\r\n"
            assert not taken(steps)
        assert taken(send(modem))

    def test_errors_are_words_under_cmee_2(self):
        modem = self.faulty(failing_sends=1)
        ask(modem, "AT+CMEE=2")
        assert said(send(modem)) == b"\r\n+CMS ERROR: network out of order\r\n"

    def test_a_late_result_keeps_the_modem_deaf(self):
        modem = self.faulty(late_sends=1, late_s=30.0)
        assert [(step.at_s, bool(step.taken)) for step in send(modem, now_s=5.0)] == [(35.0, True)]
        assert [step.at_s for step in modem.receive(b"AT\r", 20.0)] == [35.0]
        assert [step.at_s for step in send(modem, now_s=40.0)] == [40.0]

    def test_a_late_result_may_come_when_something_else_is_being_asked(self):
        modem = self.faulty(late_sends=1, late_s=30.0, late_answers_meanwhile=True)
        assert [step.at_s for step in send(modem, now_s=5.0)] == [35.0]
        assert [step.at_s for step in modem.receive(b"AT\r", 20.0)] == [20.0]

    @pytest.mark.parametrize(
        ("moment", "prompt", "result"),
        [
            (Moment.BEFORE_PROMPT, "\r\nRING\r\n\r\n> ", "\r\n+CMGS: 0\r\n\r\nOK\r\n"),
            (Moment.AFTER_PROMPT, "\r\n> \r\nRING\r\n", "\r\n+CMGS: 0\r\n\r\nOK\r\n"),
            (Moment.BEFORE_RESULT, "\r\n> ", "\r\nRING\r\n\r\n+CMGS: 0\r\n\r\nOK\r\n"),
            (Moment.INSIDE_ANSWER, "\r\n> ", "\r\n+CMGS: 0\r\n\r\nRING\r\n\r\nOK\r\n"),
            (Moment.GLUED, "\r\n> ", "\r\n+CMGS: 0\r\n\r\nOK\r\nRING\r\n"),
        ],
    )
    def test_an_uninvited_line_breaks_into_a_send(self, moment, prompt, result):
        modem = self.faulty(interruption="RING", interruption_at=moment)
        command, pdu = submit()
        assert said(modem.receive(command, 0.0)).decode() == prompt
        assert said(modem.receive(pdu, 0.0)).decode() == result

    def test_an_uninvited_line_breaks_into_an_answer(self):
        modem = self.faulty(interruption="RING", interruption_at=Moment.INSIDE_ANSWER)
        assert ask(modem, "AT+CSQ") == "\r\n+CSQ: 21,0\r\n\r\nRING\r\n\r\nOK\r\n"

    def test_without_a_network_nothing_is_sent_and_everybody_is_told(self):
        modem = self.faulty(no_network=True)
        assert "+CREG: 0,2" in ask(modem, "AT+CREG?")
        assert "+CSQ: 99,99" in ask(modem, "AT+CSQ")
        assert ask(modem, "AT+COPS?") == "\r\n+COPS: 0\r\n" + OK
        assert ask(modem, 'AT+CMEE=1;+CUSD=1,"*1#"') == "\r\n+CME ERROR: 30\r\n"
        steps = send(modem)
        assert said(steps) == b"\r\n+CMS ERROR: 331\r\n"
        assert not taken(steps)


class TestMagicNumbers:
    def test_one_always_fails(self):
        modem = make()
        for _ in range(2):
            steps = send(modem, number=Magic.FAILS)
            assert said(steps) == b"\r\n+CMS ERROR: 1\r\n"
            assert not taken(steps)

    def test_one_never_gets_an_answer_and_blocks_nothing(self):
        modem = make()
        steps = send(modem, number=Magic.NEVER_ANSWERS)
        assert said(steps) == b""
        assert not taken(steps)
        assert taken(send(modem))

    @pytest.mark.parametrize(("number", "after_s"), [(Magic.ANSWERS_LATE, 8.0), (Magic.IS_SLOW, 3.0)])
    def test_some_take_their_time(self, number, after_s):
        modem = make(network=SimNetwork(MagicTimes(late_s=8.0, slow_s=3.0)))
        steps = send(modem, number=number, now_s=1.0)
        assert [step.at_s for step in steps] == [1.0 + after_s]
        assert taken(steps)

    def test_one_fails_at_the_first_modem_and_is_taken_by_the_second(self):
        network = SimNetwork(MagicTimes())
        first, second = make(name="m0", network=network), make(name="m1", network=network)
        for _ in range(2):
            assert said(send(first, number=Magic.FAILS_ONCE)) == b"\r\n+CMS ERROR: 38\r\n"
        assert taken(send(second, number=Magic.FAILS_ONCE, part=PART_1_OF_2))
        assert taken(send(second, number=Magic.FAILS_ONCE, part=PART_2_OF_2))
        assert not taken(send(second, number=Magic.FAILS_ONCE))


class TestPersonalities:
    def test_huawei_chatters_and_has_words_of_its_own(self):
        modem = make("huawei")
        modem.power_up()
        first = ask(modem, "ATE0")
        assert first.startswith("\r\n^BOOT:")
        assert first.endswith("ATE0\r" + OK)
        assert "^BOOT" not in ask(modem, "AT")
        assert ask(modem, "AT+CCID") == "\r\nCOMMAND NOT SUPPORT\r\n"
        assert ask(modem, "AT+NOSUCH") == "\r\nCOMMAND NOT SUPPORT\r\n"
        assert ask(modem, "AT^ICCID?") == "\r\n^ICCID: 8962000000000000001\r\n" + OK
        assert said(send(modem)) == b"\r\n^RSSI:21\r\n\r\n+CMGS: 0\r\n\r\nOK\r\n"

    def test_simcom_tells_when_it_is_ready(self):
        modem = make("simcom", pin="1234")
        modem.power_up()
        first = ask(modem, "AT")
        assert "+CPIN: SIM PIN" in first
        assert "\r\nCall Ready\r\n\r\nSMS Ready\r\n" in first
        assert ask(modem, "ATE0+CCID").endswith("\r\n8962000000000000001\r\n" + OK)

    def test_quectel_has_its_own_name_for_the_card(self):
        assert ask(make("quectel"), "AT+QCCID") == "\r\n+QCCID: 8962000000000000001\r\n" + OK

    def test_a_restart_by_command_brings_echo_and_chatter_back(self):
        modem = make("simcom")
        assert ask(modem, "AT+CFUN=1,1") == OK
        assert "Call Ready" in ask(modem, "AT")
        assert ask(modem, "AT") == "AT\r" + OK
