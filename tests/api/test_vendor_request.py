import json

import pytest

from otppi.api import vendor_request
from otppi.api.vendor_request import Refused, Status


@pytest.mark.parametrize(
    ("query", "body", "fields"),
    [
        (b"account=a&content=x%20y", b"", {"account": "a", "content": "x y"}),
        (b"content=x+y", b"", {"content": "x y"}),
        (b"account=a&content=", b"", {"account": "a", "content": ""}),
        (b"account=a", b"content=x%26y&numbers=1", {"account": "a", "content": "x&y", "numbers": "1"}),
        (b"account=a", b' {"numbers": 628120000} ', {"account": "a", "numbers": "628120000"}),
        (b"", b'{"numbers": ["1", 2], "senderid": null}', {"numbers": "1,2"}),
        (b"content=a", b'{"content": "b"}', {"content": "b"}),
        ("content=é".encode(), b"", {"content": "é"}),  # not encoded at all
        (b"content=50%", b"", {"content": "50%"}),
    ],
)
def test_fields_are_read_from_the_address_and_whatever_body_there_is(query, body, fields):
    assert vendor_request.read_fields(query, body) == fields


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (b"content=%ff", b""),
        (b"", b'{"content": true}'),
        (b"", b'{"content": {"a": 1}}'),
        (b"", b'{"content": '),
        (b"", b"{" * 100_000),
        (b"&".join(b"a=1" for _ in range(51)), b""),
    ],
)
def test_what_cannot_be_read_is_a_wrong_parameter(query, body):
    with pytest.raises(Refused) as refusal:
        vendor_request.read_fields(query, body)
    assert refusal.value.status is Status.PARAMETER


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("Kode%20Anda%3A%201234", "Kode Anda: 1234"),
        ("Kode+Anda%3A+1234", "Kode Anda: 1234"),
        ("%E2%82%AC", "€"),
        ("Diskon 50% hari ini", "Diskon 50% hari ini"),
        ("50%25 off", "50%25 off"),  # it has a space, so nobody encoded it
        ("100%", "100%"),
        ("%FF%FE", "%FF%FE"),  # no UTF-8
        ("no+percent+sign", "no+percent+sign"),
    ],
)
def test_a_text_that_was_encoded_before_it_went_into_json_is_decoded_and_no_other(given, text):
    body = json.dumps({"content": given}).encode()
    assert vendor_request.read_fields(b"", body)["content"] == text


def test_words_are_replaced_whole_in_any_case_and_once():
    words = ["PIN=kode", "kode=sandi", "kode rahasia=x", "a.b=c", "+=plus", "gone="]
    told = vendor_request.replaced("Pin, KODE rahasia, Kode, shopping, aXb, A.B, gone!", words)
    assert told == "kode, x, sandi, shopping, aXb, c, !"
    assert vendor_request.replaced("nothing", []) == "nothing"


def test_times_are_told_in_the_zone_that_the_dialect_names():
    assert vendor_request.stamp(0) == 19700101080000
    assert vendor_request.signed_at_s({"datetime": "19700101080000"}) == 0
