import dataclasses
import json
import logging
import os
import queue
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from otppi.lib.bus import Bus
from otppi.lib.passwords import verify_password
from otppi.model.errors import SettingsError
from otppi.model.events import SettingsChanged
from otppi.settings.fields import boolean, integer, listing, number, password, secret, text
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore


class Sms(Section, key="sms", title="Sending SMS", reset_flag="RESET_SMS"):
    """How messages are sent."""

    country_code: str = text(default="62", pattern=r"[1-9]\d{0,2}", help="Put before national numbers.")
    overtake_after_s: float = number(default=15, minimum=1, maximum=300, unit="s", help="Silence.")
    least: int = integer(default=1, help="Least.")
    most: int = integer(default=9, help="Most.")

    def check(self) -> dict[str, str]:
        return {"least": "must not be more than most"} if self.least > self.most else {}


class Broker(Section, key="broker", title="Broker"):
    """A broker."""

    host: str = text(default="", help="Host.")
    token: str = secret(default="", help="Token.")


class Line(Section, key="lines", title="Lines", reset_flag="RESET_MODEM", many=True):
    """Lines."""

    name: str = text(help="Name.")
    prefixes: tuple[str, ...] = listing(default=(), item_pattern=r"\d{1,15}", help="Prefixes.")
    is_default: bool = boolean(default=False, help="Default.")
    sim_pin: str = secret(default="", pattern=r"(\d{4,8})?", help="PIN.")


class User(Section, key="users", title="Users", many=True):
    """Users."""

    password: str = password(help="Password.")
    active: bool = boolean(default=True, help="Active.")


SECTIONS = (Sms, Broker, Line, User)


def open_store(folder: Path, bus: Bus | None = None) -> SettingsStore:
    return SettingsStore(folder, SECTIONS, bus)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path)


@pytest.fixture
def bus():
    bus = Bus()
    yield bus
    bus.stop()


def files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


# Reading and changing


def test_a_new_device_has_factory_values_and_no_file(tmp_path, store):
    assert store.get(Sms) == Sms()
    assert store.items(Line) == {}
    assert store.problems == {}
    assert files(tmp_path) == {}


def test_a_change_is_seen_at_once_and_after_a_restart(tmp_path, store):
    assert store.update(Sms, {"country_code": "65"}) == Sms(country_code="65")
    store.update(Sms, {"overtake_after_s": "20"})
    assert store.get(Sms) == Sms(country_code="65", overtake_after_s=20.0)
    assert open_store(tmp_path).get(Sms) == store.get(Sms)


def test_an_item_is_made_merged_and_removed(tmp_path, store):
    store.put(Line, "m1", {"name": "first", "prefixes": "62812,62813"})
    store.put(Line, "m2", {"name": "second"})
    store.put(Line, "m1", {"is_default": True})
    assert store.items(Line) == {
        "m1": Line(name="first", prefixes=("62812", "62813"), is_default=True),
        "m2": Line(name="second"),
    }
    again = open_store(tmp_path)
    assert again.items(Line) == store.items(Line)
    assert list(again.items(Line)) == ["m1", "m2"]
    store.remove(Line, "m1")
    assert list(open_store(tmp_path).items(Line)) == ["m2"]


def test_what_was_read_never_changes(store):
    store.put(Line, "m1", {"name": "first"})
    before = store.items(Line)
    store.put(Line, "m2", {"name": "second"})
    assert list(before) == ["m1"]
    with pytest.raises(TypeError):
        before["m3"] = Line(name="third")
    with pytest.raises(dataclasses.FrozenInstanceError):
        store.get(Sms).country_code = "65"


def test_all_mistakes_are_told_with_their_section_and_nothing_changes(tmp_path, store):
    store.put(Line, "m1", {"name": "first"})
    before = files(tmp_path)
    with pytest.raises(SettingsError) as caught:
        store.update(Sms, {"country_code": "x", "overtake_after_s": 0, "contry_code": "62"})
    assert caught.value.errors.keys() == {"sms.country_code", "sms.overtake_after_s", "sms.contry_code"}
    assert "did you mean country_code?" in caught.value.errors["sms.contry_code"]
    with pytest.raises(SettingsError) as caught:
        store.put(Line, "m1", {"sim_pin": "x", "name": ""} | {"name": 5.5})
    assert caught.value.errors.keys() == {"lines.m1.sim_pin", "lines.m1.name"}
    assert (store.get(Sms), files(tmp_path)) == (Sms(), before)


def test_values_are_checked_together_with_those_that_stay(store):
    store.update(Sms, {"most": 5})
    with pytest.raises(SettingsError, match="must not be more than most"):
        store.update(Sms, {"least": 6})


def test_a_new_item_needs_what_has_no_default(store):
    with pytest.raises(SettingsError) as caught:
        store.put(Line, "m1", {"is_default": True})
    assert caught.value.errors == {"lines.m1.name": "is required"}


@pytest.mark.parametrize("item_id", ["", " a", "a\n", "\ud800", "x" * 101])
def test_an_impossible_id_is_refused(store, item_id):
    with pytest.raises(SettingsError):
        store.put(Line, item_id, {"name": "x"})


def test_removing_what_is_not_there_is_refused_with_a_hint(store):
    store.put(Line, "m1", {"name": "first"})
    with pytest.raises(SettingsError) as caught:
        store.remove(Line, "frist")
    assert caught.value.errors == {"lines.frist": "there is no such item; did you mean first?"}


def test_a_phone_number_that_is_an_id_is_masked_in_errors(store):
    with pytest.raises(SettingsError) as caught:
        store.put(Line, "6281200000001", {})
    assert "6281200000001" not in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        store.get_path("lines.6281200000001.name")
    assert "6281200000001" not in str(caught.value)


def test_nothing_is_written_when_nothing_changes(tmp_path, store, bus):
    store = open_store(tmp_path, bus)
    told = queue.SimpleQueue()
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
    store.put(User, "ann", {"password": "correct horse"})
    bus.subscribe("test", told.put, SettingsChanged)
    before = files(tmp_path)
    store.update(Sms, {"country_code": "62"})
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
    store.put(User, "ann", {"active": "yes"})
    store.reset(Sms)
    open_store(tmp_path)
    assert files(tmp_path) == before
    store.update(Sms, {"country_code": "65"})
    assert told.get(timeout=5) == SettingsChanged(section="sms")
    assert told.empty()


def test_changes_are_told_on_the_bus(tmp_path, bus):
    store = open_store(tmp_path, bus)
    told = queue.SimpleQueue()
    # What is told is already to be read.
    bus.subscribe(
        "test", lambda event: told.put((event.section, store.get(Sms).country_code)), SettingsChanged
    )
    store.update(Sms, {"country_code": "65"})
    store.put(Line, "m1", {"name": "first"})
    store.remove(Line, "m1")
    store.reset(Sms)
    assert [told.get(timeout=5)[0] for _ in range(4)] == ["sms", "lines", "lines", "sms"]


def test_items_are_only_where_there_may_be_many(store):
    for attempt in (lambda: store.put(Sms, "m1", {}), lambda: store.remove(Sms, "")):
        with pytest.raises(SettingsError, match="has no items"):
            attempt()
    with pytest.raises(SettingsError, match="name an item"):
        store.update(Line, {"name": "first"})


def test_two_sections_of_one_key_are_a_mistake_of_the_programmer(tmp_path):
    with pytest.raises(ValueError, match="one key"):
        SettingsStore(tmp_path, (Sms, Sms), None)


# Dotted names


def test_dotted_names_lead_to_values_items_and_sections(store):
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711", "prefixes": ["62812"]})
    line = {"name": "first", "prefixes": ["62812"], "is_default": False, "sim_pin": True}
    assert store.get_path("sms.country_code") == "62"
    assert store.get_path("sms") == {"country_code": "62", "overtake_after_s": 15.0, "least": 1, "most": 9}
    assert store.get_path("lines.m1.name") == "first"
    assert store.get_path("lines.m1.sim_pin") is True
    assert store.get_path("lines.m1") == line
    assert store.get_path("lines.first") == line
    assert store.get_path("lines") == {"m1": line}


def test_dotted_names_change_values(store):
    store.set_path("sms.country_code", "65")
    store.put(Line, "m1", {"name": "first"})
    store.set_path("lines.m1.prefixes", "62812, 62813")
    store.set_path("lines.first.is_default", "yes")
    assert store.get(Sms).country_code == "65"
    assert store.items(Line)["m1"] == Line(name="first", prefixes=("62812", "62813"), is_default=True)


def test_an_id_may_have_dots(store):
    store.put(User, "ann.example", {"password": "correct horse"})
    store.set_path("users.ann.example.active", "off")
    assert store.get_path("users.ann.example.active") is False
    assert store.get_path("users.ann.example") == {"password": True, "active": False}


def test_a_name_that_two_items_have_is_not_taken_for_either(store):
    store.put(Line, "m1", {"name": "same"})
    store.put(Line, "m2", {"name": "same"})
    with pytest.raises(SettingsError, match="no such item"):
        store.set_path("lines.same.is_default", "yes")


@pytest.mark.parametrize(
    ("path", "where", "reason"),
    [
        ("smss.country_code", "smss", "no such section; did you mean sms?"),
        ("sms.contry_code", "sms.contry_code", "no such setting; did you mean country_code?"),
        ("sms.country_code.x", "sms.country_code.x", "no such setting"),
        ("lines.m2.name", "lines.m2", "no such item"),
        ("lines.frist.name", "lines.frist", "no such item; did you mean first?"),
        ("lines.m1.nmae", "lines.m1.nmae", "no such setting; did you mean name?"),
        ("", "", "no such section"),
    ],
)
def test_a_dotted_name_that_leads_nowhere_says_what_was_probably_meant(store, path, where, reason):
    store.put(Line, "m1", {"name": "first"})
    for attempt in (lambda: store.get_path(path), lambda: store.set_path(path, "x")):
        with pytest.raises(SettingsError) as caught:
            attempt()
        assert list(caught.value.errors) == [where]
        assert reason in caught.value.errors[where]


@pytest.mark.parametrize("path", ["sms", "lines", "lines.m1"])
def test_only_a_setting_can_be_set(store, path):
    store.put(Line, "m1", {"name": "first"})
    with pytest.raises(SettingsError, match="name one setting"):
        store.set_path(path, "x")


# Guards


def test_a_guard_sees_old_and_new_and_may_refuse(tmp_path, store):
    seen = []

    def allow(old, new):
        seen.append((old, new))
        if new.country_code == "66":
            raise SettingsError({"sms.country_code": "not here"})

    store.guard(Sms, allow)
    store.update(Sms, {"country_code": "65"})
    before = files(tmp_path)
    with pytest.raises(SettingsError, match="not here"):
        store.update(Sms, {"country_code": "66"})
    assert seen == [
        (Sms(), Sms(country_code="65")),
        (Sms(country_code="65"), Sms(country_code="66")),
    ]
    assert store.get(Sms).country_code == "65"
    assert files(tmp_path) == before


def test_a_guard_of_many_items_sees_all_of_them(store):
    def one_default(_, new):
        if sum(line.is_default for line in new.values()) > 1:
            raise SettingsError({"lines": "one default is enough"})

    store.guard(Line, one_default)
    store.put(Line, "m1", {"name": "a", "is_default": True})
    with pytest.raises(SettingsError, match="enough"):
        store.put(Line, "m2", {"name": "b", "is_default": True})
    assert list(store.items(Line)) == ["m1"]


def test_a_guard_is_asked_before_removing_and_resetting(store):
    store.put(User, "ann", {"password": "correct horse"})

    def somebody(_, new):
        if not new:
            raise SettingsError({"users": "the last one stays"})

    store.guard(User, somebody)
    for attempt in (lambda: store.remove(User, "ann"), lambda: store.reset(User)):
        with pytest.raises(SettingsError, match="stays"):
            attempt()
    assert list(store.items(User)) == ["ann"]


# Secrets


def test_no_secret_is_in_any_file_in_the_clear(tmp_path, store):
    store.put(Line, "m1", {"name": "first", "sim_pin": "47114711"})
    store.put(Line, "m1", {"is_default": True})
    store.update(Broker, {"host": "h", "token": "t0k3n-geheim"})
    store.put(User, "ann", {"password": "correct horse"})
    store.set_path("users.ann.password", "battery staple")
    found = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for clear in (b"47114711", b"t0k3n-geheim", b"correct horse", b"battery staple"):
        assert clear not in found
    again = open_store(tmp_path)
    assert again.items(Line)["m1"].sim_pin == "47114711"
    assert again.get(Broker).token == "t0k3n-geheim"
    assert verify_password("battery staple", again.items(User)["ann"].password)


def test_files_and_folders_are_for_their_owner_alone(tmp_path):
    old = os.umask(0)
    try:
        store = open_store(tmp_path)
        store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
        store.put(Line, "m1", {"name": "second"})
    finally:
        os.umask(old)
    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {
        "settings": 0o700,
        "settings/lines.json": 0o600,
        "settings/lines.json.previous": 0o600,
        "keys": 0o700,
        "keys/settings.key": 0o600,
    }


def test_a_file_that_was_open_to_others_is_closed(tmp_path, store, caplog):
    store.update(Sms, {"country_code": "65"})
    file = tmp_path / "settings" / "sms.json"
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert open_store(tmp_path).get(Sms).country_code == "65"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "open to others" in caplog.text


def test_a_lost_key_empties_secrets_loudly_and_breaks_nothing(tmp_path, store, caplog):
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
    (tmp_path / "keys" / "settings.key").unlink()
    before = files(tmp_path)
    with caplog.at_level(logging.ERROR):
        store = open_store(tmp_path)
    assert store.items(Line)["m1"] == Line(name="first")
    assert list(store.problems) == ["lines.m1.sim_pin"]
    assert [record.fields["setting"] for record in caplog.records] == ["lines.m1.sim_pin"]
    assert files(tmp_path) == before


def test_a_secret_lives_again_when_its_key_comes_back(tmp_path, store):
    key = tmp_path / "keys" / "settings.key"
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
    data = key.read_bytes()
    key.unlink()
    open_store(tmp_path).put(Line, "m1", {"name": "second"})
    assert list(open_store(tmp_path).problems) == ["lines.m1.sim_pin"]
    key.write_bytes(data)
    store = open_store(tmp_path)
    assert store.items(Line)["m1"] == Line(name="second", sim_pin="4711")
    assert store.problems == {}


@pytest.mark.parametrize("pin", ["", "5822"])
def test_a_lost_secret_is_no_problem_any_more_when_it_is_given_anew(tmp_path, store, pin):
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
    store.put(Line, "m2", {"name": "other", "sim_pin": "4712"})
    (tmp_path / "keys" / "settings.key").unlink()
    store = open_store(tmp_path)
    store.put(Line, "m1", {"sim_pin": pin})
    assert list(store.problems) == ["lines.m2.sim_pin"]
    again = open_store(tmp_path)
    assert again.items(Line)["m1"].sim_pin == pin
    assert list(again.problems) == ["lines.m2.sim_pin"]


def test_a_sealed_value_does_not_open_in_another_place(tmp_path, store):
    store.put(Line, "m1", {"name": "first", "sim_pin": "4711"})
    store.put(Line, "m2", {"name": "second"})
    file = tmp_path / "settings" / "lines.json"
    document = json.loads(file.read_text())
    document["items"]["m2"]["sim_pin"] = document["items"]["m1"]["sim_pin"]
    file.write_text(json.dumps(document))
    assert list(open_store(tmp_path).problems) == ["lines.m2.sim_pin"]


def test_secrets_that_somebody_wrote_by_hand_are_taken_and_sealed(tmp_path):
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "broker.json").write_text('{"version": 1, "values": {"token": "t0k3n-geheim"}}')
    (folder / "users.json").write_text('{"version": 1, "items": {"ann": {"password": "correct horse"}}}')
    store = open_store(tmp_path)
    assert store.get(Broker).token == "t0k3n-geheim"
    assert verify_password("correct horse", store.items(User)["ann"].password)
    assert store.problems == {}
    found = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"geheim" not in found
    assert b"horse" not in found
    before = files(tmp_path)
    assert open_store(tmp_path).items(User) == store.items(User)
    assert files(tmp_path) == before


# Reset


def test_a_reset_gives_factory_values_and_leaves_no_copy(tmp_path, store):
    store.update(Sms, {"country_code": "65"})
    store.update(Sms, {"country_code": "66"})
    store.put(User, "ann", {"password": "correct horse"})
    store.put(User, "bob", {"password": "correct horse"})
    store.reset(Sms)
    store.reset(User)
    for one in (store, open_store(tmp_path)):
        assert one.get(Sms) == Sms()
        assert one.items(User) == {}
    assert files(tmp_path) == {}


def test_a_reset_leaves_sections_whose_names_begin_alike(tmp_path):
    class Api(Section, key="sms_more", title="More"):
        on: bool = boolean(default=True, help="x")

    store = SettingsStore(tmp_path, (Sms, Api), None)
    store.update(Api, {"on": False})
    store.update(Sms, {"country_code": "65"})
    store.reset(Sms)
    assert SettingsStore(tmp_path, (Sms, Api), None).get(Api) == Api(on=False)


# Disks and threads


def fails(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_refuses_the_change(tmp_path, store, monkeypatch):
    store.update(Sms, {"country_code": "65"})
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(SettingsError) as caught:
        store.update(Sms, {"country_code": "66"})
    assert caught.value.errors == {"sms": "could not be saved: No space left on device"}
    assert store.get(Sms).country_code == open_store(tmp_path).get(Sms).country_code == "65"


def test_many_sections_are_replaced_all_or_none(tmp_path, store, monkeypatch):
    store.put(Line, "m1", {"name": "first"})
    replace, calls = os.replace, []

    def fails_the_second_time(source, target):
        calls.append(target)
        if len(calls) == 2:
            fails()
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails_the_second_time)
    with pytest.raises(SettingsError, match="could not be saved"):
        store.replace({Sms: {"": Sms(country_code="65")}, Line: {"m2": Line(name="second")}})
    for one in (store, open_store(tmp_path)):
        assert one.get(Sms) == Sms()
        assert list(one.items(Line)) == ["m1"]


def test_no_concurrent_change_is_lost(tmp_path, store):
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        for count in range(10):
            store.put(Line, f"m{number}-{count}", {"name": f"{number}"})
            store.put(
                Line,
                "shared",
                {"name": "x", ["is_default", "prefixes"][number % 2]: [True, "628"][number % 2]},
            )
        store.update(Sms, {["country_code", "most"][number % 2]: 65})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.items(Line)) == 81
    assert store.items(Line)["shared"] == Line(name="x", is_default=True, prefixes=("628",))
    assert store.get(Sms) == Sms(country_code="65", most=65)
    again = open_store(tmp_path)
    assert (again.items(Line), again.get(Sms)) == (store.items(Line), store.get(Sms))


def test_readers_never_wait_for_a_writer(store):
    reader_is_done = threading.Event()
    found = []

    def read():
        found.append(store.get(Sms).country_code)
        reader_is_done.set()

    def slow(_, __):
        threading.Thread(target=read).start()
        assert reader_is_done.wait(5)

    store.guard(Sms, slow)
    store.update(Sms, {"country_code": "65"})
    assert found == ["62"]


def test_a_power_cut_at_any_step_of_a_change_leaves_the_old_or_the_new_value(tmp_path):
    program = textwrap.dedent(
        """
        import os, pathlib, signal, sys
        from otppi.settings.fields import secret
        from otppi.settings.section import Section
        from otppi.settings.store import SettingsStore

        class Broker(Section, key="broker", title="Broker"):
            token: str = secret(default="", help="x")

        root = pathlib.Path(sys.argv[1])

        def die_at(step):
            count = 0
            def wrapped(call):
                def dying(*args, **kwargs):
                    nonlocal count
                    count += 1
                    if count == step:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return call(*args, **kwargs)
                return dying
            for name in ("open", "fdopen", "write", "fsync", "link", "replace", "unlink", "close", "mkdir"):
                setattr(os, name, wrapped(getattr(os, name)))

        def tokens(folder):
            store = SettingsStore(folder, (Broker,), None)
            return store.get(Broker).token, dict(store.problems)

        for first in (True, False):
            for step in range(1, 200):
                folder = root / f"{first}-{step}"
                if not first:
                    SettingsStore(folder, (Broker,), None).update(Broker, {"token": "old"})
                store = SettingsStore(folder, (Broker,), None)
                pid = os.fork()
                if pid == 0:
                    die_at(step)
                    store.update(Broker, {"token": "new"})
                    os._exit(0)
                died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
                assert tokens(folder) in ((("" if first else "old"), {}), ("new", {})), (step, tokens(folder))
                SettingsStore(folder, (Broker,), None).update(Broker, {"token": "newest"})
                assert tokens(folder) == ("newest", {})
                if not died:
                    break
            assert 8 < step < 199, step
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
