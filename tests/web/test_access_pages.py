import re
import ssl
from http.client import HTTPSConnection

import pyotp
import pytest

from otppi.gateway.accounts import Administrator
from otppi.web.settings import AdminSettings
from tests.web.admin_client import PASSWORD, AdminClient, Page

SECRET = pyotp.random_base32()


@pytest.fixture
def nobody(pages, owner):
    """A browser that nobody has logged in with yet, at a device that has an owner."""
    return AdminClient(pages.admin_port)


@pytest.fixture
def second_factor(pages, owner):
    pages.gateway.store.put(Administrator, "owner", {"totp_secret": SECRET})
    return pyotp.TOTP(SECRET)


def noted(owner):
    answer = owner.ask("POST", "/api/admin/v1/audit.list", X_CSRF_Token=owner.csrf)
    assert answer.status == 200
    return answer.text


def rows(pages):
    """What the trail holds, as `who what outcome details`."""
    page = pages.gateway._admin_site._audit.page()["rows"]
    return [(one["user"], one["what"], one["outcome"], one["details"]) for one in page]


def attributes_of(page, cookie):
    line = next(one for one in page.headers.get_all("Set-Cookie") if one.startswith(f"{cookie}="))
    return {one.strip().lower() for one in line.split(";")[1:]}


def test_a_log_in_leads_to_the_page_that_was_asked_for(nobody):
    asked = nobody.get("/audit?user=shop")
    assert asked.location == "/login?next=/audit%3Fuser%3Dshop"
    form = nobody.follow(asked)
    answer = nobody.post("/login", {"user": "owner", "password": PASSWORD, "next": form.value_of("next")})
    assert (answer.status, answer.location) == (303, "/audit?user=shop")


def test_whoever_has_to_log_in_again_comes_back_to_the_form_and_not_to_what_it_posted_to(nobody, pages):
    came_from = f"http://127.0.0.1:{pages.admin_port}/account"
    answer = nobody.post("/account/sessions/others", Referer=came_from)
    assert answer.location == "/login?next=/account%23put-back"
    form = nobody.follow(answer)
    assert "Your session has ended; nothing was saved yet." in form.visible
    assert "has ended" not in nobody.get("/login?next=/account").visible
    answer = nobody.post("/login", {"user": "owner", "password": PASSWORD, "next": form.value_of("next")})
    assert answer.location == "/account#put-back"


def test_a_page_that_was_too_old_asks_its_script_to_put_back_what_was_typed(pages, owner):
    came_from = f"http://127.0.0.1:{pages.admin_port}/account"
    answer = owner.post("/account/password", csrf="of another session", Referer=came_from)
    assert answer.location == "/account#put-back"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//example.com",
        "/\\example.com",
        "https://example.com/",
        "\\\\example.com",
        "javascript:alert(1)",
        "/\t/example.com",
        "/\r\nSet-Cookie: a=b",
        "example.com",
        "",
    ],
)
def test_no_log_in_leads_to_another_site(nobody, elsewhere):
    answer = nobody.post("/login", {"user": "owner", "password": PASSWORD, "next": elsewhere})
    assert (answer.status, answer.location) == (303, "/")


def test_a_wrong_password_and_an_unknown_name_look_the_same(nobody):
    wrong = nobody.post("/login", {"user": "owner", "password": "not this one"})
    unknown = nobody.post("/login", {"user": "nemo_", "password": "not this one"})
    assert (wrong.status, unknown.status) == (401, 401)
    assert wrong.text == unknown.text.replace("nemo_", "owner")
    assert "not this one" not in wrong.text
    assert not nobody.cookies


def test_after_wrong_passwords_the_form_says_how_long_to_wait(nobody):
    for _ in range(5):
        assert nobody.post("/login", {"user": "owner", "password": "wrong"}).status == 401
    refused = nobody.post("/login", {"user": "owner", "password": PASSWORD})
    assert refused.status == 429
    assert "Too many tries. Please wait 1 second." in refused.visible


def test_a_browser_that_was_here_before_is_not_kept_out_by_guesses_from_elsewhere(nobody, owner):
    for _ in range(6):
        nobody.post("/login", {"user": "owner", "password": "wrong"})
    owner.post("/logout")
    assert owner.log_in().status == 303


def test_a_log_in_makes_a_new_session_and_ends_the_one_before(pages, owner):
    before = owner.cookies["otppi_session"]
    assert owner.log_in().status == 303
    assert owner.cookies["otppi_session"] != before
    planted = AdminClient(pages.admin_port, cookies={"otppi_session": before})
    assert planted.get("/account").status == 303


def test_a_token_that_somebody_planted_is_not_taken_over(pages, owner):
    victim = AdminClient(pages.admin_port, cookies={"otppi_session": "planted"})
    assert victim.log_in().status == 303
    assert victim.cookies["otppi_session"] != "planted"


def test_a_log_out_ends_the_session_and_not_only_the_cookie(pages, owner):
    token = owner.cookies["otppi_session"]
    answer = owner.post("/logout")
    assert answer.location == "/login"
    assert rows(pages)[0] == ("owner", "log_out", "done", {})
    owner.post("/logout")
    assert rows(pages)[1][1] == "log_in", "and noted once"
    assert AdminClient(pages.admin_port, cookies={"otppi_session": token}).get("/account").status == 303


def test_cookies_of_the_plain_pages_are_for_no_script_and_no_other_site(nobody):
    answer = nobody.post("/login", {"user": "owner", "password": PASSWORD})
    for name in ("otppi_session", "otppi_browser"):
        assert {"httponly", "samesite=lax", "path=/"} <= attributes_of(answer, name)
        assert "secure" not in attributes_of(answer, name)


def test_cookies_of_the_encrypted_pages_are_never_sent_in_the_clear(pages, owner, free_port):
    port = free_port()
    pages.gateway.store.update(AdminSettings, {"https_enabled": True, "https_port": port})
    pages.wait_until(lambda: _answers(port))
    answer = _encrypted(port, "POST", "/login", f"user=owner&password={PASSWORD.replace(' ', '+')}")
    assert answer.status == 303
    for name in ("__Host-otppi_session", "__Host-otppi_browser"):
        wanted = {"httponly", "samesite=lax", "path=/", "secure"}
        assert wanted <= attributes_of(answer, name)
        assert not any(one.startswith("domain") for one in attributes_of(answer, name))
    # One of the plain pages, which anybody in between may have planted, is none of these.
    cookie = answer.headers.get_all("Set-Cookie")[0].partition(";")[0].removeprefix("__Host-")
    assert _encrypted(port, "GET", "/account", Cookie=cookie).status == 303
    assert _encrypted(port, "GET", "/account", Cookie=f"__Host-{cookie}").status == 200


def _encrypted(port, method, path, body=None, **headers):
    unchecked = ssl._create_unverified_context()  # noqa: S323
    connection = HTTPSConnection("127.0.0.1", port, timeout=30, context=unchecked)
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Origin"] = f"https://127.0.0.1:{port}"
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        raw = answer.read()
        return Page(answer.status, answer.headers, raw.decode(), raw)
    finally:
        connection.close()


def _answers(port):
    try:
        return _encrypted(port, "GET", "/login").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("path", ["/login", "/forgot/code", "/"])
def test_the_encrypted_pages_are_offered_before_the_password_is_typed(pages, owner, free_port, path):
    nobody, port = owner if path == "/" else AdminClient(pages.admin_port), free_port()
    pages.gateway.store.update(AdminSettings, {"https_enabled": False})
    assert "https://127.0.0.1" not in nobody.get(path).text
    pages.gateway.store.update(AdminSettings, {"https_enabled": True, "https_port": port})
    assert f'href="https://127.0.0.1:{port}/"' in nobody.get(path).text
    pages.wait_until(lambda: _answers(port))
    assert "plain-http" not in _encrypted(port, "GET", "/login").text


@pytest.mark.parametrize("path", ["/login", "/forgot", "/forgot/code", "/account"])
def test_no_page_is_kept_by_the_browser(owner, path):
    assert owner.get(path).headers["Cache-Control"] == "no-store"


def test_the_code_of_the_app_is_asked_for_without_the_password_again(nobody, second_factor):
    asked = nobody.post("/login", {"user": "owner", "password": PASSWORD, "next": "/audit"})
    assert asked.status == 200
    assert 'name="totp"' in asked.text
    assert 'name="password"' not in asked.text
    assert PASSWORD not in asked.text
    assert not nobody.cookies
    answer = _with_code(nobody, asked, second_factor.now())
    assert (answer.status, answer.location) == (303, "/audit")


def test_a_wrong_code_can_be_mended(nobody, second_factor):
    asked = nobody.post("/login", {"user": "owner", "password": PASSWORD})
    wrong = _with_code(nobody, asked, "000000" if second_factor.now() != "000000" else "000001")
    assert wrong.status == 401
    assert "code of the authenticator app is wrong" in wrong.visible
    assert _with_code(nobody, wrong, second_factor.now()).status == 303


def test_a_code_alone_opens_nothing(nobody, second_factor):
    answer = nobody.post("/login", {"user": "owner", "password": "", "totp": second_factor.now()})
    assert answer.status == 401
    for half_way in ("1", "9999999999.", "9999999999.ab", "é.é", "x" * 5000):
        fields = {"user": "owner", "half_way": half_way, "totp": second_factor.now()}
        answer = nobody.post("/login", fields)
        assert answer.status in (401, 429)
    assert "otppi_session" not in nobody.cookies


def test_half_a_log_in_is_for_nobody_else_and_no_other_password(pages, nobody, second_factor):
    asked = nobody.post("/login", {"user": "owner", "password": PASSWORD})
    pages.gateway.store.put(Administrator, "other", {"password": PASSWORD, "totp_secret": SECRET})
    assert _with_code(nobody, asked, second_factor.now(), user="other").status == 401
    pages.gateway.store.put(Administrator, "owner", {"password": "quite another one"})
    answer = _with_code(nobody, asked, second_factor.now())
    assert answer.status == 401
    assert "That took too long. Please log in again." in answer.visible


def _with_code(client, page, code, user="owner"):
    fields = {"user": user, "half_way": page.value_of("half_way"), "next": page.value_of("next")}
    return client.post("/login", {**fields, "totp": code})


def test_log_ins_are_noted_and_what_was_typed_is_not(pages, nobody):
    nobody.post("/login", {"user": "my secret password", "password": "x"})
    nobody.post("/login", {"user": "owner", "password": "wrong"})
    nobody.post("/login", {"user": "owner", "password": PASSWORD})
    assert rows(pages)[:3] == [
        ("owner", "log_in", "done", {}),
        ("owner", "log_in", "refused", {"wrong": "password"}),
        ("", "log_in", "refused", {"wrong": "password"}),
    ]
    assert "secret" not in str(rows(pages))


def test_the_language_is_chosen_before_the_log_in_and_stays(nobody):
    came_from = f"http://127.0.0.1:{nobody.port}/login?next=/audit"
    answer = nobody.post("/language", {"language": "id"}, Referer=came_from)
    assert answer.location == "/login?next=/audit"
    assert '<html lang="id"' in nobody.get("/login").text
    nobody.post("/language", {"language": "../x"})
    assert nobody.cookies["otppi_language"] == "id"


def test_another_site_changes_no_language_of_an_account(pages, owner):
    owner.post("/language", {"language": "id"}, csrf="")
    assert pages.gateway.store.items(Administrator)["owner"].language == ""
    owner.post("/language", {"language": "id"})
    assert pages.gateway.store.items(Administrator)["owner"].language == "id"


# ---- the forgotten password ---------------------------------------------------------------------------------------


@pytest.fixture
def phone(pages, owner):
    pages.gateway.store.put(Administrator, "owner", {"phone": "081200000001"})


def code_in(pages):
    pages.wait_until(pages.texts)
    return re.match("[0-9]{8}", pages.texts()[-1])[0]


def test_a_forgotten_password_is_set_anew_by_a_code(pages, nobody, phone, owner):
    assert "If there is such an account" in nobody.post("/forgot", {"user": "081200000001"}).visible
    fields = {"user": "081200000001", "code": code_in(pages), "password": "brand new words"}
    answer = nobody.post("/forgot/code", {**fields, "again": "brand new words"})
    assert "The new password counts from now on." in answer.visible
    assert "otppi_session" not in nobody.cookies
    assert "otppi_browser" in nobody.cookies
    assert owner.get("/account").status == 303
    assert nobody.log_in("owner", "brand new words").status == 303
    assert [row[:3] for row in rows(pages)[:3]] == [
        ("owner", "log_in", "done"),
        ("owner", "recovery.finish", "done"),
        ("owner", "recovery.begin", "done"),
    ]
    assert fields["code"] not in str(rows(pages))


def test_nobody_learns_which_accounts_there_are(nobody, phone):
    known = nobody.post("/forgot", {"user": "owner"})
    unknown = nobody.post("/forgot", {"user": "nemo_"})
    assert known.status == unknown.status
    assert known.text == unknown.text.replace("nemo_", "owner")


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"again": "another new one"}, "again", "not the same"),
        ({"password": "short", "again": "short"}, "password", "at least 10 characters"),
        ({"code": "00000000"}, "", "wrong or no longer valid"),
    ],
)
def test_what_is_wrong_with_a_new_password_stands_beside_it(pages, nobody, phone, changed, field, says):
    nobody.post("/forgot", {"user": "owner"})
    good = {
        "user": "owner",
        "code": code_in(pages),
        "password": "brand new words",
        "again": "brand new words",
    }
    answer = nobody.post("/forgot/code", {**good, **changed})
    assert answer.status >= 400
    assert says in answer.visible
    assert not field or f'id="{field}-error"' in answer.text
    assert "brand new words" not in answer.text
    assert nobody.post("/forgot/code", good).status == 200, "the right one still counts"


def test_codes_are_not_asked_for_without_end(nobody, phone):
    answers = [nobody.post("/forgot", {"user": "owner"}).status for _ in range(11)]
    assert answers == [200] * 10 + [429]


def test_what_was_typed_stays_text(nobody):
    evil = '"><script>alert(1)</script>'
    for path in ("/login", "/forgot", "/forgot/code"):
        answer = nobody.post(path, {"user": evil, "password": "x", "next": evil})
        assert "<script>alert" not in answer.text
