"""A lock between processes that no crash leaves behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyHeld(Exception):
    """Somebody else holds the lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is held by another process")
        self.path = path


@contextmanager
def hold(path: Path, *, waits: bool = False) -> Iterator[None]:
    """Hold the lock of this file for the duration of a block; the kernel frees it when the process dies.

    The file stays, because removing it would let two processes lock two files of one name.

    Raises:
        AlreadyHeld: It is held elsewhere, in another process or in this one; never with `waits`, however long it takes.
        OSError: The file cannot be made.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyHeld(path) from error
        yield
    finally:
        os.close(fd)
