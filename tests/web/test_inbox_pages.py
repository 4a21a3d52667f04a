"""Received messages on pages: what strangers write stays text, and is read, answered and deleted."""

import html
import re
import time
from datetime import UTC, datetime

import pytest

from otppi.contracts.received import ReceivedPart
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.lib.bus import Bus
from otppi.model.pdu import Concat
from otppi.model.received_pdu import Delivered, Party
from otppi.modems.settings import ModemSettings
from otppi.services.folders import StateFolder
from tests.gateway_under_test import Sim
from tests.web.admin_client import admin_client

SOMEBODY = Party("+6281200000001")
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
OVERRIDE = "\u202egpj.exe\u202c"


def received(one, name="m0", *, sender="+6281200000001", text="Are you open?"):
    """Let a message come, and return its id."""
    before = total(one)
    one.lines[name].deliver(sender, text)
    one.wait_until(lambda: total(one) > before)
    return messages(one)[0].id


def messages(one):
    return one.gateway._inbox.page().messages  # what really is there


def total(one):
    return len(messages(one))


def test_what_nobody_has_read_is_marked_until_it_is_opened(pages, operator):
    message_id = received(pages)
    listed = operator.get("/inbox").visible
    assert "1 message · 1 unread" in listed
    assert "+6281200000001 new" in listed
    opened = operator.get(f"/inbox/{message_id}").visible
    assert "Are you open?" in opened
    assert "+6281200000001" in opened
    assert "new" not in operator.get("/inbox").visible.partition("1 message")[2].partition("Tick all")[0]
    operator.follow(operator.post(f"/inbox/{message_id}/unread"))
    assert "1 unread" in operator.get("/inbox").visible


@pytest.mark.parametrize(
    "text", [EVIL, f"safe {OVERRIDE} {EVIL}", "w" * 1500, f"{EVIL} 世 " * 50, "\n\n a\n  b {{ 7*7 }} {% x %}"]
)
def test_what_strangers_write_stays_text(pages, operator, text):
    message_id = received(pages, sender="<b>SHOP</b>", text=text)
    for page in (operator.get("/inbox"), operator.get(f"/inbox/{message_id}")):
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert "<b>SHOP" not in page.text
        assert "49" not in page.visible
    shown = re.search(r'<div class="sms-text" dir="auto" translate="no">(.*?)</div>', page.text, re.DOTALL)[1]
    assert page.text.count("SHOP") >= 1
    assert "".join(text.split())[:40] in "".join(html.unescape(shown).split())


def test_four_thousand_characters_and_a_name_of_any_kind_are_shown(tmp_path, gateway):
    text = f"{'4000 ' * 800}"
    one = with_kept(tmp_path, gateway, party=Party(EVIL + OVERRIDE, is_name=True), text=text)
    owner = admin_client(one)
    assert "…" in owner.get("/inbox").text
    page = owner.get(f"/inbox/{messages(one)[0].id}")
    assert text.strip() in page.text
    assert "<script>alert" not in page.text
    assert "nobody can reply" in page.visible


def test_links_cannot_be_clicked(pages, operator):
    message_id = received(pages, text="Win now: https://example.com/win javascript:alert(1)")
    assert 'href="https://example.com' not in operator.get("/inbox").text
    page = operator.get(f"/inbox/{message_id}")
    assert "https://example.com/win" in page.visible
    assert 'href="https://example.com' not in page.text
    assert 'href="javascript' not in page.text


def with_kept(tmp_path, gateway, *, party=SOMEBODY, text="first half ", **others):
    """Start a gateway that has had a message for three hours."""
    folder = StateFolder.prepared(tmp_path / "gateway0" / "state").inbox
    long_ago = Long(time.time() - 3 * 3600)
    inbox = Inbox(folder, InboxSettings, Bus(), long_ago)
    sent_at = datetime.fromtimestamp(long_ago.at_s, UTC)
    inbox.keep(
        [
            ReceivedPart(
                modem_id="m0", sim="m0", message=Delivered(sender=party, text=text, sent_at=sent_at, **others)
            )
        ]
    )
    inbox.stop()
    one = gateway(on_desk=True)
    one.wait_until(lambda: total(one) == 1)
    return one


class Long:
    """A clock that stands."""

    def __init__(self, at_s):
        self.at_s = at_s

    def wall_s(self):
        return self.at_s

    def boot_s(self):
        return self.at_s

    def wall_is_trusted(self):
        return True


def test_an_incomplete_message_says_which_parts_did_not_come(tmp_path, gateway):
    one = with_kept(tmp_path, gateway, concat=Concat(reference=7, total=3, number=1))
    owner = admin_client(one)
    assert "incomplete" in owner.get("/inbox").visible
    page = owner.get(f"/inbox/{messages(one)[0].id}")
    assert "This message is incomplete. Parts that did not come: 2, 3 (of 3)." in page.visible


def test_data_is_called_data(tmp_path, gateway):
    one = with_kept(tmp_path, gateway, text="DEADBEEF", is_data=True)
    owner = admin_client(one)
    assert "data, no text" in owner.get("/inbox").visible
    page = owner.get(f"/inbox/{messages(one)[0].id}")
    assert "This message holds data for programs, not text: 4 byte" in page.visible
    assert "DEADBEEF" in page.visible


def test_messages_are_searched_and_paged(pages, operator):
    for number in range(27):
        pages.lines["m0"].deliver("+6281200000001", f"text {number:02}")
    pages.wait_until(lambda: total(pages) == 27)
    first = operator.get("/inbox").visible
    assert "text 26" in first
    assert "text 01" not in first
    assert "1 to 25 of 27" in first
    assert "text 01" in operator.get("/inbox?offset=25").visible
    found = operator.get("/inbox?search=text+2").visible
    assert "7 messages" in found
    assert "text 19" not in found
    assert "No message has this sender or text." in operator.get(f"/inbox?search={'%3Cb%3E'}").visible
    assert operator.get("/inbox?search=text+2&offset=50").location == "/inbox?search=text+2"


def test_ticked_messages_are_marked_and_deleted(pages, operator):
    ids = [received(pages, text=f"text {number}") for number in range(3)]
    operator.post("/inbox", {"message": ids[:2], "what": "read"})
    assert [one.is_read for one in messages(pages)] == [False, True, True]
    operator.post("/inbox", {"message": ids[:1], "what": "unread"})
    assert [one.is_read for one in messages(pages)] == [False, True, False]
    said = operator.follow(operator.post("/inbox", {"message": ids[1:], "what": "delete"})).visible
    assert [one.id for one in messages(pages)] == ids[:1]
    assert "2 messages deleted." in operator.get("/inbox").visible or "2 messages deleted." in said
    operator.post("/inbox", {"what": "delete"})
    assert "Tick a message first." in operator.get("/inbox").visible
    assert total(pages) == 1


def test_one_message_is_deleted(pages, operator):
    message_id = received(pages)
    answer = operator.post(f"/inbox/{message_id}/delete")
    assert "1 message deleted." in operator.follow(answer).visible
    assert total(pages) == 0
    assert operator.get(f"/inbox/{message_id}").status == 400


def reply(client, message_id, text="Yes, until five", **others):
    page = client.get(f"/inbox/{message_id}")
    given = {"text": text, "reference": page.value_of("reference")} | others
    return given, client.post(f"/inbox/{message_id}/reply", given)


def test_a_reply_goes_out_once_through_the_card_that_was_written_to(gateway):
    one = gateway(modems=(Sim(name="cheap", prefixes=("62812",)), Sim(name="asked")), on_desk=True)
    owner = admin_client(one)
    message_id = received(one, "asked")
    given, answer = reply(owner, message_id)
    assert "Sent in 1 part through asked." in owner.follow(answer).visible
    owner.post(f"/inbox/{message_id}/reply", given)
    assert (one.texts("asked"), one.texts("cheap")) == (["Yes, until five"], [])
    one.wait_until(lambda: one.gateway.sent_report.list()["total"] == 1)
    (row,) = one.gateway.sent_report.list()["rows"]
    assert (row["door"], row["user"]) == ("admin", "owner")


def test_a_reply_that_its_card_cannot_send_may_go_through_any_modem(gateway):
    one = gateway(modems=(Sim(name="other"), Sim(name="asked")), on_desk=True)
    owner = admin_client(one)
    message_id = received(one, "asked")
    one.gateway.store.remove(ModemSettings, "asked")
    one.wait_until(lambda: len(one.gateway.pool.snapshot()) == 1)
    _, page = reply(owner, message_id)
    assert page.status == 503
    assert "the SIM that got it is in no modem now; let any modem send it" in page.visible
    assert "Yes, until five" in page.text
    assert one.texts() == []
    _, answer = reply(owner, message_id, any_modem="on")
    assert answer.status == 303
    assert one.texts("other") == ["Yes, until five"]


def test_a_reply_that_is_refused_says_why_and_keeps_the_text(pages, operator):
    message_id = received(pages)
    _, page = reply(operator, message_id, "x" * 1300)
    assert page.status == 422
    assert "needs 9 parts, more than the 8 allowed" in page.visible
    assert "x" * 1300 in page.text
    assert pages.texts() == []


def test_a_sender_without_a_number_gets_no_form(pages, operator):
    message_id = received(pages, sender="TELKOMSEL")
    page = operator.get(f"/inbox/{message_id}")
    assert "nobody can reply" in page.visible
    assert "Block this number" not in page.visible
    assert f'action="/inbox/{message_id}/reply"' not in page.text


def test_a_number_is_blocked_from_its_message(pages, operator):
    message_id = received(pages)
    answer = operator.post(f"/inbox/{message_id}/block")
    assert "Nothing is sent to it." in operator.follow(answer).visible
    assert "+6281200000001 blocked" in operator.get("/blocklist").visible


def test_a_hint_says_that_messages_are_not_kept(pages, operator):
    assert "are not kept" not in operator.get("/inbox").visible
    pages.gateway.store.update(InboxSettings, {"keep_messages": False})
    assert "Received messages are not kept" in operator.get("/inbox").visible


def test_the_list_is_fetched_anew_when_a_message_comes(pages, operator):
    assert '<div id="messages" data-topic="inbox">' in operator.get("/inbox").text


def test_a_viewer_reads_nothing(pages, viewer):
    message_id = received(pages)
    for path in ("/inbox", f"/inbox/{message_id}"):
        page = viewer.get(path)
        assert page.status == 403
        assert "Are you open?" not in page.text
    for path in ("/inbox", *(f"/inbox/{message_id}/{one}" for one in ("reply", "delete", "unread", "block"))):
        assert viewer.post(path, {"message": message_id, "what": "delete", "text": "x"}).status == 403
    assert total(pages) == 1
    assert pages.texts() == []
