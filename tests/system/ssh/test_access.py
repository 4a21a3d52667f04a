import subprocess

import pytest

from otppi.model.errors import HostError, SettingsError
from otppi.system.ssh import access
from otppi.system.ssh.keys import PublicKey
from tests import needs

ANN = PublicKey(kind="ssh-ed25519", blob=b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"a" * 32, comment="ann")
BOB = PublicKey(kind="ssh-ed25519", blob=b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"b" * 32, comment="bob")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    return folder


def test_nobody_may_log_in_until_somebody_is_let_in(folder):
    assert access.allowed(folder) == ()
    access.allow_only(folder, [ANN, BOB, ANN])
    assert access.allowed(folder) == (ANN, BOB)
    access.allow_only(folder, [BOB])
    assert access.allowed(folder) == (BOB,)
    access.allow_only(folder, [])
    assert not (folder / access.KEYS).exists()
    access.allow_only(folder, [])
    assert access.allowed(folder) == ()


def test_the_device_keeps_its_own_key_and_ssh_understands_it(folder):
    needs.programs("ssh-keygen")
    access.allow_only(folder, [ANN])
    own = (folder / access.HOST_KEY).read_bytes()
    access.allow_only(folder, [])
    access.allow_only(folder, [BOB])
    assert (folder / access.HOST_KEY).read_bytes() == own
    told = subprocess.run(
        ["ssh-keygen", "-y", "-f", folder / access.HOST_KEY], check=True, capture_output=True, text=True
    )
    assert told.stdout.startswith("ssh-ed25519 ")
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.iterdir())


@pytest.mark.parametrize("keep_bytes", [0, 100])
def test_a_damaged_own_key_is_made_again(folder, keep_bytes):
    access.allow_only(folder, [ANN])
    own = (folder / access.HOST_KEY).read_bytes()
    (folder / access.HOST_KEY).write_bytes(own[:keep_bytes])
    access.allow_only(folder, [ANN])
    assert len((folder / access.HOST_KEY).read_bytes()) == len(own)


def test_what_somebody_wrote_by_hand_is_named_and_can_be_replaced(folder):
    (folder / access.KEYS).write_text('command="/bin/sh" ssh-ed25519 AAAA\n')
    with pytest.raises(SettingsError, match=access.KEYS):
        access.allowed(folder)
    access.allow_only(folder, [ANN])
    assert access.allowed(folder) == (ANN,)


def test_where_ssh_is_not_ours_nothing_is_touched(tmp_path):
    with pytest.raises(HostError, match="flashed"):
        access.allowed(tmp_path / "ssh")
    with pytest.raises(OSError, match="No such file"):
        access.allow_only(tmp_path / "ssh", [ANN])
    assert list(tmp_path.iterdir()) == []
