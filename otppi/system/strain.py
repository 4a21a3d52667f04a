"""A board in need: too hot, too little voltage, too little memory. Read from /sys and /proc alone."""

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from otppi.lib.bus import Bus
from otppi.model.checks import Check, Level
from otppi.model.events import HostStrained

log = logging.getLogger(__name__)

_PROCESSOR_ZONES = frozenset({"cpu-thermal", "soc-thermal", "soc", "bcm2835_thermal", "x86_pkg_temp"})
# `soc/soc:firmware`; on newer boards with the address of the chip after `soc`.
_THROTTLED = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
_UNDER_VOLTAGE_NOW = 1 << 0
# Its frequency is capped, it is throttled, it is at the soft limit of its temperature.
_SLOWED_NOW = 1 << 1 | 1 << 2 | 1 << 3
_SINCE_BOOT = 16  # by so many bits higher stands what was at any time
# The firmware of the Raspberry Pi slows the board down from 80 degrees on.
_HOT_C, _COOL_C, _WARM_C = 80.0, 74.0, 70.0
_LITTLE_MEMORY, _ENOUGH_MEMORY = 0.06, 0.10  # available, as a share of all
# Share of the last minute in which everything stood still for want of memory, in percent.
_STALLED, _FLOWING = 10.0, 3.0
# Voltage falls whenever a modem sends; so its need is over only after this many good looks.
_CALM_LOOKS: Mapping[str, int] = {"temperature": 1, "voltage": 10, "memory": 2}


@dataclass(frozen=True, kw_only=True)
class HostReadings:
    """What the board tells at one moment; None where it does not."""

    temperature_c: float | None = None
    has_under_voltage: bool | None = None
    had_under_voltage: bool | None = None  # at any time since it was switched on
    is_slowed: bool | None = None  # by its firmware, for heat or want of voltage
    was_slowed: bool | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    swap_bytes: int | None = None
    free_swap_bytes: int | None = None
    stalled_percent: float | None = None


class Degree(Enum):
    """How a reading compares with its limits."""

    WELL = auto()
    BETWEEN = auto()  # neither begins a need nor ends one
    STRAINED = auto()


@dataclass(frozen=True)
class Finding:
    """One reading, judged."""

    degree: Degree
    words: str


def read_host(root: Path = Path("/")) -> HostReadings:
    """Read everything; what is missing or unreadable is None."""
    throttled = next((_number(_text(path), 16) for path in root.glob(_THROTTLED)), None)
    memory = _memory(_text(root / "proc/meminfo"))
    return HostReadings(
        temperature_c=_temperature_c(root),
        has_under_voltage=_has_under_voltage(root, throttled),
        had_under_voltage=_any(throttled, _UNDER_VOLTAGE_NOW << _SINCE_BOOT),
        is_slowed=_any(throttled, _SLOWED_NOW),
        was_slowed=_any(throttled, _SLOWED_NOW << _SINCE_BOOT),
        memory_bytes=memory.get("MemTotal"),
        available_bytes=memory.get("MemAvailable"),
        swap_bytes=memory.get("SwapTotal"),
        free_swap_bytes=memory.get("SwapFree"),
        stalled_percent=_stalled_percent(_text(root / "proc/pressure/memory")),
    )


def judge(readings: HostReadings) -> dict[str, Finding]:
    """Compare readings with their limits; what could not be read is not among them."""
    found: dict[str, Finding] = {}
    if readings.temperature_c is not None:
        words = f"{readings.temperature_c:.0f} °C"
        found["temperature"] = Finding(_degree(readings.temperature_c, _COOL_C, _HOT_C), words)
    if readings.has_under_voltage is not None:
        degree = Degree.STRAINED if readings.has_under_voltage else Degree.WELL
        found["voltage"] = Finding(degree, "too low" if readings.has_under_voltage else "high enough")
    if readings.memory_bytes and readings.available_bytes is not None:
        found["memory"] = _judge_memory(readings.memory_bytes, readings.available_bytes, readings)
    return found


class StrainWatch:
    """Publishes `HostStrained` when a need begins and when it is over; `look` is to be called every 30 s."""

    def __init__(self, bus: Bus, root: Path = Path("/")) -> None:
        self._bus = bus
        self._root = root
        self._lock = threading.Lock()
        self._calm: dict[str, int] = {}  # what is strained: how many looks found it well since
        self._had_under_voltage = False

    def look(self) -> None:
        """Read and judge once, and tell what has changed."""
        readings = read_host(self._root)
        with self._lock:
            self._had_under_voltage |= bool(readings.has_under_voltage or readings.had_under_voltage)
            for what, finding in judge(readings).items():
                self._weigh(what, finding)

    def checks(self) -> Iterable[Check]:
        """Say how the board is now."""
        readings = read_host(self._root)
        findings = judge(readings)
        with self._lock:
            strained = set(self._calm)
            had_under_voltage = self._had_under_voltage or bool(readings.had_under_voltage)
        if not findings:
            yield Check(name="board", level=Level.GREEN, finding="tells nothing of heat, voltage or memory")
        for what, finding in findings.items():
            if what in strained or finding.degree is Degree.STRAINED:
                yield Check(name=what, level=Level.RED, finding=finding.words, advice=_ADVICE[what])
            elif what == "voltage" and had_under_voltage:
                words = "was too low since the device was switched on"
                yield Check(name=what, level=Level.YELLOW, finding=words, advice=_ADVICE[what])
            elif what == "temperature" and (readings.temperature_c or 0) >= _WARM_C:
                yield Check(name=what, level=Level.YELLOW, finding=finding.words, advice=_ADVICE[what])
            else:
                yield Check(name=what, level=Level.GREEN, finding=finding.words)

    def _weigh(self, what: str, finding: Finding) -> None:
        if finding.degree is Degree.STRAINED:
            if what not in self._calm:
                self._publish(what, finding.words, is_over=False)
            self._calm[what] = 0
        elif finding.degree is Degree.WELL and what in self._calm:
            self._calm[what] += 1
            if self._calm[what] >= _CALM_LOOKS[what]:
                del self._calm[what]
                self._publish(what, finding.words, is_over=True)

    def _publish(self, what: str, words: str, *, is_over: bool) -> None:
        fields = {"what": what, "finding": words}
        if is_over:
            log.info("the board has recovered", extra={"fields": fields})
        else:
            log.warning("the board is strained", extra={"fields": fields})
        self._bus.publish(HostStrained(what=what, finding=words, is_over=is_over))


_ADVICE: Mapping[str, str] = {
    "temperature": "Give the board air: open the case, put a heat sink or a fan on it, keep it out of the sun. It "
    "slows itself down at 80 °C.",
    "voltage": "Use a power supply of 5 V and 3 A (5 A for a Raspberry Pi 5) with a short, thick cable, and put "
    "the modems on a USB hub with a supply of its own. Modems fail and cards break at low voltage.",
    "memory": "Restart the device. If it comes back, end what else runs on it, or use a board with more memory.",
}


def _degree(value: float, well_at_most: float, strained_from: float) -> Degree:
    if value >= strained_from:
        return Degree.STRAINED
    return Degree.WELL if value <= well_at_most else Degree.BETWEEN


def _judge_memory(total: int, available: int, readings: HostReadings) -> Finding:
    stalled = readings.stalled_percent or 0.0
    # Turned round, as here little is bad.
    room = _degree(-available / total, -_ENOUGH_MEMORY, -_LITTLE_MEMORY)
    flow = _degree(stalled, _FLOWING, _STALLED)
    words = f"{available // 2**20} of {total // 2**20} MiB available"
    if flow is not Degree.WELL:
        words += f", standing still {stalled:.0f} % of the time"
    return Finding(max(room, flow, key=lambda degree: degree.value), words)


def _temperature_c(root: Path) -> float | None:
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    hottest = [
        value / 1000
        for zone in zones
        if _text(zone / "type").strip() in _PROCESSOR_ZONES
        and (value := _number(_text(zone / "temp"))) is not None
    ]
    return max(hottest, default=None)


def _has_under_voltage(root: Path, throttled: int | None) -> bool | None:
    for monitor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(monitor / "name").strip() == "rpi_volt":
            alarm = _number(_text(monitor / "in0_lcrit_alarm"))
            if alarm is not None:
                return bool(alarm)
    return _any(throttled, _UNDER_VOLTAGE_NOW)


def _any(bits: int | None, wanted: int) -> bool | None:
    return None if bits is None else bool(bits & wanted)


def _memory(meminfo: str) -> dict[str, int]:
    """Return the sizes in bytes by their names."""
    sizes: dict[str, int] = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        size = _number(rest.strip().removesuffix(" kB"))
        if size is not None:
            sizes[name] = size * 1024
    return sizes


def _stalled_percent(pressure: str) -> float | None:
    for line in pressure.splitlines():
        kind, *pairs = line.split()
        if kind == "full":
            averages = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            try:
                return float(averages["avg60"])
            except (KeyError, ValueError):
                return None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _number(text: str, base: int = 10) -> int | None:
    try:
        return int(text.strip(), base)
    except ValueError:
        return None
