"""Which other programs have a file open."""

import os
from collections.abc import Iterator
from pathlib import Path


def holders(path: str) -> tuple[str, ...]:
    """Return the names of the other programs that have a file open, each once.

    Only what this user may see is told: root sees everybody's files, other users their own and, where a file is
    locked by `flock`, who locked it, unless /proc hides other users' programs (`hidepid`, `ProtectProc=`). So the
    gateway, which is not root, does not see a program of another user that has a port open without a lock.
    """
    try:
        wanted = os.stat(path)
    except OSError:
        return ()
    pids = {*_with_descriptor(wanted), *_with_lock(wanted)} - {str(os.getpid())}
    return tuple(sorted({name for pid in pids if (name := _name(pid))}))


def _with_descriptor(wanted: os.stat_result) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptors = list((process / "fd").iterdir())
        except OSError:  # another user's, or just ended
            continue
        if any(_is_same(descriptor, wanted) for descriptor in descriptors):
            yield process.name


def _is_same(descriptor: Path, wanted: os.stat_result) -> bool:
    try:
        # The link is read and not followed first: to open or to stat some files may wait.
        return descriptor.readlink().is_absolute() and os.path.samestat(descriptor.stat(), wanted)
    except OSError:
        return False


def _with_lock(wanted: os.stat_result) -> Iterator[str]:
    device = f"{os.major(wanted.st_dev):02x}:{os.minor(wanted.st_dev):02x}:{wanted.st_ino}"
    try:
        locks = Path("/proc/locks").read_text()
    except OSError:
        return
    for line in locks.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 708 00:06:1042 0 EOF
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == device:
            yield words[4]


def _name(pid: str) -> str:
    try:
        return Path("/proc", pid, "comm").read_text().strip()
    except OSError:
        return ""
