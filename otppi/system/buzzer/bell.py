"""What the buzzer is sounded for."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import time as TimeOfDay
from typing import Any

from otppi.contracts.host import Speaker
from otppi.lib.bus import Bus
from otppi.model.checks import Check, Level
from otppi.model.errors import HostError, HostUnreachable
from otppi.model.events import (
    BalanceLow,
    BrokerLost,
    Channel,
    MessageFinished,
    ModemStateChanged,
    Outcome,
    RequestAnswered,
    ResetByStick,
)
from otppi.model.modems import ModemState
from otppi.system.buzzer.settings import BellSettings
from otppi.system.buzzer.tune import Tune

log = logging.getLogger(__name__)

# Who sends by hand sees the outcome.
_DOORS_BY_HAND = frozenset({"cli", "admin"})
_NO_MODEM = "1101"
_PAUSE_S = 30.0  # a storm of failures is one alarm
_LAG_S = 0.2
# What somebody stands beside and waits for.
_AT_ANY_HOUR = frozenset({Tune.RESET_DONE, Tune.RESET_REFUSED, Tune.TEST})


@dataclass(frozen=True)
class _TestWanted:
    pass


class Bell:
    """Listens to the bus and plays one tune at a time, on the thread `bus:buzzer`."""

    def __init__(
        self,
        bus: Bus,
        *,
        settings: Callable[[], BellSettings],
        speaker: Speaker,
        missing: Callable[[], str],
        local_time: Callable[[], TimeOfDay | None],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a bell that does not listen yet.

        Args:
            bus: Where the news comes from.
            settings: Asked for at every event.
            speaker: Sounds the tones.
            missing: Says what the speaker lacks, or nothing.
            local_time: The time of day; None while the clock is not to be trusted, and then no hour is quiet.
            monotonic_s: Measures the pause between two tunes of a kind.
        """
        self._bus = bus
        self._settings = settings
        self._speaker = speaker
        self._missing = missing
        self._local_time = local_time
        self._monotonic_s = monotonic_s
        self._ended_s: dict[Tune, float] = {}
        self._hushed = threading.Event()
        self._stopping = threading.Event()
        self._test_waits = threading.Event()
        self._problem = ""

    def start(self) -> None:
        """Begin to listen; ends with the bus."""
        self._bus.subscribe(
            "buzzer",
            self._hear,
            MessageFinished,
            RequestAnswered,
            BrokerLost,
            BalanceLow,
            ModemStateChanged,
            ResetByStick,
            _TestWanted,
            lag_s=_LAG_S,
        )

    def test(self) -> None:
        """Play the test tune, at any hour; returns at once. Pressed twice before it begins it is played once.

        Raises:
            HostUnreachable: There is no buzzer.
        """
        if missing := self._missing():
            raise HostUnreachable(missing)
        if not self._test_waits.is_set():
            self._test_waits.set()
            self._bus.publish(_TestWanted())

    def hush(self) -> None:
        """End the tune that is being played, after its present tone; returns at once."""
        self._hushed.set()

    def stop(self) -> None:
        """Play nothing more; returns at once."""
        self._stopping.set()

    def show(self) -> dict[str, Any]:
        """Return what the buzzer lacks, if anything, and whether these are its quiet hours."""
        return {"problem": self._missing() or self._problem, "is_quiet": self._is_quiet(self._settings())}

    def checks(self) -> Iterable[Check]:
        """Look at the buzzer; that there is none is no error."""
        settings = self._settings()
        if problem := self._missing() or self._problem:
            yield Check(name="buzzer", level=Level.GREEN, finding=f"no buzzer found: {problem}")
            return
        quiet = ""
        if settings.quiet_from:
            quiet = f", quiet from {settings.quiet_from} until {settings.quiet_until}"
        yield Check(name="buzzer", level=Level.GREEN, finding=f"at GPIO {settings.pin}{quiet}")

    def _hear(self, event: object) -> None:
        settings = self._settings()
        tune = _tune_for(event, settings)
        if tune is Tune.TEST:
            self._test_waits.clear()
        if tune is not None and self._may_sound(tune, settings):
            self._play(tune, settings)
            self._ended_s[tune] = self._monotonic_s()

    def _may_sound(self, tune: Tune, settings: BellSettings) -> bool:
        if self._stopping.is_set() or self._missing():
            return False
        if tune in _AT_ANY_HOUR:
            return True
        if self._is_quiet(settings):
            return False
        ended_s = self._ended_s.get(tune)
        return ended_s is None or self._monotonic_s() - ended_s >= _PAUSE_S

    def _is_quiet(self, settings: BellSettings) -> bool:
        at = self._local_time()
        return at is not None and settings.is_quiet(at)

    def _play(self, tune: Tune, settings: BellSettings) -> None:
        self._hushed.clear()
        try:
            for tone in tune.tones(tempo=settings.tempo, octave=settings.octave):
                if self._hushed.is_set() or self._stopping.is_set():
                    return
                self._speaker.tone(tone.frequency_hz, tone.duration_s)
        except HostError as error:
            if not self._problem:
                log.info("the buzzer does not sound", extra={"fields": {"reason": str(error)}})
            self._problem = str(error)
        else:
            self._problem = ""


def _tune_for(event: object, settings: BellSettings) -> Tune | None:
    match event:
        case _TestWanted():
            return Tune.TEST
        case ResetByStick():
            return Tune.RESET_REFUSED if event.refusal else Tune.RESET_DONE
        case BrokerLost():
            return Tune.DISCONNECT if settings.rings_for(event.broker) else None
        case BalanceLow():
            return Tune.ALERT if settings.balance_low else None
        case ModemStateChanged(state=ModemState.FAILED):
            return Tune.ALERT if settings.modem_failure else None
        case MessageFinished() | RequestAnswered() if _is_failure(event) and settings.sms_failure:
            return Tune.ALERT
    return None


def _is_failure(event: MessageFinished | RequestAnswered) -> bool:
    if event.door in _DOORS_BY_HAND:
        return False
    if isinstance(event, RequestAnswered):
        # Without any modem nothing is ever given to one, so no message ends there.
        return event.code == _NO_MODEM
    # Unknown as well: a modem that does not answer is what somebody has to look at.
    return event.outcome is not Outcome.SENT and event.channel is Channel.SMS
