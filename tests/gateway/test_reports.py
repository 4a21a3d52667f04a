import tempfile
from pathlib import Path

import pytest

from otppi.contracts.received import AwaitedReport, ReceivedReport
from otppi.gateway.journal import Journal
from otppi.gateway.reports import Reports, ReportSettings
from otppi.lib.bus import Bus
from otppi.model.events import DeliveryReported
from otppi.model.number import Number
from otppi.model.received_pdu import Party, ReportOutcome, StatusReport

SIM = "8962000000000000001"
NUMBER = Number("6281200000001")
DELIVERED, UNCONFIRMED, TRYING, EXPIRED, REJECTED = 0x00, 0x01, 0x20, 0x46, 0x63


class Desk:
    """Reports with a journal that survives a restart, and what they published."""

    def __init__(self, directory, clock, **options):
        self.directory = directory
        self.clock = clock
        self.options = options
        self.bus = Bus()
        self.news = []
        self.bus.subscribe("test", self.news.append, DeliveryReported)
        self.journal = None
        self.restart()

    def restart(self):
        if self.journal is not None:
            self.journal.close()
        self.journal = Journal(self.directory, self.clock)
        self.reports = Reports(ReportSettings, b"k" * 32, self.clock, self.journal, self.bus, **self.options)

    def expect(self, message_id, reference, *, number=NUMBER, sim=SIM, parts=1):
        self.reports.expect(
            AwaitedReport(
                modem_id="m0",
                sim=sim,
                reference=reference,
                number=number,
                message_id=message_id,
                parts=parts,
            )
        )

    def report(self, reference, status=DELIVERED, *, receiver="+6281200000001", sim=SIM):
        report = StatusReport(reference=reference, receiver=Party(receiver), status=status)
        self.reports.report(ReceivedReport(modem_id="m0", sim=sim, report=report))

    def outcomes(self):
        """Return what was published, and publish nothing more."""
        self.bus.stop()
        return [(event.message_id, event.outcome) for event in self.news]


@pytest.fixture
def desk(clock):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        one = Desk(Path(name) / "journal", clock)
        yield one
        one.bus.stop()
        one.journal.close()


def test_a_report_is_told_of_once_with_a_masked_number(desk):
    desk.expect("a", 7)
    desk.report(7)
    desk.report(7)
    desk.bus.stop()
    (event,) = desk.news
    assert event == DeliveryReported(
        message_id="a",
        modem_id="m0",
        masked_number=NUMBER.masked,
        outcome=ReportOutcome.DELIVERED,
        status=DELIVERED,
    )


@pytest.mark.parametrize("receiver", ["+6281200000001", "6281200000001", "081200000001", "9181200000001"])
def test_the_receiver_is_known_in_every_form_of_his_number(desk, receiver):
    desk.expect("a", 7)
    desk.report(7, receiver=receiver)
    assert desk.outcomes() == [("a", ReportOutcome.DELIVERED)]


@pytest.mark.parametrize(
    "other", [{"receiver": "+6281200000002"}, {"sim": "8962000000000000002"}, {"receiver": ""}]
)
def test_a_report_of_another_receiver_or_sim_is_not_taken_for_it(desk, other):
    desk.expect("a", 7)
    desk.report(7, **other)
    desk.report(8)
    assert desk.outcomes() == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (DELIVERED, ReportOutcome.DELIVERED),
        (UNCONFIRMED, ReportOutcome.UNCONFIRMED),
        (EXPIRED, ReportOutcome.EXPIRED),
        (REJECTED, ReportOutcome.FAILED),
    ],
)
def test_every_final_status_ends_the_waiting(desk, status, outcome):
    desk.expect("a", 7)
    desk.report(7, TRYING)
    desk.report(7, status)
    desk.report(7, DELIVERED)
    assert desk.outcomes() == [("a", outcome)]


def test_a_long_message_is_delivered_with_its_last_part(desk):
    for reference in (7, 8, 9):
        desk.expect("a", reference, parts=3)
    desk.report(9)
    desk.report(7)
    desk.report(7)
    desk.restart()
    desk.report(8)
    assert desk.outcomes() == [("a", ReportOutcome.DELIVERED)]


@pytest.mark.parametrize(
    ("status", "outcome"), [(EXPIRED, ReportOutcome.EXPIRED), (UNCONFIRMED, ReportOutcome.UNCONFIRMED)]
)
def test_a_long_message_is_as_good_as_its_worst_part(desk, status, outcome):
    desk.expect("a", 7, parts=2)
    desk.expect("a", 8, parts=2)
    desk.report(7, status)
    desk.report(8)
    assert desk.outcomes() == [("a", outcome)]


def test_a_restart_of_the_service_forgets_nothing(desk):
    desk.expect("a", 7)
    desk.expect("b", 8)
    desk.report(8)
    desk.restart()
    desk.report(7)
    desk.report(8)
    desk.restart()
    desk.report(7)
    assert desk.outcomes() == [("b", ReportOutcome.DELIVERED), ("a", ReportOutcome.DELIVERED)]


def test_the_journal_holds_no_number(desk):
    desk.expect("a", 7)
    desk.journal.close()
    written = (desk.directory / "journal.jsonl").read_text()
    assert '"a"' in written
    assert "81200000001" not in written
    assert "00000001" not in written


def test_a_reference_that_comes_round_belongs_to_the_newer_message(desk):
    desk.expect("a", 7)
    desk.expect("b", 7)
    desk.report(7)
    desk.report(7)
    assert desk.outcomes() == [("b", ReportOutcome.DELIVERED)]


def test_the_same_reference_to_two_receivers_is_two_messages(desk):
    desk.expect("a", 7)
    desk.expect("b", 7, number=Number("6281200000002"))
    desk.report(7)
    desk.report(7, receiver="+6281200000002")
    assert desk.outcomes() == [("a", ReportOutcome.DELIVERED), ("b", ReportOutcome.DELIVERED)]


def test_silence_ends_after_the_set_time(desk):
    desk.expect("a", 7)
    desk.clock.advance(72 * 3600 - 1)
    desk.expect("b", 8)
    desk.clock.advance(61)
    desk.report(9)
    desk.report(7)
    assert desk.outcomes() == [("a", ReportOutcome.SILENCE)]


def test_a_short_code_is_matched_whole(desk):
    desk.expect("a", 7, number=Number("888", is_short_code=True))
    desk.report(7, receiver="888")
    assert desk.outcomes() == [("a", ReportOutcome.DELIVERED)]


def test_beyond_its_capacity_the_oldest_is_forgotten(clock):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        desk = Desk(Path(name) / "journal", clock, capacity=10)
        for reference in range(12):
            desk.expect(f"message {reference}", reference)
        desk.restart()
        for reference in range(12):
            desk.report(reference)
        assert [message_id for message_id, _ in desk.outcomes()] == [f"message {n}" for n in range(2, 12)]
        desk.journal.close()


def test_many_messages_rewrite_the_journal_and_stay_known(desk):
    for number in range(3000):
        desk.expect(f"message {number}", number % 256, number=Number(f"62812{number:08}"))
        if number % 3:
            desk.report(number % 256, receiver=f"+62812{number:08}")
    desk.restart()
    desk.report(0, receiver="+6281200000000")
    outcomes = desk.outcomes()
    assert len(outcomes) == 2001
    assert outcomes[-1] == ("message 0", ReportOutcome.DELIVERED)
