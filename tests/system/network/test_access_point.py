"""The access point: its calls against a mock of NetworkManager, and the thing itself where there is a radio."""

import os
import subprocess
from dataclasses import replace

import pytest
from dbus_next.signature import Variant

from otppi.model.network import NetworkPlan
from otppi.system import dbus
from otppi.system.network.networkmanager import SERVICE
from otppi.system.network.profiles import Abilities, Unsigned, Wide, access_point_profile
from tests import needs
from tests.system.network.nm_rig import DriverProcess, NetworkManagerRig, wait_for
from tests.system.network.test_profiles import ACCESS_POINT, STATIC

_PATH = "/org/freedesktop/NetworkManager"


@pytest.fixture
def mocked(system_bus):
    needs.programs("python3")
    needs.module("dbusmock")
    process = subprocess.Popen(
        ["/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "networkmanager"],
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": system_bus.address},
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: bool(dbus.get_property(SERVICE, _PATH, SERVICE, "Version")))
    yield
    process.terminate()
    process.wait(10)


def variants(profile):
    """Put a profile into the message as NetworkManager's own documentation types it."""
    return {
        group: {key: _variant(value) for key, value in values.items()} for group, values in profile.items()
    }


def _variant(value):
    match value:
        case bool():
            return Variant("b", value)
        case Unsigned():
            return Variant("u", value)
        case Wide():
            return Variant("x", value)
        case int():
            return Variant("i", value)
        case bytes():
            return Variant("ay", value)
        case str():
            return Variant("s", value)
        case dict():
            return Variant("a{ss}", value)
        case [dict(), *_]:
            return Variant("aa{sv}", [{key: _variant(one) for key, one in item.items()} for item in value])
    return Variant("as", value)


def test_the_profile_is_stored_and_activated_as_the_mock_understands_it(mocked):
    device = dbus.call(
        SERVICE, _PATH, "org.freedesktop.DBus.Mock", "AddWiFiDevice", "ssu", ("mock", "wlan0", 30)
    )[0]
    profile = variants(access_point_profile(ACCESS_POINT, Abilities(), "otppi"))
    connection = dbus.call(
        SERVICE, f"{_PATH}/Settings", f"{SERVICE}.Settings", "AddConnection", "a{sa{sv}}", (profile,)
    )[0]
    stored = dbus.call(SERVICE, connection, f"{SERVICE}.Settings.Connection", "GetSettings")[0]
    assert bytes(stored["802-11-wireless"]["ssid"]).decode() == ACCESS_POINT.ssid
    assert stored["802-11-wireless"]["mode"] == "ap"
    assert stored["ipv4"]["method"] == "shared"
    active = dbus.call(SERVICE, _PATH, SERVICE, "ActivateConnection", "ooo", (connection, device, "/"))[0]
    assert dbus.get_property(SERVICE, active, f"{SERVICE}.Connection.Active", "State") == 2


def test_an_access_point_comes_up_on_a_radio(tmp_path):
    needs.device("/sys/class/ieee80211/phy0")
    needs.programs("iw", "wpa_supplicant", "dnsmasq")
    rig = NetworkManagerRig(tmp_path)
    driver = DriverProcess(rig.bus.address)
    try:
        rig.lend_radio("phy0")
        rig.start_supplicant()
        interface = rig.wifi_interface()
        point = replace(ACCESS_POINT, interface=interface)
        plan = NetworkPlan(hostname="otppi", access_point=point, ethernet=STATIC)
        wait_for(lambda: driver.state().of(interface) is not None)
        driver.apply(plan)
        state = driver.state().of(interface)
        assert (state.state, state.mode, state.ssid) == ("activated", "ap", point.ssid)
        assert state.addresses == (point.address,)
        assert state.channel == point.channel
        assert state.security in ("wpa2", "wpa2 and wpa3")

        trial = driver.begin_trial(60)
        driver.apply(replace(plan, access_point=replace(point, ssid="Another")))
        assert driver.state().of(interface).ssid == "Another"
        driver.take_back(trial)
        assert driver.state().of(interface).ssid == point.ssid

        driver.apply(replace(plan, access_point=None))
        assert driver.state().of(interface).mode != "ap"
    finally:
        driver.stop()
        rig.stop()
