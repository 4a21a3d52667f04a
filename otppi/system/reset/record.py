"""What is remembered about sticks: which one was applied or refused, and the last result, for the diagnosis."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from otppi.lib.atomicfile import write_atomically

log = logging.getLogger(__name__)

FILE_NAME = "reset-mark.json"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The mark against a second reset: a stick that has done what it asks for."""

    filesystem: str
    file_sha256: str
    done: tuple[str, ...]  # flags; those that failed are missing, and are tried again


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A stick whose refusal was told, so that it is not told again while it stays in."""

    device: str
    filesystem: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of the last stick."""

    when: str = ""  # ISO 8601; empty if the clock could not be trusted
    sections: tuple[str, ...] = ()  # titles of what was reset
    failed: Mapping[str, str] = field(default_factory=dict)  # title to reason
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that is remembered."""

    applied: Applied | None = None
    refused: Refused | None = None
    last: Result | None = None


def load(state_dir: Path) -> Record:
    """Read the record; an empty one if there is none or it is damaged."""
    try:
        document = json.loads((state_dir / FILE_NAME).read_bytes())
        if document["version"] != _VERSION:
            raise ValueError
        return Record(
            applied=_made(Applied, document["applied"]),
            refused=_made(Refused, document["refused"]),
            last=_made(Result, document["last"]),
        )
    except FileNotFoundError:
        return Record()
    except (ValueError, TypeError, KeyError, RecursionError, OSError):
        log.exception("the record of resets cannot be read and is begun anew")
        return Record()


def save(state_dir: Path, record: Record) -> None:
    """Write the record; on the disk when this returns.

    Raises:
        OSError: It is as it was.
    """
    data = json.dumps({"version": _VERSION, **asdict(record)}, indent=1).encode()
    write_atomically(state_dir / FILE_NAME, data + b"\n")


def _made(kind: Any, raw: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - one of three classes
    if raw is None:
        return None
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()})
