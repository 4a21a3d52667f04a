"""SMS-SUBMIT as a modem takes it: written for sending, read by the simulated network (3GPP TS 23.040)."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from otppi.model import gsm7
from otppi.model.pdu_fields import (
    ALPHANUMERIC,
    DIGITS,
    INTERNATIONAL,
    MOST_DIGITS,
    MOST_USER_OCTETS,
    TYPE_OF_NUMBER_MASK,
    UDHI,
    UNKNOWN_TYPE,
    Concat,
    PduError,
    Reader,
    address,
    concat_of,
    elements,
    fill_bits,
    octets_of,
    semi_octets,
    septets_before_text,
)
from otppi.model.sms_text import Coding, SmsText, decode_gsm7

__all__ = [
    "Concat",
    "PduError",
    "SubmitPdu",
    "Submitted",
    "decode_submit",
    "relative_validity",
    "submit_pdus",
]

# First octet (9.2.2.2).
_MTI_MASK: Final = 0x03  # TP-MTI (9.2.3.1)
_MTI_SUBMIT: Final = 0x01
_VPF_MASK: Final = 0x18  # TP-VPF (9.2.3.3)
_VPF_RELATIVE: Final = 0x10
_SRR: Final = 0x20  # TP-SRR (9.2.3.5)

_DCS: Final = {Coding.GSM7: 0x00, Coding.UCS2: 0x08}  # TS 23.038, clause 4

_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S
# TP-VP, relative (9.2.3.12.1): the period in seconds of every value.
_RELATIVE_VALIDITY_S: Final = (
    *((value + 1) * 5 * _MINUTE_S for value in range(144)),
    *(12 * _HOUR_S + (value - 143) * 30 * _MINUTE_S for value in range(144, 168)),
    *((value - 166) * _DAY_S for value in range(168, 197)),
    *((value - 192) * 7 * _DAY_S for value in range(197, 256)),
)


@dataclass(frozen=True)
class SubmitPdu:
    """One SMS-SUBMIT, ready for `AT+CMGS`."""

    tpdu_octets: int  # the length that AT+CMGS is given: without the SMSC field (TS 27.005, 4.3)
    hex: str = field(repr=False)


@dataclass(frozen=True)
class Submitted:
    """What a PDU asks of the network."""

    number: str = field(repr=False)
    type_of_address: int
    text: str = field(repr=False)
    concat: Concat | None
    validity_s: int | None
    coding: Coding
    wants_report: bool = False


def submit_pdus(
    number_digits: str,
    is_short_code: bool,
    text: SmsText,
    *,
    concat_reference: int,
    validity_s: float | None,
    wants_report: bool = False,
) -> tuple[SubmitPdu, ...]:
    """Write one SMS-SUBMIT (9.2.2.2) per part.

    Each asks for the SMS centre stored in the SIM and no rejection of duplicates. Without `validity_s` the SMS
    centre decides how long it keeps trying.

    Args:
        number_digits: International digits without a plus, or a short code.
        is_short_code: Whether the number is to be dialled as it stands.
        text: The coded text.
        concat_reference: 0 to 255, another one for each long message to the same receiver (9.2.3.24.1).
        validity_s: See `relative_validity`.
        wants_report: Whether the network is to report of each part what became of it.
    """
    head = (
        b"\x00"  # TP-MR: the modem puts its own number there
        + address(number_digits, UNKNOWN_TYPE if is_short_code else INTERNATIONAL)
        + bytes((0x00, _DCS[text.coding]))  # TP-PID, TP-DCS
    )
    first_octet = _MTI_SUBMIT | (_SRR if wants_report else 0)
    if validity_s is not None:
        first_octet |= _VPF_RELATIVE
        head += bytes((relative_validity(validity_s),))
    if text.part_count == 1:
        return (_submit_pdu(first_octet, head, text.coding, b"", text.parts[0]),)
    return tuple(
        _submit_pdu(
            first_octet | UDHI,
            head,
            text.coding,
            bytes((5, 0x00, 3, concat_reference, text.part_count, number)),
            part,
        )
        for number, part in enumerate(text.parts, start=1)
    )


def relative_validity(seconds: float) -> int:
    """Return the TP-VP octet for a period (9.2.3.12.1): the shortest that is not shorter, at most 63 weeks.

    Rounding down would let the network give up on a code that is still good, and its owner could not log in.
    Rounding up may bring one after its end, by less than five minutes for lives of up to twelve hours; the
    check of the code refuses it then, so that does no harm.
    """
    # Half a second of grace: a life of five minutes less a difference of clocks must not become ten.
    return min(bisect_left(_RELATIVE_VALIDITY_S, seconds - 0.5), 255)


def decode_submit(hex_pdu: str) -> Submitted:
    """Read a SMS-SUBMIT as given to `AT+CMGS`, SMSC field first.

    Read strictly, so that a fault of the writer shows: no octets may be missing or left over.

    Raises:
        PduError: It is malformed; or not a SUBMIT in GSM-7 or UCS-2 with no or a relative validity period.
    """
    reader = Reader(octets_of(hex_pdu))
    reader.take(reader.octet())  # SMSC
    first_octet = reader.octet()
    if first_octet & _MTI_MASK != _MTI_SUBMIT:
        raise PduError("not a SUBMIT")
    reader.octet()  # TP-MR
    number, type_of_address = _read_address(reader)
    reader.octet()  # TP-PID
    coding = _read_coding(reader)
    validity_s = _read_validity_s(reader, first_octet & _VPF_MASK)
    length, user_data = reader.octet(), reader.rest()
    header = _header(user_data) if first_octet & UDHI else b""
    return Submitted(
        number=number,
        type_of_address=type_of_address,
        text=_text(coding, length, user_data, len(header)),
        concat=_concat(header),
        validity_s=validity_s,
        coding=coding,
        wants_report=bool(first_octet & _SRR),
    )


def _submit_pdu(first_octet: int, head: bytes, coding: Coding, header: bytes, part: bytes) -> SubmitPdu:
    if coding is Coding.GSM7:
        length = septets_before_text(len(header)) + len(part)
        user_data = header + gsm7.pack(part, fill_bits(len(header)))
    else:
        length = len(header) + len(part)
        user_data = header + part
    tpdu = bytes((first_octet,)) + head + bytes((length,)) + user_data
    return SubmitPdu(len(tpdu), "00" + tpdu.hex().upper())


def _read_address(reader: Reader) -> tuple[str, int]:
    """Read TP-DA (9.1.2.5)."""
    count, type_of_address = reader.octet(), reader.octet()
    if not 1 <= count <= MOST_DIGITS:
        raise PduError("no possible count of digits")
    if not type_of_address & 0x80 or type_of_address & TYPE_OF_NUMBER_MASK == ALPHANUMERIC:
        raise PduError("no type of a destination address")
    halves = semi_octets(reader.take((count + 1) // 2))
    digits, fill = halves[:count], halves[count:]
    if 0x0F in digits or fill not in ([], [0x0F]):
        raise PduError("the address is not filled as it should be")
    return "".join(DIGITS[digit] for digit in digits), type_of_address


def _read_coding(reader: Reader) -> Coding:
    dcs = reader.octet()
    for coding, value in _DCS.items():
        if dcs == value:
            return coding
    raise PduError("a data coding scheme that is never sent")


def _read_validity_s(reader: Reader, validity_format: int) -> int | None:
    if validity_format == 0:
        return None
    if validity_format != _VPF_RELATIVE:
        raise PduError("a validity period that is not relative")
    return _RELATIVE_VALIDITY_S[reader.octet()]


def _header(user_data: bytes) -> bytes:
    """Return the user data header with its length octet (9.2.3.24)."""
    if not user_data or len(user_data) <= user_data[0]:
        raise PduError("the header is longer than the user data")
    return user_data[: user_data[0] + 1]


def _concat(header: bytes) -> Concat | None:
    """Find the concatenation element; of several the last one counts (9.2.3.24)."""
    found = None
    for identifier, element in elements(header):
        found = concat_of(identifier, element) or found
    return found


def _text(coding: Coding, length: int, user_data: bytes, header_octets: int) -> str:
    """Read the text after the header; `length` is TP-UDL, in septets or octets by the coding (9.2.3.16)."""
    octets = (7 * length + 7) // 8 if coding is Coding.GSM7 else length
    if len(user_data) != octets or octets > MOST_USER_OCTETS:
        raise PduError("the user data is not as long as it says")
    body = user_data[header_octets:]
    if coding is Coding.UCS2:
        return _decode_utf16(body)
    septets = length - septets_before_text(header_octets)
    if septets < 0:
        raise PduError("the header is longer than the user data")
    return decode_gsm7(gsm7.unpack(body, septets, fill_bits(header_octets)))


def _decode_utf16(octets: bytes) -> str:
    try:
        return octets.decode("utf-16-be")
    except UnicodeDecodeError:
        # Not chained: the first error carries the text.
        raise PduError("not UTF-16") from None
