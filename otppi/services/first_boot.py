"""What is remembered of the first boot, and what the diagnosis says about it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from otppi.lib.atomicfile import write_atomically
from otppi.model.checks import Check, Level

REPORT = Path("/run/otppi-first-boot/report.json")
_VERSION = 1
_LONGEST_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Mark:
    """In the state folder: which preset file was applied last, so that none is applied twice."""

    digest: str = ""
    note: str = ""  # what takes the place of the file
    hidden: Mapping[str, str] = field(
        default_factory=dict
    )  # what came by a preset: name to digest of the value

    @classmethod
    def load(cls, path: Path) -> "Mark":
        """Return it; an empty one if there is none or what is there is damaged."""
        stored = _read(path)
        try:
            digest, note, hidden = stored["digest"], stored["note"], stored["hidden"]
        except KeyError:
            return cls()
        is_valid = isinstance(digest, str) and isinstance(note, str) and isinstance(hidden, dict)
        return cls(digest=digest, note=note, hidden=hidden) if is_valid else cls()

    def hides(self, name: str, value: str) -> bool:
        """Whether a secret came by a preset, and so is not written to the card again."""
        return self.hidden.get(name) == digest_of(value.encode())

    def save(self, path: Path) -> None:
        """Write it; the folder is there."""
        write_atomically(path, _encoded(asdict(self)))


@dataclass(frozen=True, kw_only=True)
class Report:
    """In RAM, for the diagnosis; without any secret."""

    has_applied: bool = False  # in this boot
    mistakes: Mapping[str, str] = field(default_factory=dict)  # of the preset file: name to reason
    failures: tuple[str, ...] = ()  # what the device itself could not do

    @classmethod
    def load(cls, path: Path) -> "Report | None":
        """Return it; None if there is none."""
        stored = _read(path)
        mistakes, failures = stored.get("mistakes"), stored.get("failures")
        if not isinstance(mistakes, dict) or not isinstance(failures, list):
            return None
        return cls(
            has_applied=stored.get("has_applied") is True,
            mistakes={str(name): str(reason) for name, reason in mistakes.items()},
            failures=tuple(map(str, failures)),
        )

    def save(self, path: Path) -> None:
        """Write it so that the gateway can read it; the folder is there."""
        write_atomically(path, _encoded(asdict(self)))
        path.chmod(0o644)

    def lines(self) -> tuple[str, ...]:
        """Return what the console and the brochure say; nothing if all is well."""
        lines = [f"first boot: {failure}" for failure in self.failures]
        if self.mistakes:
            lines.append("otppi.toml was NOT applied:")
            lines += [f"  {name}: {reason}" for name, reason in self.mistakes.items()]
        return tuple(lines)


def digest_of(data: bytes) -> str:
    """Return what a preset file is known by."""
    return hashlib.sha256(data).hexdigest()


def checks(report: Path = REPORT) -> Iterable[Check]:
    """Look at what the unit did when the device started."""
    found = Report.load(report)
    if found is None:
        yield _check(
            Level.YELLOW,
            "has left no report",
            "Restart the device; if that does not help, look at: systemctl status otppi-first-boot",
        )
        return
    if found.failures:
        yield _check(
            Level.YELLOW,
            "; ".join(found.failures),
            "The brochure on the card may be missing or old. Look at the card and the storage, then restart.",
        )
    if found.mistakes:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.mistakes.items())
        yield _check(
            Level.YELLOW,
            f"otppi.toml was not applied: {reasons}",
            "Correct the file on the card with a computer, or remove it, and start the device again.",
        )
    if not found.failures and not found.mistakes:
        finding = "otppi.toml was applied" if found.has_applied else "nothing is left to do"
        yield _check(Level.GREEN, finding, "")


def _check(level: Level, finding: str, advice: str) -> Check:
    return Check(name="first boot", level=level, finding=finding, advice=advice)


def _encoded(values: Mapping[str, Any]) -> bytes:
    return json.dumps({"version": _VERSION, **values}, indent=2).encode() + b"\n"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LONGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
