import re
import shlex
from itertools import pairwise
from urllib.parse import parse_qsl, urlencode

import pytest

from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.lib.passwords import verify_password
from otppi.model.errors import SettingsError


def accounts(pages):
    return pages.gateway.store.items(VendorAccount)


def test_an_account_is_made_with_secrets_that_are_shown_once_in_a_command_that_works(pages, owner):
    port = pages.free_port()
    pages.gateway.store.update(
        VendorApiSettings, {"host": "127.0.0.1", "http_enabled": True, "http_port": port}
    )
    made = owner.post("/vendor-accounts/add", {"user": "till", "password": "", "credit": "5"})
    assert made.status == 200
    password = re.search(r'id="vendor-password">([^<]+)<', made.text)[1]
    api_key = re.search(r'id="vendor-api-key">([^<]+)<', made.text)[1]
    assert verify_password(password, accounts(pages)["till"].password)
    assert accounts(pages)["till"].api_key == api_key
    command = shlex.split(re.search(r"curl -k -G 'http.*content=Hello", made.visible)[0])
    given = [value for option, value in pairwise(command) if option == "-d"]
    query = urlencode(parse_qsl("&".join(given)))
    pages.wait_until(lambda: {"vendor"} <= {plan.name for plan, _ in pages.gateway.listeners.running()})
    answer = pages.http("GET", f"/sendsms?{query}", port=port, authorization=None)
    assert (answer.json["status"], pages.texts()) == (0, ["Hello"])
    listed = owner.get("/vendor-accounts")
    assert re.search(r"till active 1 of 5 \d seconds? ago 127.0.0.1", listed.visible)
    assert f"http://127.0.0.1:{port}" in listed.visible
    shown = owner.get("/vendor-accounts/change?user=till").text + listed.text
    assert password not in shown
    assert api_key not in shown
    audit = owner.get("/audit").visible
    assert password not in audit
    assert api_key not in audit


def test_an_account_is_changed_and_removed_and_mistakes_stand_beside_their_fields(pages, owner):
    owner.post("/vendor-accounts/add", {"user": "till", "password": "typed by hand", "api_key": "a1B2c3D4"})
    path, before = "/vendor-accounts/change?user=till", accounts(pages)["till"]
    wrong = owner.post(path, {"active": "on", "addresses": "here", "credit": "many"})
    assert wrong.status == 422
    assert re.search(r'id="f-addresses-error">item 1 must be an address', wrong.text)
    assert re.search(r'id="f-credit-error">must be a whole number<', wrong.text)
    assert accounts(pages)["till"] == before
    given = {
        "active": "on",
        "addresses": "192.0.2.0/24\n127.0.0.1",
        "credit": "7",
        "reads_inbox": "on",
        "life_s": "0",
    }
    assert "Saved." in owner.follow(owner.post(path, given)).visible
    now = accounts(pages)["till"]
    assert (now.addresses, now.credit, now.reads_inbox) == (("192.0.2.0/24", "127.0.0.1"), 7, True)
    assert (now.password, now.api_key) == (before.password, before.api_key)
    anew = owner.post(path, {**given, "new_api_key": "on"})
    assert re.search(r'id="vendor-api-key">([^<]+)<', anew.text)[1] == accounts(pages)["till"].api_key
    assert "vendor-password" not in anew.text
    assert "is removed" in owner.follow(owner.post("/vendor-accounts/remove", {"user": "till"})).visible
    assert not accounts(pages)
    assert owner.get(path).status == 404
    assert owner.post(path, given).status == 404


def test_a_name_that_is_taken_or_unusable_makes_no_account(pages, owner):
    owner.post("/vendor-accounts/add", {"user": "till", "password": "typed by hand"})
    for user, says in (
        ("till", "there is one of this name already"),
        ("a b", "1 to 64 letters"),
        ("", "1 to 64"),
    ):
        answer = owner.post("/vendor-accounts/add", {"user": user, "name": "Till 2"})
        assert answer.status in (400, 422)
        assert says in answer.visible
        assert answer.value_of("name") == "Till 2"
    assert list(accounts(pages)) == ["till"]


def test_a_port_of_another_server_is_refused_whichever_of_the_two_is_moved(pages):
    store = pages.gateway.store
    for port, whose in ((pages.port, "the REST API"), (pages.admin_port, "the admin pages")):
        with pytest.raises(SettingsError, match=f"is the port of {whose}"):
            store.update(VendorApiSettings, {"https_enabled": True, "https_port": port})
    free = pages.free_port()
    store.update(VendorApiSettings, {"host": "127.0.0.1", "http_enabled": True, "http_port": free})
    with pytest.raises(SettingsError, match=r"vendor_api\.http_port: is the port of the REST API"):
        store.update(ApiSettings, {"http_port": free})
