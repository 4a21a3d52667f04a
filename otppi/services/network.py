"""Binds the settings of the network to the network: what is saved is tried, and what was not confirmed is unsaved."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, cast

from otppi.contracts.host import Network, Units
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.checks import Check, Level
from otppi.model.errors import HostError, SettingsError, SettingsNotSaved
from otppi.model.events import SettingsChanged
from otppi.model.network import InterfaceState, NetworkPlan
from otppi.services.network_before import NETWORK_SECTIONS, SettingsBefore
from otppi.settings.paths import ONLY
from otppi.settings.section import Section
from otppi.settings.store import Joint, SettingsStore
from otppi.system.network import planning
from otppi.system.network.keeper import REPLACED, NetworkKeeper
from otppi.system.network.planning import Born
from otppi.system.network.radio import present_stations
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings

log = logging.getLogger(__name__)

DHCP_UNIT = "otppi-dhcp.service"
COUNTRY_UNIT = "otppi-wifi-country.service"

_KEYS = frozenset(section.key for section in NETWORK_SECTIONS)
_Values = Mapping[type[Section], Section]
# Whoever saves several settings in a row means one change.
SETTLE_S = 1.0


class _PreparedNetwork:
    """A network before whose every change the units write what NetworkManager is about to read.

    Used by the thread that keeps the network; what a unit did not do is tried again with the next look.
    """

    def __init__(self, network: Network, units: Units) -> None:
        self._network = network
        self._units = units
        self._done: dict[str, object] = {}  # unit: what it was run for
        self._troubles: dict[str, str] = {}
        self.state = network.state
        self.begin_trial = network.begin_trial
        self.keep = network.keep
        self.take_back = network.take_back

    def apply(self, plan: NetworkPlan) -> None:
        """See `Network`."""
        self.prepare(plan)
        self._network.apply(plan)

    def prepare(self, plan: NetworkPlan) -> None:
        """Run the units whose work this plan changes; waits for them."""
        if plan.access_point is not None:
            self._run(COUNTRY_UNIT, plan.access_point.country)
        self._run(DHCP_UNIT, (plan.access_point, plan.hostname))

    def _run(self, unit: str, wanted: object) -> None:
        if unit in self._done and self._done[unit] == wanted:
            return
        try:
            self._units.restart(unit)
        except HostError as error:
            if self._troubles.get(unit) != str(error):
                log.warning(
                    "a unit did not do its part", extra={"fields": {"unit": unit, "reason": str(error)}}
                )
            self._troubles[unit] = str(error)
        else:
            self._done[unit] = wanted
            self._troubles.pop(unit, None)


class NetworkService:
    """Tries what is saved; owns what was last agreed on.

    A change is open from the moment in which it is taken up, on the thread `bus:network-settings`, until it was
    confirmed or taken back and the settings are settled; meanwhile no other is saved.
    """

    def __init__(
        self,
        *,
        store: SettingsStore,
        bus: Bus,
        clock: Clock,
        network: Network,
        units: Units,
        born: Callable[[], Born],
        before: SettingsBefore,
        settle_s: float = SETTLE_S,
        is_board: bool = True,
    ) -> None:
        self._is_board = is_board
        self._store = store
        self._bus = bus
        self._clock = clock
        self._network = _PreparedNetwork(network, units)
        self._born = born
        self._before = before
        self._settle_s = settle_s
        self._keeper = NetworkKeeper(self._network, bus, clock)
        self._clash = ""
        # These three are written under the lock of the store.
        self._agreed: _Values = self._present()
        self._planned = self._first_plan()
        self._has_open_change = False
        self._changes = self._settled = (
            0  # how many were taken up, and how many looks found nothing to change
        )
        self._refusal = ""  # why the last change was not made or did not last
        self._free_hand = threading.local()
        for section in NETWORK_SECTIONS:
            store.guard(section, self._refuse_beside_an_open_change)
        store.guard_together(NETWORK_SECTIONS, self._keep_before)

    def start(self) -> None:
        """Bring the network to the settings, and listen for changes; returns at once."""
        self._keeper.start(self._planned)
        self._bus.subscribe("network-settings", self._changed, SettingsChanged, lag_s=self._settle_s)

    def stop(self) -> None:
        """Leave the network alone; a change on trial goes back."""
        self._keeper.stop()

    def died(self) -> tuple[str, ...]:
        """Name the thread of the network if it ended though nobody asked it to."""
        return self._keeper.died()

    @property
    def plan(self) -> NetworkPlan:
        """What the network is meant to be now."""
        return self._planned

    def is_on_access_point(self, address: str, from_address: str) -> bool:
        """Whether a request to this address of ours came over the access point; the firewall stops all others."""
        access_point = self.plan.access_point
        if access_point is None or address != str(access_point.address.ip):
            return False
        return ip_address(from_address) in access_point.address.network

    @contextmanager
    def free_hand(self) -> Iterator[None]:
        """Let this thread, for somebody who stands beside the device, change the network without a trial; waits."""
        with self._hands_free():
            yield
        self._apply_now()

    def confirm(self, token: str, arrived_at: str) -> None:
        """Make the change on trial last; see `NetworkKeeper.confirm`."""
        self._keeper.confirm(token, self._seen(arrived_at))
        with self._store.exclusively():
            self._agree()

    def trial(self, arrived_at: str = "") -> dict[str, Any] | None:
        """Return the change that waits for its confirmation, and whether a request to this address confirms it.

        It holds the token that confirms it.
        """
        trial = self._keeper.trial
        if trial is None:
            return None
        return {
            "token": trial.token,
            "address": trial.address if self._is_board else "127.0.0.1",
            "remaining_s": max(0.0, trial.deadline_s - self._clock.boot_s()),
            "can_confirm_here": self._keeper.would_confirm(self._seen(arrived_at)),
        }

    def outcome(self) -> dict[str, Any]:
        """Return what became of the last change, as JSON."""
        return {
            "changes": self._changes,
            "settled": self._settled,
            "is_open": self._has_open_change,
            "refusal": self._refusal,
        }

    def show(self) -> dict[str, Any]:
        """Return what the network really is, as JSON; waits.

        Raises:
            HostError: It cannot be asked.
        """
        state = self._network.state()
        clash = planning.clash(self.plan, state)
        return {
            "hostname": state.hostname,
            "wifi_enabled": state.wifi_enabled,
            "radio_can_wpa3": state.radio_can_wpa3,
            "country": state.country,
            "interfaces": [self._shown(one) for one in state.interfaces],
            "notes": list(planning.notes(self.plan, self._store.get(DhcpSettings))),
            "clash": clash.finding if clash is not None else "",
            "free_address": str(clash.free) if clash is not None and clash.free is not None else "",
        }

    def checks(self) -> Iterable[Check]:
        """Look at the network; waits."""
        if self._clash:
            yield Check(
                name="network settings",
                level=Level.RED,
                finding=f"they do not fit together, and those of the factory are used: {self._clash}",
                advice="Save the settings of access point and Ethernet again, or reset them: RESET_WLAN, RESET_DHCP "
                "and RESET_ETHERNET.",
            )
        if self._refusal:
            yield Check(
                name="last network change",
                level=Level.YELLOW,
                finding=f"was taken back: {self._refusal}",
                advice="Make it again, and open the link that confirms it from the new network in time.",
            )
        yield from self._keeper.checks(self.plan)

    def _changed(self, change: SettingsChanged) -> None:
        if change.section not in _KEYS:
            return
        with self._store.exclusively():
            if self._has_open_change:
                return  # more news of the same change
            plan, previous, agreed = self._plan(self._present()), self._planned, self._agreed
            if plan == previous:
                self._settled += 1
                self._agree()
                return
            self._has_open_change = True
            self._planned, self._refusal = plan, ""
            self._changes += 1
        try:
            trial = self._keeper.change(
                plan,
                previous,
                self._store.get(NetworkSettings).confirm_s,
                on_taken_back=lambda reason: self._go_back(agreed, previous, reason),
                is_wanted=lambda: self._planned is plan,
            )
        except HostError as error:
            log.error("the network cannot be changed now", extra={"fields": {"reason": str(error)}})  # noqa: TRY400
            if self._planned is plan:
                self._go_back(agreed, previous, str(error))
            return
        log.warning(
            "confirm the change of the network: otppi network trial tells the link",
            extra={"fields": {"address": trial.address}},
        )

    def _go_back(self, agreed: _Values, previous: NetworkPlan, reason: str) -> None:
        with self._store.exclusively(), self._hands_free():
            self._planned, self._refusal = previous, reason
            try:
                self._store.replace({section: {ONLY: values} for section, values in agreed.items()})
                self._before.forget()
            finally:
                # If the disk refused, the next start brings them back.
                self._agreed, self._has_open_change = agreed, False
        self._network.prepare(previous)

    def _apply_now(self) -> None:
        with self._store.exclusively():
            previous, plan = self._planned, self._plan(self._present())
            self._planned = plan
            self._clash = ""
            if self._has_open_change:
                self._refusal = REPLACED
            self._agree()
        if plan == previous and self._keeper.trial is None:
            return
        try:
            self._keeper.change_now(plan)
        except HostError as error:
            log.warning("the network is not as set yet", extra={"fields": {"reason": str(error)}})

    def _agree(self) -> None:
        self._agreed, self._has_open_change = self._present(), False
        self._before.forget()

    @contextmanager
    def _hands_free(self) -> Iterator[None]:
        self._free_hand.is_on = True
        try:
            yield
        finally:
            self._free_hand.is_on = False

    def _refuse_beside_an_open_change(self, _old: Section, new: Section) -> None:
        if self._has_open_change and not getattr(self._free_hand, "is_on", False):
            raise SettingsError(
                {new.key: "a change of the network waits for its confirmation; confirm it or wait"}
            )

    def _keep_before(self, _: Joint) -> None:
        """Secure the way back, when nobody else refuses the change any more."""
        if getattr(self._free_hand, "is_on", False):
            return
        try:
            self._before.keep()
        except OSError as error:
            raise SettingsNotSaved({"network": f"could not be saved: {error.strerror}"}) from error

    def _seen(self, arrived_at: str) -> str:
        """Return the address; on a desk, where nobody can join what is only simulated, that of the change."""
        trial = self._keeper.trial
        return arrived_at if self._is_board or trial is None else trial.address

    def _first_plan(self) -> NetworkPlan:
        try:
            return self._plan(self._agreed)
        except SettingsError as error:
            # A damaged file may have got factory values that clash with those of another.
            log.error("the network settings do not fit together", extra={"fields": {"reason": str(error)}})  # noqa: TRY400
            self._clash = str(error)
            return self._plan({section: section() for section in NETWORK_SECTIONS})

    def _plan(self, values: _Values) -> NetworkPlan:
        wlan, dhcp, ethernet, network = (values[section] for section in NETWORK_SECTIONS)
        return planning.plan(
            cast("WlanSettings", wlan),
            cast("DhcpSettings", dhcp),
            cast("EthernetSettings", ethernet),
            cast("NetworkSettings", network),
            self._born(),
        )

    def _present(self) -> _Values:
        return {section: self._store.get(section) for section in NETWORK_SECTIONS}

    def _shown(self, one: InterfaceState) -> dict[str, Any]:
        return {**_facts(one), "clients_dbm": self._clients_dbm(one)}

    def _clients_dbm(self, one: InterfaceState) -> list[int | None] | None:
        if one.mode != "ap" or not self._is_board:
            return None
        return list(present_stations(one.interface))


def _facts(one: InterfaceState) -> dict[str, Any]:
    return {
        "interface": one.interface,
        "kind": one.kind,
        "state": one.state,
        "profile": one.profile,
        "addresses": [str(address) for address in one.addresses],
        "gateway": str(one.gateway) if one.gateway is not None else None,
        "name_servers": list(one.name_servers),
        "has_carrier": one.has_carrier,
        "ssid": one.ssid,
        "mode": one.mode,
        "security": one.security,
        "channel": one.channel,
        "by_dhcp": one.by_dhcp,
    }
