import pytest

from otppi.model.errors import SettingsError
from otppi.system.firewall.services import Services
from otppi.system.firewall.settings import FirewallSettings, OpenPort, refuse_closing

SERVICES = Services(admin_ports=(8888,), api_ports=(8899, 443), access_point=None)


@pytest.mark.parametrize(
    ("raw", "ports"),
    [("1", (1, 1)), (65535, (65535, 65535)), ("5000-5010", (5000, 5010)), (" 5000 - 5000 ", (5000, 5000))],
)
def test_reads__port(raw, ports):
    made, errors = OpenPort.parse({"port": raw})
    assert errors == {}
    assert made is not None
    assert made.ports == ports


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "0",
        "65536",
        "99999",
        "6-5",
        "1-65536",
        "http",
        "-1",
        "1:2",
        "1,2",
        "1 -j ACCEPT",
        "٣",
        "1\n2",
        True,
    ],
)
def test_rejects__port(raw):
    made, errors = OpenPort.parse({"port": raw})
    assert made is None
    assert list(errors) == ["port"]


@pytest.mark.parametrize(
    "raw", ["", "10.0.0.1", "10.0.0.1/8", "0.0.0.0/0", "2001:db8::/32", "fd00::1", "::/0"]
)
def test_reads__source(raw):
    assert OpenPort.parse({"port": "1", "source": raw})[1] == {}


@pytest.mark.parametrize(
    "raw",
    [
        "10.0.0",
        "10.0.0.0/33",
        "/8",
        "2001:db8::/129",
        "::g",
        "fe80::1%eth0",
        "! 10.0.0.1",
        "10.0.0.1 -j ACCEPT",
    ],
)
def test_rejects__source(raw):
    assert list(OpenPort.parse({"port": "1", "source": raw})[1]) == ["source"]


@pytest.mark.parametrize("raw", ["any", "access-point", "ethernet", "ppp0", "eth0.100", "wlx001122334455"])
def test_reads__interface(raw):
    assert OpenPort.parse({"port": "1", "interface": raw})[1] == {}


@pytest.mark.parametrize("raw", ["", "eth+", "!", "-i", "eth0 -j", "a" * 16, "eth0/x", '"'])
def test_rejects__interface(raw):
    assert list(OpenPort.parse({"port": "1", "interface": raw})[1]) == ["interface"]


def test_both_sections_go_back_by_the_same_flag():
    assert {FirewallSettings.reset_flag, OpenPort.reset_flag} == {"RESET_FIREWALL"}


def test_every_closed_entry_over_a_port_of_a_service_is_refused_with_whose_it_is():
    ports = {
        "a": OpenPort(port="8888", open=False),
        "b": OpenPort(port="1-1000", open=False),
        "c": OpenPort(port="5353", protocol="udp", open=False),
    }
    with pytest.raises(SettingsError) as refused:
        refuse_closing(ports, SERVICES)
    assert refused.value.errors == {
        "open_ports.a": "port 8888/tcp is needed for the admin pages and cannot be closed here",
        "open_ports.b": "port 443/tcp is needed for the API and cannot be closed here",
        "open_ports.c": "port 5353/udp is needed for the device's name in the network and cannot be closed here",
    }


@pytest.mark.parametrize(
    "entry",
    [
        OpenPort(port="8888"),
        OpenPort(port="8888", protocol="udp", open=False),
        OpenPort(port="8889-8898", open=False),
        OpenPort(port="53", open=False),  # there is no access point
    ],
    ids=str,
)
def test_other_entries_pass(entry):
    refuse_closing({"a": entry}, SERVICES)
