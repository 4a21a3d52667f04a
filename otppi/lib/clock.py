"""The two clocks of the product: wall time that people read, and boot time that measures lives."""

import time
from typing import Protocol

# No release can run before it was made; an earlier wall clock is a board without a clock that has just started.
EARLIEST_PLAUSIBLE_WALL_S = 1_790_000_000.0  # 2026-09-21


class Clock(Protocol):
    """Gives wall time and boot time, so that tests own time and a missing RTC is one case in one place."""

    def wall_s(self) -> float:
        """Seconds since the Unix epoch, as far as the device knows."""
        ...

    def boot_s(self) -> float:
        """Seconds since boot, suspended time included (CLOCK_BOOTTIME); never jumps."""
        ...

    def wall_is_trusted(self) -> bool:
        """Whether wall time can be compared with what a client calls now."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def wall_s(self) -> float:
        """See `Clock`."""
        return time.time()

    def boot_s(self) -> float:
        """See `Clock`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall_is_trusted(self) -> bool:
        """Trust any wall time that is not before this release."""
        return time.time() >= EARLIEST_PLAUSIBLE_WALL_S
