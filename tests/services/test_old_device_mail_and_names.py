"""E-mail and dynamic DNS of an old device, with invented data."""

import pytest

from otppi.ddns.settings import (
    AfraidSettings,
    CloudflareSettings,
    DdnsRecord,
    DynuSettings,
    NoIpSettings,
)
from otppi.mail.settings import EmailAccountSettings
from otppi.model.errors import BadRequest
from otppi.services.folders import StateFolder
from otppi.services.old_device.takeover import OldDevice
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.store import SettingsStore
from otppi.submission.settings import SubmissionSettings
from tests.services.test_old_device import all_parts, content, email, folder, name, take_over, vendor, zipped

EMAIL, DDNS = "email/sender-account.json", "ddns/ddns.json"
MODEMS = "gsm/devices.json"


@pytest.fixture
def store(tmp_path):
    store = SettingsStore(tmp_path / "state", SECTIONS, None)
    watch_over(store)
    return store


@pytest.fixture
def old(tmp_path, store):
    return OldDevice(StateFolder.prepared(tmp_path / "state"), store)


def notes(old, documents, kind):
    plan = old.read(content(zipped(documents)))
    return {(one["file"], one["name"]): one["reason"] for one in plan[kind]}


def test_the_files_of_the_whole_folder_are_taken_over(old, store):
    documents = folder()
    take_over(old, documents)
    account_id = documents[EMAIL][0]["id"]
    assert dict(store.items(EmailAccountSettings)) == {
        account_id: EmailAccountSettings(
            name="otp@shop.example",
            host="smtp.shop.example",
            sender_address="otp@shop.example",
            password="geheim-mail",
        )
    }
    assert store.get(SubmissionSettings) == SubmissionSettings(
        software_name="OTP-Broker",
        server_name="mail.shop.example",
        server_address="127.0.0.1",
        server_port=2525,
    )
    assert dict(store.items(DdnsRecord)) == {
        documents[DDNS]["d1"]["id"]: DdnsRecord(zone="shop.example", record_name="otp", ttl=300)
    }
    assert store.get(CloudflareSettings) == CloudflareSettings(
        active=True, account_id="a1b2", auth_email="ann@shop.example", auth_api_key="geheim-cloud"
    )
    account = {
        "active": True,
        "username": "ann",
        "password": "geheim-ddns",
        "company": "Shop",
        "email": "ann@shop.example",
    }
    assert store.get(NoIpSettings) == NoIpSettings(**account)
    assert store.get(AfraidSettings) == AfraidSettings(**account)
    assert store.get(DynuSettings) == DynuSettings(**account)


def test_people_see_accounts_and_records_by_their_names(old):
    plan = old.read(content(zipped(folder())))
    items = {part["key"]: {row["item"] for row in part["values"]} for part in plan["parts"]}
    assert items["email_accounts"] == {"otp@shop.example"}
    assert items["ddns"] == {"otp.shop.example"}


@pytest.mark.parametrize(
    ("old_values", "security", "allow_insecure"),
    [
        ({"ssl": True, "startTLS": False, "port": 465}, "ssl", False),
        ({"ssl": False, "startTLS": True, "port": 465}, "starttls", False),
        ({"ssl": True, "startTLS": True, "port": "465"}, "ssl", False),
        ({"ssl": True, "startTLS": True, "port": 587}, "starttls", False),
        ({"ssl": "false", "startTLS": 0, "port": 25}, "none", True),
    ],
)
def test_encryption_is_what_it_was(old, store, old_values, security, allow_insecure):
    documents = {EMAIL: [email("otp@shop.example", **old_values)]}
    is_noted = (EMAIL, "otp@shop.example: startTLS") in notes(old, documents, "left")
    assert is_noted == allow_insecure
    take_over(old, documents)
    (account,) = store.items(EmailAccountSettings).values()
    assert (account.security, account.allow_insecure, account.port) == (
        security,
        allow_insecure,
        int(old_values["port"]),
    )


def test_accounts_keep_id_name_and_limit_and_what_is_off_stays_off(old, store):
    documents = {
        EMAIL: [
            email("a@shop.example", id="1", name="First", auth=False, senderPassword=""),
            email("b@shop.example", id="2", active=False),
            email("a@shop.example", id="3", name="First", host="other.example"),
            {key: value for key, value in email("c@shop.example", id="4").items() if key != "active"},
        ]
    }
    take_over(old, documents)
    accounts = store.items(EmailAccountSettings)
    assert {key: one.name for key, one in accounts.items()} == {
        "1": "First",
        "2": "b@shop.example",
        "3": "First (other.example)",
        "4": "c@shop.example",
    }
    assert [one.active for one in accounts.values()] == [True, False, True, False]
    assert not accounts["1"].auth
    assert {one.limit_per_day for one in accounts.values()} == {500}
    assert [one for one in notes(old, documents, "left") if one[0] == EMAIL] == [(EMAIL, "limit_per_day")]


def test_an_account_that_cannot_be_understood_is_named_and_left(old, store):
    documents = {
        EMAIL: [
            email("a@shop.example", id="1", ssl="perhaps"),
            email("b@shop.example", id="2", senderPassword=""),
            email("no address", id="3"),
            email("c@shop.example", id="4", port="many", colour="red"),
            email("d@shop.example", id="4"),
        ]
    }
    unclear = notes(old, documents, "unclear")
    assert unclear[EMAIL, "a@shop.example"] == "ssl and startTLS must be true or false"
    assert unclear[EMAIL, "email_accounts.2.password"].startswith("is needed")
    assert (EMAIL, "no address: senderAddress") in unclear
    assert unclear[EMAIL, "c@shop.example: port"] == "must be a whole number"
    assert "old product" in unclear[EMAIL, "c@shop.example: colour"]
    assert unclear[EMAIL, "d@shop.example"] == "has the id of another"
    take_over(old, documents)
    assert {key: one.port for key, one in store.items(EmailAccountSettings).items()} == {"4": 587}


def test_accounts_and_modems_of_one_name_clash(old, store):
    store.put(
        EmailAccountSettings,
        "mine",
        {"name": "internet", "host": "smtp.example.com", "sender_address": "x@example.com", "auth": False},
    )
    modem_name = next(iter(folder()[MODEMS].values()))["name"]
    documents = folder() | {
        EMAIL: [email("a@shop.example", id="1", name=modem_name), email("b@shop.example", id="mine")]
    }
    clashes = notes(old, documents, "clashes")
    assert set(clashes.values()) == {"another account or a modem has this name"}
    assert {named for _, named in clashes} == {modem_name, "internet"}
    take_over(old, documents)
    assert store.items(EmailAccountSettings).keys() == {"mine"}


def test_the_smtp_server_is_not_switched_on_or_off(old, store):
    take_over(old, folder(), ["smtp"])
    assert not store.get(SubmissionSettings).active
    store.update(SubmissionSettings, {"active": True})
    take_over(old, folder(), ["smtp"])
    assert store.get(SubmissionSettings).active


@pytest.mark.parametrize(
    ("cron", "minutes", "is_exact"),
    [
        ("0 * * * * ?", "1", True),
        ("0 */1 * * * ?", "1", True),
        ("0 */5 * * * ?", "5", True),
        ("0 0/15 * * * ?", "15", True),
        ("30 2/12 * * * ? *", "12", True),
        ("0 0 * * * ?", "60", True),
        ("0 0 */6 * * ?", "360", True),
        ("0 0 1,13 ? * *", "720", True),
        ("0 0 0 * * ?", "1440", True),
        ("*/10 * * * * ?", "1", False),
        ("0 */7 * * * ?", "6", False),
        ("0 */40 * * * ?", "30", False),
        ("0 0 8-16 * * ?", "180", False),
        ("0 0,1 * * * ?", "30", False),
        ("0 0 0 ? * MON", "1440", False),
    ],
)
def test_a_schedule_becomes_the_nearest_interval(old, store, cron, minutes, is_exact):
    documents = {DDNS: {"x": name("otp", "noip", cronExpression=cron)}}
    noted = notes(old, documents, "left").get((DDNS, "otp: cronExpression"), "")
    assert noted.startswith("" if is_exact else "there is no such interval; the nearest is taken: ")
    assert bool(noted) != is_exact
    take_over(old, documents)
    (record,) = store.items(DdnsRecord).values()
    assert record.every_minutes == minutes


@pytest.mark.parametrize(
    "cron", ["often", "0 */5", "0 */0 * * * ?", "0 60 * * * ?", "0 9-1 * * * ?", 7, "0 L * * * ?"]
)
def test_what_is_no_schedule_is_named(old, store, cron):
    documents = {DDNS: [name("otp", "noip", cronExpression=cron)]}
    assert notes(old, documents, "unclear") == {
        (DDNS, "otp: cronExpression"): "is no time as Quartz writes it"
    }
    take_over(old, documents)
    (record,) = store.items(DdnsRecord).values()
    assert record.every_minutes == "5"


def test_records_are_known_by_short_or_whole_names(old, store):
    documents = {
        DDNS: [
            name("otp", "noip"),
            name("api.shop.example", "Cloudflare", proxied=True, forceCreateZone=True, ttl=0),
            name("@", "afraid", active=False),
            name("dyn", "dynu", ttl=86400),
        ]
    }
    take_over(old, documents)
    records = list(store.items(DdnsRecord).values())
    assert [(one.host, one.provider, one.active) for one in records] == [
        ("otp.shop.example", "noip", True),
        ("api.shop.example", "cloudflare", True),
        ("shop.example", "afraid", False),
        ("dyn.shop.example", "dynu", True),
    ]
    assert (records[1].proxied, records[1].force_create_zone, records[1].ttl) == (True, True, 1)
    assert records[3].ttl == 86400


def test_a_record_that_does_not_say_of_what_name_or_at_whom_is_left(old, store):
    documents = {
        DDNS: [
            name("a", "nobody"),
            name("b", "noip", type="MX"),
            name("c", "noip", zone="shop"),
            name("", "noip"),
            name("d", "noip", ttl="long", active="maybe"),
        ]
    }
    unclear = notes(old, documents, "unclear")
    assert {one for (_, one), why in unclear.items() if "is of no use" in why} == {
        "a",
        "b",
        "c",
        "shop.example",
    }
    assert {"a: provider", "b: type", "c: zone", "d: ttl", "d: active"} <= {one for _, one in unclear}
    take_over(old, documents)
    (record,) = store.items(DdnsRecord).values()
    assert (record.record_name, record.ttl, record.active) == ("d", 1, False)


def test_names_that_two_records_would_keep_clash_and_the_rest_is_taken_over(old, store):
    store.put(DdnsRecord, "mine", {"provider": "noip", "zone": "shop.example", "record_name": "here"})
    documents = {
        DDNS: [
            name("otp", "noip", id="1"),
            name("otp", "afraid", id="2"),
            name("otp", "dynu", id="3", active=False),
            name("here", "noip", id="4"),
            name("six", "noip", id="5"),
            name("six", "afraid", id="6", type="AAAA"),
        ]
    }
    plan = old.read(content(zipped(documents)))
    assert [(one["name"], one["reason"].partition(";")[0]) for one in plan["clashes"]] == [
        (f"{one}.shop.example", "another record keeps this name") for one in ("otp", "here", "six")
    ]
    take_over(old, documents)
    assert store.items(DdnsRecord).keys() == {"mine", "1", "3", "5"}
    assert notes(old, documents, "clashes") == {
        (DDNS, f"{one}.shop.example"): reason
        for one, reason in (
            ("otp", "another record keeps this name"),
            ("here", "another record keeps this name"),
            ("six", "another record keeps this name; without update tokens A and AAAA delete each other"),
        )
    }, "taken over once more it is the same"


def test_records_of_one_id_are_named_and_ids_that_no_page_can_have_are_others(old, store):
    no_id = {"id": None}
    documents = {
        DDNS: [
            name("a", "noip", id="q"),
            name("b", "noip", id="q"),
            name("@", "noip", zone="one.example", **no_id),
            name("@", "noip", zone="two.example", **no_id),
            name("@", "noip", zone="two.example", **no_id),
            name("c", "noip", id="new"),
            name("d", "noip", id="x/y"),
        ]
    }
    unclear = notes(old, documents, "unclear")
    assert unclear == {(DDNS, "b"): "has the id of another", (DDNS, "@"): "has the id of another"}
    take_over(old, documents)
    records = store.items(DdnsRecord)
    hosts = ["a.shop.example", "one.example", "two.example", "c.shop.example", "d.shop.example"]
    assert [one.host for one in records.values()] == hosts
    assert not [one for one in records if one == "new" or "/" in one]
    take_over(old, documents)
    assert store.items(DdnsRecord).keys() == records.keys()


def test_vendors_are_asked_over_https_and_what_is_no_address_is_named(old, store):
    documents = {
        "ddns/vendor/noip.json": vendor("HTTP://dns.example.com/nic/update"),
        "ddns/vendor/afraid.json": vendor("ftp://freedns.afraid.org/"),
        "ddns/vendor/dynu.json": vendor("https://api.dynu.com", apiVersion="V2", apiKey="geheim-key"),
        "ddns/vendor/cloudflare.json": {"endpoint": "", "authToken": "geheim-token", "active": True},
    }
    unclear = notes(old, documents, "unclear")
    assert list(unclear) == [("ddns/vendor/afraid.json", "endpoint")]
    take_over(old, documents)
    assert store.get(NoIpSettings).endpoint == "https://dns.example.com/nic/update"
    assert store.get(AfraidSettings).endpoint == AfraidSettings().endpoint
    assert store.get(AfraidSettings).username == "ann"
    dynu = store.get(DynuSettings)
    assert (dynu.api_version, dynu.endpoint, dynu.api_key) == ("v2", "https://api.dynu.com/v2", "geheim-key")
    assert store.get(CloudflareSettings) == CloudflareSettings(active=True, auth_token="geheim-token")


def test_an_account_in_use_that_lacks_its_password_is_named_and_left(old, store):
    documents = {"ddns/vendor/noip.json": vendor("https://dynupdate.no-ip.com/nic/update", password="")}
    assert notes(old, documents, "unclear") == {("ddns/vendor/noip.json", "noip.password"): "is needed"}
    assert all_parts(old.read(content(zipped(documents)))) == []


def test_a_file_of_a_vendor_that_does_not_say_which_is_refused(old):
    with pytest.raises(BadRequest, match="whole folder"):
        old.read(content(b'{"endpoint": "https://dns.example.com/", "username": "ann"}'))
