"""Moments after which waiting is pointless."""

import math
from dataclasses import dataclass

from otppi.lib.clock import Clock


@dataclass(frozen=True)
class Deadline:
    """A moment on the boot clock; `inf` means that nobody is in a hurry."""

    clock: Clock
    at_boot_s: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> "Deadline":
        """Return the moment that lies so many seconds ahead."""
        return cls(clock, clock.boot_s() + seconds)

    @classmethod
    def never(cls, clock: Clock) -> "Deadline":
        """Return a moment that does not come."""
        return cls(clock, math.inf)

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at_boot_s - self.clock.boot_s())

    @property
    def expired(self) -> bool:
        """Whether the moment has come."""
        return self.clock.boot_s() >= self.at_boot_s

    def within(self, seconds: float) -> "Deadline":
        """Return the earlier of this moment and the one so many seconds ahead."""
        return Deadline(self.clock, min(self.at_boot_s, self.clock.boot_s() + seconds))
