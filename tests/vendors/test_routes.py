"""Accounts at work: they take messages from the queue that modems share, and rest where a vendor wants that."""

import threading

import pytest

from otppi.contracts.sms import OutgoingSms
from otppi.gateway.journal import Journal
from otppi.gateway.reports import Reports, ReportSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.model.errors import OutcomeUnknown, QuotaUsedUp, SendFailed
from otppi.model.events import DeliveryReported, MessageFinished, MessageTaken
from otppi.model.modems import ModemState
from otppi.model.number import Number
from otppi.model.requests import Origin
from otppi.model.sms_text import code_text
from otppi.vendors.routes import VendorRoutes
from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.trouble import VendorTrouble
from otppi.work.queue import SmsJob, WorkQueue
from tests.gateway_under_test import GatewayUnderTest
from tests.vendor_server import ACCOUNT, PASSWORD, Fault


class Rig:
    def __init__(self, vendor, clock=None, *, asks_reports=False):
        self.vendor = vendor
        self.settings = VendorRouteSettings(
            name="cadangan", url=vendor.url, account=ACCOUNT, password=PASSWORD, in_flight=3, timeout_s=10
        )
        clock = clock or SystemClock()
        self.bus, self.queue, self.heard = Bus(), WorkQueue(), []
        self.bus.subscribe("test", self.heard.append, MessageTaken, MessageFinished, DeliveryReported)
        self.reports = Reports(
            lambda: ReportSettings(ask=asks_reports), bytes(32), clock, Journal(None, clock), self.bus
        )
        self.routes = VendorRoutes(queue=self.queue, bus=self.bus, reports=self.reports, clock=clock)

    def apply(self, **changes):
        values = {name: getattr(self.settings, name) for name in self.settings.declared} | changes
        self.settings = VendorRouteSettings(**values)
        self.routes.apply({"v1": self.settings})

    def begin(self, text="halo", **changes):
        """Hand a message over; the job is done when its `done` is set."""
        done = threading.Event()
        sms = OutgoingSms(
            number=Number("6281200000001"),
            text=code_text(text),
            origin=Origin(door="rest", user="shop"),
            **changes,
        )
        job = SmsJob(self.queue, sms, ["v1"], lambda _: done.set())
        job.done = done
        self.queue.put(job)
        return job

    def send(self, text="halo", **changes):
        job = self.begin(text, **changes)
        assert job.done.wait(20)
        return job.result()

    def state(self):
        (one,) = self.routes.snapshot()
        return one.state, one.reason

    def is_ready(self):
        GatewayUnderTest.wait_until(lambda: self.state()[0] is ModemState.READY)


@pytest.fixture
def made(vendor):
    running = []

    def make(*args, **options):
        running.append(Rig(vendor(), *args, **options))
        running[-1].apply()
        running[-1].is_ready()
        return running[-1]

    yield make
    for one in running:
        one.routes.stop()
        one.bus.stop()


@pytest.fixture
def rig(made):
    return made()


def test_a_message_is_sent_and_told_of_like_one_of_a_modem(rig):
    order = []
    receipt = rig.send(
        before_taking=lambda route_id: order.append(route_id),
        before_submit=lambda: order.append(len(rig.vendor.messages)),
    )
    assert (receipt.modem_id, receipt.modem_name, receipt.references) == ("v1", "cadangan", (1_620_443,))
    assert order == ["v1", 0]
    GatewayUnderTest.wait_until(lambda: len(rig.heard) == 2)
    taken, finished = rig.heard
    assert taken.message_id == finished.message_id == receipt.message_id
    assert (finished.outcome.value, finished.masked_number) == ("sent", "62812••••••01")


def test_what_may_not_be_taken_does_not_leave(rig):
    def refuse(_):
        raise QuotaUsedUp(60)

    with pytest.raises(QuotaUsedUp):
        rig.send(before_taking=refuse)
    assert not rig.vendor.messages


def test_so_many_wait_for_the_vendor_at_once_as_are_allowed_and_no_more(rig):
    rig.vendor.answers_after.clear()
    jobs = [rig.begin(str(number)) for number in range(8)]
    GatewayUnderTest.wait_until(lambda: rig.vendor.asked["sendsms"] == 3)
    assert rig.state()[0] is ModemState.BUSY
    assert rig.queue.waiting_for("v1") == 5
    assert jobs[7].withdraw()
    rig.vendor.answers_after.set()
    assert all(job.done.wait(20) for job in jobs[:7])
    assert sorted(text for _, text in rig.vendor.messages) == [str(number) for number in range(7)]
    assert rig.vendor.most_at_once == 3


def test_a_vendor_that_wants_to_be_asked_again_is_asked_again(rig):
    rig.vendor.script.extend([-15, "429"])
    assert rig.send().parts == 1
    assert len(rig.vendor.messages) == 1
    assert rig.state() == (ModemState.READY, "")


@pytest.mark.parametrize(
    ("script", "error", "state"),
    [
        (-9, SendFailed, ModemState.READY),
        (-10, SendFailed, ModemState.RESTING),
        (-1, SendFailed, ModemState.FAILED),
        (Fault.CUT, OutcomeUnknown, ModemState.RESTING),
        (Fault.RESET, OutcomeUnknown, ModemState.RESTING),
    ],
    ids=str,
)
def test_whoever_hears_of_an_outcome_finds_the_account_so(rig, script, error, state):
    rig.vendor.script.append(script)
    job = rig.begin()
    assert job.done.wait(20)
    assert rig.state()[0] is state
    with pytest.raises(error) as refused:
        job.result()
    if state is not ModemState.READY:
        assert rig.state()[1] == str(refused.value)
        with pytest.raises(SendFailed):
            rig.send()
        assert rig.vendor.asked["sendsms"] == 1
    outcome = {SendFailed: "failed", OutcomeUnknown: "unknown"}[error]
    GatewayUnderTest.wait_until(lambda: len(rig.heard) == 2)
    assert rig.heard[1].outcome.value == outcome


def test_messages_that_wait_for_an_account_that_rests_can_go_elsewhere(rig):
    rig.vendor.answers_after.clear()
    rig.vendor.script.extend([-10, -10, -10])
    jobs = [rig.begin(str(number)) for number in range(6)]
    GatewayUnderTest.wait_until(lambda: rig.vendor.asked["sendsms"] == 3)
    rig.vendor.answers_after.set()
    for job in jobs:
        assert job.done.wait(20)
        with pytest.raises(SendFailed):
            job.result()
    assert rig.vendor.asked["sendsms"] == 3


def test_a_vendor_that_is_gone_is_tried_again_by_itself(rig):
    GatewayUnderTest.wait_until(rig.routes.credits)  # or that question finds out first
    rig.vendor.stop()
    with pytest.raises(SendFailed, match="nothing listens"):
        rig.send()
    assert rig.state()[0] is ModemState.RESTING
    rig.vendor.start()
    rig.is_ready()
    assert rig.send().parts == 1


def test_other_settings_end_the_rest(rig):
    rig.vendor.script.append(-1)
    with pytest.raises(SendFailed):
        rig.send()
    rig.apply(balance_low=7)
    rig.is_ready()
    assert rig.send().parts == 1


def test_a_refusal_of_the_settings_before_does_not_count_against_the_new_ones(rig):
    rig.vendor.answers_after.clear()
    rig.vendor.script.append(-1)
    job = rig.begin()
    GatewayUnderTest.wait_until(lambda: rig.vendor.asked["sendsms"] == 1)
    rig.apply(balance_low=7)
    rig.vendor.answers_after.set()
    assert job.done.wait(20)
    with pytest.raises(SendFailed):
        job.result()
    assert rig.send().parts == 1


def test_a_test_that_goes_well_ends_the_rest_and_one_that_finds_no_credit_does_not(rig):
    rig.vendor.script.append(-10)
    with pytest.raises(SendFailed):
        rig.send()
    rig.vendor.balance = "0.000"
    assert rig.routes.ask_balance("v1", rig.settings).amount == 0
    assert rig.state() == (ModemState.RESTING, "no credit is left at the vendor")
    rig.vendor.balance_status = -2
    with pytest.raises(VendorTrouble, match="address of this device"):
        rig.routes.ask_balance("v1", rig.settings)
    rig.vendor.balance, rig.vendor.balance_status = "50000", 0
    rig.routes.ask_balance("v1", rig.settings)
    rig.is_ready()
    assert rig.send().parts == 1


def test_an_account_that_is_not_active_sends_nothing_and_can_be_tested(rig):
    rig.apply(active=False)
    assert rig.state() == (ModemState.ABSENT, "not active")
    with pytest.raises(SendFailed):
        rig.send()
    assert rig.routes.ask_balance("v1", rig.settings).amount == 499740


def test_what_is_in_hand_is_finished_before_the_end(rig):
    rig.vendor.answers_after.clear()
    job = rig.begin()
    GatewayUnderTest.wait_until(lambda: rig.vendor.asked["sendsms"] == 1)
    end = threading.Thread(target=rig.routes.stop)
    end.start()
    rig.vendor.answers_after.set()
    end.join()
    assert job.done.is_set()
    assert job.result().parts == 1
    assert not [one.name for one in threading.enumerate() if one.name.startswith("vendor:")]


@pytest.mark.parametrize("asks", [True, False])
def test_reports_are_asked_for_where_the_settings_want_them(made, clock, asks):
    one = made(clock, asks_reports=asks)
    receipt = one.send()
    one.vendor.reports = {receipt.references[0]: 0}
    clock.advance(11)
    one.apply(balance_low=7)  # which wakes it
    GatewayUnderTest.wait_until(lambda: one.vendor.asked["getbalance"] == 2)
    if asks:
        GatewayUnderTest.wait_until(lambda: len(one.heard) == 3)
        assert (one.heard[2].message_id, one.heard[2].outcome) == (receipt.message_id, "delivered")
    else:
        assert one.vendor.asked["getreport"] == 0
