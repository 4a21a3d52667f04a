"""PINs that a SIM has refused, so that no restart spends the next try."""

import json
import logging
import threading
from pathlib import Path

from otppi.lib.atomicfile import write_atomically
from otppi.lib.passwords import hash_password, verify_password

log = logging.getLogger(__name__)


class RefusedPins:
    """Remembers, over restarts and power cuts, which PIN a modem's SIM did not take.

    A SIM blocks after three wrong tries, so a PIN that was refused once is not tried again until the owner
    changes it. Only a slow hash is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        try:
            self._refused: dict[str, str] = json.loads(file.read_text())
        except FileNotFoundError:
            self._refused = {}
        except ValueError:
            log.warning("the list of refused PINs is damaged and starts anew")
            self._refused = {}

    def has(self, modem_id: str, pin: str) -> bool:
        """Whether this PIN was refused at this modem."""
        return verify_password(pin, self._refused.get(modem_id, ""))

    def add(self, modem_id: str, pin: str) -> None:
        """Remember a refusal; on disk when this returns."""
        with self._lock:
            self._refused[modem_id] = hash_password(pin)
            write_atomically(self._file, json.dumps(self._refused).encode())

    def forget(self, modem_id: str) -> None:
        """The SIM took a PIN."""
        with self._lock:
            if self._refused.pop(modem_id, None) is not None:
                write_atomically(self._file, json.dumps(self._refused).encode())
