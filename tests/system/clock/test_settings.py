import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.system.clock.settings import INTERVALS_S, ClockSettings, is_server, zones


def errors(**raw):
    return ClockSettings.parse(raw)[1]


def test_the_factory_values_are_those_of_the_old_product():
    settings = ClockSettings()
    assert (settings.time_zone, settings.ntp_server) == ("Asia/Jakarta", ("pool.ntp.org",))
    assert INTERVALS_S[settings.ntp_interval] == 6 * 3600
    assert settings.check() == {}


@pytest.mark.parametrize("zone", ["Asia/Jakarta", "UTC", "Etc/GMT+7", "America/Argentina/Buenos_Aires"])
def test_reads__zone(zone):
    assert errors(time_zone=zone) == {}


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "asia jakarta", "Asia"]
)
def test_rejects__zone(zone):
    assert set(errors(time_zone=zone)) == {"time_zone"}


@given(st.text())
def test_no_zone_is_accepted_that_the_system_does_not_have(zone):
    settings, found = ClockSettings.parse({"time_zone": zone})
    assert (settings is None) == bool(found)
    assert settings is None or settings.time_zone in zones()


@pytest.mark.parametrize(
    "name",
    [
        "pool.ntp.org",
        "0.id.pool.ntp.org",
        "ntp",
        "192.0.2.7",
        "2001:db8::123",
        "time.example.",
        "xn--bcher-kva.example",
    ],
)
def test_reads__server(name):
    assert errors(ntp_server=name) == {}


@pytest.mark.parametrize(
    "name",
    [
        "-a.example",
        "a..b",
        "192.0.2.256",
        "1.2.3",
        "0.0.0.0",  # noqa: S104 - no server
        "::",
        "fe80::1%eth0",
        "a b",
        "a;b",
        "$(id)",
        "x" * 64 + ".example",
        ("a" * 60 + ".") * 4 + "toolong12345",
    ],
)
def test_rejects__server(name):
    assert set(errors(ntp_server=[name])) == {"ntp_server"}


def test_several_servers_come_with_commas():
    settings, _ = ClockSettings.parse({"ntp_server": "192.0.2.7, pool.ntp.org"})
    assert settings.ntp_server == ("192.0.2.7", "pool.ntp.org")


def test_more_servers_than_anybody_needs_are_refused():
    assert set(errors(ntp_server=[f"ntp{n}.example" for n in range(9)])) == {"ntp_server"}


def test_a_server_is_required_only_while_one_is_asked():
    assert set(errors(ntp_server=[])) == {"ntp_server"}
    assert errors(ntp_server=[], ntp_interval="never") == {}
    assert errors(ntp_server=[], ntp_enabled=False) == {}


def test_never_means_that_nobody_is_asked():
    assert not ClockSettings(ntp_interval="never").asks_network
    assert not ClockSettings(ntp_enabled=False).asks_network
    assert ClockSettings(ntp_interval="daily").asks_network


@given(st.text())
def test_a_server_name_is_one_word(name):
    assert not is_server(name) or (name.isascii() and name == "".join(name.split()))
