"""The rules for udev, run by the real udevadm on devices of an umockdev testbed."""

import subprocess

import pytest

from tests import needs
from tests.rootfs_overlay.staged import OVERLAY

RULES = OVERLAY / "usr/lib/udev/rules.d/60-otppi.rules"
STICK = """\
P: /devices/usb1/1-1
E: DEVTYPE=usb_device
E: SUBSYSTEM=usb
A: idVendor=12d1

P: /devices/usb1/1-1/1-1:1.0
E: DEVTYPE=usb_interface
E: SUBSYSTEM=usb

P: /devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0
N: ttyUSB0
E: DEVNAME=/dev/ttyUSB0
E: SUBSYSTEM=tty

P: /devices/usb1/1-1/1-1:1.1/usbmisc/cdc-wdm0
N: cdc-wdm0
E: DEVNAME=/dev/cdc-wdm0
E: SUBSYSTEM=usbmisc

P: /devices/usb1/1-1/1-1:1.1/net/wwan0
E: SUBSYSTEM=net
E: INTERFACE=wwan0
E: IFINDEX=9
"""
# A /run of its own holds the rules; udevadm looks for them nowhere else that a test may write to.
RUN = """
set -e
mount -t tmpfs none /run
mkdir -p /run/udev/rules.d
cp "$1" /run/udev/rules.d/
exec umockdev-run --device="$2" -- udevadm test --action="$3" "/sys/devices/$4"
"""


@pytest.fixture
def told(tmp_path):
    """Return what the rules make of a device of the stick."""
    needs.root()
    needs.programs("udevadm", "umockdev-run")
    (tmp_path / "stick.umockdev").write_text(STICK)

    def properties(device, action="add"):
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", RUN, "sh", RULES, tmp_path / "stick.umockdev", action, device],
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"Reading rules file: /run/udev/rules.d/{RULES.name}" in done.stdout + done.stderr
        return (done.stdout + done.stderr).splitlines()

    return properties


@pytest.mark.parametrize("action", ["add", "change", "bind"])
def test_modemmanager_is_told_to_keep_off_the_stick(told, action):
    assert "ID_MM_DEVICE_IGNORE=1" in told("usb1/1-1", action)


@pytest.mark.parametrize(
    "port", ["1-1:1.0/ttyUSB0/tty/ttyUSB0", "1-1:1.1/usbmisc/cdc-wdm0", "1-1:1.1/net/wwan0"]
)
def test_modemmanager_is_told_to_keep_off_every_port(told, port):
    assert "ID_MM_PORT_IGNORE=1" in told(f"usb1/1-1/{port}")


def test_what_is_no_port_is_left_as_it_is(told):
    assert not any("ID_MM" in line for line in told("usb1/1-1/1-1:1.0"))
