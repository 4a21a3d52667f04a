"""The preset file on the boot partition: read with care, and taken off the card once it was applied.

The partition is FAT, so that every computer can write it; it knows no owners and may be half written. What has the
secrets is renamed, overwritten in place, and removed, in an order that a power cut can interrupt anywhere. Flash
memory may keep old blocks that no name leads to any more: only whoever reads the bare chip could find them.
"""

import os
from pathlib import Path

from otppi.lib.atomicfile import sync_folder, write_atomically
from otppi.model.errors import SettingsError
from otppi.services.preset import LONGEST_BYTES

NAME = "otppi.toml"
_GOING = ".otppi.toml.going"


def read(boot_dir: Path) -> bytes | None:
    """Return the file; None if there is none. At most a byte more than a preset may have is read.

    Raises:
        SettingsError: It cannot be read, or it was saved under another name.
    """
    try:
        fd = os.open(boot_dir / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            return file.read(LONGEST_BYTES + 1)
    except FileNotFoundError:
        if (boot_dir / f"{NAME}.txt").exists():
            raise SettingsError({f"{NAME}.txt": f"has the wrong name; rename it to {NAME}"}) from None
        return None
    except OSError as error:
        raise SettingsError({NAME: f"cannot be read ({error.strerror})"}) from error


def retire(boot_dir: Path, note: str) -> None:
    """Put a note in the place of the file; its old content is gone when this returns.

    Raises:
        OSError: It could not be done, or not to the end; `finish` goes on.
    """
    os.replace(boot_dir / NAME, boot_dir / _GOING)
    sync_folder(boot_dir)
    finish(boot_dir, note)


def finish(boot_dir: Path, note: str) -> bool:
    """Complete what a power cut has interrupted; returns whether there was something to do.

    Raises:
        OSError: See `retire`.
    """
    going = boot_dir / _GOING
    if not going.exists():
        return False
    if note and not (boot_dir / NAME).exists():
        write_atomically(boot_dir / NAME, note.encode())
    _overwrite(going)
    going.unlink()
    sync_folder(boot_dir)
    return True


def _overwrite(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "wb") as file:
        file.write(bytes(os.fstat(fd).st_size))
        file.flush()
        os.fsync(fd)
