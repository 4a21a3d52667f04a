"""The journal of the system: what our units and the kernel said. journald bounds it, so nothing is deleted here."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from otppi.model.errors import HostError

KERNEL = "kernel"
UNITS = (
    "otppi.service",
    "otppi-dhcp.service",
    "otppi-firewall.service",
    "otppi-first-boot.service",
    "otppi-mobile.service",
    "otppi-reset-watch.service",
    "otppi-reset.service",
    "otppi-rtc-save.service",
    "otppi-usb-restart@*.service",
    "otppi-wifi-country.service",
    "otppi-ws-broker.service",
)

_TIMEOUT_S = 15.0
_MAX_LINES = 1_000
# How it ends if no unit of a pattern has said anything so far.
_NONE_YET = "No data available"
# journald's priorities are those of syslog(3).
_LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
# Fields above 4096 bytes come as null without --all, so what is read is bounded as well.
_JOURNALCTL = (
    "journalctl", "--output=json", "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER", "--no-pager", "--quiet",
    "--reverse",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """One entry of the journal."""

    at: datetime
    level: str
    part: str  # the program that said it
    text: str


def read_journal(source: str, count: int) -> list[JournalLine]:
    """Return the newest entries of a unit, or the warnings of the kernel since the start; newest first. Waits.

    Args:
        source: One of `UNITS`, or `KERNEL`.
        count: How many at most; 1000 is the most there is.

    Raises:
        HostError: There is no journal, or it may not be read.
    """
    if source != KERNEL and source not in UNITS:
        raise ValueError(f"{source} is not among the units")
    wanted = ("--dmesg", "--priority=warning") if source == KERNEL else (f"--unit={source}",)
    try:
        done = subprocess.run(
            [*_JOURNALCTL, f"--lines={max(1, min(count, _MAX_LINES))}", *wanted],
            capture_output=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise HostError("this machine has no journal") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"the journal did not answer within {_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        if reason.endswith(_NONE_YET):
            return []
        raise HostError(f"the journal cannot be read: {reason}")
    return list(lines_of(done.stdout.splitlines()))


def lines_of(entries: Sequence[bytes]) -> Iterator[JournalLine]:
    """Read entries in the JSON of the journal (systemd.io/JOURNAL_EXPORT_FORMATS); what is none is left out."""
    for entry in entries:
        try:
            found = json.loads(entry)
            at = datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
        yield JournalLine(
            at=at,
            level=_level(found.get("PRIORITY")),
            part=_text(found.get("SYSLOG_IDENTIFIER", "")),
            text=_text(found.get("MESSAGE", "")),
        )


def _level(priority: Any) -> str:  # noqa: ANN401 - JSON
    return _LEVELS[int(priority)] if priority in ("0", "1", "2", "3", "4", "5", "6", "7") else ""


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a field: a string, a list of bytes where it is no text, null if it is too long."""
    if isinstance(value, list) and all(isinstance(one, int) and 0 <= one <= 255 for one in value):
        return bytes(value).decode(errors="replace")
    if value is None:
        return "(too long to be shown)"
    return str(value)
