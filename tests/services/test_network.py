"""Settings of the network and the network: what is saved is tried, and what is not confirmed is unsaved."""

import threading
import time
from pathlib import Path

import pytest

from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.model.errors import HostError, SettingsError
from otppi.model.events import SettingsChanged
from otppi.services.folders import StateFolder
from otppi.services.network import DHCP_UNIT, NetworkService
from otppi.services.network_before import SettingsBefore
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.paths import ONLY
from otppi.settings.store import SettingsStore
from otppi.sim.host import SimNetwork, SimUnits
from otppi.system.network.planning import Born
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings

SETTLE_S = 0.2
BORN = Born(ssid="OTP-Pi-TEST", passphrase="an invented one")
NEW = "10.11.0.11"


class Desk:
    """A service on a simulated host, on a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.state = StateFolder.prepared(folder)
        self.bus = Bus()
        clock = SystemClock()
        self.network = SimNetwork(clock, self.said.append)
        before = SettingsBefore(self.state)
        before.put_back()
        self.store = SettingsStore(self.state.path, SECTIONS, self.bus)
        watch_over(self.store)
        self.service = NetworkService(
            store=self.store,
            bus=self.bus,
            clock=clock,
            network=self.network,
            units=SimUnits(self.said.append),
            born=lambda: BORN,
            before=before,
            settle_s=SETTLE_S,
        )
        self.service.start()
        self.wait_until(lambda: self.ssid() == BORN.ssid)

    def stop(self) -> None:
        self.service.stop()
        self.bus.stop()

    def ssid(self) -> str:
        wlan = self.network.state().of("wlan0")
        return wlan.ssid if wlan is not None else ""

    def address(self) -> str:
        return str(self.network.state().of("wlan0").addresses[0].ip)

    @staticmethod
    def wait_until(is_true, timeout_s=10.0):
        end = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < end, "did not come true in time"
            time.sleep(0.01)

    def let_it_settle(self) -> None:
        """Wait until the service has heard all news."""
        heard = threading.Event()
        self.bus.subscribe("after", lambda _: heard.set(), SettingsChanged, lag_s=3 * SETTLE_S)
        self.bus.publish(SettingsChanged(section="network"))
        assert heard.wait(10)
        self.wait_until(lambda: all(not one.inbox.qsize() for one in self.bus._subscribers))

    def on_trial(self) -> dict:
        self.wait_until(lambda: self.service.trial() is not None)
        return self.service.trial()


@pytest.fixture
def desk(tmp_path):
    one = Desk(tmp_path / "state")
    yield one
    one.stop()


def test_the_access_point_is_the_born_one_and_its_leases_are_written_first(desk):
    assert desk.address() == "192.168.0.11"
    unit = desk.said.index(f"unit {DHCP_UNIT}: restarted")
    assert unit < next(number for number, line in enumerate(desk.said) if line.startswith("network:"))


def test_a_change_that_is_confirmed_from_the_new_address_stays(desk):
    desk.store.update(WlanSettings, {"address": f"{NEW}/24"})
    trial = desk.on_trial()
    assert trial["address"] == NEW
    desk.wait_until(lambda: desk.address() == NEW)
    with pytest.raises(HostError, match="new address"):
        desk.service.confirm(trial["token"], "192.168.0.11")
    desk.service.confirm(trial["token"], NEW)
    assert desk.service.trial() is None
    assert desk.service.is_on_access_point(NEW, "10.11.0.50")
    assert not desk.service.is_on_access_point(NEW, "192.0.2.50")
    assert not desk.service.is_on_access_point("192.0.2.1", "10.11.0.50")
    assert not (desk.state.path / "network-before").exists()
    assert desk.store.get(WlanSettings).address == f"{NEW}/24"


def test_a_change_that_nobody_confirms_goes_back_with_its_settings(desk):
    desk.store.replace(
        {NetworkSettings: {ONLY: NetworkSettings(confirm_s=2)}}
    )  # shorter than an owner may set
    desk.store.update(WlanSettings, {"ssid": "Shop", "address": f"{NEW}/24"})
    desk.wait_until(lambda: desk.ssid() == "Shop")
    desk.wait_until(lambda: desk.ssid() == BORN.ssid)
    desk.wait_until(lambda: desk.store.get(WlanSettings) == WlanSettings())
    assert desk.address() == "192.168.0.11"
    # The way back is no change that would have to be confirmed.
    desk.let_it_settle()
    assert desk.service.trial() is None


def test_while_a_change_is_on_trial_no_other_is_saved(desk):
    desk.store.update(WlanSettings, {"ssid": "Shop"})
    desk.on_trial()
    with pytest.raises(SettingsError, match="waits for its confirmation"):
        desk.store.update(EthernetSettings, {"dns1": "192.0.2.1"})
    assert desk.store.get(EthernetSettings) == EthernetSettings()


def test_what_changes_nothing_begins_no_trial(desk):
    desk.store.update(DhcpSettings, {"max_lease_s": 8000})
    desk.let_it_settle()
    assert desk.service.trial() is None
    assert not (desk.state.path / "network-before").exists()


def test_who_pulls_the_plug_during_a_trial_finds_the_old_network_at_the_next_start(tmp_path):
    first = Desk(tmp_path / "state")
    first.store.update(WlanSettings, {"ssid": "Shop", "passphrase": "secret enough"})
    first.on_trial()
    first.service._keeper._thread = type(
        "Gone", (), {"ident": None}
    )()  # its thread never ends it, as in a power cut
    second = Desk(tmp_path / "state")
    try:
        assert second.store.get(WlanSettings) == WlanSettings()
        assert second.ssid() == BORN.ssid
        assert not (second.state.path / "network-before").exists()
    finally:
        second.stop()
        first.bus.stop()


def test_a_reset_by_somebody_beside_the_device_needs_no_confirmation(desk):
    desk.store.update(WlanSettings, {"ssid": "Shop"})
    desk.on_trial()
    with desk.service.free_hand():
        desk.store.reset(WlanSettings)
    desk.wait_until(lambda: desk.ssid() == BORN.ssid)
    assert desk.service.trial() is None


@pytest.mark.parametrize(
    ("section", "values", "field"),
    [
        (EthernetSettings, {"method": "static", "address": "192.168.0.20/24"}, "ethernet.address"),
        (DhcpSettings, {"ranges": "10.0.0.1-10.0.0.9"}, "dhcp.ranges"),
    ],
)
def test_networks_that_do_not_fit_are_refused_with_the_reason_and_nothing_is_saved(
    desk, section, values, field
):
    before = desk.store.get(section)
    with pytest.raises(SettingsError) as refused:
        desk.store.update(section, values)
    assert field in refused.value.errors
    assert desk.store.get(section) == before


def test_two_sections_that_fit_only_together_can_be_saved_together(desk):
    wlan = WlanSettings(address="10.9.8.1/24")
    dhcp = DhcpSettings(ranges=("10.9.8.20-10.9.8.90",))
    desk.store.replace({WlanSettings: {ONLY: wlan}, DhcpSettings: {ONLY: dhcp}})
    assert desk.on_trial()["address"] == "10.9.8.1"


def test_a_change_that_is_refused_leaves_no_way_back_behind(desk):
    with pytest.raises(SettingsError):
        desk.store.update(DhcpSettings, {"router": "10.9.9.9"})
    assert not (desk.state.path / "network-before").exists()


def test_two_pieces_of_news_of_one_change_leave_its_way_back(desk):
    """As an import of several sections sends them."""
    wlan, dhcp = WlanSettings(ssid="Shop"), DhcpSettings(default_lease_s=900)
    desk.store.replace({WlanSettings: {ONLY: wlan}, DhcpSettings: {ONLY: dhcp}})
    desk.on_trial()
    desk.let_it_settle()
    assert desk.service.trial() is not None
    assert (desk.state.path / "network-before").is_dir()


def test_a_value_that_needs_no_trial_is_not_taken_back_with_the_next_change(desk):
    desk.store.replace({NetworkSettings: {ONLY: NetworkSettings(confirm_s=2)}})
    desk.let_it_settle()
    desk.store.update(WlanSettings, {"ssid": "Shop"})
    desk.on_trial()
    desk.wait_until(lambda: desk.service.trial() is None)
    desk.wait_until(lambda: desk.store.get(WlanSettings).ssid == "")
    assert desk.store.get(NetworkSettings).confirm_s == 2


def test_a_save_while_a_change_is_being_taken_up_is_refused(desk, monkeypatch):
    begin, may_go_on = desk.network.begin_trial, threading.Event()

    def slow(rollback_s):
        assert may_go_on.wait(10)
        return begin(rollback_s)

    monkeypatch.setattr(desk.service._network, "begin_trial", slow)
    desk.store.update(WlanSettings, {"ssid": "Shop"})
    desk.wait_until(lambda: desk.service._has_open_change)
    with pytest.raises(SettingsError, match="waits for its confirmation"):
        desk.store.update(WlanSettings, {"ssid": "Other"})
    may_go_on.set()
    desk.on_trial()
    assert desk.store.get(WlanSettings).ssid == "Shop"


def test_a_reset_that_comes_before_a_change_is_tried_takes_its_place(desk, monkeypatch):
    begin, may_go_on = desk.network.begin_trial, threading.Event()

    def slow(rollback_s):
        assert may_go_on.wait(10)
        return begin(rollback_s)

    monkeypatch.setattr(desk.service._network, "begin_trial", slow)
    desk.store.update(WlanSettings, {"ssid": "Shop"})
    desk.wait_until(lambda: desk.service._has_open_change)
    threading.Timer(0.3, may_go_on.set).start()
    with desk.service.free_hand():
        desk.store.reset(WlanSettings)
    desk.let_it_settle()
    assert desk.service.trial() is None
    assert desk.ssid() == BORN.ssid
    assert desk.store.get(WlanSettings) == WlanSettings()
    desk.store.update(WlanSettings, {"ssid": "Next"})
    desk.on_trial()


def test_settings_that_clash_after_a_damage_do_not_keep_the_device_from_starting(tmp_path):
    first = Desk(tmp_path / "state")
    first.stop()
    store = SettingsStore(tmp_path / "state", SECTIONS, None)
    wired = EthernetSettings(method="static", address="192.168.0.50/24")
    store.replace(
        {WlanSettings: {ONLY: WlanSettings(address="10.11.0.11/24")}, EthernetSettings: {ONLY: wired}}
    )
    for file in (tmp_path / "state" / "settings").glob("wlan.json*"):
        file.write_text("damaged")
    second = Desk(tmp_path / "state")
    try:
        assert second.address() == "192.168.0.11"
        assert "do not fit together" in next(iter(second.service.checks())).finding
    finally:
        second.stop()


def test_what_nobody_confirmed_comes_back_although_the_disk_is_full(tmp_path, monkeypatch):
    first = Desk(tmp_path / "state")
    first.store.update(WlanSettings, {"ssid": "Shop"})
    first.on_trial()
    first.service._keeper._thread = type("Gone", (), {"ident": None})()
    monkeypatch.setattr("otppi.services.files_before.write_atomically", None)  # whoever writes now fails
    SettingsBefore(first.state).put_back()
    assert SettingsStore(first.state.path, SECTIONS, None).get(WlanSettings) == WlanSettings()
    first.bus.stop()
