"""The root file system: Debian with the stage's packages, then the stage's own scripts on it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.image_bench.binfmt import let_run
from tests.image_bench.recipe import Recipe, cache

_BUILD_S = 2400.0  # arm64 under emulation
_SCRIPTS_S = 1200.0
_BENCH = Path(__file__).parent
# All mounts of the scripts go with them, and all programs that they left running.
_OWN_MOUNTS = ("unshare", "--mount", "--fork", "--pid", "--kill-child")


class BuildFailed(Exception):
    """A program that builds the image failed; the message has the end of what it said."""


def base_file(recipe: Recipe, packages: Sequence[str]) -> Path:
    """Return where `base` keeps what it built."""
    return cache() / f"base-{recipe.architecture}-{recipe.base_key(packages)}.tar.zst"


def base(recipe: Recipe, packages: Sequence[str]) -> Path:
    """Return a packed file system with these packages; it is built when the cache has none. Takes minutes."""
    packed = base_file(recipe, packages)
    if not packed.exists():
        let_run(recipe.architecture)
        new = packed.with_suffix(".new")
        command = (*recipe.bootstrap("minbase", packages), "--format=tar", recipe.suite, str(new), archive())
        run(*command, limit_s=_BUILD_S, INITRD="No")
        run("zstd", "-q", "-3", "-T0", "--rm", "-f", str(new), "-o", str(packed), limit_s=_BUILD_S)
    return packed


def unpacked(recipe: Recipe, packages: Sequence[str], tree: Path) -> None:
    """Make a root file system with these packages."""
    unpack = ("tar", "--extract", "--zstd", "--numeric-owner", "--xattrs", "--xattrs-include=*")
    tree.mkdir(parents=True)
    run(*unpack, "-f", str(base(recipe, packages)), "-C", str(tree), limit_s=_SCRIPTS_S)


def extracted(recipe: Recipe, packages: Sequence[str], to: Path) -> None:
    """Unpack packages and what they lean on, without installing them."""
    let_run(recipe.architecture)
    command = recipe.bootstrap("extract", packages)
    run(*command, "--format=directory", recipe.suite, str(to), archive(), limit_s=_BUILD_S)


def staged(recipe: Recipe, tree: Path) -> None:
    """Make a root file system: the base in a folder, then the stage's scripts, by the runner or by pi-gen."""
    let_run(recipe.architecture)
    if recipe.pigen is None:
        unpacked(recipe, recipe.packages(), tree)
        _run_stage(recipe, tree)
    else:
        _run_pigen(recipe, recipe.pigen, tree)
    # As pi-gen's export does it: the first boot is one.
    (tree / "etc/machine-id").write_text("uninitialized\n")
    for one in (tree / "etc/machine-id", tree / "etc"):
        os.utime(one, (recipe.date_s, recipe.date_s))


def _run_stage(recipe: Recipe, tree: Path) -> None:
    runner = (str(_BENCH / "run-stage.sh"), str(tree), str(recipe.stage), recipe.suite)
    scripts = [str(one) for one in recipe.sub_stages()]
    run(*_OWN_MOUNTS, *runner, *scripts, limit_s=_SCRIPTS_S, SOURCE_DATE_EPOCH=str(recipe.date_s))


def _run_pigen(recipe: Recipe, pigen: Path, tree: Path) -> None:
    ground = base(recipe, recipe.ground())
    work = tree.with_name(f"{tree.name}-pigen")
    runner = (str(_BENCH / "pigen/run.sh"), str(pigen), str(work), str(recipe.stage), str(ground))
    try:
        run(
            *_OWN_MOUNTS,
            *runner,
            limit_s=_BUILD_S,
            RELEASE=recipe.suite,
            SOURCE_DATE_EPOCH=str(recipe.date_s),
        )
        (work / recipe.stage.name / "rootfs").rename(tree)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def archive() -> str:
    """Return where packages come from: OTPPI_IMAGE_ARCHIVE, or where this machine's apt has Debian's from.

    Raises:
        BuildFailed: apt knows no archive of Debian.
    """
    if given := os.environ.get("OTPPI_IMAGE_ARCHIVE"):
        return given
    asked = ("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages")
    known = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    for line in sorted(known):
        origin, label, uri = line.split("|", 2)
        if (origin, label) == ("Debian", "Debian"):
            return uri
    raise BuildFailed("apt of this machine knows no archive of Debian; set OTPPI_IMAGE_ARCHIVE")


def run(*command: str, limit_s: float, **environment: str) -> str:
    """Run a program and return what it says.

    Raises:
        BuildFailed: It failed or did not end in time.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit_s,
            check=False,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{command[0]} did not end within {limit_s:g} s") from error
    said = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise BuildFailed(f"{' '.join(command)} failed:\n{said[-4000:]}")
    return said
