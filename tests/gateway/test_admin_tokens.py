import pytest

from otppi.gateway.accounts import Administrator, refuse_without_owner
from otppi.gateway.admin_tokens import AdminToken, AdminTokens, remove_administrator
from otppi.gateway.rights import Role
from otppi.lib.passwords import hash_password
from otppi.model.errors import BadRequest, SettingsError, Unauthorized
from otppi.settings.export import export_settings
from otppi.settings.store import SettingsStore

STORED = hash_password("correct horse")


@pytest.fixture
def store(tmp_path):
    store = SettingsStore(tmp_path, (Administrator, AdminToken), None)
    store.guard(Administrator, refuse_without_owner)
    store.put(Administrator, "root", {"password": STORED})
    store.put(Administrator, "ann", {"password": STORED, "role": "operator"})
    return store


@pytest.fixture
def tokens(store):
    return AdminTokens(store)


def is_refused(tokens, token):
    try:
        tokens.check(token)
    except Unauthorized:
        return True
    return False


def test_a_token_says_whose_it_is_and_what_it_may(tokens):
    first, second = tokens.make("ann", "viewer", "backup"), tokens.make("root", "owner", "")
    assert tokens.check(first["token"]) == ("ann", Role.VIEWER, first["id"])
    assert tokens.check(second["token"]) == ("root", Role.OWNER, second["id"])
    assert len(first["token"]) >= 43


def test_a_token_may_never_more_than_its_account(tokens, store):
    made = tokens.make("ann", "owner", "")
    assert tokens.check(made["token"])[:2] == ("ann", Role.OPERATOR)
    store.put(Administrator, "ann", {"role": "viewer"})
    assert tokens.check(made["token"])[:2] == ("ann", Role.VIEWER)


def test_nothing_else_is_a_token(tokens, store):
    made = tokens.make("ann", "viewer", "")
    digest = store.items(AdminToken)[made["id"]].digest
    for other in ("", made["id"], digest, made["token"][:-1], made["token"] + "x", "é", "\udcff"):
        assert is_refused(tokens, other)


def test_a_token_whose_digest_is_lost_opens_nothing(tmp_path, store, tokens):
    made = tokens.make("ann", "viewer", "")
    (tmp_path / "keys" / "settings.key").unlink()
    damaged = AdminTokens(SettingsStore(tmp_path, (Administrator, AdminToken), None))
    assert is_refused(damaged, made["token"])
    assert is_refused(damaged, "")


@pytest.mark.parametrize("change", [{"active": False}, {"blocked": True}])
def test_a_token_of_a_switched_off_account_is_refused(tokens, store, change):
    made = tokens.make("ann", "viewer", "")
    store.put(Administrator, "ann", change)
    assert is_refused(tokens, made["token"])


def test_a_token_that_is_switched_off_or_removed_is_refused(tokens, store):
    first, second = tokens.make("ann", "viewer", ""), tokens.make("ann", "viewer", "")
    store.put(AdminToken, first["id"], {"active": False})
    tokens.remove(second["id"])
    assert is_refused(tokens, first["token"])
    assert is_refused(tokens, second["token"])
    with pytest.raises(SettingsError):
        tokens.remove(second["id"])


def test_a_token_needs_an_account_and_a_role(tokens):
    with pytest.raises(BadRequest):
        tokens.make("nobody", "viewer", "")
    with pytest.raises(SettingsError, match="role"):
        tokens.make("ann", "king", "")


def test_the_list_and_the_disk_do_not_have_what_a_token_is_made_of(tokens, store, tmp_path):
    made = tokens.make("ann", "viewer", "backup")
    digest = store.items(AdminToken)[made["id"]].digest
    everything = "".join(path.read_text() for path in (tmp_path / "settings").iterdir() if path.is_file())
    everything += (
        str(tokens.listed()) + str(store.get_path("admin_tokens")) + str(export_settings(store, None))
    )
    assert made["id"] in everything
    assert made["token"] not in everything
    assert digest not in everything
    assert tokens.listed() == [
        {"id": made["id"], "user": "ann", "role": "viewer", "note": "backup", "active": True}
    ]


def test_a_later_account_of_the_same_name_inherits_no_token(tokens, store):
    of_ann, of_root = tokens.make("ann", "viewer", ""), tokens.make("root", "viewer", "")
    remove_administrator(store, "ann")
    store.put(Administrator, "ann", {"password": STORED})
    assert is_refused(tokens, of_ann["token"])
    assert not is_refused(tokens, of_root["token"])


def test_an_account_that_may_not_go_keeps_its_tokens(tokens, store):
    made = tokens.make("root", "owner", "")
    with pytest.raises(SettingsError, match="owner"):
        remove_administrator(store, "root")
    assert tokens.check(made["token"])[:2] == ("root", Role.OWNER)
    with pytest.raises(SettingsError, match="no such"):
        remove_administrator(store, "nobody")
