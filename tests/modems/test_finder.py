"""Modems that are found by themselves: simulated ones on pseudo-terminals, in sticks that the test plugs in."""

import pytest

from otppi.lib.bus import Bus
from otppi.model.events import ModemLearned
from otppi.model.modems import Registration
from otppi.model.ports import SerialPort, Stick
from otppi.modems.finder import ModemFinder
from otppi.modems.pool import ModemPool
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits
from otppi.modems.settings import ModemSettings
from otppi.modems.whereabouts import Whereabouts
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from tests.gateway_under_test import GatewayUnderTest

A, B, C = "490154203237518", "356938035643809", "352099001761481"
wait_until = GatewayUnderTest.wait_until


class NoPost:
    """Where texts and reports would go; nobody sends any here."""

    wanted = False

    def keep(self, parts):
        raise AssertionError("no text was sent")

    def expect(self, awaited):
        raise AssertionError("no message was sent")

    def report(self, received):
        raise AssertionError("no message was sent")


class Board:
    """Modems, what is plugged in where, and a pool and a finder on them."""

    def __init__(self, folder):
        self.sim = SimModems(folder / "ports")
        self.plugged = {}
        self.settings = {}
        self.learned = []
        self.new = []
        self.bus = Bus()
        self.bus.subscribe("learned", self.learned.append, ModemLearned)
        whereabouts = Whereabouts()
        self.pool = ModemPool(
            bus=self.bus,
            limits=lambda: Limits(answer_s=5, silent_after_s=1, ussd_session_s=5),
            refused_pins=RefusedPins(folder / "refused"),
            messages=NoPost(),
            reports=NoPost(),
            whereabouts=whereabouts,
        )
        self.finder = ModemFinder(
            sticks=self.sticks,
            settings=lambda: self.settings,
            identities=lambda: {one.id: one.identity for one in self.pool.snapshot()},
            whereabouts=whereabouts,
            wake=self.pool.look_again,
            interval_s=lambda: 0,
            on_new=self.new.append,
        )

    def plug(self, place, imei, **options):
        """Plug a modem in; the port gets the name of its place."""
        self.plugged[place] = self.sim.add(place, imei=imei, keep_log=True, **options)
        return self.plugged[place]

    def pull(self, place):
        self.plugged.pop(place).unplug()

    def sticks(self):
        return [
            Stick(place=place, ports=(SerialPort(node=str(line.path), driver="option"),))
            for place, line in self.plugged.items()
        ]

    def configure(self, **modems):
        self.settings = {
            name: ModemSettings(name=name, port=str(self.sim._directory / place), imei=imei)
            for name, (place, imei) in modems.items()
        }
        self.pool.apply(self.settings)

    def status(self, name):
        return next(one for one in self.pool.snapshot() if one.name == name)

    def until(self, name, state):
        wait_until(lambda: self.status(name).state.value == state)

    def told_imei(self, name):
        return self.status(name).identity.imei

    def stop(self):
        self.pool.stop()
        self.bus.stop()
        self.sim.stop()
        self.finder.stop()


@pytest.fixture
def board(tmp_path):
    one = Board(tmp_path)
    yield one
    one.stop()


def test_a_modem_at_another_node_is_found_and_opened(board):
    board.plug("one", A)
    board.configure(a=("one", A))
    board.until("a", "ready")
    board.pull("one")
    board.until("a", "absent")
    moved = board.plug("two", A)
    board.finder.look()
    board.until("a", "ready")
    assert moved.at_commands > 0
    assert board.new == []


def test_two_modems_that_were_swapped_are_who_they_were(board):
    board.plug("one", B)
    board.plug("two", A)
    board.configure(a=("one", A), b=("two", B))
    for name in "ab":
        board.until(name, "absent")
    wait_until(lambda: all("another modem" in board.status(name).reason for name in "ab"))
    board.finder.look()
    for name, imei in (("a", A), ("b", B)):
        board.until(name, "ready")
        assert board.told_imei(name) == imei
    assert board.finder.findings.problems == ()


def test_an_unknown_modem_is_new_and_told_of(board):
    board.plug("one", A)
    board.plug("two", C)
    board.configure(a=("one", A))
    board.until("a", "ready")
    board.finder.look()
    assert [one.identity.imei for one in board.finder.findings.new] == [C]
    assert [one.identity.imei for one in board.new] == [C]
    assert board.finder.findings.owners == {"one": "a"}


def test_what_a_modem_of_ours_has_open_is_not_asked_again(board):
    line = board.plug("one", A)
    board.configure(a=("one", A))
    board.until("a", "ready")
    before = line.at_commands
    board.finder.look()
    assert line.at_commands == before
    assert board.status("a").is_ready


def test_clones_are_a_conflict(board):
    board.plug("one", A)
    board.plug("two", A)
    board.configure(a=("one", A), b=("two", A))
    board.until("a", "ready")
    board.until("b", "ready")
    board.finder.look()
    (problem,) = board.finder.findings.problems
    assert "not unique" in problem
    assert board.status("a").is_ready
    assert board.status("b").is_ready


def test_another_modem_at_the_port_is_not_used_nor_is_its_sim_touched(board):
    stranger = board.plug("one", B, pin="1234")
    board.configure(a=("one", A))
    board.until("a", "absent")
    wait_until(lambda: "another modem" in board.status("a").reason)
    board.finder.look()
    (problem,) = board.finder.findings.problems
    assert "another modem" in problem
    wait_until(lambda: "not plugged in" in board.status("a").reason)
    said = b"".join(data for _, direction, data in stranger.log if direction == "in")
    assert b"AT+CGSN" in said
    assert b"CPIN" not in said
    assert b"CMGS" not in said


def test_a_port_that_is_kept_for_internet_is_not_asked(board):
    line = board.plug("one", A)
    board.settings = {"net": ModemSettings(name="net", port=str(line.path), internet_access=True)}
    board.pool.apply(board.settings)
    board.finder.look()
    assert line.bytes_in == 0
    assert board.finder.findings.present == ()


def test_the_imei_of_old_settings_is_learned(board):
    board.plug("one", A)
    board.configure(a=("one", ""))
    board.until("a", "ready")
    wait_until(lambda: board.learned)
    assert board.learned[0] == ModemLearned(modem_id="a", imei=A)


def test_a_modem_without_network_gets_no_message_until_it_is_registered(board):
    line = board.plug("one", A, faults=Faults(no_network=True))
    board.configure(a=("one", A))
    board.until("a", "searching")
    status = board.status("a")
    assert (status.is_ready, status.registration) == (False, Registration.SEARCHING)
    line.set_faults(Faults())
    board.until("a", "ready")
    assert board.status("a").registration is Registration.HOME
