"""Asked on a machine that is no board, and on a tree that looks like one."""

import pytest

from otppi.model.checks import Level
from otppi.system import upkeep
from tests.system.private_systemd import PrivateSystemd


@pytest.fixture
def board(tmp_path):
    (tmp_path / "sys/class/watchdog/watchdog0").mkdir(parents=True)
    (tmp_path / "run/log/journal/0123").mkdir(parents=True)
    (tmp_path / "run/log/journal/0123/system.journal").touch()
    (tmp_path / "var/log/journal").mkdir(parents=True)
    return tmp_path


def found(board):
    return {check.name: check for check in upkeep.checks("otppi", board)}


def test_a_log_in_ram_is_well_and_one_on_the_card_is_not(board, system_bus):
    assert found(board)["log"].level is Level.GREEN
    (board / "run/log/journal/0123/system.journal").unlink()
    assert found(board)["log"].level is Level.YELLOW
    (board / "var/log/journal").rmdir()
    assert found(board)["log"].finding == "there is none"


def test_a_board_without_a_watchdog_is_told(board, system_bus):
    (board / "sys/class/watchdog/watchdog0").rmdir()
    assert "has none" in found(board)["hardware watchdog"].finding


def test_services_that_do_not_answer_are_yellow_with_advice(board, system_bus):
    checks = found(board)
    for name in ("hardware watchdog", "otppi.local"):
        assert checks[name].level is Level.YELLOW
        assert checks[name].advice


def test_a_real_systemd_is_asked_for_its_watchdog(board, tmp_path, monkeypatch):
    systemd = PrivateSystemd(tmp_path / "systemd", {})
    try:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", systemd.address)
        assert "nobody feeds it" in found(board)["hardware watchdog"].finding
    finally:
        systemd.stop()
