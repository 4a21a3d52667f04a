"""SMS-DELIVER and SMS-STATUS-REPORT as a modem gives them (3GPP TS 23.040, 9.2.2.1 and 9.2.2.3).

Read tolerantly, as real networks and modems do not all keep to the letter: what can be understood is, and what
cannot is told by a mark in the text or comes as data.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum, StrEnum, auto
from typing import Final

from otppi.lib.masking import masked_digits
from otppi.model import gsm7
from otppi.model.pdu_fields import (
    ALPHANUMERIC,
    DIGITS,
    INTERNATIONAL,
    MOST_USER_OCTETS,
    TYPE_OF_NUMBER_MASK,
    UDHI,
    Concat,
    PduError,
    Reader,
    concat_of,
    elements,
    fill_bits,
    octets_of,
    semi_octets,
    septets_before_text,
)
from otppi.model.sms_text import decode_gsm7

# TP-MTI (9.2.3.1); a reserved value is to be read as a DELIVER.
_MTI_MASK: Final = 0x03
_MTI_DELIVER: Final = 0x00
_MTI_STATUS_REPORT: Final = 0x02
_MTI_RESERVED: Final = 0x03

_MOST_SEMI_OCTETS: Final = 24  # of an address; one of twelve octets is as long as 9.1.2.5 lets it be
_MANY_DIGITS: Final = 5  # a name with so many of them may be a number in disguise

# Information elements (9.2.3.24): application ports of 8 and 16 bits, national language tables.
_PORTS: Final = frozenset({0x04, 0x05})
_SINGLE_SHIFT: Final = 0x24
_LOCKING_SHIFT: Final = 0x25

_UNKNOWN: Final = "\ufffd"
# TS 23.038, A.3: what all locking shift tables have at the places of the default alphabet, so digits are always
# read; and what those of Turkish (1) and Portuguese (3) have as well.
_SHARED_BY_ALL: Final = frozenset("\n\r !,.0123456789:;?abcdefghijklmnopqrstuvwxyz")
_SHARED_BY_LATIN: Final = _SHARED_BY_ALL | frozenset("\"#%&'()*+-/<=>@£$¥ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LATIN_LANGUAGES: Final = frozenset({1, 3})


@dataclass(frozen=True)
class Party:
    """Who is at the other end: `+62812…`, a number as the network gave it, or a name such as a shop's."""

    text: str = field(repr=False)
    is_name: bool = False

    @property
    def masked(self) -> str:
        """The form for logs and events; the name of a shop is no person's."""
        if self.is_name and sum(char.isdigit() for char in self.text) < _MANY_DIGITS:
            return self.text
        return masked_digits(self.text)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One SMS-DELIVER.

    At the edges of a part half of a surrogate pair may stand, if the network cut between the halves: see `mended`.
    """

    sender: Party
    text: str = field(repr=False)  # of data the octets in hexadecimal
    is_data: bool = False
    concat: Concat | None = None
    sent_at: datetime | None = None  # when the SMS centre got it; None if it says nonsense


class ReportOutcome(StrEnum):
    """What became of a message at its receiver (TP-ST, 9.2.3.15)."""

    DELIVERED = "delivered"
    UNCONFIRMED = "given on, delivery not confirmed"
    TRYING = "the network still tries"
    EXPIRED = "its life ended before it was delivered"
    FAILED = "not delivered"
    SILENCE = "no report came"  # no TP-ST says this


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """One SMS-STATUS-REPORT."""

    reference: int  # TP-MR of the message
    receiver: Party
    status: int  # TP-ST
    sent_at: datetime | None = None
    discharged_at: datetime | None = None  # when it was delivered, or last tried

    @property
    def outcome(self) -> ReportOutcome:
        """What TP-ST says."""
        return report_outcome(self.status)


def report_outcome(status: int) -> ReportOutcome:
    """Return what a TP-ST says (9.2.3.15); reserved values count as refused, as they are to."""
    if status == 0x00:
        return ReportOutcome.DELIVERED
    if status < 0x20:
        return ReportOutcome.UNCONFIRMED
    if status < 0x40:
        return ReportOutcome.TRYING
    return ReportOutcome.EXPIRED if status == 0x46 else ReportOutcome.FAILED


def decode_received(hex_pdu: str) -> Delivered | StatusReport:
    """Read what the network brought, SMSC field first, as `+CMT`, `+CDS`, `+CMGR` and `+CMGL` give it.

    Raises:
        PduError: It is neither of the two, or ends before its user data begins.
    """
    reader = Reader(octets_of(hex_pdu))
    reader.take(reader.octet())  # SMSC
    first_octet = reader.octet()
    kind = first_octet & _MTI_MASK
    if kind in (_MTI_DELIVER, _MTI_RESERVED):
        return _delivered(reader, has_header=bool(first_octet & UDHI))
    if kind == _MTI_STATUS_REPORT:
        return _status_report(reader)
    raise PduError("nothing that a network brings")


def mended(text: str) -> str:
    """Join halves of surrogate pairs that have come together; one that stays alone becomes U+FFFD."""
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def _delivered(reader: Reader, *, has_header: bool) -> Delivered:
    sender = _party(reader)
    reader.octet()  # TP-PID: whatever it asks for, the message is shown
    alphabet = _alphabet(reader.octet())
    sent_at = _time_stamp(reader.take(7))
    length, user_data = reader.octet(), reader.rest()[:MOST_USER_OCTETS]
    header = _Header.read(user_data) if has_header else _Header()
    text = _text(alphabet, length, user_data, header)
    return Delivered(
        sender=sender,
        text=text if header.concat is not None else mended(text),
        is_data=alphabet is _Alphabet.DATA or header.has_ports,
        concat=header.concat,
        sent_at=sent_at,
    )


def _status_report(reader: Reader) -> StatusReport:
    return StatusReport(
        reference=reader.octet(),
        receiver=_party(reader),
        sent_at=_time_stamp(reader.take(7)),
        discharged_at=_time_stamp(reader.take(7)),
        status=reader.octet(),
    )


def _party(reader: Reader) -> Party:
    """Read TP-OA or TP-RA (9.1.2.5)."""
    count, type_of_address = reader.octet(), reader.octet()
    if count > _MOST_SEMI_OCTETS:
        raise PduError("no possible length of an address")
    octets = reader.take((count + 1) // 2)
    kind = type_of_address & TYPE_OF_NUMBER_MASK
    if kind == ALPHANUMERIC:
        name = decode_gsm7(gsm7.unpack(octets, count * 4 // 7))
        # Seven characters leave seven bits over, which some networks count in: they read as @.
        return Party("".join(filter(str.isprintable, name)).removesuffix("@").strip(), is_name=True)
    digits = "".join(DIGITS[half] for half in semi_octets(octets)[:count] if half < len(DIGITS))
    return Party(f"+{digits}" if digits and kind == INTERNATIONAL & TYPE_OF_NUMBER_MASK else digits)


def _time_stamp(octets: bytes) -> datetime | None:
    """Read a time with its zone in quarters of an hour (9.2.3.11)."""
    *tens_and_ones, zone = octets
    if any(octet & 0x0F > 9 or octet >> 4 > 9 for octet in tens_and_ones):
        return None
    year, month, day, hour, minute, second = (10 * (octet & 0x0F) + (octet >> 4) for octet in tens_and_ones)
    quarters = 10 * (zone & 0x07) + (zone >> 4)
    offset = timedelta(minutes=15 * (-quarters if zone & 0x08 else quarters))
    try:
        century = 1900 if year >= 90 else 2000
        return datetime(century + year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None


class _Alphabet(Enum):
    GSM7 = auto()
    UCS2 = auto()
    DATA = auto()


def _alphabet(dcs: int) -> _Alphabet:
    """Read TP-DCS (TS 23.038, 4); what is reserved there is to be read as GSM-7."""
    if dcs < 0x80:  # general, with or without automatic deletion
        is_compressed, coding = dcs & 0x20, dcs & 0x0C
        if is_compressed or coding == 0x04:
            return _Alphabet.DATA
        return _Alphabet.UCS2 if coding == 0x08 else _Alphabet.GSM7
    if dcs >= 0xF0:  # message class
        return _Alphabet.DATA if dcs & 0x04 else _Alphabet.GSM7
    # Message waiting: discard, store, store in UCS-2.
    return _Alphabet.UCS2 if 0xE0 <= dcs < 0xF0 else _Alphabet.GSM7


@dataclass
class _Header:
    """What a user data header says (9.2.3.24)."""

    octets: int = 0  # its length octet included
    concat: Concat | None = None
    has_ports: bool = False
    single_shift: int = 0
    locking_shift: int = 0

    @classmethod
    def read(cls, user_data: bytes) -> "_Header":
        """Read as many elements as are whole."""
        octets = min(user_data[0] + 1, len(user_data)) if user_data else 0
        header = cls(octets)
        try:
            for identifier, element in elements(user_data[:octets]):
                header._take(identifier, element)
        except PduError:
            pass  # what was read before it holds
        return header

    def _take(self, identifier: int, element: bytes) -> None:
        if identifier in _PORTS:
            self.has_ports = True
        elif identifier == _SINGLE_SHIFT and element:
            self.single_shift = element[0]
        elif identifier == _LOCKING_SHIFT and element:
            self.locking_shift = element[0]
        else:
            self.concat = concat_of(identifier, element) or self.concat


def _text(alphabet: _Alphabet, length: int, user_data: bytes, header: _Header) -> str:
    """Read the text as far as it goes; `length` is TP-UDL, in septets or octets by the alphabet (9.2.3.16)."""
    body = user_data[header.octets :]
    if alphabet is _Alphabet.GSM7 and not header.has_ports:
        whole = min(length, 8 * len(user_data) // 7)
        count = max(0, whole - septets_before_text(header.octets))
        return _septets_as_text(gsm7.unpack(body, count, fill_bits(header.octets)), header)
    if alphabet is not _Alphabet.GSM7:
        body = body[: max(0, length - header.octets)]
    if alphabet is _Alphabet.UCS2 and not header.has_ports:
        odd = len(body) % 2
        return body[: len(body) - odd].decode("utf-16-be", "surrogatepass") + _UNKNOWN * odd
    return body.hex().upper()


def _septets_as_text(septets: bytes, header: _Header) -> str:
    if not header.locking_shift and not header.single_shift:
        return decode_gsm7(septets)
    known = _known_of(header.locking_shift)
    return "".join(_national(iter(septets), known, is_shifted=bool(header.single_shift)))


def _known_of(language: int) -> Callable[[str], bool]:
    if not language:
        return lambda _: True
    return (_SHARED_BY_LATIN if language in _LATIN_LANGUAGES else _SHARED_BY_ALL).__contains__


def _national(septets: Iterable[int], known: Callable[[str], bool], *, is_shifted: bool) -> Iterable[str]:
    """Yield characters under national tables, of which only what they share with the default ones is known."""
    rest = iter(septets)
    for septet in rest:
        if septet != gsm7.ESCAPE:
            char = gsm7.DEFAULT_ALPHABET[septet]
            yield char if known(char) else _UNKNOWN
            continue
        escaped = next(rest, None)
        if escaped is None:
            yield " "
        elif escaped in gsm7.DEFAULT_EXTENSION:
            yield gsm7.DEFAULT_EXTENSION[escaped]  # all single shift tables have these
        elif is_shifted:
            yield _UNKNOWN
        else:
            yield gsm7.DEFAULT_ALPHABET[escaped].replace(chr(gsm7.ESCAPE), " ")
