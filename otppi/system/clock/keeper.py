"""Keeps the clock of the device as the owner wants it, and knows what it is worth."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from otppi.contracts.host import Units
from otppi.lib.backoff import delays_s
from otppi.lib.threads import died
from otppi.model.checks import Check
from otppi.model.errors import HostError, SettingsError
from otppi.system.clock.checks import clock_checks
from otppi.system.clock.chip import RealTimeClock, RtcState
from otppi.system.clock.ntpconf import FOLDER, write_conf
from otppi.system.clock.setmark import SetMark
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TimeDate, TimeState
from otppi.system.clock.trust import TrustedClock, agrees, is_plausible, judge

log = logging.getLogger(__name__)

# Writes wall time into the real-time clock. The kernel does that as well, but only every eleven minutes.
RTC_SAVE_UNIT = "otppi-rtc-save.service"
_LOOK_EVERY_S = 60.0
_CALM = 5  # times as long while all is well
_SOON_S = 3.0
_LONGEST_BACKOFF_S = 300.0
_OFFER_WAIT_S = 2.0  # who offers a time holds a thread of the pages
_BY_ADMINISTRATOR = "by the administrator"
_BY_SERVER = "by a time server"


class ClockKeeper:
    """Owns the thread `clock`; every other method may be called from any thread."""

    def __init__(
        self,
        *,
        settings: Callable[[], ClockSettings],
        clock: TrustedClock,
        timedate: TimeDate,
        units: Units,
        rtc: RealTimeClock,
        mark: SetMark,
        conf_folder: Path = FOLDER,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._timedate = timedate
        self._units = units
        self._rtc = rtc
        self._mark = mark
        self._conf_folder = conf_folder
        self._look_every_s = look_every_s
        self._restart_is_due = False
        self._looks_soon = False  # something was started; what came of it is not seen at once
        self._rtc_was_saved = False
        self._state: TimeState | None = None
        self._rtc_state: RtcState | None = None
        self._setting = threading.Lock()  # one at a time sets the time or looks
        self._bell = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Start looking after the clock."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop; the clock of the system stays as it is."""
        self._is_stopping = True
        self._bell.set()
        self._thread.join(timeout_s)

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._is_stopping)

    def changed(self) -> None:
        """Look at the settings again, now."""
        self._bell.set()

    def offer(self, epoch_s: float, *, origin: str) -> bool:
        """Take the time of a browser if the device has none that is worth more; waits.

        The caller has made sure that it may: somebody logged in, or over the access point.

        Args:
            epoch_s: What the browser shows.
            origin: Who offered it, in words that follow "set"; goes to the log and to pages.

        Returns:
            Whether it was taken.
        """
        if not self._setting.acquire(timeout=_OFFER_WAIT_S):
            return False
        try:
            self._judge()  # the last verdict may be old, or there is none yet
            if self._clock.trust.is_trusted or not is_plausible(epoch_s):
                return False
            try:
                self._set_time(epoch_s, origin)
            except HostError as error:
                log.warning("the offered time was not taken", extra={"fields": {"reason": str(error)}})
                return False
            return True
        finally:
            self._setting.release()

    def set_by_hand(self, epoch_s: float) -> None:
        """Set the time as the administrator says; waits. A time server may correct it later.

        Raises:
            SettingsError: It cannot be that time.
            HostError: The system did not take it.
        """
        if not is_plausible(epoch_s):
            raise SettingsError({"clock.time": "must be after the making of this release and before 2100"})
        with self._setting:
            self._set_time(epoch_s, _BY_ADMINISTRATOR)

    def checks(self) -> list[Check]:
        """Say how it is with the clock; of the last look."""
        return list(clock_checks(self._clock.trust, self._settings(), self._state, self._rtc_state))

    def look(self) -> None:
        """Make the clock as set, and judge it; waits.

        Raises:
            HostError: Something of the system did not do its part; the verdict is up to date all the same.
        """
        with self._setting:
            settings = self._settings()
            try:
                self._state = self._timedate.state()
            except HostError:
                self._state = None
                self._judge()
                raise
            self._judge()
            self._make_so(settings, self._state)

    def _run(self) -> None:
        delays: Iterator[float] | None = None
        while not self._is_stopping:
            try:
                self.look()
                delays = None
            except HostError as error:
                if delays is None:
                    delays = delays_s(1.0, _LONGEST_BACKOFF_S)
                    log.warning("the clock is not as set", extra={"fields": {"reason": str(error)}})
            except Exception:
                log.exception("the keeper of the clock failed")
            self._bell.wait(self._pause_s() if delays is None else next(delays))
            self._bell.clear()

    def _pause_s(self) -> float:
        soon, self._looks_soon = self._looks_soon, False
        if soon:
            return min(_SOON_S, self._look_every_s)
        # Each look starts timedated, which ends by itself and writes to the journal both times.
        return self._look_every_s * (_CALM if self._clock.trust.is_trusted else 1)

    def _set_time(self, epoch_s: float, set_by: str) -> None:
        self._timedate.set_time(epoch_s)
        self._mark.set(set_by)
        log.info("the clock was set", extra={"fields": {"by": set_by}})
        self._judge()
        self._bell.set()

    def _judge(self) -> None:
        is_synchronised = self._state is not None and self._state.is_synchronised
        if is_synchronised and not self._mark.set_by:
            # The signs of it go when timesyncd stops, and with them the trust in a clock that is still right.
            self._mark.set(_BY_SERVER)
        self._rtc_state = self._rtc.state()
        was = self._clock.trust
        trust = judge(
            wall_s=self._clock.wall_s(),
            is_synchronised=is_synchronised,
            set_by=self._mark.set_by,
            rtc=self._rtc_state,
        )
        self._clock.believe(trust)
        if trust != was:
            log.info(
                "the clock was judged",
                extra={"fields": {"trusted": trust.is_trusted, "reason": trust.reason}},
            )

    def _make_so(self, settings: ClockSettings, state: TimeState) -> None:
        # One that fails does not keep the others from being done.
        failures = []
        for step in (self._make_zone, self._make_servers, self._settle_rtc):
            try:
                step(settings, state)
            except (HostError, OSError) as error:
                failures.append(str(error))
        if failures:
            raise HostError("; ".join(failures))

    def _make_zone(self, settings: ClockSettings, state: TimeState) -> None:
        if state.time_zone != settings.time_zone:
            self._timedate.set_time_zone(settings.time_zone)
            # Otherwise this process goes on in the zone in which it was started.
            time.tzset()

    def _make_servers(self, settings: ClockSettings, state: TimeState) -> None:
        self._restart_is_due |= write_conf(settings, self._conf_folder)
        if state.can_ntp and state.ntp_enabled != settings.asks_network:
            self._timedate.set_ntp(settings.asks_network)
            self._looks_soon = True
        elif self._restart_is_due and state.ntp_enabled:
            self._timedate.restart_timesyncd()
            self._looks_soon = True
        self._restart_is_due = False

    def _settle_rtc(self, _: ClockSettings, __: TimeState) -> None:
        """Bring wall time that somebody vouches for into the real-time clock."""
        rtc = self._rtc_state
        if rtc is None or not self._mark.set_by:
            return
        if agrees(rtc, self._clock.wall_s()):
            if rtc.has_note:
                self._rtc.strike_out_note()
        elif not self._rtc_was_saved:
            self._units.start(RTC_SAVE_UNIT)
            self._rtc_was_saved = True
            self._looks_soon = True
