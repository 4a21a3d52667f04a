"""Phone numbers: one canonical form, so that `0812…`, `+62812…` and `62812…` are one receiver."""

import re
from dataclasses import dataclass

from otppi.lib.masking import masked_digits

_DECORATION = str.maketrans("", "", " -.()\u00a0\u2010\u2011\u2012\u2013")
# ITU-T E.164, 6.2.1: at most fifteen digits; seven is the shortest international number in use.
_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[1-9][0-9]{1,5}")


@dataclass(frozen=True, repr=False)
class Number:
    """A receiver: international digits without a plus, or a short code of the operator's."""

    digits: str
    is_short_code: bool = False

    @property
    def masked(self) -> str:
        """The form for logs and pages."""
        return masked_digits(self.digits)

    def __str__(self) -> str:
        """Return the masked form: the full digits go where somebody asks for `digits`."""
        return self.masked

    def __repr__(self) -> str:
        """Return the masked form, for the same reason."""
        return f"Number({self.masked})"


def parse_number(raw: str, country_code: str) -> Number:
    """Read a number as people and old clients write it.

    Accepted are national (`0812…`), international (`+62…`, `0062…`, `62…`), the doubled form `620812…` and
    short codes of two to six digits (a leading zero makes it a national number). Spaces, dashes, dots and
    brackets are ignored.

    Raises:
        ValueError: The text cannot be a phone number; the message says why and does not repeat it.
    """
    text = raw.strip().translate(_DECORATION)
    is_international = text.startswith("+")
    text = text.removeprefix("+")
    if not text.isascii() or not text.isdigit():
        raise ValueError("has characters that are not part of a phone number")
    if not is_international and _SHORT_CODE.fullmatch(text):
        return Number(text, is_short_code=True)
    if text.startswith("00") and not is_international:
        text = text[2:]
    elif text.startswith("0") and not is_international:
        text = country_code + text[1:]
    if text.startswith(country_code + "0"):
        text = country_code + text[len(country_code) :].lstrip("0")
    if not _INTERNATIONAL.fullmatch(text):
        raise ValueError("is not a possible phone number (7 to 15 digits with its country code)")
    return Number(text)
