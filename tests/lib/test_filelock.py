import subprocess
import sys
import threading

import pytest

from otppi.lib.filelock import AlreadyHeld, hold

_HOLDER = """
import pathlib, sys
from otppi.lib.filelock import hold
with hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_once_and_free_afterwards(tmp_path):
    path = tmp_path / "lock"
    with hold(path):
        with pytest.raises(AlreadyHeld) as caught, hold(path):
            pass
        assert caught.value.path == path
    with hold(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_is_free_after_a_failure_within(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), hold(path):
        raise ZeroDivisionError
    with hold(path):
        pass


def test_another_process_keeps_us_out_until_it_dies(tmp_path):
    path = tmp_path / "lock"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=pipe, stdout=pipe, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AlreadyHeld), hold(path):
            pass
        other.kill()
        other.wait()
        with hold(path):
            pass


def test_who_waits_gets_it_when_the_other_is_done(tmp_path):
    path, order = tmp_path / "lock", []

    def follow():
        with hold(path, waits=True):
            order.append("second")

    with hold(path):
        second = threading.Thread(target=follow, daemon=True)
        second.start()
        second.join(0.2)
        order.append("first")
    second.join(10)
    assert order == ["first", "second"]
