"""What the Wi-Fi radio can do, and in which country it thinks it is: read from iw."""

import re
import subprocess
from dataclasses import dataclass
from typing import Final

from otppi.model.errors import HostRefused, HostUnreachable

_IW: Final = "/usr/sbin/iw"
_LIMIT_S: Final = 5.0
_COUNTRY: Final = re.compile(r"[A-Z]{2}|00")
_STATION: Final = re.compile(r"^Station ", re.MULTILINE)
_SIGNAL: Final = re.compile(r"^\s*signal:\s*(-?\d+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Radio:
    """All radios of the board together; a board has one."""

    is_present: bool
    supports_ap: bool
    # Whether the access point may offer WPA3: the supplicant does it itself with frames that the radio passes on
    # (SAE) and protects (CMAC). A firmware that does SAE alone is of no use to NetworkManager.
    supports_wpa3: bool


def reads_phy(text: str) -> Radio:
    """Read the output of `iw phy`; empty text is no radio."""
    lines = [line.strip() for line in text.splitlines()]
    does_sae = any(line.startswith("Device supports SAE with AUTHENTICATE") for line in lines)
    protects = any("00-0f-ac:6" in line for line in lines)
    supports_ap = _section(lines, "Supported interface modes:").count("* AP") > 0
    return Radio(
        is_present=any(line.startswith("Wiphy ") for line in lines),
        supports_ap=supports_ap,
        supports_wpa3=supports_ap and does_sae and protects,
    )


def reads_country(text: str) -> str:
    """Read the regulatory domain from the output of `iw reg get`; empty where there is none.

    A radio that has a domain of its own follows that one, and it is named after the global one.
    """
    found = [match[1] for match in re.finditer(r"^country (\S{2}):", text, re.MULTILINE)]
    return next((country for country in reversed(found) if country not in ("00", "99")), (found or [""])[0])


def reads_stations(text: str) -> tuple[int | None, ...]:
    """Read the output of `iw dev NAME station dump`: for each client its signal in dBm, None where it is not told."""
    signals = (_SIGNAL.search(part) for part in _STATION.split(text)[1:])
    return tuple(None if one is None else int(one[1]) for one in signals)


def present_stations(interface: str) -> tuple[int | None, ...]:
    """Return the same for an access point of this board."""
    return reads_stations(_asked("dev", interface, "station", "dump"))


def present_radio() -> Radio:
    """Ask iw; a board or a kernel without Wi-Fi is no radio, not an error."""
    return reads_phy(_asked("phy"))


def present_country() -> str:
    """Return the regulatory domain in force: 00 is the world's, empty is unknown."""
    return reads_country(_asked("reg", "get"))


def set_country(code: str) -> None:
    """Put the radio under the rules of a country; needs CAP_NET_ADMIN.

    Raises:
        HostRefused: It is no country code, or the kernel refused.
        HostUnreachable: iw is missing or hangs.
    """
    if not _COUNTRY.fullmatch(code):
        raise HostRefused("NotACountry", "the country must be two capital letters")
    done = _run("reg", "set", code)
    if done.returncode:
        raise HostRefused("CountryRefused", done.stderr.strip()[:200])


def _section(lines: list[str], title: str) -> list[str]:
    """Return the items under a title, of all radios."""
    items, is_inside = list[str](), False
    for line in lines:
        if line == title:
            is_inside = True
        elif is_inside and line.startswith("* "):
            items.append(line)
        else:
            is_inside = False
    return items


def _asked(*words: str) -> str:
    try:
        return _run(*words).stdout
    except HostUnreachable:
        return ""


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [_IW, *words], capture_output=True, text=True, errors="replace", timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostUnreachable("iw does not run or does not answer") from error
