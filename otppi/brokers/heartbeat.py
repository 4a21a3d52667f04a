"""When a silent connection has to be tried."""

import time

from otppi.brokers.errors import BrokerError, Trouble

# NAT and firewalls forget a silent connection after some minutes; and the sooner it is noticed the better.
_SILENCE_S = 10.0


class Heartbeat:
    """Keeps account of what was heard on one connection; belongs to one thread."""

    def __init__(self, answer_s: float) -> None:
        """Take how long the broker may take to answer."""
        self._answer_s = answer_s
        self.heard()

    def heard(self) -> None:
        """Note that something came, whatever it was."""
        self._heard_s = time.monotonic()
        self._asked_s: float | None = None

    def must_ask(self) -> bool:
        """Whether the broker is to be asked for a sign of life now; call it only when there is nothing to be read.

        Raises:
            BrokerError: It was asked, and did not answer in time.
        """
        now_s = time.monotonic()
        if self._asked_s is None:
            is_due = now_s - self._heard_s > _SILENCE_S
            self._asked_s = now_s if is_due else None
            return is_due
        if now_s - self._asked_s > self._answer_s:
            raise BrokerError(Trouble.TIMEOUT)
        return False
