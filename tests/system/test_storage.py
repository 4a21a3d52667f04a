"""Real file systems of any size, and reports as the image's first program writes them."""

import json
import subprocess
from contextlib import contextmanager

import pytest

from otppi.model.checks import Level
from otppi.system import storage
from tests import needs


@pytest.fixture
def report(tmp_path):
    def report(**values):
        file = tmp_path / "report.json"
        words = {"version": 1, "data": "card", "root": "volatile", "is_repaired": False, "notes": []}
        file.write_text(json.dumps({**words, **values}))
        return file

    return report


@contextmanager
def card(folder, size, options="rw"):
    needs.root()
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("size", "level"), [("64m", Level.GREEN), ("15m", Level.YELLOW), ("512k", Level.RED)]
)
def test_the_room_that_is_left_decides(tmp_path, size, level):
    with card(tmp_path / "state", size) as state:
        found = storage.check(state, tmp_path / "none")
    assert found.level is level
    assert "free" in found.finding
    assert bool(found.advice) is (level is not Level.GREEN)


def test_what_cannot_be_written_to_is_red_even_for_root(tmp_path):
    with card(tmp_path / "state", "64m", "ro") as state:
        found = storage.check(state, tmp_path / "none")
    assert (found.level, found.finding) == (Level.RED, "cannot be written to")


def test_a_start_without_trouble_is_green(tmp_path, report):
    assert storage.check(tmp_path, report()).level is Level.GREEN


def test_data_in_ram_is_red_and_says_why(tmp_path, report):
    found = storage.check(tmp_path, report(data="volatile", notes=["the card has no data partition"]))
    assert found.level is Level.RED
    assert found.finding == "the card has no data partition; what is set now is gone after a restart"
    assert storage.check(tmp_path, report(data="volatile")).level is Level.RED


def test_a_repair_and_whatever_the_start_noted_are_yellow(tmp_path, report):
    repaired = storage.check(tmp_path, report(is_repaired=True))
    assert repaired.level is Level.YELLOW
    assert "repaired" in repaired.finding
    noted = storage.check(tmp_path, report(notes=["the root has no layer in RAM", "another"]))
    assert (noted.level, noted.finding) == (Level.YELLOW, "the root has no layer in RAM; another")


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_report_that_is_none_is_left_out(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    assert storage.check(tmp_path, tmp_path / "report.json").level is Level.GREEN
