from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from otppi.web.words import language_of, words_for
from provisioning import words as catalogue

JAKARTA = ZoneInfo("Asia/Jakarta")
NOON_S = datetime(2026, 11, 21, 5, 0, tzinfo=UTC).timestamp()


def indonesian():
    return words_for("id", lambda: JAKARTA)


def english():
    return words_for("en", lambda: JAKARTA)


def test_nothing_is_untranslated_and_the_catalogues_are_fresh():
    made = catalogue.merged(catalogue.gathered(), [catalogue.read(catalogue.PO)])
    assert catalogue.missing(made) == []
    assert catalogue.PO.read_bytes() == catalogue.po_text(made)
    assert catalogue.MO.read_bytes() == catalogue.mo_bytes(catalogue.read(catalogue.PO))


def test_a_text_that_is_not_there_is_told_of():
    made = catalogue.merged(["A text that nobody has written."], [catalogue.read(catalogue.PO)])
    assert catalogue.missing(made) == ["A text that nobody has written."]


def test_every_translation_takes_the_same_values():
    for one in catalogue.read(catalogue.PO):
        for text in one.string if isinstance(one.string, tuple) else (one.string,):
            source = one.id if isinstance(one.id, str) else one.id[1]
            assert sorted(gaps(text)) == sorted(gaps(source)), source


def gaps(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:]] if text else []


def test_a_text_is_translated_and_takes_its_values():
    assert english()("Modem {name} is ready.", name="tri") == "Modem tri is ready."
    assert indonesian()("Modem {name} is ready.", name="tri") == "Modem tri siap."


def test_values_are_no_text_of_the_catalogue():
    assert indonesian()("Modem {name} is ready.", name="{name} Saved.") == "Modem {name} Saved. siap."


@pytest.mark.parametrize(
    ("below", "told"),
    [
        ("ready", "siap"),
        ("must have at least 10 characters", "harus memiliki sekurangnya 10 karakter"),
        ("nobody ever wrote this: 7", "nobody ever wrote this: 7"),
        ("ready: 250 2.0.0 Ok", "siap: 250 2.0.0 Ok"),
        ("one.example.com: answers HTTP 500", "one.example.com: menjawab HTTP 500"),
        (
            "one.example.com: cannot be reached: its name is not known",
            "one.example.com: tidak bisa dijangkau: namanya tidak dikenal",
        ),
        ("nobody ever wrote this: ready", "nobody ever wrote this: ready"),
        ("", ""),
    ],
)
def test_a_sentence_from_below_is_translated_whole_or_left_as_it_is(below, told):
    assert indonesian().said(below) == told
    assert english().said(below) == below


def test_what_nobody_wrote_as_a_sentence_is_not_looked_at():
    sentence = "must have at least 10 characters"
    assert indonesian().said(sentence + "; " + "x" * 500) == sentence + "; " + "x" * 500
    words = words_for("id")
    words.said("must have at least 11 characters")
    before = words._remembered.cache_info()
    assert words.said("a" * 501) == "a" * 501
    assert words._remembered.cache_info() == before, "was searched, or is kept"


def test_what_is_said_to_programs_is_not_in_the_catalogue():
    texts = [text for text in catalogue.gathered() if isinstance(text, str)]
    assert "-3 to 2" in texts
    assert [text for text in texts if text.startswith(("-p", "--", "-{}"))] == []


def test_numbers_dates_and_rupiah_have_the_form_of_the_language():
    assert indonesian().number(1234567.5) == "1.234.567,5"
    assert english().number(1234567.5) == "1,234,567.5"
    assert indonesian().money("12500", "IDR").replace("\xa0", " ") in ("Rp12.500", "Rp 12.500")
    assert indonesian().money("12.5", "IDR").endswith("12,50")
    assert indonesian().moment(NOON_S) == "21 Nov 2026 12.00.00"
    assert indonesian().size(1_500_000).replace("\xa0", " ") == "1,5 MB"
    assert indonesian().percent(0.25) == "25%"
    assert english().moment("") == ""


def test_a_day_is_that_of_the_device():
    late = datetime(2026, 11, 21, 20, 0, tzinfo=UTC).timestamp()
    assert indonesian().day(late).startswith("22 ")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("id-ID,id;q=0.9,en;q=0.8", "id"),
        ("in-ID", "id"),
        ("en-GB,id;q=0.5", "en"),
        ("de,fr;q=0.9,id;q=0.1", "id"),
        ("de", "en"),
        ("", "en"),
        ("id;q=0", "en"),
        ("id;q=x,en", "en"),
    ],
)
def test_the_language_follows_the_browser(header, language):
    assert language_of(header) == language


def test_a_language_that_is_not_known_is_english():
    assert words_for("xy").language == "en"
