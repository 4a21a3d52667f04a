r"""Personalities: how one make of modem differs from the built-in one, as a text table.

A line is one of these; two spaces or a tab part the columns, and `#` begins a comment line:

    AT+CGMI  ACME                     the answer to a command; OK follows unless a final result is given
    AT+CCID  +CME ERROR: 4            ... such as here
    ATI  ACME\nOne                    \n parts lines
    ussd *888#  +CUSD: 0,"Hello",15   what the network says to a USSD code ...
    ussd *888#>1  +CUSD: 2            ... and to the reply 1 to its menu
    ussd *888# after 2.5  +CUSD: 4    ... so many seconds after the request; of one code there may be several
    ussd *888#  +CME ERROR: 30        ... or the modem's refusal
    set lacks_ok AT+CPIN?             a command whose answer ends without OK; may be repeated
    set unknown ERROR                 the word for commands that the modem does not know
    set boot_chatter ^BOOT:1          a line that follows power-up; may be repeated
    set submit_chatter ^RSSI:17       a line between Ctrl-Z and the result; may be repeated
    set submit_s 0.5                  from Ctrl-Z to the result
    set ussd_s 0.05                   from AT+CUSD to the answer
    set ussd_session_s 60             how long the network waits for a reply; for ever if this is not set
    set ussd_packed yes               USSD is packed septets in hex, both ways
    set ussd_ok_last yes              OK follows the answer of the network instead of coming before it
    set submit_ends_ussd yes          a message ends an open session
    set scan_s 0.05                   how long it looks for operators
    set imei_write AT+SIMEI={imei}    a command that writes an IMEI, which counts after a restart

In answers and chatter stand `{iccid}`, `{imsi}`, `{imei}`, `{operator}`, `{csq}`, `{pin_state}`, `{pin_tries}`
and `{puk_tries}` for what the modem has.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

_USSD_KEY = re.compile(r"ussd (\S+)(?: after (\d+(?:\.\d+)?))?")
_COLUMNS = re.compile(r"\t+| {2,}")
_USSD_SETTINGS = ("ussd_s", "ussd_session_s", "ussd_packed", "ussd_ok_last", "submit_ends_ussd")


class PersonalityError(ValueError):
    """A personality does not exist or has a line that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Personality:
    """How one make of modem answers."""

    name: str
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by command without AT, upper case
    # By the code, or the code and the replies after it, joined by `>`; with the seconds after the request.
    ussd: Mapping[str, tuple[tuple[float | None, str], ...]] = field(default_factory=dict)
    lacks_ok: frozenset[str] = frozenset()  # commands without AT, upper case
    unknown: str = "ERROR"
    boot_chatter: tuple[str, ...] = ()
    submit_chatter: tuple[str, ...] = ()
    submit_s: float = 0.0
    ussd_s: float = 0.05
    ussd_session_s: float = 0.0
    packs_ussd: bool = False
    ussd_ok_last: bool = False
    submit_ends_ussd: bool = False
    scan_s: float = 0.0
    imei_write: str = ""  # without AT, with {imei} in its place; none: it cannot

    def written_imei(self, command: str) -> str:
        """Return what a command writes, or nothing."""
        pattern = re.escape(self.imei_write).replace(r"\{imei\}", r"(\d{15})")
        match = re.fullmatch(pattern, command)
        return match[1] if match is not None and self.imei_write else ""


def load_personality(name: str) -> Personality:
    """Read a personality that comes with the package.

    Raises:
        PersonalityError: There is none of this name.
    """
    path = resources.files("otppi.sim") / "personalities" / f"{name}.at"
    if not re.fullmatch(r"[a-z0-9_-]+", name) or not path.is_file():
        raise PersonalityError(f"no personality {name!r}; there are {', '.join(personality_names())}")
    return parse_personality(name, path.read_text("utf-8"))


def personality_names() -> list[str]:
    """Return the names that `load_personality` knows."""
    folder = resources.files("otppi.sim") / "personalities"
    return sorted(file.name.removesuffix(".at") for file in folder.iterdir() if file.name.endswith(".at"))


def parse_personality(name: str, table: str) -> Personality:
    """Read a personality from its text.

    Raises:
        PersonalityError: A line cannot be read; the message has its number.
    """
    answers: dict[str, tuple[str, ...]] = {}
    ussd: dict[str, tuple[tuple[float | None, str], ...]] = {}
    settings: dict[str, list[str]] = {}
    for number, raw in enumerate(table.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("set "):
            _, key, value = (*line.split(None, 2), "", "")[:3]
            settings.setdefault(key, []).append(value)
            continue
        key, *value_columns = _COLUMNS.split(line, maxsplit=1)
        if not value_columns:
            raise PersonalityError(f"{name}.at:{number}: no second column")
        if key.startswith("ussd "):
            match = _USSD_KEY.fullmatch(key)
            if match is None:
                raise PersonalityError(f"{name}.at:{number}: neither a code nor a reply")
            row = (float(match[2]) if match[2] else None, value_columns[0].replace("\\n", "\n"))
            ussd[match[1]] = (*ussd.get(match[1], ()), row)
        elif key.upper().startswith("AT"):
            answers[key[2:].upper()] = tuple(value_columns[0].split("\\n"))
        else:
            raise PersonalityError(f"{name}.at:{number}: neither a command nor a setting")
    return _build(name, answers, ussd, settings)


def _build(
    name: str,
    answers: Mapping[str, tuple[str, ...]],
    ussd: Mapping[str, tuple[tuple[float | None, str], ...]],
    settings: dict[str, list[str]],
) -> Personality:
    known = {"lacks_ok", "unknown", "boot_chatter", "submit_chatter", "submit_s", "scan_s", "imei_write"}
    known.update(_USSD_SETTINGS)
    if surplus := settings.keys() - known:
        raise PersonalityError(f"{name}.at: no such setting: {', '.join(sorted(surplus))}")
    try:
        return Personality(
            name=name,
            answers=answers,
            ussd=ussd,
            lacks_ok=frozenset(command[2:].upper() for command in settings.get("lacks_ok", ())),
            unknown=settings.get("unknown", ["ERROR"])[-1],
            boot_chatter=tuple(settings.get("boot_chatter", ())),
            submit_chatter=tuple(settings.get("submit_chatter", ())),
            submit_s=float(settings.get("submit_s", ["0"])[-1]),
            ussd_s=float(settings.get("ussd_s", ["0.05"])[-1]),
            ussd_session_s=float(settings.get("ussd_session_s", ["0"])[-1]),
            packs_ussd="ussd_packed" in settings,
            ussd_ok_last="ussd_ok_last" in settings,
            submit_ends_ussd="submit_ends_ussd" in settings,
            scan_s=float(settings.get("scan_s", ["0"])[-1]),
            imei_write=settings.get("imei_write", [""])[-1].removeprefix("AT"),
        )
    except ValueError as error:
        raise PersonalityError(f"{name}.at: {error}") from error
