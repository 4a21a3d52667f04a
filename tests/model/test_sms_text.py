import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model.sms_text import Coding, SmsText, code_text, decode_gsm7

ESCAPE = 0x1B

# 3GPP TS 23.038, 6.2.1, written out as code points; None is the escape.
# fmt: off
DEFAULT_ALPHABET = [
    0x0040, 0x00A3, 0x0024, 0x00A5, 0x00E8, 0x00E9, 0x00F9, 0x00EC,  # 00
    0x00F2, 0x00C7, 0x000A, 0x00D8, 0x00F8, 0x000D, 0x00C5, 0x00E5,
    0x0394, 0x005F, 0x03A6, 0x0393, 0x039B, 0x03A9, 0x03A0, 0x03A8,  # 10
    0x03A3, 0x0398, 0x039E, None,   0x00C6, 0x00E6, 0x00DF, 0x00C9,
    0x0020, 0x0021, 0x0022, 0x0023, 0x00A4, 0x0025, 0x0026, 0x0027,  # 20
    0x0028, 0x0029, 0x002A, 0x002B, 0x002C, 0x002D, 0x002E, 0x002F,
    0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x0035, 0x0036, 0x0037,  # 30
    0x0038, 0x0039, 0x003A, 0x003B, 0x003C, 0x003D, 0x003E, 0x003F,
    0x00A1, 0x0041, 0x0042, 0x0043, 0x0044, 0x0045, 0x0046, 0x0047,  # 40
    0x0048, 0x0049, 0x004A, 0x004B, 0x004C, 0x004D, 0x004E, 0x004F,
    0x0050, 0x0051, 0x0052, 0x0053, 0x0054, 0x0055, 0x0056, 0x0057,  # 50
    0x0058, 0x0059, 0x005A, 0x00C4, 0x00D6, 0x00D1, 0x00DC, 0x00A7,
    0x00BF, 0x0061, 0x0062, 0x0063, 0x0064, 0x0065, 0x0066, 0x0067,  # 60
    0x0068, 0x0069, 0x006A, 0x006B, 0x006C, 0x006D, 0x006E, 0x006F,
    0x0070, 0x0071, 0x0072, 0x0073, 0x0074, 0x0075, 0x0076, 0x0077,  # 70
    0x0078, 0x0079, 0x007A, 0x00E4, 0x00F6, 0x00F1, 0x00FC, 0x00E0,
]
# 3GPP TS 23.038, 6.2.1.1
EXTENSION = [
    (0x0A, 0x000C), (0x14, 0x005E), (0x28, 0x007B), (0x29, 0x007D), (0x2F, 0x005C),
    (0x3C, 0x005B), (0x3D, 0x007E), (0x3E, 0x005D), (0x40, 0x007C), (0x65, 0x20AC),
]
# fmt: on
POSITIONS = [(septet, point) for septet, point in enumerate(DEFAULT_ALPHABET) if point is not None]
IN_ALPHABET = {point for _, point in POSITIONS} | {point for _, point in EXTENSION}

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
gsm_text = st.text(st.sampled_from([chr(point) for point in sorted(IN_ALPHABET - {0x0D})]), max_size=1000)


@pytest.mark.parametrize(("septet", "point"), POSITIONS)
def test_every_position_of_the_default_alphabet_is_read(septet, point):
    assert decode_gsm7(bytes([septet])) == chr(point)


@pytest.mark.parametrize(("septet", "point"), [pair for pair in POSITIONS if pair[1] != 0x0D])
def test_every_character_of_the_default_alphabet_is_one_septet(septet, point):
    assert code_text(chr(point)) == SmsText(Coding.GSM7, (bytes([septet]),))


@pytest.mark.parametrize(("septet", "point"), EXTENSION)
def test_every_character_of_the_extension_table_is_an_escape_and_a_septet(septet, point):
    assert code_text(chr(point)) == SmsText(Coding.GSM7, (bytes([ESCAPE, septet]),))
    assert decode_gsm7(bytes([ESCAPE, septet])) == chr(point)


def test_no_other_character_of_the_basic_plane_is_taken_for_gsm():
    others = [p for p in range(0x10000) if p not in IN_ALPHABET and not 0xD800 <= p <= 0xDFFF]
    taken = [hex(p) for p in others if code_text(f"a{chr(p)}b").coding is not Coding.UCS2]
    assert taken == []


@pytest.mark.parametrize("septet", sorted(set(range(128)) - {code for code, _ in EXTENSION} - {ESCAPE}))
def test_an_escape_before_a_septet_without_extended_character_is_ignored(septet):
    assert decode_gsm7(bytes([ESCAPE, septet, 0x61])) == chr(DEFAULT_ALPHABET[septet]) + "a"


def test_an_escape_of_an_escape_and_an_escape_at_the_end_are_spaces():
    assert decode_gsm7(bytes([0x61, ESCAPE, ESCAPE, 0x65])) == "a e"
    assert decode_gsm7(bytes([0x61, ESCAPE])) == "a "


def test_a_byte_that_is_no_septet_is_refused():
    with pytest.raises(ValueError):
        decode_gsm7(b"ab\x80")


def test_an_empty_text_is_one_empty_part():
    assert code_text("") == SmsText(Coding.GSM7, (b"",))


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb", "a\nb"])
@pytest.mark.parametrize("tail", ["", "\u65e5"])
def test_all_line_ends_are_sent_as_line_feed(text, tail):
    assert code_text(text + tail) == code_text("a\nb" + tail)


def test_cr_cr_lf_is_two_line_ends():
    assert code_text("\r\r\n").parts == (b"\n\n",)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("x" * 160, [160]),
        ("x" * 161, [153, 8]),
        ("x" * 306, [153, 153]),
        ("x" * 307, [153, 153, 1]),
        ("x" * 158 + "{", [160]),
        ("x" * 159 + "{", [153, 8]),
        # The escape would be septet 153 of the first part, so it begins the second.
        ("x" * 152 + "{" + "y" * 10, [152, 12]),
        ("x" * 151 + "{" + "y" * 10, [153, 10]),
        ("{" * 80, [160]),
        ("{" * 81, [152, 10]),
    ],
)
def test_gsm_texts_are_cut_by_septets(text, lengths):
    coded = code_text(text)
    assert coded.coding is Coding.GSM7
    assert [len(part) for part in coded.parts] == lengths
    assert "".join(map(decode_gsm7, coded.parts)) == text


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("\u65e5" * 70, [70]),
        ("\u65e5" * 71, [67, 4]),
        ("\u65e5" * 134, [67, 67]),
        ("\u65e5" * 135, [67, 67, 1]),
        ("\U0001f511" * 35, [70]),
        ("\U0001f511" * 36, [66, 6]),
        # The pair would lie on both sides of the cut after unit 67.
        ("\u65e5" * 66 + "\U0001f511" + "\u65e5" * 5, [66, 7]),
        ("\u65e5" * 66 + "\U00010000" + "\u65e5" * 5, [66, 7]),  # the first pair, D800 DC00
        ("\u65e5" * 66 + "\U0010fffd" + "\u65e5" * 5, [66, 7]),  # the last one, DBFF DFFD
        ("\u65e5" * 65 + "\U0001f511" + "\u65e5" * 5, [67, 5]),
        ("\u65e5" * 69 + "\U0001f511", [67, 4]),
        ("a" * 160 + "\u65e5", [67, 67, 27]),
    ],
)
def test_ucs2_texts_are_cut_by_utf16_units(text, units):
    coded = code_text(text)
    assert coded.coding is Coding.UCS2
    assert [len(part) // 2 for part in coded.parts] == units
    assert "".join(part.decode("utf-16-be") for part in coded.parts) == text


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b", "\ude00\ud83d", "\ud83d" * 200])
def test_half_a_surrogate_pair_is_refused_without_repeating_the_text(text):
    with pytest.raises(ValueError, match=r"^the text has half a surrogate pair$") as caught:
        code_text(text)
    assert type(caught.value) is ValueError
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("char", "in_one_part"), [("x", 153), ("{", 76), ("\u65e5", 67), ("\U0001f511", 33)])
def test_255_parts_are_the_most(char, in_one_part):
    assert code_text(char * in_one_part * 255).part_count == 255
    with pytest.raises(ValueError, match=r"^the text takes more than 255 parts$"):
        code_text(char * (in_one_part * 255 + 1))


def test_the_repr_shows_no_content():
    assert repr(code_text("secret")) == "SmsText(coding=<Coding.GSM7: 'GSM-7'>)"


@given(gsm_text)
def test_gsm_parts_are_full_whole_and_lose_nothing(text):
    coded = code_text(text)
    assert coded.coding is Coding.GSM7
    assert "".join(map(decode_gsm7, coded.parts)) == text
    assert all(len(part) >= 152 for part in coded.parts[:-1])
    assert all(not part.endswith(b"\x1b") for part in coded.parts)
    assert max(map(len, coded.parts)) <= (160 if coded.part_count == 1 else 153)


@given(any_text.map(lambda text: text + "\u65e5"))
def test_ucs2_parts_are_full_whole_and_lose_nothing(text):
    coded = code_text(text)
    assert coded.coding is Coding.UCS2
    joined = "".join(part.decode("utf-16-be") for part in coded.parts)
    assert joined == text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(len(part) >= 132 for part in coded.parts[:-1])
    assert max(map(len, coded.parts)) <= (140 if coded.part_count == 1 else 134)
