"""Looking into one stick: the program of a process that touches it, can do nothing else and may be killed.

Started as `python -m otppi.system.reset.inspection DEVICE DISK FOLDER`; prints a stick as JSON, or null.
"""

import errno
import hashlib
import json
import os
import resource
import stat
import sys
from dataclasses import asdict
from pathlib import Path

from otppi.settings.resetfile import BadResetFile, read_reset_file
from otppi.system.reset import syscalls
from otppi.system.reset.resetpath import read_below
from otppi.system.reset.snapshot import Stick
from otppi.system.reset.superblock import HEAD_BYTES, FileSystem, StickRefused, identify

_MEMORY_BYTES = 512 * 2**20
_PROCESSOR_S = 10
_BASICS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# A drive without a medium, or one that has just gone.
_NOTHING_IN = (errno.ENOMEDIUM, errno.ENXIO, errno.ENODEV, errno.ENOENT)


def inspect(device: str, disk: str, folder: str) -> Stick | None:
    """Look for a reset file; None if nobody meant to put one there, or the disk is in use by the system.

    Ends all rights of this process on the way. Waits for as long as the stick takes.

    Args:
        device: The partition, or the disk if it has none.
        disk: The whole disk.
        folder: Where the stick is mounted, seen by this process alone.
    """
    name = Path(device).name
    filesystem: FileSystem | None = None
    try:
        filesystem = _identified(device, disk)
        if filesystem is None:
            return None
        data = _file_of(device, filesystem, folder)
    except StickRefused as error:
        return Stick.refused(name, str(error), str(filesystem or ""))
    except OSError as error:
        if filesystem is None and error.errno in _NOTHING_IN:
            return None
        reason = f"the stick cannot be read ({error.strerror}); try another one"
        return Stick.refused(name, reason, str(filesystem or ""))
    return None if data is None else judged(name, str(filesystem), data)


def judged(device: str, filesystem: str, data: bytes) -> Stick:
    """Return what the file asks for, or why it is refused."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        file = read_reset_file(data)
    except BadResetFile as error:
        return Stick.refused(device, f"reset-config.ini: {error}", filesystem, sha256)
    if not file.flags:
        reason = "reset-config.ini asks for nothing: no RESET_ line is true"
        return Stick.refused(device, reason, filesystem, sha256)
    return Stick(
        device=device,
        filesystem=filesystem,
        file_sha256=sha256,
        secret_sha256=file.secret_sha256,
        flags=tuple(sorted(file.flags)),
        unclear=tuple(sorted(file.unclear)),
    )


def _identified(device: str, disk: str) -> FileSystem | None:
    for path in (device, disk):
        if not stat.S_ISBLK(os.stat(path).st_mode):
            raise StickRefused("this is no disk")
    if _is_in_use(disk):
        return None
    fd = os.open(device, _BASICS)
    try:
        syscalls.forbid_writing(fd)
        size_bytes = os.lseek(fd, 0, os.SEEK_END)
        return identify(os.pread(fd, HEAD_BYTES, 0), size_bytes)
    finally:
        os.close(fd)


def _is_in_use(disk: str) -> bool:
    """Ask the kernel whether a part of the disk is mounted, such as that of a board started from USB."""
    try:
        os.close(os.open(disk, _BASICS | os.O_EXCL))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def _file_of(device: str, filesystem: FileSystem, folder: str) -> bytes | None:
    syscalls.leave_mount_namespace()
    syscalls.mount_read_only(device, folder, filesystem.kind)
    syscalls.drop_rights()
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return read_below(root)
    finally:
        os.close(root)


def _main() -> None:
    syscalls.die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_S, _PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    device, disk, folder = sys.argv[1:]
    stick = inspect(device, disk, folder)
    json.dump(None if stick is None else asdict(stick), sys.stdout)


if __name__ == "__main__":
    _main()
