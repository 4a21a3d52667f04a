"""A QEMU that knows the I2C bus of a Raspberry Pi. Debian 12 has an older one; trixie's then comes into the cache."""

import re
import subprocess
from pathlib import Path

from tests.image_bench.recipe import Recipe, kept, key, own_architecture
from tests.image_bench.rootfs import extracted

_PROGRAM = "qemu-system-aarch64"
_NEW_ENOUGH = 9


def pi_emulator() -> list[str]:
    """Return the command of a QEMU that is new enough: this machine's, or one that is unpacked, not installed."""
    said = subprocess.run(
        [_PROGRAM, "--version"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    version = re.search(r"version (\d+)\.", said)
    if version and int(version[1]) >= _NEW_ENOUGH:
        return [_PROGRAM]
    recipe, packages = Recipe(architecture=own_architecture()), ["qemu-system-arm"]
    tree = kept(
        f"qemu-{recipe.architecture}-{key(*recipe.bootstrap('extract', packages))}",
        lambda to: extracted(recipe, packages, to / "tree"),
    )
    return _command(tree / "tree/usr")


def _command(usr: Path) -> list[str]:
    """Run it with its own libraries: this machine's are too old for it."""
    (loader,) = usr.glob("lib*/ld-linux-*.so.*")
    (libraries,) = usr.glob("lib/*-linux-gnu")
    return [
        *("env", f"QEMU_MODULE_DIR={libraries / 'qemu'}"),
        *(str(loader), "--library-path", str(libraries)),
        *(str(usr / "bin" / _PROGRAM), "-L", str(usr / "share/qemu")),
    ]
