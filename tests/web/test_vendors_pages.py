"""The pages of accounts at SMS vendors."""

import re

import pytest

from otppi.vendors.settings import VendorRouteSettings
from tests.vendor_server import ACCOUNT, PASSWORD, VendorServer

EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def vendor():
    one = VendorServer()
    one.start()
    yield one
    one.stop()


def routes(pages):
    return pages.gateway.store.items(VendorRouteSettings)


def filled(vendor, **changes):
    """What a browser sends of the form, filled in."""
    return {
        "name": "cadangan",
        "active": "on",
        "url": vendor.url,
        "allow_insecure": "on",
        "dialect": "V1",
        "account": ACCOUNT,
        "password": PASSWORD,
        "last_resort": "on",
        "prices": "telkomsel=200\nother=230",
        "quota_per_day": "100",
        "balance_low": "5000",
        **changes,
    }


def test_an_account_is_added_tested_changed_switched_off_and_removed(pages, owner, viewer, vendor):
    assert "There is no account at a vendor" in owner.get("/vendors").visible
    added = owner.follow(owner.post("/vendors/new", filled(vendor)))
    assert "The account cadangan is saved." in added.visible
    ((route_id, kept),) = routes(pages).items()
    assert (kept.password, kept.last_resort, kept.in_flight) == (PASSWORD, True, 4)
    assert kept.prices[0].endswith("=200")
    pages.wait_until(lambda: any(one.is_ready for one in pages.gateway.vendors.snapshot()))
    path = f"/vendors/{route_id}"
    tested = owner.follow(owner.post(f"{path}/test"))
    assert "The connection to cadangan works; IDR499,740 is left." in tested.visible
    assert re.search(r"cadangan Ready only when no modem can not encrypted", tested.visible)
    for text in ("Telkomsel: IDR200", "all other numbers: IDR230", "0 of 100 parts today", "IDR499,740"):
        assert text in tested.visible
    form = owner.get(path)
    assert PASSWORD not in form.text
    assert 'placeholder="unchanged"' in form.text
    saved = filled(vendor, name="cadangan 2", password="")
    saved.pop("last_resort")
    assert owner.post(path, saved).status == 303
    assert (routes(pages)[route_id].name, routes(pages)[route_id].last_resort) == ("cadangan 2", False)
    assert routes(pages)[route_id].password == PASSWORD
    assert PASSWORD not in owner.get("/audit").text
    assert "cadangan 2" in viewer.get("/vendors").visible
    assert "/vendors/new" not in viewer.get("/vendors").text
    assert "is switched off" in owner.follow(owner.post(f"{path}/switch")).visible
    assert not routes(pages)[route_id].active
    assert "The account is removed." in owner.follow(owner.post(f"{path}/remove")).visible
    assert not routes(pages)
    assert owner.get(path).status == 400


MISTAKES = (
    ({"allow_insecure": ""}, "is not encrypted; allow that, or use https://"),
    ({"url": "https://sms.example.com:20003/sendsms?account=x"}, "must be an address such as"),
    ({"url": "https://sms.example.com:99999"}, "has a port that cannot be"),
    ({"url": "https://user:pass@sms.example.com"}, "must be an address such as"),
    ({"name": "m0"}, "another account or a modem has this name"),
    ({"account": ""}, "must not be empty"),
    ({"prices": "other=x"}, "item 1 must be"),
    ({"timeout_s": "0"}, "must be 1 to 120"),
)


def test_a_mistake_stands_beside_its_field_and_saves_nothing(pages, owner, vendor):
    for changes, says in MISTAKES:
        answer = owner.post("/vendors/new", filled(vendor, **changes))
        assert answer.status in (400, 422)
        assert says in answer.visible
        assert "is-invalid" in answer.text
        assert PASSWORD not in answer.text
        assert not routes(pages)


def test_it_is_named_where_senders_are_named(pages, owner, vendor):
    spiteful = EVIL[:60]
    assert owner.post("/vendors/new", filled(vendor, name=spiteful, balance_low="600000")).status == 303
    ((route_id, _),) = routes(pages).items()
    pages.wait_until(lambda: any(one["warnings"] for one in pages.gateway._vendor_desk.list()))
    assert pages.call("send-sms", receiver="081200000001", message="x", modem_id=route_id).code == "0000"
    shown = {path: owner.get(path) for path in ("/vendors", "/monitor", "/reports", "/costs", "/diagnosis")}
    for path, page in shown.items():
        assert "script>alert(1)" in page.visible, path
        assert "<script>alert" not in page.text, path
    assert f'data-node="modem:{route_id}"' in shown["/monitor"].text
    assert f'value="{route_id}"' in shown["/reports"].text
    assert "less than 600000 is left" in shown["/costs"].visible
    assert "less than 600000 is left" in shown["/diagnosis"].visible
    assert f'<option value="{route_id}"' in owner.get("/send").text
    asked = owner.follow(owner.post("/costs/ask", {"modem": route_id}))
    assert "IDR499,740 is left on the account" in asked.visible


def test_what_a_vendor_refuses_is_said_on_its_card_and_told_to_open_pages(pages, owner, vendor):
    owner.post("/vendors/new", filled(vendor, password="wrong"))
    ((route_id, _),) = routes(pages).items()
    pages.wait_until(lambda: "Needs attention" in owner.get("/vendors").visible)
    assert "the vendor refuses the account or its password" in owner.get("/vendors").visible
    tested = owner.follow(owner.post(f"/vendors/{route_id}/test"))
    assert tested.visible.count("the vendor refuses the account or its password") == 2
    notice = "The account cadangan at an SMS vendor needs attention: the vendor refuses the account or its password"
    pages.wait_until(lambda: notice in owner.get("/live?after=0").text)
