"""The root file system: Debian with the stage's packages, then the stage's own scripts on it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.image_bench.recipe import Recipe, cache

_BUILD_S = 2400.0  # arm64 under emulation
_SCRIPTS_S = 1200.0
_NO_MANUALS = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")


class BuildFailed(Exception):
    """A program that builds the image failed; the message has the end of what it said."""


def base(recipe: Recipe) -> Path:
    """Return the packed file system before the stage's scripts; it is built when the cache has none. Takes minutes."""
    packed = cache() / f"base-{recipe.architecture}-{recipe.base_key()}.tar.zst"
    if not packed.exists():
        new = packed.with_suffix(".new")
        run(
            *_mmdebstrap(recipe, recipe.packages(), "minbase"),
            "--format=tar",
            recipe.suite,
            f"{new}",
            archive(),
            limit_s=_BUILD_S,
            INITRD="No",
        )
        run("zstd", "-q", "-3", "-T0", "--rm", "-f", str(new), "-o", str(packed), limit_s=_BUILD_S)
    return packed


def extracted(recipe: Recipe, packages: Sequence[str], to: Path) -> None:
    """Unpack packages for the guest without installing them."""
    run(
        *_mmdebstrap(recipe, packages, "extract"),
        "--format=directory",
        recipe.suite,
        str(to),
        archive(),
        limit_s=_BUILD_S,
    )


def staged(recipe: Recipe, tree: Path) -> None:
    """Unpack the base into a folder and run the stage's scripts on it."""
    tree.mkdir(parents=True)
    run(
        "tar",
        "--extract",
        "--zstd",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "-f",
        str(base(recipe)),
        "-C",
        str(tree),
        limit_s=_SCRIPTS_S,
    )
    runner = Path(__file__).parent / "run-stage.sh"
    scripts = [str(one) for one in recipe.sub_stages()]
    run(
        "unshare",
        "--mount",
        "--fork",
        "--pid",
        "--kill-child",
        str(runner),
        str(tree),
        str(recipe.stage),
        recipe.suite,
        *scripts,
        limit_s=_SCRIPTS_S,
    )
    # As pi-gen's export does it: the first boot is one.
    (tree / "etc/machine-id").write_text("uninitialized\n")
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    shutil.rmtree(tree / "var/lib/apt/lists", ignore_errors=True)


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


def _mmdebstrap(recipe: Recipe, packages: Sequence[str], variant: str) -> list[str]:
    return [
        "mmdebstrap",
        f"--architectures={recipe.architecture}",
        f"--variant={variant}",
        "--components=main",
        f"--include={','.join(packages)}",
        '--aptopt=Apt::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={one}" for one in _NO_MANUALS),
    ]
