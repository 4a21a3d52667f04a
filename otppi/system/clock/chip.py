"""The real-time clock as a whole: what the chip, the kernel and the kernel's log know of it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from otppi.system.clock import rtc
from otppi.system.clock.rtc import KernelRtc, RtcReading

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RtcState:
    """The real-time clock now, and how it came through the last time without power."""

    lost_power: bool | None  # before this boot; None where nobody knows
    set_the_clock: bool  # whether the kernel took the time from it at boot
    epoch_s: float | None  # None where it has no time, or nobody may read it
    temperature_c: float | None = None
    has_note: bool = False  # its note of lost power still stands


def combined(
    reading: RtcReading | None, kernel: KernelRtc | None, lost_at_boot: bool | None
) -> RtcState | None:
    """Put together what is known; None if nobody has seen a real-time clock."""
    if reading is None and kernel is None:
        return None
    has_note = reading is not None and reading.lost_power
    return RtcState(
        lost_power=True if has_note else lost_at_boot,
        set_the_clock=kernel is not None and kernel.set_the_clock,
        epoch_s=_epoch_s(reading, kernel),
        temperature_c=None if reading is None else reading.temperature_c,
        has_note=has_note,
    )


class RealTimeClock:
    """Looks at all sources; every method waits for the chip, the first `state` also for the kernel's log."""

    def __init__(
        self,
        bus: Callable[[], int],
        *,
        kernel_log: Callable[[], str] = rtc.kernel_log,
        dev: Path = Path("/dev"),
        sys: Path = Path("/sys"),
    ) -> None:
        """Make it; `bus` says the number of the I2C bus that the owner set."""
        self._bus = bus
        self._kernel_log = kernel_log
        self._dev = dev
        self._sys = sys
        self._log_was_read = False
        self._lost_at_boot: bool | None = None

    def state(self) -> RtcState | None:
        """Return what is known now; None without a real-time clock."""
        reading, kernel = self._look()
        if reading is None and kernel is None:
            return None
        if not self._log_was_read:
            # Once: a log in RAM may have lost its beginning by the time one looks again.
            self._lost_at_boot = rtc.lost_power_at_boot(self._kernel_log())
            self._log_was_read = True
            reading, kernel = self._look()  # that took a while
        return combined(reading, kernel, self._lost_at_boot)

    def strike_out_note(self) -> None:
        """Strike out the chip's note of lost power; for when its time is right again."""
        bus = rtc.find_bus(self._bus(), self._sys)
        try:
            if bus is not None:
                rtc.clear_lost_power(bus, self._dev)
        except OSError as error:
            log.warning("the real-time clock keeps its note", extra={"fields": {"reason": str(error)}})

    def _look(self) -> tuple[RtcReading | None, KernelRtc | None]:
        bus = rtc.find_bus(self._bus(), self._sys)
        return None if bus is None else rtc.read(bus, self._dev), rtc.kernel_rtc(self._sys)


def _epoch_s(reading: RtcReading | None, kernel: KernelRtc | None) -> float | None:
    if kernel is not None and kernel.epoch_s is not None:
        return float(kernel.epoch_s)
    if reading is not None and reading.time is not None:
        return reading.time.timestamp()
    return None
