"""What each vendor of dynamic DNS is asked, and what follows from every answer that its documents name."""

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from otppi import __version__
from otppi.ddns import wire
from otppi.ddns.outcome import Next
from otppi.ddns.providers import afraid, dynu_v2, provider
from otppi.ddns.settings import (
    AAAA,
    AFRAID,
    CLOUDFLARE,
    DYNDNS2,
    DYNU,
    NOIP,
    V2,
    A,
    AfraidSettings,
    CloudflareSettings,
    DdnsRecord,
    Dyndns2Settings,
    DynuSettings,
    NoIpSettings,
)
from tests.broker_servers.certificates import certificates
from tests.ddns_server import (
    ACCOUNT_ID,
    EMAIL,
    KEY,
    NAME_SERVERS,
    PASSWORD,
    TOKEN,
    USER,
    DdnsServer,
    Reply,
    as_json,
    basic,
    cloudflare_error,
    dynu_error,
)

IPV4, IPV6 = ip_address("203.0.113.7"), ip_address("2001:db8::7")
WHO = {"username": USER, "password": PASSWORD, "company": "Toko Satu", "email": "it@example.com"}
CODED = basic().removeprefix("Basic ")
NIC_SETTINGS = {NOIP: NoIpSettings, DYNU: DynuSettings, AFRAID: AfraidSettings, DYNDNS2: Dyndns2Settings}
DONE, LATER, STOPPED = Next.DONE, Next.LATER, Next.STOPPED


@pytest.fixture(scope="module")
def running() -> Iterator[DdnsServer]:
    one = DdnsServer()
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_text(certificates().ca.pem)
    return file


@pytest.fixture
def server(running, ca_file, monkeypatch) -> DdnsServer:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    running.forget()
    return running


def account(vendor, server, **changes):
    if vendor == CLOUDFLARE:
        return CloudflareSettings(endpoint=f"{server.url}/client/v4", **{"auth_token": TOKEN, **changes})
    if vendor == AFRAID:
        changes = {"token_endpoint": f"{server.url}/u", **changes}
    path = "/v2" if changes.get("api_version") == V2 else "/nic/update"
    return NIC_SETTINGS[vendor](**{"endpoint": server.url + path, **WHO, **changes})


def record(vendor, **changes):
    return DdnsRecord(**{"provider": vendor, "zone": "example.com", "record_name": "otp", **changes})


def update(of, what):
    return provider(what.provider).update(of, what, IPV6 if what.type == AAAA else IPV4)


def ask(vendor, server, of=None, **changes):
    return update(account(vendor, server, **(of or {})), record(vendor, **changes))


# The update protocol of DynDNS.

WORDS = [
    (f"good {IPV4}", DONE, False, 0),
    ("good", DONE, False, 0),
    (f"nochg {IPV4}\r\n", DONE, False, 0),
    (f"good {IPV4},2001:db8::9", DONE, False, 0),
    ("badauth", STOPPED, True, 0),
    ("badagent", STOPPED, True, 0),
    ("good 127.0.0.1", STOPPED, True, 0),
    ("!donator", STOPPED, True, 0),
    ("abuse", STOPPED, True, 0),
    ("nohost", STOPPED, False, 0),
    ("notfqdn", STOPPED, False, 0),
    ("!yours", STOPPED, False, 0),
    ("!active", STOPPED, False, 0),
    ("numhost", STOPPED, False, 0),
    ("dnserr", LATER, False, 1800),
    ("911", LATER, False, 1800),
    ("good 198.51.100.9", LATER, False, 3600),
    ("whatever this is", LATER, False, 3600),
    ("", LATER, False, 3600),
]


@pytest.mark.parametrize("vendor", [NOIP, DYNU, AFRAID, DYNDNS2])
def test_every_word_of_the_protocol_has_its_outcome_whatever_the_http_status(server, vendor):
    for text, then, stops_account, wait_s in WORDS:
        for status in (200, 400, 500) if text.split()[:1] != ["whatever"] and text else (200,):
            server.script.append(Reply(text=text, status=status))
            outcome = ask(vendor, server)
            # FreeDNS has names with tokens of their own, and Dynu says badauth of a domain that it does not know.
            is_of_name = vendor == AFRAID or (vendor == DYNU and text == "badauth")
            assert (outcome.next, outcome.stops_account) == (then, stops_account and not is_of_name), text
            if then is LATER:
                assert outcome.wait_s == wait_s, text
            assert bool(outcome.advice) == (then is STOPPED or wait_s == 3600), text
            assert outcome.finding, text


@pytest.mark.parametrize(
    ("text", "then", "wait_s"), [("unknown", STOPPED, None), ("servererror", LATER, 1800)]
)
def test_dynu_has_words_of_its_own(server, text, then, wait_s):
    server.script += [Reply(text=text), Reply(text=text)]
    outcome = ask(DYNU, server)
    assert (outcome.next, outcome.word, outcome.stops_account) == (then, text, False)
    assert wait_s is None or outcome.wait_s == wait_s
    elsewhere = ask(NOIP, server)
    assert (elsewhere.next, elsewhere.word, elsewhere.wait_s) == (LATER, text, 3600)


def test_what_a_vendor_says_that_nobody_knows_is_shown_short_and_printable(server):
    server.script.append(Reply(text="Wartung\x1b[31m\n bis morgen " + "x" * 70_000))
    outcome = ask(NOIP, server)
    assert outcome.word.startswith("Wartung [31m bis morgen xxx")
    assert len(outcome.word) == 200


@pytest.mark.parametrize("vendor", [NOIP, AFRAID, DYNDNS2])
@pytest.mark.parametrize(("kind", "address"), [(A, IPV4), (AAAA, IPV6)])
def test_one_name_is_updated_by_one_question(server, vendor, kind, address):
    assert ask(vendor, server, type=kind).word == "good"
    assert ask(vendor, server, type=kind).word == "nochg"
    assert server.hosts == {"otp.example.com": str(address)}
    one = server.requests[0]
    assert (one.method, one.path, one.document) == ("GET", "/nic/update", None)
    assert one.query == {"hostname": "otp.example.com", "myip": str(address)}
    assert one.headers["authorization"] == basic()
    assert one.headers["user-agent"] == f"Toko Satu OTP-Pi/{__version__} it@example.com"


def test_the_documented_server_refuses_as_documented(server):
    assert ask(NOIP, server, of={"password": "other"}).word == "badauth"
    assert ask(NOIP, server, record_name="other").word == "nohost"


@pytest.mark.parametrize(
    ("changes", "query"),
    [
        ({}, {"hostname": "example.com", "alias": "otp", "myip": str(IPV4), "myipv6": "no"}),
        ({"type": AAAA}, {"hostname": "example.com", "alias": "otp", "myip": "no", "myipv6": str(IPV6)}),
        (
            {"zone": "Toko.FreeDDNS.org", "record_name": "@"},
            {"hostname": "toko.freeddns.org", "myip": str(IPV4), "myipv6": "no"},
        ),
    ],
)
def test_dynu_is_told_the_domain_and_what_stands_before_it(server, changes, query):
    server.hosts["toko.freeddns.org"] = ""
    assert ask(DYNU, server, **changes).word == "good"
    assert server.requests[0].query == query
    assert server.requests[0].headers["authorization"] == basic()


@pytest.mark.parametrize(
    ("who", "agent"),
    [
        ((), f"OTP-Pi Appliance/{__version__}"),
        (("", "it@example.com"), f"OTP-Pi Appliance/{__version__} it@example.com"),
        (("Toko", ""), f"Toko OTP-Pi/{__version__}"),
        (("Tokö ☕", "it@example.com"), f"Tok  OTP-Pi/{__version__} it@example.com"),
    ],
)
def test_the_program_says_who_it_is_in_the_form_that_no_ip_wants(who, agent):
    assert wire.user_agent(*who) == agent


# FreeDNS.

SENTENCES = [
    (f"Updated otp.example.com from 198.51.100.1 to {IPV4}", DONE, "good"),
    (f"Updated 1 host(s) otp.example.com to {IPV4} in 0.326 seconds", DONE, "good"),
    (f"No IP change detected for otp.example.com with IP {IPV4}, skipping update", DONE, "nochg"),
    (f"ERROR: Address {IPV4} has not changed.", DONE, "nochg"),
    ('{"targets": [{"status": "No IP change detected"}]}', DONE, "nochg"),
    ("ERROR: Address 198.51.100.9 has not changed.", LATER, None),
    (f"Updated otp.example.com from {IPV4} to 198.51.100.9", LATER, None),
    ("ERROR: Invalid update URL (2)", STOPPED, None),
    ("ERROR: Unable to locate this record (changed password recently?)", STOPPED, None),
    ('ERROR: "800.0.0.1" is an invalid IP address.', STOPPED, None),
    ("ERROR: Could not authenticate.", STOPPED, None),
    ("Failed authenticating to fetch API keys", STOPPED, None),
    ("Couldn't find any matching DNS records via update key", STOPPED, None),
    ("ERROR: The sea is high", LATER, None),
]


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_freedns_speaks_in_sentences(server, token):
    for text, then, word in SENTENCES:
        server.script.append(Reply(text=text))
        outcome = ask(AFRAID, server, token=token)
        assert (outcome.next, outcome.word) == (then, word or text), text
        assert not outcome.stops_account, text


@pytest.mark.parametrize(("kind", "address"), [(A, IPV4), (AAAA, IPV6)])
def test_a_token_updates_its_name_at_freedns_without_a_password(server, kind, address):
    assert ask(AFRAID, server, token=TOKEN, type=kind).word == "good"
    assert ask(AFRAID, server, token=TOKEN, type=kind).word == "nochg"
    one = server.requests[0]
    assert (one.method, one.path, one.query) == ("GET", f"/u/{TOKEN}/", {"ip": str(address)})
    assert "authorization" not in one.headers


def test_a_token_that_freedns_does_not_know_stops_this_record_alone(server):
    outcome = ask(AFRAID, server, token="other")
    assert (outcome.next, outcome.stops_account) == (STOPPED, False)
    assert "token" in outcome.finding


def test_freedns_is_not_asked_without_token_and_password(server):
    assert ask(AFRAID, server, of={"password": ""}).next is STOPPED
    assert not server.requests


def test_freedns_has_a_host_of_its_own_for_ipv6():
    ipv4, ipv6 = record(AFRAID), record(AFRAID, type=AAAA)
    assert afraid.token_endpoint(AfraidSettings(), ipv4) == "https://sync.afraid.org/u"
    assert afraid.token_endpoint(AfraidSettings(), ipv6) == "https://v6.sync.afraid.org/u"
    own = AfraidSettings(token_endpoint="https://dns.example.com/u/")
    assert afraid.token_endpoint(own, ipv6) == "https://dns.example.com/u"


# Cloudflare.


def row(**changes):
    return {
        "id": "record1", "zone": "zone1", "type": "A", "name": "otp.example.com", "content": "198.51.100.1",
        "ttl": 300, "proxied": True, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "address"), [(A, IPV4), (AAAA, IPV6)])
def test_cloudflare_gets_a_record_that_is_not_there(server, kind, address):
    assert ask(CLOUDFLARE, server, type=kind, ttl=120, proxied=True).word == "good"
    asked = [(one.method, one.path.removeprefix("/client/v4"), one.query) for one in server.requests]
    assert asked == [
        ("GET", "/zones", {"name": "example.com"}),
        ("GET", "/zones/zone1/dns_records", {"type": kind, "name": "otp.example.com"}),
        ("POST", "/zones/zone1/dns_records", {}),
    ]
    assert server.requests[-1].document == {
        "type": kind, "name": "otp.example.com", "content": str(address), "ttl": 120, "proxied": True,
    }  # fmt: skip
    assert all(one.headers["authorization"] == f"Bearer {TOKEN}" for one in server.requests)
    assert server.requests[0].headers["user-agent"] == f"OTP-Pi Appliance/{__version__}"


def test_at_cloudflare_only_the_address_of_a_record_changes(server):
    server.records = {"record1": row(), "record2": row(id="record2", type="AAAA", content="2001:db8::1")}
    assert ask(CLOUDFLARE, server, ttl=60, proxied=False).word == "good"
    last = server.requests[-1]
    assert (last.method, last.document) == ("PATCH", {"content": str(IPV4)})
    assert server.records["record1"] == row(content=str(IPV4))
    assert server.records["record2"]["content"] == "2001:db8::1"
    assert ask(CLOUDFLARE, server).word == "nochg"
    assert [one.method for one in server.requests[-2:]] == ["GET", "GET"]


def test_without_a_token_cloudflare_is_asked_by_e_mail_and_key(server):
    who = {"auth_token": "", "auth_email": EMAIL, "auth_api_key": KEY}
    assert ask(CLOUDFLARE, server, of=who).word == "good"
    headers = server.requests[0].headers
    assert (headers["x-auth-email"], headers["x-auth-key"]) == (EMAIL, KEY)
    assert "authorization" not in headers


def test_several_records_of_a_name_at_cloudflare_are_left_alone(server):
    server.records = {"record1": row(), "record2": row(id="record2", content="198.51.100.2")}
    outcome = ask(CLOUDFLARE, server)
    assert (outcome.next, outcome.stops_account) == (STOPPED, False)
    assert "several" in outcome.finding
    assert {one.method for one in server.requests} == {"GET"}


def test_a_zone_is_made_only_if_that_is_wanted(server):
    server.zones = {}
    who = {"account_id": ACCOUNT_ID}
    assert "no such zone" in ask(CLOUDFLARE, server, of=who).finding
    assert "account ID" in ask(CLOUDFLARE, server, force_create_zone=True).finding
    assert {one.method for one in server.requests} == {"GET"}
    outcome = ask(CLOUDFLARE, server, of=who, force_create_zone=True)
    assert outcome.next is DONE
    assert outcome.advice.endswith(": " + ", ".join(NAME_SERVERS))
    made = next(one for one in server.requests if one.method == "POST")
    assert made.document == {"name": "example.com", "account": {"id": ACCOUNT_ID}, "type": "full"}
    assert server.records["record1"]["zone"] == "zone1"
    assert len(server.zones) == 1


def test_the_name_servers_of_a_zone_are_told_until_it_is_in_use(server):
    server.zones["zone1"] |= {"status": "pending", "name_servers": ["amir.ns", "siti\u202eevil.ns"]}
    for word in ("good", "nochg"):
        outcome = ask(CLOUDFLARE, server)
        assert (outcome.next, outcome.word) == (DONE, word)
        assert outcome.advice.endswith(": amir.ns, siti evil.ns")
    server.zones["zone1"]["status"] = "active"
    assert ask(CLOUDFLARE, server).advice == ""
    server.zones["zone1"] |= {"status": "pending", "name_servers": None}
    assert ask(CLOUDFLARE, server).advice == ""


def test_of_several_zones_of_a_name_that_of_the_account_is_taken(server):
    server.zones["zone2"] = {"id": "zone2", "name": "example.com", "account": {"id": "account2"}}
    assert "several accounts" in ask(CLOUDFLARE, server).finding
    assert ask(CLOUDFLARE, server, of={"account_id": "account2"}).word == "good"
    assert server.records["record1"]["zone"] == "zone2"


CLOUDFLARE_ERRORS = [
    # code, message, next and whether the account stops at the list of zones, and the same at the records
    (0, "requires permission to list zones", (STOPPED, False), (STOPPED, False)),
    (1000, "Invalid API Token", (STOPPED, True), (STOPPED, True)),
    (1001, "Invalid zone identifier", (STOPPED, False), (STOPPED, False)),
    (1004, "DNS Validation Error", (STOPPED, False), (STOPPED, False)),
    (1038, "You cannot use this API for domains with a .tk TLD", (STOPPED, False), (STOPPED, False)),
    (1049, "example.com is not a registered domain", (STOPPED, False), (STOPPED, False)),
    (1061, "example.com already exists", (STOPPED, False), (STOPPED, False)),
    (1068, "Permission denied", (STOPPED, False), (STOPPED, False)),
    (6003, "Invalid request headers", (STOPPED, True), (STOPPED, True)),
    (7000, "No route for that URI", (STOPPED, False), (STOPPED, False)),
    (7003, "Could not route to /zones/1", (STOPPED, False), (STOPPED, False)),
    (9021, "Invalid TTL", (STOPPED, False), (STOPPED, False)),
    (9103, "Unknown X-Auth-Key or X-Auth-Email", (STOPPED, True), (STOPPED, True)),
    (9106, "Missing X-Auth-Key", (STOPPED, True), (STOPPED, True)),
    (9107, "Missing X-Auth-Email header", (STOPPED, True), (STOPPED, True)),
    (9109, "Unauthorized to access requested resource", (STOPPED, True), (STOPPED, False)),
    (10000, "Authentication error", (STOPPED, True), (STOPPED, False)),
    (10001, "Unable to authenticate request", (STOPPED, True), (STOPPED, True)),
    (81053, "An A, AAAA, or CNAME record with that host already exists", (STOPPED, False), (STOPPED, False)),
    (81054, "A CNAME record with that host already exists", (STOPPED, False), (STOPPED, False)),
    (99999, "Something new", (LATER, False), (LATER, False)),
]


def test_every_error_of_cloudflare_has_its_outcome(server):
    zones = as_json({"success": True, "result": [{"id": "zone1"}]})
    for code, message, at_zones, at_records in CLOUDFLARE_ERRORS:
        for before, expected in (([], at_zones), ([zones], at_records)):
            server.script += [*before, cloudflare_error(code, message, 403)]
            outcome = ask(CLOUDFLARE, server)
            assert (outcome.next, outcome.stops_account) == expected, code
            assert outcome.word == f"{code}: {message}"
            assert outcome.advice


@pytest.mark.parametrize("code", [81057, 81058])
def test_a_record_that_is_there_already_is_no_error(server, code):
    zones, records = ([{"id": "zone1"}], [])
    server.script += [as_json({"success": True, "result": one}) for one in (zones, records)]
    server.script.append(cloudflare_error(code, "An identical record already exists."))
    assert (outcome := ask(CLOUDFLARE, server)).next is DONE
    assert outcome.word == "nochg"


def test_cloudflare_may_refuse_the_account_by_a_code_that_nobody_knows(server):
    server.script.append(cloudflare_error(99999, "Go away", 401))
    outcome = ask(CLOUDFLARE, server)
    assert (outcome.next, outcome.stops_account, outcome.word) == (STOPPED, True, "99999: Go away")


def test_trouble_of_cloudflare_itself_soon_passes(server):
    server.script.append(cloudflare_error(10001, "Internal error", 500))
    assert (outcome := ask(CLOUDFLARE, server)).next is LATER
    assert outcome.wait_s == 60


# Dynu, API v2.


def v2(server, who=None, **changes):
    return ask(DYNU, server, of={"api_version": V2, **(who or {"api_key": KEY})}, **changes)


def paths(server):
    return [(one.method, one.path.removeprefix("/v2")) for one in server.requests]


def test_a_domain_of_dynu_keeps_what_it_has(server):
    before = dict(server.domain)
    assert v2(server, record_name="@").word == "good"
    assert paths(server) == [("GET", "/dns/getroot/example.com"), ("GET", "/dns/100"), ("POST", "/dns/100")]
    assert server.domain == before | {"ipv4Address": str(IPV4)}
    assert v2(server, record_name="@", type=AAAA).word == "good"
    assert server.domain == before | {"ipv4Address": str(IPV4), "ipv6Address": str(IPV6), "ipv6": True}
    assert all(one.headers["api-key"] == KEY for one in server.requests)


@pytest.mark.parametrize(
    ("kind", "field", "address"), [(A, "ipv4Address", IPV4), (AAAA, "ipv6Address", IPV6)]
)
def test_a_name_under_a_domain_of_dynu_is_made_and_then_updated(server, kind, field, address):
    assert v2(server, type=kind, ttl=300).word == "good"
    made = {
        "nodeName": "otp",
        "recordType": kind,
        "state": True,
        "group": "",
        field: str(address),
        "ttl": 300,
    }
    assert paths(server)[1:] == [("GET", "/dns/record/otp.example.com"), ("POST", "/dns/100/record")]
    assert server.requests[1].query == {"recordType": kind}
    assert server.requests[-1].document == made
    assert v2(server, type=kind, ttl=60).word == "good"
    assert paths(server)[-1] == ("POST", "/dns/100/record/7")
    assert server.requests[-1].document == made
    assert len(server.dynu_records) == 1


def test_the_ttl_is_left_to_dynu_unless_it_is_set(server):
    v2(server)
    assert "ttl" not in server.requests[-1].document


def test_without_a_key_dynu_gives_a_token_for_user_name_and_password(server):
    assert v2(server, who={"api_key": ""}).word == "good"
    assert paths(server)[0] == ("GET", "/oauth2/token")
    assert server.requests[0].headers["authorization"] == basic()
    assert all(one.headers["authorization"] == f"Bearer {TOKEN}" for one in server.requests[1:])


def test_several_records_of_a_name_at_dynu_are_left_alone(server):
    one = {"id": 1, "hostname": "otp.example.com", "nodeName": "otp", "recordType": "A"}
    server.dynu_records = [one, {**one, "id": 2}]
    assert "several" in v2(server).finding
    assert {one.method for one in server.requests} == {"GET"}


def test_dynu_v2_has_an_address_of_its_own():
    assert dynu_v2.endpoint(DynuSettings()) == "https://api.dynu.com/v2"
    assert (
        dynu_v2.endpoint(DynuSettings(endpoint="https://dns.example.com/v2/")) == "https://dns.example.com/v2"
    )


@pytest.mark.parametrize(
    ("reply", "then", "stops_account", "wait_s"),
    [
        (dynu_error(401, "Authentication Exception", "Failed authentication."), STOPPED, True, None),
        (
            as_json({"exception": {"statusCode": 401, "type": "Authentication Exception"}}),
            STOPPED,
            True,
            None,
        ),
        (dynu_error(501, "Argument Exception", "Invalid."), STOPPED, False, None),
        (dynu_error(503, "Quota Exception", "Free quota is used up."), LATER, False, 3600),
        (dynu_error(500, "Server Exception", "Oops"), LATER, False, 1800),
        (as_json({"statusCode": 200}), LATER, False, 3600),
        (as_json({"statusCode": "many"}), LATER, False, 3600),
        (as_json({"exception": "?"}), LATER, False, 3600),
        (as_json([]), LATER, False, 3600),
    ],
)
def test_every_error_of_dynu_v2_has_its_outcome(server, reply, then, stops_account, wait_s):
    server.script.append(reply)
    outcome = v2(server)
    assert (outcome.next, outcome.stops_account) == (then, stops_account)
    assert wait_s is None or outcome.wait_s == wait_s


def test_an_error_of_dynu_in_the_middle_is_not_that_of_the_domain(server):
    server.script.append(as_json({"statusCode": 200, "id": 100, "domainName": "example.com"}))
    server.script.append(dynu_error(501, "Argument Exception", "Invalid."))
    outcome = v2(server)
    assert (outcome.next, outcome.word) == (LATER, "Argument Exception: Invalid.")


# Answers of no vendor, and no answers.

ANY = [
    (NOIP, {}, {}),
    (AFRAID, {}, {"token": TOKEN}),
    (CLOUDFLARE, {}, {}),
    (DYNU, {"api_version": V2, "api_key": KEY}, {}),
]
PAGE = "<!DOCTYPE html><html><body>good 203.0.113.7, Updated a to b, please log in</body></html>"


@pytest.mark.parametrize(("vendor", "who", "changes"), ANY)
@pytest.mark.parametrize(
    ("reply", "then", "wait_s", "finding"),
    [
        (Reply(status=429), LATER, 1800, "too often"),
        (Reply(status=429, headers={"Retry-After": "7200"}), LATER, 7200, "too often"),
        (Reply(status=429, headers={"Retry-After": "1"}, text="{}"), LATER, 60, "too often"),
        (Reply(status=429, headers={"Retry-After": "9" * 400}), LATER, 86_400, "too often"),
        (
            Reply(status=429, headers={"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}),
            LATER,
            1800,
            "too often",
        ),
        (Reply(status=502, text=PAGE), LATER, 60, "trouble of its own"),
        (Reply(status=503), LATER, 60, "trouble of its own"),
        (Reply(status=401, text=PAGE), STOPPED, None, "does not accept"),
        (Reply(status=410, text=PAGE), LATER, 3600, "not to be found"),
        (Reply(status=302, headers={"Location": "/elsewhere"}), LATER, 3600, "not to be found"),
        (Reply(text=PAGE), LATER, 300, "web page"),
        (Reply(text=PAGE, status=403), LATER, 300, "web page"),
        (Reply(text="\x00\xff"), LATER, 3600, "not known"),
        (Reply(text="[" * 60_000), LATER, 3600, "not known"),
        (Reply(text="good 203.0.113.7", length=400), LATER, 60, "did not answer: the connection broke"),
    ],
)
def test_what_is_no_answer_of_the_vendor_is_never_taken_for_one(
    server, vendor, who, changes, reply, then, wait_s, finding
):
    server.script.append(reply)
    outcome = ask(vendor, server, of=who, **changes)
    assert outcome.next is then
    assert finding in outcome.finding
    assert wait_s is None or outcome.wait_s == wait_s
    assert len(server.requests) == 1  # no redirect was followed


@pytest.mark.parametrize(("vendor", "who", "changes"), ANY)
def test_a_vendor_that_is_silent_is_asked_again_soon(server, vendor, who, changes, monkeypatch):
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.15)
    server.script.append(Reply(silent=True))
    outcome = ask(vendor, server, of=who, **changes)
    assert (outcome.next, outcome.wait_s) == (LATER, 60)
    assert outcome.finding == "the vendor did not answer: it does not answer in time"


@pytest.mark.parametrize(
    ("endpoint", "finding"),
    [
        ("https://127.0.0.1:1/nic/update", "cannot be reached: nothing listens"),
        ("https://dns..example.com/nic/update", "cannot be reached: its name is not known"),
        ("https://127.0.0.1:99999/nic/update", "cannot be reached: there is no such port"),
        ("https://[::1/nic/update", "cannot be reached: there is no such address"),
    ],
)
def test_a_vendor_that_cannot_be_reached_is_asked_again_soon(server, endpoint, finding):
    outcome = ask(NOIP, server, of={"endpoint": endpoint})
    assert (outcome.next, outcome.word, outcome.wait_s) == (LATER, "", 60)
    assert finding in outcome.finding


def test_nothing_is_sent_to_whom_the_certificate_does_not_name(server):
    elsewhere = DdnsServer(host="127.0.0.2")
    elsewhere.start()
    outcome = ask(NOIP, elsewhere)
    elsewhere.stop()
    assert (outcome.next, outcome.wait_s) == (LATER, 60)
    assert outcome.finding.startswith("the vendor's certificate is not trusted: IP address mismatch")
    assert not elsewhere.requests


def test_nothing_is_sent_to_whom_nobody_vouches_for(server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    for vendor, who, changes in ANY:
        outcome = ask(vendor, server, of=who, **changes)
        assert outcome.finding.startswith("the vendor's certificate is not trusted: ")
        assert "date and time" in outcome.advice
    assert not server.requests


def test_nothing_is_sent_unencrypted_even_if_the_settings_say_so(server):
    endpoint = server.url.replace("https", "http") + "/nic/update"
    assert ask(NOIP, server, of={"endpoint": endpoint}).word == "good"


def test_a_proxy_of_the_environment_does_not_get_the_password(server, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert ask(NOIP, server).word == "good"


@pytest.mark.parametrize(
    ("vendor", "who", "changes", "proofs"),
    [
        (NOIP, {}, {}, (USER, PASSWORD, CODED)),
        (DYNDNS2, {}, {}, (USER, PASSWORD, CODED)),
        (DYNU, {}, {}, (USER, PASSWORD, CODED)),
        (DYNU, {"api_version": V2, "api_key": KEY}, {}, (USER, PASSWORD, CODED, KEY)),
        (AFRAID, {}, {}, (USER, PASSWORD, CODED)),
        (AFRAID, {}, {"token": TOKEN}, (TOKEN,)),
        (CLOUDFLARE, {}, {}, (TOKEN,)),
        (CLOUDFLARE, {"auth_token": "", "auth_email": EMAIL, "auth_api_key": KEY}, {}, (EMAIL, KEY)),
    ],
)
def test_no_outcome_holds_anything_of_the_account(server, caplog, vendor, who, changes, proofs):
    echo = "Sorry: " + " ".join(proofs)
    of, what = account(vendor, server, **who), record(vendor, **changes)
    for reply in (Reply(text=echo), cloudflare_error(5, echo), dynu_error(400, echo, echo)):
        server.script.append(reply)
        outcome = repr(update(of, what))
        assert "Sorry" in outcome or "not in the account" in outcome
        assert not [one for one in proofs if one in outcome + caplog.text]


def test_an_account_that_is_spoken_for_is_not_in_an_error(server):
    with pytest.raises(wire.Ended) as raised:
        wire.ask("https://127.0.0.1:1/u/" + TOKEN, agent="x", headers={"Authorization": basic()})
    assert not [one for one in (TOKEN, CODED) if one in repr(raised.value) + str(raised.value)]
    assert raised.value.__cause__ is None
