import subprocess
import time
from ipaddress import IPv4Address

import pytest

from otppi.model.errors import HostError
from otppi.system import dbus
from otppi.system.mobile import endings
from otppi.system.mobile.reading import address_of, last_exit
from tests import needs

SYSTEMD, MANAGER = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
UNIT_PATH = f"{MANAGER}/unit/otppi_2dmobile_2eservice"


def test_the_address_of_an_interface():
    assert address_of("lo") == IPv4Address("127.0.0.1")
    assert address_of("ppp4711") is None


@pytest.fixture
def systemd(system_bus):
    """A systemd of dbusmock with one service; call it with what the service last did."""
    needs.module("dbusmock")
    mock = subprocess.Popen(
        ["/usr/bin/python3", "-m", "dbusmock", "--system", SYSTEMD, MANAGER, f"{SYSTEMD}.Manager"]
    )
    mocked = (SYSTEMD, MANAGER, "org.freedesktop.DBus.Mock")
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        try:
            dbus.call(
                *mocked,
                "AddMethod",
                "sssss",
                (f"{SYSTEMD}.Manager", "LoadUnit", "s", "o", f"ret = '{UNIT_PATH}'"),
            )
            break
        except HostError:
            time.sleep(0.05)

    def ended(code, status):
        from dbus_next.signature import Variant

        properties = {"ExecMainCode": Variant("i", code), "ExecMainStatus": Variant("i", status)}
        dbus.call(*mocked, "AddObject", "ssa{sv}a(ssss)", (UNIT_PATH, f"{SYSTEMD}.Service", properties, []))

    yield ended
    mock.terminate()
    mock.wait(10)


@pytest.mark.parametrize(("code", "status", "seen"), [(1, 8, 8), (1, 0, 0), (2, 9, None), (0, 0, None)])
def test_the_last_exit_of_a_unit(systemd, code, status, seen):
    systemd(code, status)
    assert last_exit("otppi-mobile.service") == seen


def test_without_systemd_it_is_not_known(system_bus):
    with pytest.raises(HostError):
        last_exit("otppi-mobile.service")


def test_every_ending_of_ours_has_words():
    for one in endings.Ending:
        if one is not endings.Ending.NOTHING_TO_DO:
            assert endings.explained(one)[1]
