"""Which sticks are in at a moment, as the watcher writes it and others read it without trusting it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from otppi.settings.resetfile import FLAG, MOST_FLAGS

LONGEST_BYTES = 256 * 1024
MOST_STICKS = 16
_VERSION = 1
_LONGEST_REFUSAL = 300
_HASH = re.compile(r"[0-9a-f]{64}|")
_SHAPES = {
    "device": re.compile(r"[A-Za-z0-9_.-]{1,32}"),
    "filesystem": re.compile(r"(?:vfat|exfat|ext4) [0-9A-Fa-f-]{1,36}|"),
    "file_sha256": _HASH,
    "secret_sha256": _HASH,
    "refusal": re.compile(rf"[ -~]{{0,{_LONGEST_REFUSAL}}}"),
}


class BadSnapshot(ValueError):
    """The text is no snapshot."""


@dataclass(frozen=True, kw_only=True)
class Stick:
    """A file system on a stick that holds a reset file, or was meant to."""

    device: str  # sda1
    filesystem: str = ""  # kind and id; empty if it could not be found out
    file_sha256: str = ""  # empty if the file could not be read
    secret_sha256: str = field(default="", repr=False)
    flags: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    refusal: str = ""  # why it resets nothing

    @classmethod
    def refused(cls, device: str, reason: str, filesystem: str = "", file_sha256: str = "") -> "Stick":
        """Return one that resets nothing; the reason is made fit to be shown."""
        shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in reason)[:_LONGEST_REFUSAL]
        return cls(
            device=device, filesystem=filesystem, file_sha256=file_sha256, refusal=shown or "cannot be used"
        )

    @classmethod
    def parse(cls, raw: object) -> "Stick":
        """Read one.

        Raises:
            BadSnapshot: It is none.
        """
        if not isinstance(raw, dict):
            raise BadSnapshot("a stick is no object")
        texts = {name: _text(raw, name) for name in _SHAPES}
        stick = cls(**texts, flags=_flags(raw, "flags"), unclear=_flags(raw, "unclear"))
        if not stick.refusal and not (stick.filesystem and stick.file_sha256 and stick.flags):
            raise BadSnapshot("a stick that is not refused lacks something")
        return stick


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All sticks that are in."""

    sticks: tuple[Stick, ...]
    is_settled: bool  # whether what was plugged in before the start had the time to show up

    def as_json(self) -> bytes:
        """Return it for the disk."""
        sticks = [asdict(stick) for stick in self.sticks]
        document = {"version": _VERSION, "settled": self.is_settled, "sticks": sticks}
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "Snapshot":
        """Read one.

        Raises:
            BadSnapshot: It is none.
        """
        if len(data) > LONGEST_BYTES:
            raise BadSnapshot("is too long")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadSnapshot("is not JSON") from error
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            raise BadSnapshot("is of another version")
        sticks, is_settled = document.get("sticks"), document.get("settled")
        if not isinstance(sticks, list) or len(sticks) > MOST_STICKS or not isinstance(is_settled, bool):
            raise BadSnapshot("has another structure")
        return cls(sticks=tuple(map(Stick.parse, sticks)), is_settled=is_settled)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str) or not _SHAPES[name].fullmatch(value):
        raise BadSnapshot(f"{name} has another form")
    return value


def _flags(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values: Sequence[object] = raw.get(name, ())
    if not isinstance(values, list | tuple) or len(values) > MOST_FLAGS:
        raise BadSnapshot(f"{name} is no list, or a long one")
    flags = tuple(one for one in values if isinstance(one, str) and FLAG.fullmatch(one))
    if len(flags) != len(values):
        raise BadSnapshot(f"{name} holds what is no flag")
    return flags
