"""What became of sent messages: filtered, drawn, taken away and deleted."""

import csv
import io
import re
import zipfile
from datetime import date, timedelta

import pytest

from otppi.gateway.sent import SentSettings
from otppi.model.events import DeliveryReported, MessageFinished, Outcome
from otppi.model.number import Number
from otppi.model.received_pdu import ReportOutcome
from otppi.web.outcomes import OUTCOMES

EVIL = "<script>alert(1)</script>"


def finished(one, message_id, number="6281200000001", **others):
    """Let a message end at a modem."""
    values = {
        "modem_id": "m0",
        "modem_name": "m0",
        "door": "rest",
        "user": "shop",
        "masked_number": Number(number).masked,
        "parts": 1,
        "outcome": Outcome.SENT,
        "duration_s": 2.5,
    }
    one.gateway.bus.publish(MessageFinished(message_id=message_id, **(values | others)))


def total(one):
    return one.gateway.sent_report.list()["total"]


@pytest.fixture
def filled(pages):
    """Three messages: sent by the shop and delivered, refused by the network, of unknown outcome."""
    finished(pages, "a", "6281200000034", parts=2)
    finished(
        pages,
        "b",
        "6281200000056",
        outcome=Outcome.FAILED,
        reason="+CMS ERROR: 38",
        door="admin",
        user="owner",
    )
    finished(pages, "c", "6281200000078", outcome=Outcome.UNKNOWN, door="cli", user="")
    pages.wait_until(lambda: total(pages) == 3)
    pages.gateway.bus.publish(
        DeliveryReported(modem_id="m0", message_id="a", masked_number="", outcome=ReportOutcome.DELIVERED)
    )
    pages.wait_until(lambda: pages.gateway.sent_report.list(delivery="delivered")["total"] == 1)
    return pages


def rows(page):
    return page.text.count('data-title="Number"')


def test_all_that_was_sent_is_listed_with_what_became_of_it(filled, viewer):
    page = viewer.get("/reports")
    assert rows(page) == 3
    sent, unknown, failed = (OUTCOMES[one][1] for one in ("sent", "unknown", "failed"))
    for said in (f"62812••••••34 {sent} delivered", f"{failed} +CMS ERROR: 38 no report", "REST API shop"):
        assert said in page.visible
    counted = f"Tries 3 Parts 4 {sent} 1 {unknown} 1 {failed} 1 Delivered by report 1"
    assert counted.lower() in page.visible.lower()
    assert 'role="img"' in page.text
    assert "6281200000034" not in page.text


def test_today_is_shown_first_and_more_days_are_one_click_away(pages, viewer):
    today = date.today()
    chosen = re.compile(r'href="([^"]*)" aria-current="true">([^<]*)<')
    assert chosen.findall(viewer.get("/reports").text) == [(f"/reports?since={today}", "Today")]
    for path, title in (
        (f"/reports?since={today - timedelta(days=6)}", "7 days"),
        (f"/reports?since={today - timedelta(days=29)}", "30 days"),
        ("/reports?since=", "All"),
    ):
        assert f'href="{path}">{title}<' in viewer.get("/reports").text
        assert chosen.findall(viewer.get(path).text) == [(path, title)]
    assert chosen.findall(viewer.get(f"/reports?since={today}&until={today}").text) == []


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("outcome=failed", 1),
        ("outcome=sent&delivery=delivered", 1),
        ("delivery=none", 2),
        ("door=rest", 1),
        ("user=owner", 1),
        ("number=078", 1),
        ("modem=m0", 3),
        ("modem=gone", 0),
        (f"since={date.today() + timedelta(days=2)}", 0),
        (f"until={date.today() - timedelta(days=2)}", 0),
    ],
)
def test_a_filter_lets_through_what_fits(filled, owner, query, number):
    page = owner.get(f"/reports?{query}")
    assert page.status == 200
    assert rows(page) == number
    assert ("No message fits." in page.visible) == (number == 0)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "must be a day such as 2027-01-31"),
        ("number=abc", "has no digits"),
        ("outcome=%3Cb%3E", "must be one of sent, failed, unknown"),
    ],
)
def test_a_filter_that_is_wrong_says_so(filled, owner, query, said):
    page = owner.get(f"/reports?{query}")
    assert page.status == 400
    assert said in page.visible
    assert rows(page) == 0
    assert "<b>" not in page.text


def test_names_of_strangers_stay_text(pages, owner):
    finished(pages, "a", user=EVIL, modem_name=EVIL, reason=EVIL, door="rest", outcome=Outcome.FAILED)
    pages.wait_until(lambda: total(pages) == 1)
    page = owner.get(f"/reports?user={EVIL}")
    assert rows(page) == 1
    assert EVIL not in page.text


def test_long_reports_have_pages(pages, owner):
    for number in range(53):
        finished(pages, f"m{number}")
    pages.wait_until(lambda: total(pages) == 53)
    page = owner.get("/reports?since=")
    assert (rows(page), "1 to 50 of 53" in page.visible) == (50, True)
    assert rows(owner.get("/reports?since=&offset=50")) == 3


def test_rows_are_taken_away_as_csv_and_as_a_spreadsheet(filled, viewer):
    answer = viewer.get("/reports/csv?outcome=failed")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="sent-messages-')
    lines = list(csv.reader(io.StringIO(answer.raw.decode("utf-8-sig"), newline="")))
    assert len(lines) == 2
    assert "+CMS ERROR: 38" in lines[1][5]
    answer = viewer.get("/reports/xlsx?since=")
    with zipfile.ZipFile(io.BytesIO(answer.raw)) as book:
        assert book.read("xl/worksheets/sheet1.xml").count(b"<row ") == 4
    refused = viewer.follow(viewer.get("/reports/csv?since=x"))
    assert "must be a day such as" in refused.visible


def test_old_rows_are_deleted_by_the_owner_alone(filled, owner, operator):
    tomorrow = str(date.today() + timedelta(days=2))
    assert "Delete old rows" not in operator.get("/reports").visible
    assert operator.post("/reports/delete", {"day": tomorrow}).status == 403
    assert total(filled) == 3
    owner.post("/reports/delete", {"day": "x"})
    assert "must be a day such as" in owner.get("/reports").visible
    assert "data-confirm=" in owner.get("/reports").text.partition("Delete old rows")[2]
    answer = owner.post("/reports/delete", {"day": tomorrow})
    assert "3 rows deleted." in owner.follow(answer).visible
    assert total(filled) == 0


def test_a_hint_says_that_no_rows_are_kept_and_leads_the_owner_to_the_setting(pages, owner, viewer):
    assert "No rows are kept" not in owner.get("/reports").visible
    pages.gateway.store.update(SentSettings, {"keep_rows": False})
    assert "No rows are kept of what is sent now" in viewer.get("/reports").visible
    assert 'class="alert-link" href="/settings/messages"' not in viewer.get("/reports").text
    assert 'class="alert-link" href="/settings/messages"' in owner.get("/reports").text


def test_nobody_gets_a_file_without_a_session(filled, owner):
    owner.cookies.clear()
    assert owner.get("/reports/csv").status == 303
    assert owner.get("/reports/xlsx").location.startswith("/login")
