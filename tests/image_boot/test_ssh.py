"""A card with somebody's public key in its preset lets exactly that one in; any other card lets nobody in."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from otppi.system.ssh import access
from tests import needs
from tests.image_bench.machine import Board, Machine

CARDS = Path(__file__).parents[2] / "provisioning/cards.py"
SSH = 22
SILENT_S = 5.0
READY_S = 240.0
BY_PASSWORD = (
    "-o",
    "PubkeyAuthentication=no",
    "-o",
    "PreferredAuthentications=password,keyboard-interactive",
)


def new_key(file):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", file.name, "-f", file], check=True)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    needs.programs("ssh", "ssh-keygen", "mcopy")
    return tmp_path_factory.mktemp("ssh")


@pytest.fixture(scope="module")
def key(folder):
    return new_key(folder / "ann")


@pytest.fixture(scope="module")
def preset_machine(image, folder, key):
    card = folder / "card.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image.card, card], check=True, timeout=300)
    cards = [sys.executable, CARDS]
    subprocess.run([*cards, "one", folder / "out", "--ssh-key", f"{key}.pub"], check=True, timeout=60)
    subprocess.run([*cards, "put", card, folder / "out/otppi/otppi.toml"], check=True, timeout=60)
    with Machine(image, Board(has_radio=False), card=card) as machine:
        machine.power_on()
        machine.wait_for("systemctl is-active otppi", limit_s=READY_S)
        yield machine


def ssh(machine, folder, key, *words, user="root"):
    """Log in from the Ethernet side; the first host key that is seen is the only one ever taken."""
    asker = folder / "asker"
    asker.write_text("#!/bin/sh\necho\n")
    asker.chmod(0o755)
    options = {
        "HostKeyAlias": "otppi",
        "UserKnownHostsFile": folder / "known",
        "StrictHostKeyChecking": "accept-new",
        "IdentitiesOnly": "yes",
        "IdentityFile": key,
    }
    command = ["ssh", "-F", "none", "-p", str(machine.ports[SSH])]
    command += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return subprocess.run(
        [*command, *words[:-1], f"{user}@127.0.0.1", words[-1]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"},
    )


def is_silent(machine):
    """Whether nobody says what sshd says at once."""
    try:
        with socket.create_connection(("127.0.0.1", machine.ports[SSH]), SILENT_S) as caller:
            return caller.recv(1) == b""
    except OSError:
        return True


def test_without_a_preset_nobody_listens_and_there_is_no_key(machine):
    assert machine.run("systemctl is-active ssh ssh.socket", check=False).said == "inactive\ninactive"
    assert machine.run(f"ss -Htln 'sport = :{SSH}'").said == ""
    assert is_silent(machine)
    assert machine.run(f"stat -c '%U:%G %a' {access.FOLDER} && ls -A {access.FOLDER}").said == "root:root 700"
    assert machine.run("ls /etc/ssh/ssh_host_*", check=False).code != 0
    assert machine.run("otppi ssh show").said == "SSH is off"


def test_who_has_the_key_of_the_preset_is_root(preset_machine, folder, key):
    done = ssh(preset_machine, folder, key, "id -un && otppi ssh show")
    assert done.returncode == 0, done.stderr
    user, shown = done.stdout.splitlines()
    told = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{key}.pub"], check=True, capture_output=True, text=True
    )
    assert user == "root"
    assert shown.split()[1:] == [told.stdout.split()[1], "ann"]


def test_nobody_else_gets_in_and_nobody_is_asked_for_a_password(preset_machine, folder, key):
    tries = (
        ("root", new_key(folder / "bob"), ()),
        ("otppi", key, ()),
        ("root", key, BY_PASSWORD),
        ("otppi", key, BY_PASSWORD),
    )
    for user, offered, options in tries:
        done = ssh(preset_machine, folder, offered, *options, "true", user=user)
        assert done.returncode == 255, user
        assert "Permission denied (publickey)" in done.stderr


def test_the_device_is_well_with_it(preset_machine, key):
    assert preset_machine.run("systemctl --failed --no-legend --plain").said == ""
    checks = json.loads(preset_machine.run("otppi diagnose --json", check=False).said)
    found = {one["name"]: one["level"] for one in checks}
    assert found["ssh"] == found["first boot"] == "green", checks
    # The keys are root's, and the gateway's user cannot look.
    mode = f"stat -c '%U %a' {access.FOLDER}/*"
    assert set(preset_machine.run(mode).said.splitlines()) == {"root 600"}
    assert preset_machine.run(f"setpriv --reuid otppi ls {access.FOLDER}", check=False).code != 0
    note = preset_machine.run("cat /boot/firmware/otppi.toml").said
    assert all(line.startswith("#") for line in note.splitlines())
    assert Path(f"{key}.pub").read_text().strip() in note


def test_the_device_is_known_again_after_a_restart(preset_machine, folder, key):
    assert ssh(preset_machine, folder, key, "true").returncode == 0
    known = (folder / "known").read_text()
    preset_machine.reboot()
    done = ssh(preset_machine, folder, key, "true")
    assert done.returncode == 0, done.stderr
    assert (folder / "known").read_text() == known


def test_who_is_in_lets_others_in_and_switches_it_off(preset_machine, folder, key):
    eve = new_key(folder / "eve")
    line = Path(f"{eve}.pub").read_text().strip()
    done = ssh(preset_machine, folder, key, f"echo '{line}' | otppi ssh allow - && otppi ssh show")
    assert done.returncode == 0, done.stderr
    assert [one.split()[-1] for one in done.stdout.splitlines()] == ["ann", "eve"]
    assert ssh(preset_machine, folder, eve, "otppi ssh off && otppi ssh show").stdout == "SSH is off\n"
    preset_machine.wait_for("test $(systemctl is-active ssh) = inactive")
    assert is_silent(preset_machine)
    assert json.loads(preset_machine.run("otppi port list --json").said) == {}
    preset_machine.run("systemctl start ssh")
    assert preset_machine.run("systemctl is-active ssh", check=False).said == "inactive"
