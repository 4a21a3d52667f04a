"""A file of lines that are found by their place: what is appended is on the disk, what is erased is overwritten."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otppi.lib.atomicfile import replacing, sync_folder

_CHUNK_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands, without its line end."""

    at: int
    size: int


class LineFile:
    """Lines in one private file; used by one thread at a time.

    Costs no memory for the lines. A line that is damaged costs that line: the others are still told apart by their
    line ends.
    """

    def __init__(self, path: Path, longest_line: int) -> None:
        """Open the file; made if it is not there.

        Args:
            path: Its folder exists.
            longest_line: What is longer is damaged, and passed over.

        Raises:
            OSError: It cannot be opened or read.
        """
        self._path = path
        self._longest_line = longest_line
        self._fd = -1
        self._size = 0
        self._open()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    def lines(self) -> Iterator[tuple[Place, bytes]]:
        """Yield every line that is whole, with its place."""
        at, rest = 0, b""
        offset = 0
        is_too_long = False
        while chunk := os.pread(self._fd, _CHUNK_BYTES, offset):
            offset += len(chunk)
            *ended, rest = (rest + chunk).split(b"\n")
            for line in ended:
                if not is_too_long and len(line) <= self._longest_line:
                    yield Place(at, len(line)), line
                at += len(line) + 1
                is_too_long = False
            if len(rest) > self._longest_line:
                at += len(rest)
                rest, is_too_long = b"", True

    def read(self, place: Place) -> bytes:
        """Return one line.

        Raises:
            OSError: The disk does not give it.
        """
        return os.pread(self._fd, place.size, place.at)

    def append(self, lines: Iterable[bytes], *, is_durable: bool = True) -> list[Place]:
        """Add lines by one write; they are on the disk when this returns.

        Raises:
            OSError: The file is as it was.
        """
        data, places = bytearray(), []
        for line in lines:
            places.append(Place(self._size + len(data), len(line)))
            data += line + b"\n"
        try:
            _write_at(self._fd, bytes(data), self._size)
            if is_durable:
                os.fdatasync(self._fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        return places

    def overwrite(self, changes: Iterable[tuple[Place, bytes]]) -> None:
        """Put shorter lines in the place of others, filled with spaces; on the disk when this returns.

        Raises:
            OSError: Some of them may have been overwritten.
        """
        for place, line in changes:
            if len(line) > place.size:
                raise ValueError("the new line is longer than the old one")
            _write_at(self._fd, line.ljust(place.size), place.at)
        os.fdatasync(self._fd)

    def rewrite(self, lines: Iterable[Place | bytes]) -> list[Place]:
        """Replace the file by these lines, old ones or new; return where they are now.

        Raises:
            OSError: The file is as it was.
        """
        places, at = [], 0
        with replacing(self._path) as new:
            for line in lines:
                data = self.read(line) if isinstance(line, Place) else line
                new.write(data + b"\n")
                places.append(Place(at, len(data)))
                at += len(data) + 1
        self.close()
        self._open()
        return places

    def close(self) -> None:
        """Close the file; whoever uses it after that gets an error."""
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _open(self) -> None:
        is_new = not self._path.exists()
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                sync_folder(self._path.parent)
            self._size = os.fstat(self._fd).st_size
            # A line whose end is missing was being written when the power went: nobody was told that it is there.
            if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
                self.append([b""], is_durable=False)
        except OSError:
            self.close()
            raise


def _write_at(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
