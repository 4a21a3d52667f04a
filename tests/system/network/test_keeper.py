import threading
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from otppi.lib.bus import Bus
from otppi.model.checks import Level
from otppi.model.errors import HostRefused, HostUnreachable
from otppi.model.events import NetworkOnTrial
from otppi.model.network import NetworkPlan
from otppi.sim.host import SimNetwork
from otppi.system.network.keeper import NetworkKeeper
from tests.system.network.nm_rig import DriverProcess, NetworkManagerRig, wait_for
from tests.system.network.test_profiles import ACCESS_POINT, STATIC

PLAN = NetworkPlan(hostname="otppi", access_point=ACCESS_POINT, ethernet=STATIC)
MOVED = replace(PLAN, hostname="moved", ethernet=replace(STATIC, address=IPv4Interface("198.51.100.5/24")))
NEW, OLD = "198.51.100.5", "192.0.2.10"


class Network(SimNetwork):
    """A simulated network with faults."""

    def __init__(self, clock):
        super().__init__(clock, lambda _: None)
        self.refusals = {}  # address of Ethernet, or all, to the error
        self.applied = []
        self.forgets_trials = False

    def apply(self, plan):
        self.applied.append(plan)
        for key in ("all", str(plan.ethernet.address)):
            if key in self.refusals:
                raise self.refusals[key]
        super().apply(plan)

    def keep(self, trial):
        if self.forgets_trials:
            raise HostRefused("InvalidArguments", "there is no such trial")
        super().keep(trial)

    def take_back(self, trial):
        if self.forgets_trials:
            raise HostRefused("InvalidArguments", "there is no such trial")
        super().take_back(trial)


@pytest.fixture
def network(clock):
    return Network(clock)


@pytest.fixture
def news():
    heard = []
    bus = Bus()
    bus.subscribe("test", heard.append, NetworkOnTrial)
    yield bus, heard
    bus.stop()


@pytest.fixture
def keeper(network, clock, news):
    made = NetworkKeeper(network, news[0], clock, tick_s=0.01)
    yield made
    made.stop()


@pytest.fixture
def running(keeper, network):
    keeper.start(PLAN)
    wait_for(lambda: network.applied == [PLAN])
    return keeper


def wire(network):
    return str(network.state().of("eth0").addresses[0].ip)


def states(news):
    return [event.state for event in news[1]]


def made_change(keeper, network, clock, on_taken_back=lambda _: None):
    trial = keeper.change(MOVED, PLAN, 90, on_taken_back)
    clock.advance(1.0)
    wait_for(lambda: wire(network) == NEW)
    return trial


def test_at_the_start_the_network_is_made_as_planned(running, network):
    wait_for(lambda: wire(network) == OLD)
    assert running.trouble == ""


def test_a_network_service_that_is_away_is_tried_again(keeper, network, clock):
    network.refusals["all"] = HostUnreachable("away")
    keeper.start(PLAN)
    wait_for(lambda: keeper.trouble == "away")
    del network.refusals["all"]
    wait_for(lambda: advanced(clock) and keeper.trouble == "")
    assert wire(network) == OLD


def test_a_network_that_changed_by_itself_is_made_as_planned_again(running, network, clock):
    network.apply(MOVED)
    wait_for(lambda: advanced(clock, 10.0) and wire(network) == OLD)


def test_an_error_of_the_program_does_not_end_the_thread(keeper, network, clock):
    network.refusals["all"] = ValueError("unexpected")
    keeper.start(PLAN)
    wait_for(lambda: len(network.applied) == 1)
    del network.refusals["all"]
    wait_for(lambda: advanced(clock) and network.state().of("eth0") is not None)


def test_the_answer_has_a_head_start_before_the_network_goes_away(running, network, clock):
    trial = running.change(MOVED, PLAN, 90, lambda _: None)
    assert wire(network) == OLD
    assert trial.address == NEW
    assert trial.deadline_s == clock.boot_s() + 90
    assert running.trial is trial
    clock.advance(1.0)
    wait_for(lambda: wire(network) == NEW)


def test_a_token_cannot_be_guessed_and_is_not_shown(running):
    trial = running.change(MOVED, PLAN, 90, lambda _: None)
    assert len(bytes.fromhex(trial.token)) == 16
    assert trial.token not in repr(trial)


def test_a_confirmed_change_lasts(running, network, clock, news):
    trial = made_change(running, network, clock)
    running.confirm(trial.token, NEW)
    assert running.trial is None
    clock.advance(1000.0)
    wait_for(lambda: network.applied.count(MOVED) > 1)
    assert wire(network) == NEW
    wait_for(lambda: states(news) == ["trying", "confirmed"])


def test_an_unconfirmed_change_goes_back_with_host_name_and_settings(running, network, clock, news):
    settings = []
    made_change(running, network, clock, lambda _: settings.append("back"))
    assert network.state().hostname == "moved"
    clock.advance(90.0)
    wait_for(lambda: wire(network) == OLD and network.state().hostname == "otppi")
    wait_for(lambda: states(news) == ["trying", "taken back"])
    assert settings == ["back"]
    assert running.trial is None


def test_settings_that_do_not_go_back_do_not_hold_up_the_network(running, network, clock):
    def fails():
        raise OSError("disk")

    made_change(running, network, clock, fails)
    clock.advance(90.0)
    wait_for(lambda: wire(network) == OLD)


def test_a_change_that_fails_is_taken_back_at_once(running, network, clock, news):
    settings = []
    network.refusals["198.51.100.5/24"] = HostRefused("NotActivated", "eth0 did not come up")
    running.change(MOVED, PLAN, 90, lambda _: settings.append("back"))
    clock.advance(1.0)
    wait_for(lambda: states(news) == ["trying", "taken back"])
    assert "eth0 did not come up" in news[1][-1].reason
    wait_for(lambda: network.applied[-1] == PLAN)
    assert wire(network) == OLD
    assert settings == ["back"]


@pytest.mark.parametrize(
    ("token", "arrived_at", "refusal"),
    [
        (None, OLD, "OldAddress"),
        ("0" * 32, NEW, "WrongToken"),
        ("ü", NEW, "WrongToken"),
        ("", NEW, "WrongToken"),
    ],
)
def test_a_confirmation_that_proves_nothing_is_refused_and_the_trial_goes_on(
    running, network, clock, token, arrived_at, refusal
):
    trial = made_change(running, network, clock)
    with pytest.raises(HostRefused, match=refusal):
        running.confirm(trial.token if token is None else token, arrived_at)
    assert running.trial is trial
    running.confirm(trial.token, NEW)


def test_a_change_that_has_not_begun_cannot_be_confirmed(running):
    trial = running.change(MOVED, PLAN, 90, lambda _: None)
    with pytest.raises(HostRefused, match="NotYet"):
        running.confirm(trial.token, NEW)


def test_without_a_trial_nothing_can_be_confirmed(running):
    with pytest.raises(HostRefused, match="NoTrial"):
        running.confirm("0" * 32, NEW)


def test_a_second_change_waits_for_the_end_of_the_first(running, network, clock):
    trial = made_change(running, network, clock)
    with pytest.raises(HostRefused, match="TrialPending"):
        running.change(PLAN, MOVED, 90, lambda _: None)
    running.confirm(trial.token, NEW)
    running.change(PLAN, MOVED, 90, lambda _: None)


def test_a_trial_that_the_system_forgot_is_made_good(running, network, clock, news):
    settings = []
    trial = made_change(running, network, clock, lambda _: settings.append("back"))
    network.forgets_trials = True
    with pytest.raises(HostRefused):
        running.confirm(trial.token, NEW)
    wait_for(lambda: wire(network) == OLD)
    assert settings == ["back"]
    wait_for(lambda: states(news) == ["trying", "taken back"])


def test_a_change_without_a_way_back_is_not_begun(running, network, clock):
    network.begin_trial(1000)
    with pytest.raises(HostRefused):
        running.change(MOVED, PLAN, 90, lambda _: None)
    assert running.trial is None


def test_a_change_beside_the_device_needs_no_confirmation_and_ends_a_trial(running, network, clock, news):
    settings = []
    made_change(running, network, clock, lambda _: settings.append("back"))
    factory = replace(PLAN, ethernet=replace(STATIC, address=IPv4Interface("203.0.113.9/24")))
    running.change_now(factory)
    assert wire(network) == "203.0.113.9"
    clock.advance(1000.0)
    wait_for(lambda: network.applied.count(factory) > 1)
    assert wire(network) == "203.0.113.9"
    assert settings == []
    wait_for(lambda: states(news) == ["trying", "taken back"])


def test_a_change_beside_the_device_that_fails_is_told_and_tried_again(running, network, clock):
    network.refusals["198.51.100.5/24"] = HostUnreachable("away")
    with pytest.raises(HostUnreachable):
        running.change_now(MOVED)
    network.refusals.clear()
    wait_for(lambda: advanced(clock) and wire(network) == NEW)


def test_the_settings_may_ask_the_keeper_while_they_go_back(running, network, clock):
    asked = threading.Event()

    def goes_back(_):
        with pytest.raises(HostRefused, match="NoTrial"):
            running.confirm("0" * 32, NEW)
        asked.set()

    made_change(running, network, clock, goes_back)
    clock.advance(90.0)
    assert asked.wait(5)


def test_a_service_that_stops_takes_an_unconfirmed_change_back(keeper, network, clock):
    settings = []
    keeper.start(PLAN)
    made_change(keeper, network, clock, lambda _: settings.append("back"))
    keeper.stop()
    assert wire(network) == OLD
    assert settings == ["back"]


def test_a_keeper_that_does_not_run_says_so(keeper):
    with pytest.raises(HostUnreachable):
        keeper.change_now(PLAN)


def test_a_network_as_planned_is_green(running, network):
    wait_for(lambda: network.state().of("wlan0") is not None)
    found = {check.name: check for check in running.checks(PLAN)}
    assert {name: check.level for name, check in found.items()} == {
        "network service": Level.GREEN,
        "access point": Level.GREEN,
        "Ethernet": Level.GREEN,
    }


def test_a_pending_change_is_named(running, network, clock):
    made_change(running, network, clock)
    found = {check.name: check for check in running.checks(MOVED)}
    assert "89 s left" in found["network change"].finding


def test_a_network_service_that_is_away_is_red(keeper, network, monkeypatch):
    def away():
        raise HostUnreachable("away")

    monkeypatch.setattr(network, "state", away)
    (check,) = keeper.checks(PLAN)
    assert (check.name, check.level, check.finding) == ("network service", Level.RED, "away")


def test_a_real_networkmanager_is_kept_and_taken_back(tmp_path, clock, news):
    rig = NetworkManagerRig(tmp_path)
    driver = DriverProcess(rig.bus.address)
    try:
        wired, moved = replace(PLAN, access_point=None), replace(MOVED, access_point=None)
        keeper = NetworkKeeper(driver, news[0], clock, tick_s=0.05)
        keeper.start(wired)
        wait_for(lambda: wire_of(rig) == "192.0.2.10/24")

        trial = keeper.change(moved, wired, 90, lambda _: None)
        clock.advance(1.0)
        wait_for(lambda: wire_of(rig) == "198.51.100.5/24")
        clock.advance(90.0)
        wait_for(lambda: wire_of(rig) == "192.0.2.10/24" and rig.device("hostname").strip() == "otppi")

        trial = keeper.change(moved, wired, 90, lambda _: None)
        clock.advance(1.0)
        wait_for(lambda: wire_of(rig) == "198.51.100.5/24")
        wait_for(lambda: confirmed(keeper, trial))

        rig.kill_networkmanager()
        rig.device("ip", "address", "flush", "dev", "eth0")
        wait_for(lambda: advanced(clock, 10.0) and keeper.trouble != "")
        rig.start_networkmanager()
        wait_for(lambda: advanced(clock) and keeper.trouble == "" and wire_of(rig) == "198.51.100.5/24")
        keeper.stop()
    finally:
        driver.stop()
        rig.stop()


def wire_of(rig):
    words = rig.device("ip", "-4", "-o", "address", "show", "dev", "eth0").split()
    return words[3] if words else ""


def confirmed(keeper, trial):
    keeper.confirm(trial.token, NEW)
    return True


def advanced(clock, seconds=1.0):
    clock.advance(seconds)
    return True
