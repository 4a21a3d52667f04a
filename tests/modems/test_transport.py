"""The locks on a port, as other programs meet them."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.modems.transport import PortGone, SerialLine, SerialTransport
from tests import needs
from tests.modems.far_end import FarEnd

# Opens a port as a program does that asks for no lock; says so and keeps it until its input ends.
OPENER = """
import os, sys
try:
    os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
except OSError as error:
    print(error.errno, flush=True)
else:
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def far():
    far = FarEnd()
    yield far
    far.close()


@contextlib.contextmanager
def opened(far):
    with contextlib.closing(Wakeup()) as wakeup:
        with contextlib.closing(SerialTransport(far.path, SerialLine(), wakeup)) as transport:
            yield transport


def try_to_open(path, **options):
    done = subprocess.run(
        [sys.executable, "-c", OPENER, path], input="", capture_output=True, text=True, check=True, **options
    )
    return done.stdout.strip()


def test_a_program_that_asks_for_no_lock_is_held_off_as_well(far):
    needs.root()  # to be somebody who is not, whom alone TIOCEXCL stops
    os.fchmod(far.slave, 0o666)
    with opened(far):
        assert try_to_open(far.path, user="nobody") == "16"  # EBUSY
    assert try_to_open(far.path, user="nobody") == "open"


def test_a_program_that_asks_for_the_lock_is_refused(far):
    with opened(far), pytest.raises(PortGone, match="another program holds the port"):
        with opened(far):
            pass


def test_the_name_of_the_program_that_has_the_port_is_told(far):
    locked = ["flock", "--nonblock", "--no-fork", far.path, "sh", "-c", "echo locked; exec sleep 60"]
    with subprocess.Popen(locked, stdout=subprocess.PIPE, text=True, start_new_session=True) as other:
        try:
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(PortGone, match=r"^(sh|sleep) holds the port"), opened(far):
                pass
        finally:
            os.killpg(other.pid, signal.SIGKILL)
    with opened(far):
        pass


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/null"])
def test_what_is_no_serial_port_is_called_so(path):
    with contextlib.closing(Wakeup()) as wakeup, pytest.raises(PortGone, match=r"^it is no serial port$"):
        SerialTransport(path, SerialLine(), wakeup)


def test_a_port_that_vanished_is_closed_without_complaint(far):
    with opened(far) as transport:
        os.close(far.master)
        far.master = os.open("/dev/null", os.O_RDWR)
        assert transport.wait_for_bytes(5.0)
        with pytest.raises(PortGone):
            transport.read()
