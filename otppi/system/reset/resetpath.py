"""Finding `/otppi/reset-config.ini` below a folder that may hold anything."""

import os
import stat
from itertools import islice

from otppi.settings.resetfile import LONGEST_FILE_BYTES
from otppi.system.reset.superblock import StickRefused

FOLDER, FILE = "otppi", "reset-config.ini"
_STEM = "reset-config"
_MOST_NAMES = 20_000
_BASICS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_below(root: int) -> bytes | None:
    """Return what is in the file, at most a byte more than it may have; None if nobody meant to put one there.

    Names are compared with the entries of the folders, because FAT and exFAT would open them in any case. Each
    step opens one plain name in an open folder and follows no link, so nothing outside can be reached.

    Args:
        root: Descriptor of the top folder; stays open.

    Raises:
        StickRefused: It was meant, and something is not as it must be.
        OSError: The file system is damaged, or the stick is.
    """
    if not _has(root, FOLDER):
        return None
    folder = _open_folder(root)
    try:
        if not _has_file(folder):
            return None
        return _read_file(folder)
    finally:
        os.close(folder)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in islice(entries, _MOST_NAMES + 1)]
    if len(names) > _MOST_NAMES:
        raise StickRefused("there are too many files on the stick; use an empty one")
    return names


def _has(root: int, wanted: str) -> bool:
    names = _names(root)
    if wanted in names:
        return True
    for name in names:
        if name.lower() == wanted:
            raise StickRefused(f"the folder is called {_shown(name)}; it must be {wanted}, in small letters")
    return False


def _has_file(folder: int) -> bool:
    names = _names(folder)
    if FILE in names:
        return True
    for name in names:
        if name.lower().startswith(_STEM):
            raise StickRefused(
                f"the file is called {_shown(name)}; it must be {FILE}, in small letters and with nothing after it"
            )
    return False


def _open_folder(root: int) -> int:
    try:
        return os.open(FOLDER, _BASICS | os.O_DIRECTORY, dir_fd=root)
    except (NotADirectoryError, PermissionError) as error:
        raise StickRefused(f"{FOLDER} on the stick is not a folder") from error


def _read_file(folder: int) -> bytes:
    # Looked at first: opening alone would already act on some kinds of device files.
    _check_kind(os.stat(FILE, dir_fd=folder, follow_symlinks=False))
    fd = os.open(FILE, _BASICS, dir_fd=folder)
    with open(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        _check_kind(status)
        if status.st_size > LONGEST_FILE_BYTES:
            raise StickRefused(f"{FILE} is longer than {LONGEST_FILE_BYTES // 1024} KiB")
        return _read(file.fileno(), LONGEST_FILE_BYTES + 1)


def _read(fd: int, most_bytes: int) -> bytes:
    data = b""
    while len(data) < most_bytes and (more := os.read(fd, most_bytes - len(data))):
        data += more
    return data


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StickRefused(f"{FILE} on the stick is not a plain file")


def _shown(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:40])
