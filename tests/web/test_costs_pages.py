"""What messages cost, what the quotas leave, what is left on the SIM cards."""

import pytest

from tests.gateway_under_test import Sim
from tests.web.admin_client import admin_client

CHEAP = Sim(name="cheap", settings={"prices": ["other=50"], "quota_per_day": 10, "balance_ussd": "*123#>1"})
DEAR = Sim(name="dear", default=True, settings={"prices": ["other=350"]})


@pytest.fixture
def priced(gateway):
    return gateway(on_desk=True, modems=(CHEAP, DEAR))


def test_what_was_spent_and_saved_is_told_by_modem_and_in_all(priced):
    owner = admin_client(priced)
    assert priced.call("send-sms", receiver="081200000001", message="x").code == "0000"
    for period in ("today", "this_month"):
        text = owner.get(f"/costs?period={period}").visible
        assert "cheap 1 IDR50 IDR300" in text
        assert "dear 0 IDR0 IDR0" in text
        assert "All modems 1 IDR50 IDR300" in text
    assert "All modems 0 IDR0 IDR0" in owner.get("/costs?period=day_before").visible
    assert "1 of 10 parts today" in owner.get("/costs").visible


def test_a_period_that_there_is_not_shows_this_month(priced):
    page = admin_client(priced).get("/costs?period=<script>")
    assert page.status == 200
    assert "<script>" not in page.text.partition("</head>")[2]


def test_a_balance_is_asked_for_now(priced):
    owner = admin_client(priced)
    assert "cheap not known \N{EN DASH} not asked yet" in owner.get("/costs").visible
    done = owner.follow(owner.post("/costs/ask", {"modem": "cheap"}))
    assert "IDR12,500 is left on the SIM card of cheap." in done.visible
    assert "cheap IDR12,500 Dec 31, 2026" in done.visible


def test_an_answer_without_a_balance_is_told(gateway):
    pages = gateway(on_desk=True, modems=(Sim(settings={"balance_ussd": "*100#"}),))
    owner = admin_client(pages)
    done = owner.follow(owner.post("/costs/ask", {"modem": "m0"}))
    assert (
        done.visible.count("the answer has no balance that can be read") == 2
    )  # as a message, and in the table


def test_in_indonesian_rupiah_are_written_as_there(priced):
    owner = admin_client(priced)
    owner.post("/costs/ask", {"modem": "cheap"})
    owner.post("/language", {"language": "id"})
    assert "12.500" in owner.get("/costs").visible


def test_a_viewer_sees_and_asks_nobody(priced):
    admin_client(priced)
    viewer = admin_client(priced, "viewer", "viewer")
    page = viewer.get("/costs")
    assert page.status == 200
    assert "/costs/ask" not in page.text
    assert viewer.post("/costs/ask", {"modem": "cheap"}).status == 403
