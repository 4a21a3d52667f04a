import errno
import os
import resource
import signal

import pytest

from otppi.lib.linefile import LineFile, Place


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lines"


def lines_of(path, longest=1000):
    file = LineFile(path, longest)
    found = [line for _, line in file.lines()]
    file.close()
    return found


def test_what_was_appended_is_found_by_its_place_and_by_a_later_reader(path):
    file = LineFile(path, 1000)
    places = file.append([b"one", b"", b"three"])
    places += file.append([b"four"])
    assert [file.read(place) for place in places] == [b"one", b"", b"three", b"four"]
    assert list(file.lines()) == list(zip(places, [b"one", b"", b"three", b"four"], strict=True))
    file.close()
    assert lines_of(path) == [b"one", b"", b"three", b"four"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_is_overwritten_where_it_stands(path):
    file = LineFile(path, 1000)
    _, second, _ = file.append([b"first", b"secret text", b"third"])
    file.overwrite([(second, b"gone")])
    assert b"secret" not in path.read_bytes()
    with pytest.raises(ValueError, match="longer"):
        file.overwrite([(second, b"a longer line than before")])
    file.close()
    assert [line.strip() for line in lines_of(path)] == [b"first", b"gone", b"third"]


def test_it_is_written_anew_with_some_of_its_lines(path):
    file = LineFile(path, 1000)
    places = file.append([b"a" * 10, b"b" * 20, b"c" * 30])
    kept = file.rewrite([places[2], b"new", places[0]])
    assert [file.read(place) for place in kept] == [b"c" * 30, b"new", b"a" * 10]
    file.append([b"after"])
    file.close()
    assert lines_of(path) == [b"c" * 30, b"new", b"a" * 10, b"after"]
    assert list(path.parent.iterdir()) == [path]


def test_a_torn_last_line_does_not_swallow_the_next(path):
    path.write_bytes(b"whole\nto")
    file = LineFile(path, 1000)
    file.append([b"next"])
    file.close()
    assert lines_of(path) == [b"whole", b"to", b"next"]


@pytest.mark.parametrize("size", [1001, 70_000, 200_000])
def test_a_line_that_is_too_long_costs_only_itself(path, size):
    path.write_bytes(b"before\n" + b"x" * size + b"\nafter\n")
    file = LineFile(path, 1000)
    found = list(file.lines())
    assert [line for _, line in found] == [b"before", b"after"]
    assert file.read(found[1][0]) == b"after"
    file.close()


def test_lines_across_the_blocks_of_reading_are_whole(path):
    wanted = [bytes([65 + index % 26]) * (index % 997) for index in range(1000)]
    file = LineFile(path, 1000)
    file.append(wanted)
    assert [line for _, line in file.lines()] == wanted
    file.close()


def test_a_failed_write_leaves_the_file_as_it_was(path):
    file = LineFile(path, 100_000)
    file.append([b"kept"])
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(OSError) as caught:
            file.append([b"x" * 5000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == b"kept\n"
    file.append([b"later"])
    file.close()
    assert lines_of(path) == [b"kept", b"later"]


def test_a_closed_file_is_an_error_and_nobody_elses_file(path):
    file = LineFile(path, 1000)
    file.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        file.append([b"x"])
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        file.read(Place(0, 1))
