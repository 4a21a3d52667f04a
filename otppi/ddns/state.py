"""What is known of every record at its vendor, over restarts and power cuts."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from otppi.ddns.schedule import AccountStop, Known, Said
from otppi.lib.atomicfile import write_atomically

log = logging.getLogger(__name__)

_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class State:
    """All of it: records by id, and refusals of whole accounts by vendor."""

    records: Mapping[str, Known] = field(default_factory=dict)
    accounts: Mapping[str, AccountStop] = field(default_factory=dict)


class StateFile:
    """A small file, written only when it would change; for one thread at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._on_disk: State | None = None
        self._is_failing = False

    def load(self) -> State:
        """Return what the disk has; nothing is known if it cannot be read."""
        try:
            self._on_disk = _read(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            self._on_disk = State()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            log.exception("what is known of dynamic DNS cannot be read; every vendor is asked once")
        return self._on_disk or State()

    def save(self, state: State) -> None:
        """Bring it to the disk; where that fails the next call tries again."""
        if state == self._on_disk:
            return
        document = {
            "format": _FORMAT,
            "records": {record_id: asdict(known) for record_id, known in state.records.items()},
            "accounts": {vendor: asdict(stop) for vendor, stop in state.accounts.items()},
        }
        try:
            write_atomically(self._file, json.dumps(document).encode())
        except OSError as error:
            if not self._is_failing:
                fields = {"reason": error.strerror}
                log.error("what is known of dynamic DNS cannot be saved", extra={"fields": fields})  # noqa: TRY400
            self._is_failing = True
            return
        self._on_disk, self._is_failing = state, False


def _read(document: Mapping[str, Any]) -> State:
    return State(
        records={
            str(record_id): Known(
                **{**known, "asked": tuple(map(float, known["asked"])), "said": Said(**known["said"])}
            )
            for record_id, known in document["records"].items()
        },
        accounts={
            str(vendor): AccountStop(**{**stop, "said": Said(**stop["said"])})
            for vendor, stop in document["accounts"].items()
        },
    )
