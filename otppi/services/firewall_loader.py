"""Loads the firewall and ends: before the network comes up, and again whenever its settings change.

It reads the settings and changes none of them: the folder may be read-only, and a running gateway owns it.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.lib.clock import SystemClock
from otppi.model.errors import HostError
from otppi.services import firewall_plan
from otppi.settings.store import SettingsStore
from otppi.submission.settings import SubmissionSettings
from otppi.system.firewall import iptables
from otppi.system.firewall.report import FirewallReport, digest, write_report
from otppi.system.firewall.ruleset import Family, Rules, emergency_rules
from otppi.system.firewall.services import Services
from otppi.system.firewall.settings import FirewallSettings
from otppi.system.network.settings import EthernetSettings, WlanSettings
from otppi.web.settings import AdminSettings

log = logging.getLogger(__name__)

_DONE, _FAILED = 0, 1


def load(state_dir: Path, report: Path) -> int:
    """Put the firewall of the settings in force and write what became of it.

    Whatever goes wrong, the device does not stay open: then only its services can be reached.

    Returns:
        The exit code: 0 if the rules of the settings are in force, otherwise 1.
    """
    services = firewall_plan.services_of(
        ApiSettings(),
        AdminSettings(),
        WlanSettings(),
        EthernetSettings(),
        VendorApiSettings(),
        SubmissionSettings(),
    )
    told = FirewallReport(digest="", at_s=SystemClock().wall_s(), is_on=True)
    try:
        store = SettingsStore(state_dir, firewall_plan.SECTIONS, None, read_only=True)
        services = firewall_plan.services_in(store)
        wanted = firewall_plan.wanted_rules(store)
        told = replace(told, digest=digest(wanted), is_on=store.get(FirewallSettings).enabled)
        told = _loaded(told, wanted)
    except Exception as error:  # whatever it was, the device must not stay open for it
        log.exception("the firewall cannot be loaded as set")
        told = _in_emergency(replace(told, problem=_reason(error)), services)
    return _told(report, told)


def unload() -> int:
    """Take our chains out, for a system that is to be no device any more; the rules of others stay.

    Returns:
        The exit code: 0 if none of ours is left, otherwise 1.
    """
    families: tuple[Family, ...] = (4, 6) if iptables.has_ipv6() and iptables.is_available(6) else (4,)
    try:
        iptables.load(dict.fromkeys(families, ()))
    except HostError as error:
        log.error("the firewall cannot be taken out", extra={"fields": {"reason": str(error)}})  # noqa: TRY400
        return _FAILED
    return _DONE


def _loaded(told: FirewallReport, wanted: Mapping[Family, Rules]) -> FirewallReport:
    possible, told = _without_missing(told, wanted)
    iptables.load(possible)
    log.info("the firewall is loaded", extra={"fields": {"on": told.is_on, "families": len(possible)}})
    return told


def _in_emergency(told: FirewallReport, services: Services) -> FirewallReport:
    """Load the emergency rules, each family for itself: one that is refused must not keep the other open."""
    wanted: Mapping[Family, Rules] = {4: emergency_rules(4, services), 6: emergency_rules(6, services)}
    possible, told = _without_missing(told, wanted)
    failed: list[str] = []
    for family, rules in possible.items():
        try:
            iptables.load({family: rules})
        except HostError as error:
            failed.append(str(error))
    if failed:
        log.error("the emergency rules are refused", extra={"fields": {"reason": "; ".join(failed)}})
    return replace(told, has_emergency_rules=not failed)


def _without_missing(
    told: FirewallReport, wanted: Mapping[Family, Rules]
) -> tuple[Mapping[Family, Rules], FirewallReport]:
    """Leave IPv6 out where it cannot be filtered, and say so."""
    if not iptables.has_ipv6():
        return {4: wanted[4]}, replace(told, notice="this kernel does not speak IPv6")
    if not iptables.is_available(6):
        notice = "IPv6 is not filtered, because ip6tables is not installed"
        log.error(notice)
        return {4: wanted[4]}, replace(told, notice=notice, is_ipv6_open=True)
    return wanted, told


def _told(path: Path, told: FirewallReport) -> int:
    try:
        write_report(path, told)
    except OSError as error:
        # The rules hold without it; the gateway will say that it knows of none.
        log.error(  # noqa: TRY400
            "the report of the firewall cannot be written", extra={"fields": {"reason": error.strerror}}
        )
        return _FAILED
    return _FAILED if told.problem else _DONE


def _reason(error: Exception) -> str:
    # Only errors of our own and of the system have words that are meant to be read.
    return str(error) if isinstance(error, HostError | OSError) else type(error).__name__
