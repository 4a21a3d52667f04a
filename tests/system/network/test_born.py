import json
import logging
import re

import pytest

from otppi.system.network.born import born


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "born.json"


def test_secrets_are_made_once_and_kept(path):
    first = born(path)
    written = path.read_bytes()
    assert born(path) == first
    assert path.read_bytes() == written
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_two_devices_have_the_same(tmp_path):
    several = [born(tmp_path / str(number) / "born.json") for number in range(20)]
    for name in ("passphrase", "setup_secret"):
        assert len({getattr(one, name) for one in several}) == len(several)


def test_secrets_can_be_typed_from_paper_and_spoken(path):
    one = born(path)
    assert re.fullmatch(r"OTP-Pi-[2-9A-HJKMNP-Z]{4}", one.ssid)
    assert re.fullmatch(r"([2-9a-hjkmnp-z]{4}-){3}[2-9a-hjkmnp-z]{4}", one.passphrase)
    assert re.fullmatch(r"([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz]", one.setup_secret.split("-")[0])
    assert len(one.setup_secret.split("-")) == 4


def test_secrets_do_not_show_in_a_log(path):
    one = born(path)
    assert one.passphrase not in repr(one)
    assert one.setup_secret not in repr(one)


def test_presets_take_the_place_of_what_would_be_made(path):
    one = born(path, {"ssid": "Toko", "passphrase": "correct horse", "other": "x"})
    assert (one.ssid, one.passphrase) == ("Toko", "correct horse")
    assert one.setup_secret


@pytest.mark.parametrize(
    "preset",
    [
        {"ssid": "x" * 33, "passphrase": "short", "setup_secret": "short"},
        {"ssid": 5, "passphrase": ["x"], "setup_secret": {}},
        {"ssid": "a\nb", "passphrase": "1234567\n", "setup_secret": "with a space in it"},
        {"ssid": "", "passphrase": None},
    ],
)
def test_a_preset_that_is_not_valid_is_not_used(path, preset, caplog):
    one = born(path, preset)
    assert one.ssid.startswith("OTP-Pi-")
    assert len(one.passphrase) == 19
    assert len(one.setup_secret) == 23
    for value in preset.values():
        assert not value or str(value) not in caplog.text


def test_a_preset_does_not_change_what_is_there(path):
    first = born(path)
    assert born(path, {"passphrase": "correct horse"}) == first


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"[]", b"{", b'{"ssid": 5}', b"[" * 100_000])
def test_a_damaged_file_is_made_anew_and_told(path, data, caplog):
    first = born(path)
    path.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        second = born(path)
    assert second.passphrase != first.passphrase
    assert born(path) == second
    assert "damaged" in caplog.text
    assert second.passphrase not in caplog.text


def test_what_a_damaged_file_still_has_is_kept(path):
    first = born(path)
    path.write_text(json.dumps({"version": 1, "ssid": first.ssid, "passphrase": first.passphrase}))
    second = born(path)
    assert (second.ssid, second.passphrase) == (first.ssid, first.passphrase)
    assert second.setup_secret != first.setup_secret


def test_a_file_that_was_open_to_others_is_closed(path, caplog):
    first = born(path)
    path.chmod(0o644)
    assert born(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert "open to others" in caplog.text
