"""Vectors: https://httpd.apache.org/docs/2.4/misc/password_encryptions.html, and of `openssl passwd -apr1`."""

import logging
import os
from pathlib import Path

import pytest

from otppi.wsbroker.passwords import PasswordFile, hashed, is_right, with_line

RIGHT = [
    ("myPassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"),
    ("myPassword", "$apr1$qHDFfhPC$nITSVHgYbDAK1Y0acGRnY0"),
    ("", "$apr1$x$tMwYqBfQwi3FYAr0aJc8M/"),
    ("a" * 100, "$apr1$12345678$XUgawe9rI.Q.pC4iat45x/"),
    ("pässwörd", "$apr1$12345678$0NJU6izOW5MGH4BL2C/sK/"),
    ("myPassword", "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE="),
    ("myPassword", "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC"),
    # crypt_blowfish 1.3, wrapper.c
    ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("U*U*", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
]


@pytest.mark.parametrize(("clear", "stored"), RIGHT)
def test_published_hashes_are_understood(clear, stored):
    assert is_right(clear.encode(), stored)
    assert not is_right(f"{clear}x".encode(), stored)
    assert not is_right(clear.upper().encode() + b"x", stored)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "myPassword",
        "rqXexS6ZhobKA",
        "$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
        "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA",
        "$apr1$$HqJZimcKQFAMYayBlzkrA/",
        "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE",
        "$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
        "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n",
    ],
)
def test_what_is_none_of_the_forms_lets_nobody_in(stored):
    assert not is_right(b"myPassword", stored)


def test_what_is_no_password_costs_no_hash():
    stored = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC"
    assert not is_right(b"myPassword\0", stored)
    assert not is_right(b"x" * 256, stored)


def test_of_a_long_password_bcrypt_sees_the_beginning_as_everywhere():
    stored = hashed(b"x" * 72)
    assert stored.startswith("$2y$10$")
    assert is_right(b"x" * 80, stored)
    assert not is_right(b"x" * 71, stored)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "htpasswd"


SHA, APR1 = RIGHT[5][1], RIGHT[0][1]


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\t\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_do_no_harm(file, end, last):
    text = f"\ufeff# accounts{end}{end}shop:{SHA}{end}device:{APR1}" + (end if last else "")
    file.write_bytes(text.encode())
    assert PasswordFile(file).accounts() == {"shop": SHA, "device": APR1}


def test_lines_are_read_as_apache_reads_them(file):
    file.write_bytes(
        f"shop:{SHA}:a comment\nshop:{APR1}\n:{SHA}\nno colon\nm\xfcller:{APR1}\n".encode("latin-1")
    )
    assert PasswordFile(file).accounts() == {"shop": SHA, "m\udcfcller": APR1}


def test_a_form_that_is_not_known_is_named_with_its_line_and_without_itself(file, caplog):
    file.write_text(f"clear:invented\nshop:{SHA}\nold:rqXexS6ZhobKA\n")
    assert PasswordFile(file).accounts() == {"shop": SHA}
    told = [record.fields for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [{"user": "clear", "line": 1}, {"user": "old", "line": 3}]


def test_a_change_counts_at_once(file):
    file.write_text(f"shop:{SHA}\n")
    accounts = PasswordFile(file)
    assert accounts.accounts() is accounts.accounts()
    file.write_text(f"shop:{APR1}\n")
    os.utime(file, ns=(1, 1))  # as fast as no two writes follow each other
    assert accounts.accounts() == {"shop": APR1}


def test_without_a_file_nobody_is_let_in_and_the_log_says_so_once(file, caplog):
    with pytest.raises(FileNotFoundError):
        PasswordFile(file)
    file.write_text(f"shop:{SHA}\n")
    accounts = PasswordFile(file)
    file.unlink()
    assert [dict(accounts.accounts()) for _ in range(3)] == [{}, {}, {}]
    file.write_text("")
    assert accounts.accounts() == {}
    file.write_text(f"shop:{SHA}\n")
    assert accounts.accounts() == {"shop": SHA}
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told == [
        "the password file cannot be read: nobody is let in",
        "the password file names nobody: nobody is let in",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"shop:new\n"),
        (b"shop:old", b"shop:new\n"),
        (b"a:1\r\nshop:old\r\n\r\nb:2\r\nshop:older\r\n", b"a:1\nshop:new\n\nb:2\n"),
        (b"\xef\xbb\xbf# accounts\na:1\n\n", b"# accounts\na:1\nshop:new\n"),
        (b"shop2:1\n", b"shop2:1\nshop:new\n"),
    ],
)
def test_a_new_password_takes_the_place_of_the_old_one(before, after):
    assert with_line(before, "shop:new") == after
