import fcntl
import os
import subprocess
import sys
from pathlib import Path

from otppi.lib.holders import holders
from tests import needs


def test_nobody_holds_a_file_that_is_not_there_or_not_open(tmp_path):
    (tmp_path / "file").touch()
    assert holders(str(tmp_path / "file")) == ()
    assert holders(str(tmp_path / "none")) == ()


def test_each_program_is_named_once_by_whatever_name_it_opened_the_file(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    with link.open() as first, file.open(), subprocess.Popen(["sleep", "60"], stdin=first) as sleeper:
        found = holders(str(file))
        sleeper.kill()
    assert found == ("sleep",)  # and not this one


def told_to_nobody(file):
    """What is told to a user who may not look into programs of root."""
    needs.root()
    for folder in [file.parent, *list(file.parents)[1:-2]]:
        folder.chmod(0o755)
    told = "import sys; from otppi.lib.holders import holders; print(*holders(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", told, file],
        user="nobody",
        capture_output=True,
        text=True,
        check=True,
        cwd=os.getcwd(),
    )
    return done.stdout.strip()


def test_who_locked_a_file_is_told_to_those_who_may_not_look_into_the_program(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with file.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert told_to_nobody(file) == Path("/proc/self/comm").read_text().strip()


def test_who_has_a_file_open_without_a_lock_is_told_to_root_alone(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with file.open() as opened, subprocess.Popen(["sleep", "60"], stdin=opened) as sleeper:
        try:
            assert told_to_nobody(file) == ""
            assert holders(str(file)) == ("sleep",)
        finally:
            sleeper.kill()
