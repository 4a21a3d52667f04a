"""Beside a real NetworkManager, whose shared mode puts rules of its own before ours when the access point starts."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otppi.settings.store import SettingsStore
from otppi.system.network.settings import WlanSettings
from tests import needs
from tests.system.firewall.namespaces import Namespace
from tests.system.network.nm_rig import NetworkManagerRig, wait_for

ROOT = Path(__file__).resolve().parents[3]
LOAD = (
    "import sys; from pathlib import Path; from otppi.services.firewall_loader import load; "
    "sys.exit(load(Path(sys.argv[1]), Path(sys.argv[2])))"
)
CONNECT = "import socket, sys; socket.create_connection(('10.7.0.9', 8888), float(sys.argv[1])).close()"
# Dropped packets are never answered; answers may be late on a busy machine.
SHORT_S, LONG_S = "0.5", "15"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[NetworkManagerRig]:
    needs.programs("iptables-restore", "ip6tables-restore", "iptables-save", "dnsmasq", "nmcli")
    made = NetworkManagerRig(tmp_path / "rig", ("wlan0",))
    # Where Debian says which iptables is meant; the rig has an /etc of its own.
    shutil.copytree("/etc/alternatives", made.etc / "alternatives", symlinks=True)
    yield made
    made.stop()


@pytest.fixture
def office(rig: NetworkManagerRig) -> Iterator[Namespace]:
    """Somebody on the Ethernet of the device, who listens."""
    made = Namespace("office")
    in_it = made.call(subprocess.Popen, ["sleep", "60"])
    cable = ("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "up0", "netns", str(in_it.pid))
    rig.device(*cable)
    # Or NetworkManager might take the addresses away that it does not know, when it comes to look at the cable.
    wait_for(lambda: "eth0" in rig.nmcli("-t", "device"))
    rig.nmcli("device", "set", "eth0", "managed", "no")
    rig.device("ip", "address", "add", "10.7.0.2/24", "dev", "eth0")
    rig.device("ip", "link", "set", "eth0", "up")
    made.run("ip", "address", "add", "10.7.0.9/24", "dev", "up0")
    made.run("ip", "link", "set", "up0", "up")
    with made.call(socket.create_server, ("10.7.0.9", 8888)):
        yield made
    in_it.kill()
    in_it.wait(10)
    made.remove()


def python(where, program: str, *arguments: str) -> bool:
    try:
        where("env", f"--chdir={ROOT}", sys.executable, "-c", program, *arguments)
    except AssertionError:
        return False
    return True


def foreign_rules(rig: NetworkManagerRig) -> list[str]:
    lines = rig.device("iptables-save").splitlines()
    return [line for line in lines if line.startswith("-A ") and "OTPPI-" not in line]


@pytest.mark.usefixtures("office")
def test_those_who_joined_reach_the_device_only_and_its_rules_stay(rig, tmp_path):
    state, report = tmp_path / "state", tmp_path / "report.json"
    assert python(rig.device, LOAD, str(state), str(report))
    wait_for(lambda: "wlan0" in rig.nmcli("-t", "device"))
    words = "type ethernet ifname wlan0 con-name point autoconnect no ipv6.method disabled"
    shared = ("ipv4.method", "shared", "ipv4.addresses", "192.168.0.11/24")
    rig.nmcli("connection", "add", *words.split(), *shared)
    rig.nmcli("connection", "up", "point")
    rig.peers("ip", "address", "add", "192.168.0.50/24", "dev", "wlan0p")
    rig.peers("ip", "route", "add", "default", "via", "192.168.0.11")
    before = foreign_rules(rig)
    assert any("-s 192.168.0.0/24 -i wlan0 -j ACCEPT" in rule for rule in before)
    assert rig.device("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert python(rig.device, CONNECT, LONG_S)
    assert not python(rig.peers, CONNECT, SHORT_S)

    SettingsStore(state, (WlanSettings,), None).update(WlanSettings, {"forwarding": True})
    assert python(rig.device, LOAD, str(state), str(report))
    assert python(rig.peers, CONNECT, LONG_S)
    assert foreign_rules(rig) == before
