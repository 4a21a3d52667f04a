"""The mark that somebody set the clock since boot; a restart of the service finds it again."""

import json
import logging
from pathlib import Path

from otppi.lib.atomicfile import write_atomically

log = logging.getLogger(__name__)

_NAME = "clock-set.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SetMark:
    """Kept in a folder, if there is one, and valid until the next boot."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _NAME
        self._boot_id = _BOOT_ID.read_text("ascii").strip()
        self._set_by = self._kept()

    @property
    def set_by(self) -> str:
        """Who set the clock since boot, in words; empty if nobody did."""
        return self._set_by

    def set(self, set_by: str) -> None:
        """Note who set it."""
        self._set_by = set_by
        if self._path is None:
            return
        try:
            write_atomically(
                self._path, json.dumps({"boot_id": self._boot_id, "set_by": set_by}).encode("ascii")
            )
        except OSError as error:
            log.warning("a restart will not know who set the clock", extra={"fields": {"reason": str(error)}})

    def _kept(self) -> str:
        try:
            kept = json.loads(self._path.read_bytes()) if self._path is not None else {}
            return str(kept["set_by"]) if kept.get("boot_id") == self._boot_id else ""
        except (OSError, ValueError, KeyError, AttributeError):
            return ""
