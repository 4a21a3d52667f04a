import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from otppi.model.errors import HostRefused
from otppi.sim.host import SimUnits
from otppi.system.clock.chip import RealTimeClock
from otppi.system.clock.keeper import ClockKeeper
from otppi.system.clock.setmark import SetMark
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TimeState
from otppi.system.clock.trust import TrustedClock
from otppi.web import zones
from tests.web.admin_client import admin_client
from tests.web.test_settings_pages import fields_of


def test_shows_the_time_in_the_zone_of_the_device_and_whether_it_can_be_relied_on(pages, owner):
    pages.gateway.store.update(ClockSettings, {"time_zone": "Asia/Jayapura"})
    before = datetime.now(ZoneInfo("Asia/Jayapura"))
    seen = owner.get("/clock").visible
    assert "can be relied on" in seen
    assert f"{before:%b} {before.day}, {before.year}" in seen


def test_on_a_desk_the_clock_is_not_set(pages, owner):
    page = owner.get("/clock")
    assert "not set from here" in page.visible
    assert "/clock/time" not in page.text
    answer = owner.post("/clock/time", {"moment": "2027-01-31T12:00:00"})
    assert answer.status == 422
    assert "this device does not do that" in answer.visible or "not set from here" in answer.visible


def test_zones_are_chosen_from_a_list_that_begins_in_indonesia(pages, owner):
    page = owner.get("/clock")
    options = re.search(r'<select[^>]*name="clock.time_zone".*?</select>', page.text, re.DOTALL)[0]
    zones = re.findall(r'value="([^"]+)"', options)
    assert zones[:4] == ["Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura"]
    assert len(zones) == len(set(zones)) > 400
    given = fields_of(page, "/clock")
    owner.post(
        "/clock", {**given, "clock.time_zone": "Asia/Makassar", "clock.ntp_server": "a.example\r\nb.example"}
    )
    stored = pages.gateway.store.get(ClockSettings)
    assert (stored.time_zone, stored.ntp_server) == ("Asia/Makassar", ("a.example", "b.example"))
    owner.post("/clock/reset", {"section": "clock"})
    assert pages.gateway.store.get(ClockSettings) == ClockSettings()


def test_a_server_that_cannot_be_is_refused_beside_its_field(pages, owner):
    given = fields_of(owner.get("/clock"), "/clock")
    answer = owner.post("/clock", {**given, "clock.ntp_server": "999.1.1.1"})
    assert answer.status == 422
    assert "clock.ntp_server-error" in answer.text
    assert pages.gateway.store.get(ClockSettings) == ClockSettings()


class TimeService:
    """The time services of a system, which this machine's are not to be used for."""

    def __init__(self) -> None:
        self.set_to: list[float] = []
        self.refusal = ""

    def state(self) -> TimeState:
        return TimeState(time_zone="Asia/Jakarta", can_ntp=True, ntp_enabled=True, is_synchronised=False)

    def set_time(self, epoch_s: float) -> None:
        if self.refusal:
            raise HostRefused("Refused", self.refusal)
        self.set_to.append(epoch_s)

    def restart_timesyncd(self) -> None:
        pass


@pytest.fixture
def system():
    return TimeService()


@pytest.fixture
def device_owner(gateway, tmp_path, system):
    """The owner of a device whose clock is its own."""

    def keeper(store):
        return ClockKeeper(
            settings=lambda: store.get(ClockSettings),
            clock=TrustedClock(),
            timedate=system,
            units=SimUnits(lambda _: None),
            rtc=RealTimeClock(lambda: 1, kernel_log=lambda: "", dev=tmp_path, sys=tmp_path),
            mark=SetMark(tmp_path),
            conf_folder=tmp_path / "timesyncd.conf.d",
        )

    return admin_client(gateway(on_desk=True, own_clock=keeper))


def test_a_time_that_is_typed_is_meant_in_the_zone_of_the_device(device_owner, system):
    page = device_owner.get("/clock")
    assert 'type="datetime-local"' in page.text
    after = device_owner.follow(
        device_owner.post("/clock/time", {"moment": "2027-01-31T12:00:00", "epoch_ms": ""})
    )
    assert "The clock was set." in after.visible
    assert system.set_to == [datetime(2027, 1, 31, 12, tzinfo=ZoneInfo("Asia/Jakarta")).timestamp()]


def test_the_time_of_the_browser_is_taken(device_owner, system):
    device_owner.post("/clock/time", {"epoch_ms": "1801371600500"})
    assert system.set_to == [1801371600.5]


def test_what_is_known_of_time_servers_and_clock_chip_is_said(device_owner):
    seen = device_owner.get("/clock").visible
    assert "pool.ntp.org: no answer yet" in seen
    assert "real-time clock none found, and no time from the network" in seen


@pytest.mark.parametrize(
    "fields", [{"moment": ""}, {"moment": "noon"}, {"epoch_ms": "x"}, {"epoch_ms": "9" * 400}]
)
def test_what_is_no_time_is_refused(device_owner, system, fields):
    answer = device_owner.post("/clock/time", fields)
    assert answer.status == 422
    assert "Please give date and time." in answer.visible
    assert not system.set_to


def test_what_the_system_refused_stands_beside_what_was_typed(device_owner, system):
    system.refusal = "the clock is busy"
    answer = device_owner.post("/clock/time", {"moment": "2027-01-31T12:00:00"})
    assert 'id="moment-error">the clock is busy<' in answer.text
    assert answer.value_of("moment") == "2027-01-31T12:00:00"


def test_the_zones_of_indonesia_are_known_to_the_system():
    assert all(ZoneInfo(one) for one in zones._INDONESIAN)
