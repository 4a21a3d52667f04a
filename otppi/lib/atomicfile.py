"""Files that are replaced whole or not at all, whenever the power goes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


def previous_copy(path: Path) -> Path:
    """Return where `write_atomically` keeps the copy before the last."""
    return path.with_name(f"{path.name}.previous")


def write_atomically(path: Path, data: bytes, *, keep_previous: bool = False) -> None:
    """Replace a file, readable by its owner alone; on the disk when this returns.

    At every moment the name leads to the whole old or the whole new file. One writer per file at a time.

    Args:
        path: The file; its folder exists.
        data: The new content.
        keep_previous: Keep the old file under the name of `previous_copy`.

    Raises:
        OSError: The file is as it was.
    """
    # One fixed name per file: what a power cut leaves behind is overwritten by the next write.
    with _temporary(path.with_name(f".{path.name}.new")) as new:
        _write_new(new, data)
        if keep_previous and path.exists():
            _keep(path, previous_copy(path))
        os.replace(new, path)
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to that replaces another when the block ends well; as `write_atomically`, bit by bit.

    Raises:
        OSError: The file is as it was.
    """
    with _temporary(path.with_name(f".{path.name}.new")) as new:
        with _new_file(new) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    sync_folder(path.parent)


def private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, and close one that others may."""
    if not path.is_dir():
        path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        sync_folder(path.parent)
    if path.stat().st_mode & 0o077:
        path.chmod(_PRIVATE_FOLDER)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _new_file(path: Path) -> BinaryIO:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
    return os.fdopen(fd, "wb")


def _write_new(path: Path, data: bytes) -> None:
    with _new_file(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _keep(path: Path, copy: Path) -> None:
    with _temporary(copy.with_name(f".{copy.name}.new")) as link:
        try:
            os.link(path, link)
        except OSError:
            # File systems without hard links, such as FAT, and folders shared with a virtual machine.
            _write_new(link, path.read_bytes())
        os.replace(link, copy)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Give a name that is free now and will be afterwards."""
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        # Nothing is there after a rename, unless both names led to one file: then a rename does nothing.
        with suppress(OSError):
            path.unlink(missing_ok=True)
