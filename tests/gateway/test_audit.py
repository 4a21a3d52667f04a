import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from otppi.gateway.audit import Audit


@pytest.fixture
def trail(tmp_path, clock):
    return Audit(tmp_path / "audit", clock)


def note(trail, what="settings.set", user="ann", **details):
    trail.note(user=user, address="192.0.2.1", what=what, details=details, outcome="done")


def names(page):
    return [row["what"] for row in page["rows"]]


def details(trail):
    return trail.page()["rows"][0]["details"]


def test_rows_are_told_newest_first_and_page_by_page(trail):
    for number in range(5):
        note(trail, f"call.{number}")
    assert names(trail.page(offset=1, count=2)) == ["call.3", "call.2"]
    assert trail.page(offset=5)["total"] == 5
    assert trail.page(offset=5)["rows"] == []


def test_rows_of_one_user_are_told_alone(trail):
    note(trail, "first")
    note(trail, "second", user="bob")
    page = trail.page(user="bob")
    assert (names(page), page["total"]) == (["second"], 1)


def test_who_is_not_logged_in_cannot_push_out_what_was_noted_before(trail, clock):
    note(trail, "first")
    stranger = {"user": "", "address": "192.0.2.1", "what": "log_in", "outcome": "refused"}
    for _ in range(300):
        trail.note_stranger(details={"wrong": "password"}, **stranger)
    page = trail.page(count=200)
    assert (page["total"], names(page)[-1]) == (101, "first")
    assert page["rows"][0]["details"] == {
        "wrong": "password",
        "…": "more of it is not noted for some time",
    }
    assert page["rows"][1]["details"] == {"wrong": "password"}
    clock.advance(3601)
    trail.note_stranger(details={}, **stranger)
    assert trail.page()["total"] == 102


def test_nobody_can_push_out_by_repetition_what_others_did(trail, clock):
    note(trail, "first", user="bob")
    for _ in range(2000):
        note(trail, "own.put")
    page = trail.page(count=200)
    assert (page["total"], names(page)[-1]) == (31, "first")
    assert details(trail) == {"…": "more of it is not noted for some time"}
    clock.advance(61)
    note(trail, "own.put")
    assert details(trail) == {}


def test_repetition_hides_nothing_else_that_the_same_user_does(trail):
    for number in range(100):
        trail.note(user="ann", address="", what=f"try.{number}", details={}, outcome="refused")
    note(trail, "own.put")
    note(trail, "admin.put")
    page = trail.page(count=200)
    assert names(page)[:2] == ["admin.put", "own.put"]
    assert page["total"] == 32


def test_nothing_falls_out_while_the_disk_takes_it(tmp_path, clock, monkeypatch):
    written = threading.Event()
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (sync(fd), written.set()))
    monkeypatch.setattr("otppi.gateway.audit._BATCH_S", 60.0)
    trail = Audit(tmp_path / "audit", clock)
    trail.start()
    try:
        for number in range(501):
            note(trail, f"call.{number}")
        assert written.wait(10)
    finally:
        trail.stop()
    assert trail.page()["total"] == 501


def test_a_row_says_who_from_where_what_and_when(trail, clock):
    note(trail, section="api")
    assert trail.page()["rows"] == [
        {
            "at": "2027-01-15T08:00:00+00:00",
            "user": "ann",
            "address": "192.0.2.1",
            "what": "settings.set",
            "details": {"section": "api"},
            "outcome": "done",
        }
    ]
    clock.trusted = False
    note(trail)
    assert trail.page()["rows"][0]["at"] is None


def test_rows_survive_a_restart(trail, tmp_path, clock):
    trail.start()
    note(trail, "before")
    trail.stop()
    assert trail.died() == ()
    after = Audit(tmp_path / "audit", clock)
    note(after, "after")
    assert names(after.page()) == ["after", "before"]
    assert (tmp_path / "audit").stat().st_mode & 0o077 == 0


def test_the_thread_writes_what_was_noted(tmp_path, clock, monkeypatch):
    written = threading.Event()
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (sync(fd), written.set()))
    monkeypatch.setattr("otppi.gateway.audit._BATCH_S", 0.01)
    trail = Audit(tmp_path / "audit", clock)
    trail.start()
    try:
        note(trail, "one")
        assert written.wait(10)
        assert "one" in (tmp_path / "audit" / "audit.jsonl").read_text()
    finally:
        trail.stop()


def test_two_files_are_the_most(tmp_path, clock):
    folder = tmp_path / "audit"
    for number in range(60):
        trail = Audit(folder, clock, file_bytes=1000)
        note(trail, f"call.{number}")
        trail.stop()
    files = list(folder.iterdir())
    assert len(files) == 2
    assert all(path.stat().st_size < 1500 for path in files)
    told = names(trail.page(count=100))
    assert told == [f"call.{number}" for number in range(59, 59 - len(told), -1)]
    assert len(told) > 6


def test_a_damaged_line_costs_only_itself(tmp_path, clock):
    trail = Audit(tmp_path / "audit", clock)
    note(trail, "first")
    trail.stop()
    with (tmp_path / "audit" / "audit.jsonl").open("ab") as file:
        file.write(b'{"at": nul\n[]\n{}\n\xff\n{"half')
    note(trail, "second")
    trail.stop()
    assert names(trail.page()) == ["second", "first"]


def test_a_disk_that_takes_nothing_is_logged_once_and_nothing_is_lost(tmp_path, clock, caplog):
    (tmp_path / "audit").write_text("in the way")
    trail = Audit(tmp_path / "audit", clock)
    for number in range(3):
        note(trail, f"call.{number}")
        trail.stop()
    assert [record.message for record in caplog.records] == ["the audit trail cannot be written"]
    assert names(trail.page()) == ["call.2", "call.1", "call.0"]
    (tmp_path / "audit").unlink()
    trail.stop()
    assert len((tmp_path / "audit" / "audit.jsonl").read_text().splitlines()) == 3
    assert names(trail.page()) == ["call.2", "call.1", "call.0"]


def test_a_disk_that_never_comes_back_does_not_fill_the_memory(tmp_path, clock):
    (tmp_path / "audit").write_text("in the way")
    trail = Audit(tmp_path / "audit", clock)
    for number in range(3000):
        note(trail, f"call.{number}")
    assert trail.page()["total"] == 1000
    assert names(trail.page(count=1)) == ["call.2999"]


@pytest.mark.parametrize("name", ["number", "receiver", "phone", "admins.ann.phone"])
def test_numbers_are_masked_under_their_names(trail, name):
    note(trail, **{name: "+62 812-0000-0001"})
    assert details(trail) == {name: "62812••••••01"}


def test_numbers_are_masked_wherever_they_stand(trail):
    note(
        trail,
        item="6281200000001",
        search="who is +6281200000001?",
        values={"blocklist.6281200000001.blocked": "true", "list": ["081200000001", 6281200000001]},
    )
    text = json.dumps(trail.page())
    assert "0000001" not in text
    assert details(trail)["search"] == "who is 62812••••••01?"


def test_what_is_no_number_stays(trail):
    modem = "0123456789abcdef0123456789abcdef"
    note(
        trail,
        item=modem,
        port="8899",
        count=3,
        is_on=True,
        price=0.5,
        nothing=None,
        address="192.168.0.11/24",
    )
    assert details(trail) == {
        "item": modem,
        "port": "8899",
        "count": 3,
        "is_on": True,
        "price": 0.5,
        "nothing": None,
        "address": "192.168.0.11/24",
    }


def test_long_values_are_shortened(trail):
    deep = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    note(
        trail,
        text="x" * 10_000,
        many=list(range(1000)),
        deep=deep,
        **{f"k{i}": "y" * 300 for i in range(100)},
    )
    trail.stop()
    row = trail.page()["rows"][0]
    assert len(json.dumps(row)) < 8000
    assert row["details"]["text"] == "x" * 200 + "…"
    assert row["details"]["many"][-1] == "… 980 more"
    assert row["details"]["deep"] == {"a": {"b": {"c": "…"}}}


def test_a_number_at_the_cut_is_masked_as_well(trail):
    note(trail, note="x" * 189 + " 6281200000001")
    assert "62812000" not in details(trail)["note"]


def test_many_threads_may_note_while_it_is_written(tmp_path, clock):
    trail = Audit(tmp_path / "audit", clock)
    trail.start()

    def work(who):
        for number in range(100):
            note(trail, f"{who}.{number}")
            assert trail.page(count=1)["rows"]

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))
    trail.stop()
    assert trail.page()["total"] == 500
    assert len(set(names(trail.page(count=500)))) == 500
