import html
import re
from urllib.parse import unquote

import pyotp
import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.admin_tokens import AdminToken
from otppi.lib.passwords import verify_password
from tests.web.admin_client import PASSWORD, AdminClient, admin_client

NEW = "quite a new one"
EVERYBODY = ["owner", "operator", "viewer"]


def account(pages, user="owner"):
    return pages.gateway.store.items(Administrator)[user]


def again(pages, user="owner", password=PASSWORD):
    """The same person in another browser."""
    client = AdminClient(pages.admin_port)
    assert client.log_in(user, password).status == 303
    return client


@pytest.mark.parametrize("user", EVERYBODY)
def test_everybody_has_an_account_of_their_own(pages, owner, user):
    person = admin_client(pages, user, user)
    page = person.get("/account")
    assert f"User name: {user} Role: {user.capitalize()}" in page.visible
    assert ("Tokens of the admin API" in page.visible) == (user == "owner")
    fields = {"name": "Somebody", "email": "", "phone": "", "language": "id"}
    assert person.post("/account", fields).status == 303
    assert (account(pages, user).name, account(pages, user).language) == ("Somebody", "id")


def test_the_contact_that_resets_a_password_needs_the_password(pages, owner):
    fields = {"name": "Somebody", "email": "", "phone": "081200000001", "language": ""}
    refused = owner.post("/account", fields)
    assert refused.status == 400
    assert "is not your password" in refused.visible
    assert refused.value_of("phone") == "081200000001"
    assert account(pages).phone == account(pages).name == ""
    assert owner.post("/account", {**fields, "password": PASSWORD}).status == 303
    assert account(pages).phone == "081200000001"


def test_another_password_keeps_this_browser_and_ends_the_others(pages, owner):
    other = again(pages)
    answer = owner.post("/account/password", {"password": PASSWORD, "new_password": NEW, "again": NEW})
    assert "Your other browsers are logged out." in owner.follow(answer).visible
    assert verify_password(NEW, account(pages).password)
    assert other.get("/account").status == 303
    assert owner.post("/account", {"name": "x"}).status == 303, "the token of the forms counts still"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "wrong", "new_password": NEW, "again": NEW}, "is not your password"),
        ({"password": PASSWORD, "new_password": NEW, "again": "other"}, "not the same"),
        ({"password": PASSWORD, "new_password": "short", "again": "short"}, "at least 10 characters"),
    ],
)
def test_a_password_that_is_not_taken_changes_nothing(pages, owner, fields, says):
    before = account(pages)
    answer = owner.post("/account/password", fields)
    assert answer.status in (400, 422)
    assert says in answer.visible
    assert "is-invalid" in answer.text
    assert NEW not in answer.text
    assert account(pages) == before


def test_the_present_password_cannot_be_guessed_in_a_borrowed_browser(owner):
    fields = {"new_password": NEW, "again": NEW}
    for _ in range(5):
        assert owner.post("/account/password", {**fields, "password": "wrong"}).status == 400
    answer = owner.post("/account/password", {**fields, "password": PASSWORD})
    assert answer.status == 429
    assert "Too many tries. Please wait 1 second." in answer.visible


def test_a_second_factor_is_switched_on_by_the_picture_and_off_again(pages, owner):
    other = again(pages)
    page = owner.get("/account/second-factor")
    secret = page.value_of("secret")
    assert secret in page.visible
    picture = re.search(r'<img src="(data:image/svg\+xml[^"]+)"', page.text)[1]
    assert unquote(html.unescape(picture)).count("<path") >= 1
    code = pyotp.TOTP(secret).now()
    answer = owner.post("/account/second-factor", {"secret": secret, "code": code, "password": PASSWORD})
    assert "From now on your log-in needs the app as well." in owner.follow(answer).visible
    assert account(pages).totp_secret == secret
    assert other.get("/account").status == 303
    assert secret not in owner.get("/account").text + owner.get("/audit").text

    assert owner.post("/account/second-factor/off", {"password": "wrong"}).status == 400
    assert account(pages).totp_secret
    assert owner.post("/account/second-factor/off", {"password": PASSWORD}).status == 303
    assert not account(pages).totp_secret
    assert owner.get("/account").status == 200


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"code": "000000"}, "is not the code of this moment"),
        ({"code": ""}, "is not the code of this moment"),
        ({"password": "wrong"}, "is not your password"),
        ({"secret": "short"}, "is not the secret of an authenticator app"),
    ],
)
def test_a_second_factor_that_does_not_work_is_not_switched_on(pages, owner, changed, says):
    secret = owner.get("/account/second-factor").value_of("secret")
    fields = {"secret": secret, "code": pyotp.TOTP(secret).now(), "password": PASSWORD}
    answer = owner.post("/account/second-factor", {**fields, **changed})
    assert answer.status == 400
    assert says in answer.visible
    assert answer.value_of("secret") == changed.get("secret", secret)
    assert not account(pages).totp_secret


def test_own_browsers_are_listed_with_this_one_marked_and_ended(pages, owner, operator):
    other = again(pages)
    page = owner.get("/account", User_Agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0")
    assert page.visible.count("this one") == 1
    ids = {one.id for one in pages.gateway._admin_site._sessions.of("owner")}
    assert set(re.findall(r'name="id" value="([0-9a-f]+)"', page.text)) == ids
    owner.post("/account/sessions/others")
    assert (owner.get("/account").status, other.get("/account").status) == (200, 303)
    assert operator.get("/account").status == 200
    own = pages.gateway._admin_site._sessions.of("owner")[0].id
    owner.post("/account/sessions", {"id": own})
    assert owner.get("/account").status == 303


def test_nobody_ends_a_browser_of_somebody_else(pages, owner, viewer):
    session = pages.gateway._admin_site._sessions.of("owner")[0].id
    viewer.post("/account/sessions", {"id": session, "user": "owner"})
    assert owner.get("/account").status == 200


def test_a_token_is_shown_once_with_a_command_that_works(pages, owner):
    made = owner.post("/account/tokens", {"role": "viewer", "note": "Zabbix", "password": PASSWORD})
    token = re.search(r'id="token"[^>]*>([^<]+)<', made.text)[1]
    command = re.search(r"curl -H '([^']+)' -d '\{\}' '([^']+)'", made.visible)
    assert command[1] == f"Authorization: Bearer {token}"
    path = command[2].partition(f":{pages.admin_port}")[2]
    program = AdminClient(pages.admin_port)
    answer = program.ask("POST", path, b"{}", Authorization=f"Bearer {token}")
    assert (answer.status, '"m0"' in answer.text) == (200, True)

    listed = owner.get("/account")
    assert "Zabbix" in listed.visible
    assert "1 token of the admin API works in your name, and goes on doing so with another" in listed.visible
    assert token not in listed.text + owner.get("/audit").text
    owner.post(
        "/account/tokens/remove",
        {"id": listed.text.split('/account/tokens/remove"')[1].split('name="id" value="')[1][:12]},
    )
    assert not pages.gateway.store.items(AdminToken)
    assert program.ask("POST", path, b"{}", Authorization=f"Bearer {token}").status == 401


def test_a_token_that_cannot_be_is_not_made(pages, owner):
    answer = owner.post("/account/tokens", {"role": "viewer", "note": "a" * 101, "password": PASSWORD})
    assert answer.status == 422
    assert "at most 100 characters" in answer.visible
    assert owner.post("/account/tokens", {"role": "king", "note": "x", "password": PASSWORD}).status == 422
    borrowed = owner.post("/account/tokens", {"role": "owner", "note": "x", "password": "wrong"})
    assert borrowed.status == 400
    assert "is not your password" in borrowed.visible
    assert "in your name" not in borrowed.visible
    assert not pages.gateway.store.items(AdminToken)


def test_what_was_drawn_in_answer_to_a_form_can_be_loaded_again(owner):
    for path in ("/account/password", "/account/second-factor/off", "/account/tokens"):
        assert owner.get(path).status == 200
