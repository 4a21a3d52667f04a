import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from otppi.model.checks import Level
from otppi.services import firewall_plan
from otppi.services.firewall_loader import load, unload
from otppi.settings.store import SettingsStore
from otppi.system.firewall import iptables
from otppi.system.firewall.report import checks, digest, read_report
from otppi.system.firewall.settings import FirewallSettings, OpenPort
from otppi.system.network.settings import WlanSettings
from otppi.web.settings import AdminSettings
from tests import needs
from tests.system.firewall.namespaces import Namespace

ROOT = Path(__file__).resolve().parents[2]
_NOBODY = 65_534
PROGRAM = (
    "import sys; from pathlib import Path; from otppi.services.firewall_loader import load; "
    "sys.exit(load(Path(sys.argv[1]), Path(sys.argv[2])))"
)


@pytest.fixture
def device() -> Iterator[Namespace]:
    needs.root()
    needs.programs("ip", "iptables-restore", "ip6tables-restore", "iptables-save")
    made = Namespace("loader")
    yield made
    made.remove()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


def settings(state: Path) -> SettingsStore:
    return SettingsStore(state, firewall_plan.SECTIONS, None)


def in_force(device: Namespace) -> str:
    return device.call(iptables.present, 4) + device.call(iptables.present, 6)


def looked_at(state: Path, report: Path):
    (check,) = checks(report, digest(firewall_plan.wanted_rules(settings(state))))
    return check


def test_the_settings_are_in_force_and_the_gateway_can_tell(device, state, report):
    store = settings(state)
    store.put(OpenPort, "a", {"port": "7001", "source": "2001:db8::/32"})
    store.update(AdminSettings, {"http_port": 9999})
    store.update(WlanSettings, {"address": "192.168.77.1/24", "interface": "wlan7"})
    assert device.call(load, state, report) == 0
    rules = in_force(device)
    assert "-s 2001:db8::/32 -p tcp -m tcp --dport 7001 -j ACCEPT" in rules
    assert "-d 192.168.77.1/32 ! -i wlan7 -j DROP" in rules
    assert "-p tcp -m tcp --dport 9999 -j ACCEPT" in rules
    assert looked_at(state, report).level is Level.GREEN

    store.remove(OpenPort, "a")
    assert looked_at(state, report).level is Level.RED
    assert device.call(load, state, report) == 0
    assert "7001" not in in_force(device)
    assert looked_at(state, report).level is Level.GREEN


def test_without_a_state_folder_the_rules_of_the_factory_are_loaded_and_no_folder_is_made(
    device, state, report
):
    assert device.call(load, state, report) == 0
    assert "--dport 8888 -j ACCEPT" in in_force(device)
    assert "--dport 8443 -j ACCEPT" in in_force(device)
    assert not state.exists()


def test_switched_off_nothing_of_ours_is_left(device, state, report):
    device.call(load, state, report)
    settings(state).update(FirewallSettings, {"enabled": False})
    assert device.call(load, state, report) == 0
    assert "OTPPI" not in in_force(device)
    assert looked_at(state, report).level is Level.YELLOW


def test_before_the_program_goes_its_chains_go_and_the_rules_of_others_stay(device, state, report):
    device.run("iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
    device.call(load, state, report)
    assert device.call(unload) == 0
    rules = in_force(device)
    assert "OTPPI" not in rules
    assert "-A INPUT -s 192.0.2.1/32 -j DROP" in rules


def test_a_refused_rule_leaves_the_emergency_rules_and_a_red_report(device, state, report, monkeypatch):
    settings(state).put(OpenPort, "a", {"port": "7001"})
    usual = firewall_plan.rules
    monkeypatch.setattr(firewall_plan, "rules", lambda *args: (*usual(*args), "-A OTPPI-INPUT --bad"))
    assert device.call(load, state, report) == 1
    rules = in_force(device)
    assert "-p tcp -m tcp --dport 8888 -j ACCEPT" in rules
    assert "-A OTPPI-INPUT -j DROP" in rules
    assert "7001" not in rules
    told = read_report(report)
    assert told.has_emergency_rules
    assert "-A OTPPI-INPUT --bad" in told.problem
    assert looked_at(state, report).level is Level.RED


def test_settings_that_cannot_be_read_at_all_leave_the_emergency_rules(device, state, report, monkeypatch):
    def broken(*_):
        raise PermissionError(13, "no", str(state))

    monkeypatch.setattr("otppi.services.firewall_loader.SettingsStore", broken)
    assert device.call(load, state, report) == 1
    assert "-A OTPPI-INPUT -j DROP" in in_force(device)
    assert read_report(report).has_emergency_rules


def test_a_kernel_without_ipv6_is_no_fault_and_missing_commands_for_it_are_said(
    device, state, report, monkeypatch
):
    monkeypatch.setattr(iptables, "_IPV6", Path("/nonexistent"))
    assert device.call(load, state, report) == 0
    assert "OTPPI" not in device.call(iptables.present, 6)
    assert looked_at(state, report).level is Level.GREEN
    assert "IPv6" in looked_at(state, report).finding

    monkeypatch.undo()
    monkeypatch.setattr(iptables, "_COMMANDS", {4: "iptables", 6: "no-such-tables"})
    assert device.call(load, state, report) == 0
    assert looked_at(state, report).level is Level.RED


def test_a_report_that_cannot_be_written_does_not_keep_the_rules_away(device, state, tmp_path):
    assert device.call(load, state, tmp_path / "absent" / "report.json") == 1
    assert "-A OTPPI-INPUT -j DROP" in in_force(device)


def test_a_service_for_the_device_alone_opens_no_port(state):
    store = settings(state)
    store.update(AdminSettings, {"https_enabled": False})
    assert firewall_plan.services_in(store).admin_ports == (8888,)
    store.update(AdminSettings, {"host": "127.0.0.1", "https_enabled": True})
    services = firewall_plan.services_in(store)
    assert services.admin_ports == ()
    assert services.api_ports == (8899, 443)


def test_it_works_with_no_right_but_that_over_the_network_and_without_writing(device):
    """As the unit runs it: a user who may not write the settings, with CAP_NET_ADMIN and nothing else."""
    needs.programs("setpriv")
    folder = Path(tempfile.mkdtemp(prefix="otppi-firewall-"))
    try:
        folder.chmod(0o755)
        state, runtime = folder / "state", folder / "run"
        settings(state).put(OpenPort, "a", {"port": "7001"})
        settings(state).update(WlanSettings, {"passphrase": "an invented passphrase"})
        (state / "settings" / "firewall.json").write_text("damaged")
        runtime.mkdir()
        for path in (runtime, state, *state.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)
            if path != runtime:
                path.chmod(0o500 if path.is_dir() else 0o400)
        before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
        done = device.call(
            subprocess.run,
            [
                *("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs"),
                *(
                    "--inh-caps=-all,+net_admin",
                    "--ambient-caps=-all,+net_admin",
                    "--bounding-set=-all,+net_admin",
                ),
                *(sys.executable, "-B", "-c", PROGRAM, str(state), str(runtime / "report.json")),
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert "--dport 7001 -j ACCEPT" in in_force(device)
        assert json.loads((runtime / "report.json").read_bytes())["problem"] == ""
        assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before
    finally:
        shutil.rmtree(folder)
