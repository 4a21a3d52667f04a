import time

import pytest

from otppi.gateway.body import parse_json
from otppi.model.errors import BadRequest


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": {"b": "x",},}', {"a": {"b": "x"}}),
        (b'{"a": [1, 2,\n],\n}', {"a": [1, 2]}),
        (b'{"a": "keep ,} this",}', {"a": "keep ,} this"}),
        (b'{"a": "and \\",} this",}', {"a": 'and ",} this'}),
        (b"[]", []),
    ],
)
def test_reads__body(body, document):
    assert parse_json(body) == document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"command=request-otp",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity,}',
        b'{"a": 1e999}',
        b"\xff\xfe",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
def test_rejects__body(body):
    with pytest.raises(BadRequest):
        parse_json(body)


def test_an_error_tells_the_place_and_not_the_content():
    with pytest.raises(BadRequest) as caught:
        parse_json(b'{"message": "rahasia 1234567890" "x"}')
    assert "line 1, column" in str(caught.value)
    assert "rahasia" not in str(caught.value)
    assert "1234567890" not in str(caught.value)


def test_no_body_makes_the_reader_look_twice():
    """A body that looks like strings begun over and over took the old reader minutes, with the whole process."""
    body = b'{"a": ' + b'"\\"' * 20_000
    began_s = time.monotonic()
    with pytest.raises(BadRequest):
        parse_json(body)
    assert time.monotonic() - began_s < 2.0
