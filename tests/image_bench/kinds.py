"""The machines that QEMU plays: how each has its disks, its lines and its network."""

import base64
from collections.abc import Sequence
from typing import Protocol

from tests.image_bench.disk import Parts
from tests.image_bench.emulator import pi_emulator

_ACCELERATOR = ("-accel", "tcg,thread=multi,tb-size=512")


class Kind(Protocol):
    """One kind of machine. Its lines are QEMU's chardevs `console` and `shell`, its network is the netdev `net`.

    The root shell without a password exists only here: by words of the kernel, not in the image.
    """

    usb_bus: str
    patience: int  # by which all limits of time are multiplied
    has_toolbox: bool  # whether the disk with the tools is in it

    def words(self, architecture: str) -> Sequence[str]:
        """Return the kernel's words: where it writes its messages, and where systemd opens the root shell."""

    def command(self, parts: Parts, card: str, mac: str) -> list[str]:
        """Return QEMU's command, without kernel, memory, and what all kinds have."""


class _Virtual:
    """Virtio throughout: quick, and with any processor."""

    usb_bus = "usb.0"
    patience = 1
    has_toolbox = True

    def words(self, architecture: str) -> Sequence[str]:
        """Messages and shell have a line each."""
        return (
            f"console={'ttyS0' if architecture == 'amd64' else 'ttyAMA0'}",
            "systemd.show_status=1",
            "systemd.debug_shell=hvc0",
            "systemd.mask=serial-getty@hvc0.service",
        )

    def command(self, parts: Parts, card: str, mac: str) -> list[str]:
        """See `Kind`."""
        machine = (
            ("qemu-system-x86_64", "-M", "q35", "-cpu", "max")
            if parts.architecture == "amd64"
            else ("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72")
        )
        return [
            *(*machine, *_ACCELERATOR, "-smp", "2"),
            *("-drive", f"file={card},if=virtio,cache=writeback"),
            *("-drive", f"file={parts.toolbox},if=virtio,format=raw,readonly=on"),
            *("-device", "qemu-xhci,id=usb,p2=8,p3=8", "-device", f"virtio-net-pci,netdev=net,mac={mac}"),
            *("-serial", "chardev:console"),
            *("-device", "virtio-serial-pci", "-device", "virtconsole,chardev=shell"),
        ]


class _Pi3:
    """A Raspberry Pi 3B with a clock chip on its I2C bus, and everything else on one USB hub. Slow to boot."""

    usb_bus = "usb-bus.0"
    patience = 5
    has_toolbox = False

    def words(self, architecture: str) -> Sequence[str]:
        """Its one free serial line is the shell's, so the kernel keeps quiet there but for a panic."""
        # For the gateway's unit, whose limits are those of a real board.
        patient = base64.b64encode(b"[Service]\nTimeoutStartSec=1800\nWatchdogSec=600\n").decode()
        # Devices that QEMU does not have, whose drivers wait minutes for them; and a driver that would sometimes take
        # QEMU's network adapter before the right one does.
        absent = (
            "vc4,snd_bcm2835,bcm2835_v4l2,bcm2835_mmal_vchiq,vchiq,bcm2835_unicam,hci_uart,btbcm,bluetooth"
        )
        return (
            "console=ttyS1,115200",
            "loglevel=1",
            "systemd.show_status=0",
            "systemd.debug_shell=ttyS1",
            "systemd.mask=serial-getty@ttyS1.service",
            "deferred_probe_timeout=5",
            # A hub that sleeps would not be woken by what is plugged in.
            "usbcore.autosuspend=-1",
            # QEMU takes the watchdog's being set for its biting.
            "systemd.watchdog_sec=0",
            f"systemd.set_credential_binary=systemd.unit-dropin.otppi.service:{patient}",
            f"modprobe.blacklist={absent},cdc_subset",
        )

    def command(self, parts: Parts, card: str, mac: str) -> list[str]:
        """See `Kind`."""
        return [
            *(*pi_emulator(), "-M", "raspi3b", *_ACCELERATOR, "-smp", "4"),
            *("-dtb", str(parts.device_tree)),
            *("-drive", f"file={card},if=sd,cache=writeback"),
            *("-device", "ds1338,bus=i2c-bus.1,address=0x68"),
            *("-device", f"usb-hub,bus={self.usb_bus},port=1"),
            *("-device", f"usb-net,netdev=net,mac={mac},bus={self.usb_bus},port=1.1"),
            # The first line is the Bluetooth chip's.
            *("-serial", "chardev:console", "-serial", "chardev:shell"),
        ]


VIRTUAL: Kind = _Virtual()
PI3: Kind = _Pi3()
