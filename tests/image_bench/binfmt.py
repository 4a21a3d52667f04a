"""Programs of another processor: this kernel hands them to QEMU, once it has been told to."""

import subprocess
from pathlib import Path

from tests.image_bench.recipe import own_architecture

_KNOWN = Path("/proc/sys/fs/binfmt_misc")
_PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}


class CannotEmulate(Exception):
    """Programs of the other processor cannot run here; the message says what is missing."""


def rule(architecture: str) -> Path:
    """Return the file of Debian's qemu-user-static or qemu-user-binfmt by which the kernel is told."""
    return Path(f"/usr/lib/binfmt.d/qemu-{_PROCESSORS[architecture]}.conf")


def is_known(architecture: str) -> bool:
    """Say whether this machine runs programs of a processor."""
    if architecture == own_architecture():
        return True
    entry = _KNOWN / f"qemu-{_PROCESSORS[architecture]}"
    return entry.exists() and entry.read_text().startswith("enabled")


def let_run(architecture: str) -> None:
    """Make the kernel run programs of a processor, until this machine is restarted. Needs root.

    Raises:
        CannotEmulate: It does not; the message has the advice.
    """
    if is_known(architecture):
        return
    told = rule(architecture)
    if not told.exists():
        raise CannotEmulate(
            f"{told} is missing: apt-get install qemu-user-static (from trixie on: qemu-user-binfmt)"
        )
    try:
        if not (_KNOWN / "register").exists():
            subprocess.run(["modprobe", "--quiet", "binfmt_misc"], check=False, timeout=60)
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_KNOWN)], check=True, timeout=60)
        if not is_known(architecture):
            (_KNOWN / "register").write_text(told.read_text())
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotEmulate(f"this kernel does not take {told} ({error}): it needs binfmt_misc") from error
