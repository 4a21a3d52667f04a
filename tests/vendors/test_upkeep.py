"""What a vendor is asked beside messages, and how long an account rests; only the time is the test's."""

import pytest

from otppi.gateway.journal import Journal
from otppi.gateway.reports import Reports, ReportSettings
from otppi.lib.bus import Bus
from otppi.model.events import BalanceLow, DeliveryReported, ModemStateChanged
from otppi.model.modems import ModemState
from otppi.model.number import Number
from otppi.vendors.account import Account
from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.standing import standing_of
from otppi.vendors.trouble import VendorTrouble
from otppi.vendors.upkeep import Upkeep
from otppi.work.standing import Hold
from tests.vendor_server import ACCOUNT, PASSWORD

NUMBER = Number("6281200000001")


class Rig:
    def __init__(self, vendor, clock):
        self.vendor, self.clock, self.heard = vendor, clock, []
        self.bus = Bus()
        self.bus.subscribe("test", self.heard.append, BalanceLow, DeliveryReported, ModemStateChanged)
        settings = VendorRouteSettings(
            name="cadangan", url=vendor.url, account=ACCOUNT, password=PASSWORD, balance_low=1000
        )
        self.account = Account(settings, clock)
        self.reports = Reports(
            lambda: ReportSettings(ask=True), bytes(32), clock, Journal(None, clock), self.bus
        )
        self.standing = standing_of("v1", lambda: "cadangan", self.bus, clock)
        self.upkeep = Upkeep(
            "v1", lambda: self.account, self.standing, bus=self.bus, reports=self.reports, clock=clock
        )

    def told(self):
        """All that the bus was told."""
        self.bus.stop()
        return self.heard

    def pass_by(self, seconds):
        """Let time pass, with all that comes due in it."""
        end_s = self.clock.boot + seconds
        while (due_s := self.upkeep.due_s) <= end_s - self.clock.boot:
            self.clock.advance(due_s)
            self.upkeep.work()
        self.clock.advance(end_s - self.clock.boot)


@pytest.fixture
def rig(vendor, clock):
    one = Rig(vendor(), clock)
    yield one
    one.bus.stop()


def test_reports_come_as_they_do_for_a_sim(rig):
    rig.upkeep.expect(1, NUMBER, "first")
    rig.upkeep.expect(2, Number("6281200000002"), "second")
    rig.upkeep.expect(3, NUMBER, "third")
    rig.pass_by(25)
    assert not rig.heard
    rig.vendor.reports = {1: 0, 2: 1}
    rig.pass_by(40)
    reported = {one.message_id: (one.outcome.value, one.modem_id) for one in rig.told()}
    assert reported == {"first": ("delivered", "v1"), "second": ("not delivered", "v1")}


def test_reports_are_asked_for_less_and_less_often_and_after_an_hour_no_more(rig):
    rig.upkeep.work()
    rig.upkeep.expect(1, NUMBER, "first")
    rig.pass_by(3 * 3600)
    assert 8 < rig.vendor.asked["getreport"] < 16
    assert rig.upkeep.due_s > 3600


def test_so_many_are_asked_for_at_once_as_the_vendor_allows(rig):
    rig.upkeep.work()
    for message_id in range(1, 451):
        rig.upkeep.expect(message_id, NUMBER, f"m{message_id}")
    rig.pass_by(12)
    asked = [len(one.rpartition("ids=")[2].split(",")) for one in rig.vendor.targets if "getreport" in one]
    assert asked == [200, 200, 50]


def test_the_balance_is_asked_now_and_then_and_an_alarm_goes(rig):
    rig.vendor.balance = "999.5"
    rig.pass_by(0)
    assert (float(rig.upkeep.credit.amount), rig.upkeep.credit.warning) == (999.5, "less than 1000 is left")
    rig.pass_by(24 * 3600)
    assert rig.vendor.asked["getbalance"] == 5
    low = rig.told()[0]
    assert (low.modem_name, low.amount, low.is_vendor) == ("cadangan", "999.5", True)


def test_an_account_that_is_refused_is_known_before_a_message_is(rig):
    rig.vendor.balance_status = -1
    rig.upkeep.work()
    assert rig.standing.now == (ModemState.FAILED, "the vendor refuses the account or its password")
    assert rig.standing.rest_s == pytest.approx(900)


@pytest.mark.parametrize("status", [-99, "404", "502"])
def test_a_vendor_that_tells_no_balance_may_send_all_the_same(rig, status):
    rig.vendor.balance_status = status
    rig.upkeep.work()
    assert not rig.standing.rest_s
    assert 0 < rig.upkeep.due_s <= 900


def test_moments_of_rest_grow_and_a_message_that_goes_well_makes_them_short_again(rig):
    rests = []
    for _ in range(8):
        rig.standing.hold(VendorTrouble("x", Hold.MOMENT))
        rig.standing.hold(VendorTrouble("y", Hold.MOMENT))  # another of the same moment
        rests.append(rig.standing.rest_s)
        rig.clock.advance(rests[-1])
    assert 1 < rests[0] < 3
    assert rests[-1] > 40
    assert all(rest_s <= 72 for rest_s in rests)
    rig.standing.went_well()
    rig.standing.hold(VendorTrouble("x", Hold.MOMENT))
    assert rig.standing.rest_s < 3


def test_a_long_rest_is_not_made_short_by_a_lesser_trouble_and_is_told_once(rig):
    rig.standing.begin()
    rig.standing.hold(VendorTrouble("no credit is left", Hold.WHILE))
    rig.standing.hold(VendorTrouble("the connection broke", Hold.MOMENT))
    rig.standing.hold(VendorTrouble("of one message", Hold.NO))
    rig.standing.begin()
    assert rig.standing.now == (ModemState.RESTING, "no credit is left")
    assert rig.standing.rest_s == pytest.approx(300)
    rig.standing.hold(VendorTrouble("the key is off", Hold.PERSON))
    rig.standing.end_rest()
    rig.standing.begin()
    assert [(one.state.value, one.reason) for one in rig.told()] == [
        ("ready", ""),
        ("resting", "no credit is left"),
        ("failed", "the key is off"),
        ("ready", ""),
    ]
