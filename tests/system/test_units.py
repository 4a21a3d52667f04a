"""Units of a real systemd, and what is made of its refusals."""

import sys
import time
from pathlib import Path

import pytest

from otppi.model.checks import Level
from otppi.model.errors import HostError, HostRefused, HostUnreachable
from otppi.system import dbus
from otppi.system.units import SystemdUnits
from tests.system.private_systemd import PrivateSystemd

ALLOWED = frozenset({"once.service", "fails.service", "runs.service", "slow.service", "missing.service"})
ONCE = "[Service]\nType=oneshot\nExecStart="
# Ends by itself after a while in which it does not feed its watchdog, as the gateway does when it is due.
SELF_ENDING = """
import sys, time
sys.path.insert(0, {root!r})
from otppi.lib.servicenotice import ServiceNotice
notice = ServiceNotice.of_environment()
notice.ready()
time.sleep(0.3)
if {says_stopping}:
    notice.stopping()
time.sleep(1.5)
"""
ROOT = Path(__file__).parents[2]


def watched(tmp_path: Path, name: str, *, says_stopping: bool) -> str:
    script = tmp_path / f"{name}.py"
    script.write_text(SELF_ENDING.format(root=str(ROOT), says_stopping=says_stopping))
    return (
        f"[Service]\nType=notify\nWatchdogSec=1s\nRestart=always\nRestartSec=30\n"
        f"ExecStart={sys.executable} -I {script}\n"
    )


@pytest.fixture(scope="module")
def systemd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systemd")
    one = PrivateSystemd(
        folder,
        {
            "once.service": f"{ONCE}/bin/sh -c 'sleep 0.3; echo done >>{folder}/witness'\n",
            "fails.service": f"{ONCE}/bin/false\n",
            "runs.service": "[Service]\nExecStart=/bin/sleep 600\n",
            "slow.service": f"{ONCE}/bin/sleep 600\n",
            "forbidden.service": f"{ONCE}/bin/touch {folder}/forbidden\n",
            "drains.service": watched(folder, "drains", says_stopping=True),
            "hangs.service": watched(folder, "hangs", says_stopping=False),
        },
    )
    one.folder = folder
    yield one
    one.stop()


@pytest.fixture
def units(systemd, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", systemd.address)
    return SystemdUnits(ALLOWED)


def test_a_unit_that_does_a_single_thing_has_done_it_when_start_returns(units, systemd):
    units.start("once.service")
    assert (systemd.folder / "witness").read_text() == "done\n"
    units.restart("once.service")
    assert (systemd.folder / "witness").read_text() == "done\ndone\n"


def test_a_unit_that_fails_is_an_error_and_a_red_line(units):
    with pytest.raises(HostError, match="exit-code"):
        units.start("fails.service")
    assert units.state("fails.service") == "failed"
    checks = {check.name: check for check in units.checks()}
    assert checks["unit fails.service"].level is Level.RED
    assert checks["unit missing.service"].level is Level.YELLOW


def test_a_service_is_started_restarted_and_stopped(units):
    assert units.state("runs.service") == "inactive"
    units.start("runs.service")
    assert units.state("runs.service") == "active"
    units.restart("runs.service")
    assert units.state("runs.service") == "active"
    units.stop("runs.service")
    assert units.state("runs.service") == "inactive"


def test_what_is_not_allowed_is_not_even_asked_for(units, systemd):
    for act in (units.start, units.restart, units.stop, units.state):
        with pytest.raises(HostRefused, match="NotAllowed"):
            act("forbidden.service")
    assert not (systemd.folder / "forbidden").exists()


def test_a_unit_that_does_not_exist_is_absent(units):
    assert units.state("missing.service") == "absent"
    with pytest.raises(HostRefused) as refused:
        units.start("missing.service")
    assert refused.value.name == "NoSuchUnit"


def test_a_unit_that_takes_too_long_is_not_waited_for(units):
    impatient = SystemdUnits(ALLOWED, limit_s=0.2)
    with pytest.raises(HostError, match="not done"):
        impatient.start("slow.service")
    units.stop("slow.service")


def test_a_service_that_ends_by_itself_is_started_anew_and_not_bitten_if_it_said_so(systemd, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", systemd.address)
    both = SystemdUnits(frozenset({"drains.service", "hangs.service"}))
    for name in ("drains.service", "hangs.service"):
        both.start(name)
    results = {name: wait_for_restart(name) for name in ("drains.service", "hangs.service")}
    assert results == {"drains.service": "success", "hangs.service": "watchdog"}


def wait_for_restart(name: str) -> str:
    """Return how a service ended that systemd is about to start anew."""
    manager = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    path = dbus.call(*manager, "LoadUnit", "s", (name,))[0]
    end_s = time.monotonic() + 8
    while time.monotonic() < end_s:
        if dbus.get_property(manager[0], path, f"{manager[0]}.Unit", "SubState") == "auto-restart":
            return dbus.get_property(manager[0], path, f"{manager[0]}.Service", "Result")
        time.sleep(0.05)
    pytest.fail(f"{name} is not started anew")


def test_without_systemd_it_says_so(system_bus):
    units = SystemdUnits(ALLOWED)
    with pytest.raises(HostUnreachable):
        units.start("once.service")
    (check,) = units.checks()
    assert check.level is Level.YELLOW
    assert check.advice
