"""Our stage keeps pi-gen's contract, and what its scripts do to a root file system is what they say."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otppi.system.ssh import access
from tests import needs

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "image"
STAGE = IMAGE / "stage-otppi"
OVERLAY = ROOT / "rootfs-overlay"
EPOCH = 1_700_000_000
TOPICS = [
    "10-packages",
    "20-overlay",
    "30-python",
    "40-users",
    "50-services",
    "60-storage",
    "90-clean",
    "95-raspberrypi",
    "97-dates",
    "98-inventory",
]
HOST_SCRIPTS = sorted([*STAGE.rglob("*-run.sh"), STAGE / "prerun.sh"])
CHROOT_SCRIPTS = sorted(STAGE.rglob("*-run-chroot.sh"))


def run(script: str, tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one script of the stage as pi-gen does: in its own folder, with its variables."""
    file = STAGE / script
    return subprocess.run(
        [f"./{file.name}"],
        cwd=file.parent,
        env={
            "PATH": os.defpath + ":/usr/sbin",
            "ROOTFS_DIR": str(tree),
            "STAGE_DIR": str(STAGE),
            **environment,
        },
        capture_output=True,
        text=True,
    )


def put(tree: Path, *paths: str, text: str = "x\n") -> None:
    for path in paths:
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def there(tree: Path) -> set[str]:
    return {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_symlink() or not file.is_dir()}


# The contract ---------------------------------------------------------------------------------------------------------


def test_the_topics_come_in_their_order_and_hold_only_what_pi_gen_runs_or_a_script_reads():
    assert sorted(path.name for path in STAGE.iterdir() if path.is_dir()) == TOPICS
    for path in STAGE.glob("*/*"):
        is_pi_gens = re.fullmatch(r"\d\d-(packages-nr|packages|run\.sh|run-chroot\.sh)", path.name)
        assert is_pi_gens or path.name == "files", path


def test_the_stage_starts_from_the_one_before_and_gives_the_image():
    assert "copy_previous" in (STAGE / "prerun.sh").read_text()
    assert (STAGE / "EXPORT_IMAGE").exists()


def test_pi_gen_would_run_every_script():
    """It skips what is not executable, with a line in a long log."""
    assert all(os.access(script, os.X_OK) for script in [*HOST_SCRIPTS, *CHROOT_SCRIPTS])


def test_every_script_stops_at_the_first_failure_and_at_a_missing_variable():
    for script in [*HOST_SCRIPTS, *CHROOT_SCRIPTS]:
        code = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
        assert code[0] == "set -eu", script


def test_shellcheck_has_nothing_to_say():
    needs.programs("shellcheck")
    scripts = [
        *HOST_SCRIPTS,
        *CHROOT_SCRIPTS,
        IMAGE / "build.sh",
        IMAGE / "layout.sh",
        STAGE / "60-storage/files/init",
        IMAGE / "wheels.sh",
        ROOT / "pi-gen-config",
    ]

    checked = subprocess.run(["shellcheck", "--external-sources", *scripts], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout


def test_a_command_in_the_chroot_that_could_read_does_not_eat_the_rest_of_its_script():
    """pi-gen gives the script to the shell as its standard input."""
    readers = re.compile(
        r"^ *(?:apt-get|systemctl (?!is-)|systemd-(?:sysusers|tmpfiles)|usermod|userdel)(?:.*\\\n)*.*",
        re.MULTILINE,
    )
    for script in CHROOT_SCRIPTS:
        for command in readers.findall(script.read_text()):
            assert "</dev/null" in command, (script, command)


def test_the_host_does_nothing_in_the_chroots_place():
    """Scripts that run on the machine that builds never write outside the device's root."""
    for script in HOST_SCRIPTS:
        for line in script.read_text().splitlines():
            code = line.partition("#")[0].replace('"${ROOTFS_DIR}"', "${ROOTFS_DIR}")
            assert not re.search(r"(?<![\w}.])/(?:etc|usr|var|boot|home|root)/", code), (script, line)


def test_no_package_that_must_not_be_there_is_asked_for():
    text = "".join(
        re.sub("#.*", "", file.read_text()) for file in STAGE.rglob("*-packages*") if file.is_file()
    )
    words = set(text.split())

    assert words.isdisjoint({"modemmanager", "wvdial", "build-essential", "gcc", "python3-pip", "man-db"})
    # What the overlay's README says that units and settings lean on, but for what only Raspberry Pi's archive has.
    said = (OVERLAY / "README.md").read_text().partition("Packages that units and settings lean on:")[2]
    named = set(re.findall(r"[a-z0-9][a-z0-9-]+", re.sub(r"\([^)]*\)", "", said.partition("\n- ")[0])))
    assert named & {"network-manager", "ppp"}
    assert named - words - {"with", "and"} == {"python3-lgpio"}


# The overlay ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A root file system with as little as the scripts ask for."""
    tree = tmp_path / "device"
    put(tree, "etc/passwd", text="root:x:0:0:root:/root:/bin/bash\n")
    put(tree, "etc/group", text="root:x:0:\n")
    return tree


def test_every_listed_file_is_installed_with_its_owner_and_mode(device):
    needs.root()
    os.umask(0o077)
    try:
        done = run("20-overlay/00-run.sh", device)
    finally:
        os.umask(0o022)

    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in (OVERLAY / "modes.txt").read_text().splitlines() if line[0] != "#"]
    assert there(device) == {path.lstrip("/") for *_, path in rows} | {"etc/passwd", "etc/group"}
    for mode, owner, group, path in rows:
        installed = device / path.lstrip("/")
        assert installed.read_bytes() == (OVERLAY / path.lstrip("/")).read_bytes()
        assert (f"0{installed.stat().st_mode & 0o7777:o}", owner, group) == (mode, "root", "root")
        assert (installed.stat().st_uid, installed.stat().st_gid) == (0, 0)
    assert all(
        folder.stat().st_mode & 0o777 == 0o755 for folder in device.glob("usr/**/") if folder != device
    )


def test_owners_are_the_devices_users_and_not_the_build_machines(device, tmp_path):
    needs.root()
    checkout = tmp_path / "checkout"
    shutil.copytree(STAGE, checkout / "image/stage-otppi")
    put(checkout, "rootfs-overlay/etc/tool.conf", text="setting\n")
    put(checkout, "rootfs-overlay/modes.txt", text="# comment\n0640 tool adm /etc/tool.conf\n")
    stage = str(checkout / "image/stage-otppi")

    unknown = run("20-overlay/00-run.sh", device, STAGE_DIR=stage)
    put(device, "etc/passwd", text="root:x:0:0::/:/bin/sh\ntool:x:4711:4712::/:/bin/false\n")
    put(device, "etc/group", text="root:x:0:\nadm:x:4713:\n")
    known = run("20-overlay/00-run.sh", device, STAGE_DIR=stage)

    assert unknown.returncode == 1
    assert "whom the device does not know" in unknown.stderr
    assert known.returncode == 0, known.stderr
    status = (device / "etc/tool.conf").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (4711, 4713, 0o640)


# Clean ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def used(device: Path) -> Path:
    """A root file system as it is after packages were installed."""
    needs.root()
    put(
        device,
        "usr/share/doc/ppp/README.gz",
        "usr/share/man/man8/pppd.8.gz",
        "usr/share/info/dir",
        "var/lib/apt/lists/example_dists_trixie_InRelease",
        "var/cache/apt/archives/ppp_1_arm64.deb",
        "var/cache/apt/pkgcache.bin",
        "var/log/apt/history.log",
        "var/log/dpkg.log",
        "var/tmp/left",
        "root/.bash_history",
        "etc/shadow-",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "var/lib/systemd/random-seed",
        "var/lib/NetworkManager/secret_key",
        "var/lib/NetworkManager/NetworkManager.state",
        "var/lib/dbus/machine-id",
        "etc/resolv.conf",
    )
    put(device, "etc/machine-id", text="00112233445566778899aabbccddeeff\n")
    put(device, "usr/share/doc/ppp/copyright", "etc/ssh/sshd_config", "var/lib/dpkg/status", "usr/bin/tool")
    put(device, "usr/lib/python3/dist-packages/debian.py", "usr/lib/otppi/venv/ours.py")
    return device


def test_only_what_a_device_needs_stays(used):
    done = run("90-clean/00-run.sh", used)

    assert done.returncode == 0, done.stderr
    assert there(used) == {
        "etc/group",
        "etc/machine-id",
        "etc/passwd",
        "etc/resolv.conf",
        "etc/ssh/sshd_config",
        "usr/bin/tool",
        "usr/lib/otppi/venv/ours.py",
        "usr/lib/python3/dist-packages/debian.py",
        "usr/share/doc/ppp/copyright",
        "var/lib/dpkg/status",
    }
    assert (used / "etc/machine-id").read_bytes() == b""
    assert os.readlink(used / "etc/resolv.conf") == "../run/systemd/resolve/stub-resolv.conf"
    # Programs expect their folders.
    assert (used / "var/log/apt").is_dir()
    assert (used / "var/lib/apt/lists").is_dir()


def test_nothing_is_younger_than_the_source_but_python_files_of_packages(used):
    (used / "sys").mkdir()
    older = used / "usr/bin/tool"
    os.utime(older, (EPOCH - 100, EPOCH - 100))

    done = run("97-dates/00-run.sh", used, SOURCE_DATE_EPOCH=str(EPOCH))

    assert done.returncode == 0, done.stderr
    dates = {str(path.relative_to(used)): int(path.lstat().st_mtime) for path in used.rglob("*")}
    assert dates.pop("usr/lib/python3/dist-packages/debian.py") > EPOCH
    assert dates.pop("usr/bin/tool") == EPOCH - 100
    assert dates.pop("sys") > EPOCH
    assert set(dates.values()) == {EPOCH}


def test_cleaning_twice_is_cleaning_once(used):
    run("90-clean/00-run.sh", used)
    before = there(used)

    assert run("90-clean/00-run.sh", used).returncode == 0
    assert there(used) == before


def test_a_link_in_the_device_leads_nowhere_out_of_it(used, tmp_path):
    """The scripts run as root on the machine that builds."""
    outside = tmp_path / "outside"
    put(outside, "precious")
    shutil.rmtree(used / "var/tmp")
    (used / "var/tmp").mkdir()
    (used / "var/tmp/link").symlink_to(outside)
    (used / "etc/resolv.conf").unlink()
    (used / "etc/resolv.conf").symlink_to(outside / "resolv.conf")

    assert run("90-clean/00-run.sh", used).returncode == 0
    assert there(outside) == {"precious"}


# Raspberry Pi ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def raspberry(device: Path) -> Path:
    """A boot partition as pi-gen's stages leave it, and our overlay's additions."""
    put(device, "boot/firmware/config.txt", text="dtparam=audio=on\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n")
    put(
        device,
        "boot/firmware/cmdline.txt",
        text="console=serial0,115200 console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait resize\n",
    )
    put(device, "boot/firmware/ssh", "boot/firmware/userconf.txt", "boot/firmware/kernel8.img")
    put(device, "var/lib/systemd/rfkill/platform-fe300000.mmcnr:wlan", text="1\n")
    put(device, "var/lib/NetworkManager/NetworkManager.state", text="[main]\nWirelessEnabled=false\n")
    for name in ("config.txt.append", "cmdline.txt.append"):
        put(device, f"usr/share/otppi/{name}", text=(OVERLAY / "usr/share/otppi" / name).read_text())
    return device


def test_on_plain_debian_nothing_is_done(device):
    before = there(device)

    done = run("95-raspberrypi/00-run.sh", device)

    assert (done.returncode, there(device)) == (0, before), done.stderr


def test_the_boot_partition_gets_our_words_once(raspberry):
    for _ in range(2):
        done = run("95-raspberrypi/00-run.sh", raspberry)
        assert done.returncode == 0, done.stderr

    config = (raspberry / "boot/firmware/config.txt").read_text()
    added = (OVERLAY / "usr/share/otppi/config.txt.append").read_text()
    end = "# OTP-Pi: end, in cmdline.txt: cgroup_enable=memory\n"
    assert config == f"dtparam=audio=on\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n{added}{end}"
    words = (OVERLAY / "usr/share/otppi/cmdline.txt.append").read_text().split()
    assert (raspberry / "boot/firmware/cmdline.txt").read_text() == (
        "console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait "
        + " ".join([*words, "rfkill.default_state=1", "ro", "init=/usr/lib/otppi/init"])
        + "\n"
    )


def test_the_radio_is_not_blocked_and_no_file_switches_ssh_or_a_user_on(raspberry):
    run("95-raspberrypi/00-run.sh", raspberry)

    assert (raspberry / "var/lib/systemd/rfkill/platform-fe300000.mmcnr:wlan").read_text() == "0\n"
    assert not (raspberry / "var/lib/NetworkManager/NetworkManager.state").exists()
    assert {path.name for path in (raspberry / "boot/firmware").iterdir()} == {
        "config.txt",
        "cmdline.txt",
        "kernel8.img",
    }


# Storage --------------------------------------------------------------------------------------------------------------


def test_the_device_starts_with_a_program_of_ours_and_has_every_place_that_it_mounts_on(device):
    needs.root()
    for _ in range(2):
        done = run("60-storage/00-run.sh", device)
        assert done.returncode == 0, done.stderr

    first = device / "usr/lib/otppi/init"
    assert first.stat().st_mode & 0o777 == 0o755
    assert first.read_text().startswith("#!/bin/sh\n"), "it is run before anything but the root is there"
    assert all((device / place).is_dir() for place in ("data", "mnt", "boot/firmware"))
    assert (device / "data").stat().st_mode & 0o777 == 0o700


def test_systemd_mounts_the_boot_partition_closed_and_leaves_the_root_alone(device):
    needs.root()
    run("60-storage/00-run.sh", device)

    lines = (device / "etc/fstab").read_text().splitlines()
    (entry,) = [line.split() for line in lines if not line.startswith("#")]
    assert (entry[0], entry[1], entry[5]) == ("BOOTDEV", "/boot/firmware", "2")
    assert {"umask=0077", "noatime", "nofail"} <= set(entry[3].split(","))


# Services and inventory -----------------------------------------------------------------------------------------------


def test_the_device_has_its_name_and_the_presets_say_what_is_off(device):
    needs.root()
    done = run("50-services/00-run.sh", device, TARGET_HOSTNAME="otppi")

    assert done.returncode == 0, done.stderr
    assert (device / "etc/hostname").read_text() == "otppi\n"
    assert "127.0.1.1\totppi\n" in (device / "etc/hosts").read_text()
    preset = (device / "usr/lib/systemd/system-preset/40-otppi-image.preset").read_text()
    assert "disable NetworkManager-wait-online.service\n" in preset
    # systemd takes the first rule that fits, in the order of file names; ours must not touch the gateway's own.
    assert "otppi" not in "".join(line for line in preset.splitlines() if not line.startswith("#"))


def test_ssh_starts_only_where_root_let_somebody_in_and_reads_what_root_wrote(device):
    needs.root()
    run("50-services/00-run.sh", device)

    unit = (device / "usr/lib/systemd/system/ssh.service.d/50-otppi.conf").read_text().splitlines()
    assert f"ConditionPathExists={access.FOLDER / access.KEYS}" in unit
    # Which keys: otherwise those of the start before.
    assert "After=otppi-first-boot.service" in unit
    sshd = (device / "etc/ssh/sshd_config.d/10-otppi.conf").read_text().splitlines()
    assert f"AuthorizedKeysFile {access.FOLDER / access.KEYS}" in sshd
    assert f"HostKey {access.FOLDER / access.HOST_KEY}" in sshd


def test_what_is_installed_is_handed_out_where_pi_gen_wants_it_and_only_there(device, tmp_path):
    put(device, "var/lib/dpkg/status", text="Package: invented\n")

    assert run("98-inventory/00-run.sh", device).returncode == 0
    assert run("98-inventory/00-run.sh", device, DEPLOY_DIR=str(tmp_path / "deploy")).returncode == 0

    assert (tmp_path / "deploy/otppi.dpkg-status").read_text() == "Package: invented\n"


# Wheels ---------------------------------------------------------------------------------------------------------------


def test_wheels_that_were_fetched_before_are_laid_out_for_the_chroot(device, tmp_path):
    put(tmp_path / "wheels", "invented-1-py3-none-any.whl", "requirements.lock")
    put(device, "usr/lib/otppi/wheels/of-an-earlier-build.whl")

    done = run("30-python/00-run.sh", device, OTPPI_WHEELS=str(tmp_path / "wheels"))

    assert done.returncode == 0, done.stderr
    assert {path.name for path in (device / "usr/lib/otppi/wheels").iterdir()} == {
        "invented-1-py3-none-any.whl",
        "make-environment.sh",
        "requirements.lock",
    }


def test_an_architecture_without_wheels_is_named(tmp_path):
    done = subprocess.run([IMAGE / "wheels.sh", tmp_path, "armhf"], capture_output=True, text=True)

    assert done.returncode == 1
    assert "no wheels for the architecture armhf" in done.stderr
