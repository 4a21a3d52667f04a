"""The text of a short message: coded for the air and cut into parts."""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from otppi.model import gsm7

# 3GPP TS 23.040, 9.2.3.24.1: the header with an 8-bit reference takes 6 of the 140 octets, or 7 septets.
SEPTETS_ALONE: Final = 160
SEPTETS_OF_MANY: Final = 153
OCTETS_ALONE: Final = 140
OCTETS_OF_MANY: Final = 134
_MOST_PARTS: Final = 255


class Coding(Enum):
    """The alphabet of a message."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


@dataclass(frozen=True)
class SmsText:
    """A text as it goes on the air.

    A part is one septet per byte, escapes included (GSM-7), or octets of UTF-16BE (UCS-2).
    """

    coding: Coding
    parts: tuple[bytes, ...] = field(repr=False)

    @property
    def part_count(self) -> int:
        """How many short messages the text takes, and is paid for as."""
        return len(self.parts)

    def whole(self) -> str:
        """Return the text as it was, for a way that is not the air."""
        joined = b"".join(self.parts)
        return decode_gsm7(joined) if self.coding is Coding.GSM7 else joined.decode("utf-16-be")


# str.translate leaves what it does not know as it is. Whatever is not in the alphabet must end up outside
# ASCII, so that encoding to ASCII fails: characters from U+0080 on are there already, the others are moved.
_TO_SEPTETS: Final[dict[int, str]] = (
    {code: "\x80" for code in range(128)}
    | {ord(char): chr(code) for code, char in enumerate(gsm7.DEFAULT_ALPHABET) if code != gsm7.ESCAPE}
    | {ord(char): chr(gsm7.ESCAPE) + chr(code) for code, char in gsm7.DEFAULT_EXTENSION.items()}
)

# Keyed by the character that the septet after the escape has in the default alphabet. A second escape is
# reserved for further tables and shows as a space (TS 23.038, 6.2.1.1, note 1).
_EXTENDED: Final[dict[str, str]] = {
    gsm7.DEFAULT_ALPHABET[code]: char for code, char in gsm7.DEFAULT_EXTENSION.items()
} | {"\x1b": " ", "": " "}
_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)


def code_text(text: str) -> SmsText:
    """Code a text in GSM-7 if every character fits, otherwise in UCS-2, and cut it if it is long.

    CRLF and CR become LF. Only the default alphabet and its extension table are used, since every phone
    knows them. No cut separates an escape from its septet, or the halves of a surrogate pair.

    Raises:
        ValueError: The text has half a surrogate pair, or takes more than 255 parts.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    septets = _septets(text)
    if septets is not None:
        return _cut(Coding.GSM7, septets, SEPTETS_ALONE, SEPTETS_OF_MANY, _ends_in_escape)
    return _cut(Coding.UCS2, _utf16(text), OCTETS_ALONE, OCTETS_OF_MANY, _ends_in_high_surrogate)


def decode_gsm7(septets: bytes) -> str:
    """Return the text of septets, one per byte.

    An escape before a septet without an extended character is ignored; one at the very end is a space
    (TS 23.038, 6.2.1 and 6.2.1.1).

    Raises:
        ValueError: A byte is above 0x7F.
    """
    text, _ = codecs.charmap_decode(septets, "strict", gsm7.DEFAULT_ALPHABET)
    if "\x1b" not in text:
        return text
    return _ESCAPED.sub(lambda match: _EXTENDED.get(match[1], match[1]), text)


def _septets(text: str) -> bytes | None:
    try:
        return text.translate(_TO_SEPTETS).encode("ascii")
    except UnicodeEncodeError:
        return None


def _utf16(text: str) -> bytes:
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError:
        # Not chained: the first error carries the text.
        raise ValueError("the text has half a surrogate pair") from None


def _ends_in_escape(piece: bytes) -> bool:
    return piece[-1] == gsm7.ESCAPE


def _ends_in_high_surrogate(piece: bytes) -> bool:
    return 0xD8 <= piece[-2] <= 0xDB


def _cut(coding: Coding, units: bytes, alone: int, of_many: int, is_torn: Callable[[bytes], bool]) -> SmsText:
    """Cut into pieces of at most `of_many` bytes; a torn end moves to the next piece."""
    if len(units) <= alone:
        return SmsText(coding, (units,))
    torn_bytes = 1 if coding is Coding.GSM7 else 2
    parts: list[bytes] = []
    start = 0
    while start < len(units):
        if len(parts) == _MOST_PARTS:
            raise ValueError(f"the text takes more than {_MOST_PARTS} parts")
        piece = units[start : start + of_many]
        if is_torn(piece):
            piece = piece[:-torn_bytes]
        parts.append(piece)
        start += len(piece)
    return SmsText(coding, tuple(parts))
