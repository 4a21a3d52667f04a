"""Root file systems side by side."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Entry:
    """All that a file system keeps of a file, but for its number."""

    mode: int
    owner: str
    group: str
    links: int
    date_ns: int
    device: int
    attributes: Mapping[str, bytes]
    content: str


def entries(tree: Path) -> dict[str, Entry]:
    """Return everything that is in a root file system, itself included; owners by the names that it has for them."""
    users, groups = _names(tree / "etc/passwd"), _names(tree / "etc/group")
    return {str(path.relative_to(tree)): _entry(path, users, groups) for path in (tree, *tree.rglob("*"))}


def differences(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> Iterator[str]:
    """Say what is not in both, and of what is in both what is not the same."""
    for path in sorted(one.keys() | other.keys()):
        if path not in one or path not in other:
            yield f"{path}: only in the {'first' if path in one else 'second'}"
        elif one[path] != other[path]:
            first, second = vars(one[path]), vars(other[path])
            yield f"{path}: " + ", ".join(
                f"{name} {first[name]} / {second[name]}" for name in first if first[name] != second[name]
            )


def _names(table: Path) -> dict[str, str]:
    lines = (line.split(":") for line in table.read_text().splitlines())
    return {number: name for name, _, number, *_ in lines}


def _entry(path: Path, users: Mapping[str, str], groups: Mapping[str, str]) -> Entry:
    known = path.lstat()
    return Entry(
        mode=known.st_mode,
        owner=users.get(str(known.st_uid), str(known.st_uid)),
        group=groups.get(str(known.st_gid), str(known.st_gid)),
        links=known.st_nlink,
        date_ns=known.st_mtime_ns,
        device=known.st_rdev,
        attributes={
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
        },
        content=_content(path, known.st_mode),
    )


def _content(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if stat.S_ISREG(mode):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return ""
