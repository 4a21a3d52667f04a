"""Taking AT command lines apart (ITU-T V.250, 5.2.1 and 5.4)."""

import re

# In this order: S registers, basic commands, extended commands up to a semicolon outside of quotes.
_COMMAND = re.compile(
    r"""(?: S\d+ (?: =\d* | \?)? | [&\\]?[A-Z] \d* | [+^*$%\#_!] (?: "[^"]*(?:"|$) | [^";] )* )""",
    re.VERBOSE,
)
_QUOTED = re.compile(r'("[^"]*"?)')


def split_line(line: str) -> list[str]:
    """Return the commands of a line without its AT, upper-cased and free of spaces outside of quotes.

    What cannot be read becomes the last command as it stands, for the modem to refuse.
    """
    rest = "".join(
        piece if piece.startswith('"') else piece.upper().replace(" ", "") for piece in _QUOTED.split(line)
    )
    commands = []
    while rest := rest.lstrip(";"):
        match = _COMMAND.match(rest)
        commands.append(match[0] if match else rest)
        rest = rest[match.end() :] if match else ""
    return commands


def split_arguments(arguments: str) -> list[str]:
    """Return the values behind `=`, without their quotes."""
    values = re.findall(r'(?:^|,)("[^"]*"?|[^,]*)', arguments)
    return [value.strip('"') for value in values]
