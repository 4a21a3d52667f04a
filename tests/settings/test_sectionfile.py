import json
import logging
import os
from pathlib import Path

import pytest

from otppi.settings.fields import integer, retired, secret, text
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore


class Sms(Section, key="sms", title="Sending SMS"):
    """How messages are sent."""

    country_code: str = text(default="62", pattern=r"[1-9]\d{0,2}", help="Country code.")
    least: int = integer(default=1, minimum=0, maximum=100, help="Least.")
    most: int = integer(default=9, minimum=0, maximum=100, help="Most.")
    gone: int = retired(help="Gone.")

    def check(self) -> dict[str, str]:
        return {"least": "must not be more than most"} if self.least > self.most else {}


class Line(Section, key="lines", title="Lines", many=True):
    """Lines."""

    name: str = text(pattern=r"[a-z ]+", help="Name.")
    rate: int = integer(default=9600, minimum=300, help="Rate.")
    sim_pin: str = secret(default="", pattern=r"(\d{4,8})?", help="PIN.")


def open_store(root: Path) -> SettingsStore:
    return SettingsStore(root, (Sms, Line), None)


def write(root: Path, name: str, content: object) -> Path:
    (root / "settings").mkdir(exist_ok=True)
    path = root / "settings" / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(0o600)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "settings"


@pytest.fixture
def good(tmp_path):
    """A device whose country code was first 65 and is 66 now."""
    store = open_store(tmp_path)
    store.update(Sms, {"country_code": "65"})
    store.update(Sms, {"country_code": "66"})
    return store


DAMAGED = [
    b"",
    b" \n",
    b'{"version": 1, "values": {"country_c',
    b"\x00" * 4096,
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"version": 1}',
    b'{"version": "1", "values": {}}',
    b'{"version": 0, "values": {}}',
    b'{"version": 1, "values": []}',
    b'{"version": 1, "items": {}}',
    b"[" * 200_000,
]


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_put_aside_and_the_copy_before_it_used(tmp_path, folder, good, data, caplog):
    (folder / "sms.json").write_bytes(data)
    with caplog.at_level(logging.ERROR):
        store = open_store(tmp_path)
    assert store.get(Sms).country_code == "65"
    assert list(store.problems) == ["sms"]
    assert (folder / "sms.json.damaged").read_bytes() == data
    assert "sms.json" in str([record.fields for record in caplog.records])
    # The next start finds a good file, and the copy before it was not lost on the way.
    again = open_store(tmp_path)
    assert again.get(Sms).country_code == "65"
    assert b"65" in (folder / "sms.json.previous").read_bytes()
    assert {path.name for path in folder.iterdir()} == {"sms.json", "sms.json.previous", "sms.json.damaged"}
    # It is said until somebody has saved the section again.
    assert list(again.problems) == ["sms"]
    again.update(Sms, {"country_code": "60"})
    assert again.problems == {}
    assert open_store(tmp_path).problems == {}


def test_factory_values_are_used_when_both_copies_are_damaged(tmp_path, folder, good):
    (folder / "sms.json").write_bytes(b"")
    (folder / "sms.json.previous").write_bytes(b"{")
    store = open_store(tmp_path)
    assert store.get(Sms) == Sms()
    assert list(store.problems) == ["sms"]


def test_a_missing_file_means_factory_values(tmp_path, folder, good):
    (folder / "sms.json").unlink()
    store = open_store(tmp_path)
    assert store.get(Sms) == Sms()
    assert store.problems == {}


def test_problems_are_over_when_the_section_is_saved(tmp_path, folder, good):
    (folder / "sms.json").write_bytes(b"")
    store = open_store(tmp_path)
    assert store.problems
    store.update(Sms, {"country_code": "67"})
    assert store.problems == {}


def test_one_damaged_file_costs_no_other_section(tmp_path, folder, good):
    good.put(Line, "m1", {"name": "first"})
    (folder / "sms.json").write_bytes(b"")
    assert list(open_store(tmp_path).items(Line)) == ["m1"]


def test_a_value_that_is_no_longer_valid_is_that_of_the_copy_before(tmp_path, folder):
    write(tmp_path, "sms.json", {"version": 1, "values": {"country_code": "0", "least": 3}})
    write(tmp_path, "sms.json.previous", {"version": 1, "values": {"country_code": "65", "least": 2}})
    store = open_store(tmp_path)
    assert store.get(Sms) == Sms(country_code="65", least=3)
    assert list(store.problems) == ["sms.country_code"]
    assert "previous value" in store.problems["sms.country_code"]
    assert json.loads((folder / "sms.json.damaged").read_bytes())["values"]["country_code"] == "0"
    assert open_store(tmp_path).get(Sms) == store.get(Sms)


def test_a_value_that_was_never_valid_is_that_of_the_factory(tmp_path):
    write(tmp_path, "sms.json", {"version": 1, "values": {"country_code": "0", "least": 3}})
    write(tmp_path, "sms.json.previous", {"version": 1, "values": {"country_code": ["65"]}})
    store = open_store(tmp_path)
    assert store.get(Sms) == Sms(least=3)
    assert "factory value" in store.problems["sms.country_code"]


def test_values_that_do_not_go_together_fall_back_too(tmp_path):
    write(tmp_path, "sms.json", {"version": 1, "values": {"least": 50, "country_code": "65"}})
    store = open_store(tmp_path)
    assert store.get(Sms) == Sms(country_code="65")
    assert list(store.problems) == ["sms.least"]


def test_an_item_beyond_repair_is_left_out_alone(tmp_path, folder):
    items = {
        "m1": {"name": "first"},
        "m2": {"name": "BAD"},
        "m3": {},
        " ": {"name": "x"},
        "m4": {"name": "x", "rate": 1},
    }
    write(tmp_path, "lines.json", {"version": 1, "items": items})
    store = open_store(tmp_path)
    assert store.items(Line) == {"m1": Line(name="first"), "m4": Line(name="x")}
    assert {"lines.m2.name", "lines.m3.name", "lines.m4.rate"} < store.problems.keys()
    assert json.loads((folder / "lines.json.damaged").read_bytes())["items"] == items
    assert open_store(tmp_path).items(Line) == store.items(Line)


def test_a_bad_value_of_an_item_is_that_of_the_copy_before(tmp_path):
    write(tmp_path, "lines.json", {"version": 1, "items": {"m1": {"name": "BAD", "rate": 300}}})
    write(tmp_path, "lines.json.previous", {"version": 1, "items": {"m1": {"name": "first", "rate": 600}}})
    assert open_store(tmp_path).items(Line) == {"m1": Line(name="first", rate=300)}


def test_a_problem_does_not_tell_a_phone_number(tmp_path, caplog):
    write(tmp_path, "lines.json", {"version": 1, "items": {"6281200000001": {"name": "BAD"}}})
    with caplog.at_level(logging.DEBUG):
        store = open_store(tmp_path)
    assert store.problems
    assert "6281200000001" not in str(store.problems) + str([vars(record) for record in caplog.records])


def test_unknown_settings_are_kept_and_reported(tmp_path, folder, caplog):
    write(tmp_path, "sms.json", {"version": 1, "values": {"contry_code": "65", "colour": {"a": 1}}})
    write(tmp_path, "lines.json", {"version": 1, "items": {"m1": {"name": "first", "colour": 2}}})
    with caplog.at_level(logging.WARNING):
        store = open_store(tmp_path)
    assert store.problems == {}
    assert {record.fields["setting"] for record in caplog.records} == {
        "sms.contry_code",
        "sms.colour",
        "lines.m1.colour",
    }
    assert "did you mean country_code?" in caplog.text
    store.update(Sms, {"least": 2})
    store.put(Line, "m1", {"rate": 300})
    assert json.loads((folder / "sms.json").read_bytes())["values"] == {
        "contry_code": "65",
        "colour": {"a": 1},
        "least": 2,
    }
    assert json.loads((folder / "lines.json").read_bytes())["items"]["m1"]["colour"] == 2


def test_a_retired_setting_is_read_and_no_longer_kept(tmp_path, folder):
    write(tmp_path, "sms.json", {"version": 1, "values": {"gone": 5, "country_code": "65"}})
    store = open_store(tmp_path)
    assert (store.get(Sms), store.problems) == (Sms(country_code="65"), {})
    store.update(Sms, {"least": 2})
    assert b"gone" not in (folder / "sms.json").read_bytes()


def test_a_retired_setting_is_logged(tmp_path, caplog):
    write(tmp_path, "sms.json", {"version": 1, "values": {"gone": 5}})
    with caplog.at_level(logging.INFO):
        open_store(tmp_path)
    assert [(record.msg, record.fields["setting"]) for record in caplog.records] == [
        ("a retired setting is ignored", "sms.gone")
    ]


def test_only_what_differs_from_the_factory_is_stored(tmp_path, folder):
    open_store(tmp_path).update(Sms, {"country_code": "65", "least": 1})
    assert json.loads((folder / "sms.json").read_bytes()) == {"version": 1, "values": {"country_code": "65"}}


def test_a_file_of_a_newer_release_is_read_as_far_as_possible_and_kept_before_it_is_replaced(
    tmp_path, folder
):
    newer = {"version": 7, "values": {"country_code": "65", "colour": "red"}, "more": 1}
    path = write(tmp_path, "sms.json", newer)
    before = path.stat().st_mtime_ns
    store = open_store(tmp_path)
    assert (store.get(Sms).country_code, store.problems) == ("65", {})
    assert path.stat().st_mtime_ns == before
    store.update(Sms, {"least": 2})
    store.update(Sms, {"least": 3})
    assert json.loads((folder / "sms.json.version-7").read_bytes()) == newer
    assert json.loads(path.read_bytes()) == {
        "version": 1,
        "values": {"country_code": "65", "colour": "red", "least": 3},
    }


def test_a_file_that_cannot_be_read_stays_until_something_is_saved(tmp_path, folder, good):
    # A folder in its place cannot be read by anybody, not even by root.
    (folder / "sms.json").unlink()
    (folder / "sms.json").mkdir()
    store = open_store(tmp_path)
    assert store.get(Sms).country_code == "65"
    assert list(store.problems) == ["sms"]
    assert (folder / "sms.json").is_dir()
    store.update(Sms, {"least": 2})
    assert open_store(tmp_path).get(Sms) == Sms(country_code="65", least=2)
    assert (folder / "sms.json.damaged").is_dir()


def test_a_disk_that_cannot_be_written_does_not_hinder_the_start(tmp_path, folder, good, monkeypatch):
    (folder / "sms.json").write_bytes(b"")

    def fails(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "fsync", fails)
    store = open_store(tmp_path)
    assert store.get(Sms).country_code == "65"
    assert list(store.problems) == ["sms"]


def test_thousands_of_items_are_one_line_each(tmp_path, folder):
    items = {f"{number}": {"name": "x"} for number in range(3000)}
    write(tmp_path, "lines.json", {"version": 1, "items": items})
    store = open_store(tmp_path)
    store.put(Line, "one more", {"name": "y"})
    assert len((folder / "lines.json").read_text().splitlines()) == 3003
    assert len(open_store(tmp_path).items(Line)) == 3001
