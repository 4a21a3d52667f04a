"""Has the firewall loaded anew when a setting that it depends on has changed."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otppi.contracts.host import Units
from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.model.checks import Check
from otppi.model.errors import HostError
from otppi.model.events import SettingsChanged
from otppi.services import firewall_plan
from otppi.settings.store import SettingsStore
from otppi.system.firewall import listening
from otppi.system.firewall.report import checks, digest, read_report
from otppi.system.firewall.settings import FirewallSettings, OpenPort

log = logging.getLogger(__name__)

UNIT = "otppi-firewall.service"
REPORT = Path("/run/otppi-firewall/report.json")
_SECTIONS = frozenset(section.key for section in firewall_plan.SECTIONS)
_SETTLE_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 30.0, 1800.0


class FirewallService:
    """Compares what was loaded with what is set; loading is the unit's work.

    Looks at every change, on the thread `bus:firewall`, and whenever `look` is called, from any thread.
    """

    def __init__(self, store: SettingsStore, bus: Bus, units: Units, report: Path = REPORT) -> None:
        self._store = store
        self._bus = bus
        self._units = units
        self._report = report
        self._looking = threading.Lock()
        self._pauses: Iterator[float] | None = None
        self._next_try_s = 0.0  # monotonic

    def start(self) -> None:
        """Listen for changes; returns at once."""
        self._bus.subscribe("firewall", self._changed, SettingsChanged, lag_s=_SETTLE_S)

    def look(self) -> None:
        """Have the rules loaded if they are not those of the settings; waits. After a failure it takes its time."""
        if time.monotonic() >= self._next_try_s:
            self._load_if_changed()

    def checks(self) -> Iterable[Check]:
        """Look whether the rules in force are those of the settings."""
        return checks(self._report, self._wanted())

    def show(self) -> dict[str, Any]:
        """Return whether the rules in force are those of the settings, and the ports that services keep open."""
        return {
            "checks": [one.as_json() for one in self.checks()],
            "needed": [asdict(one) for one in firewall_plan.services_in(self._store).needed()],
        }

    def listening(self) -> list[dict[str, Any]]:
        """List the ports on which programs listen, and whom the firewall lets through to each."""
        is_on = self._store.get(FirewallSettings).enabled
        ports, services = self._store.items(OpenPort), firewall_plan.services_in(self._store)
        return [
            {
                "protocol": one.protocol,
                "address": str(one.address),
                "port": one.port,
                "user": one.user,
                "program": one.program,
                "is_local": not one.is_reachable,
                "is_filtered": is_on,
                "ways": [asdict(way) for way in listening.ways(one, ports, services)],
            }
            for one in listening.listeners()
        ]

    def _changed(self, change: SettingsChanged) -> None:
        if change.section in _SECTIONS:
            self._load_if_changed()

    def _load_if_changed(self) -> None:
        with self._looking:
            if self._is_in_force():
                return
            try:
                self._units.restart(UNIT)
                if self._is_in_force():
                    self._pauses = None
                    return
                reason = "the unit reports a problem"
            except HostError as error:
                reason = str(error)
            if self._pauses is None:
                log.error("the firewall is not as set", extra={"fields": {"reason": reason}})
                self._pauses = delays_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            self._next_try_s = time.monotonic() + next(self._pauses)

    def _is_in_force(self) -> bool:
        report = read_report(self._report)
        return report is not None and not report.problem and report.digest == self._wanted()

    def _wanted(self) -> str:
        return digest(firewall_plan.wanted_rules(self._store))
