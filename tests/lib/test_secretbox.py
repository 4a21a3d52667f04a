import base64
import logging
import os
import subprocess
import sys

import pytest

from otppi.lib.secretbox import CannotOpen, DeviceBox, passphrase_key, seal, unseal

KEY = b"k" * 32


def test_what_was_sealed_opens_with_the_same_key_and_context():
    sealed = seal(KEY, "4711 ✓ geheim", "modems.m1.sim_pin")
    assert b"4711" not in base64.b64decode(sealed)
    assert unseal(KEY, sealed, "modems.m1.sim_pin") == "4711 ✓ geheim"


def test_two_seals_of_one_text_differ():
    assert seal(KEY, "4711", "a") != seal(KEY, "4711", "a")


@pytest.mark.parametrize(
    ("key", "context"), [(b"l" * 32, "a"), (KEY, "b")], ids=["another key", "another place"]
)
def test_nothing_else_opens_it(key, context):
    with pytest.raises(CannotOpen):
        unseal(key, seal(KEY, "4711", "a"), context)


def test_no_changed_byte_goes_unnoticed():
    whole = base64.b64decode(seal(KEY, "4711", "a"))
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            unseal(KEY, base64.b64encode(changed).decode(), "a")


@pytest.mark.parametrize("sealed", ["", "?", "AAAA", "AAAAAAAAAAAAAAAAAAAA", "ü"])
def test_rubbish_does_not_open(sealed):
    with pytest.raises(CannotOpen):
        unseal(KEY, sealed, "a")


def test_a_passphrase_and_a_salt_make_one_key():
    assert passphrase_key("correct horse", b"s" * 16) == passphrase_key("correct horse", b"s" * 16)
    assert passphrase_key("correct horse", b"s" * 16) != passphrase_key("correct horse", b"t" * 16)


def test_the_key_of_the_device_is_born_with_the_first_secret(tmp_path):
    file = tmp_path / "keys" / "settings.key"
    box = DeviceBox(file)
    assert not file.parent.exists()
    sealed = box.seal("4711", "a")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert DeviceBox(file).open(sealed, "a") == "4711"


def test_asking_for_a_lost_key_makes_no_new_one(tmp_path):
    file = tmp_path / "settings.key"
    sealed = DeviceBox(file).seal("4711", "a")
    file.unlink()
    with pytest.raises(CannotOpen):
        DeviceBox(file).open(sealed, "a")
    assert not file.exists()


def test_a_damaged_key_opens_nothing_and_is_put_aside_for_a_new_one(tmp_path, caplog):
    file = tmp_path / "settings.key"
    sealed = DeviceBox(file).seal("4711", "a")
    os.truncate(file, 7)
    box = DeviceBox(file)
    with pytest.raises(CannotOpen):
        box.open(sealed, "a")
    with caplog.at_level(logging.ERROR):
        again = box.seal("4711", "a")
    assert "damaged key" in caplog.text
    assert DeviceBox(file).open(again, "a") == "4711"
    assert file.with_name("settings.key.damaged").stat().st_size == 7


def test_the_library_is_not_loaded_until_something_is_sealed():
    program = "import sys, otppi.lib.secretbox, otppi.settings.store; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
