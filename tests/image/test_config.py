"""What pi-gen is told: the right system, pinned, and no password that anybody could know."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otppi.system.network.settings import WlanSettings

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "pi-gen-config"


def sourced(**environment: str) -> dict[str, str]:
    """Let a shell read the configuration, as pi-gen does, and return its variables."""
    names = sorted(set(re.findall(r"^([A-Z_]+)=", CONFIG.read_text(), re.MULTILINE)))
    script = f'set -eu; source "$1"; for name in {" ".join(names)}; do printf "%s=%s\\0" "$name" "${{!name}}"; done'
    done = subprocess.run(
        ["bash", "-c", script, "config", str(CONFIG)],
        env={"PATH": "/usr/bin:/bin", "OTPPI_ROOT": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def test_it_is_raspberry_pi_os_lite_trixie_with_our_stage_last():
    config = sourced()

    assert config["RELEASE"] == "trixie"
    assert config["STAGE_LIST"].split() == ["stage0", "stage1", "stage2", str(ROOT / "image/stage-otppi")]
    assert config["ENABLE_SSH"] == config["ENABLE_CLOUD_INIT"] == config["PASSWORDLESS_SUDO"] == "0"


def test_the_password_of_the_user_who_is_removed_is_another_one_each_time_and_stands_nowhere():
    first, second = sourced()["FIRST_USER_PASS"], sourced()["FIRST_USER_PASS"]

    assert len(first) == len(second) == 32
    assert first != second
    assert re.findall(r"^[A-Z_]*(?:PASS|PSK|KEY|SECRET)=(.*)$", CONFIG.read_text(), re.MULTILINE) == [
        "$(head -c 24 /dev/urandom | base64)"
    ]


def test_nobody_is_asked_for_a_user_at_the_first_boot():
    assert sourced()["DISABLE_FIRST_BOOT_USER_RENAME"] == "1"


def test_the_radio_begins_with_the_country_that_the_settings_begin_with():
    assert sourced()["WPA_COUNTRY"] == WlanSettings().country
    assert sourced(WPA_COUNTRY="NL")["WPA_COUNTRY"] == "NL"
    assert sourced(WPA_COUNTRY="")["WPA_COUNTRY"] == WlanSettings().country


def test_pi_gen_is_pinned_by_its_commit_and_in_one_place_only():
    commit = (ROOT / "image/pi-gen.commit").read_text()

    assert re.fullmatch(r"[0-9a-f]{40}\n", commit)
    others = [file for file in (ROOT / "image").rglob("*") if file.is_file() and file.name != "pi-gen.commit"]
    assert not [file for file in [CONFIG, *others] if commit.strip() in file.read_text(errors="replace")]


def test_the_check_says_everything_that_is_missing_at_once(tmp_path):
    """A tree with a space in its path, no environment, and next to no programs."""
    tree = tmp_path / "a tree"
    (tree / "image").mkdir(parents=True)
    shutil.copy(ROOT / "image/build.sh", tree / "image")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "mkdir", "stat", "uname", "grep"):
        (programs / name).symlink_to(shutil.which(name))

    checked = subprocess.run(
        [tree / "image/build.sh", "--check"],
        env={"PATH": str(programs), "IMAGE_DOCKER": "1"},
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 1
    for missing in ("a path without a space", "make setup", "program git", "bmap-tools", "a running Docker"):
        assert missing in checked.stderr


@pytest.mark.parametrize("folder", ["no-build", "other-branch"])
def test_a_folder_that_is_not_pi_gens_64_bit_branch_is_refused(tmp_path, folder):
    (tmp_path / folder).mkdir()
    if folder == "other-branch":
        (tmp_path / folder / "build.sh").write_text("export ARCH=armhf\n")
    script = (ROOT / "image/build.sh").read_text()
    body = script[script.index("pigen_folder() {") : script.index("# Write what differs")]
    done = subprocess.run(
        ["bash", "-c", f'set -eu\nfail() {{ echo "$@" >&2; exit 1; }}\n{body}\npigen_folder'],
        env={"PATH": "/usr/bin:/bin", "PIGEN_DIR": str(tmp_path / folder)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "not pi-gen's branch arm64" in done.stderr
