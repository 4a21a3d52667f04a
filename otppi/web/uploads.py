"""Files that an administrator has sent and not decided on yet."""

import threading
from dataclasses import dataclass, field
from typing import Any

from otppi.lib.clock import Clock

_LIFE_S = 600.0
_MOST = 2


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file, and what was found in it."""

    content: str = field(repr=False)  # in base64, as functions take it
    plan: dict[str, Any]
    kept_s: float  # on the boot clock


class Uploads:
    """Keeps a few files in memory for ten minutes, one for each session and use; from any thread."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock, whose boot time counts."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Upload] = {}  # by session and use, the oldest first

    def keep(self, session_id: str, use: str, content: str, plan: dict[str, Any]) -> None:
        """Keep a file; the oldest makes room for it."""
        with self._lock:
            self._kept.pop((session_id, use), None)
            while len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[session_id, use] = Upload(content=content, plan=plan, kept_s=self._clock.boot_s())

    def find(self, session_id: str, use: str) -> Upload | None:
        """Return the file of this session; None if there is none any more."""
        self.forget_old()
        with self._lock:
            return self._kept.get((session_id, use))

    def drop(self, session_id: str, use: str) -> None:
        """Forget the file of this session."""
        with self._lock:
            self._kept.pop((session_id, use), None)

    def forget_old(self) -> None:
        """Forget what is too old; to be called now and then."""
        now_s = self._clock.boot_s()
        with self._lock:
            self._kept = {key: one for key, one in self._kept.items() if now_s < one.kept_s + _LIFE_S}
