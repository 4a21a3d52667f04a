import subprocess
import sys

import pytest

from otppi.model.checks import Level
from otppi.model.errors import HostError
from otppi.services.offline import administer
from otppi.services.sections import SECTIONS
from otppi.services.ssh import UNIT, checks, ports_with_ssh
from otppi.settings.store import SettingsStore
from otppi.system.firewall.ruleset import rules
from otppi.system.firewall.services import AccessPoint, Services
from otppi.system.firewall.settings import FirewallSettings, OpenPort
from otppi.system.ssh import access


def test_ssh_comes_in_by_the_access_point_and_ethernet_only():
    services = Services(
        admin_ports=(),
        api_ports=(),
        access_point=AccessPoint(interface="wlan0", address="192.168.0.11", portal_port=80, forwards=False),
    )
    accepted = [
        rule
        for rule in rules(4, FirewallSettings(), ports_with_ssh({}, is_on=True), services)
        if "--dport 22 " in rule
    ]
    assert accepted == [
        f"-A OTPPI-INPUT -i {interface} -p tcp -m tcp --dport 22 -j ACCEPT" for interface in ("wlan0", "eth0")
    ]


def test_ports_of_the_owner_stay(tmp_path):
    administer(tmp_path, "port.add", {"port": "22", "protocol": "tcp", "source": "10.0.0.0/8"})
    before = SettingsStore(tmp_path, SECTIONS, None).items(OpenPort)
    administer(tmp_path, "ssh.ports", {"is_open": True})
    on = SettingsStore(tmp_path, SECTIONS, None).items(OpenPort)
    assert set(on) == {"tcp22", "ssh-access-point", "ssh-ethernet"}
    assert all(entry.open for entry in on.values())
    administer(tmp_path, "ssh.ports", {"is_open": False})
    assert SettingsStore(tmp_path, SECTIONS, None).items(OpenPort) == before


class Systemd:
    """Says what became of the unit."""

    def __init__(self, said):
        self._said = said

    def state(self, unit):
        assert unit == UNIT
        if isinstance(self._said, HostError):
            raise self._said
        return self._said


@pytest.mark.parametrize(
    ("said", "levels"),
    [
        ("active", [Level.GREEN]),
        ("failed", [Level.YELLOW]),
        ("inactive", []),
        (HostError("gone"), [Level.YELLOW]),
    ],
)
def test_the_diagnosis_names_ssh_where_it_is_on(tmp_path, said, levels):
    drop_in = tmp_path / "50-otppi.conf"
    assert list(checks(Systemd(said), drop_in)) == []
    drop_in.touch()
    found = list(checks(Systemd(said), drop_in))
    assert [one.level for one in found] == levels
    assert all(one.advice for one in found)


@pytest.mark.skipif(access.FOLDER.exists(), reason="this is a device")
@pytest.mark.parametrize("words", [["show"], ["allow", "-"], ["off"]])
def test_where_ssh_is_not_ours_the_command_line_says_so_and_does_nothing(tmp_path, words):
    state = tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-m", "otppi", "ssh", *words],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        env={"OTPPI_STATE_DIR": str(state)},
    )
    assert done.returncode == 1
    assert "only a device that was flashed" in done.stderr
    assert not state.exists()
