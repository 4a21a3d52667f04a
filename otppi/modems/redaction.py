"""Hides in what a modem says whatever names a person, a SIM, a device or a place. Pure functions.

What is hidden becomes as many x, so that the rest stays where it is.
"""

import re
from collections.abc import Iterable, Iterator

_LINE = re.compile(r"[^\r\n]+|[\r\n]+")
_WORD_CHARACTER = re.compile(r"[^\W_]|[+*]")
_DIGIT = re.compile(r"[0-9]")

# Digits in a row, or what may be their bytes in hex; a line end may stand between any two.
_RUN = re.compile(r"[0-9A-Fa-f](?:[\r\n]*[0-9A-Fa-f]){6,}")
_MOST_DIGITS = 6
_LONGEST_HEX = 15
# An IMEI as it is printed on a label (35-209900-176148-1), or a number in groups.
_GROUPS = re.compile(r"[0-9]+(?:-[0-9]+)+")
_MOST_GROUPED_DIGITS = 12
# The date of a build that hangs on a version, such as B05_20190805: no number of a person looks so.
_BUILD_DATE = re.compile(r"[A-Za-z_.][A-Fa-f]*(20[0-4][0-9](?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01]))(?![0-9])")
_DATE_DIGITS = 8

# TS 27.007, 7.2, 10.1.20 and 10.1.22: behind <stat> stand area and cell.
_REGISTRATION = re.compile(r"\+C[GE]?REG: *\d{1,2}(?: *, *\d{1,2}(?= *(?:,|$)))?")
_PLACE_FIELD = re.compile(r'"[^"]*"?|[0-9A-Fa-fx]{3,}')
# Of these nothing is left: cells, networks nearby, satellite positions.
_PLACES = re.compile(
    r"(?:\+(?:CPSI|QENG|QNWINFO|CENG|CNETSCAN|CIPGSMLOC|CLBS|CGPSINFO|CGPADDR|CREGINFO|QGPSLOC|ZCELLINFO|UCELLINFO)|"
    r"\^(?:SYSINFO|SYSINFOEX|MONSC|MONNC|LOCINFO|CELLINFO|LOCCHD)|\*PSNWID|!GSTATUS|\$G[A-Z]{4})\b:?,?"
)
# What stands in quotes there is a person's number, name or text.
_PERSONS = re.compile(r"\+(?:CNUM|CLIP|CLCC|CCWA|COLP|CPBR|CPBF|CDIP|CMT|CDS|CMGL|CMGR|CUSD|CSCA)\b")
_QUOTED = re.compile(r'"[^"]*"?')
# What follows there until the modem says something else is a message, or goes on with a text.
_TEXTS = re.compile(r"\+(?:CMT|CDS|CBM|CMGL|CMGR):")
_OTHER_LINE = re.compile(r"[+^*$%#!][A-Z][A-Z0-9]*(?:[:,]|$)|OK$|ERROR$|RING$|> ?$|AT(?:[+^*$%#!]|$)")


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """Hide what must not leave the device.

    Args:
        text: What one side said, line ends and all.
        known: Numbers that are to be hidden also where they are taken apart.
    """
    hidden = "".join(_lines_redacted(text))
    for digits in known:
        if digits:
            hidden = re.sub(r"[-/. \r\n]?".join(map(re.escape, digits)), _crossed_out, hidden)
    return without_long_digits(hidden)


def without_long_digits(text: str) -> str:
    """Hide seven or more digits in a row and what may be their bytes in hex; the date of a build may stay."""
    dates = {match.start(1) for match in _BUILD_DATE.finditer(text)}

    def hide(match: re.Match[str]) -> str:
        run, digits = match[0], len(_DIGIT.findall(match[0]))
        is_long = sum(char not in "\r\n" for char in run) > _LONGEST_HEX
        if digits <= _MOST_DIGITS and not is_long:
            return run
        if digits == _DATE_DIGITS and any(match.start() <= start < match.end() for start in dates):
            return run
        return run if _is_operator_name(match) else _crossed_out(match)

    return _GROUPS.sub(_group_hidden, _RUN.sub(hide, text))


def _group_hidden(match: re.Match[str]) -> str:
    return match[0] if len(_DIGIT.findall(match[0])) <= _MOST_GROUPED_DIGITS else _crossed_out(match)


def _is_operator_name(match: re.Match[str]) -> bool:
    """Whether it is the name of a network in UCS-2, which a modem tells so under AT+CSCS="UCS2"."""
    before = match.string[: match.start()]
    if not re.search(r'\+COPS:[^\r\n"]*"$', before):
        return False
    try:
        name = bytes.fromhex(match[0]).decode("utf-16-be")
    except ValueError:
        return False
    return name.isprintable() and len(_DIGIT.findall(name)) <= _MOST_DIGITS


def _lines_redacted(text: str) -> Iterator[str]:
    is_text = False
    is_quoted = False  # a quoted text goes on in the next line
    for match in _LINE.finditer(text):
        line = match[0]
        if not line.strip():
            yield line
            continue
        if is_quoted:
            end = line.find('"')
            is_quoted = end < 0
            yield _hidden(line if is_quoted else line[:end]) + ("" if is_quoted else line[end:])
            continue
        if is_text and not _OTHER_LINE.match(line.strip()):
            yield _hidden(line)
            continue
        is_text = _TEXTS.match(line) is not None
        is_quoted = line.startswith("+CUSD:") and line.count('"') == 1
        yield _line_redacted(line)


def _line_redacted(line: str) -> str:
    if registration := _REGISTRATION.match(line):
        return registration[0] + _PLACE_FIELD.sub(_crossed_out, line[registration.end() :])
    if place := _PLACES.match(line):
        return place[0] + _hidden(line[place.end() :])
    if _PERSONS.match(line):
        return _QUOTED.sub(_crossed_out, line)
    return line


def _hidden(text: str) -> str:
    return _WORD_CHARACTER.sub("x", text)


def _crossed_out(match: re.Match[str]) -> str:
    return _hidden(match[0])
