"""Looking into one stick from a safe distance: whatever it does, there is an answer in time."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from otppi.system.reset.snapshot import BadSnapshot, Stick
from otppi.system.reset.superblock import StickRefused

# Old sticks need some seconds to wake up; a working one is read within one.
_LIMIT_S = 20.0
_LIMIT_TO_DIE_S = 2.0


def read_stick(device: Path, disk: Path, folder: Path, limit_s: float = _LIMIT_S) -> Stick | None:
    """Look for a reset file; None if nobody meant to put one there. Needs CAP_SYS_ADMIN.

    The looking is done by another process, with mounts of its own: when that ends, by itself or because its time
    is over, the kernel unmounts.

    Args:
        device: The partition, or the disk if it has none.
        disk: The whole disk.
        folder: An empty folder.
        limit_s: How long the stick may take.
    """
    command = (
        sys.executable,
        "-s",
        "-m",
        "otppi.system.reset.inspection",
        str(device),
        str(disk),
        str(folder),
    )
    try:
        raw = json.loads(answer_of(command, limit_s))
        return None if raw is None else Stick.parse(raw)
    except StickRefused as error:
        return Stick.refused(device.name, str(error))
    except (ValueError, BadSnapshot):
        # It was killed for memory or processor time, or by the kernel.
        return Stick.refused(device.name, "the stick could not be looked into; try another one")


def answer_of(command: Sequence[str], limit_s: float) -> bytes:
    """Start a program and return what it printed; waits at most so long and a little for its end.

    Raises:
        StickRefused: It took longer.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={},
        # Where this package was found, it will be found again.
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
    try:
        return child.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired as error:
        raise StickRefused(f"the stick did not answer within {limit_s:g} s; try another one") from error
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    if child.stdout is not None:
        child.stdout.close()
    # One that waits in the kernel for a dead stick dies when that is unplugged; nobody waits for it.
    with suppress(subprocess.TimeoutExpired):
        child.wait(_LIMIT_TO_DIE_S)
