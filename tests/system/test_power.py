"""Power by a logind that python-dbusmock plays, and by a bus where nobody is."""

import subprocess
import time

import pytest

from otppi.model.checks import Level
from otppi.model.errors import HostUnreachable
from otppi.system import dbus
from otppi.system.power import LogindPower
from tests import needs

LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1")


@pytest.fixture
def logind(system_bus, tmp_path):
    """Logind as python-dbusmock plays it; returns what was called."""
    needs.programs("/usr/bin/python3")
    if subprocess.run(
        ["/usr/bin/python3", "-c", "import dbusmock"], check=False, capture_output=True
    ).returncode:
        needs.module("dbusmock")
    log = tmp_path / "calls"
    process = subprocess.Popen(
        ["/usr/bin/python3", "-m", "dbusmock", "--system", "--logfile", log, "--template", "logind"],
        stdout=subprocess.DEVNULL,
    )
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        try:
            dbus.get_property(*LOGIND, "org.freedesktop.login1.Manager", "IdleHint")
            break
        except HostUnreachable:
            time.sleep(0.05)
    yield log
    process.terminate()
    process.wait(10)


def calls(log) -> list[str]:
    return [line.split(" ", 1)[1] for line in log.read_text().splitlines() if "Can" not in line]


def test_the_board_is_restarted_and_switched_off_without_asking_anybody(logind):
    LogindPower().reboot()
    LogindPower().power_off()
    assert [line for line in calls(logind) if line.startswith(("Reboot", "PowerOff"))] == [
        "Reboot False",
        "PowerOff False",
    ]


def test_whether_it_may_is_looked_at(logind):
    (check,) = LogindPower().checks()
    assert check.level is Level.GREEN
    dbus.call(*LOGIND, "org.freedesktop.DBus.Mock", "AddMethod", "sssss", (
        "org.freedesktop.login1.Manager", "CanReboot", "", "s", 'ret = "challenge"'))  # fmt: skip
    (check,) = LogindPower().checks()
    assert check.level is Level.YELLOW
    assert "challenge" in check.finding


def test_without_logind_it_is_unreachable(system_bus):
    with pytest.raises(HostUnreachable):
        LogindPower().reboot()
    (check,) = LogindPower().checks()
    assert check.level is Level.YELLOW
