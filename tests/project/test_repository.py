"""What must be true of the repository as a whole."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import otppi

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
RUNTIME_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"

# Written in pieces, so that this file passes its own test.
_REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("python" + "hosted", "org"),
        ("piwheels", "org"),
        ("anaconda", "org"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("jsdelivr", "net"),
        ("unpkg", "com"),
        ("rubygems", "org"),
        ("packagist", "org"),
        ("crates", "io"),
        ("golang", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("deb", "debian", "org"),
        ("raspbian", "org"),
        ("archive", "raspberrypi", "com"),
    )
)
_DEVELOPER_PATHS = re.compile(
    r"(?<![\w.~-])/(?:"
    + "|".join(("home/" + r"\w", "Users/" + r"\w", "root/" + r"\.?\w", "work/", "tmp/w/"))
    + r")"
    r"|\b[A-Z]:\\" + "Users"
)
_SHELL_SCRIPT = re.compile(rb"#!.*sh( |$)", re.MULTILINE)


@dataclass(frozen=True)
class Requirement:
    """One library of a lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]


def repository_files() -> list[Path]:
    """All files that are or could be committed."""
    listing = subprocess.run(
        # Whoever runs the tests may not be who cloned.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [file for file in files if file.is_file() and not file.is_symlink()]


def shell_scripts() -> list[Path]:
    return [
        file for file in repository_files() if file.suffix == ".sh" or _SHELL_SCRIPT.match(file.read_bytes())
    ]


def registry_hosts_in(text: str) -> list[str]:
    return [host for host in _REGISTRY_HOSTS if re.search(rf"(?<![\w-]){re.escape(host)}\b", text)]


def developer_paths_in(text: str) -> list[str]:
    return [match.group() for match in _DEVELOPER_PATHS.finditer(text)]


def first_statement(script: str) -> str:
    lines = (line.strip() for line in script.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def requirements(lock: str) -> Iterator[Requirement]:
    """Read the entries of a lock file.

    Raises:
        ValueError: A line is something else than a version with hashes.
    """
    uncommented = "\n".join(line for line in lock.splitlines() if not line.strip().startswith("#"))
    for line in uncommented.replace("\\\n", " ").splitlines():
        pinned = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: ;[^:]*)?((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        if pinned is None:
            raise ValueError(line)
        yield Requirement(pinned[1], pinned[2], tuple(pinned[3].split()))


def locked(lock: Path) -> dict[str, Requirement]:
    return {requirement.name: requirement for requirement in requirements(lock.read_text())}


def name_of(dependency: str) -> str:
    """`Some_Package[extra]>=1; marker` is `some-package`."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", dependency, maxsplit=1)[0]).lower()


def test_no_file_names_a_package_registry() -> None:
    found = {
        str(file.relative_to(ROOT)): registry_hosts_in(file.read_text(errors="replace"))
        for file in repository_files()
    }
    assert {file: hosts for file, hosts in found.items() if hosts} == {}


def test_no_file_names_a_path_of_a_developers_machine() -> None:
    found = {
        str(file.relative_to(ROOT)): developer_paths_in(file.read_text(errors="replace"))
        for file in repository_files()
    }
    assert {file: paths for file, paths in found.items() if paths} == {}


@pytest.mark.parametrize("host", _REGISTRY_HOSTS)
def test_a_registry_host_is_noticed(host: str) -> None:
    assert registry_hosts_in(f"index-url = https://{host}/simple") == [host]
    assert registry_hosts_in(f"see www.{host}") == [host]


@pytest.mark.parametrize(
    "parts", [("home", "ana"), ("Users", "ana"), ("root", "x"), ("work", "x"), ("tmp", "w", "x")]
)
def test_a_developers_path_is_noticed(parts: tuple[str, ...]) -> None:
    path = "/" + "/".join(parts)
    assert developer_paths_in(f'"{path}/otppi"')
    assert developer_paths_in(f"a{path}/otppi") == []  # part of a longer path


# The first program of a device must never end, so it goes on and notes what failed.
GOES_ON = "image/stage-otppi/60-storage/files/init"


def test_every_shell_script_can_be_run_and_stops_at_the_first_error() -> None:
    scripts = shell_scripts()
    assert {"provisioning/setup.sh", ".ci/run"} <= {str(script.relative_to(ROOT)) for script in scripts}
    for script in scripts:
        assert script.stat().st_mode & 0o111, f"{script} is not executable"
        wanted = "set -u" if str(script.relative_to(ROOT)) == GOES_ON else "set -eu"
        assert first_statement(script.read_text()).startswith(wanted), (
            f"{script} does not start with {wanted}"
        )


def test_the_version_is_the_same_everywhere() -> None:
    assert otppi.__version__ == PROJECT["version"]


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(r"^## .*$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert any(PROJECT["version"] in heading for heading in headings)


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, DEV_LOCK], ids=lambda lock: lock.name)
def test_a_lock_holds_versions_with_hashes_and_nothing_else(lock: Path) -> None:
    assert list(requirements(lock.read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "click",
        "click==8.1.0",
        "click>=8 --hash=sha256:" + "0" * 64,
        "click==8.1.0 --hash=md5:" + "0" * 32,
        "click @ https://example.com/click.whl --hash=sha256:" + "0" * 64,
        "--index-url https://example.com/simple",
        "-e .",
    ],
)
def test_a_lock_with_another_line_is_noticed(line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        list(requirements(line))


def test_the_runtime_lock_holds_every_dependency() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + extras["publisher"] + extras["device"]
    assert {name_of(one) for one in wanted} - {"otppi"} <= locked(RUNTIME_LOCK).keys()


def test_the_development_lock_also_holds_the_tools_and_what_builds_the_package() -> None:
    wanted = (
        PROJECT["dependencies"]
        + PROJECT["optional-dependencies"]["dev"]
        + PYPROJECT["build-system"]["requires"]
    )
    assert {name_of(one) for one in wanted} <= locked(DEV_LOCK).keys()


def test_what_is_tested_is_what_runs_on_a_device() -> None:
    developed = locked(DEV_LOCK)
    assert {name: developed.get(name) for name in locked(RUNTIME_LOCK)} == locked(RUNTIME_LOCK)
