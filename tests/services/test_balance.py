"""Balances of simulated SIMs, asked for through a real pool; only the time is the test's."""

import json

import pytest

from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.gateway.journal import Journal
from otppi.gateway.reports import Reports, ReportSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.model.errors import UnknownModem, UssdFailed
from otppi.model.events import BalanceLow
from otppi.modems.pool import ModemPool
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits
from otppi.modems.settings import ModemSettings
from otppi.services.balance import Balances
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.store import SettingsStore
from otppi.sim.line import SimModems
from otppi.sim.personality import parse_personality
from tests.gateway_under_test import GatewayUnderTest

TABLE = r"""
ussd *888#  +CUSD: 1,"1 Promo\n2 Pulsa",15
ussd *888#>2  +CUSD: 1,"Sisa pulsa Rp4.500 aktif s/d 31/12/2099\n0 Back",15
ussd *123#  +CUSD: 0,"Pulsa 19350",15
ussd *555#  +CUSD: 2
"""


class Rig:
    def __init__(self, folder, clock):
        self.folder = folder
        self.clock = clock
        self.sim = SimModems(folder / "ports")
        self.line = self.sim.add("m0", parse_personality("sim", TABLE), imsi="510100000000001", keep_log=True)
        self.bus = Bus()
        self.low = []
        self.bus.subscribe("test", self.low.append, BalanceLow)
        self.store = SettingsStore(folder / "state", SECTIONS, None)
        watch_over(self.store)
        self.set(name="m0", port=str(self.line.path), balance_check="daily", balance_ussd="*888#>2")
        self.pool = ModemPool(
            bus=self.bus,
            limits=lambda: Limits(answer_s=5, silent_after_s=1, ussd_session_s=60),
            refused_pins=RefusedPins(folder / "pins.json"),
            messages=Inbox(folder / "inbox", InboxSettings, self.bus, SystemClock()),
            reports=Reports(ReportSettings, bytes(32), SystemClock(), Journal(None, SystemClock()), self.bus),
        )
        self.pool.apply(self.store.items(ModemSettings))
        GatewayUnderTest.wait_until(lambda: self.pool.snapshot()[0].is_ready)
        self.balances = self.made()

    def set(self, **values):
        self.store.put(ModemSettings, "m0", values)

    def made(self):
        return Balances(
            file=self.folder / "balances.json",
            store=self.store,
            ussd=self.pool,
            modems=self.pool.snapshot,
            bus=self.bus,
            clock=self.clock,
        )

    def asked(self):
        return b"".join(data for _, way, data in self.line.log if way == "in").count(b'AT+CUSD=1,"*')

    def stop(self):
        self.pool.stop()
        self.bus.stop()
        self.sim.stop()


@pytest.fixture
def rig(tmp_path, clock):
    (tmp_path / "state").mkdir()
    one = Rig(tmp_path, clock)
    yield one
    one.stop()


def test_a_sim_is_asked_once_a_day_also_over_a_restart(rig):
    rig.balances.ask_due()
    assert rig.asked() == 1
    (one,) = rig.balances.listed()
    assert (one["amount"], one["valid_until"]) == ("4500", "2099-12-31")
    restarted = rig.made()
    restarted.ask_due()
    assert rig.asked() == 1
    assert restarted.listed() == rig.balances.listed()
    for _ in range(3 * 24):
        rig.clock.advance(3600)
        restarted.ask_due()
    assert rig.asked() == 4


def test_the_menu_is_closed_behind_it_and_the_alarm_goes(rig):
    rig.balances.ask_due()
    assert rig.line.log[-2][2].startswith(b"AT+CUSD=2")
    GatewayUnderTest.wait_until(lambda: rig.low)
    assert (rig.low[0].amount, rig.low[0].reason) == ("4500", "less than 5000 is left")
    (check,) = rig.balances.checks()
    assert (check.level, check.name) == ("yellow", "balance of m0")


def test_a_failure_is_said_and_tried_again_an_hour_later(rig):
    rig.set(balance_ussd="*555#")
    rig.balances.ask_due()
    rig.balances.ask_due()
    assert rig.asked() == 1
    (check,) = rig.balances.checks()
    assert "ended the session" in check.finding
    rig.clock.advance(3601)
    rig.set(balance_ussd="*123#")
    rig.balances.ask_due()
    assert rig.balances.listed()[0]["amount"] == "19350"


def test_an_answer_without_a_balance_is_said_and_the_menu_closed(rig):
    rig.set(balance_ussd="")  # by the IMSI Telkomsel's: *888#, whose first screen is a menu here
    with pytest.raises(UssdFailed, match="no balance"):
        rig.balances.ask_now("m0")
    rig.set(balance_ussd="*123#")
    assert rig.balances.ask_now("m0")["amount"] == "19350"
    with pytest.raises(UnknownModem):
        rig.balances.ask_now("nobody")


def test_nobody_is_asked_who_is_not_to_be_or_while_the_clock_is_wrong(rig):
    rig.clock.trusted = False
    rig.balances.ask_due()
    rig.clock.trusted = True
    rig.set(balance_check="never")
    rig.balances.ask_due()
    assert rig.asked() == 0
    assert list(rig.balances.checks()) == []


def test_a_clock_that_was_set_back_does_not_keep_it_from_asking(rig):
    rig.balances.ask_due()
    rig.clock.wall -= 40 * 86_400
    rig.balances.ask_due()
    assert rig.asked() == 2


def test_what_the_operator_writes_by_sms_is_read_as_well(rig):
    assert rig.balances.take_text("m0", "Pulsa anda Rp 77.000 berlaku s/d 1 Jan 2098")
    assert not rig.balances.take_text("m0", "Your code is 123456")
    assert rig.balances.listed()[0]["amount"] == "77000"


def test_a_damaged_file_is_asked_for_anew(rig):
    for damage in ("{", "[]", '{"x": 1}', json.dumps({"x": {"amount": "a", "valid_until": None, "at": 1}})):
        (rig.folder / "balances.json").write_text(damage)
        assert "amount" not in rig.made().listed()[0]


def test_settings_that_cannot_be_read_are_refused(rig):
    from otppi.model.errors import SettingsError

    for wrong in ({"balance_ussd": "888"}, {"balance_pattern": "("}, {"balance_pattern": "Rp"}):
        with pytest.raises(SettingsError, match="balance_"):
            rig.set(**wrong)
