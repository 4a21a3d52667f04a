"""How long a text is as a short message, and what makes it so; scripts count the same by the same table."""

import json
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final

from otppi.model import gsm7
from otppi.model.sms_text import (
    OCTETS_ALONE,
    OCTETS_OF_MANY,
    SEPTETS_ALONE,
    SEPTETS_OF_MANY,
    Coding,
    code_text,
)

_UNIT_OCTETS: Final = 2
_BASIC: Final = gsm7.DEFAULT_ALPHABET.replace(chr(gsm7.ESCAPE), "")
_EXTENDED: Final = "".join(gsm7.DEFAULT_EXTENSION.values())
_KNOWN: Final = frozenset(f"{_BASIC}{_EXTENDED}\r")


@dataclass(frozen=True, kw_only=True)
class Length:
    """What a text takes."""

    coding: str
    parts: int
    used: int  # septets, or units of 16 bits
    room: int  # so many go into this number of parts
    foreign: tuple[str, ...]  # the characters because of which it is not GSM-7, each once
    parts_without: int  # if those were plain ones


def measure(text: str) -> Length | None:
    """Count; None for a text that is too long for any message."""
    foreign = tuple(dict.fromkeys(character for character in text if character not in _KNOWN))
    try:
        coded = code_text(text)
        plain = code_text("".join(character if character in _KNOWN else "." for character in text))
    except ValueError:
        return None
    if coded.coding is Coding.GSM7:
        unit, alone, of_many = 1, SEPTETS_ALONE, SEPTETS_OF_MANY
    else:
        unit, alone, of_many = _UNIT_OCTETS, OCTETS_ALONE // _UNIT_OCTETS, OCTETS_OF_MANY // _UNIT_OCTETS
    parts = coded.part_count
    return Length(
        coding=coded.coding.value,
        parts=parts,
        used=sum(map(len, coded.parts)) // unit,
        room=alone if parts == 1 else parts * of_many,
        foreign=foreign,
        parts_without=plain.part_count,
    )


def named(character: str) -> str:
    """Return a character, or its code where there is nothing to see."""
    is_seen = unicodedata.category(character)[0] in "LNPS"
    return character if is_seen else f"U+{ord(character):04X}"


@cache
def table() -> str:
    """Return the alphabet and the sizes of parts as JSON, for `static/sms_text.js`."""
    return json.dumps(
        {
            "basic": _BASIC,
            "extended": _EXTENDED,
            "septets": [SEPTETS_ALONE, SEPTETS_OF_MANY],
            "units": [OCTETS_ALONE // _UNIT_OCTETS, OCTETS_OF_MANY // _UNIT_OCTETS],
            "codings": [one.value for one in Coding],
        }
    )
