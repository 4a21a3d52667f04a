import subprocess
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otppi.system.network.dnsmasq import networkmanager_range, snippet
from otppi.system.network.planning import Born, plan_access_point
from otppi.system.network.settings import DhcpSettings, WlanSettings
from tests import needs
from tests.system.network.access_point_lab import AccessPointLab, as_nm_1_42, as_nm_1_52

BORN = Born(ssid="OTP-Pi-TEST", passphrase="abcd-efgh-jkmn")
DOCUMENTED = DhcpSettings(
    domain_name="otppi.lan",
    domain_name_servers=("ns1.otppi.lan", "ns2.otppi.lan"),
    router="192.168.0.1",
    netmask="255.255.255.0",
    subnet_mask="255.255.255.0",
    domain_name_servers_address=("192.168.0.11",),
    default_lease_s=3600,
    max_lease_s=7200,
    ranges=("192.168.0.10-192.168.0.100", "192.168.0.110-192.168.0.200"),
)


def access_point(dhcp=None, **wlan):
    return plan_access_point(WlanSettings(**wlan), dhcp or DhcpSettings(), BORN)


def text(dhcp=None, *, answers_every_name=False, hostname="otppi", **wlan):
    return snippet(access_point(dhcp, **wlan), hostname=hostname, answers_every_name=answers_every_name)


def accepted_by_dnsmasq(content: str, folder: Path) -> str:
    """Return dnsmasq's own words on a file, beside NetworkManager's range."""
    needs.programs("dnsmasq")
    file = folder / "snippet.conf"
    file.write_text(content)
    command = [
        str(needs.program("dnsmasq")),
        "--test",
        "--conf-file=/dev/null",
        f"--conf-dir={folder},*.conf",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stderr


# The text


def test_the_documented_example_becomes_options_of_dnsmasq():
    lines = text(DOCUMENTED).splitlines()
    for line in (
        "dhcp-authoritative",
        "dhcp-range=192.168.0.10,192.168.0.10,3600",
        "dhcp-range=192.168.0.12,192.168.0.100,3600",
        "dhcp-range=192.168.0.110,192.168.0.200,3600",
        "dhcp-option=option:router,192.168.0.1",
        "dhcp-option=option:netmask,255.255.255.0",
        "dhcp-option=option:dns-server,192.168.0.11",
        "domain=otppi.lan",
        "dhcp-option=option:domain-search,otppi.lan",
    ):
        assert line in lines


def test_every_name_leads_to_the_device_only_during_the_setup():
    assert "address=/#/192.168.0.11" in text(answers_every_name=True).splitlines()
    assert "address=/" not in text()


def test_during_the_setup_the_device_is_the_name_server_whatever_is_set():
    dhcp = DhcpSettings(domain_name_servers_address=("192.0.2.53",))
    assert "option:dns-server,192.0.2.53" in text(dhcp)
    assert "option:dns-server,192.168.0.11" in text(dhcp, answers_every_name=True)


def test_other_names_are_looked_up_only_for_those_who_may_go_further():
    assert "no-resolv" in text()
    assert "no-resolv" not in text(forwarding=True)
    assert "no-resolv" in text(forwarding=True, answers_every_name=True)


@pytest.mark.parametrize(
    ("own", "first", "last"),
    [  # as the C code of NetworkManager computes them
        ("192.168.0.11/24", "192.168.0.20", "192.168.0.254"),
        ("192.168.0.1/24", "192.168.0.10", "192.168.0.254"),
        ("192.168.0.254/24", "192.168.0.1", "192.168.0.245"),
        ("10.1.77.200/16", "10.1.77.1", "10.1.77.191"),
        ("192.168.1.0/23", "192.168.1.10", "192.168.1.254"),
        ("192.168.0.255/23", "192.168.0.1", "192.168.0.245"),
        ("192.168.0.5/29", "192.168.0.1", "192.168.0.4"),
        ("192.168.0.2/30", "192.168.0.1", "192.168.0.1"),
    ],
)
def test_the_range_that_networkmanager_makes_up_is_known(own, first, last):
    made_up = networkmanager_range(IPv4Interface(own))
    assert (made_up.first, made_up.last) == (IPv4Address(first), IPv4Address(last))


HOSTILE = [
    "otppi.lan\ndhcp-script=/tmp/x",
    "otppi.lan\rdhcp-script=/tmp/x",
    "otppi.lan\u2028dhcp-script=/tmp/x",
    "otppi.lan\x0bdhcp-script=/tmp/x",
    "otppi.lan #",
    "otppi.lan,192.168.0.0/24",
    "otppi.lan dhcp-script=/tmp/x",
    '"otppi.lan',
    "otppi.lan\\",
    "/otppi/lan",
    "#",
    "-x",
    "..",
    "a" * 64,
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_name_never_becomes_a_setting(value):
    assert DhcpSettings.parse({"domain_name": value})[0] is None
    assert DhcpSettings.parse({"domain_name_servers": [value]})[0] is None


@pytest.mark.parametrize("name", ["router", "netmask", "subnet_mask"])
@pytest.mark.parametrize("value", ["192.168.0.1\ndhcp-script=/tmp/x", "192.168.0.1,x", "192.168.0.1 #", "x"])
def test_a_hostile_address_never_becomes_a_setting(name, value):
    assert DhcpSettings.parse({name: value})[0] is None


names = st.text(max_size=40) | st.from_regex(r"[a-zA-Z0-9.#,/=\s-]{1,20}", fullmatch=True)


@given(domain=names, servers=st.lists(names, max_size=3))
@settings(max_examples=300, deadline=None)
def test_whatever_is_accepted_adds_no_line(domain, servers):
    parsed, _ = DhcpSettings.parse({"domain_name": domain, "domain_name_servers": servers})
    if parsed is not None:
        assert len(text(parsed).splitlines()) == len(text().splitlines()) + (2 if parsed.domain_name else 0)


hosts = st.integers(1, 254)


@given(own=hosts, pairs=st.lists(st.tuples(hosts, hosts), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_is_given_out_is_what_was_asked_but_for_the_device_itself(own, pairs):
    asked = {host for pair in pairs for host in range(min(pair), max(pair) + 1)}
    ranges = tuple(f"192.168.0.{min(pair)}-192.168.0.{max(pair)}" for pair in pairs)
    if asked == {own}:
        return
    made = access_point(DhcpSettings(ranges=ranges), address=f"192.168.0.{own}/24")
    given_out = {
        int(address) & 255
        for one in made.dhcp.ranges
        for address in map(IPv4Address, range(int(one.first), int(one.last) + 1))
    }
    assert given_out == asked - {own}
    made_up = networkmanager_range(made.address)
    kept = {
        int(IPv4Address(line.rpartition(",")[2])) & 255
        for line in snippet(made, hostname="otppi", answers_every_name=False).splitlines()
        if line.startswith("dhcp-host=id:")
    }
    assert kept == set(range(int(made_up.first) & 255, (int(made_up.last) & 255) + 1)) - given_out


# A real dnsmasq


@pytest.mark.parametrize("answers_every_name", [False, True])
@pytest.mark.parametrize("dhcp", [DhcpSettings(), DOCUMENTED], ids=["factory", "documented"])
@pytest.mark.parametrize("address", ["192.168.0.11/24", "192.168.0.200/23"])
def test_dnsmasq_understands_every_line(tmp_path, dhcp, address, answers_every_name):
    if dhcp is DOCUMENTED and address != "192.168.0.11/24":
        dhcp = DhcpSettings(domain_name="otppi.lan", ranges=("192.168.0.10-192.168.1.20",))
    content = text(dhcp, address=address, answers_every_name=answers_every_name)
    assert "syntax check OK" in accepted_by_dnsmasq(content, tmp_path)


def test_the_check_by_dnsmasq_does_see_mistakes(tmp_path):
    assert "syntax check OK" not in accepted_by_dnsmasq("dhcp-range=nonsense\n", tmp_path)


@pytest.mark.parametrize("networkmanager", [as_nm_1_42, as_nm_1_52])
def test_clients_get_what_the_owner_asked_for(tmp_path, networkmanager):
    made = access_point(DOCUMENTED)
    content = snippet(made, hostname="otppi", answers_every_name=False)
    with AccessPointLab(tmp_path, made.address) as lab:
        lab.start(content, networkmanager(made.address, made.dhcp.ranges[1]))
        # Inside what NetworkManager makes up as well, and outside of it.
        for wish in ("192.168.0.55", "192.168.0.13"):
            lease = lab.lease(f"02:00:00:00:00:{wish[-2:]}", wish)
            assert lease == {
                "address": wish,
                "lease_s": 3600,
                "netmask": ["255.255.255.0"],
                "router": ["192.168.0.1"],
                "dns": ["192.168.0.11"],
                "server": ["192.168.0.11"],
                "domain": "otppi.lan",
                "search": "056f74707069036c616e00",
            }
        assert lab.ask("otppi.local")["addresses"] == ["192.168.0.11"]
        assert lab.ask("otppi.otppi.lan")["addresses"] == ["192.168.0.11"]
        assert lab.ask("www.example.com")["rcode"] == 5


@pytest.mark.parametrize("networkmanager", [as_nm_1_42, as_nm_1_52])
def test_no_address_outside_the_ranges_is_given_out(tmp_path, networkmanager):
    made = access_point(
        DhcpSettings(ranges=("192.168.0.41-192.168.0.42", "192.168.0.60"), default_lease_s=900)
    )
    content = snippet(made, hostname="otppi", answers_every_name=True)
    with AccessPointLab(tmp_path, made.address) as lab:
        lab.start(content, networkmanager(made.address, made.dhcp.ranges[0]))
        # This one asks for an address that only NetworkManager would give.
        leases = [lab.lease("02:00:00:00:00:01", "192.168.0.100")]
        leases += [lab.lease(f"02:00:00:00:00:0{number}") for number in range(2, 5)]
    assert {lease["address"] for lease in leases[:3]} == {"192.168.0.41", "192.168.0.42", "192.168.0.60"}
    assert {lease["lease_s"] for lease in leases[:3]} == {900}
    assert leases[3] is None


def test_during_the_setup_every_name_is_the_device(tmp_path):
    made = access_point()
    with AccessPointLab(tmp_path, made.address) as lab:
        content = snippet(made, hostname="otppi", answers_every_name=True)
        lab.start(content, as_nm_1_42(made.address, made.dhcp.ranges[0]))
        for name in ("captive.apple.com", "connectivitycheck.gstatic.com", "otppi.local", "otppi"):
            assert lab.ask(name)["addresses"] == ["192.168.0.11"]
        # IPv6 and HTTPS records: there are none, and nobody waits for one.
        for kind in (28, 65):
            answer = lab.ask("captive.apple.com", kind)
            assert (answer["answers"], answer["rcode"]) == (0, 0)
        lease = lab.lease("02:00:00:00:00:01")
    assert lease["router"] == lease["dns"] == ["192.168.0.11"]
    assert lease["lease_s"] == 600
    assert IPv4Address("192.168.0.40") <= IPv4Address(lease["address"]) <= IPv4Address("192.168.0.254")
