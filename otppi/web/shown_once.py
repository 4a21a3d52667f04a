"""Passwords that the device made: shown until somebody had the time to keep them, and then never again."""

import threading
from dataclasses import dataclass, field

from otppi.lib.clock import Clock

_LIFE_S = 600.0
_MOST = 20


@dataclass(frozen=True, kw_only=True)
class MadePassword:
    """A password for an application, and the phone number that its owner wants to try it with; may be empty."""

    user: str
    password: str = field(repr=False)
    receiver: str = field(default="", repr=False)


class ShownOnce:
    """Holds the last password that each session had made, in memory only, so that a page can be loaded again.

    Every method may be called from any thread.
    """

    def __init__(self, clock: Clock) -> None:
        """Take the clock, whose boot time counts."""
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, MadePassword]] = {}  # by session, oldest first

    def hold(self, session_id: str, made: MadePassword) -> None:
        """Hold a password for ten minutes, or until many others were made."""
        with self._lock:
            self._forget()
            self._held.pop(session_id, None)
            while len(self._held) >= _MOST:
                del self._held[next(iter(self._held))]
            self._held[session_id] = (self._clock.boot_s() + _LIFE_S, made)

    def look(self, session_id: str, user: str) -> MadePassword | None:
        """Return what a session had made for this user, if it is still held."""
        with self._lock:
            self._forget()
            _, made = self._held.get(session_id, (0.0, None))
        return made if made is not None and made.user == user else None

    def _forget(self) -> None:
        now = self._clock.boot_s()
        self._held = {session: one for session, one in self._held.items() if now < one[0]}
