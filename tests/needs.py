"""What a test needs of the machine; where it is missing the test says so loudly instead of passing.

Programs and modules that `provisioning/device-tests.sh` installs must be there in a CI run as root: missing
ones fail it. What only another kernel or a device could give (a file system, /dev/ppp) is skipped everywhere,
named in the summary of the run, and proven on the booted image.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

_SBIN = ("/usr/sbin", "/sbin", "/usr/lib/systemd", "/usr/lib/polkit-1", "/usr/libexec")


def root() -> None:
    """Need the rights to make network namespaces, mounts and loop devices."""
    if os.geteuid() != 0:
        _absent("root", is_installable=False)


def programs(*names: str) -> None:
    """Need programs, of the packages that `provisioning/device-tests.sh` names."""
    for name in names:
        if program(name) is None:
            _absent(f"the program {name}", is_installable=True)


def other_program(name: str) -> None:
    """Need a program that a developer may have, and that nothing of ours installs."""
    if program(name) is None:
        _absent(f"the program {name}", is_installable=False)


def program(name: str) -> str | None:
    """Return the path of a program, those of administrators included."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SBIN]))


def file(path: Path) -> None:
    """Need a file of a package that `provisioning/device-tests.sh` names."""
    if not path.exists():
        _absent(f"the file {path}", is_installable=True)


def module(name: str) -> None:
    """Need a Python module that comes from Debian."""
    if importlib.util.find_spec(name) is None:
        _absent(f"the Python module {name}", is_installable=True)


def filesystem(name: str) -> None:
    """Need the kernel to know a file system."""
    known = Path("/proc/filesystems").read_text().split()
    if name not in known:
        _absent(f"the file system {name} in this kernel", is_installable=False)


def device(path: str) -> None:
    """Need a device file."""
    if not Path(path).exists():
        _absent(path, is_installable=False)


def _absent(what: str, *, is_installable: bool) -> None:
    if is_installable and os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(f"{what} is missing: provisioning/device-tests.sh should have installed it")
    pytest.skip(f"NOT SHOWN HERE: needs {what}")


def summary(skipped: Iterable[str]) -> list[str]:
    """Return the lines for the end of a run."""
    return sorted({f"  {reason}" for reason in skipped if "NOT SHOWN HERE" in reason})
