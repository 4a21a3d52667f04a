import threading

import pytest

from otppi.lib.bus import Bus
from otppi.model.events import HostStrained
from otppi.services.housekeeping import Housekeeping
from otppi.settings.store import SettingsStore
from otppi.system.schedule import HousekeepingSettings, Restarts


@pytest.fixture
def bus():
    one = Bus()
    yield one
    one.stop()


@pytest.fixture
def hot_board(tmp_path):
    zone = tmp_path / "board/sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("85000\n")
    return tmp_path / "board"


def test_it_looks_at_the_board_and_says_what_is_planned(tmp_path, clock, bus, hot_board):
    told, came = [], threading.Event()
    bus.subscribe("test", lambda event: (told.append(event), came.set()), HostStrained)
    store = SettingsStore(tmp_path / "state", [HousekeepingSettings], bus)
    store.update(HousekeepingSettings, {"restart_service": "Daily", "restart_service_at": "04:30"})
    asked = []
    restarts = Restarts(service=lambda: asked.append("service"), device=lambda: asked.append("device"))
    keeper = Housekeeping(bus, store, clock, restarts, root=hot_board)
    keeper.start()
    assert came.wait(5)
    findings = {check.name: check.finding for check in keeper.checks()}
    assert keeper.died() == ()
    keeper.stop()
    assert told == [HostStrained(what="temperature", finding="85 °C")]
    assert findings["temperature"] == "85 °C"
    assert findings["housekeeping"].startswith("service restarts ")
    assert findings["housekeeping"].endswith(" 04:30")
    assert asked == []
