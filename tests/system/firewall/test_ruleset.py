import re
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.system.firewall.ruleset import emergency_rules, rules
from otppi.system.firewall.services import AccessPoint, Services
from otppi.system.firewall.settings import FirewallSettings, OpenPort

POINT = AccessPoint(interface="wlan0", address=IPv4Address("192.168.0.11"), portal_port=80, forwards=False)
SERVICES = Services(admin_ports=(8888,), api_ports=(8899, 443), access_point=POINT)
WITHOUT_POINT = replace(SERVICES, access_point=None)
FAMILIES = (4, 6)


def made(family=4, settings=None, ports=None, services=SERVICES):
    return rules(family, settings or FirewallSettings(), ports or {}, services)


def added(family, entry, services=SERVICES):
    before = made(family, services=services)
    after = list(made(family, ports={"a": entry}, services=services))
    for rule in before:
        after.remove(rule)
    return after


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", [FirewallSettings(), FirewallSettings(log_dropped=True)])
def test_what_nothing_accepted_is_dropped_at_the_end(family, settings):
    for chain in ("OTPPI-INPUT", "OTPPI-FORWARD"):
        lines = [line for line in made(family, settings) if line.startswith(f"-A {chain} ")]
        assert lines[-1] == f"-A {chain} -j DROP"


def test_switched_off_there_are_no_rules():
    assert made(4, FirewallSettings(enabled=False)) == made(6, FirewallSettings(enabled=False)) == ()


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (OpenPort(port="7"), "-p tcp -m tcp --dport 7"),
        (OpenPort(port="0007-9", protocol="udp"), "-p udp -m udp --dport 7:9"),
        (OpenPort(port="7-7", interface="ppp0"), "-i ppp0 -p tcp -m tcp --dport 7"),
        (OpenPort(port="7", interface="ethernet"), "-i eth0 -p tcp -m tcp --dport 7"),
        (OpenPort(port="7", interface="access-point"), "-i wlan0 -p tcp -m tcp --dport 7"),
        (OpenPort(port="7", source="10.1.2.3/8"), "-s 10.0.0.0/8 -p tcp -m tcp --dport 7"),
        (OpenPort(port="7", source="10.1.2.3"), "-s 10.1.2.3/32 -p tcp -m tcp --dport 7"),
    ],
    ids=str,
)
def test_an_entry_becomes_one_rule(entry, rule):
    assert added(4, entry) == [f"-A OTPPI-INPUT {rule} -j ACCEPT"]
    assert len(added(6, entry)) == (0 if entry.source else 1)


@pytest.mark.parametrize(
    ("entry", "services"),
    [
        (OpenPort(port="7", open=False), SERVICES),
        (OpenPort(port="7", interface="access-point"), WITHOUT_POINT),
    ],
    ids=["closed", "no access point"],
)
def test_an_entry_that_opens_nothing_becomes_no_rule(entry, services):
    assert added(4, entry, services) == added(6, entry, services) == []


def test_without_an_access_point_nothing_is_offered_there():
    text = "\n".join(made(services=WITHOUT_POINT))
    assert "wlan" not in text
    assert not re.search(r"--dport (53|67|80) ", text)


def test_an_api_on_the_port_of_the_portal_keeps_its_own_limit_and_is_open_to_all():
    services = replace(SERVICES, api_ports=(80,))
    limits = [rule for rule in made(services=services) if "hashlimit" in rule]
    assert [re.search(r"--dports (\S+)", rule)[1] for rule in limits] == ["8888", "80"]
    assert "-A OTPPI-INPUT -p tcp -m tcp --dport 80 ! -i ppp+ -j ACCEPT" in made(services=services)


def test_the_smtp_server_has_the_limit_of_the_api_for_itself():
    limits = [rule for rule in made(services=replace(SERVICES, smtp_ports=(25,))) if "hashlimit" in rule]
    of_api, of_smtp = limits[-2:]
    assert "--dports 25 " in of_smtp
    assert of_smtp.replace("--dports 25 ", "").replace("otppi-smtp", "otppi-api") == re.sub(
        r"--dports \S+ ", "", of_api
    )


def test_a_device_whose_services_listen_to_itself_alone_opens_nothing_for_them():
    services = Services(admin_ports=(), api_ports=(), access_point=None)
    assert not any("tcp" in rule for rule in made(services=services))


def test_a_limit_is_remembered_until_the_burst_is_full_again():
    settings = FirewallSettings(admin_connections_per_minute=30, admin_burst=1000)
    text = "\n".join(made(settings=settings))
    assert (
        "otppi-admin-30-1000 --hashlimit-htable-size 1024 --hashlimit-htable-max 32768 "
        "--hashlimit-htable-expire 2000000 " in text
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_emergency_rules_need_only_connection_tracking(family):
    modules = set(re.findall(r"-m (\S+)", "\n".join(emergency_rules(family, SERVICES))))
    assert modules <= {"conntrack", "tcp", "udp", "icmp6", "hl"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_emergency_rules_open_nothing_that_the_usual_ones_do_not(family):
    assert set(emergency_rules(family, SERVICES)) <= set(made(family))


_RULE = re.compile(
    r"-A OTPPI-INPUT (-s [0-9a-f:.]+/[0-9]+ )?(-i [A-Za-z0-9][A-Za-z0-9_.-]* )?-p (tcp|udp) -m \3 "
    r"--dport [0-9]{1,5}(:[0-9]{1,5})? -j ACCEPT"
)
_words = st.text(max_size=20) | st.from_regex(r"[0-9 :./!-]{0,12}", fullmatch=True)
_sources = st.ip_addresses().map(str) | _words
_ports = (
    st.integers(0, 70_000).map(str) | st.from_regex(r"[0-9]{1,5}\s*-\s*[0-9]{1,5}", fullmatch=True) | _words
)


@given(
    st.fixed_dictionaries(
        {"port": _ports},
        optional={
            "protocol": st.sampled_from(["tcp", "udp", "TCP"]) | _words,
            "interface": st.sampled_from(["any", "access-point", "ethernet", "ppp0"]) | _words,
            "source": _sources,
            "note": _words,
        },
    )
)
def test_no_input_adds_a_line_or_an_option(raw):
    entry, _ = OpenPort.parse(raw)
    if entry is None:
        return
    for family in FAMILIES:
        lines = added(family, entry)
        assert len(lines) <= 1
        assert all(_RULE.fullmatch(line) for line in lines), lines
