"""Which block devices count, as libudev shows them on a machine that umockdev describes."""

import subprocess
import sys
from pathlib import Path

import pyudev

from otppi.system.reset.usb import Volume, volumes
from tests import needs
from tests.system.reset.images import FILE, GOOD, backed_by, ext4, plugged_in, tree, with_table

_USB = "/devices/pci0/usb1/1-1"
_MACHINE = f"""\
P: {_USB}
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device

P: {_USB}/block/sda
N: sda
E: DEVNAME=/dev/sda
E: SUBSYSTEM=block
E: DEVTYPE=disk

P: {_USB}/block/sda/sda2
N: sda2
E: DEVNAME=/dev/sda2
E: SUBSYSTEM=block
E: DEVTYPE=partition

P: {_USB}/block/sda/sda1
N: sda1
E: DEVNAME=/dev/sda1
E: SUBSYSTEM=block
E: DEVTYPE=partition

P: {_USB}/block/sdaa
N: sdaa
E: DEVNAME=/dev/sdaa
E: SUBSYSTEM=block
E: DEVTYPE=disk

P: {_USB}/block/sdb
N: sdb
E: DEVNAME=/dev/sdb
E: SUBSYSTEM=block
E: DEVTYPE=disk

P: {_USB}/block/sr0
N: sr0
E: DEVNAME=/dev/sr0
E: SUBSYSTEM=block
E: DEVTYPE=disk

P: /devices/platform/mmc/block/mmcblk0
N: mmcblk0
E: DEVNAME=/dev/mmcblk0
E: SUBSYSTEM=block
E: DEVTYPE=disk

P: /devices/platform/other/block/sdc
N: sdc
E: DEVNAME=/dev/sdc
E: SUBSYSTEM=block
E: DEVTYPE=disk
E: ID_BUS=usb
"""
_PRINT = "import pyudev; from otppi.system.reset.usb import volumes; [print(*one) for one in volumes(pyudev.Context())]"


def test_sticks_are_partitions_or_disks_without_any_and_never_the_card_or_a_drive_of_a_modem(tmp_path):
    needs.programs("umockdev-run")
    (tmp_path / "machine").write_text(_MACHINE)
    done = subprocess.run(
        ["umockdev-run", "--device", str(tmp_path / "machine"), "--", sys.executable, "-c", _PRINT],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout.splitlines() == [
        "/dev/sdb /dev/sdb",
        "/dev/sdc /dev/sdc",
        "/dev/sda1 /dev/sda",
        "/dev/sda2 /dev/sda",
        "/dev/sdaa /dev/sdaa",
    ], done.stderr


def test_real_partitions_are_found_with_their_disk(tmp_path):
    volume = ext4(tmp_path / "volume", tree(tmp_path / "t", {FILE: GOOD}))
    image = with_table(tmp_path / "disk", volume, volume)
    with plugged_in(image, with_partitions=True) as disk:
        found = volumes(pyudev.Context(), backed_by(image))
        assert found == tuple(Volume(Path(f"{disk}p{n}"), disk) for n in (1, 2))
