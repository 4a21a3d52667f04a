"""Reading ini files as PHP's `parse_ini_file` does, so that a file of OTP-Publisher means the same here.

Read from what PHP 8.2 makes of examples. What PHP refuses in a value without quotes, such as `=` or `!`, is taken as it
stands; `&`, `|` and `^`, with which PHP calculates, must be in quotes.
"""

import os
import re

Sections = dict[str, dict[str, str]]

_SECTION = re.compile(r"\[([^\]]*)\]\s*(?:;.*)?")
_TOKEN = re.compile(
    r"""
    "(?P<double>(?:[^"\\]|\\.)*)"
    | '(?P<single>[^']*)'
    | (?P<comment>;.*)
    | (?P<plain>[^"';]+)
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r'\\(["\\])')
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_WORDS = {"true": "1", "on": "1", "yes": "1", "false": "", "off": "", "no": "", "none": "", "null": ""}
_CALCULATES = re.compile(r"[&|^]")


class Unreadable(Exception):
    """A line makes no sense; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def read(text: str) -> Sections:
    """Return the values by section and key; a key that comes twice has its last value.

    Raises:
        Unreadable: A line is no section, key or comment, or a quote is not closed. Values are not repeated.
    """
    sections: Sections = {}
    current = sections.setdefault("", {})
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(";"):
            continue
        if stripped.startswith("["):
            match = _SECTION.fullmatch(stripped)
            if match is None:
                raise Unreadable(number, "a section is [NAME]")
            current = sections.setdefault(match[1].strip(), {})
            continue
        key, sign, value = stripped.partition("=")
        if not key.strip():
            raise Unreadable(number, "there is no key before the =")
        if sign:
            current[key.strip()] = _value(value, number)
    return sections


def _value(raw: str, line: int) -> str:
    plain, pieces, position = True, list[str](), 0
    while position < len(raw):
        token = _TOKEN.match(raw, position)
        if token is None:
            raise Unreadable(line, "a quote is not closed")
        position = token.end()
        match token.lastgroup:
            case "double":
                plain = False
                pieces.append(_expanded(_ESCAPE.sub(r"\1", token["double"])))
            case "single":
                plain = False
                pieces.append(token["single"])
            case "plain":
                pieces.append(_plain(token["plain"], line))
    value = "".join(pieces)
    return _WORDS.get(value.lower(), value) if plain else value


def _plain(raw: str, line: int) -> str:
    if _CALCULATES.search(raw):
        raise Unreadable(line, "a value with &, | or ^ must be in quotes")
    return _expanded(raw.strip())


def _expanded(text: str) -> str:
    """Put in the variables of the environment, `${NAME}`; one that is not set is empty."""
    return _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), text)
