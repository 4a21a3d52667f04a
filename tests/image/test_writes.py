"""The log from which cut power is played back: real requests by QEMU's own tool."""

import random
import subprocess

import pytest

from tests import needs
from tests.image_bench.writes import WriteLog, kept, logged

KIB = 1024
SIZE = 8 * KIB * KIB


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    needs.programs("qemu-io", "qemu-img")
    folder = tmp_path_factory.mktemp("card")
    card, file = folder / "card.qcow2", folder / "log"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", card, str(SIZE)], check=True)
    wanted = ("write -P 0x41 64k 4k", "flush", "write -P 0x42 128k 8k", "write -z 64k 4k")
    asked = [word for one in wanted for word in ("-c", one)]
    source = logged(card, file).replace(",,", ",")
    subprocess.run(["qemu-io", *asked, source], check=True, capture_output=True)
    return WriteLog(file)


@pytest.fixture
def card(tmp_path):
    image = tmp_path / "card.raw"
    with image.open("wb") as file:
        file.truncate(SIZE)
    return image


def at(card, offset):
    with card.open("rb") as file:
        file.seek(offset)
        return file.read(4 * KIB)


@pytest.fixture
def cut(log):
    """All requests up to the one after which the power goes: a flush, then something that was not flushed."""
    requests = log.read()
    (last,) = [at for at, one in enumerate(requests) if one.offset == 128 * KIB]
    assert requests[last].length == 8 * KIB
    return requests[: last + 1]


def test_only_what_was_flushed_is_kept(log, cut, card):
    log.play(kept(cut), card)
    assert at(card, 64 * KIB) == b"A" * 4 * KIB
    assert at(card, 128 * KIB) == bytes(4 * KIB)


def test_nothing_is_kept_of_what_came_before_the_first_flush(cut):
    assert kept(cut[:1]) == []


def test_of_the_rest_some_may_be_kept(log, cut, card):
    class Always(random.Random):
        def random(self):
            return 0.0

    log.play(kept(cut, Always()), card)
    assert at(card, 128 * KIB) == b"B" * 4 * KIB


def test_zeros_are_played_back(log, card):
    log.play(kept(log.read()), card)
    assert at(card, 64 * KIB) == bytes(4 * KIB)
    assert at(card, 128 * KIB) == b"B" * 4 * KIB


def test_a_word_is_found_wherever_it_was_written(log):
    assert log.holds(b"BBBBBBBB")
    assert not log.holds(b"DDDDDDDD")


def test_another_file_is_refused(card):
    with pytest.raises(ValueError, match="no log of writes"):
        WriteLog(card).read()
