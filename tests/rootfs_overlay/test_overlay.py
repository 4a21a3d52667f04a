"""What is installed beside the program is listed, holds no secret and is understood by those who read it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import needs
from tests.rootfs_overlay.staged import (
    MODES,
    OVERLAY,
    copy_foreign_configuration,
    copy_overlay,
    make_users,
    overlay_files,
)

_ROW = re.compile(r"(0[0-7]{3}) (\S+) (\S+) /(\S+)")
_SECRET = re.compile(
    r"BEGIN [A-Z ]*PRIVATE KEY|\$(?:[156y]|argon2\w*)\$|(?:psk|passw\w*|passphrase|secret|token)\s*[=:]\s*\S",
    re.IGNORECASE,
)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A tree with the overlay and the usual users."""
    copy_overlay(tmp_path)
    copy_foreign_configuration(tmp_path)
    return tmp_path


def rows() -> dict[str, tuple[int, str, str]]:
    lines = (OVERLAY / MODES).read_text().splitlines()
    matches = [_ROW.fullmatch(line) for line in lines if not line.startswith("#")]
    assert None not in matches
    return {match[4]: (int(match[1], 8), match[2], match[3]) for match in matches}


def test_every_file_is_in_the_list_of_modes_and_the_other_way_round():
    assert list(rows()) == [str(file) for file in overlay_files()]


def test_only_programs_can_be_run_and_only_root_may_write():
    for path, (mode, owner, _) in rows().items():
        assert owner == "root", path
        assert mode & 0o7022 == 0, path
        is_program = (OVERLAY / path).read_bytes().startswith(b"#!")
        assert bool(mode & 0o111) == is_program == bool((OVERLAY / path).stat().st_mode & 0o100), path


def test_there_is_no_secret_in_it():
    for file in overlay_files():
        assert _SECRET.findall((OVERLAY / file).read_text()) == [], file


@pytest.mark.parametrize(
    "text", ["psk=invented1", "Password: x", "-----BEGIN EC PRIVATE KEY-----", "$y$j9T$x"]
)
def test_a_secret_is_noticed(text):
    assert _SECRET.search(text)


def test_shell_scripts_are_clean():
    scripts = [
        OVERLAY / file for file in overlay_files() if re.match(rb"#!.*sh\b", (OVERLAY / file).read_bytes())
    ]
    if scripts:
        needs.programs("shellcheck")
        subprocess.run(["shellcheck", *scripts], check=True)


def test_the_user_has_no_login_and_few_groups(device):
    user = next(
        line for line in (device / "etc/passwd").read_text().splitlines() if line.startswith("otppi:")
    )
    assert user.endswith(":/var/lib/otppi:/usr/sbin/nologin")
    groups = [line.split(":") for line in (device / "etc/group").read_text().splitlines()]
    assert {"otppi", "dialout", "gpio", "i2c"} <= {group[0] for group in groups}
    assert [group[0] for group in groups if "otppi" in group[3].split(",")] == ["dialout"]


def test_users_that_are_there_already_are_kept(device):
    needs.root()
    before = (device / "etc/passwd").read_text(), (device / "etc/group").read_text()
    make_users(device)
    assert ((device / "etc/passwd").read_text(), (device / "etc/group").read_text()) == before


def test_folders_belong_to_whom_they_should(device):
    needs.root()
    (device / "var/lib").mkdir(parents=True)
    done = subprocess.run(
        [
            needs.program("systemd-tmpfiles"),
            f"--root={device}",
            "--create",
            str(device / "usr/lib/tmpfiles.d/otppi.conf"),
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    uid = int(re.search(r"^otppi:x:(\d+):", (device / "etc/passwd").read_text(), re.MULTILINE)[1])
    made = {path: (device / path).stat() for path in ("var/lib/otppi", "run/systemd/timesyncd.conf.d")}
    assert {path: (status.st_uid, status.st_mode & 0o777) for path, status in made.items()} == {
        "var/lib/otppi": (uid, 0o700),
        "run/systemd/timesyncd.conf.d": (uid, 0o755),
    }
    snippets = (device / "etc/NetworkManager/dnsmasq-shared.d").stat()
    assert (snippets.st_uid, snippets.st_mode & 0o777) == (0, 0o755)


def test_networkmanager_takes_its_settings(device, tmp_path_factory):
    needs.programs("NetworkManager")
    empty = tmp_path_factory.mktemp("none")
    (empty / "none.conf").touch()
    printed = subprocess.run(
        [
            needs.program("NetworkManager"),
            "--print-config",
            f"--config={empty}/none.conf",
            f"--config-dir={empty}",
            f"--system-config-dir={device}/usr/lib/NetworkManager/conf.d",
            f"--intern-config={empty}/intern.conf",
        ],
        capture_output=True,
        text=True,
    )
    assert printed.returncode == 0, printed.stderr
    assert "50-otppi.conf" in printed.stdout
    for line in ("auth-polkit=true", "wifi.powersave=2", "match-device=interface-name:ppp*", "enabled=false"):
        assert line in printed.stdout


def test_kernel_settings_are_of_this_kernel_and_come_after_systemds_own():
    names = [path.name for path in (OVERLAY / "usr/lib/sysctl.d").iterdir()]
    assert all(name > "50-default.conf" for name in names)
    for name in names:
        for line in (OVERLAY / "usr/lib/sysctl.d" / name).read_text().splitlines():
            key = line.partition("=")[0].strip()
            if key and not key.startswith("#"):
                assert list(Path("/proc/sys").glob(key.replace(".", "/"))), key


def test_additions_to_the_boot_files_hold_whatever_is_above_them():
    lines = (OVERLAY / "usr/share/otppi/config.txt.append").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "[all]",
        "dtparam=i2c_arm=on",
        "dtoverlay=i2c-rtc,ds3231",
        "dtparam=watchdog=on",
    ]
    assert len((OVERLAY / "usr/share/otppi/cmdline.txt.append").read_text().splitlines()) == 1


def test_udev_understands_the_rules(tmp_path):
    needs.programs("udevadm")
    rules = OVERLAY / "usr/lib/udev/rules.d/60-otppi.rules"
    version = int(subprocess.run(["udevadm", "--version"], capture_output=True, text=True, check=True).stdout)
    if version < 254:
        pytest.skip("NOT SHOWN HERE: needs udevadm verify of systemd 254")
    shutil.copy(rules, tmp_path)
    checked = subprocess.run(["udevadm", "verify", tmp_path / rules.name], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("usr/lib/systemd/system/otppi.service", "WatchdogSec=60"),
        ("usr/lib/systemd/system/otppi.service", "Restart=always"),
        ("usr/lib/systemd/system/otppi-reset.service", "StandardOutput=journal+console"),
        ("usr/lib/systemd/system/otppi-reset.service", "StandardError=journal+console"),
        ("usr/lib/systemd/system.conf.d/50-otppi.conf", "RuntimeWatchdogSec=15"),
        ("usr/lib/systemd/journald.conf.d/50-otppi.conf", "Storage=volatile"),
    ],
)
def test_what_only_a_long_day_would_miss_is_there(file, line):
    assert line in (OVERLAY / file).read_text().splitlines()
