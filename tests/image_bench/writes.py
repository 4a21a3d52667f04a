"""Everything that a board ever wrote to its card, and what the card holds if the power goes at any moment of it.

QEMU keeps the log (driver blklogwrites, the form of dm-log-writes). A card must keep what was flushed before; of the
rest it may have kept any part.
"""

import os
import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_MAGIC, _VERSION = 0x6A736677736872, 1
_FLUSH, _DISCARD = 1, 4
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True)
class Write:
    """One request of the board."""

    offset: int  # on the card, bytes
    length: int
    is_flush: bool  # all before it is on the card for good
    data_at: int  # in the log; -1 if zeros are written


@dataclass(frozen=True)
class WriteLog:
    """The log of one run of a board."""

    file: Path

    def read(self) -> Sequence[Write]:
        """Return all requests in their order; one that the end of the emulator cut off is left out."""
        return list(self._entries())

    def holds(self, word: bytes) -> bool:
        """Whether a word was ever written, wherever."""
        found = subprocess.run(["grep", "-aqF", "-e", word, str(self.file)], check=False, timeout=600)
        return found.returncode == 0

    def play(self, requests: Sequence[Write], card: Path) -> None:
        """Carry requests out on a raw image."""
        with self.file.open("rb") as log, card.open("r+b") as disk:
            for one in requests:
                disk.seek(one.offset)
                if one.data_at >= 0:
                    os.sendfile(disk.fileno(), log.fileno(), one.data_at, one.length)
                    continue
                for start in range(0, one.length, len(_ZEROS)):
                    disk.write(_ZEROS[: min(len(_ZEROS), one.length - start)])

    def _entries(self) -> Iterator[Write]:
        size = self.file.stat().st_size
        with self.file.open("rb") as log:
            magic, version, _, sector = _HEADER.unpack(log.read(_HEADER.size))
            if (magic, version) != (_MAGIC, _VERSION):
                raise ValueError(f"{self.file} is no log of writes")
            at = sector
            while at + sector <= size:
                log.seek(at)
                start, sectors, flags, _ = _ENTRY.unpack(log.read(_ENTRY.size))
                at += sector
                data_bytes = 0 if flags & _DISCARD else sectors * sector
                if at + data_bytes > size or not (sectors or flags):
                    return
                yield Write(
                    offset=start * sector,
                    length=sectors * sector,
                    is_flush=bool(flags & _FLUSH),
                    data_at=-1 if flags & _DISCARD else at,
                )
                at += data_bytes


def kept(requests: Sequence[Write], chance: random.Random | None = None) -> list[Write]:
    """Return what of the requests is on a card that loses its power right after the last.

    Args:
        requests: All since the card was whole.
        chance: Decides for each request that was not flushed; without it none of them is kept.
    """
    flushed = max((at + 1 for at, one in enumerate(requests) if one.is_flush), default=0)
    return [
        one
        for at, one in enumerate(requests)
        if one.length and (at < flushed or (chance is not None and chance.random() < 0.5))
    ]


def logged(card: Path, log: Path) -> str:
    """Return what QEMU opens as a card of which every write is logged (a file name for -drive)."""
    log.touch()
    image = f'"file":{{"driver":"qcow2","file":{{"driver":"file","filename":"{card}"}}}}'
    notes = f'"log":{{"driver":"file","filename":"{log}"}}'
    return f'json:{{"driver":"blklogwrites",{image},{notes}}}'.replace(",", ",,")
