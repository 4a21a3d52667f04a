"""A folder of simulated phones: every message that arrived, as a small file that a person can read."""

import itertools
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from otppi.sim.record import SentMessage


class Outbox:
    """Writes messages to `DIRECTORY/NUMBER/TIME-COUNT.txt`, readable by their owner only.

    For simulated modems and nothing else: texts and codes of real ones are never stored.
    """

    def __init__(
        self, directory: Path, on_delivered: Callable[[SentMessage, Path], None] | None = None
    ) -> None:
        """Start with the next count; `on_delivered` is called with each message and its file."""
        self._directory = directory
        self._on_delivered = on_delivered
        self._count = itertools.count(1)

    def deliver(self, message: SentMessage) -> None:
        """Put a message on its receiver's phone; fits `on_message` of the simulated modems.

        Raises:
            OSError: The file cannot be written.
        """
        # A receiver comes from a PDU, where letters and signs are possible (3GPP TS 23.040, 9.1.2.3).
        phone = self._directory / (re.sub(r"[^0-9A-Za-z]", "_", message.number) or "_")
        phone.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = datetime.now().astimezone()
        path = phone / f"{now:%Y%m%dT%H%M%S}-{next(self._count)}.txt"
        path.touch(mode=0o600)
        parts = f" in {message.parts} parts" if message.parts > 1 else ""
        head = (
            f"To: {message.number}\nFrom: {message.modem}{parts}\nAt: {now.isoformat(timespec='seconds')}\n\n"
        )
        path.write_text(head + message.text + "\n", "utf-8")
        if self._on_delivered:
            self._on_delivered(message, path)
