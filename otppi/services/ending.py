"""How the service comes to its end, and what shall be done after it."""

import logging
import signal
import threading
from types import FrameType

from otppi.contracts.host import Power
from otppi.model.errors import HostError

log = logging.getLogger(__name__)


class Ending:
    """Waited for by the main thread; asked for by a signal, by an owner or by the schedule, from any thread.

    systemd starts a service anew that ends by itself. So a device that cannot be restarted gets at least its
    service back.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._then_reboot = False
        self._then_power_off = False

    def ask(self) -> None:
        """End the service."""
        self._asked.set()

    def restart_device(self) -> None:
        """End the service, then restart the board."""
        self._then_reboot = True
        self._asked.set()

    def power_off(self) -> None:
        """End the service, then switch the board off."""
        self._then_power_off = True
        self._asked.set()

    def wait(self) -> None:
        """Wait until the service shall end."""
        self._asked.wait()

    def finish(self, power: Power) -> None:
        """Do what was asked for besides; for when everything in hand has come to its end."""
        try:
            if self._then_power_off:
                power.power_off()
            elif self._then_reboot:
                power.reboot()
        except HostError as error:
            log.error("the device goes on", extra={"fields": {"reason": str(error)}})  # noqa: TRY400


def end_on_signal() -> Ending:
    """Return an ending that SIGTERM and SIGINT ask for."""
    ending = Ending()

    def on_signal(number: int, _: FrameType | None) -> None:
        log.info("signal received", extra={"fields": {"signal": signal.Signals(number).name}})
        ending.ask()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return ending
