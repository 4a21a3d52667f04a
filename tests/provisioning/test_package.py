"""The Debian package as it is built; what it does on a system is shown in tests/image_boot/test_debian_package.py."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

import otppi
from otppi.services.brochure import FILES
from otppi.services.preset_file import NAME
from otppi.system.network.profiles import ACCESS_POINT, ETHERNET
from tests import needs

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "rootfs-overlay"
STAGE = ROOT / "image" / "stage-otppi"
ADDITIONS = STAGE / "95-raspberrypi" / "files" / "boot-additions.sh"
SHARE = OVERLAY / "usr/share/otppi"
EPOCH = 1_700_000_000
SCRIPTS = ("postinst", "prerm", "postrm")
WHEELS = ("invented-1-py3-none-any.whl", "requirements.lock")


def build(wheels: Path, *arguments: str, umask: int = 0o022, **environment: str):
    settings = {"OTPPI_WHEELS": str(wheels), "SOURCE_DATE_EPOCH": str(EPOCH), **environment}
    return subprocess.run(
        [ROOT / "provisioning/package.sh", *arguments],
        env={**os.environ, **settings},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name in WHEELS:
        (folder / name).write_text("invented\n")
    return folder


@pytest.fixture(scope="module")
def package(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with invented wheels."""
    needs.programs("dpkg-deb")
    folder = tmp_path_factory.mktemp("package")
    done = build(wheels, "arm64", OTPPI_DIST=str(folder))
    assert done.returncode == 0, done.stderr
    return folder / f"otppi_{otppi.__version__}_arm64.deb"


@pytest.fixture(scope="module")
def content(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tarfile.TarInfo]:
    """What is unpacked, by path."""
    packed = tmp_path_factory.mktemp("content") / "data.tar"
    with packed.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=file, check=True, timeout=60)
    with tarfile.open(packed) as archive:
        return {member.name.removeprefix("."): member for member in archive}


@pytest.fixture(scope="module")
def control(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the fields and the scripts."""
    folder = tmp_path_factory.mktemp("control")
    subprocess.run(["dpkg-deb", "--control", package, folder], check=True, timeout=60)
    return folder


def field(control: Path, name: str) -> str:
    lines = (control / "control").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith(f"{name}: "))


def test_it_holds_the_overlay_with_its_owners_and_modes_and_the_program(content):
    rows = [line.split() for line in (OVERLAY / "modes.txt").read_text().splitlines() if line[0] != "#"]
    for mode, owner, group, path in rows:
        found = content[path]
        assert (f"0{found.mode:o}", found.uname, found.gname) == (mode, owner, group), path
        assert found.size == (OVERLAY / path[1:]).stat().st_size
    files = {path for path, member in content.items() if not member.isdir()}
    own = {f"/usr/lib/otppi/wheels/{name}" for name in (*WHEELS, "make-environment.sh")}
    own |= {"/usr/lib/otppi/adopt.sh", "/usr/lib/otppi/boot-additions.sh"}
    assert files - {path for *_, path in rows} == own | {"/usr/bin/otppi", "/usr/share/doc/otppi/copyright"}
    assert content["/usr/bin/otppi"].linkname == "../lib/otppi/venv/bin/otppi"


def test_all_is_roots_and_folders_can_be_entered(content):
    assert {(member.uid, member.gid) for member in content.values()} == {(0, 0)}
    assert {member.mode for member in content.values() if member.isdir()} == {0o755}


def test_it_leans_on_the_packages_of_the_image_and_on_the_pythons_that_it_has_wheels_for(control):
    listed = (STAGE / "10-packages/00-packages-nr").read_text().splitlines()
    words = {word for line in listed for word in line.partition("#")[0].split()}
    depends = field(control, "Depends").split(", ")
    assert {one.split()[0] for one in depends} == words
    assert [one for one in depends if one.startswith("python3 ")] == [
        "python3 (>= 3.11)",
        "python3 (<< 3.14)",
        "python3 (<< 3.12) | python3 (>= 3.13)",
    ]
    # It would seize the modems.
    assert field(control, "Conflicts") == "modemmanager"


def test_it_says_which_version_it_is(control):
    assert (field(control, "Version"), field(control, "Architecture")) == (otppi.__version__, "arm64")


def test_it_is_equal_whoever_builds_it_and_when(package, wheels, tmp_path):
    for name in WHEELS:
        os.utime(wheels / name)

    done = build(wheels, "arm64", OTPPI_DIST=str(tmp_path), umask=0o077)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / package.name).read_bytes() == package.read_bytes()


def test_another_architecture_is_refused(wheels):
    done = build(wheels, "armhf")

    assert done.returncode == 1
    assert "no package for armhf" in done.stderr


def test_what_is_missing_to_build_it_is_said(wheels, tmp_path):
    for name in ("bash", "dirname", "gzip"):
        (tmp_path / name).symlink_to(needs.program(name))

    done = build(wheels, PATH=str(tmp_path))

    assert done.returncode == 1
    assert "  - the program dpkg-deb\n" in done.stderr
    assert "gzip" not in done.stderr


def test_its_scripts_are_clean(control):
    needs.programs("shellcheck")
    scripts = [control / name for name in SCRIPTS]
    checked = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_its_scripts_know_all_units_that_start_by_themselves(control):
    preset = (OVERLAY / "usr/lib/systemd/system-preset/50-otppi.preset").read_text().splitlines()
    units = " ".join(line.removeprefix("enable ") for line in preset if line.startswith("enable "))
    for name in SCRIPTS:
        assert f"units='{units}'\n" in (control / name).read_text()


def test_what_the_program_leaves_behind_is_known_to_the_purge(control):
    script = (control / "postrm").read_text()
    assert f"profiles='{ACCESS_POINT[0]} {ETHERNET[0]}'" in script
    assert all(uuid[:-1] in script for _, uuid in (ACCESS_POINT, ETHERNET))
    patterns = [word for word in script.split() if word.startswith("/boot/firmware/")]
    for name in (*FILES, NAME):
        assert any(Path("/boot/firmware", name).match(pattern) for pattern in patterns), name


# The files of a Raspberry Pi's firmware -------------------------------------------------------------------------------


CONFIG = "dtparam=audio=on\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n"
CMDLINE = "console=tty1 root=ROOTDEV rootwait\n"


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    (tmp_path / "config.txt").write_text(CONFIG)
    (tmp_path / "cmdline.txt").write_text(CMDLINE)
    return tmp_path


def additions(action: str, boot: Path, share: Path = SHARE) -> dict[str, str]:
    subprocess.run([ADDITIONS, action, boot, share], check=True, timeout=60)
    return {path.name: path.read_text() for path in boot.iterdir() if path.is_file()}


def test_what_was_added_to_the_boot_files_is_taken_out_again(boot):
    added = additions("add", boot)
    assert added["config.txt"].startswith(CONFIG + (SHARE / "config.txt.append").read_text())
    assert added["cmdline.txt"] == "console=tty1 root=ROOTDEV rootwait cgroup_enable=memory\n"

    assert additions("remove", boot) == {"config.txt": CONFIG, "cmdline.txt": CMDLINE}


def test_adding_again_changes_nothing_and_a_newer_addition_takes_the_place_of_the_older(boot, tmp_path):
    once = additions("add", boot)
    assert additions("add", boot) == once

    newer = tmp_path / "share"
    newer.mkdir()
    (newer / "config.txt.append").write_text("\n# OTP-Pi: newer\ndtparam=invented\n")
    (newer / "cmdline.txt.append").write_text("invented=1\n")
    changed = additions("add", boot, newer)
    assert changed["config.txt"].startswith(CONFIG + "\n# OTP-Pi: newer\ndtparam=invented\n# OTP-Pi: end")
    assert changed["cmdline.txt"] == "console=tty1 root=ROOTDEV rootwait invented=1\n"


def test_what_the_owner_wrote_into_the_boot_files_stays(boot):
    (boot / "cmdline.txt").write_text("root=ROOTDEV cgroup_enable=memory rootwait\n")
    additions("add", boot)
    with (boot / "config.txt").open("a") as config:
        config.write("dtparam=later\n")

    assert additions("remove", boot) == {
        "config.txt": f"{CONFIG}\ndtparam=later\n",
        "cmdline.txt": "root=ROOTDEV cgroup_enable=memory rootwait\n",
    }
