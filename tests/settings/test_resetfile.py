import base64
import json
import time

import pytest

from otppi.settings.fields import boolean
from otppi.settings.resetfile import (
    LONGEST_FILE_BYTES,
    BadResetFile,
    proves_secret,
    read_reset_file,
    secret_hash,
    sections_to_reset,
)
from otppi.settings.section import Section

VERIFY = "VERIFY = eyJkZXZpY2VUeXBlIjoiUlBpIiwgImJhc2VOYW1lIjoicmVzZXQtY29uZmlnLmluaSJ9"
FLAGS = [
    "RESET_DHCP",
    "RESET_WLAN",
    "RESET_ETHERNET",
    "RESET_USER",
    "RESET_API",
    "RESET_API_USER",
    "RESET_BLOCKING",
    "RESET_DDNS",
    "RESET_EMAIL",
    "RESET_SUBSCRIBER_AMQP",
    "RESET_SUBSCRIBER_MQTT",
    "RESET_SUBSCRIBER_REDIS",
    "RESET_SUBSCRIBER_ACTIVEMQ",
    "RESET_SUBSCRIBER_STOMP",
    "RESET_SUBSCRIBER_WS",
    "RESET_FIREWALL",
    "RESET_KEYSTORE",
    "RESET_MODEM",
    "RESET_SMS",
    "RESET_SMTP",
    "RESET_VENDOR_AFRAID",
    "RESET_VENDOR_CLOUDFLARE",
    "RESET_VENDOR_DYNU",
    "RESET_VENDOR_NOIP",
]


class Sms(Section, key="sms", title="SMS", reset_flag="RESET_SMS"):
    on: bool = boolean(default=True, help="x")


class Users(Section, key="users", title="Users", reset_flag="RESET_USER", many=True):
    on: bool = boolean(default=True, help="x")


class Tokens(Section, key="tokens", title="Tokens", reset_flag="RESET_USER", many=True):
    on: bool = boolean(default=True, help="x")


class General(Section, key="general", title="General"):
    on: bool = boolean(default=True, help="x")


def file(*lines, ends="\n"):
    return ends.join((VERIFY, *lines)).encode()


def verify_of(document):
    return b"VERIFY = " + base64.b64encode(json.dumps(document).encode())


def test_the_file_of_the_manual_is_read():
    lines = [f"{flag} = {'true' if flag in FLAGS[:4] else 'false'}" for flag in FLAGS]
    assert read_reset_file(file(*lines)).flags == frozenset(FLAGS[:4])


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_can_be_set(flag):
    assert read_reset_file(file(f"{flag} = true")).flags == {flag}


@pytest.mark.parametrize(
    "line",
    [
        "RESET_SMS=true",
        "  RESET_SMS   =   TRUE  ",
        "RESET_SMS: True",
        "RESET_SMS true",
        "RESET_SMS\t=\ttrue",
        "reset_sms = true",
        "RESET_SMS = false\nRESET_SMS = true",
        "# RESET_WLAN = true\n! RESET_API = true\n\nRESET_SMS = true",
    ],
)
def test_reads_the_syntax_of_properties(line):
    assert read_reset_file(file(line)).flags == {"RESET_SMS"}


@pytest.mark.parametrize("line", ["RESET_SMS = false", "RESET_SMS =", "RESET_SMS", "#RESET_SMS = true", ""])
def test_what_is_not_true_is_not_set(line):
    assert read_reset_file(file(line)).flags == frozenset()


def test_a_word_that_is_neither_true_nor_false_is_named():
    read = read_reset_file(file("RESET_SMS = yes", "RESET_WLAN = true", "RESET_API = "))
    assert (read.flags, read.unclear) == ({"RESET_WLAN"}, {"RESET_SMS", "RESET_API"})


@pytest.mark.parametrize(
    "line",
    ["../../x = true", "settings.admin = true", "RESET_ = true", "RESET_" + "A" * 41 + " = true", "A = true"],
)
def test_what_is_no_name_of_a_flag_means_nothing(line):
    read = read_reset_file(file(line, "RESET_SMS = true"))
    assert (read.flags, read.unclear) == ({"RESET_SMS"}, frozenset())


def test_thousands_of_flags_are_refused():
    with pytest.raises(BadResetFile, match="more than 64"):
        read_reset_file(file(*(f"RESET_{n} = true" for n in range(2000))))


@pytest.mark.parametrize("line", ["SECRET = lusab-babad-gutih-tugad", "secret: LUSAB babad gutih  tugad "])
def test_a_secret_is_known_however_it_was_copied_and_never_shown(line):
    read = read_reset_file(file(line, "RESET_SMS = true"))
    assert proves_secret(read.secret_sha256, "lusab-babad-gutih-tugad")
    assert not proves_secret(read.secret_sha256, "lusab-babad-gutih-tugat")
    assert read.secret_sha256 not in repr(read)
    assert "lusab" not in repr(read).lower()


@pytest.mark.parametrize("lines", [(), ("SECRET =",), ("SECRET = - -",)])
def test_no_secret_proves_nothing_and_least_of_all_an_empty_one(lines):
    read = read_reset_file(file(*lines))
    assert read.secret_sha256 == ""
    assert not proves_secret(read.secret_sha256, "lusab-babad-gutih-tugad")
    assert not proves_secret(read.secret_sha256, "")
    assert not proves_secret(secret_hash("x"), "")


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_fine(ends):
    assert read_reset_file(file("RESET_SMS = true", "RESET_API = false", ends=ends)).flags == {"RESET_SMS"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_fine(encoding):
    assert read_reset_file(file("RESET_SMS = true").decode().encode(encoding)).flags == {"RESET_SMS"}


def test_other_json_of_the_same_meaning_verifies():
    data = verify_of({"baseName": "reset-config.ini", "deviceType": "RPi"}) + b"\nRESET_SMS = true"
    assert read_reset_file(data).flags == {"RESET_SMS"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "VERIFY is missing"),
        (b"RESET_SMS = true", "VERIFY is missing"),
        (b"VERIFY =\nRESET_SMS = true", "VERIFY is not base64"),
        (b"VERIFY = ???\nRESET_SMS = true", "VERIFY is not base64"),
        (b"VERIFY = bm90IGpzb24=\nRESET_SMS = true", "VERIFY is not base64 of JSON"),
        (verify_of(["RPi"]), "another device"),
        (verify_of({}), "another device"),
        (verify_of({"deviceType": "RPi", "baseName": "other.ini"}), "another device"),
        (verify_of({"deviceType": "PC", "baseName": "reset-config.ini"}), "another device"),
        (b"\xff\x00\x80 = \xfe", "not text"),
        (file("RESET_SMS = true") + b"\n" * LONGEST_FILE_BYTES, "longer than 64 KiB"),
    ],
)
def test_rejects(data, reason):
    with pytest.raises(BadResetFile, match=reason):
        read_reset_file(data)


def test_no_line_takes_long():
    data = file("RESET_SMS" + " " * 30_000 + "x" + " " * 30_000 + "x")
    start = time.monotonic()
    assert read_reset_file(data).flags == frozenset()
    assert time.monotonic() - start < 1


def test_flags_name_sections():
    sections = (General, Users, Sms, Tokens)
    assert sections_to_reset({"RESET_USER", "RESET_DHCP"}, sections) == [Users, Tokens]
    assert sections_to_reset(frozenset(), sections) == []
