import pytest

from otppi.system.reset.record import Applied, Record, Result, save
from otppi.system.reset.report import checks
from otppi.system.reset.snapshot import Snapshot, Stick

STICK = Stick(device="sda1", filesystem="ext4 00ff", file_sha256="b" * 64, flags=("RESET_API",))


def found(tmp_path, *sticks, record=None):
    (tmp_path / "sticks.json").write_bytes(Snapshot(sticks=sticks, is_settled=True).as_json())
    if record is not None:
        save(tmp_path, record)
    return [(one.level.value, one.finding) for one in checks(tmp_path / "sticks.json", tmp_path)]


def test_a_watcher_that_waits_is_green(tmp_path):
    assert found(tmp_path) == [("green", "waits for a stick")]


@pytest.mark.parametrize("data", [None, b"x"])
def test_a_watcher_that_does_not_run_is_red(tmp_path, data):
    if data:
        (tmp_path / "sticks.json").write_bytes(data)
    (check,) = checks(tmp_path / "sticks.json", tmp_path)
    assert check.level.value == "red"
    assert "password" in check.advice


def test_a_stick_that_is_still_in_is_named(tmp_path):
    applied = Applied(filesystem="ext4 00ff", file_sha256="b" * 64, done=())
    record = Record(applied=applied, last=Result(when="2026-11-21", sections=("REST API",)))
    assert found(tmp_path, STICK, record=record) == [
        ("yellow", "a stick has done its reset and is still in"),
        ("green", "reset REST API (2026-11-21)"),
    ]


def test_a_refused_stick_is_named_with_the_reason(tmp_path):
    assert found(tmp_path, Stick.refused("sda", "NTFS")) == [("yellow", "resets nothing: NTFS")]


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (Result(refusal="NTFS"), ("green", "reset nothing: NTFS")),
        (Result(failed={"SMS": "disk full"}), ("red", "could not reset everything: SMS: disk full")),
        (Result(), ("green", "reset nothing")),
    ],
)
def test_the_last_result_is_shown(tmp_path, last, line):
    assert found(tmp_path, record=Record(last=last))[1:] == [line]
