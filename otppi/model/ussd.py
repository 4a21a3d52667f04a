"""USSD: what may be dialled and replied, and what a network's answer says.

Codes follow 3GPP TS 22.030, 6.5; answers TS 27.007, 7.15; their alphabets TS 23.038, clause 5.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from otppi.model import gsm7
from otppi.model.sms_text import decode_gsm7

_CODE: Final = re.compile(r"[*#][0-9*#+A-D]*#")
# What is the same in every alphabet and cannot end the quotes of an AT command. 182 characters are the longest
# string (TS 23.038, clause 5).
_SAFE: Final = re.compile(r"[0-9A-Za-z *#+.,:/?!'()=-]{1,182}")

_CR: Final = 0x0D
_LANGUAGE_FIRST: Final = 0x10  # then the text in the default alphabet
_LANGUAGE_FIRST_UCS2: Final = 0x11
_UNSPECIFIED: Final = 15  # what a missing <dcs> is taken for

# Hex that stands where text should: from so many octets on chance is no explanation.
_FEWEST_OCTETS: Final = 6
_FEWEST_UCS2_OCTETS: Final = 8

_ENDINGS: Final = {
    0: "the network answered without a text",
    2: "the network ended the session",
    3: "somebody else answered the network through this modem",
    4: "the network does not support this",
    5: "the network timed out",
}


class _Alphabet(Enum):
    DEFAULT = auto()
    OCTETS = auto()
    UCS2 = auto()
    COMPRESSED = auto()


@dataclass(frozen=True)
class UssdAnswer:
    """`+CUSD: <m>[,<str>,<dcs>]`."""

    status: int
    text: str = field(repr=False)

    @property
    def expects_reply(self) -> bool:
        """Whether the network waits for a choice."""
        return self.status == 1

    @property
    def ending(self) -> str:
        """What the status means where no text says it."""
        return _ENDINGS.get(self.status, f"the modem ended it with status {self.status}")


def is_code(text: str) -> bool:
    """Whether this begins something new, rather than being a reply to a menu."""
    return _CODE.fullmatch(text) is not None


def is_safe(text: str) -> bool:
    """Whether this may be sent at all, as a code or as a reply."""
    return _SAFE.fullmatch(text) is not None


def packed_hex(text: str) -> str:
    """Return a safe text as packed septets in hex; a CR fills seven spare bits (TS 23.038, 6.1.2.3.1)."""
    septets = text.encode("ascii")
    if len(septets) % 8 == 7:
        septets += bytes((_CR,))
    return gsm7.pack(septets).hex().upper()


def in_character_set(text: str, character_set: str) -> str:
    """Return a safe text as a modem takes it that was set so by `AT+CSCS` (TS 27.007, 5.5)."""
    if character_set == "UCS2":
        return text.encode("utf-16-be").hex().upper()
    return text.encode("ascii").hex().upper() if character_set == "HEX" else text


def read_answer(line: str, character_set: str = "", *, is_packed: bool = False) -> UssdAnswer | None:
    """Read a `+CUSD` line, whatever form its text has.

    Modems give hex where they should give text, under a coding that says otherwise. It is read so only where it
    cannot be anything else.

    Args:
        line: The line, with the line feeds of its text.
        character_set: What `AT+CSCS?` tells; empty if it does not.
        is_packed: Whether this modem speaks packed septets in hex.
    """
    match = re.fullmatch(
        r'\+CUSD: *(\d+) *(?:, *(?:"(.*)"|([^",]*)) *(?:, *(\d*) *)?)?', line, re.DOTALL | re.IGNORECASE
    )
    if not match:
        return None
    raw = match[2] or match[3] or ""
    text = _read_text(raw, int(match[4] or _UNSPECIFIED), character_set, is_packed)
    return UssdAnswer(int(match[1]), text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n\x00 "))


def _alphabet(dcs: int) -> _Alphabet:
    """Tell the alphabet by the data coding scheme; what is reserved is the default alphabet."""
    if dcs == _LANGUAGE_FIRST_UCS2:
        return _Alphabet.UCS2
    group = dcs >> 4
    if group == 0b1111:
        return _Alphabet.OCTETS if dcs & 0x04 else _Alphabet.DEFAULT
    if group not in (0b0100, 0b0101, 0b0110, 0b0111, 0b1001):
        return _Alphabet.DEFAULT
    if group in (0b0110, 0b0111):
        return _Alphabet.COMPRESSED
    return {0x04: _Alphabet.OCTETS, 0x08: _Alphabet.UCS2}.get(dcs & 0x0C, _Alphabet.DEFAULT)


def _read_text(raw: str, dcs: int, character_set: str, is_packed: bool) -> str:
    alphabet, octets = _alphabet(dcs), _octets(raw)
    if alphabet is _Alphabet.DEFAULT:
        text = _read_default(raw, octets, character_set, is_packed)
        return re.sub(r"\A[A-Za-z]{2}[\r\n]", "", text) if dcs == _LANGUAGE_FIRST else text
    if octets is None or alphabet is _Alphabet.COMPRESSED:
        return raw
    if alphabet is _Alphabet.UCS2:
        if dcs == _LANGUAGE_FIRST_UCS2 and gsm7.unpack(octets, 2).isalpha():
            octets = octets[2:]
        return octets.decode("utf-16-be", errors="replace") if len(octets) % 2 == 0 else raw
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    return text if _is_clean(text) else raw


def _read_default(raw: str, octets: bytes | None, character_set: str, is_packed: bool) -> str:
    if octets is not None:
        if character_set == "UCS2" and len(octets) % 2 == 0:
            return octets.decode("utf-16-be", errors="replace")
        if character_set == "HEX" and octets.isascii():
            return decode_gsm7(octets)
        found = _surely_ucs2(octets)
        # Digits alone may be an amount or a number.
        if not found and (is_packed or (len(octets) >= _FEWEST_OCTETS and not raw.isdigit())):
            found = ("" if is_packed else _surely_septets(octets)) or _surely_packed(octets)
        if found:
            return found
    if character_set == "GSM" and raw.isascii():
        return decode_gsm7(raw.encode())
    return raw


def _octets(raw: str) -> bytes | None:
    return bytes.fromhex(raw) if re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", raw) else None


def _surely_ucs2(octets: bytes) -> str:
    """Return the text if it is one of a single script, with spaces and digits where it is not Latin."""
    pages = set(octets[::2])
    if len(octets) < _FEWEST_UCS2_OCTETS or len(octets) % 2 or 0 not in pages or len(pages) > 2:
        return ""
    try:
        text = octets.decode("utf-16-be")
    except UnicodeDecodeError:
        return ""
    return text if _is_clean(text) else ""


def _surely_septets(octets: bytes) -> str:
    """Return the text if each octet is one character of it, as under AT+CSCS="HEX"."""
    text = decode_gsm7(octets) if octets.isascii() else ""
    return text if _is_clean(text) else ""


def _surely_packed(octets: bytes) -> str:
    septets = gsm7.unpack(octets, len(octets) * 8 // 7)
    if len(septets) % 8 == 0 and septets[-1] in (_CR, 0):
        septets = septets[:-1]  # seven spare bits
    text = decode_gsm7(septets)
    return text if _is_clean(text) else ""


def _is_clean(text: str) -> bool:
    """Whether a text has nothing but what people write: no control characters, no Greek capitals among Latin."""
    if "\n" in text or "\r" in text:
        text = text.replace("\n", " ").replace("\r", " ")
    has_latin = re.search("[A-Za-z]", text) is not None
    return text.isprintable() and not (has_latin and re.search("[ΔΦΓΛΩΠΨΣΘΞ]", text))
