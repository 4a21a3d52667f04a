"""The Debian package on a Debian that is in use: by SSH, with an address of its own, and firmware files of a Pi.

The tests are the life of one installation, in this order.
"""

import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.image_bench.machine import Board, Machine
from tests.image_bench.plain import WORDS, plain
from tests.image_bench.recipe import ROOT

SSH, ADMIN = 22, 8888
_INSTALL_S = 600.0
_CONFIG = "dtparam=audio=on\n"
_CMDLINE = "console=tty1 root=ROOTDEV rootwait\n"
_APT = "DEBIAN_FRONTEND=noninteractive apt-get --yes"
# Of apt, dpkg and NetworkManager themselves; and of services that were asked something.
_OF_OTHERS = (
    "/var/cache/apt/",
    "/var/cache/debconf/",
    "/var/lib/NetworkManager/",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/lib/systemd/",
    "/var/log/",
    "/var/tmp/",  # noqa: S108
)
_LIST = "find / /boot/firmware -xdev -printf '%p %M %u:%g %l\\n' | LC_ALL=C sort"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """What somebody had before the installation."""

    machine: Machine
    session: socket.socket  # of SSH
    files: frozenset[str]


def session(machine: Machine) -> socket.socket:
    """Begin to log in by SSH."""
    line = socket.create_connection(("127.0.0.1", machine.ports[SSH]), timeout=60)
    assert line.recv(100).startswith(b"SSH-2.0-")
    return line


def goes_on(line: socket.socket) -> bool:
    """Say whether the server answers to the next word."""
    line.sendall(b"SSH-2.0-invented\r\n")
    return line.recv(100) != b""


def files(machine: Machine) -> frozenset[str]:
    lines = machine.run(_LIST).said.splitlines()
    return frozenset(line for line in lines if not line.startswith(_OF_OTHERS))


@pytest.fixture(scope="module")
def package(recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with the package, to be plugged in."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(
        [ROOT / "provisioning/package.sh", recipe.architecture],
        env={**os.environ, "OTPPI_DIST": str(folder / "content")},
        check=True,
        timeout=300,
    )
    disk = folder / "disk.img"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-L", "package", "-d", folder / "content", disk, "32M"],
        check=True,
        timeout=60,
    )
    return disk


@pytest.fixture(scope="module")
def owner(recipe, image, package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    parts, card = plain(recipe, image, tmp_path_factory.mktemp("plain"))
    with Machine(parts, Board(words=WORDS), card=card) as machine:
        machine.power_on()
        machine.run("echo LoginGraceTime 0 >>/etc/ssh/sshd_config && systemctl restart ssh")
        machine.put("/boot/firmware/config.txt", _CONFIG.encode())
        machine.put("/boot/firmware/cmdline.txt", _CMDLINE.encode())
        name = machine.run("nmcli --get-values GENERAL.CONNECTION device show eth0").said
        own = "ipv4.method manual ipv4.addresses 10.0.2.15/24 ipv4.gateway 10.0.2.2 ipv4.dns 10.0.2.3"
        machine.run(f"nmcli connection modify '{name}' {own} && nmcli connection up '{name}'")
        before = files(machine)
        with session(machine) as line:
            machine.plug_stick("package", package)
            machine.wait_for("mount -o ro LABEL=package /mnt")
            said = machine.run(f"{_APT} install /mnt/otppi_*.deb", limit_s=_INSTALL_S).said
            assert "http://10.0.2.15:8888" in said, said
            yield Owner(machine=machine, session=line, files=before)


@pytest.fixture(scope="module")
def machine(owner) -> Machine:
    return owner.machine


def is_served(machine: Machine) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{machine.ports[ADMIN]}/healthz", timeout=30) as answer:
        return answer.status == 200


def wait_until_all_runs(machine: Machine) -> None:
    machine.wait_for("systemctl is-active otppi", limit_s=240)
    for profile, interface, address in (
        ("otppi-access-point", "wlan0", "192.168.0.11"),
        ("otppi-ethernet", "eth0", "10.0.2.15"),
    ):
        machine.wait_for(f"nmcli connection show --active {profile}", limit_s=240, what=profile)
        machine.wait_for(f"ip -4 address show {interface} | grep -q 'inet {address}/24'", limit_s=60)


def test_everything_runs_at_once_and_nothing_has_failed(machine):
    wait_until_all_runs(machine)
    assert is_served(machine)
    assert machine.run("systemctl --failed --no-legend --plain").said == ""
    # Red is its exit code, too; what listens on the access point follows a moment after it is up.
    machine.wait_for("otppi diagnose", limit_s=60)


def test_who_installs_it_by_ssh_stays_on(owner, machine):
    assert goes_on(owner.session)
    session(machine).close()


def test_what_was_set_on_the_machine_is_taken_over(machine):
    said = machine.run(
        "hostname; otppi settings get ethernet.method; otppi settings get ethernet.address"
    ).said
    assert said.split() == ["toko", "static", "10.0.2.15/24"]


def test_the_firmware_is_told_what_the_device_needs(machine):
    assert "dtoverlay=i2c-rtc,ds3231" in machine.run("cat /boot/firmware/config.txt").said
    assert machine.run("cat /boot/firmware/cmdline.txt").said == f"{_CMDLINE.strip()} cgroup_enable=memory"


def test_after_a_restart_it_is_as_before(machine):
    machine.reboot()
    wait_until_all_runs(machine)
    assert machine.run("systemctl is-system-running", check=False).said == "running"
    session(machine).close()
    assert is_served(machine)


def test_an_upgrade_keeps_the_settings_and_what_the_owner_switched_off(machine, package):
    machine.plug_stick("package", package)
    machine.wait_for("mount -o ro LABEL=package /mnt")
    machine.run("otppi settings set firewall.answers_ping false; systemctl disable otppi-wifi-country")
    born = machine.run("cat /var/lib/otppi/keys/born.json").said

    machine.run(f"{_APT} --reinstall install /mnt/otppi_*.deb", limit_s=_INSTALL_S)

    wait_until_all_runs(machine)
    assert machine.run("otppi settings get firewall.answers_ping").said == "false"
    assert machine.run("cat /var/lib/otppi/keys/born.json").said == born
    assert machine.run("systemctl is-enabled otppi-wifi-country", check=False).said == "disabled"


def test_a_purge_leaves_nothing_and_cuts_nobody_off(owner, machine):
    machine.run("iptables -A INPUT -s 192.0.2.1 -j DROP")
    with session(machine) as line:
        machine.run(f"{_APT} purge otppi; umount /mnt", limit_s=_INSTALL_S)
        assert goes_on(line)
    session(machine).close()
    machine.run("ip -4 address show eth0 | grep -q 'inet 10.0.2.15/24'")
    assert machine.run("systemctl list-units --all --no-legend --plain 'otppi*'").said == ""
    assert "otppi" not in machine.run("ps -eo user=,args=").said
    assert "otppi" not in machine.run("nmcli --get-values NAME connection show").said
    assert machine.run("find /run -name '*otppi*'").said == ""
    assert "otppi" not in machine.run("cat /etc/passwd /etc/group /etc/shadow").said
    rules = machine.run("iptables-save; ip6tables-save").said
    assert "OTPPI" not in rules
    assert "-s 192.0.2.1/32 -j DROP" in rules
    assert machine.run("cat /boot/firmware/config.txt").said == _CONFIG.strip()
    assert machine.run("cat /boot/firmware/cmdline.txt").said == _CMDLINE.strip()
    assert owner.files ^ files(machine) == frozenset()


def test_after_the_purge_the_machine_starts_as_it_was(machine):
    machine.reboot()
    assert machine.run("systemctl is-system-running", check=False).said == "running"
    machine.wait_for("ip -4 address show eth0 | grep -q 'inet 10.0.2.15/24'")
    session(machine).close()
