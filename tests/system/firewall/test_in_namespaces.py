import re
import shutil
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from otppi.model.errors import HostUnreachable
from otppi.system.firewall import iptables
from otppi.system.firewall.iptables import FirewallRefused
from otppi.system.firewall.ruleset import emergency_rules, rules
from otppi.system.firewall.services import AccessPoint, Services
from otppi.system.firewall.settings import FirewallSettings, OpenPort
from tests import needs
from tests.system.firewall.namespaces import (
    AP4,
    AP6,
    LAN4,
    LAN6,
    OFFICE4,
    OFFICE6,
    answered,
    begun,
    connects,
    hears,
    pings,
)

ADMIN, API, TLS, PORTAL, CLOSED, OWN = 8888, 8899, 443, 80, 7000, 7001
FILTERED = 1.5  # seconds; a second try of the caller's system is within


def services(*, forwards=False):
    point = AccessPoint(interface="wlan0", address=IPv4Address(AP4), portal_port=PORTAL, forwards=forwards)
    return Services(admin_ports=(ADMIN,), api_ports=(API, TLS), access_point=point)


def firewall(settings=None, open_ports=None, **options):
    settings = settings or FirewallSettings()
    ports = open_ports or {}
    return {family: rules(family, settings, ports, services(**options)) for family in (4, 6)}


def load(place, wanted):
    place.device.call(iptables.load, wanted)


def in_force(place):
    """What the save commands say, without times and counters."""
    texts = (place.device.call(iptables.present, family) for family in (4, 6))
    return re.sub(r"#.*\n|\[\d+:\d+\]", "", "".join(texts))


@pytest.mark.parametrize(("point", "lan"), [(AP4, LAN4), (AP6, LAN6)], ids=["IPv4", "IPv6"])
def test_services_are_open_and_everything_else_is_closed(place, point, lan):
    place.listen(ADMIN, API, TLS, PORTAL, CLOSED)
    load(place, firewall())
    for port in (ADMIN, API, TLS):
        assert connects(place.office, lan, port)
        assert connects(place.phone, point, port)
    assert not connects(place.office, lan, CLOSED)
    assert not connects(place.phone, point, CLOSED)
    assert connects(place.phone, point, PORTAL)
    assert not connects(place.office, lan, PORTAL)
    assert connects(place.device, lan, CLOSED)


def test_the_emergency_rules_let_the_owner_in_and_nobody_else(place):
    place.listen(ADMIN, API, CLOSED)
    load(place, {family: emergency_rules(family, services()) for family in (4, 6)})
    for point, lan in ((AP4, LAN4), (AP6, LAN6)):
        assert connects(place.phone, point, ADMIN)
        assert connects(place.office, lan, API)
        assert not connects(place.office, lan, CLOSED)
    assert not connects(place.office, AP4, ADMIN)
    assert hears(place.device, place.phone, AP4, 67)


def test_dhcp_and_dns_are_for_the_access_point_only(place):
    place.listen(53)
    load(place, firewall())
    for port in (67, 53):
        assert hears(place.device, place.phone, AP4, port)
        assert not hears(place.device, place.office, LAN4, port)
    assert hears(place.device, place.phone, "255.255.255.255", 67)
    assert connects(place.phone, AP4, 53)
    assert not connects(place.office, LAN4, 53)


@pytest.mark.parametrize("group", ["224.0.0.251", "ff02::fb"])
def test_the_name_of_the_device_can_be_asked_for_on_both_sides(place, group):
    load(place, firewall())
    assert hears(place.device, place.phone, group, 5353, interface="wlan0")
    assert hears(place.device, place.office, group, 5353, interface="eth0")
    assert not hears(place.device, place.office, LAN6 if ":" in group else LAN4, 5353)


def test_ping_is_answered_only_if_that_is_wanted(place):
    for wanted in (True, False):
        load(place, firewall(FirewallSettings(answers_ping=wanted)))
        for address in (LAN4, LAN6):
            assert pings(place.office, address) is wanted


def test_the_address_of_the_access_point_is_reached_over_the_access_point_only(place):
    place.listen(ADMIN, OWN)
    assert connects(place.office, AP4, ADMIN)
    load(place, firewall(open_ports={"a": OpenPort(port=str(OWN))}))
    assert not connects(place.office, AP4, ADMIN)
    assert not connects(place.office, AP4, OWN)
    assert connects(place.phone, AP4, OWN)


@pytest.mark.parametrize(
    ("entry", "phone", "office"),
    [
        (OpenPort(port="7000-7005"), True, True),
        (OpenPort(port=str(OWN), interface="access-point"), True, False),
        (OpenPort(port=str(OWN), interface="ethernet"), False, True),
        (OpenPort(port=str(OWN), interface="ppp0"), False, False),
        (OpenPort(port=str(OWN), source=f"{OFFICE4}/16"), False, True),
        (OpenPort(port=str(OWN), protocol="udp"), False, False),
        (OpenPort(port=str(OWN), open=False), False, False),
    ],
    ids=str,
)
def test_an_owners_port_is_open_for_those_it_names(place, entry, phone, office):
    place.listen(OWN)
    load(place, firewall(open_ports={"a": entry}))
    assert bool(connects(place.phone, AP4, OWN)) is phone
    assert bool(connects(place.office, LAN4, OWN)) is office


def test_an_owners_port_may_be_for_a_network_of_ipv6(place):
    place.listen(OWN)
    load(place, firewall(open_ports={"a": OpenPort(port=str(OWN), source="fd00:7::/64")}))
    assert connects(place.office, LAN6, OWN)
    assert not connects(place.phone, AP6, OWN)
    assert not connects(place.office, LAN4, OWN)


def test_a_deleted_entry_closes_its_port(place):
    place.listen(OWN)
    load(place, firewall(open_ports={"a": OpenPort(port=str(OWN))}))
    assert connects(place.office, LAN4, OWN)
    load(place, firewall())
    assert not connects(place.office, LAN4, OWN)


def test_mobile_internet_is_outside_until_an_entry_opens_a_port(place):
    place.device.run("ip", "link", "set", "eth0", "down")
    place.device.run("ip", "link", "set", "eth0", "name", "ppp0")
    place.device.run("ip", "link", "set", "ppp0", "up")
    place.listen(ADMIN, API)
    load(place, firewall())
    assert not connects(place.office, LAN4, ADMIN)
    assert not connects(place.office, LAN4, API)
    load(place, firewall(open_ports={"a": OpenPort(port=str(API), interface="ppp0")}))
    assert connects(place.office, LAN4, API)
    assert not connects(place.office, LAN4, ADMIN)


@pytest.mark.parametrize(
    ("version", "forward", "phones"),
    [("4", "ipv4__ip_forward", OFFICE4), ("6", "ipv6__conf__all__forwarding", OFFICE6)],
)
def test_those_who_joined_reach_the_device_only(place, version, forward, phones):
    place.device.sysctl(**{forward: "1"})
    place.listen(ADMIN, where=place.office)
    place.listen(ADMIN, where=place.phone)
    assert connects(place.phone, phones, ADMIN)

    load(place, firewall())
    # As NetworkManager does when the access point starts, which is after us.
    tables = "iptables" if version == "4" else "ip6tables"
    for interface in ("-i", "-o"):
        place.device.run(tables, "-I", "FORWARD", interface, "wlan0", "-j", "ACCEPT")
    assert not connects(place.phone, phones, ADMIN)

    load(place, firewall(forwards=True))
    assert connects(place.phone, phones, ADMIN)
    assert not connects(place.office, AP6.replace("11", "50") if version == "6" else "192.168.0.50", ADMIN)


def test_the_limit_of_the_admin_pages_bites_for_one_address_and_no_other(place):
    place.phone.run("ip", "address", "add", "192.168.0.51/24", "dev", "up0")
    place.listen(ADMIN, API)
    load(place, firewall(FirewallSettings(admin_connections_per_minute=30, admin_burst=12)))
    assert connects(place.phone, AP4, ADMIN, times=40) == 12
    assert connects(place.phone, AP4, API, times=40) == 40
    assert connects(place.phone, AP4, ADMIN, source="192.168.0.51")


def test_a_network_of_ipv6_shares_one_limit(place):
    for address in ("fd00:a::51/128", "fd00:a::52/128"):
        place.phone.run("ip", "address", "add", address, "dev", "up0", "nodad")
    place.listen(ADMIN)
    load(place, firewall(FirewallSettings(admin_connections_per_minute=30, admin_burst=10)))
    assert connects(place.phone, AP6, ADMIN, times=8, source="fd00:a::51") == 8
    assert connects(place.phone, AP6, ADMIN, times=8, source="fd00:a::52") == 2


def test_a_new_limit_holds_at_once(place):
    place.listen(ADMIN)
    load(place, firewall(FirewallSettings(admin_connections_per_minute=30, admin_burst=10)))
    assert connects(place.phone, AP4, ADMIN, times=20) == 10
    load(place, firewall(FirewallSettings(admin_connections_per_minute=30, admin_burst=30)))
    assert connects(place.phone, AP4, ADMIN, times=30) == 30


def test_an_entry_for_a_service_port_does_not_lift_its_limit(place):
    place.listen(ADMIN)
    settings = FirewallSettings(admin_connections_per_minute=30, admin_burst=10)
    load(place, firewall(settings, {"a": OpenPort(port=str(ADMIN))}))
    assert connects(place.office, LAN4, ADMIN, times=20) == 10


def test_an_application_server_may_open_two_hundred_connections_a_second(place):
    place.listen(API)
    load(place, firewall(FirewallSettings(api_burst=100)))
    start, sockets = time.monotonic(), []
    for tenth in range(15):
        sockets += begun(place.office, LAN4, API, times=20)
        time.sleep(max(0.0, start + (tenth + 1) / 10 - time.monotonic()))
    assert len(answered(sockets, 0.9)) == 300


@pytest.mark.parametrize(
    "settings",
    [
        FirewallSettings(
            admin_connections_per_minute=a,
            admin_burst=b,
            api_connections_per_second=c,
            api_burst=d,
            log_dropped=log,
        )
        for a, b, c, d, log in ((30, 1_000, 20, 10_000, True), (6_000, 10, 10_000, 20, False))
    ],
    ids=["slow", "fast"],
)
def test_the_kernel_takes_the_limits_at_their_ends(place, settings):
    place.listen(ADMIN)
    load(place, firewall(settings))
    assert connects(place.office, LAN4, ADMIN)


FOREIGN = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:shop-in - [0:0]
-A INPUT -i eth0 -j shop-in
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "-j OTPPI-INPUT of \\"others\\"" -j ACCEPT
-A shop-in -s 10.9.0.0/16 -j DROP
COMMIT
*mangle
:shop-mark - [0:0]
-A FORWARD -j shop-mark
-A shop-mark -j MARK --set-xmark 0x1/0xffffffff
COMMIT
*nat
-A POSTROUTING -s 192.168.0.0/24 ! -d 192.168.0.0/24 -j MASQUERADE
COMMIT
"""


def test_rules_of_others_survive_and_nothing_of_ours_stays_when_it_is_switched_off(place):
    place.device.run("iptables-restore", text=FOREIGN)
    place.device.run("ip6tables-restore", text=FOREIGN.replace("10.9.0.0/16", "fd01::/64").split("*nat")[0])
    load(place, {4: (), 6: ()})  # there is nothing to be removed
    before = in_force(place)
    load(place, firewall())
    during = in_force(place)
    assert during.count("-A INPUT -j OTPPI-INPUT\n") == during.count("-A FORWARD -j OTPPI-FORWARD\n") == 2
    assert [line for line in during.split("\n") if "OTPPI-" not in line or "others" in line] == before.split(
        "\n"
    )
    load(place, firewall(FirewallSettings(enabled=False)))
    assert in_force(place) == before


def test_a_second_load_changes_nothing(place):
    load(place, firewall())
    before = in_force(place)
    load(place, firewall())
    assert in_force(place) == before


def test_the_jump_is_made_the_first_rule_once_whatever_is_there(place):
    place.listen(CLOSED)
    load(place, firewall())
    for rule in ("-j OTPPI-INPUT", "-i eth0 -j OTPPI-INPUT", "-p tcp -j ACCEPT"):
        place.device.run("iptables", "-I", "INPUT", *rule.split())
    place.device.run("iptables", "-N", "OTPPI-OLD")
    place.device.run("iptables", "-A", "INPUT", "-g", "OTPPI-OLD")
    load(place, firewall())
    text = in_force(place)
    assert re.findall("-A INPUT .*", text)[:2] == ["-A INPUT -j OTPPI-INPUT", "-A INPUT -p tcp -j ACCEPT"]
    assert "OTPPI-OLD" not in text
    assert not connects(place.office, LAN4, CLOSED)


def test_a_bad_line_leaves_the_old_ones_active_and_is_named(place):
    load(place, firewall())
    before = in_force(place)
    wanted = firewall(open_ports={"a": OpenPort(port="7001")})
    bad = "-A OTPPI-INPUT --no-such-option"
    with pytest.raises(FirewallRefused) as refused:
        load(place, {4: wanted[4], 6: (*wanted[6], bad)})
    assert (refused.value.family, refused.value.line) == (6, bad)
    assert in_force(place) == before


def test_what_only_the_kernel_refuses_in_one_family_takes_the_other_back(place):
    load(place, firewall())
    before = in_force(place)
    wanted = firewall(open_ports={"a": OpenPort(port="7001")})
    # The command finds nothing wrong with a jump to a chain that is in another table.
    bad = "-A OTPPI-INPUT -j TPROXY --on-port 1 -p tcp"
    with pytest.raises(FirewallRefused):
        load(place, {4: wanted[4], 6: (*wanted[6], bad)})
    assert in_force(place) == before


def test_without_the_commands_the_host_is_said_to_lack_them(place, monkeypatch):
    monkeypatch.setattr("otppi.system.firewall.iptables._COMMANDS", {4: "no-such-tables"})
    assert not iptables.is_available(4)
    with pytest.raises(HostUnreachable, match="no-such-tables"):
        load(place, {4: firewall()[4]})


def test_no_packet_finds_a_gap_while_the_rules_are_loaded_anew(place):
    place.listen(API, CLOSED)
    settings = FirewallSettings(api_connections_per_second=10_000, api_burst=10_000)
    load(place, firewall(settings))
    is_over, closed, took = threading.Event(), [], []

    def knock():
        while not is_over.wait(0.001):
            closed.extend(begun(place.office, LAN4, CLOSED))
            took.append(len(answered(begun(place.phone, AP4, API), 0.9)))

    client = threading.Thread(target=knock)
    client.start()
    wanted = [firewall(settings, {"a": OpenPort(port="7001")} if one % 2 else {}) for one in range(20)]
    for one in wanted:
        load(place, one)
    is_over.set()
    client.join(20)
    let_in = answered(closed, FILTERED)
    assert len(took) > 20
    assert took.count(0) == 0, "an open port was not answered at once"
    assert let_in == []


def test_legacy_iptables_does_the_same(place, tmp_path: Path, monkeypatch):
    needs.programs("xtables-legacy-multi")
    for name in ("iptables", "ip6tables"):
        for command in ("save", "restore"):
            (tmp_path / f"{name}-{command}").symlink_to(needs.program("xtables-legacy-multi"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/usr/bin")
    assert shutil.which("iptables-restore") == str(tmp_path / "iptables-restore")
    place.listen(ADMIN, CLOSED)
    load(place, firewall())
    before = in_force(place)
    assert connects(place.office, LAN4, ADMIN)
    assert not connects(place.office, LAN4, CLOSED)
    assert not connects(place.office, LAN6, CLOSED)
    with pytest.raises(FirewallRefused, match="line"):
        load(place, {4: firewall()[4], 6: ("-A OTPPI-INPUT --no-such-option",)})
    load(place, firewall())
    assert in_force(place) == before
    load(place, {4: (), 6: ()})
    assert "OTPPI" not in in_force(place)
    assert connects(place.office, LAN6, CLOSED)
