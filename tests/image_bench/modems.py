"""Simulated GSM modems behind USB serial adapters of the board."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otppi.sim.line import SimLine, SimModems
from tests.image_bench.machine import Machine


class ModemRack:
    """Plugs simulated modems in and out."""

    def __init__(self, machine: Machine, sim: SimModems) -> None:
        """See `modem_rack`."""
        self._machine = machine
        self._sim = sim
        self._lines: dict[str, SimLine] = {}

    def plug(self, name: str, personality: str = "generic", *, submit_s: float = 0.2) -> str:
        """Plug in a modem, a new one or one that was in before; return the guest's device."""
        if name not in self._lines:
            self._lines[name] = self._sim.add(name, personality, submit_s=submit_s)
        return self._machine.plug_serial(name, self._lines[name].path)

    def unplug(self, name: str) -> None:
        """Pull its adapter."""
        self._machine.unplug_serial(name)

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
            machine.unplug_serial(name)
