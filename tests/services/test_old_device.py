"""The old device's settings folder, written after its documentation, with invented data."""

import base64
import io
import json
import tarfile
import zipfile
from hashlib import sha256

import pytest

from otppi.api.settings import ApiSettings
from otppi.brokers.settings import (
    ActiveMqSettings,
    AmqpSettings,
    MqttSettings,
    RedisSettings,
    StompSettings,
    WsSettings,
)
from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.lib.passwords import verify_password
from otppi.model.errors import BadRequest, SettingsError
from otppi.modems.settings import ModemSettings
from otppi.services.folders import StateFolder
from otppi.services.old_device.files import READ
from otppi.services.old_device.takeover import OldDevice
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.store import SettingsStore
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import OpenPort
from otppi.system.network.settings import DhcpSettings, EthernetSettings, WlanSettings
from otppi.system.schedule import HousekeepingSettings
from tests.services.test_cli import otppi

IMEI = "490154203237518"  # the example of TS 23.003
XSS = "<img src=x onerror=alert(1)>"


def once(clear):
    return sha256(clear.encode()).hexdigest()


def twice(clear):
    return once(once(clear))


def account(user, password, **more):
    return {
        "username": user,
        "name": f"Name of {user}",
        "email": f"{user}@example.com",
        "phone": "+62 812 0000 0001",
        "password": password,
        "lastActive": 1700000000000,
        "blocked": False,
        "active": True,
        **more,
    }


def modem(name, port, **more):
    return {
        "id": sha256(name.encode()).hexdigest()[:32],
        "name": name,
        "port": port,
        "manufacturer": "Wavecom",
        "model": "M1306B",
        "revision": "",
        "iccid": "",
        "smsCenter": "+628110000000",
        "incommingInterval": 0,
        "timeRange": 0,
        "maxPerTimeRange": 0,
        "provider": "",
        "imei": "",
        "copsOperator": "",
        "msisdn": "",
        "imsi": "",
        "recipientPrefix": "",
        "simCardPIN": "",
        "baudRate": 9600,
        "parityBit": "N",
        "startBits": "1",
        "stopBits": "1",
        "internetAccess": False,
        "smsAPI": True,
        "deleteSentSMS": True,
        "defaultModem": False,
        "active": True,
        "apn": "",
        "apnUsername": "",
        "apnPassword": "",
        "dialNumner": "",
        "initDial1": "",
        "initDial2": "",
        "initDial3": "",
        "initDial4": "",
        "initDial5": "",
        "dialCommand": "",
        "autoreconnect": False,
        **more,
    }


def subscriber(start, **values):
    common = {
        "Enable": False,
        "SSL": False,
        "Address": "broker.example",
        "Username": "u",
        "Password": "geheim-mq",
    }
    return {f"subscriber{start}{name}": value for name, value in {**common, "Topic": "sms", **values}.items()}


def email(address, **more):
    return {
        "id": sha256(address.encode()).hexdigest()[:32],
        "name": "",
        "auth": True,
        "host": "smtp.shop.example",
        "port": 587,
        "senderAddress": address,
        "senderPassword": "geheim-mail",
        "ssl": False,
        "startTLS": True,
        "active": True,
        **more,
    }


def name(name, provider, **more):
    return {
        "id": sha256(f"shop.example:{name}".encode()).hexdigest()[:32],
        "zone": "shop.example",
        "recordName": name,
        "type": "A",
        "proxied": False,
        "ttl": 300,
        "forceCreateZone": False,
        "cronExpression": "0 */5 * * * ?",
        "provider": provider,
        "active": True,
        "lastUpdate": 1700000000000,
        "nextValid": 1700000300000,
        **more,
    }


def vendor(endpoint, **more):
    return {
        "endpoint": endpoint,
        "username": "ann",
        "password": "geheim-ddns",
        "company": "Shop",
        "email": "ann@shop.example",
        "active": True,
        **more,
    }


def folder():
    """Return every file of the old product, by its name under /resource/data."""
    return {
        "general/general-config.json": {
            "deviceName": XSS,
            "deviceTimeZone": "Asia/Makassar",
            "ntpServer": "pool.ntp.org",
            "ntpUpdateInterval": "0 0 */12 * * ?",
            "restartService": "",
            "restartDevice": "0 0 0 ? * MON",
            "dropExpireOTP": True,
            "otpExpirationOffset": 30000,
            "inspectModemInterval": 5000,
        },
        "api/services.json": {
            "httpPort": 8080,
            "httpsPort": 10443,
            "httpEnable": True,
            "httpsEnable": True,
            "otpPath": "/api/otp",
            "messagePath": "/api/message",
            "smsPath": "/sms",
            "emailPath": "/api/email",
            "blockingPath": "/api/block",
            "unblockingPath": "",
        },
        "api/urses.json": {
            "shop": account("shop", twice("shop-password")),
            "till": account("till", once("till-password"), active=False),
            "empty": account("empty", once("")),
        },
        "api/blocking.json": {
            "081200000001": True,
            "+6281200000001": False,
            "6281200000002": False,
            "nonsense": True,
        },
        "user/urses.json": {"ann": account("ann", once("ann-password"), name=XSS)},
        "gsm/sms.json": {
            "connectionType": "",
            "smsCenter": "",
            "incommingInterval": 0,
            "timeRange": 0,
            "maxPerTimeRange": 0,
            "imei": "",
            "simCardPIN": "",
            "monitorSMS": True,
            "countryCode": "62",
            "recipientPrefixLength": 5,
            "logSMS": True,
        },
        "gsm/devices.json": {
            "a1": modem(
                XSS,
                "ttyUSB0",
                imei=IMEI,
                recipientPrefix="0811, 62812,+62813",
                simCardPIN="47114711",
                defaultModem=True,
            ),
            "b2": modem(
                "internet",
                "ttyUSB1",
                imei="123",
                internetAccess=True,
                smsAPI=False,
                apn="internet",
                apnUsername="wap",
                apnPassword="geheim-apn",
                dialNumner="*99#",
                initDial1="ATZ",
                initDial2="rm -rf /",
                dialCommand="ATDT",
            ),
        },
        "email/sender-account.json": [email("otp@shop.example")],
        "email/smtp.json": {
            "softwareName": "OTP-Broker",
            "serverName": "mail.shop.example",
            "serverAddress": "localhost",
            "serverPort": 2525,
            "active": True,
        },
        "network/dhcpd.json": {
            "domainName": "shop.lan",
            "domainNameServers": ["ns1.shop.lan"],
            "ipRouter": "192.168.7.1",
            "netmask": "255.255.255.0",
            "subnetMask": "255.255.255.0",
            "domainNameServersAddress": "192.168.7.1",
            "defaultLeaseTime": "900",
            "maxLeaseTime": "",
            "ranges": [
                {"begin": "192.168.7.40", "end": "192.168.7.99"},
                {"begin": "192.168.7.120", "end": ""},
            ],
        },
        "network/wlan.json": {
            "essid": "Toko",
            "key": "wifi-geheim",
            "keyMgmt": "WPA-PSK",
            "ipAddress": "192.168.7.1",
            "prefix": "24",
            "netmask": "255.255.255.0",
            "gateway": "192.168.7.1",
            "dns1": "8.8.8.8",
        },
        "network/ethernet.json": {
            "ipAddress": "10.0.0.7",
            "prefix": "24",
            "netmask": "255.255.255.0",
            "gateway": "10.0.0.1",
            "dns1": "10.0.0.1",
            "dns2": "",
        },
        "network/firewall.json": [
            {"id": "tcp5000", "port": 5000, "protocol": "tcp", "active": True, "lastUpdate": 1},
            {"id": "tcp8888", "port": 8888, "protocol": "tcp", "active": True, "lastUpdate": 1},
            {"id": "udp161", "port": 161, "protocol": "udp", "active": False, "lastUpdate": 1},
        ],
        "subscriber/subscriber-amqp.json": subscriber(
            "Amqp", Enable=True, SSL=True, Port=5671, Version="1", Path="/x", Refresh=600, Timeout=4000
        ),
        "subscriber/subscriber-mqtt.json": subscriber("Mqtt", SSL=True, Port=11883, ClientID="old-1", Qos=2),
        "subscriber/subscriber-redis.json": subscriber("Redis", Port=6379, Timeout=0),
        "subscriber/subscriber-stomp.json": subscriber("Stomp", Port=61613, ReconnectDelay=10000),
        "subscriber/subscriber-activemq.json": subscriber("ActiveMQ", Port=61616, TimeToLeave=300000),
        "subscriber/subscriber-ws.json": subscriber("Ws", SSL=True, Port=8080, Path="/ws"),
        "ddns/ddns.json": {"d1": name("otp", "cloudflare")},
        "ddns/vendor/cloudflare.json": {
            "endpoint": "https://api.cloudflare.com/client/v4",
            "accountId": "a1b2",
            "authEmail": "ann@shop.example",
            "authApiKey": "geheim-cloud",
            "authToken": "",
            "active": True,
        },
        "ddns/vendor/noip.json": vendor("http://dynupdate.no-ip.com/nic/update"),
        "ddns/vendor/afraid.json": vendor("https://freedns.afraid.org/nic/update"),
        "ddns/vendor/dynu.json": vendor("https://api.dynu.com/nic/update", apiVersion="nic", apiKey=""),
        "keystore/keystores.json": {"k1": {"fileName": "k.jks", "filePassword": "geheim-jks"}},
        "bell/bell-config.json": {
            "smsFailure": 0,
            "amqpDisconnected": 1,
            "mqttDisconnected": 2,
            "redisDisconnected": "0",
            "wsDisconnected": 1,
            "activeMQDisconnected": 0,
            "stompDisconnected": 9,
        },
        "server/server-status.json": [],
        "otp/otp.json": {},
    }


BINARY = {"keystore/data/k1.jks": b"\xfe\xed", "report/outbox/2023-05-01.csv": b"1,2,3\r\n"}


def as_bytes(documents):
    return {
        **{name: json.dumps(one, indent=4).encode() for name, one in documents.items()},
        **BINARY,
    }


def zipped(documents, root="resource/data/"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in as_bytes(documents).items():
            archive.writestr(root + name, data)
    return packed.getvalue()


def tarred(documents, root="./data/"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in as_bytes(documents).items():
            entry = tarfile.TarInfo(root + name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def content(data):
    return base64.b64encode(data).decode()


@pytest.fixture
def store(tmp_path):
    store = SettingsStore(tmp_path / "state", SECTIONS, None)
    watch_over(store)
    return store


@pytest.fixture
def old(tmp_path, store):
    return OldDevice(StateFolder.prepared(tmp_path / "state"), store)


def all_parts(plan):
    return [part["key"] for part in plan["parts"]]


def take_over(old, documents, parts=None):
    brought = content(zipped(documents))
    return old.apply(brought, parts or all_parts(old.read(brought)))


def settings_files(store, tmp_path):
    return {path: path.stat().st_mtime_ns for path in (tmp_path / "state").rglob("*") if path.is_file()}


def test_all_that_there_is_a_place_for_is_taken_over(old, store):
    done = take_over(old, folder())
    assert done["network_changed"]
    assert store.get(GeneralSettings) == GeneralSettings(device_name=XSS, modems_inspect_s=5)
    assert store.get(ClockSettings) == ClockSettings(time_zone="Asia/Makassar", ntp_interval="12 h")
    assert store.get(HousekeepingSettings) == HousekeepingSettings(
        restart_device="monday", restart_device_at="00:00"
    )
    assert store.get(ApiSettings) == ApiSettings(http_port=8080, https_port=10443, sms_path="/sms")
    assert store.get(SmsSettings).country_code == "62"
    assert store.get(BellSettings) == BellSettings(
        sms_failure=False, redis_disconnected=False, activemq_disconnected=False
    )
    assert store.get(WlanSettings) == WlanSettings(
        ssid="Toko", passphrase="wifi-geheim", address="192.168.7.1/24"
    )
    assert store.get(DhcpSettings) == DhcpSettings(
        domain_name="shop.lan",
        domain_name_servers=("ns1.shop.lan",),
        router="192.168.7.1",
        netmask="255.255.255.0",
        subnet_mask="255.255.255.0",
        domain_name_servers_address=("192.168.7.1",),
        default_lease_s=900,
        ranges=("192.168.7.40-192.168.7.99", "192.168.7.120-192.168.7.120"),
    )
    assert store.get(EthernetSettings) == EthernetSettings(
        method="static", address="10.0.0.7/24", gateway="10.0.0.1", dns1="10.0.0.1"
    )
    assert dict(store.items(OpenPort)) == {
        "tcp5000": OpenPort(port="5000"),
        "udp161": OpenPort(port="161", protocol="udp", open=False),
    }


def test_modems_keep_ports_prefixes_pin_and_dial_settings_and_get_new_ids(old, store):
    take_over(old, folder())
    first, second = store.items(ModemSettings).values()
    assert first == ModemSettings(
        name=XSS,
        port="ttyUSB0",
        imei=IMEI,
        prefixes=("62811", "62812", "62813"),
        sim_pin="47114711",
        is_default=True,
    )
    assert second == ModemSettings(
        name="internet",
        port="ttyUSB1",
        internet_access=True,
        api_enabled=False,
        apn="internet",
        apn_username="wap",
        apn_password="geheim-apn",
        dial_number="*99#",
        init_dial_1="ATZ",
        dial_command="ATDT",
    )
    old_ids = {one["id"] for one in folder()["gsm/devices.json"].values()}
    assert old_ids.isdisjoint(store.items(ModemSettings))


def test_passwords_go_on_however_the_old_product_kept_them_and_a_hash_is_no_password(old, store):
    take_over(old, folder())
    users, admins = store.items(ApiUser), store.items(Administrator)
    assert verify_password("shop-password", users["shop"].password)
    assert verify_password("till-password", users["till"].password)
    assert verify_password("ann-password", admins["ann"].password)
    for clear, stored in (
        ("shop-password", users["shop"].password),
        ("till-password", users["till"].password),
        ("ann-password", admins["ann"].password),
    ):
        assert not verify_password(stored.partition("$")[2], stored)
        assert not verify_password(clear + " ", stored)
    assert not users["till"].active
    assert users.keys() == {"shop", "till"}
    assert admins["ann"].name == XSS
    assert admins["ann"].phone == "+62 812 0000 0001"


def test_blocked_numbers_become_canonical_and_blocked_wins(old, store):
    take_over(old, folder())
    assert {number: one.blocked for number, one in store.items(BlockedNumber).items()} == {
        "6281200000001": True,
        "6281200000002": False,
    }


def test_the_second_time_nothing_changes(old, store, tmp_path):
    take_over(old, folder())
    before = settings_files(store, tmp_path)
    brought = content(zipped(folder()))
    plan = old.read(brought)
    assert [part["values"] for part in plan["parts"]] == [[] for _ in plan["parts"]]
    done = old.apply(brought, all_parts(plan))
    assert (done["changed"], done["network_changed"]) == ([], False)
    assert settings_files(store, tmp_path) == before


def test_reading_changes_nothing_and_shows_values_but_no_secret(old, store, tmp_path):
    store.update(SmsSettings, {"country_code": "62"})
    before = settings_files(store, tmp_path)
    plan = old.read(content(zipped(folder())))
    assert settings_files(store, tmp_path) == before
    told = json.dumps(plan)
    for hidden in ("47114711", "wifi-geheim", "geheim", once("ann-password"), "6281200000001"):
        assert hidden not in told
    parts = {part["key"]: part for part in plan["parts"]}
    port = next(row for row in parts["api"]["values"] if row["name"] == "http_port")
    assert (port["item"], port["now"], port["new"], port["is_secret"]) == ("", 8899, 8080, False)
    assert port["title"] == ApiSettings.declared["http_port"].title
    pin = next(row for row in parts["modems"]["values"] if row["name"] == "sim_pin")
    assert (pin["item"], pin["new"], pin["is_secret"]) == (XSS, True, True)
    assert [key for key, part in parts.items() if part["is_network"]] == ["wlan", "dhcp", "ethernet"]
    assert parts["modems"]["file"] == "gsm/devices.json"


def test_everything_else_is_named_with_its_reason(old):
    plan = old.read(content(zipped(folder())))
    left = {(one["file"], one["name"]): one["reason"] for one in plan["left"]}
    assert "threw away" in left["email/smtp.json", "active"]
    assert "500 a day" in left["email/sender-account.json", "limit_per_day"]
    assert "Certificates" in left["keystore/data/k1.jks", ""]
    assert "30 s" in left["general/general-config.json", "otpExpirationOffset"]
    assert "longest prefix" in left["gsm/sms.json", "recipientPrefixLength"]
    assert "no password" in left["api/urses.json", "empty"]
    assert "never encrypted" in left["subscriber/subscriber-mqtt.json", "subscriberMqttSSL"]
    assert "1.0" in left["subscriber/subscriber-amqp.json", "subscriberAmqpVersion"]
    assert "no user" in left["subscriber/subscriber-redis.json", "subscriberRedisUsername"]
    assert ("gsm/devices.json", f"{XSS}: baudRate") in left
    assert ("network/firewall.json", "tcp8888") in left
    unclear = {(one["file"], one["name"]): one["reason"] for one in plan["unclear"]}
    assert unclear.keys() == {
        ("api/blocking.json", "entry 4"),
        ("gsm/devices.json", "internet: initDial2"),
        ("bell/bell-config.json", "stompDisconnected"),
    }


@pytest.mark.parametrize("root", ["", "data/", "resource/data/", "otp-pi/resource/data/", "./"])
def test_the_folder_is_found_wherever_it_begins(old, root):
    assert all_parts(old.read(content(zipped(folder(), root)))) == all_parts(
        old.read(content(tarred(folder(), root)))
    )
    assert "modems" in all_parts(old.read(content(zipped(folder(), root))))


@pytest.mark.parametrize("name", [one for one in READ if not one.endswith("urses.json")])
def test_one_file_alone_is_recognised_by_what_is_in_it(old, name):
    plan = old.read(content(json.dumps(folder()[name]).encode()))
    # Without the address of the access point that of its router does not fit.
    assert {one["file"] for one in (*plan["parts"], *plan["clashes"])} == {name}


@pytest.mark.parametrize("name", [one for one in READ if one.endswith("urses.json")])
def test_accounts_alone_are_refused_because_nobody_knows_whose_they_are(old, name):
    with pytest.raises(BadRequest, match="whole folder"):
        old.read(content(json.dumps(folder()[name]).encode()))


def test_a_damaged_file_costs_that_file(old):
    documents = as_bytes(folder())
    documents["general/general-config.json"] = b'{"deviceName": "half'
    documents["gsm/sms.json"] = b"[" * 100_000
    documents["bell/bell-config.json"] = b'{"smsFailure": NaN}'
    documents["network/wlan.json"] = b"[1, 2]"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in documents.items():
            archive.writestr(name, data)
    plan = old.read(content(packed.getvalue()))
    assert {one["file"] for one in plan["unclear"]} >= {
        "general/general-config.json",
        "gsm/sms.json",
        "bell/bell-config.json",
        "network/wlan.json",
    }
    assert "modems" in all_parts(plan)
    assert "general" not in all_parts(plan)


def test_a_value_of_another_kind_costs_that_value(old, store):
    documents = folder()
    documents["api/services.json"] |= {
        "httpPort": "many",
        "smsPath": {"a": 1},
        "otpPath": "no path",
        "new": 1,
    }
    documents["gsm/devices.json"]["c3"] = "no modem"
    documents["gsm/devices.json"]["d4"] = modem("third", "tty;reboot")
    documents["user/urses.json"]["x:y"] = account("x:y", once("long enough"))
    documents["user/urses.json"]["clear"] = account("clear", "in the clear")
    documents["user/urses.json"]["dan"] = account("dan", once("long enough"), phone="<b>", active="maybe")
    documents["api/blocking.json"] = ["6281200000009"]
    documents["network/firewall.json"] = {"a": {"port": "70000", "protocol": "tcp", "active": True}}
    take_over(old, documents)
    assert store.get(ApiSettings) == ApiSettings(https_port=10443)
    assert {one.name for one in store.items(ModemSettings).values()} == {XSS, "internet"}
    assert store.items(Administrator).keys() == {"ann", "dan"}
    assert store.items(Administrator)["dan"].phone == ""
    assert not store.items(BlockedNumber)
    assert not store.items(OpenPort)


def test_an_account_that_is_there_stays_as_it_is(old, store):
    store.put(Administrator, "ann", {"password": "a newer password"})
    plan = old.read(content(zipped(folder())))
    assert ("user/urses.json", "ann") in {(one["file"], one["name"]) for one in plan["clashes"]}
    take_over(old, folder())
    assert verify_password("a newer password", store.items(Administrator)["ann"].password)


def test_a_modem_that_is_there_is_known_by_its_imei_or_name(old, store):
    store.put(
        ModemSettings, "m1", {"name": "renamed", "port": "ttyUSB5", "imei": IMEI, "prices": "other=350"}
    )
    store.put(ModemSettings, "m2", {"name": "internet", "port": "ttyUSB7"})
    take_over(old, folder())
    assert store.items(ModemSettings).keys() == {"m1", "m2"}
    assert store.items(ModemSettings)["m1"].name == XSS
    assert store.items(ModemSettings)["m1"].prices == ("other=350",)
    assert store.items(ModemSettings)["m2"].port == "ttyUSB1"


def test_modems_that_clash_are_named_and_left_alone(old, store):
    store.put(ModemSettings, "m1", {"name": "mine", "port": "/dev/ttyUSB1"})
    store.put(ModemSettings, "m2", {"name": XSS, "port": "ttyUSB9", "imei": "356938035643809"})
    before = dict(store.items(ModemSettings))
    plan = old.read(content(zipped(folder())))
    assert {one["name"] for one in plan["clashes"]} == {XSS, "internet"}
    assert "modems" not in all_parts(plan)
    take_over(old, folder())
    assert dict(store.items(ModemSettings)) == before


def test_modems_of_one_name_are_told_apart(old, store):
    documents = folder()
    documents["gsm/devices.json"] = [
        modem("GSM", "ttyUSB0"),
        modem("GSM", "ttyUSB1"),
        modem("GSM", "ttyUSB1"),
    ]
    take_over(old, documents)
    assert [one.name for one in store.items(ModemSettings).values()] == ["GSM", "GSM (ttyUSB1)"]
    take_over(old, documents, ["modems"])
    assert len(store.items(ModemSettings)) == 2


def test_the_factory_network_of_the_old_product_becomes_one_that_works(old, store):
    documents = folder()
    documents["network/wlan.json"] |= {"essid": "OTP-Pi", "key": "planetbiru", "ipAddress": "192.168.0.11"}
    documents["network/ethernet.json"] |= {"ipAddress": "192.168.0.11", "gateway": "192.168.0.1"}
    documents["network/dhcpd.json"] |= {"ipRouter": "192.168.0.1", "ranges": []}
    plan = old.read(content(zipped(documents)))
    assert "ethernet" not in all_parts(plan)
    assert "Ethernet" in {one["name"] for one in plan["clashes"]}
    assert ("network/wlan.json", "key") in {(one["file"], one["name"]) for one in plan["left"]}
    take_over(old, documents)
    assert store.get(WlanSettings) == WlanSettings(ssid="OTP-Pi")
    assert store.get(EthernetSettings) == EthernetSettings()


def test_only_the_chosen_parts_are_taken_over(old, store):
    assert take_over(old, folder(), ["api"])["changed"] == ["api"]
    assert not store.items(ModemSettings)
    with pytest.raises(BadRequest, match="colours"):
        take_over(old, folder(), ["api", "colours"])


def test_what_is_refused_changes_nothing(old, store, tmp_path):
    documents = folder()
    documents["api/services.json"]["httpPort"] = 8888  # the port of the admin pages
    before = {section: dict(store.items(section)) for section in SECTIONS}
    with pytest.raises(SettingsError, match=r"api\.http_port"):
        take_over(old, documents)
    assert {section: dict(store.items(section)) for section in SECTIONS} == before
    assert not (tmp_path / "state" / "change-before").exists()


def test_names_that_lead_elsewhere_are_passed_over(old, tmp_path):
    documents = {
        "../../gsm/devices.json": folder()["gsm/devices.json"],
        "/etc/user/urses.json": folder()["user/urses.json"],
        "a/../gsm/sms.json": folder()["gsm/sms.json"],
        "C:\\api/services.json": folder()["api/services.json"],
    }
    for pack in (zipped, tarred):
        with pytest.raises(BadRequest, match="has no settings"):
            old.read(content(pack(documents, "")))
        plan = old.read(
            content(pack({**documents, "bell/bell-config.json": folder()["bell/bell-config.json"]}, ""))
        )
        assert all_parts(plan) == ["bell"]
    assert {path.name for path in tmp_path.iterdir()} == {"state"}


def test_links_in_an_archive_lead_nowhere(old):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo("data/general/general-config.json")
            entry.type, entry.linkname = kind, "/etc/hostname"
            archive.addfile(entry)
    with pytest.raises(BadRequest, match="has no settings"):
        old.read(content(packed.getvalue()))


def bomb(name, mebibytes):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b" " * (mebibytes << 20))
        archive.writestr("bell/bell-config.json", json.dumps(folder()["bell/bell-config.json"]))
    return packed.getvalue()


def test_bombs_are_not_unpacked(old):
    plan = old.read(content(bomb("gsm/devices.json", 100)))
    assert {"file": "gsm/devices.json", "name": "", "reason": "is larger than 1 MB"} in plan["unclear"]
    assert all_parts(old.read(content(bomb("storage/large", 100)))) == ["bell"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("storage/large")
        entry.size = 100 << 20
        archive.addfile(entry, io.BytesIO(bytes(100 << 20)))
    with pytest.raises(BadRequest, match="unpacks to more"):
        old.read(content(packed.getvalue()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for count in range(10_001):
            archive.writestr(f"{count}", b"")
    with pytest.raises(BadRequest, match="more than 10000 files"):
        old.read(content(packed.getvalue()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        b"PK",
        b"PK\x03\x04" + bytes(100),
        b"\x1f\x8b",
        b"\x1f\x8b" + bytes(100),
        b"{",
        b"{}",
        b"[]",
        b"[1]",
        b'{"a": 1}',
        b'{"a": {"b": 1}}',
        b"[" * 100_000,
        bytes(8 << 20) + b"1",
    ],
)
def test_what_is_no_folder_of_an_old_device_is_refused(old, data):
    with pytest.raises(BadRequest) as caught:
        old.read(content(data))
    assert caught.value.field == "content"


def test_half_an_archive_is_refused(old):
    for data in (zipped(folder()), tarred(folder())):
        with pytest.raises(BadRequest):
            old.read(content(data[: len(data) // 2]))


def test_it_works_from_the_command_line_with_a_folder(tmp_path):
    source, state = tmp_path / "old" / "resource" / "data", tmp_path / "new"
    for name, data in as_bytes(folder()).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    shown = otppi(state, "import-old", str(tmp_path / "old"), check=0)
    assert "http_port\t8080 (now 8899)" in shown.stdout
    assert "sim_pin\t(secret)" in shown.stdout
    assert "not taken over: email/smtp.json active" in shown.stdout
    assert "nothing is changed yet" in shown.stderr
    assert "geheim" not in shown.stdout
    assert not state.exists()
    otppi(state, "import-old", str(tmp_path / "old"), "--apply", check=0)
    store = SettingsStore(state, SECTIONS, None)
    assert store.get(ApiSettings).http_port == 8080
    assert store.get(WlanSettings) == WlanSettings()
    again = otppi(state, "import-old", str(tmp_path / "old"), "--apply", "--with-network", check=0)
    assert "changed: wlan, dhcp, ethernet" in again.stdout
    file = tmp_path / "old.zip"
    file.write_bytes(zipped(folder()))
    assert "changed: nothing" in otppi(state, "import-old", str(file), "--apply", check=0).stdout


def test_connections_to_brokers_go_on_as_their_publishers_expect(old, store):
    brought = content(zipped(folder()))
    old.apply(brought, all_parts(old.read(brought)))
    amqp = store.get(AmqpSettings)
    assert (amqp.enabled, amqp.mode, amqp.tls, amqp.port, amqp.timeout_ms) == (
        True,
        "compatible",
        True,
        5671,
        4000,
    )
    assert (amqp.host, amqp.username, amqp.password, amqp.topic) == (
        "broker.example",
        "u",
        "geheim-mq",
        "sms",
    )
    mqtt = store.get(MqttSettings)
    assert (mqtt.mode, mqtt.tls, mqtt.client_id, mqtt.qos) == ("compatible", False, "old-1", "2")
    redis = store.get(RedisSettings)
    assert (redis.username, redis.timeout_ms) == ("", RedisSettings().timeout_ms)
    active = store.get(ActiveMqSettings)
    assert (active.port, active.time_to_live_ms) == (61613, 300_000)
    assert store.get(StompSettings).reconnect_delay_ms == 10_000
    assert (store.get(WsSettings).path, store.get(WsSettings).tls) == ("/ws", True)
