"""A real sshd with the image's own configuration, beside the one of Debian that it overrules."""

import os
import subprocess
from pathlib import Path

import pytest

from otppi.system.ssh import access
from otppi.system.ssh.keys import read_key
from tests import needs

ROOT = Path(__file__).resolve().parents[3]
OURS = ROOT / "image/stage-otppi/50-services/files/sshd.conf"
DEBIANS = Path("/usr/share/openssh/sshd_config")
# "correct horse", as openssl passwd -6 writes it.
PASSWORD_HASH = (
    "$6$inventedsalt$v9tOQ8ozQhISnff8urdAaZs9H6fCJpVn/HPXJWFggvyxuhjQwV7HW2MNnwNnvAE5lzSf5QYzElr0licMAoYoH0"
)
# Becomes sshd, in namespaces of its own: the network, /run, and what root's password is.
ENTER = """\
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd /run/ssh
cp -a "$1/." /run/ssh
mount --bind "$1/shadow" /etc/shadow
exec /usr/sbin/sshd -D -e -p 22 -f /run/ssh/sshd_config
"""


class Sshd:
    def __init__(self, folder, *overrules):
        self.folder, self.server = folder, folder / "server"
        self.server.mkdir(mode=0o700)
        self.key = self.new_key("ann")
        access.allow_only(self.server, [read_key(self.key.with_suffix(".pub").read_text())])
        include = "".join(f"{line}\n" for line in overrules) or OURS.read_text()
        text = DEBIANS.read_text()
        assert text.count("\nInclude /etc/ssh/sshd_config.d/*.conf\n") == 1
        text = text.replace("Include /etc/ssh/sshd_config.d/*.conf\n", include)
        (self.server / "sshd_config").write_text(text.replace(str(access.FOLDER), "/run/ssh"))
        (self.server / "shadow").write_text(
            "".join(f"{user}:{PASSWORD_HASH}:19000:0:99999:7:::\n" for user in ("root", "nobody"))
        )
        self._process = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"),
                *("sh", "-eu", "-c", ENTER, "sh", str(self.server)),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stderr:
            if "Server listening on 0.0.0.0" in line:
                break
        else:
            raise AssertionError(f"sshd ended with {self._process.wait(10)}")

    def new_key(self, name):
        file = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file], check=True)
        return file

    def ssh(self, *words, user="root", key=None, **options):
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "IdentityFile": key or self.key,
            "LogLevel": "INFO",
            **options,
        }
        command = f"nsenter --target {self._process.pid} --net --mount -- ssh -F none".split()
        command += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        asker = self.folder / "asker"
        asker.write_text("#!/bin/sh\necho correct horse\n")
        asker.chmod(0o755)
        return subprocess.run(
            [*command, *words[:-1], f"{user}@127.0.0.1", *words[-1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"},
        )

    def close(self):
        self._process.kill()
        self._process.wait(10)
        self._process.stderr.close()


@pytest.fixture
def make_sshd(tmp_path):
    needs.root()
    needs.programs("sshd", "ssh", "ssh-keygen", "nsenter", "unshare", "ip")
    made = []

    def make(*overrules):
        made.append(Sshd(tmp_path, *overrules))
        return made[-1]

    yield make
    for one in made:
        one.close()


BY_PASSWORD = {"PubkeyAuthentication": "no", "PreferredAuthentications": "password,keyboard-interactive"}


def test_who_has_an_allowed_key_is_root(make_sshd):
    done = make_sshd().ssh("id -un", BatchMode="yes")
    assert (done.returncode, done.stdout) == (0, "root\n"), done.stderr


def test_nobody_else_is_let_in(make_sshd):
    sshd = make_sshd()
    for user, key in (("root", sshd.new_key("somebody")), ("nobody", sshd.key)):
        done = sshd.ssh("true", user=user, key=key)
        assert done.returncode == 255
        assert "Permission denied (publickey)" in done.stderr


def test_the_right_password_opens_nothing(make_sshd):
    sshd = make_sshd()
    for user in ("root", "nobody"):
        done = sshd.ssh("true", user=user, **BY_PASSWORD)
        assert done.returncode == 255
        assert "Permission denied (publickey)" in done.stderr


def test_without_our_file_the_same_password_would_open(make_sshd):
    """So the test above can fail."""
    sshd = make_sshd("PermitRootLogin yes", f"HostKey {access.FOLDER}/{access.HOST_KEY}")
    assert sshd.ssh("id -un", **BY_PASSWORD).stdout == "root\n"


def test_nothing_is_forwarded(make_sshd):
    sshd = make_sshd()
    done = sshd.ssh("-W", "127.0.0.1:22", "true", BatchMode="yes")
    assert done.returncode != 0
    assert "prohibited" in done.stderr
    done = sshd.ssh("-R", "2222:127.0.0.1:22", "true", BatchMode="yes", ExitOnForwardFailure="yes")
    assert done.returncode != 0
    assert "forwarding failed" in done.stderr
