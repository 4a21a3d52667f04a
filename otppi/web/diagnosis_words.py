"""The diagnosis as pages tell it: the worst first, and with the page that helps in the place of a command line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from otppi.model.checks import Level
from otppi.web.navigation import GROUPS, Entry
from otppi.web.outcomes import SERVERS
from otppi.web.site import Visit
from otppi.web.words import N_, Words

# Level of `parts.badge` and the word; the worst first.
LEVELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        Level.RED.value: ("bad", N_("Problem")),
        Level.YELLOW.value: ("warn", N_("Remark")),
        Level.GREEN.value: ("good", N_("All is well")),
    }
)
# How the name of a check begins, and the page that helps.
_PAGES: Mapping[str, str] = MappingProxyType(
    {
        "DDNS": "/ddns",
        "Ethernet": "/network",
        "SMS vendor": "/vendors",
        "Wi-Fi country": "/network",
        "access point": "/network",
        "admin": "/settings/general",
        "balance of": "/modems",
        "broker": "/brokers",
        "buzzer": "/bell",
        "certificate": "/certificate",
        "clock": "/clock",
        "default modem": "/modems",
        "e-mail account": "/email",
        "firewall": "/firewall",
        "health of": "/power",
        "housekeeping": "/settings/general",
        "last network change": "/network",
        "messages of": "/logs",
        "local SMTP server": "/smtp",
        "mobile internet": "/modems",
        "modem": "/modems",
        "network": "/network",
        "new modem": "/modems",
        "prices": "/modems",
        "public address": "/ddns",
        "real-time clock": "/clock",
        "rest": "/settings/api",
        "storage": "/backup",
        "time server": "/clock",
        "unit": "/logs",
    }
)
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
# What a piece of advice has in it that is for a terminal, and what a page says instead.
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "journalctl -u otppi-mobile": N_("The log says why the connection ended."),
        "journalctl": N_("Restart the device. If it fails again, the log says why."),
        "systemctl status otppi-first-boot": N_("Restart the device."),
        "systemctl status otppi-reset-watch": N_(
            "Restart the device. Until then a USB stick cannot reset a forgotten password."
        ),
        "otppi broker test": N_("Test the connection."),
        "otppi certificate": N_("Upload a new one, or go back to the device's own."),
        "otppi clock set": N_("Set the time."),
        "autoreconnect, or dial again: otppi": N_(
            "Switch on that it dials again by itself, in the settings of its modem."
        ),
        "otppi mobile redial": N_("It dials again by itself."),
        "otppi modem add": N_("Plug in a modem and put it to use."),
        "otppi modem price": N_("A SIM card of unknown price is used last. Set its price."),
        "otppi modem use": N_("Give it a name and put it to use."),
        "otppi modem found": N_("See all that is plugged in."),
        "otppi network trial": N_("Confirm it from the new network, or wait: it goes back by itself."),
        "otppi power restart-service": N_("Restart the service."),
        "otppi settings export": N_(
            "The card is dying: make a backup now, and restore it on a device with a new card."
        ),
        "otppi settings set modems.": N_(
            "See that prices, prefixes and PIN fit the new SIM card, then keep it."
        ),
        "otppi settings set network.hostname": N_("Give each device a name of its own."),
        "otppi settings set wlan.address": N_("Give the access point another address."),
        "otppi sim operator": N_(
            "Messages may cost much more there. Choose an operator of your own country."
        ),
        "otppi sim pin": N_("Enter the PIN of the SIM card."),
        "otppi sim unblock": N_("Its operator has the PUK, often printed on the card it came in."),
        "otppi ssh off": N_(
            "If that is not wanted, put a file otppi.toml with an empty ssh_key on the card."
        ),
        "otppi ussd": N_(
            "Dial the code of the operator by hand, and set code and pattern of the balance in the settings of the "
            "modem so that they fit."
        ),
    }
)


# Checks put these together out of pieces, so that they stand nowhere as a whole.
_PUT_TOGETHER = (
    N_("Check the router."),
    N_("Set ethernet.gateway to the address of your router."),
    N_("access point"),
    N_("at GPIO {}, quiet from {} until {}"),
    N_("balance of {}"),
    N_("broker {}"),
    N_("firewall"),
    N_("hardware watchdog"),
    N_("high enough"),
    N_("its rules are not in force"),
    N_("log"),
    N_("memory"),
    N_("modem {}"),
    N_("network service"),
    N_("no IPv4 address"),
    N_("not connected through {}: {}"),
    N_("not connected. {}"),
    N_("not watched by systemd"),
    N_("only the emergency rules are in force; ports opened by you are closed"),
    N_("pppd ended with code {}"),
    N_("real-time clock battery"),
    N_("real-time clock temperature"),
    N_("reset by USB stick"),
    N_("Restart the device. If it stays so, flash it again."),
    N_("temperature"),
    N_("time server"),
    N_("too low"),
    N_("udev cannot be heard: {}"),
    N_("udev does not run"),
    N_("voltage"),
    N_("watched by systemd"),
    N_("{} ({})"),
    N_("{} (asked on {})"),
    N_("{} (asked on {}): {}"),
    N_("{} MiB free"),
    N_("{} MiB free; {}"),
    N_("{} at {}, channel {}, {}"),
    N_("{} by DHCP"),
    N_("{} restarts {}"),
    N_("{}, signal unknown"),
    N_("{}, signal {} dBm"),
    N_("{}, valid until {} (asked on {})"),
    N_("{}, valid until {} (asked on {}): {}"),
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One check, in the reader's words."""

    level: str  # as `otppi.model.checks.Level`
    name: str
    finding: str
    advice: str
    page: Entry | None  # that helps, and that the reader may see


def lines(visit: Visit) -> list[Line]:
    """Run all checks."""
    checks = sorted(visit.call("diagnose"), key=lambda check: list(LEVELS).index(check["level"]))
    return [
        Line(
            level=check["level"],
            name=_name(visit.words, check["name"]),
            finding=_DAY.sub(lambda day: visit.words.day(day[0]), visit.words.said(check["finding"])),
            advice=_advice(visit, check["advice"]),
            page=_page(visit, check["name"]) if check["level"] != Level.GREEN else None,
        )
        for check in checks
    ]


def _name(words: Words, name: str) -> str:
    return words(SERVERS[name]) if name in SERVERS else words.said(name)


def _advice(visit: Visit, advice: str) -> str:
    instead = next((text for command, text in _INSTEAD.items() if command in advice), None)
    return visit.words.said(advice) if instead is None else visit.words(instead)


def _page(visit: Visit, name: str) -> Entry | None:
    path = next((path for begin, path in _PAGES.items() if name.startswith(begin)), "")
    entries = (entry for _, group in GROUPS for entry in group if entry.path == path)
    return next((entry for entry in entries if not entry.needs or visit.can(entry.needs)), None)
