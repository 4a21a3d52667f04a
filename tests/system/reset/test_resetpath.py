"""The search for the file, in folders that hold anything; only mounting is missing."""

import os
import stat
from contextlib import contextmanager

import pytest

from otppi.settings.resetfile import LONGEST_FILE_BYTES
from otppi.system.reset.resetpath import read_below
from otppi.system.reset.superblock import StickRefused
from tests import needs
from tests.system.reset.images import FILE, GOOD, tree


@contextmanager
def opened(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def read(folder):
    with opened(folder) as fd:
        return read_below(fd)


def test_the_file_is_found_and_the_folder_stays_usable(tmp_path):
    tree(tmp_path, {FILE: GOOD, "photo.jpg": b"x"})
    with opened(tmp_path) as fd:
        assert read_below(fd) == GOOD
        assert read_below(fd) == GOOD


@pytest.mark.parametrize(
    "files", [{}, {"photo.jpg": b""}, {"otppi/other.txt": b""}, {"reset-config.ini": GOOD}]
)
def test_a_stick_for_something_else_is_let_be(tmp_path, files):
    assert read(tree(tmp_path, files)) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("OTPPI/reset-config.ini", "the folder is called OTPPI; it must be otppi, in small letters"),
        ("Otppi/reset-config.ini", "the folder is called Otppi"),
        ("otppi/RESET-CONFIG.INI", "the file is called RESET-CONFIG.INI; it must be reset-config.ini"),
        ("otppi/Reset-Config.ini", "the file is called Reset-Config.ini"),
        ("otppi/reset-config.ini.txt", "the file is called reset-config.ini.txt; .* nothing after it"),
        ("otppi/reset-config", "the file is called reset-config;"),
    ],
)
def test_a_name_that_is_nearly_right_is_refused_with_the_right_one(tmp_path, name, reason):
    with pytest.raises(StickRefused, match=reason):
        read(tree(tmp_path, {name: GOOD}))


def test_a_name_that_plays_with_the_console_is_not_repeated(tmp_path):
    with pytest.raises(StickRefused, match=r"called reset-config\?\[31m\?;"):
        read(tree(tmp_path, {"otppi/reset-config\x1b[31m\xe9": GOOD}))


def test_links_lead_nowhere(tmp_path):
    real = tree(tmp_path / "real", {FILE: GOOD})
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    tree(one, {"otppi/x": b""})
    (one / FILE).symlink_to(real / FILE)
    two.mkdir()
    (two / "otppi").symlink_to(real / "otppi")
    three.mkdir()
    (three / "otppi").symlink_to("otppi")
    with pytest.raises(StickRefused, match="not a plain file"):
        read(one)
    for folder in (two, three):
        with pytest.raises(StickRefused, match="not a folder"):
            read(folder)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    tree(tmp_path, {"otppi/x": b""})
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(StickRefused, match="not a plain file"):
        read(tmp_path)


def test_a_device_file_is_refused_and_not_opened(tmp_path):
    needs.root()
    tree(tmp_path, {"otppi/x": b""})
    os.mknod(tmp_path / FILE, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    with pytest.raises(StickRefused, match="not a plain file"):
        read(tmp_path)


def test_a_folder_in_place_of_the_file_is_refused_and_so_is_the_reverse(tmp_path):
    with pytest.raises(StickRefused, match="not a plain file"):
        read(tree(tmp_path / "a", {f"{FILE}/x": b""}))
    with pytest.raises(StickRefused, match="not a folder"):
        read(tree(tmp_path / "b", {"otppi": b""}))


def test_a_huge_file_is_refused_unread(tmp_path):
    tree(tmp_path, {FILE: b""})
    with (tmp_path / FILE).open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(StickRefused, match="longer than 64 KiB"):
        read(tmp_path)


def test_the_longest_file_is_read(tmp_path):
    data = GOOD.ljust(LONGEST_FILE_BYTES, b"\n")
    assert read(tree(tmp_path, {FILE: data})) == data


def test_too_many_names_are_refused(tmp_path):
    for n in range(20_001):
        os.mknod(tmp_path / str(n))
    with pytest.raises(StickRefused, match="too many files"):
        read(tmp_path)
