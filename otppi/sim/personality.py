r"""Personalities: how one make of modem differs from the built-in one, as a text table.

A line is one of these; two spaces or a tab part the columns, and `#` begins a comment line:

    AT+CGMI  ACME                     the answer to a command; OK follows unless a final result is given
    AT+CCID  +CME ERROR: 4            ... such as here
    ATI  ACME\nOne                    \n parts lines
    ussd *888#  +CUSD: 0,"Hello",15   what the network says to a USSD code
    set unknown ERROR                 the word for commands that the modem does not know
    set boot_chatter ^BOOT:1          a line that follows power-up; may be repeated
    set submit_chatter ^RSSI:17       a line between Ctrl-Z and the result; may be repeated
    set submit_s 0.5                  from Ctrl-Z to the result
    set ussd_s 0.05                   from AT+CUSD to the answer

In answers and chatter stand `{iccid}`, `{imsi}`, `{imei}`, `{operator}`, `{csq}` and `{pin_state}` for what
the modem has.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

_COLUMNS = re.compile(r"\t+| {2,}")


class PersonalityError(ValueError):
    """A personality does not exist or has a line that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Personality:
    """How one make of modem answers."""

    name: str
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by command without AT, upper case
    ussd: Mapping[str, str] = field(default_factory=dict)
    unknown: str = "ERROR"
    boot_chatter: tuple[str, ...] = ()
    submit_chatter: tuple[str, ...] = ()
    submit_s: float = 0.0
    ussd_s: float = 0.05


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
    ussd: dict[str, str] = {}
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
            ussd[key.removeprefix("ussd ")] = value_columns[0].replace("\\n", "\n")
        elif key.upper().startswith("AT"):
            answers[key[2:].upper()] = tuple(value_columns[0].split("\\n"))
        else:
            raise PersonalityError(f"{name}.at:{number}: neither a command nor a setting")
    return _build(name, answers, ussd, settings)


def _build(
    name: str,
    answers: Mapping[str, tuple[str, ...]],
    ussd: Mapping[str, str],
    settings: dict[str, list[str]],
) -> Personality:
    known = {"unknown", "boot_chatter", "submit_chatter", "submit_s", "ussd_s"}
    if surplus := settings.keys() - known:
        raise PersonalityError(f"{name}.at: no such setting: {', '.join(sorted(surplus))}")
    try:
        return Personality(
            name=name,
            answers=answers,
            ussd=ussd,
            unknown=settings.get("unknown", ["ERROR"])[-1],
            boot_chatter=tuple(settings.get("boot_chatter", ())),
            submit_chatter=tuple(settings.get("submit_chatter", ())),
            submit_s=float(settings.get("submit_s", ["0"])[-1]),
            ussd_s=float(settings.get("ussd_s", ["0.05"])[-1]),
        )
    except ValueError as error:
        raise PersonalityError(f"{name}.at: {error}") from error
