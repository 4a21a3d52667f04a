"""A copy of the overlay that the tests may complete with what the image has and this checkout has not."""

import shutil
import subprocess
from pathlib import Path

from tests import needs

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = ROOT / "rootfs-overlay"
UNITS = Path("usr/lib/systemd/system")
MODES = "modes.txt"
_NOT_INSTALLED = ("README.md", MODES)
# What every Linux has and a program needs to start at all.
_FOREIGN_CONFIGURATION = (
    "alternatives",
    "group",
    "hosts",
    "ld.so.cache",
    "localtime",
    "nsswitch.conf",
    "passwd",
    "protocols",
    "services",
)


def own_units(*kinds: str) -> list[str]:
    """Return the names of the overlay's units of these kinds (service, path)."""
    return sorted(file.name for kind in kinds for file in (OVERLAY / UNITS).glob(f"*.{kind}"))


def instance_of(unit: str) -> str:
    """Return the name that a unit is started by: of a template, one for a place on the USB."""
    return unit.replace("@.", "@1-1.3.")


def overlay_files() -> list[Path]:
    """Return what is installed, relative to the device's root."""
    files = (file.relative_to(OVERLAY) for file in OVERLAY.rglob("*") if not file.is_dir())
    return sorted(file for file in files if str(file) not in _NOT_INSTALLED)


def copy_overlay(to: Path) -> None:
    """Copy the overlay as the image does it."""
    for file in overlay_files():
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(OVERLAY / file, to / file)


def put_program(tree: Path, path: str, text: str) -> None:
    """Put a program into a tree."""
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def copy_foreign_configuration(tree: Path) -> None:
    """Copy from this machine's /etc what programs of its /usr need, and make the overlay's users."""
    for name in _FOREIGN_CONFIGURATION:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, tree / "etc" / name, symlinks=True)
        elif source.exists() or source.is_symlink():
            shutil.copy(source, tree / "etc" / name, follow_symlinks=False)
    make_users(tree)


def make_users(tree: Path) -> str:
    """Make the overlay's users and groups in a tree and return what was said about it."""
    done = subprocess.run(
        [
            needs.program("systemd-sysusers"),
            f"--root={tree}",
            str(tree / "usr/lib/sysusers.d/otppi.conf"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr
