import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model.number import Number, parse_number


@pytest.mark.parametrize(
    "raw",
    [
        "081200000001",
        "6281200000001",
        "+6281200000001",
        "006281200000001",
        "62081200000001",
        "+62081200000001",
        "+62 812-0000-0001",
        " 0812.0000.0001 ",
        "(0812) 0000 0001",
        "+62\u00a0812\u20110000\u20110001",
    ],
)
def test_all_ways_to_write_a_number_are_one_receiver(raw):
    expected = "6281200000001"
    assert parse_number(raw, "62") == Number(expected)


def test_the_country_code_is_a_setting():
    assert parse_number("0412345678", "61").digits == "61412345678"


def test_a_foreign_number_stays_foreign():
    assert parse_number("+12025550100", "62").digits == "12025550100"


@pytest.mark.parametrize("raw", ["123", "4444", "858", "112233"])
def test_short_codes_stay_as_they_are(raw):
    assert parse_number(raw, "62") == Number(raw, is_short_code=True)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "+",
        "1",
        "0",
        "0871",
        "abc",
        "0812x0000001",
        '0812";AT+CFUN=0',
        "0812\r\nAT",
        "0812\x1a0000",
        "+" + "1" * 16,
        "1" * 16,
        "+0812000000",
        "+123",
        "٠٨١٢٠٠٠٠٠٠٠١",
        "0812,0813",
        "²³45678",
        "_6281200000001",
    ],
)
def test_impossible_numbers_are_refused(raw):
    with pytest.raises(ValueError) as caught:
        parse_number(raw, "62")
    assert len(raw.strip()) < 4 or raw not in str(caught.value)


@given(st.text(max_size=30))
def test_whatever_is_typed_gives_digits_or_a_refusal(raw):
    try:
        number = parse_number(raw, "62")
    except ValueError:
        return
    assert number.digits.isascii()
    assert number.digits.isdigit()
    assert 2 <= len(number.digits) <= 15


def test_neither_str_nor_masked_shows_the_number():
    number = parse_number("081200000001", "62")
    assert str(number) == number.masked == "62812••••••01"
