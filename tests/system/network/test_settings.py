import pytest

from otppi.settings.section import shown
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings


def mistakes(section, **raw):
    return section.parse(raw)[1]


def test_factory_values_are_the_documented_ones():
    wlan = WlanSettings()
    assert (wlan.address, wlan.country, wlan.forwarding) == ("192.168.0.11/24", "ID", False)
    dhcp = DhcpSettings()
    assert (dhcp.default_lease_s, dhcp.max_lease_s) == (600, 7200)
    assert EthernetSettings().method == "auto"
    assert NetworkSettings().hostname == "otppi"
    for section in (wlan, dhcp, EthernetSettings(), NetworkSettings()):
        assert section.check() == {}


def test_the_reset_file_reaches_the_documented_sections():
    flags = [one.reset_flag for one in (WlanSettings, DhcpSettings, EthernetSettings)]
    assert flags == ["RESET_WLAN", "RESET_DHCP", "RESET_ETHERNET"]


def test_the_documented_example_of_dhcp_is_accepted():
    parsed, errors = DhcpSettings.parse(
        {
            "domain_name": "otppi.lan",
            "domain_name_servers": "ns1.otppi.lan, ns2.otppi.lan",
            "router": "192.168.0.1",
            "netmask": "255.255.255.0",
            "subnet_mask": "255.255.255.0",
            "domain_name_servers_address": "192.168.0.11",
            "default_lease_s": "3600",
            "max_lease_s": "7200",
            "ranges": "192.168.0.10-192.168.0.100, 192.168.0.110-192.168.0.200",
        }
    )
    assert errors == {}
    assert parsed.ranges == ("192.168.0.10-192.168.0.100", "192.168.0.110-192.168.0.200")
    assert parsed.domain_name_servers_address == ("192.168.0.11",)


def test_fields_of_the_old_product_are_accepted_and_gone():
    wlan, errors = WlanSettings.parse(
        {"key_management": "WPA-PSK", "prefix": "24", "netmask": "255.255.255.0", "gateway": "x", "dns": "x"}
    )
    assert (wlan, errors) == (WlanSettings(), {})


def test_a_passphrase_is_never_shown():
    wlan, _ = WlanSettings.parse({"passphrase": "correct horse"})
    assert "correct horse" not in repr(wlan)
    assert shown(wlan)["passphrase"] is True


@pytest.mark.parametrize("passphrase", ["", "12345678", "x" * 63, "a b~!{}\\\"'"])
def test_accepts__passphrase(passphrase):
    assert mistakes(WlanSettings, passphrase=passphrase) == {}


@pytest.mark.parametrize("passphrase", ["1234567", "x" * 64, "pässwort", "1234567\n", "1234567\x7f"])
def test_rejects__passphrase(passphrase):
    assert mistakes(WlanSettings, passphrase=passphrase).keys() == {"passphrase"}


@pytest.mark.parametrize("ssid", ["", "OTP-Pi", "Toko Ibu Sari 📱", "x" * 32])
def test_accepts__ssid(ssid):
    assert mistakes(WlanSettings, ssid=ssid) == {}


@pytest.mark.parametrize("ssid", ["x" * 33, "📱" * 9, "a\nb"])
def test_rejects__ssid(ssid):
    assert mistakes(WlanSettings, ssid=ssid).keys() == {"ssid"}


@pytest.mark.parametrize(("band", "channel"), [("bg", 0), ("bg", 13), ("a", 0), ("a", 36), ("a", 165)])
def test_accepts__channel(band, channel):
    assert mistakes(WlanSettings, band=band, channel=channel) == {}


@pytest.mark.parametrize(("band", "channel"), [("bg", 14), ("bg", 36), ("a", 1), ("a", 100), ("a", 166)])
def test_rejects__channel(band, channel):
    assert mistakes(WlanSettings, band=band, channel=channel).keys() == {"channel"}


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1/8", "172.31.11.11/24", "192.168.0.11", "192.168.0.11/255.255.255.0", "192.168.0.2/30"],
)
def test_accepts__access_point_address(address):
    assert mistakes(WlanSettings, address=address) == {}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "must not be empty"),
        ("192.168.0.300/24", "is not an IPv4 address"),
        ("192.168.0.11/33", "needs a prefix such as /24"),
        ("192.168.0.11/255.0.255.0", "needs a prefix such as /24"),
        ("192.168.0.11/31", "from /8 to /30"),
        ("10.0.0.1/7", "from /8 to /30"),
        ("192.168.0.0/24", "the network 192.168.0.0/24 itself"),
        ("192.168.0.255/24", "the broadcast address"),
        ("203.0.113.11/24", "must be private"),
        ("192.168.0.11/15", "must be private"),
        ("127.0.0.1/8", "not an address that a device can have"),
        ("224.0.0.1/8", "not an address that a device can have"),
        ("192.168.0.11/24\n", ""),
    ],
)
def test_rejects__access_point_address(address, reason):
    errors = mistakes(WlanSettings, address=address)
    if reason:
        assert errors.keys() == {"address"}
        assert reason in errors["address"]
    else:
        assert errors == {}  # spaces around a value are dropped


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("domain_name", "-x", "must be a domain"),
        ("domain_name", ".".join(["a" * 63] * 5), "longer than 253"),
        ("domain_name_servers", ["192.0.2.300"], "192.0.2.300 is not an IPv4 address"),
        ("domain_name_servers", ["ns_1"], "must be an address or a name"),
        ("domain_name_servers_address", "239.1.1.1", "not an address that a device can have"),
        ("router", "192.168.0", "is not an IPv4 address"),
        ("netmask", "255.0.255.0", "is not a netmask"),
        ("subnet_mask", "0.0.0.255.0", "is not a netmask"),
        ("default_lease_s", 119, "must be 120 to 86400 s"),
        ("max_lease_s", 599, "must not be less than the default lease time"),
        ("ranges", "192.168.0.50-192.168.0.40", "ends before it begins"),
        ("ranges", "192.168.0.50-192.168.0.400", "is not an IPv4 address"),
        ("ranges", "192.168.0.50-60", "is not an IPv4 address"),
        ("ranges", "192.168.0.40 192.168.0.50", "must be a range"),
    ],
)
def test_rejects__dhcp(field, value, reason):
    errors = mistakes(DhcpSettings, **{field: value})
    assert errors.keys() == {field}
    assert reason in errors[field]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"method": "static"}, "address"),
        ({"method": "static", "address": "10.0.0.0/24"}, "address"),
        ({"gateway": "10.0.0"}, "gateway"),
        ({"dns1": "8.8.8.8.8"}, "dns1"),
        ({"dns2": "255.255.255.255"}, "dns2"),
        ({"interface": "eth0; reboot"}, "interface"),
        ({"interface": "../../x"}, "interface"),
        ({"interface": "x" * 16}, "interface"),
    ],
)
def test_rejects__ethernet(raw, field):
    assert mistakes(EthernetSettings, **raw).keys() == {field}


@pytest.mark.parametrize("hostname", ["otppi", "OTP-Pi-2", "x" * 63])
def test_accepts__hostname(hostname):
    assert mistakes(NetworkSettings, hostname=hostname) == {}


@pytest.mark.parametrize(
    "hostname", ["", "-x", "x-", "a.b", "a_b", "x" * 64, "localhost", "LocalHost", "4711"]
)
def test_rejects__hostname(hostname):
    assert mistakes(NetworkSettings, hostname=hostname).keys() == {"hostname"}


def test_the_lease_time_without_effect_says_so():
    assert "Has no effect" in DhcpSettings.declared["max_lease_s"].help
