"""Every unit is understood by systemd, points at programs that are there, and is as narrow as promised."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otppi.gateway.policy import SmsSettings
from tests import needs
from tests.rootfs_overlay.staged import OVERLAY, UNITS, copy_overlay, instance_of, own_units, put_program

GATEWAY_LIMIT, HELPER_LIMIT = 2.0, 4.0
_FOREIGN_UNITS = Path("/usr/lib/systemd/system")
# What the image adds; verify wants to see it.
_PROGRAMS = ("usr/lib/otppi/venv/bin/otppi", "usr/sbin/hwclock", "usr/sbin/avahi-daemon")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the overlay, this machine's units for the others to lean on, and stubs of the programs."""
    needs.programs("systemd-analyze")
    tree = tmp_path_factory.mktemp("device")
    shutil.copytree(_FOREIGN_UNITS, tree / UNITS, symlinks=True)
    copy_overlay(tree)
    for program in _PROGRAMS:
        put_program(tree, program, "#!/bin/sh\n")
    return tree


def analyze(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [needs.program("systemd-analyze"), f"--root={tree}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def complaints(tree: Path, *units: str) -> list[str]:
    """What systemd says about our units; about others of this machine it may say what it likes."""
    checked = analyze(tree, "--man=no", "verify", *units)
    return [line for line in checked.stderr.splitlines() if "otppi" in line]


def score(tree: Path, unit: str) -> float:
    """The exposure of a service: 0 is none, 10 is all."""
    unit = instance_of(unit)
    measured = analyze(tree, "security", "--offline=yes", "--no-pager", unit)
    overall = next(line for line in measured.stdout.splitlines() if "Overall exposure level" in line)
    return float(overall.partition(f"{unit}: ")[2].split()[0])


def with_line(tree: Path, unit: str, line: str) -> str:
    """Put a line at the end of a unit's [Service] in a tree; return what it was."""
    file = tree / UNITS / unit
    before = file.read_text()
    file.write_text(before.replace("[Service]\n", f"[Service]\n{line}\n"))
    return before


def test_systemd_has_nothing_to_say_about_the_units(device):
    assert complaints(device, *own_units("service", "path")) == []


@pytest.mark.parametrize("line", ["ProtectSytem=strict", "WatchdogSec=often", "ExecStartPre=/usr/bin/absent"])
def test_a_mistake_in_a_unit_is_noticed(device, line):
    before = with_line(device, "otppi-dhcp.service", line)
    try:
        assert complaints(device, "otppi-dhcp.service")
    finally:
        (device / UNITS / "otppi-dhcp.service").write_text(before)


@pytest.mark.parametrize("unit", own_units("service"))
def test_a_service_is_as_narrow_as_promised(device, unit):
    assert score(device, unit) <= (GATEWAY_LIMIT if unit == "otppi.service" else HELPER_LIMIT)


def test_a_service_that_lost_its_restrictions_is_noticed(device):
    drop_in = device / UNITS / "otppi-.service.d"
    drop_in.rename(device / "aside")
    try:
        assert score(device, "otppi-mobile.service") > HELPER_LIMIT
    finally:
        (device / "aside").rename(drop_in)


@pytest.mark.parametrize("unit", own_units("service"))
def test_the_readme_states_the_score(device, unit):
    row = next(
        line for line in (OVERLAY / "README.md").read_text().splitlines() if line.startswith(f"| `{unit}`")
    )
    stated = float(row.split("|")[3])
    # Another release of systemd weighs a little differently.
    assert abs(stated - score(device, unit)) <= 0.3


def test_everything_that_starts_by_itself_is_enabled():
    preset = (OVERLAY / "usr/lib/systemd/system-preset/50-otppi.preset").read_text().splitlines()
    verbs = dict(line.split()[::-1] for line in preset if not line.startswith("#"))
    installed = {
        name for name in own_units("service", "path") if "[Install]" in (OVERLAY / UNITS / name).read_text()
    }
    assert {unit for unit, verb in verbs.items() if verb == "enable"} == installed
    assert {unit for unit, verb in verbs.items() if verb == "disable"} == {
        "otppi-mobile.service",
        "otppi-rtc-save.service",
    }


def test_nothing_but_the_gateway_and_the_broker_may_listen(device):
    for unit in own_units("service"):
        text = (OVERLAY / UNITS / unit).read_text()
        families = [line for line in text.splitlines() if line.startswith("RestrictAddressFamilies=")]
        assert len(families) == 1, unit
        if unit not in ("otppi.service", "otppi-mobile.service", "otppi-ws-broker.service"):
            assert "INET" not in families[0]


def test_a_stop_of_the_gateway_may_last_as_long_as_any_message():
    limits = {setting.name: setting.maximum for setting in SmsSettings.describe()}
    text = (OVERLAY / UNITS / "otppi.service").read_text()
    stop_s = int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1])
    assert stop_s > limits["longest_wait_s"] + limits["answer_limit_s"]
