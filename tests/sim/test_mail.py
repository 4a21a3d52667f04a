"""What a simulated modem does with messages that it receives."""

from datetime import UTC, datetime

import pytest

from otppi.model.network_pdu import deliver_pdus, status_report_pdu, tpdu_octets
from otppi.model.received_pdu import Party
from otppi.sim.card import CardPrint, SimCard
from otppi.sim.magic import MagicTimes, SimNetwork
from otppi.sim.modem import SimModem
from otppi.sim.personality import load_personality

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SENDER = Party("+6281200000001")
(PDU,) = deliver_pdus(SENDER, "Halo", sent_at=NOW)
REPORT = status_report_pdu(3, SENDER, 0, sent_at=NOW, discharged_at=NOW)
OCTETS = tpdu_octets(PDU)
OK = "\r\nOK\r\n"
NOTHING_THERE = "\r\n+CMS ERROR: 321\r\n"


@pytest.fixture
def modem():
    card = SimCard(CardPrint(iccid="8962000000000000001", imsi="001010000000001", operator="Simnet"))
    one = SimModem(
        "m0",
        load_personality("generic"),
        card,
        SimNetwork(MagicTimes()),
        imei="004999010000001",
        submit_s=0.0,
    )
    ask(one, "ATE0+CMEE=1")
    return one


def said(steps):
    return b"".join(step.data for step in steps).decode()


def ask(modem, line):
    return said(modem.receive(line.encode() + b"\r", 0.0))


def test_a_message_is_stored_and_announced_as_it_was_set(modem):
    assert said(modem.deliver(PDU, 0.0)) == ""
    ask(modem, "AT+CNMI=2,1,0,0,0")
    assert said(modem.deliver(PDU, 0.0)) == '\r\n+CMTI: "SM",2\r\n'
    ask(modem, "AT+CNMI=2,2,0,0,0")
    assert said(modem.deliver(PDU, 0.0)) == f"\r\n+CMT: ,{OCTETS}\r\n{PDU}\r\n"
    assert ask(modem, "AT+CPMS?") == '\r\n+CPMS: "SM",2,20,"SM",2,20,"SM",2,20\r\n' + OK


def test_messages_are_listed_read_and_deleted(modem):
    modem.deliver(PDU, 0.0)
    modem.deliver(PDU, 0.0)
    assert ask(modem, "AT+CMGR=2") == f"\r\n+CMGR: 0,,{OCTETS}\r\n{PDU}\r\n" + OK
    listed = f"\r\n+CMGL: 1,0,,{OCTETS}\r\n{PDU}\r\n+CMGL: 2,1,,{OCTETS}\r\n{PDU}\r\n" + OK
    assert ask(modem, "AT+CMGL=4") == listed
    assert ask(modem, "AT+CMGL") == OK
    assert ask(modem, "AT+CMGD=1") == OK
    assert ask(modem, "AT+CMGD=1") == ask(modem, "AT+CMGR=1") == ask(modem, "AT+CMGR=99") == NOTHING_THERE
    assert ask(modem, "AT+CMGD=1,4") == OK
    assert ask(modem, "AT+CMGL=4") == OK


def test_the_network_keeps_what_there_is_no_room_for(modem):
    ask(modem, "AT+CNMI=2,1,0,0,0")
    for _ in range(22):
        modem.deliver(PDU, 0.0)
    assert modem.held_by_network == 2
    assert ask(modem, "AT+CMGD=5") == OK + '\r\n+CMTI: "SM",5\r\n'
    assert modem.held_by_network == 1


def test_messages_stay_on_the_card_and_settings_do_not(modem):
    ask(modem, "AT+CNMI=2,1,0,0,0")
    modem.deliver(PDU, 0.0)
    modem.power_up()
    ask(modem, "ATE0")
    assert said(modem.deliver(PDU, 0.0)) == ""
    assert len(modem.card.messages) == 2


def test_a_store_of_its_own_is_apart_from_the_card(modem):
    ask(modem, 'AT+CPMS="SM","SM","ME"')
    modem.deliver(PDU, 0.0)
    assert ask(modem, "AT+CPMS?") == '\r\n+CPMS: "SM",0,20,"SM",0,20,"ME",1,20\r\n' + OK
    assert ask(modem, "AT+CMGR=1") == NOTHING_THERE
    ask(modem, 'AT+CPMS="ME"')
    assert PDU in ask(modem, "AT+CMGR=1")


def test_reports_go_where_they_were_set_to_go(modem):
    assert said(modem.deliver(REPORT, 0.0)) == ""
    ask(modem, "AT+CNMI=2,1,0,1,0")
    assert said(modem.deliver(REPORT, 0.0)) == f"\r\n+CDS: {tpdu_octets(REPORT)}\r\n{REPORT}\r\n"
    ask(modem, "AT+CNMI=2,1,0,2,0")
    assert said(modem.deliver(REPORT, 0.0)) == '\r\n+CDSI: "SR",1\r\n'
    ask(modem, 'AT+CPMS="SR"')
    assert REPORT in ask(modem, "AT+CMGR=1")


def test_in_phase_2_plus_the_next_waits_for_an_acknowledgement(modem):
    ask(modem, "AT+CSMS=1;+CNMI=2,1,0,1,0")
    assert "+CDS:" in said(modem.deliver(REPORT, 0.0))
    assert said(modem.deliver(REPORT, 0.0)) == ""
    assert "+CDS:" in ask(modem, "AT+CNMA")
    assert ask(modem, "AT+CNMA") == OK
    assert ask(modem, "AT+CNMA") == "\r\n+CMS ERROR: 340\r\n"


@pytest.mark.parametrize("command", ["AT+CMGL=4", "AT+CMGR=1", "AT+CMGD=1"])
def test_nothing_is_read_in_text_mode_nor_without_the_pin(modem, command):
    modem.deliver(PDU, 0.0)
    ask(modem, "AT+CMGF=1")
    assert ask(modem, command) == "\r\n+CMS ERROR: 303\r\n"
    card = SimCard(
        CardPrint(iccid="8962000000000000001", imsi="001010000000001", operator="Simnet", pin="1234")
    )
    locked = SimModem(
        "m1", load_personality("generic"), card, SimNetwork(MagicTimes()), imei="004999010000001"
    )
    ask(locked, "ATE0")
    locked.deliver(PDU, 0.0)
    assert ask(locked, command) == "\r\n+CMS ERROR: 311\r\n"
    assert locked.held_by_network == 1
