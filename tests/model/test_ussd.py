import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model import ussd

# Lines that real modems gave, as their owners published them: the line, the character set if it is known, the text.
PUBLISHED = {
    "packed under 15 (asterisk-chan-dongle, issue 38)": (
        '+CUSD: 0,"CF2135487D2E4131DCCD25A381E02E",15',
        "",
        "OCTATOK 187.24 p.",
    ),
    "packed under 0 (asterisk-chan-dongle, issue 38)": (
        '+CUSD: 0,"CE325C1EB6A7D9EE7C1AE47EB7CB72507DCEAE9FD3",0',
        "",
        "Nepravilnyi nomer uslugi",
    ),
    "packed with a CR in the spare bits (asterisk-chan-dongle, test_parse.c)": (
        '+CUSD: 1,"CF2135487D2E4130572D0682BB1A",1',
        "",
        "OCTATOK 0.51 p.",
    ),
    "octets in hex, Indonesian, AT+CSCS=HEX (gammu, issue 513)": (
        '+CUSD: 1,"536973612070756C73612052702E333030302E416B7469662073642032362F30322F323032302E0A312E59410A322E43'
        '656B204B756F74610A",0',
        "HEX",
        "Sisa pulsa Rp.3000.Aktif sd 26/02/2020.\n1.YA\n2.Cek Kuota",
    ),
    "the same where the modem does not tell its character set": (
        '+CUSD: 1,"536973612070756C73612052702E333030302E416B7469662073642032362F30322F323032302E",0',
        "",
        "Sisa pulsa Rp.3000.Aktif sd 26/02/2020.",
    ),
    "UCS-2 under 15, AT+CSCS=UCS2 (gammu, issue 358)": (
        '+CUSD: 2,"00480061007600690020006B0065007200650074003A0020003000460074002E002000460065006C007400F6006C007400'
        'F60074007400200065006700790065006E006C00650067",15',
        "UCS2",
        "Havi keret: 0Ft. Feltöltött egyenleg",
    ),
    "UCS-2 under 15 from a modem that does not tell (a test of a Vietnamese SMS program)": (
        '+CUSD: 0,"0053006F002000540042",15',
        "",
        "So TB",
    ),
    "UCS-2 under 72 (notes of an Algerian modem pool)": (
        '+CUSD: 0,"00430068006500720020006E0075006D00E90072006F",72',
        "IRA",
        "Cher numéro",
    ),
    "lines of text, no coding, OK behind (gammu, issue 150)": (
        '+CUSD: 0," Vash balans 968.98 r.\nDlya vas - nedelya besplatnogo SMS-obsh\'eniya! Podkl.: *320#"',
        "",
        " Vash balans 968.98 r.\nDlya vas - nedelya besplatnogo SMS-obsh'eniya! Podkl.: *320#",
    ),
    "nothing in quotes (gammu, issue 292)": ('+CUSD: 0,""', "", ""),
    "no text at all (python-gsmmodem, issue 43)": ("+CUSD: 4", "", ""),
    "a status of its own (Ai-Thinker GPRS-AT, issue 12)": ('+CUSD: 6, "..."', "", "..."),
    "plain text (python-gsmmodem, test_modem.py)": (
        '+CUSD: 2,"You have the following remaining balances:\n0 free minutes\n20 MORE Weekend minutes ",15',
        "",
        "You have the following remaining balances:\n0 free minutes\n20 MORE Weekend minutes",
    ),
}


@pytest.mark.parametrize("case", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_lines_are_read(case):
    line, character_set, text = case
    answer = ussd.read_answer(line, character_set)
    assert answer is not None
    assert (answer.text, answer.status) == (text, int(line[7]))
    assert answer.expects_reply == (answer.status == 1)


# TS 23.038, clause 5: every group once. "Aé" in each alphabet.
CODINGS = {
    **{dcs: ('"Aé"', "Aé") for dcs in (0x00, 0x0F, 0x10, 0x20, 0x24, 0x2F, 0x30, 0x3F)},
    **{dcs: ('"Aé"', "Aé") for dcs in (0x40, 0x50, 0x53, 0x90, 0xF0, 0xF3, 0x8F, 0xAA, 0xBF, 0xC0, 0xE0)},
    **{dcs: ('"41E9"', "Aé") for dcs in (0x44, 0x54, 0x57, 0x94, 0xF4, 0xF7)},
    **{dcs: ('"004100E9"', "Aé") for dcs in (0x11, 0x48, 0x58, 0x5B, 0x98)},
    **{dcs: ('"1234"', "1234") for dcs in (0x60, 0x64, 0x68, 0x70)},  # compressed: left as it is
}


@pytest.mark.parametrize("dcs", CODINGS, ids=hex)
def test_the_alphabet_follows_the_data_coding_scheme(dcs):
    quoted, text = CODINGS[dcs]
    answer = ussd.read_answer(f"+CUSD: 0,{quoted},{dcs}")
    assert answer is not None
    assert answer.text == text


@pytest.mark.parametrize(
    ("line", "character_set", "text"),
    [
        # A language in front: as text, and as two packed characters before UCS-2 ("id", 0x6932).
        ('+CUSD: 0,"id\nSisa Rp 5",16', "", "Sisa Rp 5"),
        ('+CUSD: 0,"Sisa Rp 5",16', "", "Sisa Rp 5"),
        ('+CUSD: 0,"6932005300690073 0061",17'.replace(" ", ""), "", "Sisa"),
        # What could be text is text.
        ('+CUSD: 0,"00530061",15', "", "00530061"),
        ('+CUSD: 0,"12500",15', "", "12500"),
        ('+CUSD: 0,"628120000001",15', "", "628120000001"),
        ('+CUSD: 0,"ABC",72', "", "ABC"),
        ('+CUSD: 0,"0059006",72', "", "0059006"),
        ('+CUSD: 0,"Saldo",72', "", "Saldo"),
        ('+CUSD: 0,"Saldo",68', "", "Saldo"),
        ('+CUSD: 0,"53616C646F",68', "", "Saldo"),
        ('+CUSD: 0,"0031003200350030",15', "", "1250"),
        ('+CUSD: 0,"04110430043B0430043D04410020003500300030",15', "", "Баланс 500"),
        # Septets as they are, where the modem says so.
        ('+CUSD: 0,"\x11 \x02 \x1be",15', "GSM", "_ $ €"),
        ('+CUSD: 0,"a_b $5",15', "IRA", "a_b $5"),
        ('+CUSD:0 , "1. Pulsa\n2. Kuota, dan "lain"" , 15', "", '1. Pulsa\n2. Kuota, dan "lain"'),
        ("+CUSD: 0,0053006F002000540042,72", "", "So TB"),
    ],
)
def test_text_and_hex_are_told_apart(line, character_set, text):
    answer = ussd.read_answer(line, character_set)
    assert answer is not None
    assert answer.text == text


@pytest.mark.parametrize("line", ["", "+CUSD:", "+CUSD: x", '+CUSD: 0,"open', "+CMTI: 1,2"])
def test_rejects__read_answer(line):
    assert ussd.read_answer(line) is None


def test_every_ending_has_words():
    endings = {ussd.UssdAnswer(status, "").ending for status in (0, 2, 3, 4, 5, 6)}
    assert len(endings) == 6


@pytest.mark.parametrize(
    ("text", "packed"),
    [("*101#", "AA182C3602"), ("*100#", "AA180C3602"), ("*123*4#", "AA986CA6A28D1A")],
)
def test_packs_as_published(text, packed):
    # The first is of asterisk-chan-dongle, issue 116. A CR fills seven spare bits.
    assert ussd.packed_hex(text) == packed


SAFE = st.text("0123456789ABCabcxyz *#+.,:/?!'()=-", min_size=6, max_size=60)


@given(SAFE)
def test_what_is_packed_is_read_again(text):
    answer = ussd.read_answer(f'+CUSD: 0,"{ussd.packed_hex(text)}",15', is_packed=True)
    assert answer is not None
    assert answer.text == text.rstrip()


@given(
    st.text(max_size=200),
    st.integers(0, 255),
    st.sampled_from(["", "GSM", "IRA", "UCS2", "HEX"]),
    st.booleans(),
)
def test_nothing_breaks_it(text, dcs, character_set, is_packed):
    for line in (f'+CUSD: 0,"{text}",{dcs}', f'+CUSD: 0,"{text.encode().hex()}",{dcs}', text):
        ussd.read_answer(line, character_set, is_packed=is_packed)


@pytest.mark.parametrize("code", ["*888#", "*123*4#", "#06#", "*#06#", "*1A#", "##"])
def test_codes(code):
    assert ussd.is_code(code)
    assert ussd.is_safe(code)


@pytest.mark.parametrize(
    "reply", ["1", "00", "*", "Rahasia 1", "081200000001", "*888", "888#", "yes, please!"]
)
def test_replies(reply):
    assert not ussd.is_code(reply)
    assert ussd.is_safe(reply)


@pytest.mark.parametrize("text", ["", '1"', "1\r", "1\n", "a;b", "1\x1a", "é", "@", "_", "x" * 183, "\\"])
def test_what_may_not_be_sent(text):
    assert not ussd.is_safe(text)
