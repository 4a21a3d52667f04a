import re

import pytest

from otppi.gateway.accounts import Administrator
from otppi.lib.passwords import verify_password
from tests.web.admin_client import PASSWORD, AdminClient, admin_client

EVIL = '"><script>alert(1)</script>'
OWN = {"own_password": PASSWORD}
GOOD = {
    **OWN,
    "user": "ann",
    "password": "quite a long one",
    "role": "viewer",
    "name": "Ann",
    "language": "id",
}


def accounts(pages):
    return pages.gateway.store.items(Administrator)


def test_the_list_says_who_may_what(pages, owner, viewer):
    pages.gateway.store.put(
        Administrator, "ann", {"password": PASSWORD, "totp_secret": "A" * 32, "active": False}
    )
    seen = owner.get("/administrators").visible
    assert re.search("owner you . Owner off active Own account", seen)
    assert re.search("viewer . Viewer off active Change", seen)
    assert re.search("ann . Owner on switched off", seen)


def test_an_administrator_is_added_and_can_log_in(pages, owner):
    page = owner.follow(owner.post("/administrators/add", GOOD))
    assert "The administrator ann is added." in page.visible
    ann = AdminClient(pages.admin_port)
    assert ann.log_in("ann", GOOD["password"]).status == 303
    assert ann.get("/administrators").status == 403
    assert '<html lang="id"' in ann.get("/account").text


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"user": ""}, "a user name has 1 to 64"),
        ({"user": "a:b"}, "no colon"),
        ({"user": "owner"}, "there is one of this name already"),
        ({"password": ""}, "is required"),
        ({"password": "short"}, "at least 10 characters"),
        ({"password": "password123"}, "very common word"),
        ({"password": "annabella22", "user": "annabella"}, "is the user name"),
        ({"role": "king"}, "must be one of"),
        ({"phone": "call me"}, "phone number"),
        ({"own_password": "wrong"}, "is not your password"),
    ],
)
def test_a_mistake_makes_no_account_and_stands_beside_its_field(pages, owner, changed, says):
    before = accounts(pages)
    answer = owner.post("/administrators/add", {**GOOD, **changed})
    assert answer.status in (400, 422)
    assert says in answer.visible
    assert "is-invalid" in answer.text
    assert answer.value_of("name") == "Ann"
    assert GOOD["password"] not in answer.text
    assert PASSWORD not in answer.text
    assert accounts(pages) == before


def test_another_owner_changes_role_and_password_and_logs_the_person_out(pages, owner, operator):
    path = "/administrators/change?user=operator"
    fields = {**OWN, "role": "viewer", "active": "on", "password": ""}
    assert owner.post(path, fields).status == 303
    assert operator.get("/account").status == 200
    assert operator.get("/send").status == 403
    assert owner.post(path, {**fields, "password": "quite a long one"}).status == 303
    assert operator.get("/account").status == 303
    assert verify_password("quite a long one", accounts(pages)["operator"].password)


def test_who_is_switched_off_or_blocked_is_out_at_once(pages, owner, operator):
    owner.post("/administrators/change?user=operator", {**OWN, "role": "operator"})
    assert not accounts(pages)["operator"].active
    assert operator.get("/account").status == 303
    assert AdminClient(pages.admin_port).log_in("operator").status == 401


def test_ones_own_account_is_on_its_own_page(owner):
    assert owner.get("/administrators/change?user=owner").location == "/account"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/administrators/change?user=owner", {**OWN, "role": "viewer", "active": "on"}),
        ("/administrators/change?user=owner", {**OWN, "role": "owner"}),
        ("/administrators/change?user=owner", {**OWN, "role": "owner", "active": "on", "blocked": "on"}),
        (
            "/administrators/change?user=owner",
            {**OWN, "role": "owner", "active": "on", "password": "quite a long one"},
        ),
        ("/administrators/remove", {"user": "owner"}),
        ("/administrators/second-factor", {"user": "owner"}),
    ],
)
def test_nobody_takes_his_own_rights_away(pages, owner, path, fields):
    admin_client(pages, "second", "owner")
    before = accounts(pages)
    # A password that is refused brings the form back, which is that of one's own account.
    answer = owner.post(path, fields)
    page = owner.get("/account") if answer.status == 303 else answer
    assert re.search("own account|is your own", page.visible)
    assert accounts(pages) == before


def test_the_last_owner_stays_in_words(pages, owner):
    second = admin_client(pages, "second", "owner")
    assert (
        second.post("/administrators/change?user=owner", {**OWN, "role": "viewer", "active": "on"}).status
        == 303
    )
    # The session of the other is of a viewer from this moment on.
    assert owner.get("/administrators").status == 403
    assert accounts(pages)["second"].role == "owner"


def test_a_lost_second_factor_is_switched_off_by_another_owner(pages, owner, operator):
    pages.gateway.store.put(Administrator, "operator", {"totp_secret": "A" * 32})
    assert "Switch off the second factor" in owner.get("/administrators/change?user=operator").visible
    page = owner.follow(owner.post("/administrators/second-factor", {"user": "operator"}))
    assert "operator logs in with the password alone from now on." in page.visible
    assert AdminClient(pages.admin_port).log_in("operator").status == 303


def test_an_administrator_is_removed_with_his_log_ins(pages, owner, operator):
    page = owner.follow(owner.post("/administrators/remove", {"user": "operator"}))
    assert "The administrator operator is removed." in page.visible
    assert list(accounts(pages)) == ["owner"]
    assert operator.get("/account").status == 303


def test_everybodys_log_ins_are_listed_and_ended(pages, owner, operator):
    operator.get("/account", User_Agent="Mozilla/5.0 (Android 14; Mobile) Firefox/131.0")
    session = pages.gateway._admin_site._sessions.of("operator")[0]
    assert session.id in owner.get("/administrators").text
    owner.follow(owner.post("/administrators/session", {"user": "operator", "id": session.id}))
    assert operator.get("/account").status == 303
    assert owner.get("/account").status == 200


def test_names_and_browsers_stay_text(pages, owner):
    pages.gateway.store.put(Administrator, EVIL, {"password": PASSWORD, "name": EVIL})
    client = AdminClient(pages.admin_port)
    client.post("/login", {"user": EVIL, "password": PASSWORD}, User_Agent=EVIL)
    page = owner.get("/administrators")
    assert page.visible.count(EVIL) >= 3
    assert "<script>alert" not in page.text


def test_no_page_has_a_secret(pages, owner, operator):
    pages.gateway.store.put(Administrator, "operator", {"totp_secret": "B" * 32})
    for path in ("/administrators", "/administrators/change?user=operator", "/audit", "/account"):
        text = owner.get(path).text
        assert "scrypt$" not in text
        assert "B" * 32 not in text
