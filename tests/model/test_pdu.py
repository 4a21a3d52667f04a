import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model import gsm7
from otppi.model.pdu import (
    Concat,
    PduError,
    SubmitPdu,
    Submitted,
    decode_submit,
    relative_validity,
    submit_pdus,
)
from otppi.model.sms_text import Coding, code_text

NUMBER = "6281200000001"
MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800

# What stands between the stored SMSC and the user data of a short GSM-7 text to NUMBER without validity.
HEAD = "0001000D91261802000000F10000"


def pdus_of(text: str, number: str = NUMBER, **changes: object) -> tuple[SubmitPdu, ...]:
    arguments = {"concat_reference": 0x2A, "validity_s": None} | changes
    return submit_pdus(number, len(number) <= 6, code_text(text), **arguments)  # type: ignore[arg-type]


def septets_by_bits(octets: bytes, first_bit: int, count: int) -> list[int]:
    """Read septets one bit at a time, as TS 23.038, 6.1.2.1.1 draws them."""
    bits = [octet >> bit & 1 for octet in octets for bit in range(8)]
    return [
        sum(bit << place for place, bit in enumerate(bits[at : at + 7]))
        for at in range(first_bit, first_bit + 7 * count, 7)
    ]


# --- packing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("septets", "packed"),
    [
        (b"", ""),
        (b"hellohello", "E8329BFD4697D9EC37"),
        # 1100001 seven bits further each time, lowest bits first
        (b"a", "61"),
        (b"aaaaaaa", "E170381C0E8701"),
        (b"aaaaaaaa", "E170381C0E87C3"),
        (b"\x7f" * 8, "FFFFFFFFFFFFFF"),
        (b"\x00" * 9, "0000000000000000"),
    ],
)
def test_septets_are_packed_from_the_lowest_bit(septets, packed):
    assert gsm7.pack(septets).hex().upper() == packed
    assert gsm7.unpack(bytes.fromhex(packed), len(septets)) == septets


@pytest.mark.parametrize("fill_bits", range(7))
def test_every_length_packs_with_all_fill_bits(fill_bits):
    for length in range(161):
        septets = bytes((37 * index + 11) % 128 for index in range(length))
        packed = gsm7.pack(septets, fill_bits)
        assert len(packed) == (-(-(7 * length + fill_bits) // 8) if length else 0)
        assert septets_by_bits(packed, fill_bits, length) == list(septets)
        assert gsm7.unpack(packed, length, fill_bits) == septets
        if length:
            assert packed[0] & (1 << fill_bits) - 1 == 0
            assert int.from_bytes(packed, "little") >> 7 * length + fill_bits == 0


# --- golden SUBMITs, octet by octet (TS 23.040, 9.2.2.2) ---------------------------------------------------


def test_a_short_gsm_text_to_an_international_number():
    (pdu,) = pdus_of("hellohello")
    assert pdu.hex == (
        "00"  # SMSC: the one in the SIM
        "01"  # SUBMIT; no RD, no VP, no SRR, no UDH, no RP
        "00"  # TP-MR
        "0D"  # 13 digits
        "91"  # international, ISDN
        "261802000000F1"  # 62 81 20 00 00 00 1 and a fill
        "00"  # TP-PID
        "00"  # GSM-7
        "0A"  # 10 septets
        "E8329BFD4697D9EC37"
    )
    assert pdu.tpdu_octets == 1 + 1 + (1 + 1 + 7) + 1 + 1 + 1 + 9


def test_a_text_to_a_short_code_that_lives_five_minutes():
    (pdu,) = pdus_of("OK", "12345", validity_s=300.0)
    assert pdu.hex == (
        "00"
        "11"  # SUBMIT with a relative validity period
        "00"
        "05"  # 5 digits
        "81"  # unknown type, ISDN
        "2143F5"
        "00"  # TP-PID
        "00"  # GSM-7
        "00"  # TP-VP: (0 + 1) * 5 minutes
        "02"
        "CF25"  # 4F | 4B << 7 = 25CF
    )
    assert pdu.tpdu_octets == 1 + 1 + (1 + 1 + 3) + 1 + 1 + 1 + 1 + 2


def test_a_report_is_asked_for_by_one_bit():
    plain, reported = pdus_of("OK")[0].hex, pdus_of("OK", wants_report=True)[0].hex
    assert (plain[2:4], reported[2:4]) == ("01", "21")
    assert plain[4:] == reported[4:]
    assert decode_submit(reported).wants_report
    assert not decode_submit(plain).wants_report


def test_an_even_number_of_digits_has_no_fill():
    (pdu,) = pdus_of("OK", "628120000001")
    assert pdu.hex == "0001000C91261802000010000002CF25"


def test_a_text_outside_gsm_is_utf_16_big_endian():
    (pdu,) = pdus_of("a\u65e5\U0001f511")
    assert pdu.hex == (
        "00" "01" "00" "0D91261802000000F1" "00"
        "08"  # UCS-2
        "08"  # 8 octets
        "0061" "65E5" "D83DDD11"
    )  # fmt: skip


def test_an_empty_text_has_no_user_data():
    (pdu,) = pdus_of("")
    assert pdu.hex == HEAD + "00"
    assert pdu.tpdu_octets == 14


def test_a_long_gsm_text_has_headers_and_a_fill_bit():
    first, second = pdus_of("a" * 161, validity_s=10 * MINUTE)
    head = "51000D91261802000000F1000001"  # UDHI and VPF; (1 + 1) * 5 minutes
    # 6 octets of header are 48 bits, one bit before a septet boundary: the first a is 61 << 1 = C2.
    assert first.hex == (
        "00" + head + "A0"  # 7 + 153 septets
        "05" "00" "03" "2A" "02" "01" "C2" + "E170381C0E87C3" * 19
    )  # fmt: skip
    assert second.hex == (
        "00" + head + "0F"  # 7 + 8 septets
        "05" "00" "03" "2A" "02" "02" "C2" "E170381C0E8701"
    )  # fmt: skip
    assert (first.tpdu_octets, second.tpdu_octets) == (15 + 140, 15 + 14)


def test_a_long_ucs2_text_has_headers():
    first, second = pdus_of("\u65e5" * 71)
    head = "41000D91261802000000F10008"
    assert first.hex == "00" + head + "8C0500032A0201" + "65E5" * 67
    assert second.hex == "00" + head + "0E0500032A0202" + "65E5" * 4


@pytest.mark.parametrize("length", range(161))
def test_every_length_of_one_part_says_its_septets(length):
    (pdu,) = pdus_of("x" * length)
    length_octet, user_data = bytes.fromhex(pdu.hex.removeprefix(HEAD))[:1], bytes.fromhex(pdu.hex)[15:]
    assert length_octet == bytes([length])
    assert len(user_data) == -(-7 * length // 8)
    assert septets_by_bits(user_data, 0, length) == [0x78] * length
    assert decode_submit(pdu.hex).text == "x" * length


@pytest.mark.parametrize("length", range(161, 307))
def test_every_length_of_two_parts_is_aligned_after_the_header(length):
    for pdu, part_length in zip(pdus_of("x" * length), (153, length - 153), strict=True):
        octets = bytes.fromhex(pdu.hex)
        assert octets[14] == 7 + part_length
        assert len(octets[15:]) == -(-7 * (7 + part_length) // 8)
        assert septets_by_bits(octets[15:], 49, part_length) == [0x78] * part_length
        assert decode_submit(pdu.hex).text == "x" * part_length


# --- validity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "octet"),
    [
        (-1, 0),
        (0, 0),
        (1, 0),
        (5 * MINUTE, 0),
        (5 * MINUTE + 0.001, 0),
        (5 * MINUTE + 1, 1),
        (10 * MINUTE, 1),
        (12 * HOUR - 5 * MINUTE, 142),
        (12 * HOUR, 143),
        (12 * HOUR + 1, 144),
        (12 * HOUR + 30 * MINUTE, 144),
        (24 * HOUR - 30 * MINUTE, 166),
        (24 * HOUR, 167),
        (24 * HOUR + 1, 168),
        (2 * DAY, 168),
        (2 * DAY + 1, 169),
        (30 * DAY, 196),
        (30 * DAY + 1, 197),
        (5 * WEEK, 197),
        (5 * WEEK + 1, 198),
        (63 * WEEK, 255),
        (63 * WEEK + 1, 255),
        (float("inf"), 255),
    ],
)
def test_a_validity_is_the_next_longer_one_of_the_table(seconds, octet):
    assert relative_validity(seconds) == octet


# TS 23.040, 9.2.3.12.1: the first and the last value of each row.
@pytest.mark.parametrize(
    ("octet", "seconds"),
    [
        (0, 5 * MINUTE),
        (143, 12 * HOUR),
        (144, 12 * HOUR + 30 * MINUTE),
        (167, 24 * HOUR),
        (168, 2 * DAY),
        (196, 30 * DAY),
        (197, 5 * WEEK),
        (255, 63 * WEEK),
    ],
)
def test_a_validity_is_read_by_the_table(octet, seconds):
    assert decode_submit(f"0011000281210000{octet:02X}00").validity_s == seconds


@given(st.floats(min_value=0, max_value=63 * WEEK))
def test_the_network_never_gives_up_before_the_end(seconds):
    (pdu,) = pdus_of("x", validity_s=seconds)
    validity_s = decode_submit(pdu.hex).validity_s
    assert validity_s is not None
    assert validity_s >= seconds - 0.5
    if 1 <= seconds <= 12 * HOUR:
        assert validity_s < seconds + 5 * MINUTE


# --- reading -----------------------------------------------------------------------------------------------


def test_what_is_read_is_what_was_asked():
    first, second = pdus_of("{" + "a" * 159, validity_s=HOUR)
    expected = Submitted(
        number=NUMBER,
        type_of_address=0x91,
        text="{" + "a" * 151,
        concat=Concat(reference=0x2A, total=2, number=1),
        validity_s=HOUR,
        coding=Coding.GSM7,
    )
    assert decode_submit(first.hex) == expected
    assert decode_submit(second.hex).concat == Concat(reference=0x2A, total=2, number=2)
    assert decode_submit(second.hex).text == "a" * 8


def test_a_short_code_is_read_with_its_type():
    (pdu,) = pdus_of("OK", "888")
    assert (decode_submit(pdu.hex).number, decode_submit(pdu.hex).type_of_address) == ("888", 0x81)


def test_an_address_may_have_other_than_digits():
    assert decode_submit("00" "01" "00" "0681" "A1CBED" "0000" "00").number == "1*#abc"  # fmt: skip


def test_lower_case_and_a_named_sms_centre_are_read():
    (pdu,) = pdus_of("hellohello")
    named = "0791261802000090" + pdu.hex.removeprefix("00").lower()
    assert decode_submit(named) == decode_submit(pdu.hex)


def test_a_reference_of_16_bits_is_read():
    # 7 octets of header are 8 septets without fill; then hi = 68 | 69 << 7.
    user_data = "06080412340302E834"
    assert decode_submit(with_header("0A", user_data)) == Submitted(
        number="6281200000001",
        type_of_address=0x91,
        text="hi",
        concat=Concat(reference=0x1234, total=3, number=2),
        validity_s=None,
        coding=Coding.GSM7,
    )


def with_header(length: str, user_data: str, dcs: str = "00") -> str:
    return "0041000D91261802000000F100" + dcs + length + user_data


@pytest.mark.parametrize(
    ("header", "concat"),
    [
        ("00", None),
        ("047002AABB", None),
        ("097002AABB0003010201", Concat(1, 2, 1)),
        ("0A00030102010003020202", Concat(2, 2, 2)),
        # TS 23.040, 9.2.3.24.1: such values make the element void.
        ("050003010001", None),
        ("050003010200", None),
        ("050003010203", None),
    ],
)
def test_headers_are_searched_for_the_concatenation(header, concat):
    octets = len(header) // 2 + 2
    submitted = decode_submit(with_header(f"{octets:02X}", header + "65E5", dcs="08"))
    assert submitted.concat == concat
    assert submitted.text == "\u65e5"


@pytest.mark.parametrize(
    "pdu",
    [
        "",
        "0",
        "zz",
        "00 01",
        "\u0660\u0660",
        "00",
        "0501",
        HEAD,
        "00" "00" "00" "0D91261802000000F1" "00" "00" "02CF25",  # a DELIVER
        "00" "02" "00" "0D91261802000000F1" "00" "00" "02CF25",  # a COMMAND
        "00" "09" "00" "0D91261802000000F1" "00" "00" "00" * 7 + "02CF25",  # enhanced validity
        "00" "19" "00" "0D91261802000000F1" "00" "00" "00" * 7 + "02CF25",  # absolute validity
        "00" "01" "00" "0091" "0000" "02CF25",  # no digits
        "00" "01" "00" "1591" + "11" * 10 + "F1" "0000" "02CF25",  # 21 digits
        "00" "01" "00" "0211" "21" "0000" "02CF25",  # type without its top bit
        "00" "01" "00" "02D0" "21" "0000" "02CF25",  # a name
        "00" "01" "00" "0391" "2113" "0000" "02CF25",  # odd count, no fill
        "00" "01" "00" "0491" "21F3" "0000" "02CF25",  # a fill among the digits
        "00" "01" "00" "0491" "2143" "0004" "02CF25",  # 8-bit data
        "00" "01" "00" "0491" "2143" "0020" "02CF25",  # compressed
        HEAD + "02CF",  # too short
        HEAD + "02CF2500",  # too long
        HEAD + "A1" + "00" * 141,  # 161 septets
        "00" "01" "00" "0491" "2143" "0008" "8E" + "65E5" * 71,  # 71 units
        "00" "01" "00" "0491" "2143" "0008" "03" "65E565",  # half a unit
        "00" "01" "00" "0491" "2143" "0008" "02" "D83D",  # half a pair
        "00" "01" "00" "0491" "2143" "0008" "02" "DD11",
        "00" "41" "00" "0491" "2143" "0000" "00",  # a header was said to be there
        "00" "41" "00" "0491" "2143" "0000" "07" "06000301020161",  # longer than the user data
        "00" "41" "00" "0491" "2143" "0008" "04" "047001AA",  # longer by one octet, its element whole
        "00" "41" "00" "0491" "2143" "0008" "06" "050004010201",  # element longer than the header
        "00" "41" "00" "0491" "2143" "0008" "05" "0400020101",  # element too short
        "00" "41" "00" "0491" "2143" "0008" "07" "06080301020100",  # 16-bit element too short
        "00" "41" "00" "0491" "2143" "0000" "06" "050003010201",  # septets fewer than the header is
    ],
)  # fmt: skip
def test_a_malformed_pdu_is_refused(pdu):
    with pytest.raises(PduError):
        decode_submit(pdu)


def test_a_header_may_end_where_the_text_would_begin():
    assert decode_submit("00" "41" "00" "0491" "2143" "0000" "07" "050003010201" "00").text == ""  # fmt: skip


def test_reprs_show_neither_text_nor_number():
    (pdu,) = pdus_of("secret")
    assert repr(pdu) == "SubmitPdu(tpdu_octets=20)"
    assert "secret" not in repr(decode_submit(pdu.hex))
    assert NUMBER not in repr(decode_submit(pdu.hex))


# --- properties --------------------------------------------------------------------------------------------

GSM_CHARACTERS = [char for char in gsm7.DEFAULT_ALPHABET if char != "\x1b"]
texts = st.one_of(
    st.text(st.sampled_from([*GSM_CHARACTERS, *gsm7.DEFAULT_EXTENSION.values()]), max_size=1000),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=1000),
    # Long ones are rare above, and the cuts are what matters.
    st.builds(
        lambda piece, times: piece * times,
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.integers(1, 50),
    ),
)
international = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
short_codes = st.from_regex(r"[0-9]{2,6}", fullmatch=True)
numbers = st.one_of(international, short_codes)


@given(texts, numbers, st.integers(0, 255), st.none() | st.integers(1, 7 * DAY))
def test_every_text_arrives_as_it_was_sent(text, number, reference, validity_s):
    pdus = pdus_of(text, number, concat_reference=reference, validity_s=validity_s)
    read = [decode_submit(pdu.hex) for pdu in pdus]
    assert "".join(part.text for part in read) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert {part.number for part in read} == {number}
    if len(pdus) == 1:
        assert read[0].concat is None
    else:
        assert [part.concat for part in read] == [
            Concat(reference, len(pdus), index) for index in range(1, len(pdus) + 1)
        ]


@given(texts, numbers, st.none() | st.just(300))
def test_the_length_is_that_of_the_tpdu_and_fits(text, number, validity_s):
    for pdu in pdus_of(text, number, validity_s=validity_s):
        assert pdu.tpdu_octets == len(pdu.hex) // 2 - 1
        assert pdu.tpdu_octets <= 164
        assert pdu.hex == pdu.hex.upper()


def read_or_refuse(pdu: str) -> None:
    try:
        submitted = decode_submit(pdu)
    except PduError:
        return
    assert submitted.number
    submitted.text.encode()  # no half of a pair comes out


@given(st.binary(max_size=200))
def test_random_octets_are_read_or_refused(octets):
    read_or_refuse(octets.hex())


@given(st.text(max_size=100))
def test_random_characters_are_read_or_refused(characters):
    read_or_refuse(characters)


@given(st.sampled_from(["00", "08"]), st.sampled_from(["01", "11", "41", "51"]), st.data())
def test_random_user_data_is_read_or_refused(dcs, first_octet, data):
    length = data.draw(st.integers(0, 165))
    octets = -(-7 * length // 8) if dcs == "00" else length
    user_data = data.draw(st.binary(min_size=octets, max_size=octets))
    validity = "A0" if first_octet in ("11", "51") else ""
    read_or_refuse(f"00{first_octet}000491214300{dcs}{validity}{length:02X}{user_data.hex()}")


@given(texts.filter(bool), st.data())
def test_a_truncated_pdu_is_refused(text, data):
    whole = data.draw(st.sampled_from(pdus_of(text, validity_s=300))).hex
    with pytest.raises(PduError):
        decode_submit(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(texts, st.data())
def test_a_pdu_with_a_flipped_bit_is_read_or_refused(text, data):
    octets = bytearray.fromhex(data.draw(st.sampled_from(pdus_of(text))).hex)
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    read_or_refuse(octets.hex())
