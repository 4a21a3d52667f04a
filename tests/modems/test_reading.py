"""Received messages through a simulated modem, byte for byte."""

import re
from datetime import UTC, datetime

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.model.errors import HostError
from otppi.model.network_pdu import deliver_pdus, status_report_pdu
from otppi.model.pdu import submit_pdus
from otppi.model.received_pdu import Party, ReportOutcome
from otppi.model.sms_text import code_text
from otppi.modems.channel import Channel
from otppi.modems.families import HUAWEI
from otppi.modems.families.family import Family, Sweep
from otppi.modems.families.generic import GENERIC
from otppi.modems.reading import Reading
from otppi.modems.transport import SerialLine, SerialTransport
from otppi.sim.faults import Faults, Moment
from otppi.sim.line import SimModems
from otppi.sim.personality import parse_personality

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SENDER = Party("+6281200000001")
BY_INDEX = Family(name="by index", sweep=Sweep.BY_INDEX)


class Sink:
    """Takes messages and reports; fails when told to."""

    def __init__(self):
        self.parts = []
        self.reports = []
        self.is_full = False

    def keep(self, parts):
        if self.is_full:
            raise HostError("ENOSPC")
        self.parts += parts

    def expect(self, awaited):
        raise NotImplementedError

    def report(self, received):
        self.reports.append(received)

    @property
    def texts(self):
        return [part.message.text for part in self.parts]


class Stick:
    """A simulated modem with its channel, set up for reading."""

    def __init__(self, directory, personality="generic", family=GENERIC, faults=None):
        self.sim = SimModems(directory)
        self.line = self.sim.add("m0", personality, faults=faults, keep_log=True)
        self.wakeup = Wakeup()
        self.transport = SerialTransport(str(self.line.path), SerialLine(), self.wakeup)
        self.sink = Sink()
        self.reading = Reading("m0", self.sink, self.sink)
        self.others = []
        self.channel = Channel(self.transport, self._hear)
        self.channel.command("ATE0")
        self.channel.command("AT+CMEE=1;+CMGF=0")
        self.reading.set_up(self.channel, family, self.line.card.printed.iccid)

    def _hear(self, line):
        if not self.reading.hear(line):
            self.others.append(line)

    def attend(self):
        """Wait for news and take them."""
        while not self.reading.has_news:
            self.channel.idle(5.0)
        self.reading.attend(self.channel)

    def send(self, text="x", wants_report=True):
        (pdu,) = submit_pdus(
            "6281200000009",
            False,
            code_text(text),
            concat_reference=0,
            validity_s=None,
            wants_report=wants_report,
        )
        return self.channel.send_pdu(pdu, lambda: None, 5.0)

    @property
    def heard_commands(self):
        heard = b"".join(data for _, direction, data in self.line.log if direction == "in")
        return re.split("[\r\x1a]", heard.decode())

    def close(self):
        self.transport.close()
        self.wakeup.close()
        self.sim.stop()


@pytest.fixture
def stick(tmp_path):
    made = []

    def make(*arguments, **options):
        made.append(Stick(tmp_path / f"modems{len(made)}", *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_message_is_announced_read_kept_and_only_then_deleted(stick):
    one = stick()
    one.line.deliver("+6281200000001", "Halo {dunia} €")
    one.attend()
    (part,) = one.sink.parts
    assert (part.modem_id, part.sim) == ("m0", one.line.card.printed.iccid)
    assert (part.message.sender, part.message.text) == (SENDER, "Halo {dunia} €")
    assert len(one.line.card.messages) == 0
    commands = one.heard_commands
    assert commands.index("AT+CMGR=1") < commands.index("AT+CMGD=1")
    assert one.line.offences == []


def test_what_cannot_be_kept_stays_on_the_sim_and_is_taken_later(stick):
    one = stick()
    one.sink.is_full = True
    one.line.deliver("+6281200000001", "first")
    one.attend()
    assert one.sink.texts == []
    assert len(one.line.card.messages) == 1
    one.sink.is_full = False
    fill = one.reading.sweep(one.channel)
    assert one.sink.texts == ["first"]
    assert (fill.used, fill.total) == (0, 20)


@pytest.mark.parametrize("family", [GENERIC, BY_INDEX, HUAWEI], ids=lambda family: family.name)
def test_a_sweep_takes_what_came_before_anybody_listened(stick, family):
    one = stick(family=family)
    one.channel.command("AT+CNMI=0,0,0,0,0")
    one.line.deliver("+6281200000001", "one")
    one.line.deliver("BANK", "two")
    one.line.deliver("888", "\u65e5" * 100)  # two parts
    fill = one.reading.sweep(one.channel)
    assert fill.used == 0
    assert "".join(one.sink.texts) == "one" + "two" + "\u65e5" * 100
    assert [part.message.concat is not None for part in one.sink.parts] == [False, False, True, True]


def test_an_empty_store_costs_one_command(stick):
    one = stick()
    before = one.line.at_commands
    assert one.reading.sweep(one.channel).used == 0
    assert one.line.at_commands == before + 1


def test_a_full_sim_lets_the_network_keep_the_rest(stick):
    one = stick()
    one.channel.command("AT+CNMI=0,0,0,0,0")
    for number in range(25):
        one.line.deliver("+6281200000001", f"message {number}")
    assert one.line.held_by_network == 5
    while one.reading.sweep(one.channel).used:
        pass
    assert sorted(one.sink.texts) == sorted(f"message {number}" for number in range(25))
    assert one.line.held_by_network == 0


@pytest.mark.parametrize("moment", list(Moment))
def test_a_notice_in_the_middle_of_a_send_is_not_lost(stick, moment):
    one = stick()
    one.channel.command("AT+CNMI=0,0,0,0,0")
    one.line.deliver("+6281200000001", "in between")
    one.line.set_faults(Faults(interruption='+CMTI: "SM",1', interruption_at=moment))
    assert one.send(wants_report=False) == 0
    one.line.set_faults(Faults())
    one.attend()
    assert one.sink.texts[0] == "in between"


def test_a_message_may_arrive_while_another_is_being_sent(stick):
    one = stick()
    one.line.set_faults(Faults(late_sends=1, late_s=0.5))
    delivered = []

    def submitting():
        one.line.deliver("+6281200000001", "meanwhile")
        delivered.append(True)

    (pdu,) = submit_pdus("6281200000009", False, code_text("x"), concat_reference=0, validity_s=None)
    assert one.channel.send_pdu(pdu, submitting, 5.0) == 0
    assert delivered
    one.attend()
    assert one.sink.texts == ["meanwhile"]


def test_a_report_comes_directly(stick):
    one = stick()
    reference = one.send()
    one.attend()
    (report,) = one.sink.reports
    assert report.report.reference == reference
    assert report.report.receiver == Party("+6281200000009")
    assert report.report.outcome is ReportOutcome.DELIVERED
    assert "AT+CNMA" not in one.heard_commands


def test_no_report_comes_that_nobody_asked_for(stick):
    one = stick()
    one.send(wants_report=False)
    one.line.deliver("+6281200000001", "after it")
    one.attend()
    assert one.sink.reports == []
    assert one.sink.texts == ["after it"]


def test_a_failure_is_reported_as_one(stick):
    one = stick(faults=Faults(report_status=0x46))
    one.send()
    one.attend()
    assert one.sink.reports[0].report.outcome is ReportOutcome.EXPIRED


def test_a_modem_that_must_be_acknowledged_is(stick):
    # It keeps to phase 2+ whatever it is told.
    stubborn = parse_personality("stubborn", "AT+CSMS?  +CSMS: 1,1,1,1\nAT+CSMS=0  +CMS ERROR: 303\n")
    one = stick(stubborn)
    one.channel.command("AT+CSMS=1", expect="+CSMS:")
    for expected in range(3):
        one.send()
        one.attend()
        assert len(one.sink.reports) == expected + 1
    assert one.heard_commands.count("AT+CNMA") == 3


def test_a_modem_that_has_reports_only_in_its_store_is_read_there(stick):
    stored = parse_personality("stored", "AT+CNMI=2,1,0,1,0  +CMS ERROR: 303\n")
    one = stick(stored)
    one.send()
    one.attend()
    assert len(one.sink.reports) == 1
    one.line.deliver("+6281200000001", "on the card")
    one.attend()
    assert one.sink.texts == ["on the card"]


def test_a_modem_without_notices_is_swept(stick):
    deaf = parse_personality(
        "deaf", "\n".join(f"{command}  +CMS ERROR: 303" for command in GENERIC.indications)
    )
    one = stick(deaf)
    one.line.deliver("+6281200000001", "quiet")
    assert one.reading.sweep(one.channel).used == 0
    assert one.sink.texts == ["quiet"]


def test_a_flash_message_and_an_unreadable_one_are_taken_as_well(stick):
    one = stick()
    one.channel.command("AT+CNMI=2,2,0,1,0")
    one.line.deliver("+6281200000001", "flash")
    one.attend()
    one.channel.command("AT+CNMI=0,0,0,0,0")
    broken = "0004FF91" + "00" * 20
    one.line.deliver_pdus([broken])
    assert one.reading.sweep(one.channel).used == 0
    assert one.sink.texts == ["flash", broken]
    assert [part.message.is_data for part in one.sink.parts] == [False, True]


def test_a_report_that_was_stored_among_messages_is_found_by_a_sweep(stick):
    one = stick()
    one.channel.command("AT+CNMI=0,0,0,0,0")
    one.line.card.messages.put(
        status_report_pdu(9, Party("+6281200000009"), 0, sent_at=NOW, discharged_at=NOW)
    )
    assert one.reading.sweep(one.channel).used == 0
    assert one.sink.reports[0].report.reference == 9


def test_one_byte_at_a_time_makes_no_difference(stick):
    one = stick(faults=Faults(byte_gap_s=0.0002))
    one.line.deliver("Toko 99", "Kode 123456")
    one.attend()
    assert one.sink.texts == ["Kode 123456"]
    assert one.sink.parts[0].message.sender == Party("Toko 99", is_name=True)


def test_a_power_cut_between_keeping_and_deleting_brings_a_part_twice_and_nothing_is_lost(stick):
    one = stick()
    one.channel.command("AT+CNMI=0,0,0,0,0")
    (pdu,) = deliver_pdus(SENDER, "once", sent_at=NOW)
    one.line.deliver_pdus([pdu])
    one.reading.sweep(one.channel)
    one.line.deliver_pdus([pdu])  # as if it had never been deleted
    one.reading.sweep(one.channel)
    first, second = one.sink.parts
    assert first.message == second.message
