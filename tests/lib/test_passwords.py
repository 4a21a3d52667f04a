import hashlib

import pytest

from otppi.lib.passwords import LONGEST_PASSWORD, hash_password, is_stored_form, kept_form, verify_password

CLEAR = "correct horse"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_only_the_password_verifies():
    stored = hash_password(CLEAR)
    assert verify_password(CLEAR, stored)
    for wrong in ("", "Correct horse", "correct horse ", stored):
        assert not verify_password(wrong, stored)


def test_the_stored_form_is_scrypt_with_a_salt_of_its_own_each_time():
    one, two = hash_password(CLEAR), hash_password(CLEAR)
    assert one != two
    assert one.startswith("scrypt$14$8$1$")
    assert CLEAR not in one
    assert is_stored_form(one)


@pytest.mark.parametrize(
    "stored", [f"sha256${sha256(CLEAR)}", f"sha256x2${sha256(sha256(CLEAR))}"], ids=["once", "twice"]
)
def test_hashes_of_older_devices_verify(stored):
    assert is_stored_form(stored)
    assert verify_password(CLEAR, stored)
    assert not verify_password("another", stored)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        CLEAR,
        sha256(CLEAR),
        f"md5${sha256(CLEAR)}",
        "scrypt$14$8$1$$",
        # Parameters that somebody wrote into a file must not decide how much memory a login takes.
        hash_password(CLEAR).replace("$14$", "$30$"),
        hash_password(CLEAR) + "\n",
    ],
    ids=["empty", "clear", "bare hash", "another kind", "empty hash", "other parameters", "line end"],
)
def test_what_is_no_stored_form_verifies_nothing(stored):
    assert not is_stored_form(stored)
    assert not verify_password(CLEAR, stored)


def test_a_letter_with_an_accent_is_the_same_from_every_keyboard():
    assert verify_password("cafe\u0301 au lait", hash_password("caf\u00e9 au lait"))


def test_what_is_too_long_for_a_password_is_wrong_before_anything_is_made_of_it():
    longest = "\u00e9" * LONGEST_PASSWORD
    assert verify_password(longest, hash_password(longest))
    long = longest + "x"
    for stored in (hash_password(CLEAR), f"sha256${sha256(long)}"):
        assert not verify_password(long, stored)
    for stored in ("", hash_password(CLEAR), f"sha256${sha256(long)}"):
        assert kept_form(long, stored) is None
    with pytest.raises(ValueError, match="too long"):
        hash_password(long)


def test_half_a_surrogate_pair_is_just_a_wrong_password():
    assert not verify_password("\ud800", hash_password(CLEAR))
    assert not verify_password("\ud800", f"sha256${sha256(CLEAR)}")
