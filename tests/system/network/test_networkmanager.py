"""Against a real NetworkManager in namespaces of its own; see `nm_rig`."""

import gc
import os
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from otppi.model.errors import HostRefused, HostUnreachable
from otppi.model.network import NetworkPlan
from tests import needs
from tests.system.network.nm_rig import DriverProcess, NetworkManagerRig, wait_for
from tests.system.network.test_profiles import ACCESS_POINT, BY_DHCP, STATIC
from tests.system.private_bus import PrivateBus

PLAN = NetworkPlan(hostname="otppi", access_point=None, ethernet=STATIC)
OTHER = replace(PLAN, ethernet=replace(STATIC, address=IPv4Interface("192.0.2.20/24")))


@pytest.fixture(autouse=True)
def root():
    needs.root()


@pytest.fixture
def rig(tmp_path):
    made = NetworkManagerRig(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def network(rig):
    driver = DriverProcess(rig.bus.address, activation_limit_s=8.0)
    wait_for(lambda: driver.state().of("eth0") is not None)
    yield driver
    driver.stop()


def addresses(network):
    return [str(address) for address in network.state().of("eth0").addresses]


def on_the_wire(rig):
    """Ask the kernel, not NetworkManager."""
    lines = rig.device("ip", "-4", "-o", "address", "show", "dev", "eth0").splitlines()
    return [line.split()[3] for line in lines]


def test_a_static_wire_is_made_and_read_back(rig, network):
    network.apply(PLAN)
    state = network.state()
    wire = state.of("eth0")
    assert state.hostname == "otppi"
    assert (wire.state, wire.profile, wire.by_dhcp) == ("activated", "otppi-ethernet", False)
    assert wire.addresses == (STATIC.address,)
    assert (wire.gateway, wire.name_servers) == (STATIC.gateway, ("192.0.2.53",))
    assert wire.has_carrier is True
    assert on_the_wire(rig) == ["192.0.2.10/24"]
    assert "default via 192.0.2.1 dev eth0 proto static metric 100" in rig.device("ip", "route")
    assert state.of("lo") is None


def test_what_did_not_change_is_not_activated_anew(rig, network):
    network.apply(PLAN)
    which = ("-g", "GENERAL.CON-PATH", "device", "show", "eth0")
    before = rig.nmcli(*which)
    network.apply(replace(PLAN, hostname="renamed"))
    assert rig.nmcli(*which) == before
    assert network.state().hostname == "renamed"
    network.apply(OTHER)
    assert rig.nmcli(*which) != before


def test_an_address_of_a_real_dhcp_server(rig, network):
    needs.programs("dnsmasq")
    rig.peers("ip", "address", "add", "192.0.2.1/24", "dev", "eth0p")
    rig.start_peer(
        needs.program("dnsmasq"),
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=eth0p",
        "--dhcp-range=192.0.2.100,192.0.2.110",
        "--dhcp-option=option:dns-server,192.0.2.2",
        "--leasefile-ro",
        "--no-ping",
        "--pid-file=",
    )
    network.apply(replace(PLAN, ethernet=BY_DHCP))
    wire = network.state().of("eth0")
    assert wire.by_dhcp
    assert wire.addresses[0].ip in range_of("192.0.2.96/28")
    assert str(wire.gateway) == "192.0.2.1"
    # The owner's own come first.
    assert wire.name_servers == ("192.0.2.53", "192.0.2.2")


def range_of(text):
    return IPv4Interface(text).network


def test_without_a_dhcp_server_it_is_said_so_and_the_next_time_not_waited_for(rig, network):
    plan = replace(PLAN, ethernet=BY_DHCP)
    impatient = DriverProcess(rig.bus.address, activation_limit_s=1.5)
    with pytest.raises(HostRefused, match=r"eth0 did not come up within 1\.5 s"):
        impatient.apply(plan)
    impatient.apply(plan)
    impatient.stop()


def test_a_wire_without_a_cable_gets_its_profile_and_comes_up_when_plugged_in(rig, network):
    rig.peers("ip", "link", "set", "eth0p", "down")
    wait_for(lambda: network.state().of("eth0").has_carrier is False)
    network.apply(PLAN)
    assert network.state().of("eth0").state == "unavailable"
    rig.peers("ip", "link", "set", "eth0p", "up")
    wait_for(lambda: addresses(network) == ["192.0.2.10/24"])


def test_an_interface_that_is_not_there_is_refused(network):
    with pytest.raises(HostRefused, match="eth7 is not there"):
        network.apply(replace(PLAN, ethernet=replace(STATIC, interface="eth7")))


def test_a_trial_that_is_kept_lasts(rig, network):
    network.apply(PLAN)
    trial = network.begin_trial(2)
    network.apply(OTHER)
    network.keep(trial)
    with pytest.raises(HostRefused):
        network.take_back(trial)
    assert on_the_wire(rig) == ["192.0.2.20/24"]


def test_a_trial_that_is_taken_back_leaves_no_trace(rig, network):
    network.apply(PLAN)
    files = rig.profile_files()
    trial = network.begin_trial(60)
    network.apply(OTHER)
    network.take_back(trial)
    assert on_the_wire(rig) == ["192.0.2.10/24"]
    assert rig.profile_files().keys() == files.keys()
    assert all("192.0.2.20" not in text for text in rig.profile_files().values())


def test_the_first_profile_goes_when_its_trial_is_taken_back(rig, network):
    trial = network.begin_trial(60)
    network.apply(PLAN)
    network.take_back(trial)
    assert on_the_wire(rig) == []
    assert rig.profile_files() == {}


def test_a_trial_comes_back_by_itself_when_our_process_is_dead(rig, network):
    network.apply(PLAN)
    second = DriverProcess(rig.bus.address)
    second.begin_trial(2)
    second.apply(OTHER)
    second.kill()
    assert on_the_wire(rig) == ["192.0.2.20/24"]
    wait_for(lambda: on_the_wire(rig) == ["192.0.2.10/24"])


def test_a_second_trial_at_the_same_time_is_refused(network):
    network.begin_trial(60)
    with pytest.raises(HostRefused):
        network.begin_trial(60)


@pytest.mark.parametrize("trial", ["/", "", "/org/freedesktop/NetworkManager/Devices/1"])
def test_only_trials_can_be_ended(network, trial):
    with pytest.raises(HostRefused):
        network.keep(trial)
    with pytest.raises(HostRefused):
        network.take_back(trial)


def test_a_networkmanager_that_was_killed_is_used_again_by_the_same_process(rig, network):
    network.apply(PLAN)
    rig.kill_networkmanager()
    with pytest.raises(HostUnreachable):
        network.state()
    rig.start_networkmanager()
    wait_for(lambda: addresses(network) == ["192.0.2.10/24"])
    network.apply(OTHER)
    assert on_the_wire(rig) == ["192.0.2.20/24"]


def test_a_bus_that_was_away_neither_ends_the_process_nor_is_lost_for_good(rig, network, tmp_path):
    network.apply(PLAN)
    rig.bus.stop()
    with pytest.raises(HostUnreachable):
        network.state()
    rig.kill_networkmanager()
    (tmp_path / "bus/bus.sock").unlink(missing_ok=True)
    rig.bus = PrivateBus(tmp_path / "bus")
    rig.start_networkmanager()
    wait_for(lambda: addresses(network) == ["192.0.2.10/24"])


def test_a_process_that_started_before_bus_and_networkmanager_finds_them(tmp_path):
    driver = DriverProcess(f"unix:path={tmp_path}/bus/bus.sock")
    with pytest.raises(HostUnreachable):
        driver.state()
    rig = NetworkManagerRig(tmp_path)
    try:
        wait_for(lambda: driver.state().of("eth0") is not None)
        driver.apply(PLAN)
        assert on_the_wire(rig) == ["192.0.2.10/24"]
    finally:
        driver.stop()
        rig.stop()


def test_a_profile_of_an_access_point_is_taken_even_where_there_is_no_radio(rig, network):
    with pytest.raises(HostRefused, match="this board has no such radio"):
        network.apply(replace(PLAN, access_point=ACCESS_POINT))
    # The wire does not wait for the radio.
    assert on_the_wire(rig) == ["192.0.2.10/24"]
    stored = rig.profile_files()["otppi-access-point.nmconnection"]
    for line in (
        "mode=ap",
        "channel=6",
        "key-mgmt=wpa-psk",
        "pmf=1",
        "proto=rsn;",
        "pairwise=ccmp;",
        "method=shared",
        "address1=192.168.0.11/24",
        "psk=invented passphrase",
    ):
        assert line in stored.splitlines(), (line, stored)
    folder = rig.etc / "NetworkManager/system-connections"
    assert (folder / "otppi-access-point.nmconnection").stat().st_mode & 0o777 == 0o600


def test_an_access_point_that_is_stored_as_wanted_is_not_written_again(rig, network):
    with pytest.raises(HostRefused):
        network.apply(replace(PLAN, access_point=ACCESS_POINT))
    stored = rig.etc / "NetworkManager/system-connections/otppi-access-point.nmconnection"
    before = (stored.stat().st_ino, stored.stat().st_mtime_ns)
    # Unchanged, so the missing radio stands in nobody's way.
    network.apply(replace(OTHER, access_point=ACCESS_POINT))
    assert (stored.stat().st_ino, stored.stat().st_mtime_ns) == before
    assert on_the_wire(rig) == ["192.0.2.20/24"]


def test_an_access_point_that_is_not_planned_has_no_profile(rig, network):
    with pytest.raises(HostRefused):
        network.apply(replace(PLAN, access_point=ACCESS_POINT))
    network.apply(PLAN)
    assert "otppi-access-point.nmconnection" not in rig.profile_files()


def test_a_bad_profile_is_refused_in_networkmanagers_words_without_the_passphrase(network):
    short = replace(ACCESS_POINT, passphrase="short")
    with pytest.raises(HostRefused, match="psk") as refused:
        network.apply(replace(PLAN, access_point=short))
    assert "short" not in str(refused.value)


def test_states_asked_many_times_leave_nothing_behind(network):
    network.apply(PLAN)
    for _ in range(20):
        network.state()
    gc.collect()
    before = len(os.listdir(f"/proc/{network.pid}/fd"))
    for _ in range(20):
        network.state()
    assert len(os.listdir(f"/proc/{network.pid}/fd")) == before
