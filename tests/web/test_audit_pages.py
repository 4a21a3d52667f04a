import re

from otppi.gateway.functions import HIDDEN
from otppi.gateway.rights import RIGHTS
from otppi.web.pages import audit
from otppi.web.pages.audit import SENTENCES

OF_THE_PAGES = {
    "download",
    "log_in",
    "log_out",
    "network.confirm",
    "recovery.begin",
    "recovery.finish",
    "setup",
}


def trail(pages):
    return pages.gateway._admin_site._audit


def test_there_is_a_sentence_for_everything_that_changes_something_and_for_nothing_else():
    changes = {name for name, right in RIGHTS.items() if right.changes}
    assert set(SENTENCES) == changes | OF_THE_PAGES


def test_a_row_says_who_what_with_which_values_and_how_it_ended(pages, owner):
    owner.post("/api-users/block", {"user": "shop"})
    owner.post("/administrators/remove", {"user": "owner"})
    seen = owner.get("/audit").visible
    assert "owner 127.0.0.1 added or changed an API user User: shop Blocked: yes done" in seen
    assert "owner 127.0.0.1 removed an administrator User: owner refused" in seen
    assert "owner 127.0.0.1 logged in done" in seen


def test_a_file_that_is_taken_away_is_noted_with_who_took_it(pages, owner, viewer):
    assert viewer.get("/reports/csv?since=").status == 200
    assert viewer.get("/logs/download").status == 403
    assert owner.get("/logs/download").status == 200
    seen = owner.get("/audit").visible
    assert re.search(r"viewer 127\.0\.0\.1 downloaded a file File: sent-messages-[0-9-]+\.csv done", seen)
    assert "owner 127.0.0.1 downloaded a file File: otppi-log.txt done" in seen
    assert seen.count("downloaded a file") == 2


def test_a_function_without_a_sentence_is_named(pages, owner):
    trail(pages).note(user="", address="192.0.2.1", what="new.thing", details={}, outcome="failed")
    assert "somebody unknown 192.0.2.1 new.thing failed" in owner.get("/audit").visible


def test_one_users_rows_alone_are_shown(pages, owner):
    for user in ("ann", "bob"):
        trail(pages).note(user=user, address="192.0.2.1", what="send", details={}, outcome="done")
    seen = owner.get("/audit?user=ann").visible
    assert "ann 192.0.2.1 sent a message" in seen
    assert "bob 192.0.2.1" not in seen


def test_older_rows_are_on_further_pages(pages, owner):
    for number in range(120):
        trail(pages).note(user="ann", address="192.0.2.1", what=f"call.{number}", details={}, outcome="done")
    first = owner.get("/audit?user=ann")
    assert "1 to 50 of 120" in first.visible
    older = re.search(r'href="(/audit\?user=ann&amp;offset=50)"', first.text)
    assert older
    assert "51 to 100 of 120" in owner.get("/audit?user=ann&offset=50").visible
    assert owner.get("/audit?user=ann&offset=99999999").status == 200


def test_what_was_noted_stays_text(pages, owner):
    evil = '"><script>alert(1)</script>'
    trail(pages).note(user=evil, address=evil, what=evil, details={evil: [evil, {evil: True}]}, outcome=evil)
    page = owner.get("/audit")
    assert page.status == 200
    assert "<script>alert" not in page.text
    assert "<script>alert" not in owner.get("/audit?user=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text


def test_lists_and_nothing_are_told_in_one_line(owner):
    words = {"a": ["x", "y"], "b": None, "c": {"d": False}}
    told = list(audit._told(_English(), "", words))
    assert told == [("a", "x, y"), ("c.d", "no")]


class _English:
    def __call__(self, text):
        return text

    def said(self, text):
        return text


def test_settings_are_called_by_their_titles_and_secrets_hidden(pages, owner):
    values = {"wlan.passphrase": "rahasia-toko-1", "wlan.hidden": "true", "general.device_name": ""}
    trail(pages).note(
        user="ann",
        address="192.0.2.1",
        what="settings.set",
        details={"values": {**values, "wlan.passphrase": HIDDEN}},
        outcome="done",
    )
    put = {"section": "open_ports", "item": "tcp5000", "values": {"port": "5000", "note": ""}}
    trail(pages).note(user="bob", address="192.0.2.1", what="settings.put", details=put, outcome="done")
    seen = owner.get("/audit").visible
    assert "ann 192.0.2.1 changed settings Access point, Passphrase: hidden" in seen
    assert "values." not in seen
    assert "Device name" not in seen
    assert "Settings: Open ports Entry: tcp5000 Port: 5000 done" in seen
