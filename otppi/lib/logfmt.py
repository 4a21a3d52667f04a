"""Log lines that both people and machines read: time, level, message, then `key=value` fields."""

import logging
import sys
import time
from typing import Any


class LogfmtFormatter(logging.Formatter):
    """One line an event; fields come as `extra={"fields": {...}}`.

    The traceback of an exception is put on the lines that follow. Locals are never shown, so a secret in a
    variable does not get out that way; messages and fields are the caller's duty.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = (
            f"{stamp}.{int(record.msecs):03d}Z {record.levelname.lower()} {record.name.removeprefix('otppi.')} "
            f"{record.getMessage()!r}"
        )
        fields: dict[str, Any] = getattr(record, "fields", {})
        for key, value in fields.items():
            line += f" {key}={_quoted(value)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _quoted(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if text and text.isprintable() and not any(c in ' "=' for c in text):
        return text
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in text) + '"'


def configure(level: str) -> None:
    """Send the log lines of the process from a level on to standard error, where the journal picks them up."""
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    handler.setLevel(level.upper())
    # Other handlers may want more than standard error is to show.
    root.setLevel(min(handler.level, logging.INFO))
