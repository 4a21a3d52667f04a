import os
import socket
from ipaddress import IPv4Address, ip_address

import pytest

from otppi.system.firewall.listening import Listener, Way, listeners, ways
from otppi.system.firewall.ruleset import rules
from otppi.system.firewall.services import ACCESS_POINT, NEAR, AccessPoint, Services
from otppi.system.firewall.settings import FirewallSettings, OpenPort

POINT = AccessPoint(interface="wlan0", address=IPv4Address("192.168.0.11"), portal_port=80, forwards=False)
SERVICES = Services(admin_ports=(8888,), api_ports=(8899, 443), access_point=POINT)


def listener(port, protocol="tcp", address="192.0.2.1"):
    return Listener(protocol=protocol, address=ip_address(address), port=port, user="root", program="")


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::1"),
        (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "::1"),
    ],
)
def test_finds_what_listens_with_the_name_of_its_program(family, kind, address):
    with socket.socket(family, kind) as one:
        one.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            one.listen()
        port = one.getsockname()[1]
        (found,) = [each for each in listeners() if each.port == port]
    assert (str(found.address), found.protocol) == (address, "tcp" if kind == socket.SOCK_STREAM else "udp")
    assert found.program
    assert found.user == "root" or os.getuid()
    assert not found.is_reachable


def test_a_connection_does_not_listen():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        ports = [each.port for each in listeners()]
        assert one.getsockname()[1] not in ports
        assert server.getsockname()[1] in ports


def test_a_kernel_without_ipv6_has_fewer_tables(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  4242        0 17 1 0\n"
    )
    (found,) = listeners(tmp_path)
    assert (str(found.address), found.port, found.user, found.program) == ("127.0.0.1", 8080, "4242", "")


def test_services_are_reached_whatever_the_owner_enters():
    assert ways(listener(8888), {}, SERVICES) == (Way(reached_from=NEAR, whose="the admin pages"),)
    assert [one.reached_from for one in ways(listener(53, "udp"), {}, SERVICES)] == [ACCESS_POINT]
    assert ways(listener(8888, "udp"), {}, SERVICES) == ()


def test_entries_of_the_owner_are_told_with_their_limits_while_they_are_open():
    ports = {
        "a": OpenPort(port="5000-5010", interface="ethernet", source="10.0.0.0/8", note="till"),
        "b": OpenPort(port="5005", open=False),
        "c": OpenPort(port="5005", protocol="udp"),
    }
    assert ways(listener(5005), ports, SERVICES) == (
        Way(reached_from="ethernet", source="10.0.0.0/8", note="till"),
    )
    assert ways(listener(5011), ports, SERVICES) == ()


def test_what_is_said_to_be_needed_is_what_the_rules_let_in():
    """Both are made from the same services by different code."""
    made = [*rules(4, FirewallSettings(), {}, SERVICES), *rules(6, FirewallSettings(), {}, SERVICES)]
    let_in = {
        (words[words.index("-m") + 1], int(words[words.index("--dport") + 1]))
        for words in (rule.split() for rule in made)
        if words[-1] == "ACCEPT" and "--dport" in words
    }
    assert let_in == {(need.protocol, need.port) for need in SERVICES.needed()}
