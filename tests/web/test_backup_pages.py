import re

import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.policy import GeneralSettings
from otppi.system.network.settings import NetworkSettings, WlanSettings
from otppi.web.uploads import Uploads
from tests.web.admin_client import AdminClient, Page, admin_client

PASSPHRASE = "correct horse battery"
NUMBER = "628120000001"


def made(owner: AdminClient, **more: str) -> bytes:
    answer = owner.post("/backup/make", {"passphrase": PASSPHRASE, "again": PASSPHRASE, **more})
    assert answer.status == 200, answer.visible
    assert re.fullmatch(
        r'attachment; filename="otppi-backup-[\w-]+\.otppi"', answer.headers["Content-Disposition"]
    )
    return answer.raw


def sent(owner: AdminClient, file: bytes, passphrase: str = PASSPHRASE) -> Page:
    return owner.upload("/backup/read", {"old_passphrase": passphrase}, {"content": ("b.otppi", file)})


def restored(owner: AdminClient, *parts: str, passphrase: str = PASSPHRASE) -> Page:
    return owner.post("/backup/restore", {"parts": list(parts), "passphrase": passphrase})


def test_what_was_chosen_comes_back_and_the_rest_stays(pages, owner):
    store = pages.gateway.store
    store.update(GeneralSettings, {"device_name": "Shop"})
    store.put(BlockedNumber, NUMBER, {})
    file = made(owner)
    store.update(GeneralSettings, {"device_name": "Another"})
    store.remove(BlockedNumber, NUMBER)
    choice = owner.follow(sent(owner, file))
    assert "Backup of Shop" in choice.visible
    assert "Nothing has changed yet." in choice.visible
    assert store.get(GeneralSettings).device_name == "Another"
    done = restored(owner, "blocklist")
    assert done.status == 200
    assert "What you chose is restored." in done.visible
    assert "Block list" in done.visible
    assert NUMBER in store.items(BlockedNumber)
    assert store.get(GeneralSettings).device_name == "Another"


def test_the_file_is_gone_when_it_was_restored_or_put_away(owner):
    for put_away in (lambda: restored(owner, "general"), lambda: owner.post("/backup/drop")):
        assert sent(owner, made(owner)).location == "/backup/restore"
        put_away()
        page = owner.get("/backup/restore")
        assert page.location == "/backup"
        assert "Please send it again." in owner.follow(page).visible


def test_nobody_else_gets_to_the_file(pages, owner):
    sent(owner, made(owner))
    second = admin_client(pages, "second", "owner")
    assert second.get("/backup/restore").location == "/backup"
    assert second.post("/backup/restore", {"passphrase": PASSPHRASE, "parts": "general"}).status == 303


@pytest.mark.parametrize(
    ("passphrase", "again", "reason"),
    [
        (PASSPHRASE, "another one", "The two passphrases are not the same."),
        ("short", "short", "must have at least 10 characters"),
    ],
)
def test_a_backup_without_a_good_passphrase_is_refused_beside_it(owner, passphrase, again, reason):
    page = owner.post("/backup/make", {"passphrase": passphrase, "again": again})
    assert page.status == 422
    assert reason in page.visible
    assert page.value_of("passphrase") == page.value_of("again") == ""


def test_a_file_that_cannot_be_opened_is_refused_beside_its_field(owner):
    file = made(owner)
    wrong = sent(owner, file, "another passphrase")
    assert wrong.status == 422
    assert 'id="f-old_passphrase-error"' in wrong.text
    assert "is not the one that the backup was made with" in wrong.visible
    for damaged in (file[:-1], b"no backup", b""):
        page = sent(owner, damaged)
        assert page.status in (400, 422)
        assert 'id="f-content-error"' in page.text
    assert owner.get("/backup/restore").location == "/backup"


def test_a_wrong_passphrase_at_the_end_changes_nothing_and_keeps_the_choice(pages, owner):
    store = pages.gateway.store
    store.put(BlockedNumber, NUMBER, {})
    file = made(owner)
    store.remove(BlockedNumber, NUMBER)
    store.update(GeneralSettings, {"device_name": "Another"})
    sent(owner, file)
    page = restored(owner, "blocklist", passphrase="another passphrase")
    assert page.status == 422
    assert 'id="f-passphrase-error"' in page.text
    assert re.search(r'value="blocklist"[^>]* checked', page.text)
    assert not re.search(r'value="general"[^>]* checked', page.text)
    assert NUMBER not in store.items(BlockedNumber)
    assert "at least one part" in restored(owner).visible


def test_other_administrators_end_the_session_and_that_is_said_before_and_after(pages, owner):
    store = pages.gateway.store
    file = made(owner)
    store.put(Administrator, "owner", {"password": "quite another one"})
    assert owner.log_in(password="quite another one").status == 303
    assert "has to log in again" in owner.follow(sent(owner, file)).visible
    page = restored(owner, "admins")
    assert page.status == 200
    assert "You may have to log in again" in page.visible
    assert owner.get("/backup").location.startswith("/login")
    assert owner.log_in().status == 303


def test_the_network_is_not_chosen_by_itself_and_is_tried(pages, owner):
    store = pages.gateway.store
    pages.wait_until(lambda: pages.gateway.appliance.network.show()["interfaces"])
    file = made(owner)
    with pages.gateway.appliance.network.free_hand():
        store.update(NetworkSettings, {"hostname": "another"})
        store.update(WlanSettings, {"ssid": "Another"})
    choice = owner.follow(sent(owner, file))
    assert not re.search(r'value="wlan"[^>]* checked', choice.text)
    done = restored(owner, "wlan")
    assert "The network has changed on trial." in done.visible
    way = re.search(r'href="(/network/trial\?after=\d+)"', done.text)
    assert way
    pages.wait_until(lambda: "Keep this network" in owner.get(way[1]).visible)
    assert store.get(NetworkSettings).hostname == "another"


def test_messages_are_only_in_it_if_wanted(owner):
    assert "Received messages:" not in owner.follow(sent(owner, made(owner))).visible
    with_them = owner.follow(sent(owner, made(owner, with_messages="on")))
    assert "Received messages: 0. Days of reports: 0." in with_them.visible


def test_a_name_in_the_file_stays_text(pages, owner):
    pages.gateway.store.update(GeneralSettings, {"device_name": "<b>Shop</b>"})
    page = owner.follow(sent(owner, made(owner)))
    assert "<b>Shop" not in page.text
    assert "Backup of <b>Shop</b>" in page.visible


def test_backups_are_for_owners(operator, viewer):
    for one in (operator, viewer):
        assert one.get("/backup").status == 403
        assert one.get("/backup/restore").status == 403
        for path in ("make", "read", "restore", "drop"):
            assert one.post(f"/backup/{path}").status == 403


def test_a_file_is_kept_for_ten_minutes_and_few_at_a_time(clock):
    uploads = Uploads(clock)
    uploads.keep("ann", "backup", "one", {})
    clock.advance(599)
    uploads.keep("ben", "backup", "two", {})
    assert uploads.find("ann", "backup").content == "one"
    assert uploads.find("ann", "old device") is None
    clock.advance(1)
    assert uploads.find("ann", "backup") is None
    assert uploads.find("ben", "backup").content == "two"
    uploads.keep("cem", "backup", "three", {})
    uploads.keep("dan", "backup", "four", {})
    kept = [uploads.find(one, "backup") for one in ("ben", "cem", "dan")]
    assert [one and one.content for one in kept] == [None, "three", "four"]
