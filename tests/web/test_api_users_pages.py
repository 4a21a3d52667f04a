import re
import shlex

import pytest

from otppi.gateway.accounts import ApiUser
from otppi.lib.passwords import verify_password
from tests.gateway_under_test import USER

EVIL = '"><script>alert(1)</script>'


def users(pages):
    return pages.gateway.store.items(ApiUser)


def test_the_list_has_every_user_with_its_state(pages, owner):
    store = pages.gateway.store
    store.put(ApiUser, "off", {"password": "12345678", "active": False, "name": "Old shop"})
    store.put(ApiUser, "bad", {"password": "12345678", "blocked": True, "phone": "081200000001"})
    seen = owner.get("/api-users").visible
    assert re.search(r"shop . active not since the start", seen)
    assert "off Old shop switched off" in seen
    assert "bad 081200000001 blocked" in seen


def test_the_list_says_when_an_application_was_last_let_in(pages, owner):
    assert pages.call("check-modem").status == 200
    assert re.search(r"shop . active \d seconds? ago 127.0.0.1", owner.get("/api-users").visible)


def test_a_password_of_the_device_is_shown_once_in_a_command_that_works(pages, owner):
    made = owner.post("/api-users/add", {"user": "till", "name": "Till 1", "password": ""})
    assert made.status == 200
    assert made.headers["Cache-Control"] == "no-store"
    password = re.search(r'id="api-password">([^<]+)<', made.text)[1]
    assert verify_password(password, users(pages)["till"].password)
    assert users(pages)["till"].name == "Till 1"
    command = re.search(r"curl -u 'till:[^']+' '(http://[^']+)' -d '", made.visible)
    assert f":{pages.port}/" in command[1]
    assert shlex.split(command[0] + "'")[2] == f"till:{password}"
    assert password not in owner.get("/api-users/change?user=till").text


def test_a_password_that_was_typed_is_not_shown_again(pages, owner):
    made = owner.post("/api-users/add", {"user": "till", "password": "typed by hand"})
    assert "typed by hand" not in made.text
    assert "till:PASSWORD" in made.visible
    assert verify_password("typed by hand", users(pages)["till"].password)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"user": ""}, "1 to 64 letters"),
        ({"user": "a b"}, "1 to 64 letters"),
        ({"user": "a:b"}, "1 to 64 letters"),
        ({"user": USER}, "there is one of this name already"),
        ({"user": "till", "password": "short"}, "at least 8 characters"),
        ({"user": "till", "phone": "call me"}, "signs of a phone number"),
    ],
)
def test_a_mistake_makes_no_user_and_stands_beside_its_field(pages, owner, fields, says):
    before = users(pages)
    answer = owner.post("/api-users/add", {"name": "Till 1", **fields})
    assert answer.status in (400, 422)
    assert says in answer.visible
    assert "is-invalid" in answer.text
    assert answer.value_of("name") == "Till 1"
    assert users(pages) == before


def test_an_empty_password_keeps_the_present_one(pages, owner):
    before = users(pages)[USER]
    answer = owner.post(f"/api-users/change?user={USER}", {"name": "Web shop", "password": ""})
    assert "Saved." in owner.follow(answer).visible
    assert users(pages)[USER].name == "Web shop"
    assert users(pages)[USER].password == before.password


def test_another_password_is_taken_or_made(pages, owner):
    path = f"/api-users/change?user={USER}"
    assert owner.post(path, {"password": "typed by hand"}).status == 303
    assert verify_password("typed by hand", users(pages)[USER].password)
    made = owner.post(path, {"password": "", "new_password": "on"})
    password = re.search(r'id="api-password">([^<]+)<', made.text)[1]
    assert verify_password(password, users(pages)[USER].password)


def test_a_user_is_switched_off_blocked_and_let_in_again(pages, owner):
    assert pages.call("check-modem").status == 200
    for what, status in (("deactivate", 401), ("activate", 200), ("block", 401), ("activate", 200)):
        owner.follow(owner.post(f"/api-users/{what}", {"user": USER}))
        assert pages.call("check-modem").status == status, what


def test_a_user_is_removed(pages, owner):
    page = owner.follow(owner.post("/api-users/remove", {"user": USER}))
    assert "The API user shop is removed." in page.visible
    assert not users(pages)


@pytest.mark.parametrize("path", ["activate", "block", "remove"])
def test_what_is_not_there_cannot_be_changed(pages, owner, path):
    owner.post(f"/api-users/{path}", {"user": "nobody"})
    assert re.search("there is no such (API user|item)", owner.get("/api-users").visible)
    assert list(users(pages)) == [USER]
    assert owner.get("/api-users/change?user=nobody").status == 404
    assert owner.post("/api-users/change?user=nobody", {"name": "x"}).status == 404


def test_names_stay_text(pages, owner):
    pages.gateway.store.put(ApiUser, EVIL, {"password": "12345678", "name": EVIL})
    listed = owner.get("/api-users")
    assert EVIL in listed.visible
    assert "<script>alert" not in listed.text
    link = re.search(r'href="(/api-users/change\?user=%22[^"]+)"', listed.text)[1]
    shown = owner.get(link)
    assert shown.status == 200
    assert "<script>alert" not in shown.text
    assert "curl" not in shown.visible, "such a name would end the quotation in a program"
    assert owner.post(link, {"name": "harmless"}).status == 303
    assert users(pages)[EVIL].name == "harmless"


def test_no_page_has_a_hash_of_a_password(pages, owner):
    stored = users(pages)[USER].password
    for path in ("/api-users", f"/api-users/change?user={USER}", "/audit"):
        text = owner.get(path).text
        assert stored not in text
        assert "scrypt$" not in text
