"""The cable between host and modem: how quickly bytes travel, and which get lost."""

import random


class Wire:
    """Works out when bytes arrive; has no clock of its own."""

    def __init__(self) -> None:
        self.set(gap_s=0.0, lost_fraction=0.0, seed=1)
        self._free_at_s = 0.0

    def set(self, *, gap_s: float, lost_fraction: float, seed: int) -> None:
        """Change the cable; bytes that are on their way stay on it."""
        self._gap_s = gap_s
        self._lost_fraction = lost_fraction
        self._random = random.Random(seed)  # noqa: S311 - keeps no secret, and must be repeatable

    def incoming(self, data: bytes, now_s: float) -> tuple[float, bytes]:
        """Return when the last of these bytes is at the modem, and what is left of them."""
        return now_s + len(data) * self._gap_s, self._survivors(data)

    def outgoing(self, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
        """Return what to write when: everything at once, or every byte alone."""
        data = self._survivors(data)
        start_s = max(now_s, self._free_at_s)
        if not self._gap_s:
            return [(start_s, data)] if data else []
        self._free_at_s = start_s + len(data) * self._gap_s
        return [(start_s + (i + 1) * self._gap_s, data[i : i + 1]) for i in range(len(data))]

    def _survivors(self, data: bytes) -> bytes:
        if not self._lost_fraction:
            return data
        return bytes(byte for byte in data if self._random.random() >= self._lost_fraction)
