"""Logs to read: the last lines of this process, and on a device the journal of the system."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from otppi.lib.logring import LogRing
from otppi.model.errors import BadRequest
from otppi.system import journal

_LEVELS = ("info", "warning", "error")
_MAX_COUNT = 500
_SUFFIX = ".service"
# What people choose from: the units without what all names end with, and the kernel.
_SOURCES = {unit.removesuffix(_SUFFIX).removesuffix("@*"): unit for unit in (*journal.UNITS, journal.KERNEL)}
_TITLES: Mapping[str, str] = {
    "otppi": "Gateway",
    "otppi-dhcp": "Addresses for guests of the access point",
    "otppi-firewall": "Firewall",
    "otppi-first-boot": "First start",
    "otppi-mobile": "Mobile internet",
    "otppi-reset-watch": "Watch for USB sticks",
    "otppi-reset": "Reset by USB stick",
    "otppi-rtc-save": "Clock chip",
    "otppi-usb-restart": "Restart of USB modems",
    "otppi-wifi-country": "Country of the Wi-Fi",
    "otppi-ws-broker": "WebSocket broker",
    "kernel": "Warnings of the system",
}


class Logs:
    """Keeps the lines of this process from `start` to `stop`; any thread may read them."""

    def __init__(self, *, has_journal: bool) -> None:
        """Take whether the journal of this machine is the device's own."""
        self._has_journal = has_journal
        self._ring = LogRing()

    def start(self) -> None:
        """Begin to keep lines."""
        logging.getLogger().addHandler(self._ring)

    def stop(self) -> None:
        """Keep no more of them."""
        logging.getLogger().removeHandler(self._ring)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the calls of the control socket; they take and return JSON values."""
        own: dict[str, Callable[..., Any]] = {"log.list": self.lines, "log.text": self.text}
        if not self._has_journal:
            return own
        return {**own, "log.journal": self.journal, "log.units": self.units}

    def lines(
        self, level: str = "info", search: str = "", offset: int = 0, count: int = 100
    ) -> dict[str, Any]:
        """Return lines of the log, newest first, and how many there are.

        Args:
            level: info, warning or error, and what is worse.
            search: What must be in a line, in any case of letters.
            offset: How many of the newest to leave out.
            count: How many at most; 1 to 500.
        """
        if level not in _LEVELS:
            raise BadRequest("level", f"must be one of {', '.join(_LEVELS)}")
        if offset < 0:
            raise BadRequest("offset", "must not be below 0")
        found = self._ring.found(logging.getLevelNamesMapping()[level.upper()], search)
        page = found[offset : offset + _checked(count)]
        return {
            "lines": [dict(zip(("at", "level", "part", "text"), line.pieces, strict=True)) for line in page],
            "total": len(found),
        }

    def text(self) -> str:
        """Return all lines that are kept, the oldest first, to be saved as a file."""
        return "".join(self._ring.text())

    def units(self) -> list[dict[str, str]]:
        """List what has entries in the system's journal, with a title for people."""
        return [{"unit": unit, "title": _TITLES[unit]} for unit in _SOURCES]

    def journal(self, unit: str = "otppi", count: int = 100) -> list[dict[str, Any]]:
        """Return entries of the system's journal, newest first.

        Args:
            unit: A unit of the device such as otppi or otppi-mobile, or kernel for its warnings since the start.
            count: How many at most; 1 to 500.
        """
        if unit not in _SOURCES:
            raise BadRequest("unit", f"must be one of {', '.join(_SOURCES)}")
        return [
            {"at": line.at.isoformat(), "level": line.level, "part": line.part, "text": line.text}
            for line in journal.read_journal(_SOURCES[unit], _checked(count))
        ]


def _checked(count: int) -> int:
    if not 1 <= count <= _MAX_COUNT:
        raise BadRequest("count", f"must be 1 to {_MAX_COUNT}")
    return count
