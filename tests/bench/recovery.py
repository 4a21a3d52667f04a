"""Modems that hang: when that is noticed, and when each is back, by what heals it.

The gateway runs in this process, because it calls the restart of a USB device, which is played here.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from otppi.model.events import ModemStateChanged
from otppi.model.modems import ModemState
from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.services.gateway import Gateway
from otppi.sim.faults import Faults
from otppi.sim.line import SimLine
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median
from tests.gateway_under_test import GatewayUnderTest, Sim
from tests.ports import free_port

_NOTICED_S, _BACK_S = 20.0, 90.0
_BACK_LIMIT_S = 180.0
# The gateway asks an idle modem so often; the hangs are spread over it.
_PROBE_INTERVAL_S = 10.0
_CONVERTER = UsbId(vendor=0x0403, product=0x6001)


class _Cure(StrEnum):
    """What brings a modem back."""

    WAIT = "wait"
    REOPEN = "reopen"
    RESTART = "restart"
    REPLUG = "replug"


class _Patient:
    """A modem that hangs until its cure comes."""

    def __init__(self, name: str, cure: _Cure, line: SimLine) -> None:
        self.cure = cure
        self.hung_at_s = self.noticed_at_s = self.back_at_s = 0.0
        self._place = f"1-{name}"
        self._line = line
        self._bytes_before = 0

    @property
    def stick(self) -> Stick:
        """As it is plugged in."""
        return Stick(place=self._place, usb=_CONVERTER, ports=(SerialPort(node=str(self._line.path)),))

    def hang(self) -> None:
        """Begin."""
        self._bytes_before = self._line.bytes_in
        self.hung_at_s = time.monotonic()
        self._line.set_faults(Faults(hung=True, hears_restart=self.cure is _Cure.RESTART))

    def look(self) -> None:
        """Heal one that needs nothing: it swallowed what it was asked, and would answer the next question."""
        if self.cure is _Cure.WAIT and self.hung_at_s and self._line.bytes_in > self._bytes_before:
            self._line.set_faults(Faults())

    def hear(self, state: ModemState) -> None:
        """Take note of what the gateway says, and heal one whose port was closed just now."""
        if state is ModemState.HUNG:
            self.noticed_at_s = self.noticed_at_s or time.monotonic()
        elif state is ModemState.READY and self.noticed_at_s:
            self.back_at_s = self.back_at_s or time.monotonic()
        elif state is ModemState.RECOVERING and self.cure is _Cure.REOPEN:
            self._line.set_faults(Faults())

    def replug(self, place: str) -> None:
        """Heal one that needs new power, if it is the one at this place."""
        if self.cure is _Cure.REPLUG and place == self._place:
            self._line.set_faults(Faults())


@contextmanager
def _ward(folder: Path, each: int) -> Iterator[list[_Patient]]:
    """Run a gateway with so many patients for each cure, all of them ready."""
    patients: dict[str, _Patient] = {}
    cures = {f"{cure}{number}": cure for number in range(each) for cure in _Cure}

    def restart_usb(place: str) -> None:
        for patient in patients.values():
            patient.replug(place)

    one = GatewayUnderTest(
        directory=folder,
        free_port=free_port,
        modems=tuple(Sim(name=name) for name in cures),
        on_desk=True,
        sticks=lambda: tuple(patient.stick for patient in patients.values()),
        restart_usb=restart_usb,
    )
    patients |= {name: _Patient(name, cure, one.lines[name]) for name, cure in cures.items()}
    try:
        one.start()
        gateway: Gateway = one.gateway
        gateway.bus.subscribe(
            "patients", lambda told: patients[told.modem_name].hear(told.state), ModemStateChanged
        )
        yield list(patients.values())
    finally:
        one.stop()


def _run(extent: Extent) -> Readings:
    logging.getLogger("otppi").addHandler(logging.NullHandler())  # else its warnings go to the terminal
    with (
        tempfile.TemporaryDirectory(prefix="otppi-bench-", dir=extent.folder) as folder,
        _ward(Path(folder), extent.pick(3, 1)) as patients,
    ):
        for patient in patients:
            patient.hang()
            _look_until(patients, lambda: False, _PROBE_INTERVAL_S / len(patients))
        if not _look_until(patients, lambda: all(one.back_at_s for one in patients), _BACK_LIMIT_S):
            missing = [one.cure.value for one in patients if not one.back_at_s]
            raise CouldNotMeasure(f"not back after {_BACK_LIMIT_S:g} s: {', '.join(missing)}")
    readings = {"noticed_s": _reading([one.noticed_at_s - one.hung_at_s for one in patients])}
    for cure in _Cure:
        times_s = [one.back_at_s - one.hung_at_s for one in patients if one.cure is cure]
        readings[f"back_by_{cure}_s"] = _reading(times_s)
    return readings


def _look_until(patients: list[_Patient], is_over: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not is_over():
        if time.monotonic() > deadline:
            return False
        for patient in patients:
            patient.look()
        time.sleep(0.02)
    return True


def _reading(times_s: list[float]) -> Reading:
    return Reading(max(times_s), f"the latest of {len(times_s)}, median {median(times_s):.1f} s")


def _back(cure: _Cure, what: str) -> RowSpec:
    return RowSpec(key=f"back_by_{cure}_s", title=f"Back in service by {what}", unit="s", at_most=_BACK_S)


RECOVERY = Measurement(
    name="recovery",
    rows=(
        RowSpec(key="noticed_s", title="Idle modem hangs: noticed after", unit="s", at_most=_NOTICED_S),
        _back(_Cure.WAIT, "waiting"),
        _back(_Cure.REOPEN, "opening its port anew"),
        _back(_Cure.RESTART, "AT+CFUN=1,1"),
        _back(_Cure.REPLUG, "a restart of its USB device"),
    ),
    run=_run,
    is_long=True,
)
