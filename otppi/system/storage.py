"""The storage under the state folder: how the start of the device found it, and the room that is left."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otppi.model.checks import Check, Level

# Written by the first program of the image, before systemd; elsewhere there is none.
REPORT = Path("/run/otppi-storage/report.json")
_LONGEST_BYTES = 64 * 1024
_LITTLE_BYTES = 16 * 2**20
_TOO_LITTLE_BYTES = 2**20
_DYING = "Sending goes on, but the card is probably dying: replace it."


def check(state_dir: Path, report: Path = REPORT) -> Check:
    """Look at the storage; the worst that there is to say.

    Raises:
        OSError: The folder is not there.
    """
    started = _read(report)
    status = os.statvfs(state_dir)
    free_bytes = status.f_bavail * status.f_frsize
    notes = "; ".join(started.get("notes", ()))
    if started.get("data") == "volatile":
        finding = "; ".join(filter(None, [notes, "what is set now is gone after a restart"]))
        return _check(Level.RED, finding, f"{_DYING} Take the settings along: otppi settings export")
    if not os.access(state_dir, os.W_OK):
        return _check(Level.RED, "cannot be written to", _DYING)
    if free_bytes < _LITTLE_BYTES:
        level = Level.RED if free_bytes < _TOO_LITTLE_BYTES else Level.YELLOW
        advice = "No setting can be saved any more, or soon; sending goes on. Delete what is not needed."
        return _check(level, f"{free_bytes // 1024} KiB free", advice)
    if notes:
        return _check(Level.YELLOW, notes, "Restart the device. If it stays so, flash another card.")
    room = f"{free_bytes // 2**20} MiB free"
    if started.get("is_repaired") is True:
        advice = "Look whether all settings are right. If it comes again, the card is dying: replace it."
        return _check(Level.YELLOW, f"{room}; was damaged and repaired when the device started", advice)
    return _check(Level.GREEN, room)


def _check(level: Level, finding: str, advice: str = "") -> Check:
    return Check(name="storage", level=level, finding=finding, advice=advice)


def _read(report: Path) -> Mapping[str, Any]:
    try:
        with report.open("rb") as file:
            found = json.loads(file.read(_LONGEST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
