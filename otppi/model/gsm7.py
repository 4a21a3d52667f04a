"""The GSM 7 bit default alphabet: its tables, and how septets are packed into octets (3GPP TS 23.038)."""

from typing import Final

ESCAPE: Final = 0x1B

# TS 23.038, 6.2.1: the character of septet n is the n-th one here; eight rows of sixteen. 0x1B is no
# character but the escape to the extension table.
DEFAULT_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

# TS 23.038, 6.2.1.1: the septet that follows an escape, and the character that both stand for. 0x0A is the
# page break, which is a form feed in Unicode.
DEFAULT_EXTENSION: Final[dict[int, str]] = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

_BITS: Final = tuple(f"{septet:07b}" for septet in range(128))


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Pack one septet per byte into octets, least significant bit first (TS 23.038, 6.1.2.1).

    `fill_bits` zero bits come before the first septet, so that it starts on a septet boundary after a header.
    """
    if not septets:
        return b""
    # A string of bits is read by int() in linear time; shifting septets into a growing number is not.
    bits = "".join([_BITS[septet] for septet in reversed(septets)])
    size = (len(bits) + fill_bits + 7) // 8
    return (int(bits, 2) << fill_bits).to_bytes(size, "little")


def unpack(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """Unpack `count` septets, one per byte, from octets that hold at least so many."""
    value = int.from_bytes(octets, "little") >> fill_bits
    return bytes((value >> (7 * index)) & 0x7F for index in range(count))
