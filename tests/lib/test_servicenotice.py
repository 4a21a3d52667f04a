import os
import socket

import pytest

from otppi.lib.servicenotice import ServiceNotice, watchdog_interval_s


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket as the service manager has one, and its name as it is told to services."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@otppi-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0") if request.param == "abstract" else name)
        sock.settimeout(5)
        yield sock, name


def test_every_notice_arrives(manager):
    sock, name = manager
    notice = ServiceNotice.of_environment({"NOTIFY_SOCKET": name})
    assert notice.ready()
    assert notice.alive()
    assert notice.status("two modems\nREADY=1")
    assert notice.stopping()
    assert [sock.recv(500) for _ in range(4)] == [
        b"READY=1",
        b"WATCHDOG=1",
        b"STATUS=two modems READY=1",
        b"STOPPING=1",
    ]


def test_without_a_manager_notices_go_nowhere():
    assert ServiceNotice.of_environment({}).ready()


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    assert not ServiceNotice(str(tmp_path / "gone")).alive()


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "7"}, 1.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_read_as_systemd_means_it(environ, interval_s):
    assert watchdog_interval_s(environ, pid=7) == interval_s
