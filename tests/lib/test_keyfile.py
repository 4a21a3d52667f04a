import logging
import os
import subprocess
import sys
import threading

import pytest

from otppi.lib.keyfile import KEY_BYTES, DamagedKeyFile, device_key, keyed_hash


def test_the_key_is_made_on_first_use_and_stays(tmp_path):
    path = tmp_path / "keys" / "device.key"
    key = device_key(path)
    assert len(key) == KEY_BYTES
    assert device_key(path) == key
    assert path.read_bytes() == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_devices_have_two_keys(tmp_path):
    assert device_key(tmp_path / "a") != device_key(tmp_path / "b")


def test_all_threads_that_ask_first_at_once_get_the_same_key(tmp_path):
    path = tmp_path / "device.key"
    start = threading.Barrier(20)
    found = []

    def ask():
        start.wait()
        found.append(device_key(path))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["device.key"]


def test_two_processes_that_ask_first_at_once_get_the_same_key(tmp_path):
    program = (
        "import pathlib, sys; from otppi.lib.keyfile import device_key;"
        "sys.stdin.readline(); print(device_key(pathlib.Path(sys.argv[1])).hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "device.key")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30)[0] for process in processes]
    assert answers[0] == answers[1] != ""


@pytest.mark.parametrize("size", [0, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_file_of_another_size_is_refused_and_kept(tmp_path, size):
    path = tmp_path / "device.key"
    path.write_bytes(b"x" * size)
    with pytest.raises(DamagedKeyFile):
        device_key(path)
    assert path.stat().st_size == size


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"x" * KEY_BYTES)
    (tmp_path / "device.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        device_key(tmp_path / "device.key")


def test_a_key_that_was_open_to_others_is_closed_and_the_log_says_so(tmp_path, caplog):
    path = tmp_path / "device.key"
    key = device_key(path)
    os.chmod(path, 0o644)
    with caplog.at_level(logging.WARNING):
        assert device_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert "open to others" in caplog.text


def test_no_other_list_of_fields_has_the_same_hash():
    key = b"k" * 32
    hashes = [
        keyed_hash(key, "a", "b", "c"),
        keyed_hash(key, "a", "bc"),
        keyed_hash(key, "a", "b", "c", ""),
        keyed_hash(key, "a", "", "b", "c"),
        keyed_hash(key, "ab", "c"),
        keyed_hash(key, "a", "c", "b"),
        keyed_hash(b"l" * 32, "a", "b", "c"),
        keyed_hash(key, "a", "b\0\0\0\1c"),
    ]
    assert len(set(hashes)) == len(hashes)
    assert keyed_hash(key, "a", "b", "c") == hashes[0]


def test_half_a_surrogate_pair_hashes_like_any_text():
    assert keyed_hash(b"k", "a", "\ud800") != keyed_hash(b"k", "a", "\ud801")
