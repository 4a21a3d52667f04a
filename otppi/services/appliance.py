"""The host side of a device, composed: network, firewall, clock, buzzer, reset, devices, mobile internet, upkeep."""

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from datetime import time as TimeOfDay
from pathlib import Path
from typing import Any

from otppi.contracts.host import Network, Power, Speaker, Units
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.checks import Check
from otppi.model.events import DeviceNotice, ResetByStick, SettingsChanged
from otppi.model.ports import Stick
from otppi.modems.settings import ModemSettings
from otppi.services import first_boot, resetting
from otppi.services.ending import Ending
from otppi.services.firewall import REPORT, FirewallService
from otppi.services.firewall import UNIT as FIREWALL_UNIT
from otppi.services.folders import StateFolder
from otppi.services.housekeeping import Housekeeping
from otppi.services.mobile_link import links_of
from otppi.services.network import COUNTRY_UNIT, DHCP_UNIT, NetworkService
from otppi.services.network_before import SettingsBefore
from otppi.services.resetting import Resets
from otppi.settings.store import SettingsStore
from otppi.system.buzzer.bell import Bell
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.keeper import RTC_SAVE_UNIT, ClockKeeper
from otppi.system.clock.settings import ClockSettings, zones
from otppi.system.clock.timedate import TIMESYNCD_UNIT
from otppi.system.devices import DeviceWatch, log_notice
from otppi.system.mobile.keeper import UNIT as MOBILE_UNIT
from otppi.system.mobile.keeper import MobileKeeper
from otppi.system.mobile.names import NameServers
from otppi.system.network.born import BornSecrets, born
from otppi.system.network.settings import WlanSettings
from otppi.system.reset import report as reset_report
from otppi.system.schedule import Restarts, local_zone

log = logging.getLogger(__name__)

STICKS = Path("/run/otppi-reset/sticks.json")
# All that the gateway may start or stop; polkit allows the same and no more.
UNITS = frozenset({FIREWALL_UNIT, DHCP_UNIT, COUNTRY_UNIT, MOBILE_UNIT, RTC_SAVE_UNIT, TIMESYNCD_UNIT})
_BY_BROWSER = "by a browser on the access point"
# The others are what is called otherwise as well, or no place.
_ZONE_AREAS = frozenset(
    {
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    }
    | {"UTC"}
)


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the appliance has its hands on: the real one on a device, a simulated one on a desk."""

    network: Network
    units: Units
    power: Power
    speaker: Speaker
    speaker_lacks: Callable[[], str]
    clock: ClockKeeper | None  # None where the clock is not ours to set
    checks: Callable[[], Iterable[Check]]  # of the units and the switch themselves
    close: Callable[[], None] = lambda: None
    is_board: bool = True  # with units of its own, and an access point that people can really join
    firewall_report: Path = REPORT
    sticks: Path = STICKS
    modem_sticks: Callable[[], Sequence[Stick]] | None = None  # where modems are looked for
    # Restarts the USB device at a place such as `1-1.3`, and waits for that; HostError if it did not come back.
    restart_usb: Callable[[str], None] | None = None


class Appliance:
    """Starts, stops, checks and offers everything that is done to the host; the gateway runs without it as well."""

    def __init__(
        self,
        *,
        state: StateFolder,
        store: SettingsStore,
        bus: Bus,
        clock: Clock,
        host: Host,
        ending: Ending,
        renew_certificate: Callable[[], None],
        duties: Sequence[Callable[[], None]] = (),
    ) -> None:
        """Compose; nothing is touched yet.

        Args:
            state: The folder of the gateway.
            store: Its settings.
            bus: Its news.
            clock: Its clock, which the host's keeper judges.
            host: What the hands are on.
            ending: Ends this process in good order, so that nobody's message is cut off by a restart.
            renew_certificate: Called when the certificate is gone.
            duties: What else is to be done every 30 seconds.
        """
        self._state = state
        self._store = store
        self._bus = bus
        self._clock = clock
        self._host = host
        self._ending = ending
        self._born: BornSecrets | None = None
        self.network = NetworkService(
            store=store,
            bus=bus,
            clock=clock,
            network=host.network,
            units=host.units,
            born=self.born,
            before=SettingsBefore(state),
            is_board=host.is_board,
        )
        self._firewall = FirewallService(store, bus, host.units, host.firewall_report)
        self._mobile = MobileKeeper(host.units)
        self._dialling = threading.Lock()
        self._bell = Bell(
            bus,
            settings=lambda: store.get(BellSettings),
            speaker=host.speaker,
            missing=host.speaker_lacks,
            local_time=lambda: _time_of_day(clock),
        )
        self.devices = DeviceWatch(bus, clock)
        # Each is also what heals when the host did not answer; the first time comes with the start.
        duties = [self._settle_mobile, *duties]
        if host.is_board:
            duties += [self._firewall.look, NameServers().look]
        self._housekeeping = Housekeeping(
            bus,
            store,
            clock,
            Restarts(service=ending.ask, device=ending.restart_device),
            duties=duties,
        )
        self._resets = Resets(store, resetting.keystore(state, renew_certificate), bus)

    def start(self) -> None:
        """Start from the bottom up: ears first, so that nothing is missed."""
        self._bell.start()
        self._bus.subscribe("devices", log_notice, DeviceNotice)
        self._bus.subscribe("resets", _log_reset, ResetByStick)
        self._bus.subscribe("clock-settings", self._clock_changed, SettingsChanged)
        if self._host.clock is not None:
            self._host.clock.start()
        self._firewall.start()
        self.network.start()
        self.devices.start()
        self._housekeeping.start()

    def stop(self) -> None:
        """Stop in the reverse order; the host stays as it is, but for a network on trial."""
        self._housekeeping.stop()
        self.devices.stop()
        self.network.stop()
        if self._host.clock is not None:
            self._host.clock.stop()
        self._bell.stop()
        self._host.close()

    @property
    def has_access_point(self) -> bool:
        """Whether people can join the device and be led to its pages."""
        return self._host.is_board and self._store.get(WlanSettings).enabled

    @property
    def is_board(self) -> bool:
        """Whether this is a device, and no desk."""
        return self._host.is_board

    @property
    def power(self) -> Power:
        """The switch of the board."""
        return self._host.power

    @contextmanager
    def ports_settled(self, modems: Mapping[str, ModemSettings]) -> Iterator[None]:
        """Take modems from pppd before the block, and give it those it is to have after; waits for both."""
        with self._dialling:
            self._mobile.let_go(links_of(modems))
            try:
                yield
            finally:
                self._mobile.take_up()

    def _settle_mobile(self) -> None:
        """Do what could not be done before: at the start, or when systemd did not answer."""
        links = links_of(self._store.items(ModemSettings))
        with self._dialling:
            self._mobile.settle(links)

    def died(self) -> Iterable[str]:
        """Name the threads that ended though nobody asked them to."""
        clock = self._host.clock.died() if self._host.clock is not None else ()
        return (*self.network.died(), *clock, *self.devices.died(), *self._housekeeping.died())

    def checks(self) -> Iterable[Check]:
        """Look at every part; waits for the host."""
        yield from self.network.checks()
        if self._host.is_board:
            yield from self._firewall.checks()
            yield from reset_report.checks(self._host.sticks, self._state.path)
            yield from first_boot.checks()
        if self._host.clock is not None:
            yield from self._host.clock.checks()
        yield from self.devices.checks()
        yield from self._mobile.checks()
        yield from self._bell.checks()
        yield from self._housekeeping.checks()
        yield from self._host.checks()

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the calls of the control socket; they take and return JSON values."""
        return {
            "network.show": self.network.show,
            "network.trial": self.network.trial,
            "network.outcome": self.network.outcome,
            "firewall.show": self._show_firewall,
            "port.listening": self._firewall.listening,
            "bell.show": self._bell.show,
            "bell.test": self._bell.test,
            "bell.stop": self._bell.hush,
            "clock.show": self._show_clock,
            "clock.zones": self._list_zones,
            **({"clock.set": self._host.clock.set_by_hand} if self._host.clock is not None else {}),
            "devices.list": self._list_devices,
            "mobile.redial": self._mobile.redial,
            "power.restart-service": self._ending.ask,
            "power.reboot": self._ending.restart_device,
            "power.off": self._ending.power_off,
            "reset.list": self._resets.listed,
            "reset.apply": self._reset,
            "reset.report": self._resets.report,
        }

    def born(self) -> BornSecrets:
        """Return the secrets that were born on this device; made when first asked for."""
        if self._born is None:
            try:
                self._born = born(self._state.born)
            except OSError as error:
                # Without room on the disk the device must still send; the owner needs a cable then.
                log.error("the born secrets cannot be kept", extra={"fields": {"reason": error.strerror}})  # noqa: TRY400
                self._born = BornSecrets(
                    ssid="OTP-Pi",
                    passphrase=secrets.token_urlsafe(24),
                    setup_secret=secrets.token_urlsafe(24),
                )
        return self._born

    def setup_secret(self) -> str:
        """Return what the first administrator is asked for who does not come by the access point."""
        return self.born().setup_secret

    def offer_time(self, epoch_s: float) -> bool:
        """Take the time of a browser on the access point, if there is none that is worth more; waits."""
        return self._host.clock is not None and self._host.clock.offer(epoch_s, origin=_BY_BROWSER)

    def notices(self) -> tuple[str, ...]:
        """Return what was plugged in or pulled out lately, the newest first, in words."""
        return tuple(
            f"{one.name} ({one.description or one.kind}) {'came' if one.is_present else 'went'}"
            for _, one in self.devices.recent()
        )

    def _show_firewall(self) -> dict[str, Any]:
        """Return how it is with the firewall: where it is loaded at all, and which ports services keep open."""
        shown = self._firewall.show()
        return shown if self._host.is_board else {**shown, "checks": []}

    def _list_zones(self) -> list[str]:
        """List the time zones that are named after a place, and UTC."""
        return sorted(one for one in zones() if one.partition("/")[0] in _ZONE_AREAS)

    def _show_clock(self) -> dict[str, Any]:
        """Return the time, whether it can be relied on and why, and what is known of time servers and clock chip."""
        clock = self._host.clock
        return {
            "now_s": self._clock.wall_s(),
            "is_trusted": self._clock.wall_is_trusted(),
            "checks": [one.as_json() for one in clock.checks()] if clock is not None else [],
        }

    def _clock_changed(self, change: SettingsChanged) -> None:
        if change.section == ClockSettings.key and self._host.clock is not None:
            self._host.clock.changed()

    def _list_devices(self) -> list[dict[str, Any]]:
        """Return the pieces of hardware that were found, such as modems and storage."""
        return [
            {"kind": one.kind, "name": one.name, "node": one.node, "description": one.description}
            for one in self.devices.present()
        ]

    def _reset(self, flags: list[str], on_trial: bool = False) -> dict[str, Any]:
        """Put back to the factory's what these flags name, as far as it can be.

        Args:
            flags: Flags that `reset.list` names, such as RESET_WLAN.
            on_trial: Whether the network is tried first, as after any change of it, for whom it may cut off.
        """
        # Who holds a stick stands beside the device, and may have lost the network that would confirm.
        with nullcontext() if on_trial else self.network.free_hand():
            return self._resets.apply(flags)


def _time_of_day(clock: Clock) -> TimeOfDay | None:
    if not clock.wall_is_trusted():
        return None
    return datetime.fromtimestamp(clock.wall_s(), local_zone()).time()


def _log_reset(event: ResetByStick) -> None:
    fields = {"sections": ", ".join(event.sections), "refused": event.refusal}
    log.warning("a USB stick reset the device", extra={"fields": {k: v for k, v in fields.items() if v}})
