"""A simulated host: it shows what a device would do."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from otppi.lib.clock import Clock
from otppi.model.errors import HostRefused
from otppi.model.network import AccessPointPlan, EthernetPlan, InterfaceState, NetworkPlan, NetworkState

Show = Callable[[str], None]


@dataclass(frozen=True)
class _Trial:
    name: str
    before: NetworkState
    ends_at_s: float


class SimNetwork:
    """Implements `Network` in memory; a trial that nobody ends is over when its time is."""

    def __init__(self, clock: Clock, show: Show, *, can_wpa3: bool = True) -> None:
        self._clock = clock
        self._show = show
        self._names = itertools.count(1)
        self._trial: _Trial | None = None
        self._state = NetworkState(
            hostname="sim", interfaces=(), wifi_enabled=True, radio_can_wpa3=can_wpa3, country="00"
        )

    def state(self) -> NetworkState:
        """See `Network`."""
        if self._trial is not None and self._clock.boot_s() >= self._trial.ends_at_s:
            self._end("comes back by itself")
        return self._state

    def apply(self, plan: NetworkPlan) -> None:
        """See `Network`."""
        before = self.state()
        interfaces = {one.interface: one for one in before.interfaces if one.mode != "ap"}
        if plan.ethernet is not None:
            interfaces[plan.ethernet.interface] = _wire(plan.ethernet)
        if plan.access_point is not None:
            can_wpa3 = plan.access_point.allows_wpa3 and bool(before.radio_can_wpa3)
            interfaces[plan.access_point.interface] = _access_point(plan.access_point, can_wpa3=can_wpa3)
        country = plan.access_point.country if plan.access_point is not None else before.country
        self._state = replace(
            before, hostname=plan.hostname, interfaces=tuple(interfaces.values()), country=country
        )
        if self._state != before:
            self._show(f"network: {_in_words(self._state)}")

    def begin_trial(self, rollback_s: int) -> str:
        """See `Network`."""
        before = self.state()
        if self._trial is not None:
            raise HostRefused("InvalidArguments", "another trial is not over yet")
        name = f"sim-trial-{next(self._names)}"
        self._trial = _Trial(name, before, self._clock.boot_s() + rollback_s)
        return name

    def keep(self, trial: str) -> None:
        """See `Network`."""
        self._must_run(trial)
        self._trial = None

    def take_back(self, trial: str) -> None:
        """See `Network`."""
        self._must_run(trial)
        self._end("is taken back")

    def _must_run(self, trial: str) -> None:
        self.state()
        if self._trial is None or self._trial.name != trial:
            raise HostRefused("InvalidArguments", "there is no such trial")

    def _end(self, how: str) -> None:
        if self._trial is not None:
            # What NetworkManager brings back are connections; a host name is none.
            self._state = replace(self._trial.before, hostname=self._state.hostname)
            self._trial = None
            self._show(f"network: the change {how}: {_in_words(self._state)}")


def _wire(plan: EthernetPlan) -> InterfaceState:
    return InterfaceState(
        interface=plan.interface,
        kind="ethernet",
        state="activated",
        profile="otppi-ethernet",
        addresses=(plan.address,) if plan.address is not None else (),
        gateway=plan.gateway if plan.address is not None else None,
        name_servers=tuple(map(str, plan.name_servers)),
        has_carrier=True,
        by_dhcp=plan.address is None,
    )


def _access_point(plan: AccessPointPlan, *, can_wpa3: bool) -> InterfaceState:
    return InterfaceState(
        interface=plan.interface,
        kind="wifi",
        state="activated",
        profile="otppi-access-point",
        addresses=(plan.address,),
        gateway=None,
        name_servers=(),
        has_carrier=True,
        ssid=plan.ssid,
        mode="ap",
        security="wpa2 and wpa3" if can_wpa3 else "wpa2",
        channel=plan.channel or 6,
    )


def _in_words(state: NetworkState) -> str:
    parts = [
        f"{one.interface} {', '.join(map(str, one.addresses)) or 'DHCP'}{f' as {one.ssid}' if one.ssid else ''}"
        for one in state.interfaces
    ]
    return "; ".join([state.hostname, *parts])


class SimUnits:
    """Implements `Units`: every unit is there and does what it is told."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._active = set[str]()

    def start(self, unit: str) -> None:
        """See `Units`."""
        self._active.add(unit)
        self._show(f"unit {unit}: started")

    def restart(self, unit: str) -> None:
        """See `Units`."""
        self._active.add(unit)
        self._show(f"unit {unit}: restarted")

    def stop(self, unit: str) -> None:
        """See `Units`."""
        self._active.discard(unit)
        self._show(f"unit {unit}: stopped")

    def state(self, unit: str) -> str:
        """See `Units`."""
        return "active" if unit in self._active else "inactive"


class SimPower:
    """Implements `Power`: nothing is switched."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def reboot(self) -> None:
        """See `Power`."""
        self._show("power: the board would restart now")

    def power_off(self) -> None:
        """See `Power`."""
        self._show("power: the board would switch off now")


class SimSpeaker:
    """Implements `Speaker` without a sound and without waiting."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def tone(self, frequency_hz: float, duration_s: float) -> None:
        """See `Speaker`."""
        self._show(
            f"buzzer: {frequency_hz:.0f} Hz for {duration_s:.2f} s" if frequency_hz else "buzzer: rest"
        )
