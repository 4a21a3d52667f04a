import inspect
import json

import pyotp
import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.admin_tokens import AdminTokens
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.audit import Audit
from otppi.gateway.sessions import Sessions
from otppi.lib.passwords import hash_password
from otppi.model.errors import BadRequest, SecondFactorNeeded, SettingsError, Unauthorized
from otppi.services.admin_accounts import AccountFunctions
from otppi.services.administration import Administration
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.store import SettingsStore

KEY = bytes(range(32))
OLD, NEW = "correct horse", "quite another one"
STORED = hash_password(OLD)


class Desk:
    """Two owners, and the functions by their names."""

    def __init__(self, tmp_path, clock):
        self.clock = clock
        self.store = SettingsStore(tmp_path, SECTIONS, None)
        watch_over(self.store)
        for user in ("ann", "bob"):
            self.store.put(Administrator, user, {"password": STORED})
        self.accounts = AdminAccounts(self.store, clock, KEY)
        self.sessions = Sessions(lambda: self.store.items(Administrator), clock)
        self.tokens = AdminTokens(self.store)
        self.audit = Audit(tmp_path / "audit", clock)
        self.table = AccountFunctions(
            self.store, self.accounts, self.sessions, self.tokens, self.audit, clock
        ).functions()

    def call(self, name, /, **args):
        if name == "admin.put":
            args = {"own_password": OLD, **args}
        return json.loads(json.dumps(self.table[name](**args)))

    def refused(self, name, /, **args):
        with pytest.raises((BadRequest, SettingsError)) as caught:
            self.call(name, **args)
        return str(caught.value)

    def log_in(self, user, password, **more):
        return self.accounts.log_in(user, password, "192.0.2.1", **more)

    def is_refused(self, user, password):
        try:
            self.log_in(user, password)
        except Unauthorized:
            return True
        return False

    def users(self):
        return [one["user"] for one in self.call("admin.list")]


@pytest.fixture
def desk(tmp_path, clock):
    return Desk(tmp_path, clock)


def test_the_list_has_no_secrets(desk):
    desk.store.put(Administrator, "ann", {"totp_secret": pyotp.random_base32(), "phone": "081200000001"})
    assert desk.call("admin.list")[0] == {
        "user": "ann",
        "name": "",
        "email": "",
        "phone": "081200000001",
        "role": "owner",
        "language": "",
        "active": True,
        "blocked": False,
        "has_totp": True,
    }


def test_an_account_is_added_and_changed_bit_by_bit(desk):
    made = desk.call("admin.put", user="eve", password=NEW, role="viewer", by="ann")
    assert (made["role"], made["active"]) == ("viewer", True)
    assert desk.log_in("eve", NEW) == "eve"
    changed = desk.call("admin.put", user="eve", role="operator", language="id", by="ann")
    assert (changed["role"], changed["language"]) == ("operator", "id")
    assert desk.log_in("eve", NEW) == "eve"


def test_an_empty_password_keeps_the_present_one(desk):
    desk.call("admin.put", user="bob", password="", name="Bob", by="ann")
    assert desk.log_in("bob", OLD) == "bob"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"user": "eve"}, "password: is required"),
        ({"user": "eve", "password": "short"}, "at least 10"),
        ({"user": "eve", "password": "password2026"}, "very common"),
        ({"user": "a:b", "password": NEW}, "colon"),
        ({"user": "", "password": NEW}, "user name"),
        ({"user": "eve", "password": NEW, "role": "king"}, "role"),
        ({"user": "eve", "password": NEW, "language": "fr"}, "language"),
        ({"user": "eve", "password": NEW, "phone": "call me"}, "phone"),
    ],
)
def test_a_mistake_changes_nothing(desk, args, says):
    assert says in desk.refused("admin.put", by="ann", **args)
    assert desk.users() == ["ann", "bob"]


def test_a_new_password_of_another_ends_the_sessions_of_that_person(desk):
    token = desk.sessions.open("bob", "192.0.2.1", "")
    desk.call("admin.put", user="bob", password=NEW, by="ann")
    assert desk.sessions.find(token) is None


@pytest.mark.parametrize(
    "change", [{"role": "viewer"}, {"active": False}, {"blocked": True}, {"password": NEW}]
)
def test_nobody_locks_himself_out_and_another_owner_can(desk, change):
    desk.refused("admin.put", user="ann", by="ann", **change)
    desk.call("admin.put", user="ann", name="Ann", role="owner", active=True, by="ann")
    desk.call("admin.put", user="ann", by="bob", **change)


def test_nobody_removes_himself_or_the_last_owner(desk):
    desk.call("admin.put", user="eve", password=NEW, role="operator", by="ann")
    assert "own account" in desk.refused("admin.remove", user="ann", by="ann")
    desk.call("admin.remove", user="bob", by="ann")
    assert "owner" in desk.refused("admin.remove", user="ann", by="eve")
    assert desk.users() == ["ann", "eve"]
    assert "nobody" in desk.refused("admin.remove", user="nobody", by="ann")


@pytest.mark.parametrize("user", ["bob", "eve"])
def test_who_has_borrowed_a_browser_makes_no_account_that_outlives_it(desk, user):
    before = desk.call("admin.list")
    for own in ("", NEW):
        refusal = desk.refused("admin.put", user=user, password=NEW, own_password=own, by="ann")
        assert refusal == "own_password: is not your password"
    assert desk.call("admin.list") == before


@pytest.mark.parametrize("way", ["page", "command line"])
def test_tokens_and_sessions_go_with_their_account(desk, way):
    token = desk.call("token.make", role="owner", user="bob", password=OLD, by="ann")
    session = desk.sessions.open("bob", "192.0.2.1", "")
    if way == "page":
        desk.call("admin.remove", user="bob", by="ann")
    else:
        Administration(desk.store).remove("admins", "bob")
    assert desk.call("token.list") == []
    assert desk.sessions.find(session) is None
    with pytest.raises(Unauthorized):
        desk.tokens.check(token["token"])


def test_one_changes_ones_own_name_freely_and_ones_contacts_by_the_password(desk):
    assert desk.call("own.put", name="Ann", language="id", by="ann")["name"] == "Ann"
    assert "password" in desk.refused("own.put", phone="081200000009", by="ann")
    assert "password" in desk.refused("own.put", email="eve@example.org", password=NEW, by="ann")
    assert desk.call("own.show", by="ann")["phone"] == ""
    desk.call("own.put", phone="081200000009", password=OLD, by="ann")
    assert desk.call("own.put", phone="081200000009", name="A", by="ann")["phone"] == "081200000009"


def test_one_changes_ones_own_password_by_the_present_one_and_stays_logged_in(desk):
    own, other = (desk.sessions.open("ann", "192.0.2.1", "") for _ in range(2))
    assert desk.refused("own.password", password=NEW, new_password=NEW, by="ann").startswith("password")
    assert desk.refused("own.password", password=OLD, new_password="short", by="ann").startswith(
        "new_password"
    )
    desk.call("own.password", password=OLD, new_password=NEW, by="ann")
    desk.sessions.close_others("ann", own)
    assert desk.sessions.find(own) is not None
    assert desk.sessions.find(other) is None
    assert desk.log_in("ann", NEW) == "ann"
    assert desk.is_refused("ann", OLD)


def test_an_authenticator_app_is_put_on_and_off_by_its_owner(desk):
    begun = desk.call("own.begin_totp", by="ann")
    code = pyotp.TOTP(begun["secret"]).at(int(desk.clock.wall_s()))
    args = {"secret": begun["secret"], "code": code, "by": "ann"}
    desk.refused("own.enable_totp", password=NEW, **args)
    desk.call("own.enable_totp", password=OLD, **args)
    with pytest.raises(SecondFactorNeeded):
        desk.log_in("ann", OLD)
    desk.refused("own.disable_totp", password=NEW, by="ann")
    desk.call("own.disable_totp", password=OLD, by="ann")
    assert desk.log_in("ann", OLD) == "ann"


def test_another_owner_helps_who_has_lost_the_phone(desk):
    desk.store.put(Administrator, "ann", {"totp_secret": pyotp.random_base32()})
    desk.refused("admin.disable_totp", user="ann", by="ann")
    desk.call("admin.disable_totp", user="ann", by="bob")
    assert desk.log_in("ann", OLD) == "ann"
    desk.refused("admin.disable_totp", user="nobody", by="bob")


def test_sessions_are_listed_and_closed(desk):
    tokens = [desk.sessions.open(user, "192.0.2.1", "Firefox") for user in ("ann", "ann", "bob")]
    desk.clock.advance(60)
    desk.sessions.find(tokens[0])
    listed = desk.call("own.sessions", by="ann")
    assert [(one["open_for_s"], one["idle_for_s"]) for one in listed] == [(60, 0), (60, 60)]
    assert [one["user"] for one in desk.call("session.list")] == ["ann", "ann", "bob"]
    (of_bob,) = desk.call("session.list", user="bob")
    desk.refused("own.close_session", id=of_bob["id"], by="ann")
    desk.call("session.close", user="bob", id=of_bob["id"])
    desk.call("own.close_session", id=listed[1]["id"], by="ann")
    assert [desk.sessions.find(token) is not None for token in tokens] == [True, False, False]
    secrets = [*tokens, desk.sessions.find(tokens[0]).csrf]
    assert not any(secret in json.dumps(listed) for secret in secrets)


def test_tokens_are_made_listed_and_removed(desk):
    made = desk.call("token.make", role="viewer", note="backup", password=OLD, by="ann")
    assert [desk.call("own.show", by=user)["tokens"] for user in ("ann", "bob")] == [1, 0]
    assert desk.tokens.check(made["token"])[0] == "ann"
    assert desk.call("token.list") == [
        {"id": made["id"], "user": "ann", "role": "viewer", "note": "backup", "active": True}
    ]
    desk.call("token.remove", id=made["id"])
    assert desk.call("token.list") == []
    desk.refused("token.make", role="viewer", user="nobody", password=OLD, by="ann")


def test_who_has_borrowed_a_browser_makes_no_token_that_outlives_it(desk):
    for password in ({}, {"password": NEW}):
        assert "is not your password" in desk.refused("token.make", role="owner", by="ann", **password)
    assert desk.call("token.list") == []


def test_the_audit_trail_is_paged(desk):
    for number in range(3):
        desk.audit.note(user="ann", address="", what=f"call.{number}", details={}, outcome="done")
    page = desk.call("audit.list", offset=1, count=1)
    assert ([row["what"] for row in page["rows"]], page["total"]) == (["call.1"], 3)
    assert desk.call("audit.list", offset=-5, count=-1)["rows"] == []


def test_every_function_says_what_it_does(desk):
    for name, function in desk.table.items():
        assert inspect.getdoc(function), name


def test_a_document_brings_accounts_at_the_command_line_alone_and_never_none(desk):
    administration, passphrase = Administration(desk.store), "correct horse battery"
    document = json.loads(json.dumps(administration.export(passphrase)))
    document["sections"]["admins"]["bob"]["role"] = "viewer"
    assert administration.import_document(document, passphrase, by="ann")["ignored"] == [
        "admins",
        "admin_tokens",
    ]
    assert desk.store.items(Administrator)["bob"].role == "owner"
    assert administration.import_document(document, passphrase)["changed"] == ["admins"]
    assert desk.store.items(Administrator)["bob"].role == "viewer"
    document["sections"]["admins"] = {}
    assert administration.import_document(document, passphrase)["ignored"] == ["admins"]
    assert desk.users() == ["ann", "bob"]


def test_the_command_line_refuses_weak_passwords_too_and_adds_owners(desk):
    administration = Administration(desk.store)
    for user, password in (("eve", "password2026"), ("eve", "short"), ("a:b", NEW)):
        with pytest.raises(BadRequest):
            administration.add_administrator(user, password)
    administration.add_administrator("eve", NEW)
    assert desk.store.items(Administrator)["eve"].role == "owner"
    administration.add_api_user("shop", "long enough")
