"""SMS-DELIVER and SMS-STATUS-REPORT as a network writes them; for the simulated one (3GPP TS 23.040, 9.2.2)."""

from datetime import datetime, timedelta
from typing import Final

from otppi.model import gsm7
from otppi.model.pdu_fields import (
    ALPHANUMERIC,
    INTERNATIONAL,
    UDHI,
    UNKNOWN_TYPE,
    address,
    fill_bits,
    septets_before_text,
    swapped,
)
from otppi.model.received_pdu import Party
from otppi.model.sms_text import Coding, code_text

_DELIVER: Final = 0x04  # TP-MTI 0, and no more messages waiting (9.2.3.2)
_STATUS_REPORT: Final = 0x06
_DCS: Final = {Coding.GSM7: 0x00, Coding.UCS2: 0x08}
# The SMS centre that simulated cards have: +6280000000000 (9.1.2.5, TS 24.011, 8.2.5.1).
_SMSC: Final = bytes((8, INTERNATIONAL)) + swapped("6280000000000")
_ZONE_IS_NEGATIVE: Final = 0x08


def deliver_pdus(
    sender: Party, text: str, *, sent_at: datetime, concat_reference: int = 0
) -> tuple[str, ...]:
    """Write one SMS-DELIVER per part of a text.

    Raises:
        ValueError: The text takes more than 255 parts, or the name of the sender more than eleven characters.
    """
    coded = code_text(text)
    head = _address(sender) + bytes((0x00, _DCS[coded.coding])) + time_stamp(sent_at)
    pdus = []
    for number, part in enumerate(coded.parts, start=1):
        is_long = coded.part_count > 1
        header = bytes((5, 0x00, 3, concat_reference, coded.part_count, number)) if is_long else b""
        if coded.coding is Coding.GSM7:
            length = septets_before_text(len(header)) + len(part)
            part = gsm7.pack(part, fill_bits(len(header)))
        else:
            length = len(header) + len(part)
        first_octet = _DELIVER | (UDHI if is_long else 0)
        pdus.append(_hex(bytes((first_octet,)) + head + bytes((length,)) + header + part))
    return tuple(pdus)


def status_report_pdu(
    reference: int, receiver: Party, status: int, *, sent_at: datetime, discharged_at: datetime
) -> str:
    """Write what became of the message with this TP-MR; `status` is TP-ST (9.2.3.15)."""
    head = bytes((_STATUS_REPORT, reference)) + _address(receiver)
    return _hex(head + time_stamp(sent_at) + time_stamp(discharged_at) + bytes((status,)))


def tpdu_octets(hex_pdu: str) -> int:
    """Return the length that `+CMGR:` and its like tell: without the SMSC field (TS 27.005, 4.1)."""
    octets = bytes.fromhex(hex_pdu)
    return len(octets) - 1 - octets[0]


def time_stamp(moment: datetime) -> bytes:
    """Write a time with its zone (9.2.3.11); without one it counts as UTC."""
    quarters = (moment.utcoffset() or timedelta()) // timedelta(minutes=15)
    zone = swapped(f"{abs(quarters):02}")[0] | (_ZONE_IS_NEGATIVE if quarters < 0 else 0)
    return swapped(f"{moment:%y%m%d%H%M%S}") + bytes((zone,))


def _address(party: Party) -> bytes:
    if not party.is_name:
        is_international = party.text.startswith("+")
        return address(party.text.removeprefix("+"), INTERNATIONAL if is_international else UNKNOWN_TYPE)
    coded = code_text(party.text)
    (septets,) = coded.parts
    if coded.coding is not Coding.GSM7 or len(septets) > 11:
        raise ValueError("the name of a sender is of up to eleven characters of GSM-7")
    # The count of semi-octets that hold the septets.
    return bytes(((7 * len(septets) + 3) // 4, ALPHANUMERIC)) + gsm7.pack(septets)


def _hex(tpdu: bytes) -> str:
    return (_SMSC + tpdu).hex().upper()
