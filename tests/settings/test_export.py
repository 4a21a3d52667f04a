import copy
import json

import pytest

from otppi.lib.passwords import verify_password
from otppi.model.errors import SettingsError
from otppi.settings.export import (
    WrongPassphrase,
    clear_settings,
    export_settings,
    import_settings,
    planned_import,
)
from otppi.settings.fields import boolean, integer, listing, password, retired, secret, text
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore

PASSPHRASE = "correct horse battery"


class Sms(Section, key="sms", title="Sending SMS"):
    """How messages are sent."""

    country_code: str = text(default="62", pattern=r"[1-9]\d{0,2}", help="Country code.")
    most: int = integer(default=9, minimum=0, maximum=100, help="Most.")
    gone: int = retired(help="Gone.")


class Broker(Section, key="broker", title="Broker"):
    """A broker."""

    host: str = text(default="", help="Host.")
    token: str = secret(default="", help="Token.")


class Line(Section, key="lines", title="Lines", many=True):
    """Lines."""

    name: str = text(help="Name.")
    prefixes: tuple[str, ...] = listing(default=(), help="Prefixes.")
    sim_pin: str = secret(default="", pattern=r"(\d{4,8})?", help="PIN.")


class User(Section, key="users", title="Users", many=True):
    """Users."""

    password: str = password(help="Password.")
    active: bool = boolean(default=True, help="Active.")


def new_store(folder, sections=(Sms, Broker, Line, User)):
    return SettingsStore(folder, sections, None)


@pytest.fixture
def store(tmp_path):
    store = new_store(tmp_path / "one")
    store.update(Sms, {"country_code": "65"})
    store.update(Broker, {"host": "h", "token": "t0k3n-geheim"})
    store.put(Line, "m1", {"name": "first", "prefixes": ["62812"], "sim_pin": "47114711"})
    store.put(Line, "m2", {"name": "second"})
    store.put(User, "ann", {"password": "correct horse"})
    return store


@pytest.fixture
def other(tmp_path):
    return new_store(tmp_path / "two")


def through_json(document):
    return json.loads(json.dumps(document))


def content(store):
    return {section: dict(store.items(section)) for section in store.sections}


def test_with_a_passphrase_everything_goes_to_another_device(store, other):
    document = through_json(export_settings(store, PASSPHRASE))
    report = import_settings(other, document, PASSPHRASE)
    assert content(other) == content(store)
    assert report.as_json() == {
        "changed": ["sms", "broker", "lines", "users"],
        "kept": [],
        "missing": [],
        "left_out": [],
        "removed": [],
        "ignored": [],
    }
    assert verify_password("correct horse", other.items(User)["ann"].password)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_no_secret_and_no_hash_is_in_the_document(store, passphrase):
    data = json.dumps(export_settings(store, passphrase))
    for clear in ("t0k3n-geheim", "47114711", "correct horse", store.items(User)["ann"].password, "scrypt$"):
        assert clear not in data


def test_without_a_passphrase_secrets_are_left_out_by_name(store):
    document = export_settings(store, None)
    assert document["omitted"] == ["broker.token", "lines.m1.sim_pin", "users.ann.password"]
    assert document["sections"]["lines"] == {
        "m1": {"name": "first", "prefixes": ["62812"]},
        "m2": {"name": "second", "prefixes": []},
    }
    assert document["sections"]["sms"] == {"country_code": "65", "most": 9}
    assert (document["format"], document["version"]) == ("otppi-settings", 1)


def test_without_secrets_the_present_ones_stay(store):
    document = through_json(export_settings(store, None))
    before = content(store)
    store.update(Sms, {"country_code": "66"})
    store.put(Line, "m1", {"name": "renamed"})
    report = import_settings(store, document, None)
    assert content(store) == before
    assert report.kept == ["broker.token", "lines.m1.sim_pin", "users.ann.password"]
    assert report.changed == ["sms", "lines"]


def test_without_secrets_a_new_device_is_told_what_it_lacks(store, other):
    report = import_settings(other, through_json(export_settings(store, None)), None)
    assert report.missing == ["broker.token", "lines.m1.sim_pin"]
    assert report.left_out == ["users.ann"]
    assert other.items(Line)["m1"] == Line(name="first", prefixes=("62812",))
    assert other.items(User) == {}


def test_nobody_is_locked_out_by_accounts_that_could_not_come_along(store, other):
    other.put(User, "bob", {"password": "battery staple"})
    report = import_settings(other, through_json(export_settings(store, None)), None)
    assert report.left_out == ["users.ann"]
    assert report.removed == []
    assert list(other.items(User)) == ["bob"]


def test_items_that_the_document_does_not_have_are_removed(store):
    document = through_json(export_settings(store, PASSPHRASE))
    before = content(store)
    store.put(Line, "m3", {"name": "third"})
    store.put(User, "bob", {"password": "battery staple"})
    report = import_settings(store, document, PASSPHRASE)
    assert content(store) == before
    assert report.removed == ["lines.m3", "users.bob"]


def test_sections_that_the_document_does_not_have_stay(store):
    document = through_json(export_settings(store, None))
    del document["sections"]["sms"]
    store.update(Sms, {"country_code": "66"})
    import_settings(store, document, None)
    assert store.get(Sms).country_code == "66"


def test_clear_settings_are_whole_without_a_passphrase(store, other):
    document = through_json(clear_settings(store))
    assert document["sections"]["broker"] == {"host": "h", "token": "t0k3n-geheim"}
    assert import_settings(other, document, None).missing == []
    assert content(other) == content(store)


def test_a_planned_import_changes_nothing_yet(store, other):
    before = content(other)
    changes, report = planned_import(other, through_json(clear_settings(store)), None)
    assert content(other) == before
    assert {section: dict(items) for section, items in changes.items()} == content(store)
    assert report.ignored == []
    document = clear_settings(store)
    document["sections"]["sms"]["country_code"] = "x"
    with pytest.raises(SettingsError, match="country_code"):
        planned_import(other, document, None)


def test_importing_what_is_there_changes_nothing(tmp_path, store):
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for passphrase in (None, PASSPHRASE):
        report = import_settings(store, through_json(export_settings(store, passphrase)), passphrase)
        assert report.changed == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files


def test_all_mistakes_are_told_and_nothing_is_changed(store, other):
    document = through_json(export_settings(store, PASSPHRASE))
    document["sections"]["sms"]["country_code"] = "x"
    document["sections"]["lines"]["m2"]["name"] = 1.5
    document["sections"]["lines"][" "] = {}
    document["sections"]["lines"]["m3"] = []
    document["sections"]["users"]["ann"]["password"]["sealed"] = "AAAA"
    with pytest.raises(SettingsError) as caught:
        import_settings(other, document, PASSPHRASE)
    assert {
        "sms.country_code",
        "lines.m2.name",
        "lines.m3",
        "users.ann.password",
    } < caught.value.errors.keys()
    assert other.get(Sms) == Sms()
    assert other.items(Line) == {}


def test_a_guard_may_refuse_an_import_whole(store, other):
    def refuse(_, __):
        raise SettingsError({"users": "not here"})

    other.guard(User, refuse)
    with pytest.raises(SettingsError, match="not here"):
        import_settings(other, export_settings(store, PASSPHRASE), PASSPHRASE)
    assert other.get(Sms) == Sms()


@pytest.mark.parametrize("passphrase", [None, "", "another passphrase"])
def test_a_wrong_passphrase_is_said_to_be_wrong(store, other, passphrase):
    document = export_settings(store, PASSPHRASE)
    with pytest.raises(WrongPassphrase) as caught:
        import_settings(other, document, passphrase)
    assert list(caught.value.errors) == ["passphrase"]
    assert other.get(Sms) == Sms()


def test_a_short_passphrase_is_refused(store):
    with pytest.raises(SettingsError, match="at least 8 characters"):
        export_settings(store, "short")


def test_a_passphrase_that_is_not_needed_does_no_harm(store, other):
    import_settings(other, export_settings(store, None), PASSPHRASE)
    assert other.get(Sms).country_code == "65"


def test_unknown_and_retired_settings_are_ignored_and_reported(store, other):
    document = export_settings(store, None)
    document["sections"]["colours"] = {"a": 1}
    document["sections"]["sms"] |= {"gone": 1, "colour": "red"}
    report = import_settings(other, document, None)
    assert report.ignored == ["colours", "sms.gone", "sms.colour"]
    assert other.get(Sms).country_code == "65"


def test_a_sealed_value_does_not_open_in_another_place(store, other):
    document = export_settings(store, PASSPHRASE)
    document["sections"]["broker"]["token"] = document["sections"]["lines"]["m1"]["sim_pin"]
    with pytest.raises(SettingsError) as caught:
        import_settings(other, document, PASSPHRASE)
    assert caught.value.errors == {"broker.token": "the sealed value is damaged"}


def test_secrets_in_the_clear_are_taken_as_they_are(other):
    document = {
        "format": "otppi-settings",
        "version": 1,
        "sections": {"users": {"ann": {"password": "correct horse"}}, "broker": {"token": "t"}},
    }
    import_settings(other, document, None)
    assert verify_password("correct horse", other.items(User)["ann"].password)
    assert other.get(Broker).token == "t"


GOOD = {"format": "otppi-settings", "version": 1, "sections": {}, "omitted": []}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"format": "else"}, "format"),
        ({"format": None}, "format"),
        ({"version": 2}, "version"),
        ({"sections": []}, "sections"),
        ({"sections": {"sms": []}}, "sms"),
        ({"seal": []}, "seal"),
        ({"seal": {"kdf": "scrypt-2^30"}}, "seal"),
        ({"seal": {"kdf": "scrypt-2^15-8-1 aes-256-gcm", "salt": "?", "check": ""}}, "passphrase"),
        ({"seal": {"kdf": "scrypt-2^15-8-1 aes-256-gcm"}}, "passphrase"),
    ],
)
def test_rejects(other, change, where):
    with pytest.raises(SettingsError) as caught:
        import_settings(other, copy.deepcopy(GOOD) | change, PASSPHRASE)
    assert list(caught.value.errors) == [where]


@pytest.mark.parametrize("omitted", [None, 5, [1, {}], "broker.token"])
def test_a_list_of_omissions_that_is_none_is_taken_for_empty(other, omitted):
    import_settings(other, copy.deepcopy(GOOD) | {"omitted": omitted}, None)
