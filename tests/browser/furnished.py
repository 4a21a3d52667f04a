"""A device as it is in use: modems of four operators, messages that came and went, accounts of every role."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otppi.ddns.settings import DdnsRecord
from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.policy import GeneralSettings
from otppi.gateway.rights import Role
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.mail.settings import EmailAccountSettings
from otppi.model.operators import EXAMPLE
from otppi.sim.magic import Magic
from otppi.system.firewall.settings import OpenPort
from otppi.vendors.settings import VendorRouteSettings
from tests.gateway_under_test import GatewayUnderTest, Sim
from tests.web.admin_client import PASSWORD, STORED_PASSWORD, AdminClient

# Becomes markup wherever a page forgets that it is text.
SPITE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"
SHORT_SPITE = "<script>alert(3)</script>"
# User name to role and language; without a language it follows the browser.
ACCOUNTS = {
    "owner": (Role.OWNER, "en"),
    "owner-id": (Role.OWNER, "id"),
    "owner-any": (Role.OWNER, ""),
    "operator": (Role.OPERATOR, "en"),
    "viewer": (Role.VIEWER, "en"),
}
OPEN_PORT, API_USER, VENDOR_ROUTE, VENDOR_ACCOUNT = "tcp-5000", "kasir", "cadangan", "toko"
EMAIL_ACCOUNT, DDNS_RECORD = "surel", "toko"
_PERSONALITIES = ("huawei", "simcom", "quectel", "generic")
_RECEIVERS = ("6281200000001", "6285500000002", "6287700000003", "6289500000004")
_RECEIVED = (
    ("+6281200000011", "Terima kasih, kodenya sudah masuk."),
    ("TELKOMSEL", "Pulsa Anda Rp25.000 berlaku s.d. 31-12-2026."),
    ("+6285500000012", "Halo, apakah toko buka hari ini? 😀"),
    ("+6287700000013", "STOP"),
)
_SPITEFUL = (
    SPITE,
    "kode \u202e9999\u202c akhir",  # runs backwards
    "Panjang" * 60,
    "{{ 7 * 7 }} ${7*7} %(x)s",
)


def furnished(directory: Path, free_port: Callable[[], int], *, is_spiteful: bool) -> GatewayUnderTest:
    """Start a device with something on each of its pages; spiteful, its names and texts try to be markup."""
    one = GatewayUnderTest(
        directory,
        free_port,
        modems=tuple(
            Sim(
                name=example.name,
                prefixes=example.prefixes,
                default=example.is_default,
                personality=personality,
                settings={
                    "prices": list(example.prices),
                    **({"name": SHORT_SPITE} if is_spiteful and example is EXAMPLE[0] else {}),
                },
            )
            for example, personality in zip(EXAMPLE, _PERSONALITIES, strict=True)
        ),
        on_desk=True,
    )
    try:
        one.build()
        _settle(one, is_spiteful=is_spiteful)
        one.gateway.start()
        one.wait_until(lambda: all(modem.is_ready for modem in one.gateway.pool.snapshot()))
        owner = logged_in(one)
        _receive(one, owner, is_spiteful=is_spiteful)
        _send(one, is_spiteful=is_spiteful)
        call(owner, "number.block", number="081200000666", blocked=True)
    except BaseException:
        one.stop()
        raise
    return one


def logged_in(one: GatewayUnderTest, user: str = "owner") -> AdminClient:
    """Return somebody who has just logged in."""
    client = AdminClient(one.admin_port)
    assert client.log_in(user).status == 303
    return client


def call(client: AdminClient, name: str, **args: Any) -> Any:
    """Call a function of the device."""
    answer = client.ask("POST", f"/api/admin/v1/{name}", json.dumps(args).encode(), X_CSRF_Token=client.csrf)
    assert answer.status == 200, answer.text
    return json.loads(answer.text)["result"]


def _settle(one: GatewayUnderTest, *, is_spiteful: bool) -> None:
    store, whose = one.gateway.store, SPITE if is_spiteful else "Toko Sejahtera"
    store.update(GeneralSettings, {"device_name": SHORT_SPITE if is_spiteful else "Toko Sejahtera"})
    for user, (role, language) in ACCOUNTS.items():
        store.put(
            Administrator,
            user,
            {"password": STORED_PASSWORD, "role": role, "language": language, "name": whose},
        )
    store.put(ApiUser, API_USER, {"password": STORED_PASSWORD, "name": whose})
    store.put(VendorAccount, VENDOR_ACCOUNT, {"password": STORED_PASSWORD, "name": whose})
    store.put(
        VendorRouteSettings,
        VENDOR_ROUTE,
        {
            "name": whose,
            "active": False,
            "url": "https://sms.example.com:20003",
            "account": "toko",
            "password": PASSWORD,
            "prices": ["other=230"],
        },
    )
    store.put(
        EmailAccountSettings,
        EMAIL_ACCOUNT,
        {
            "name": f"Surel {SHORT_SPITE}" if is_spiteful else "Surel",
            "host": "smtp.example.com",
            "sender_address": "toko@example.com",
            "sender_name": whose,
            "password": PASSWORD,
        },
    )
    # Without an account at its vendor nobody is asked.
    store.put(DdnsRecord, DDNS_RECORD, {"zone": "example.com", "record_name": "toko"})
    store.put(OpenPort, OPEN_PORT, {"port": "5000-5010", "note": whose})


def _receive(one: GatewayUnderTest, owner: AdminClient, *, is_spiteful: bool) -> None:
    spiteful = _SPITEFUL if is_spiteful else ()
    received = [*_RECEIVED, *((f"+62812000000{20 + number}", text) for number, text in enumerate(spiteful))]
    lines = list(one.lines.values())
    for number, (sender, text) in enumerate(received):
        lines[number % len(lines)].deliver(sender, text)
    one.wait_until(lambda: call(owner, "inbox.list", search="", offset=0, count=1)["total"] >= len(received))


def _send(one: GatewayUnderTest, *, is_spiteful: bool) -> None:
    text = SPITE if is_spiteful else "Pesanan Anda sudah dikirim."
    for number in range(12):
        receiver = _RECEIVERS[number % len(_RECEIVERS)]
        assert one.call("send-sms", receiver=receiver, message=f"{text} {number}").code == "0000"
    one.call("send-sms", receiver=str(Magic.FAILS), message="never arrives")
    one.call("request-otp", reference="login-1", receiver=_RECEIVERS[0], message="Kode Anda %s")
