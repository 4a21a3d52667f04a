"""The last lines of the log of this process, in RAM, for people who have no shell."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from otppi.lib.logfmt import LogfmtFormatter

_LINES = 2_000
# A traceback is longer than any line; so many of them stay below 8 MB.
_LONGEST = 4_000


class LogLine(NamedTuple):
    """One event, as it is in the log: never with more than that."""

    level: int
    text: str  # with the time, the level and the part that wrote it

    @property
    def pieces(self) -> tuple[str, str, str, str]:
        """Time (ISO 8601), name of the level, part of the program, and what it said."""
        at, level, part, said = self.text.split(" ", 3)
        return at, level, part, said


class LogRing(logging.Handler):
    """Keeps the last lines from level INFO on; reading waits for nobody."""

    def __init__(self, lines: int = _LINES) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(LogfmtFormatter())
        self._lines: deque[LogLine] = deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            self._lines.append(LogLine(record.levelno, self.format(record)[:_LONGEST]))
        except Exception:  # noqa: BLE001 - as handlers of the standard library do
            self.handleError(record)

    def found(self, level: int = logging.INFO, search: str = "") -> Sequence[LogLine]:
        """Return the lines of at least this level that have a text in them, in any case of letters, newest first."""
        wanted = search.casefold()
        lines = reversed(self._lines.copy())
        return [line for line in lines if line.level >= level and wanted in line.text.casefold()]

    def text(self) -> Iterator[str]:
        """Yield all lines, the oldest first, each with its end."""
        return (f"{line.text}\n" for line in self._lines.copy())
