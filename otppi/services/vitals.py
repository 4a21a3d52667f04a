"""How the machine under the gateway is, for its owner."""

import math
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otppi.lib.clock import Clock
from otppi.model.errors import BadRequest
from otppi.system.vitals import History, Processor, Sample, read_vitals, sample_of

_STATE, _ROOT = "state", "root"
_HOUR_S = 3600.0
_DAY_HOURS, _WEEK_HOURS = 24, 7 * 24


class VitalSigns:
    """Reads the machine when asked, and keeps a history as often as `sample` is called."""

    def __init__(self, state_dir: Path, clock: Clock, root: Path = Path("/")) -> None:
        """Take the folder whose storage counts, the clock, and where /proc and /sys are."""
        self._clock = clock
        self._root = root
        self._volumes = {_STATE: state_dir, _ROOT: root}
        self._history = History()
        self._sampling = threading.Lock()
        self._model = _model(root)
        # Each counts since its own last time.
        self._processor, self._sampled_processor = (Processor(clock.boot_s, root) for _ in range(2))

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the calls of the control socket; they take and return JSON values."""
        return {"device.vitals": self.now, "device.history": self.history}

    def sample(self) -> None:
        """Add a row to the history if the last is a minute old."""
        with self._sampling:
            boot_s = self._clock.boot_s()
            if self._history.is_due(boot_s):
                vitals = read_vitals(self._sampled_processor, self._volumes, self._root)
                self._history.add(sample_of(vitals, _STATE, boot_s))

    def now(self) -> dict[str, Any]:
        """Return processor, memory, heat, voltage and storage as they are now; null is what the machine does not tell.

        Where nothing else samples, as without a device, the history grows while somebody looks here.
        """
        self.sample()
        vitals = read_vitals(self._processor, self._volumes, self._root)
        host = vitals.host
        return {
            "model": self._model,
            "cpu_percent": _rounded(vitals.cpu_percent),
            "load": vitals.load,
            "uptime_s": vitals.uptime_s,
            "memory": {"total_bytes": host.memory_bytes, "available_bytes": host.available_bytes},
            "swap": {"total_bytes": host.swap_bytes, "free_bytes": host.free_swap_bytes},
            "temperature_c": _rounded(host.temperature_c),
            "has_under_voltage": host.has_under_voltage,
            "had_under_voltage": host.had_under_voltage,
            "is_slowed": host.is_slowed,
            "was_slowed": host.was_slowed,
            "storage": {name: asdict(volume) for name, volume in vitals.volumes.items()},
        }

    def history(self, hours: int = _DAY_HOURS) -> list[dict[str, Any]]:
        """Return rows of the last hours, the oldest first: a row a minute up to a day, for more a row for ten minutes.

        Args:
            hours: 1 to 168.
        """
        if not 1 <= hours <= _WEEK_HOURS:
            raise BadRequest("hours", f"must be 1 to {_WEEK_HOURS}")
        boot_s = self._clock.boot_s()
        # The rows are on the clock that never jumps; they are told as the wall clock is now.
        offset_s = self._clock.wall_s() - boot_s
        found = self._history.rows(boot_s - hours * _HOUR_S, is_long=hours > _DAY_HOURS)
        return [_as_json(sample, offset_s) for sample in found]


def _model(root: Path) -> str | None:
    """Return what a board calls itself."""
    try:
        return (root / "proc/device-tree/model").read_text().rstrip("\0")
    except OSError:
        return None


def _as_json(sample: Sample, offset_s: float) -> dict[str, Any]:
    return {
        "at": round(sample.boot_s + offset_s),  # seconds since 1970
        "cpu": _rounded(sample.cpu),
        "memory": _rounded(sample.memory),
        "swap": _rounded(sample.swap),
        "storage": _rounded(sample.storage),
        "temperature": _rounded(sample.temperature),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 1)
