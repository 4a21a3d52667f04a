"""How an account at a vendor stands, told to the bus."""

import logging
from collections.abc import Callable

from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.events import ModemStateChanged
from otppi.model.modems import ModemState
from otppi.work.standing import Standing

log = logging.getLogger(__name__)

_LONGEST_MOMENT_S = 60.0
_WHILE_S = 300.0


def standing_of(route_id: str, name: Callable[[], str], bus: Bus, clock: Clock) -> Standing[ModemState]:
    """Return the standing of an account that is not at work yet."""

    def tell(state: ModemState, reason: str) -> None:
        fields = {"vendor": name(), "state": state.value, "reason": reason}
        log.info("vendor changed state", extra={"fields": fields})
        bus.publish(
            ModemStateChanged(
                modem_id=route_id, modem_name=name(), state=state, reason=reason, is_vendor=True
            )
        )

    return Standing(ModemState.STARTING, tell, clock, longest_moment_s=_LONGEST_MOMENT_S, while_s=_WHILE_S)
