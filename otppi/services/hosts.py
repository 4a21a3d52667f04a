"""The two hosts that an appliance can have its hands on: the board it runs on, and a simulated one."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from otppi.lib.clock import Clock
from otppi.model.checks import Check
from otppi.model.errors import HostError
from otppi.model.ports import Stick
from otppi.services import ssh
from otppi.services.appliance import UNITS, Host
from otppi.settings.store import SettingsStore
from otppi.sim.host import SimNetwork, SimPower, SimSpeaker, SimUnits
from otppi.system import upkeep
from otppi.system.buzzer.gpio import GpioSpeaker, lgpio_factory
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.chip import RealTimeClock
from otppi.system.clock.keeper import ClockKeeper
from otppi.system.clock.setmark import SetMark
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TIMESYNCD_UNIT, TimeDate
from otppi.system.clock.trust import TrustedClock
from otppi.system.network.networkmanager import NetworkManagerNetwork
from otppi.system.network.settings import NetworkSettings
from otppi.system.power import LogindPower
from otppi.system.serialports import present_sticks
from otppi.system.units import SystemdUnits
from otppi.system.usb_restart import unit_of


def board(store: SettingsStore, clock: TrustedClock, runtime_dir: Path | None) -> Host:
    """Return the board itself; its settings, clock and switch are ours from now on."""
    units, power = SystemdUnits(UNITS), LogindPower()
    speaker = GpioSpeaker(
        lambda: store.get(BellSettings).pin, make_factory=lambda: lgpio_factory(runtime_dir)
    )
    keeper = ClockKeeper(
        settings=lambda: store.get(ClockSettings),
        clock=clock,
        timedate=TimeDate(lambda: units.restart(TIMESYNCD_UNIT)),
        units=units,
        rtc=RealTimeClock(lambda: store.get(ClockSettings).rtc_bus),
        mark=SetMark(runtime_dir),
    )

    def checks() -> Iterable[Check]:
        yield from units.checks()
        yield from power.checks()
        yield from upkeep.checks(store.get(NetworkSettings).hostname)
        yield from ssh.checks(SystemdUnits(frozenset({ssh.UNIT})))

    return Host(
        network=NetworkManagerNetwork(),
        units=units,
        power=power,
        speaker=speaker,
        speaker_lacks=speaker.missing,
        clock=keeper,
        checks=checks,
        close=speaker.close,
        modem_sticks=present_sticks,
        restart_usb=_restart_usb,
    )


def _restart_usb(place: str) -> None:
    try:
        unit = unit_of(place)
    except ValueError as error:
        raise HostError(str(error)) from error
    SystemdUnits(frozenset({unit})).start(unit)


def desk(
    clock: Clock, show: Callable[[str], None], modem_sticks: Callable[[], Sequence[Stick]] | None = None
) -> Host:
    """Return a host that shows what a board would do; nothing of this machine is changed.

    Args:
        clock: Its boot time counts.
        show: Gets what would be done, in words.
        modem_sticks: Tells which simulated modems are plugged in; without it none are looked for.
    """
    return Host(
        network=SimNetwork(clock, show),
        units=SimUnits(show),
        power=SimPower(show),
        speaker=SimSpeaker(show),
        speaker_lacks=lambda: "",
        clock=None,
        checks=lambda: (),
        is_board=False,
        modem_sticks=modem_sticks,
        firewall_report=Path(os.devnull),  # what only the unit of a board writes
    )
