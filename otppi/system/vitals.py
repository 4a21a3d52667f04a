"""How the machine is: processor, memory, heat, voltage and storage, now and over the last week; in RAM alone."""

import math
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from otppi.system.strain import HostReadings, read_host

_MINUTE_S = 60.0
_MINUTES = 24 * 60  # one row for each
_IN_ONE_LATER = 10  # minutes of a row of the week
_WEEK_ROWS = 7 * 24 * 60 // _IN_ONE_LATER
_SHORTEST_S = 1.0  # in less, a processor that counts hundredths of seconds has counted too few
# proc(5), /proc/stat: what guests took is in user and nice already.
_TIMES, _IDLE, _IO_WAIT = 8, 3, 4


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A file system."""

    total_bytes: int
    used_bytes: int
    used_percent: float  # of what programs may use, as df says


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """The machine at one moment; None where it does not tell."""

    cpu_percent: float | None  # of all cores together
    load: tuple[float, float, float] | None  # tasks that ran or waited: of 1, 5 and 15 minutes
    uptime_s: float | None
    host: HostReadings
    volumes: Mapping[str, Volume]  # by the name that was asked for


@dataclass(frozen=True)
class Sample:
    """One row of the history, in percent of all there is; NaN where the machine does not tell."""

    boot_s: float
    cpu: float
    memory: float
    swap: float
    storage: float
    temperature: float  # °C


_ROW = struct.Struct(f"<d{len(fields(Sample)) - 1}f")


class Processor:
    """How busy the processor was since it was last asked; one asker, or all get what the last was told."""

    def __init__(self, clock_s: Callable[[], float], root: Path = Path("/")) -> None:
        """Begin to count; what is not asked for a second after that is not known."""
        self._stat = root / "proc/stat"
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._since_s = clock_s()
        self._times = _cpu_times(self._stat)
        self._percent: float | None = None

    def busy_percent(self) -> float | None:
        """Return the share of the time since the last call, or that of before if that was just now."""
        with self._lock:
            if self._clock_s() - self._since_s >= _SHORTEST_S:
                self._since_s = self._clock_s()
                before, self._times = self._times, _cpu_times(self._stat)
                self._percent = _busy_percent(before, self._times)
            return self._percent


def read_vitals(processor: Processor, volumes: Mapping[str, Path], root: Path = Path("/")) -> Vitals:
    """Read everything; what is missing or unreadable is None."""
    load = _numbers(root / "proc/loadavg", 3)
    return Vitals(
        cpu_percent=processor.busy_percent(),
        load=(load[0], load[1], load[2]) if load else None,
        uptime_s=next(iter(_numbers(root / "proc/uptime", 1)), None),
        host=read_host(root),
        volumes={name: found for name, path in volumes.items() if (found := _volume(path)) is not None},
    )


def sample_of(vitals: Vitals, storage: str, boot_s: float) -> Sample:
    """Return the row of the history for a moment; `storage` names the volume that it is about."""
    host, volume = vitals.host, vitals.volumes.get(storage)
    return Sample(
        boot_s=boot_s,
        cpu=_or_nan(vitals.cpu_percent),
        memory=used_percent(host.memory_bytes, host.available_bytes),
        swap=used_percent(host.swap_bytes, host.free_swap_bytes),
        storage=_or_nan(volume.used_percent if volume is not None else None),
        temperature=_or_nan(host.temperature_c),
    )


def used_percent(total: int | None, free: int | None) -> float:
    """Return the share that is used; NaN if it is not known or there is nothing."""
    return 100 * (total - free) / total if total and free is not None else math.nan


class History:
    """One row a minute for a day, and one for ten minutes for a week: some 350 KB at most.

    One thread adds; any may read.
    """

    def __init__(self) -> None:
        self._minutes: deque[bytes] = deque(maxlen=_MINUTES)
        self._week: deque[bytes] = deque(maxlen=_WEEK_ROWS)
        self._gathered: list[Sample] = []

    def is_due(self, boot_s: float) -> bool:
        """Whether the last row is a minute old."""
        return not self._minutes or boot_s - _unpacked(self._minutes[-1]).boot_s >= _MINUTE_S

    def add(self, sample: Sample) -> None:
        """Add a row."""
        self._minutes.append(_packed(sample))
        self._gathered.append(sample)
        if len(self._gathered) == _IN_ONE_LATER:
            self._week.append(_packed(_mean(self._gathered)))
            self._gathered.clear()

    def rows(self, since_boot_s: float, *, is_long: bool) -> list[Sample]:
        """Return the rows since then, the oldest first: those of minutes, or the long ones of ten."""
        rows = map(_unpacked, (self._week if is_long else self._minutes).copy())
        return [row for row in rows if row.boot_s >= since_boot_s]


def _packed(sample: Sample) -> bytes:
    return _ROW.pack(*(getattr(sample, field.name) for field in fields(sample)))


def _unpacked(row: bytes) -> Sample:
    return Sample(*_ROW.unpack(row))


def _mean(samples: Sequence[Sample]) -> Sample:
    """Return the means of what was told, at the time of the last."""
    means = (
        _mean_of(getattr(one, field.name) for one in samples)
        for field in fields(Sample)
        if field.name != "boot_s"
    )
    return Sample(samples[-1].boot_s, *means)


def _mean_of(values: Iterable[float]) -> float:
    told = [value for value in values if not math.isnan(value)]
    return sum(told) / len(told) if told else math.nan


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _cpu_times(stat: Path) -> Sequence[int]:
    """Return the times of all cores together, in ticks; empty if they are not told."""
    try:
        words = stat.read_text().partition("\n")[0].split()
        return [int(word) for word in words[1 : 1 + _TIMES]] if words[:1] == ["cpu"] else []
    except (OSError, ValueError):
        return []


def _busy_percent(before: Sequence[int], now: Sequence[int]) -> float | None:
    if len(before) != _TIMES or len(now) != _TIMES:
        return None
    # The kernel says that the time waited for disks may go back.
    spent = [max(0, later - earlier) for earlier, later in zip(before, now, strict=True)]
    total = sum(spent)
    return 100 * (total - spent[_IDLE] - spent[_IO_WAIT]) / total if total else None


def _numbers(path: Path, count: int) -> Sequence[float]:
    try:
        found = [float(word) for word in path.read_text().split()[:count]]
    except (OSError, ValueError):
        return ()
    return found if len(found) == count else ()


def _volume(path: Path) -> Volume | None:
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    used = status.f_blocks - status.f_bfree
    usable = used + status.f_bavail
    return Volume(
        total_bytes=status.f_blocks * status.f_frsize,
        used_bytes=used * status.f_frsize,
        used_percent=100 * used / usable if usable else 0.0,
    )
