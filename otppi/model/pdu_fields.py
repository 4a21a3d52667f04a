"""What the kinds of PDUs have in common: addresses, user data, and headers in it (3GPP TS 23.040)."""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

UDHI: Final = 0x40  # TP-UDHI, in the first octet (9.2.3.23)
MOST_USER_OCTETS: Final = 140

# Type of address (9.1.2.5): the top bit is always set, then type of number and numbering plan.
INTERNATIONAL: Final = 0x91
UNKNOWN_TYPE: Final = 0x81
ALPHANUMERIC: Final = 0xD0
TYPE_OF_NUMBER_MASK: Final = 0xF0
MOST_DIGITS: Final = 20
DIGITS: Final = "0123456789*#abc"  # semi-octets (9.1.2.3); 1111 fills

# Information elements (9.2.3.24.1, 9.2.3.24.8): identifier to the octets that the reference takes.
_CONCAT_REFERENCE_OCTETS: Final = {0x00: 1, 0x08: 2}


class PduError(ValueError):
    """The PDU is malformed, or of a kind that is not read."""


@dataclass(frozen=True)
class Concat:
    """Which part of which long message this is; `number` counts from 1."""

    reference: int
    total: int
    number: int


class Reader:
    """Takes octets from the front."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next octets.

        Raises:
            PduError: There are fewer.
        """
        taken = self._octets[self._at : self._at + count]
        if len(taken) < count:
            raise PduError("it ends too early")
        self._at += count
        return taken

    def octet(self) -> int:
        """Return the next octet; see `take`."""
        return self.take(1)[0]

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._octets) - self._at)

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._octets)


def octets_of(hex_pdu: str) -> bytes:
    """Return the octets of a PDU.

    Raises:
        PduError: It is not hexadecimal.
    """
    try:
        # bytes.fromhex would let white space pass.
        return binascii.unhexlify(hex_pdu)
    except ValueError:
        raise PduError("not hexadecimal") from None


def semi_octets(octets: bytes) -> list[int]:
    """Return the halves of octets, the lower first (9.1.2.3)."""
    return [half for octet in octets for half in (octet & 0x0F, octet >> 4)]


def swapped(digits: str) -> bytes:
    """Return decimal digits in pairs, the second of each first, with a fill behind an odd count (9.1.2.3)."""
    padded = digits + "F" if len(digits) % 2 else digits
    return bytes.fromhex(
        "".join(second + first for first, second in zip(padded[::2], padded[1::2], strict=True))
    )


def address(digits: str, type_of_address: int) -> bytes:
    """Write the address of a number (9.1.2.5): the count of digits, the type, and the digits."""
    return bytes((len(digits), type_of_address)) + swapped(digits)


def septets_before_text(header_octets: int) -> int:
    """Return what a header counts for in TP-UDL: its octets and fill bits, in septets (9.2.3.16)."""
    return (8 * header_octets + 6) // 7


def fill_bits(header_octets: int) -> int:
    """Return how many bits bring the text to a septet boundary after the header (9.2.3.24)."""
    return -8 * header_octets % 7


def elements(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the information elements of a header that stands with its length octet (9.2.3.24).

    Raises:
        PduError: An element is longer than the header.
    """
    reader = Reader(header[1:])
    while not reader.is_at_end:
        yield reader.octet(), reader.take(reader.octet())


def concat_of(identifier: int, element: bytes) -> Concat | None:
    """Read a concatenation element; None if it is another, or one that is to be ignored (9.2.3.24.1).

    Raises:
        PduError: It is not as long as it must be.
    """
    reference_octets = _CONCAT_REFERENCE_OCTETS.get(identifier)
    if reference_octets is None:
        return None
    if len(element) != reference_octets + 2:
        raise PduError("a concatenation element of a wrong length")
    reference, total, number = int.from_bytes(element[:-2], "big"), element[-2], element[-1]
    # With any other values the whole element is to be ignored.
    return Concat(reference, total, number) if 1 <= number <= total else None
