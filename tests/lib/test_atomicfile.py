import os
import subprocess
import sys
import textwrap

import pytest

from otppi.lib.atomicfile import previous_copy, private_folder, write_atomically

# Lets a child die, as by a cut of the power, just before a chosen one of its calls to the system.
_DIES_AT_STEP = """
import os, pathlib, signal, sys
from otppi.lib.atomicfile import previous_copy, write_atomically

CALLS = ("open", "fdopen", "fsync", "link", "replace", "unlink", "close", "fchmod")

def die_at(step):
    count = 0
    def wrapped(call):
        def dying(*args, **kwargs):
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)
        return dying
    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))

def dies(step, work):
    pid = os.fork()
    if pid == 0:
        die_at(step)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
"""


def run_child(program, *args):
    source = _DIES_AT_STEP + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", source, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_file_is_for_its_owner_alone(tmp_path):
    old = os.umask(0)
    try:
        write_atomically(tmp_path / "a", b"one")
    finally:
        os.umask(old)
    assert (tmp_path / "a").read_bytes() == b"one"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "a", b"two")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"two")]


def test_the_copy_before_is_kept_when_asked_for(tmp_path):
    path = tmp_path / "a"
    for data in (b"one", b"two", b"three"):
        write_atomically(path, data, keep_previous=True)
    assert path.read_bytes() == b"three"
    assert previous_copy(path).read_bytes() == b"two"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "a.previous"]


def test_the_copy_before_is_kept_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a"
    write_atomically(path, b"one", keep_previous=True)
    write_atomically(path, b"two", keep_previous=True)
    assert (path.read_bytes(), previous_copy(path).read_bytes()) == (b"two", b"one")


def test_both_names_of_one_file_after_a_power_cut_are_no_hindrance(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.link(path, previous_copy(path))
    write_atomically(path, b"two", keep_previous=True)
    assert (path.read_bytes(), previous_copy(path).read_bytes()) == (b"two", b"one")
    assert len(list(tmp_path.iterdir())) == 2


def test_data_reach_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    steps = []
    kinds = {True: "fsync folder", False: "fsync file"}
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (steps.append(kinds[os.path.isdir(f"/proc/self/fd/{fd}")]), fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), replace(a, b)))
    write_atomically(tmp_path / "a", b"one")
    assert steps == ["fsync file", "rename", "fsync folder"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    write_atomically(path, b"one")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"two")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"one")]


def test_half_a_file_of_an_earlier_power_cut_is_no_hindrance(tmp_path):
    (tmp_path / ".a.new").write_bytes(b"ha")
    (tmp_path / ".a.previous.new").write_bytes(b"ha")
    write_atomically(tmp_path / "a", b"one", keep_previous=True)
    write_atomically(tmp_path / "a", b"two", keep_previous=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "a.previous"]


def test_a_power_cut_at_any_step_leaves_the_old_or_the_new_file(tmp_path):
    steps = run_child(
        """
        folder = pathlib.Path(sys.argv[1])
        path = folder / "a"
        seen = set()
        for step in range(1, 100):
            for file in folder.iterdir():
                file.unlink()
            write_atomically(path, b"oldest")
            write_atomically(path, b"old", keep_previous=True)
            died = dies(step, lambda: write_atomically(path, b"new", keep_previous=True))
            now, before = path.read_bytes(), previous_copy(path).read_bytes()
            assert (now, before) in {(b"old", b"oldest"), (b"old", b"old"), (b"new", b"old")}, (step, now, before)
            seen.add((now, before))
            write_atomically(path, b"newest", keep_previous=True)
            assert path.read_bytes() == b"newest"
            assert previous_copy(path).read_bytes() == now
            assert len(list(folder.iterdir())) == 2
            if not died:
                break
        assert len(seen) == 3, seen
        print(step)
        """,
        tmp_path,
    )
    # Fewer would mean that the calls are no longer those that are counted.
    assert 10 < int(steps) < 99


def test_a_power_cut_at_any_moment_leaves_one_of_the_written_files(tmp_path):
    run_child(
        """
        import itertools, random, time
        path = pathlib.Path(sys.argv[1]) / "a"
        def content(number):
            return (b"%d " % number) * 20_000
        def write_for_ever(number):
            while True:
                number += 1
                write_atomically(path, content(number), keep_previous=True)
        chance = random.Random(20261121)
        write_atomically(path, content(1))
        last = 1
        for cut in itertools.count():
            if cut >= 100 and last > 20:
                break
            pid = os.fork()
            if pid == 0:
                write_for_ever(last)
            time.sleep(chance.uniform(0, 0.008))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            data = path.read_bytes()
            number = int(data[:data.index(b" ")])
            assert number >= last and data == content(number), (cut, number, last)
            if previous_copy(path).exists():
                data = previous_copy(path).read_bytes()
                assert data == content(int(data[:data.index(b" ")]))
            last = number
        """,
        tmp_path,
    )


def test_a_private_folder_is_made_with_its_parents_and_closed_if_open(tmp_path):
    private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a" / "b").chmod(0o755)
    private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
