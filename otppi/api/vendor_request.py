"""What programs of the vendor's dialect send, read as that vendor reads it, and its codes for what is wrong."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from string import ascii_letters, digits, punctuation
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus

from otppi.gateway.body import parse_json
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.model.errors import BadRequest
from otppi.model.number import Number, parse_number

_MOST_IDS: Final = 200
_MOST_FIELDS: Final = 50
_LONGEST_CONTENT_BYTES: Final = 1023
# The one time zone that the dialect names, whatever that of the device is.
_ZONE: Final = timezone(timedelta(hours=8))
_TIME: Final = "%Y%m%d%H%M%S"
_TIME_SHAPE = re.compile(r"[0-9]{14}")
_ID = re.compile(r"[0-9]{1,18}")
# What a program encodes before it puts it into JSON has nothing else in it; a text that was not encoded has a space or
# another sign.
_ENCODED = re.compile(r"(?:[A-Za-z0-9_.~!*'()/+-]|%[0-9A-Fa-f]{2})*+")
_PLAIN = ascii_letters + digits + punctuation


class Status(IntEnum):
    """The vendor's codes, as far as this device answers them."""

    OK = 0
    LOGIN = -1
    ADDRESS = -2
    CONTENT_EMPTY = -4
    CONTENT_LONG = -5
    TOO_MANY = -7
    NUMBER_EMPTY = -8
    NUMBER_ABNORMAL = -9
    BALANCE = -10
    TIME_FORMAT = -11
    PLATFORM = -12
    LOCKED = -13
    IDS = -14
    TOO_OFTEN = -15
    TIME_OVER = -16
    PARAMETER = -22
    TOTAL_LIMIT = -27
    NO_RIGHT = -32


class Refused(Exception):
    """The request is answered with a code other than 0."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request whose sender is known."""

    account: str
    rights: VendorAccount
    address: str
    fields: Mapping[str, str] = field(repr=False)
    token: str = ""  # what was signed; empty in version 1


def read_fields(query: bytes, body: bytes) -> dict[str, str]:
    """Return the fields of an address and of a body; what the body says goes first.

    The type of the body is not looked at, as programs name JSON and send a form, or nothing.

    Raises:
        Refused: They cannot be read.
    """
    try:
        fields = dict(_pairs(query))
        if body.lstrip().startswith(b"{"):
            document = parse_json(body)
            fields |= {name: _plain(value) for name, value in document.items() if value is not None}
            if "content" in fields:
                fields["content"] = _decoded(fields["content"])
        else:
            fields |= _pairs(body)
    except (ValueError, TypeError, AttributeError, BadRequest):
        raise Refused(Status.PARAMETER) from None
    return fields


def proves(account: VendorAccount | None, fields: Mapping[str, str]) -> bool:
    """Whether the signature of version 2 is that of the account."""
    if account is None or not account.api_key:
        return False
    signed = f"{fields['account']}{account.api_key}{fields.get('datetime', '')}"
    # The dialect wants it; that of the REST API is better.
    right = hashlib.md5(signed.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    given = fields.get("sign", "").strip().lower()
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


def signed_at_s(fields: Mapping[str, str]) -> float:
    """Return the time of a signature.

    Raises:
        Refused: It is none.
    """
    stamp = fields.get("datetime", "")
    try:
        if not _TIME_SHAPE.fullmatch(stamp):
            raise ValueError(stamp)
        return datetime.strptime(stamp, _TIME).replace(tzinfo=_ZONE).timestamp()
    except ValueError:
        raise Refused(Status.TIME_FORMAT) from None


def read_content(fields: Mapping[str, str]) -> str:
    """Return the text to send.

    Raises:
        Refused: There is none, or it is too long.
    """
    content = fields.get("content", "").strip()
    if not content:
        raise Refused(Status.CONTENT_EMPTY)
    try:
        if len(content.encode()) > _LONGEST_CONTENT_BYTES:
            raise Refused(Status.CONTENT_LONG)
    except UnicodeEncodeError:
        raise Refused(Status.PARAMETER) from None
    return content


def read_numbers(fields: Mapping[str, str], country_code: str, most: int) -> tuple[list[Number], int]:
    """Return the receivers, each once, and how many could not be read.

    Raises:
        Refused: There are none, too many, or none that can be read.
    """
    wanted = [one for one in re.split(r"[,;]", fields.get("numbers", "")) if one.strip()]
    if not wanted:
        raise Refused(Status.NUMBER_EMPTY)
    if len(wanted) > most:
        raise Refused(Status.TOO_MANY)
    numbers, abnormal = dict[str, Number](), 0
    for one in wanted:
        try:
            number = parse_number(one.strip().lstrip("_"), country_code)
        except ValueError:
            abnormal += 1
        else:
            numbers[number.digits] = number
    if not numbers:
        raise Refused(Status.NUMBER_ABNORMAL)
    return list(numbers.values()), abnormal


def read_ids(fields: Mapping[str, str]) -> list[int]:
    """Return the ids of the messages that are asked for, each once.

    Raises:
        Refused: There are none, too many, or something else.
    """
    wanted = [one.strip() for one in fields.get("ids", "").split(",") if one.strip()]
    if len(wanted) > _MOST_IDS:
        raise Refused(Status.TOO_MANY)
    if not wanted or not all(map(_ID.fullmatch, wanted)):
        raise Refused(Status.IDS)
    return list(dict.fromkeys(map(int, wanted)))


def replaced(text: str, replacements: Iterable[str]) -> str:
    """Return a text with other words in the place of those that operators block."""
    pairs = (one.partition("=") for one in replacements)
    others = {word.strip().casefold(): other.strip() for word, _, other in pairs}
    if not others:
        return text
    longest_first = sorted(others, key=len, reverse=True)
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"
    return re.sub(pattern, lambda found: others.get(found[0].casefold(), found[0]), text, flags=re.IGNORECASE)


def stamp(at_s: float) -> int:
    """Return a time as the dialect writes it, a number of 14 digits."""
    return int(datetime.fromtimestamp(at_s, _ZONE).strftime(_TIME))


def _pairs(form: bytes) -> Iterator[tuple[str, str]]:
    # Letters that somebody forgot to encode are UTF-8 as well.
    text = quote(form.strip(), safe=_PLAIN)
    return iter(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_plain, value))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("no text")
    return str(value)


def _decoded(content: str) -> str:
    """Return a text from JSON without the encoding for addresses that the vendor's document asks for."""
    if "%" not in content or not _ENCODED.fullmatch(content):
        return content
    try:
        return unquote_plus(content, errors="strict")
    except ValueError:
        return content
