"""Whether an account at a vendor takes messages now, and why not."""

import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.events import ModemStateChanged
from otppi.model.modems import ModemState
from otppi.vendors.trouble import Hold, VendorTrouble

log = logging.getLogger(__name__)

_FIRST_REST_S = 2.0
_LONGEST_REST_S = 60.0
_RESTS_S: Mapping[Hold, float] = MappingProxyType({Hold.WHILE: 300.0, Hold.PERSON: 900.0})


class Standing:
    """Tells the bus of every change; every method may be called from any thread."""

    def __init__(self, route_id: str, name: Callable[[], str], bus: Bus, clock: Clock) -> None:
        self._route_id = route_id
        self._name = name
        self._bus = bus
        self._clock = clock
        self._lock = threading.Lock()
        self._now = (ModemState.STARTING, "")
        self._rests_until_s = 0.0  # on the boot clock
        self._moments = delays_s(_FIRST_REST_S, _LONGEST_REST_S)

    @property
    def now(self) -> tuple[ModemState, str]:
        """The state and its reason."""
        return self._now

    @property
    def rest_s(self) -> float:
        """How long the account is not tried; 0 if it may be."""
        return max(0.0, self._rests_until_s - self._clock.boot_s())

    def hold(self, trouble: VendorTrouble) -> None:
        """Let the account rest, as long as the trouble asks for; a longer rest is not made shorter."""
        if trouble.hold is Hold.NO:
            return
        with self._lock:
            rests = self.rest_s
            if rests and trouble.hold is Hold.MOMENT:
                return  # of several at once the first one counts
            rest_s = _RESTS_S[trouble.hold] if trouble.hold in _RESTS_S else next(self._moments)
            if rest_s > rests:
                self._rests_until_s = self._clock.boot_s() + rest_s
                is_for_person = trouble.hold is Hold.PERSON
                self._become(ModemState.FAILED if is_for_person else ModemState.RESTING, str(trouble))

    def end_rest(self) -> None:
        """Let the account be tried again."""
        with self._lock:
            self._rests_until_s = 0.0
            self._moments = delays_s(_FIRST_REST_S, _LONGEST_REST_S)

    def went_well(self) -> None:
        """Let the next rest be short again."""
        with self._lock:
            self._moments = delays_s(_FIRST_REST_S, _LONGEST_REST_S)

    def begin(self) -> None:
        """Take note that messages are taken, unless there was trouble again just now."""
        with self._lock:
            if not self.rest_s:
                self._become(ModemState.READY)

    def _become(self, state: ModemState, reason: str = "") -> None:
        if (state, reason) == self._now:
            return
        self._now = state, reason
        fields = {"vendor": self._name(), "state": state.value, "reason": reason}
        log.info("vendor changed state", extra={"fields": fields})
        self._bus.publish(
            ModemStateChanged(
                modem_id=self._route_id, modem_name=self._name(), state=state, reason=reason, is_vendor=True
            )
        )
