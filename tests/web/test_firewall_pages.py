import socket

import pytest

from otppi.system.firewall.settings import FirewallSettings, OpenPort
from tests.web.test_settings_pages import fields_of

NEW = {"port": "5000-5010", "protocol": "tcp", "interface": "ethernet", "source": "10.0.0.0/8", "open": "on"}


@pytest.fixture
def ports(pages):
    return lambda: pages.gateway.store.items(OpenPort)


def test_opens_changes_closes_and_forgets_a_port(pages, owner, ports):
    after = owner.follow(owner.post("/firewall/ports", {**NEW, "note": "<b>till</b>"}))
    assert "5000-5010/tcp" in after.visible
    assert "<b>till" not in after.text
    assert ports()["tcp5000-5010"].network is not None
    changed = {**NEW, "source": "", "interface": "any", "note": ""}
    assert owner.post("/firewall/ports/tcp5000-5010", changed).status == 303
    assert ports()["tcp5000-5010"].source == ""
    assert (
        "closed" in owner.follow(owner.post("/firewall/ports/tcp5000-5010/switch", {"open": "false"})).visible
    )
    assert not ports()["tcp5000-5010"].open
    assert owner.post("/firewall/ports/tcp5000-5010/remove").status == 303
    assert not ports()


def test_one_port_may_be_open_for_two_networks(pages, owner, ports):
    for source in ("10.0.0.0/8", "172.16.0.0/12"):
        assert owner.post("/firewall/ports", {**NEW, "source": source}).status == 303
    assert [one.source for one in ports().values()] == ["10.0.0.0/8", "172.16.0.0/12"]
    assert list(ports()) == ["tcp5000-5010", "tcp5000-5010-2"]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("port", "70000", "must be 1 to 65535"),
        ("port", "<script>", "must be a port from 1 to 65535"),
        ("source", "10.0.0.0/99", "must be an address or a network"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(pages, owner, ports, field, value, reason):
    answer = owner.post("/firewall/ports", {**NEW, field: value})
    assert answer.status == 422
    assert f'id="f-{field}-error">{reason}' in answer.text
    assert "<script>" not in answer.text.replace('<script src="', "")
    assert not ports()


def test_a_port_that_a_service_needs_is_not_closed(pages, owner, ports):
    answer = owner.post("/firewall/ports", {"port": "5353", "protocol": "udp", "interface": "any"})
    assert answer.status == 422
    assert "needed for the device's name in the network and cannot be closed here" in answer.visible
    assert not ports()


def test_says_of_what_listens_whether_the_firewall_lets_callers_in(pages, owner):
    with socket.socket() as open_one, socket.socket() as closed_one:
        for one in (open_one, closed_one):
            one.bind(("0.0.0.0", 0))  # noqa: S104 - a firewall has nothing to do with the loopback
            one.listen()
        number = open_one.getsockname()[1]
        owner.post("/firewall/ports", {**NEW, "port": str(number), "source": "", "note": "till"})
        seen = owner.get("/firewall").visible
        assert f"{number}/tcp" in seen
        row = seen.split("What listens on the device")[1].split(f"{number}/tcp")[1]
        assert row.index("open Ethernet opened by you: till") < row.index("/tcp")
        row = seen.split("What listens on the device")[1].split(f"{closed_one.getsockname()[1]}/tcp")[1]
        assert "closed nobody" in row[:120]
        # The pages of this test listen on the loopback.
        row = seen.split("What listens on the device")[1].split(f"{pages.admin_port}/tcp")[1]
        assert "the device itself only" in row[:120]


def test_names_the_ports_that_are_always_open_and_whose_they_are(pages, owner):
    seen = owner.get("/firewall").visible
    assert "5353/udp the device's name in the network every network but mobile internet" in seen
    assert "67/udp DHCP on the access point the access point" in seen


def test_switch_and_limits_are_saved_and_reset(pages, owner):
    store = pages.gateway.store
    given = fields_of(owner.get("/firewall"), "/firewall")
    given.pop("firewall.answers_ping")
    owner.post("/firewall", {**given, "firewall.api_burst": "77"})
    assert (store.get(FirewallSettings).answers_ping, store.get(FirewallSettings).api_burst) == (False, 77)
    owner.post("/firewall/ports", NEW)
    owner.post("/firewall/reset", {"section": "firewall"})
    assert store.get(FirewallSettings) == FirewallSettings()
    assert store.items(OpenPort)


def test_a_limit_that_cannot_be_is_refused_beside_its_field(pages, owner):
    given = fields_of(owner.get("/firewall"), "/firewall")
    answer = owner.post("/firewall", {**given, "firewall.api_burst": "1"})
    assert answer.status == 422
    assert 'id="f-firewall.api_burst-error">must be 20 to 10000<' in answer.text


def test_only_owners_come_here(pages, owner, operator):
    for path in ("/firewall", "/firewall/ports/new"):
        assert operator.get(path).status == 403
    assert operator.post("/firewall/ports", NEW).status == 403
    assert not pages.gateway.store.items(OpenPort)


def test_an_entry_that_is_not_there_is_not_found(pages, owner):
    assert owner.get("/firewall/ports/tcp1").status == 404


def test_a_new_port_is_offered_for_the_cable_alone_and_in_plain_words(pages, owner):
    page = owner.get("/firewall/ports/new")
    assert '<option value="ethernet" selected>' in page.text
    assert "everywhere, mobile internet included" in page.visible
    assert "ppp0" not in page.visible
