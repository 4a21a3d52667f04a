import dataclasses
import json

import pytest

from otppi.settings.fields import (
    NotAccepted,
    boolean,
    choice,
    integer,
    listing,
    number,
    password,
    retired,
    secret,
    text,
    title_of,
)


def reads(declared, raw):
    return declared.metadata["setting"].read(raw)


TEXT = text(default="62", pattern=r"[1-9]\d{0,2}", help="x")
WORDS = text(default="", help="x")
INTEGER = integer(default=5, minimum=1, maximum=300, unit="s", help="x")
NUMBER = number(default=1.5, minimum=0.5, maximum=300, help="x")
BOOLEAN = boolean(default=True, help="x")
CHOICE = choice(("1", "1.5", "Even"), default="1", help="x")
LIST = listing(default=(), item_pattern=r"\d{1,15}", help="x")
SECRET = secret(default="", pattern=r"(\d{4,8})?", help="x")


@pytest.mark.parametrize(
    ("declared", "raw", "value"),
    [
        (TEXT, "62", "62"),
        (TEXT, " 62\n", "62"),
        (TEXT, 62, "62"),
        (WORDS, "", ""),
        (WORDS, "Gerät 1 ✓", "Gerät 1 ✓"),
        (INTEGER, 15, 15),
        (INTEGER, "15", 15),
        (INTEGER, " +15 ", 15),
        (INTEGER, 15.0, 15),
        (NUMBER, 15, 15.0),
        (NUMBER, "0.5", 0.5),
        (NUMBER, "300", 300.0),
        *((BOOLEAN, raw, True) for raw in (True, 1, "true", "1", "yes", "on", " TRUE ")),
        *((BOOLEAN, raw, False) for raw in (False, 0, "false", "0", "no", "off", "False")),
        (CHOICE, "1", "1"),
        (CHOICE, 1, "1"),
        (CHOICE, 1.5, "1.5"),
        (CHOICE, " even", "Even"),
        (LIST, [], ()),
        (LIST, "", ()),
        (LIST, "62812, 62813,,", ("62812", "62813")),
        (LIST, "62812\n62813\r\n", ("62812", "62813")),
        (LIST, ["62812", 62813], ("62812", "62813")),
        (SECRET, "0012", "0012"),
        (SECRET, "", ""),
    ],
)
def test_reads(declared, raw, value):
    found = reads(declared, raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("declared", "raw", "reason"),
    [
        (TEXT, "0812", "^is not of the form that is wanted$"),
        (TEXT, "6\n2", "one line"),
        (TEXT, "", "must not be empty"),
        (TEXT, None, "must be text"),
        (TEXT, True, "must be text"),
        (TEXT, {"sealed": "x"}, "must be text"),
        (WORDS, "a\x00b", "one line"),
        (WORDS, "a\rAT+CMGD=1", "one line"),
        (WORDS, "\ud800", "one line"),
        (WORDS, "a" * 5000, "longer"),
        (INTEGER, 0, "1 to 300 s"),
        (INTEGER, 301, "1 to 300 s"),
        (INTEGER, 1.5, "whole number"),
        (INTEGER, "1_0", "whole number"),
        (INTEGER, "٣", "whole number"),
        (INTEGER, True, "whole number"),
        (INTEGER, float("nan"), "whole number"),
        (INTEGER, float("inf"), "whole number"),
        (INTEGER, 10**400, "1 to 300 s"),
        (INTEGER, "", "whole number"),
        (NUMBER, 0.4, "0.5 to 300"),
        (NUMBER, "1,5", "must be a number"),
        (NUMBER, float("nan"), "must be a number"),
        (NUMBER, float("inf"), "must be a number"),
        (NUMBER, 10**400, "must be a number"),
        (NUMBER, "1e3", "must be a number"),
        (BOOLEAN, "maybe", "true or false"),
        (BOOLEAN, "", "true or false"),
        (BOOLEAN, 2, "true or false"),
        (BOOLEAN, None, "true or false"),
        (CHOICE, "2", "one of 1, 1.5, Even"),
        (CHOICE, True, "one of"),
        (CHOICE, 10**400, "one of"),
        (CHOICE, [], "one of"),
        (LIST, ["62812", "x"], "^item 2 is not of the form"),
        (LIST, ["62812", ["62813"]], "item 2 must be text"),
        (LIST, {"a": 1}, "list"),
        (SECRET, "123", "^is not of the form"),
        (SECRET, {"sealed": "x"}, "must be text"),
    ],
)
def test_rejects(declared, raw, reason):
    with pytest.raises(NotAccepted, match=reason):
        reads(declared, raw)


@pytest.mark.parametrize(("declared", "raw"), [(TEXT, "0815x"), (SECRET, "0815x"), (LIST, ["0815x"])])
def test_a_refusal_does_not_repeat_the_value(declared, raw):
    with pytest.raises(NotAccepted) as caught:
        reads(declared, raw)
    assert "0815x" not in str(caught.value)


def test_a_password_becomes_a_hash_once():
    declared = password(min_length=8, help="x")
    stored = reads(declared, "correct horse")
    assert stored.startswith("scrypt$14$8$1$")
    assert reads(declared, stored) == stored
    assert reads(declared, "sha256$" + "0" * 64) == "sha256$" + "0" * 64


def test_a_short_password_is_refused():
    with pytest.raises(NotAccepted, match="at least 8 characters"):
        reads(password(min_length=8, help="x"), "sevench")


def test_an_empty_password_is_one_only_where_that_is_the_default():
    assert reads(password(default="", help="x"), "") == ""
    with pytest.raises(NotAccepted):
        reads(password(help="x"), "")


@pytest.mark.parametrize(
    ("declared", "limits"),
    [
        (INTEGER, "1 to 300 s"),
        (integer(default=2, minimum=1, help="x"), "at least 1"),
        (integer(default=2, maximum=1_000_000, help="x"), "at most 1000000"),
        (NUMBER, "0.5 to 300"),
        (BOOLEAN, "true or false"),
        (CHOICE, "1, 1.5, Even"),
        (TEXT, r"[1-9]\d{0,2}"),
        (password(min_length=12, help="x"), "at least 12 characters"),
        (WORDS, ""),
    ],
)
def test_limits_are_told_in_words(declared, limits):
    assert declared.metadata["setting"].limits == limits


def test_a_description_is_json_and_tells_no_default_of_a_secret():
    setting = dataclasses.replace(secret(default="1234", help="x").metadata["setting"], name="sim_pin")
    description = json.loads(json.dumps(setting.as_json()))
    assert description["name"] == "sim_pin"
    assert description["kind"] == "secret"
    assert description["is_secret"] is True
    assert description["default"] is None
    assert json.loads(json.dumps(LIST.metadata["setting"].as_json()))["default"] == []


def test_a_title_is_made_of_the_name_without_its_unit():
    assert title_of("overtake_after_s") == "Overtake after"
    assert title_of("max_body_bytes") == "Max body"
    assert title_of("prefixes") == "Prefixes"


def test_a_retired_setting_is_no_argument():
    assert retired(help="gone").init is False
