"""What is taken for the public address of the device, and what is refused."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from otppi.ddns.interface import addresses_of, ipv6_addresses, own_address
from otppi.ddns.public_address import (
    Learnt,
    NoAnswer,
    PublicAddress,
    agreed,
    judged,
    of_interface,
    read_answer,
)
from otppi.ddns.settings import AAAA, INTERFACE, A, NoIpSettings, PublicAddressSettings
from otppi.lib import https

FOUR, OTHER_FOUR, SIX = ip_address("8.8.4.4"), ip_address("9.9.9.9"), ip_address("2606:4700::1111")


@pytest.mark.parametrize(
    "text", ["8.8.4.4", " 8.8.4.4\r\n", "1.0.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1"]
)
def test_a_plain_public_address_is_taken(text):
    assert read_answer(text, A) == Learnt(address=ip_address(text.strip()))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.1.2.3", "local network"),
        ("172.16.0.1", "local network"),
        ("172.31.255.255", "local network"),
        ("192.168.0.11", "local network"),
        ("100.64.0.1", "carrier NAT"),
        ("100.127.255.254", "carrier NAT"),
        ("127.0.0.1", "loopback"),
        ("169.254.10.1", "link-local"),
        ("224.0.0.251", "multicast"),
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("192.0.2.7", "examples"),
        ("198.51.100.7", "examples"),
        ("203.0.113.7", "examples"),
        ("198.18.0.1", "not an address that all"),
        ("240.0.0.1", "not an address that all"),
        ("255.255.255.255", "not an address that all"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("fe80::1", "link-local"),
        ("fd00::1", "not an address that all"),
        ("ff02::fb", "multicast"),
        ("2001:db8::1", "examples"),
        ("2001::1", "not an address that all"),
        ("2002:808:404::1", "not an address that all"),
        ("::ffff:8.8.4.4", "not an address that all"),
        ("64:ff9b::808:404", "not an address that all"),
    ],
)
def test_an_address_that_nobody_can_reach_is_refused_with_the_reason(address, words):
    found = judged(ip_address(address))
    assert found.address is None
    assert words in found.finding
    assert found.advice


def test_behind_carrier_nat_a_message_broker_is_the_way():
    found = read_answer("100.70.1.2", A)
    assert "no name can lead to this device" in found.finding
    assert found.advice == "Use a message broker instead: page Message brokers."


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("<html><body>Please log in</body></html>", A, "a web page comes"),
        ("  <!DOCTYPE html>\n", AAAA, "a web page comes"),
        ("", A, "no address"),
        ("8.8.4.4 and more", A, "no address"),
        ("8.8.4.4\n9.9.9.9", A, "no address"),
        ("08.8.4.4", A, "no address"),
        ("1" * 2000, A, "no address"),
        ("8.8.4.4", AAAA, "no address"),
        ("2606:4700::1111", A, "no address"),
        ("8.8.4.4\x00", A, "no address"),
    ],
)
def test_what_is_no_address_of_this_kind_is_refused(text, kind, words):
    found = read_answer(text, kind)
    assert found.address is None
    assert words in found.finding


def test_two_sources_must_agree():
    names = ("one.example", "two.example")
    same = agreed(judged(FOUR), judged(FOUR), names)
    assert (same.address, same.is_sure, same.finding) == (FOUR, True, "")
    other = agreed(judged(FOUR), judged(OTHER_FOUR), names)
    assert other.address is None
    assert other.finding == "the two sources disagree: 8.8.4.4 and 9.9.9.9"
    down = Learnt(finding="cannot be reached: its name is not known")
    half = agreed(judged(FOUR), down, names)
    assert (half.address, half.is_sure) == (FOUR, False)
    assert half.finding == "two.example: cannot be reached: its name is not known"
    none = agreed(down, down, names)
    assert (none.address, none.finding) == (None, "both sources: cannot be reached: its name is not known")


def test_sources_are_two_and_nobody_on_the_way_can_answer_for_them():
    _, errors = PublicAddressSettings.parse(
        {"first_url": "http://one.example", "second_url": "http://one.example"}
    )
    assert "not encrypted" in errors["first_url"]
    assert errors["second_url"] == "must be another than the first"


@pytest.mark.parametrize("url", ["https://[1]/", "https://[:]", "https://[::1]/ip"])
def test_addresses_in_brackets_are_refused_as_not_all_can_be_read(url):
    for section, name in ((PublicAddressSettings, "first_url"), (NoIpSettings, "endpoint")):
        _, errors = section.parse({name: url})
        assert "must be an address such as" in errors[name]


def test_of_an_interface_the_first_address_is_taken_that_others_can_reach():
    addresses = [ip_address("192.168.0.11"), ip_address("fe80::1"), ip_address("fd00::1"), SIX, FOUR]
    assert of_interface("eth0", addresses, AAAA).address == SIX
    assert of_interface("eth0", addresses, A).address == FOUR
    assert "local network" in of_interface("eth0", addresses[:3], A).finding
    assert of_interface("eth9", [], AAAA).finding == "eth9 has no IPv6 address"


def test_the_addresses_of_an_interface_are_read_from_the_system(tmp_path: Path):
    assert ip_address("127.0.0.1") in addresses_of("lo")
    assert list(addresses_of("nosuch0")) == []
    table = tmp_path / "if_inet6"
    flags = {"1": "80", "2": "01", "3": "20", "4": "40", "5": "08", "6": "00"}
    lines = [
        f"2606470000000000000000000000000{n} 02 40 00 {flag} {'wlan0' if n == '6' else 'eth0'}"
        for n, flag in flags.items()
    ]
    table.write_text("\n".join(lines) + "\n")
    assert list(ipv6_addresses(table, "eth0")) == [ip_address("2606:4700::1")]
    assert list(ipv6_addresses(Path(os.devnull), "eth0")) == []


def test_a_source_is_asked_by_the_wanted_version_of_ip_alone():
    def ask(url, own):
        return https.ask(urlsplit(url), context=None, timeout_s=5, most_bytes=9, headers={}, from_host=own)

    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server, ThreadPoolExecutor() as hands:
        url = f"http://[::1]:{server.getsockname()[1]}/"
        answer = hands.submit(ask, url, "::")
        server.settimeout(5)
        connection, (peer, *_) = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n8.8.4.4")
        assert (peer, answer.result().body) == ("::1", b"8.8.4.4")
        with pytest.raises(https.Unreached, match="the wanted version of IP"):
            ask(url, "0.0.0.0")  # noqa: S104


class Sources:
    """What two sources on the internet say, and how often they were asked."""

    def __init__(self):
        self.says = {"https://one.example": "8.8.4.4", "https://two.example": "8.8.4.4\n"}
        self.asked = []

    def ask(self, url, record_type):
        self.asked.append((url, record_type))
        if (text := self.says[url]) is None:
            raise NoAnswer("cannot be reached: its name is not known")
        return text


def test_sources_are_asked_at_most_once_a_minute_for_all_records_of_a_type(clock):
    sources, settings = (
        Sources(),
        PublicAddressSettings(first_url="https://one.example", second_url="https://two.example"),
    )
    address = PublicAddress(
        lambda: settings, clock, ask=sources.ask, interface_addresses=lambda _: [OTHER_FOUR]
    )
    for _ in range(60):
        assert address.learn(A).address == FOUR
        clock.advance(1)
    assert len(sources.asked) == 2
    address.learn(A)
    assert len(sources.asked) == 4
    sources.says["https://two.example"] = None
    address.learn(AAAA)
    assert sources.asked[4:] == [("https://one.example", AAAA), ("https://two.example", AAAA)]
    assert address.last()[A].address == FOUR
    settings = PublicAddressSettings(source=INTERFACE)  # what somebody has just set is not waited for
    assert address.learn(A).address == OTHER_FOUR
    assert len(sources.asked) == 6


def test_carrier_nat_is_recognised_by_the_devices_own_address(clock):
    sources, own = Sources(), ip_address("100.70.1.2")
    settings = PublicAddressSettings(first_url="https://one.example", second_url="https://two.example")
    address = PublicAddress(
        lambda: settings,
        clock,
        ask=sources.ask,
        interface_addresses=lambda _: [],
        own_address=lambda: own,
    )
    assert "carrier NAT" in address.learn(A).finding
    assert sources.asked == []
    address.learn(AAAA)
    assert len(sources.asked) == 2
    own = ip_address("192.168.0.2")  # a router may hide it
    clock.advance(60)
    assert address.learn(A).address == FOUR


def test_the_own_address_is_asked_of_the_system_without_a_packet():
    address = own_address()
    assert address is None or not address.is_unspecified


def test_a_source_that_breaks_what_asks_it_is_asked_again(clock):
    def ask(url, _):
        raise ValueError(url)

    settings = PublicAddressSettings()
    address = PublicAddress(lambda: settings, clock, ask=ask, interface_addresses=lambda _: [])
    for _ in range(2):
        with pytest.raises(ValueError, match="icanhazip"):
            address.learn(A)


def test_a_source_that_drips_is_not_waited_for_longer_than_twice_its_time():
    is_over = threading.Event()

    def drip(server):
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not is_over.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as hands:
        hands.submit(drip, server)
        url = urlsplit(f"http://127.0.0.1:{server.getsockname()[1]}/")
        answer = hands.submit(https.ask, url, context=None, timeout_s=0.2, most_bytes=9, headers={})
        try:
            with pytest.raises(https.Unanswered, match="in time"):
                answer.result(timeout=5)
        finally:
            is_over.set()
