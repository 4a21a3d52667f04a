"""Simulated GSM modems on the board's USB: behind serial adapters, and as sticks of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otppi.sim.line import SimLine, SimModems
from tests.image_bench.machine import Machine
from tests.image_bench.usb_modem import UsbModem


class ModemRack:
    """Plugs simulated modems in and out."""

    def __init__(self, machine: Machine, sim: SimModems) -> None:
        """See `modem_rack`."""
        self._machine = machine
        self._sim = sim
        self._lines: dict[str, SimLine] = {}
        self._sticks: dict[str, UsbModem] = {}

    def plug(self, name: str, personality: str = "generic", *, submit_s: float = 0.2) -> str:
        """Plug in a modem, a new one or one that was in before; return the guest's device."""
        if name not in self._lines:
            self._lines[name] = self._sim.add(name, personality, submit_s=submit_s)
        return self._machine.plug_serial(name, self._lines[name].path)

    def plug_stick(self, name: str, port: str) -> UsbModem:
        """Plug in a modem that has three ports, a new one or one that was in before, at a port of the board."""
        if name not in self._lines:
            self._lines[name] = self._sim.add(name, "huawei", submit_s=0.2)
        self._lines[name].plug()
        self._sticks[name] = UsbModem(self._machine.plug_played(name, port), self._lines[name].path)
        return self._sticks[name]

    def unplug(self, name: str) -> None:
        """Pull its adapter, or the stick, which loses its power by that."""
        self._machine.unplug_serial(name)
        if (stick := self._sticks.pop(name, None)) is not None:
            stick.close()
            self._lines[name].unplug()

    def stick(self, name: str) -> UsbModem:
        """Return a stick that is in."""
        return self._sticks[name]

    def line(self, name: str) -> SimLine:
        """Return the modem's other side: what reached the network."""
        return self._lines[name]


@contextmanager
def modem_rack(machine: Machine, folder: Path) -> Iterator[ModemRack]:
    """Offer modems; afterwards all are pulled."""
    with SimModems(folder) as sim:
        rack = ModemRack(machine, sim)
        yield rack
        for name in machine.plugged_serials():
            rack.unplug(name)
