"""What the device does for itself now and then: looks after its board, and restarts when it is due."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.threads import died
from otppi.model.checks import Check
from otppi.settings.store import SettingsStore
from otppi.system.schedule import HousekeepingSettings, Restarts, Scheduler
from otppi.system.strain import StrainWatch

log = logging.getLogger(__name__)

_PERIOD_S = 30.0


class Housekeeping:
    """Does it on the thread `housekeeping`, every 30 seconds."""

    def __init__(
        self,
        bus: Bus,
        store: SettingsStore,
        clock: Clock,
        restarts: Restarts,
        *,
        duties: Sequence[Callable[[], None]] = (),
        root: Path = Path("/"),
    ) -> None:
        """Take what there is to do.

        Args:
            bus: Who is told.
            store: What is set.
            clock: Whether it is time.
            restarts: How to restart.
            duties: What else is to be done each time.
            root: Where /proc and /sys are.
        """
        self._duties = duties
        self._strain = StrainWatch(bus, root)
        self._scheduler = Scheduler(lambda: store.get(HousekeepingSettings), clock, restarts)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stop.is_set())

    def checks(self) -> Iterable[Check]:
        """Say how the board is and what is planned."""
        yield from self._strain.checks()
        yield from self._scheduler.checks()

    def _run(self) -> None:
        while not self._stop.is_set():
            for duty in (self._strain.look, self._scheduler.tick, *self._duties):
                try:
                    duty()
                except Exception:
                    # One duty that fails must not keep the other from being done, nor from being tried again.
                    log.exception("housekeeping failed")
            self._stop.wait(_PERIOD_S)
