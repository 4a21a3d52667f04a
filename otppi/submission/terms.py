"""What the server offers, does for its clients, and counts: all that is known of it while it does not run."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from otppi.contracts.mail import Relayed
from otppi.model.requests import Origin
from otppi.model.results import MailReceipt

LogIn = Callable[[str, str, str], None]
StoredHash = Callable[[str], str]
Relay = Callable[[Origin, Relayed, str], MailReceipt]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What clients are told and may do."""

    name: str  # of the server
    software: str
    requires_tls: bool
    max_message_bytes: int
    messages_per_minute: int
    login_s: float = 60.0  # who has not logged in by then is let go
    silence_s: float = 300.0  # RFC 5321, 4.5.3.2.7; a content must have come within it as well


class Tally:
    """Counts messages; may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.accepted = 0
        self.refused = 0

    def count(self, reply: str) -> None:
        """Count a message by what its client was told."""
        with self._lock:
            if reply.startswith("2"):
                self.accepted += 1
            else:
                self.refused += 1
