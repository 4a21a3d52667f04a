"""What the benchmark tells: rows with a measured value, and what it should be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """How a row came out."""

    MET = "met"
    MISSED = "missed"
    INFORMATION = "-"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class RowSpec:
    """A row before it is measured."""

    key: str
    title: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    # Missing this is a fault, not a matter of speed: it fails the run.
    is_correctness: bool = False

    @property
    def target(self) -> str:
        """The target as people read it."""
        if self.at_least is not None and self.at_least == self.at_most:
            return f"= {self.at_least:g}"
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    def judge(self, value: float) -> Verdict:
        """Compare a value with the target."""
        if self.at_least is None and self.at_most is None:
            return Verdict.INFORMATION
        is_low = self.at_least is not None and value < self.at_least
        is_high = self.at_most is not None and value > self.at_most
        return Verdict.MISSED if is_low or is_high else Verdict.MET


@dataclass(frozen=True)
class Reading:
    """A measured value, and what belongs to it."""

    value: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table."""

    spec: RowSpec
    measurement: str
    reading: Reading | None
    why_not: str = ""

    @property
    def verdict(self) -> Verdict:
        """How it came out."""
        return Verdict.NOT_MEASURED if self.reading is None else self.spec.judge(self.reading.value)

    @property
    def fails_the_run(self) -> bool:
        """Whether the exit code must tell of it."""
        return self.verdict is Verdict.NOT_MEASURED or (
            self.spec.is_correctness and self.verdict is Verdict.MISSED
        )


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured, and where there is room for it."""

    folder: Path  # on a real disk, so that writes to it can be counted
    quick: bool = False
    idle_s: float = 20.0

    def pick(self, full: int, quick: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else full


Readings = Mapping[str, Reading]


class CouldNotMeasure(Exception):
    """A measurement has no result; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One subject: the rows that it fills, and how."""

    name: str
    rows: Sequence[RowSpec]
    run: Callable[[Extent], Readings]
    # One that cannot be short is left out of the short form, unless it is asked for by name.
    is_long: bool = False
