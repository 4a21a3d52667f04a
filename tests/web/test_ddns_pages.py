"""The pages of dynamic DNS."""

import re
from ipaddress import ip_address

import pytest

from otppi.ddns.settings import VENDORS, DdnsRecord, Dyndns2Settings, PublicAddressSettings
from otppi.web import ddns_words
from tests.broker_servers.certificates import certificates
from tests.ddns_server import PASSWORD, TOKEN, USER, DdnsServer, Reply

EVIL = '"><script>alert(1)</script>'
NAME = {
    "provider": "dyndns2",
    "type": "A",
    "zone": "example.com",
    "record_name": "otp",
    "active": "on",
    "every_minutes": "5",
    "ttl": "1",
}


@pytest.fixture
def vendor(monkeypatch, tmp_path):
    trusted = tmp_path / "ca.pem"
    trusted.write_text(certificates().ca.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    one = DdnsServer()
    one.start()
    yield one
    one.stop()


def records(pages):
    return pages.gateway.store.items(DdnsRecord)


def learns(pages, address):
    """Let the device have an interface with this address."""
    pages.gateway.store.update(PublicAddressSettings, {"source": "interface", "interface": "wan"})
    pages.gateway._ddns._public_address._interface_addresses = lambda _: [ip_address(address)]


def switch_on(pages, vendor):
    """Have an account at a vendor that is really asked."""
    account = {"active": True, "endpoint": f"{vendor.url}/nic/update", "username": USER, "password": PASSWORD}
    pages.gateway.store.update(Dyndns2Settings, account)


def path_of(pages):
    ((record_id, _),) = records(pages).items()
    return f"/ddns/records/{record_id}"


def test_every_vendor_has_its_page_and_its_name():
    assert {one.key: one.title for one in VENDORS} == {
        key: one.title for key, one in ddns_words.VENDORS.items()
    }
    assert set(ddns_words.VENDORS) == set(DdnsRecord.declared["provider"].choices)


def test_a_name_is_added_leads_to_its_account_and_is_changed_switched_off_and_removed(pages, owner):
    learns(pages, "192.168.1.2")
    assert "There is no name yet" in owner.get("/ddns").visible
    added = owner.post("/ddns/records/new", NAME)
    assert added.location == "/ddns/dyndns2"
    account = owner.follow(added)
    assert "The name otp.example.com is saved." in account.visible
    assert "Now give the account at Another vendor (dyndns2)" in account.visible
    path = path_of(pages)
    assert f'href="{path}"' in account.text, "the account says which names use it"
    listed = owner.get("/ddns")
    assert "stopped The account at Another vendor (dyndns2) is not active" in listed.visible
    assert "Fill in and activate the account" in listed.visible
    assert 'class="alert-link" href="/ddns/dyndns2"' in listed.text

    owner.post(path, {**NAME, "record_name": "@"})
    assert "switched off" in owner.follow(owner.post(f"{path}/switch")).visible
    assert not next(iter(records(pages).values())).active
    assert 'action="' + path + '/update"' not in owner.get("/ddns").text
    saved = owner.follow(owner.post(path, {name: one for name, one in NAME.items() if name != "active"}))
    assert "The name otp.example.com is saved." in saved.visible
    assert "is switched on" in owner.follow(owner.post(f"{path}/switch", {"active": "on"})).visible
    assert "Its vendor still has it" in owner.follow(owner.post(f"{path}/remove")).visible
    assert not records(pages)
    for answer in (owner.get(path), owner.post(path, NAME)):
        assert "there is no such name" in (answer if answer.status != 303 else owner.follow(answer)).visible
    assert not records(pages), "what another has removed does not come back"


def test_an_address_that_nobody_can_reach_says_what_is_the_way_then(pages, owner, vendor):
    switch_on(pages, vendor)
    learns(pages, "100.64.1.2")
    owner.post("/ddns/records/new", NAME)
    pages.wait_until(lambda: "carrier NAT" in owner.get("/ddns").visible)
    page = owner.get("/ddns")
    assert "waiting Your provider shares one address" in page.visible
    assert "none that others can reach" in page.visible
    assert 'class="alert-link" href="/brokers"' in page.text
    assert "carrier NAT" in owner.get("/ddns/address").visible
    assert '<a href="/ddns">' in owner.get("/diagnosis").text
    updated = owner.follow(owner.post(f"{path_of(pages)}/update"))
    assert "otp.example.com: Your provider shares" in updated.visible
    assert vendor.requests == []


def test_says_what_the_vendor_said_and_what_to_do(pages, owner, operator, viewer, vendor):
    switch_on(pages, vendor)
    learns(pages, "8.8.8.8")
    vendor.script.append(Reply(text="nohost"))
    owner.post("/ddns/records/new", NAME)
    pages.wait_until(lambda: "nohost" in owner.get("/ddns").visible)
    stopped = operator.get("/ddns")
    assert "stopped This name is not in the account Make it on the vendor's web page" in stopped.visible
    assert 'href="/ddns/dyndns2"' not in stopped.text
    assert "Edit" not in stopped.text.split('id="ddns"')[1]
    path = path_of(pages)
    assert "Please wait" in operator.follow(operator.post(f"{path}/update")).visible
    assert len(vendor.requests) == 1, "vendors block who asks too often"

    pages.gateway._ddns._keeper._clock = Later(pages.gateway._ddns._keeper._clock)
    assert "otp.example.com leads to 8.8.8.8 now" in operator.follow(operator.post(f"{path}/update")).visible
    page = viewer.get("/ddns")
    assert re.search(r"otp\.example\.com up to date .* Leads to 8\.8\.8\.8 Last confirmed ", page.visible)
    assert "The vendor's answer good The vendor has the address" in page.visible
    assert "Update now" not in page.visible
    assert viewer.post(f"{path}/update").status == 403
    for page in ("/ddns/dyndns2", "/ddns/address", "/ddns/records/new", path):
        assert operator.get(page).status == 403


class Later:
    """A clock two minutes ahead."""

    def __init__(self, clock):
        self._clock = clock

    def wall_s(self):
        return self._clock.wall_s() + 120

    def __getattr__(self, name):
        return getattr(self._clock, name)


def test_a_record_that_cannot_be_says_so_beside_its_fields(pages, owner):
    wrong = owner.post("/ddns/records/new", {**NAME, "provider": "afraid", "zone": EVIL, "token": "a b"})
    assert wrong.status == 422
    assert re.search(r'id="f-zone-error">must be a domain such as', wrong.text)
    assert 'id="f-token-error"' in wrong.text
    assert "a b" not in wrong.text
    assert EVIL not in wrong.text
    assert '<option value="afraid" selected>' in wrong.text
    assert not records(pages)


def test_what_is_of_one_vendor_alone_is_folded_away_for_others(owner):
    page = owner.get("/ddns/records/new").text
    assert re.findall(r'<summary class="card-header h5 mb-0">([^<]+)', page) == [
        "For Cloudflare only",
        "For FreeDNS only",
    ]
    owner.post("/ddns/records/new", {**NAME, "provider": "afraid"})
    path = re.search(r'href="(/ddns/records/[0-9a-f]+)"', owner.get("/ddns").text)[1]
    assert ">For FreeDNS only</h2>" in owner.get(path).text


def test_secrets_are_kept_not_shown_and_forgotten_if_asked(pages, owner):
    owner.post("/ddns/records/new", {**NAME, "provider": "afraid", "token": TOKEN})
    given = {"cloudflare.active": "on", "cloudflare.auth_token": "of-cloudflare"}
    assert "Saved." in owner.follow(owner.post("/ddns/cloudflare", given)).visible
    path = path_of(pages)
    shown = "".join(
        owner.get(one).text for one in (path, "/ddns", "/ddns/cloudflare", "/ddns/afraid", "/audit")
    )
    assert TOKEN not in shown
    assert "of-cloudflare" not in shown
    owner.post(path, {**NAME, "provider": "afraid", "token": ""})
    assert next(iter(records(pages).values())).token == TOKEN
    owner.post(path, {**NAME, "provider": "afraid", "token": "", "forget.token": "on"})
    assert next(iter(records(pages).values())).token == ""


@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("/ddns/cloudflare", {"cloudflare.active": "on"}, "is needed, or e-mail and API key"),
        ("/ddns/noip", {"noip.active": "on", "noip.username": "a"}, "is needed"),
        ("/ddns/dyndns2", {"dyndns2.endpoint": "http://example.com"}, "is not encrypted"),
        ("/ddns/address", {"ddns_address.second_url": "https://icanhazip.com"}, "must be another"),
    ],
)
def test_says_beside_the_field_what_is_wrong_with_an_account(owner, path, given, words):
    answer = owner.post(path, given)
    assert answer.status == 422
    assert words in answer.visible


def test_every_account_tells_where_its_data_are_found(owner):
    for vendor in ddns_words.VENDORS:
        page = owner.get(f"/ddns/{vendor}")
        assert page.status == 200
        assert "Where you find what is asked here" in page.visible
        assert "No name uses this account yet" in page.visible
