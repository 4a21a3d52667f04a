"""What the loader tells the gateway, which may not ask the kernel for the rules itself."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from otppi.lib.atomicfile import write_atomically
from otppi.model.checks import Check, Level
from otppi.system.firewall.ruleset import Family, Rules

_NAME = "firewall"
_AGAIN = "Restart the device. If that does not help, reset the firewall with a USB stick (RESET_FIREWALL)."


@dataclass(frozen=True, kw_only=True)
class FirewallReport:
    """The last attempt to load the firewall."""

    digest: str  # of the rules that were wanted
    at_s: float  # by the wall clock
    is_on: bool
    problem: str = ""  # why the wanted rules are not in force
    has_emergency_rules: bool = False  # instead of them
    notice: str = ""  # what is not filtered, and that need not be a fault
    is_ipv6_open: bool = False


def digest(wanted: Mapping[Family, Rules]) -> str:
    """Return what tells these rules from all others."""
    text = json.dumps({str(family): rules for family, rules in sorted(wanted.items())})
    return hashlib.sha256(text.encode()).hexdigest()


def write_report(path: Path, report: FirewallReport) -> None:
    """Replace the report; its folder exists.

    Raises:
        OSError: It could not be written.
    """
    write_atomically(path, json.dumps(asdict(report)).encode())


def read_report(path: Path) -> FirewallReport | None:
    """Return the report, or None where there is none that can be read."""
    try:
        return FirewallReport(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def checks(path: Path, wanted_digest: str) -> list[Check]:
    """Compare what was loaded with what the settings want now."""
    report = read_report(path)
    if report is None:
        return [_check(Level.RED, "was not loaded since the device was started", _AGAIN)]
    if report.problem:
        in_force = (
            "only the emergency rules are in force; ports opened by you are closed"
            if report.has_emergency_rules
            else "its rules are not in force"
        )
        return [_check(Level.RED, f"{in_force}: {report.problem}", _AGAIN)]
    if report.digest != wanted_digest:
        return [
            _check(
                Level.RED,
                "the rules in force are not those of the settings",
                "Wait a few seconds after a change; if that lasts, restart the device.",
            )
        ]
    if not report.is_on:
        return [_check(Level.YELLOW, "is switched off; every port is open", "Switch it on: firewall.enabled")]
    if report.is_ipv6_open:
        return [
            _check(
                Level.RED,
                report.notice,
                "On a device, flash it again; elsewhere install the package iptables with its ip6tables commands.",
            )
        ]
    return [
        _check(Level.GREEN, f"in force as set; {report.notice}" if report.notice else "in force as set", "")
    ]


def _check(level: Level, finding: str, advice: str) -> Check:
    return Check(name=_NAME, level=level, finding=finding, advice=advice)
