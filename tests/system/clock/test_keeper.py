import math
import subprocess
import time
from contextlib import contextmanager

import pytest

from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S
from otppi.model.checks import Level
from otppi.model.errors import HostError, HostRefused, HostUnreachable, SettingsError
from otppi.system import dbus
from otppi.system.clock.chip import RealTimeClock
from otppi.system.clock.keeper import RTC_SAVE_UNIT, ClockKeeper
from otppi.system.clock.setmark import SetMark
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TimeDate
from otppi.system.clock.trust import TrustedClock
from tests import needs
from tests.system.clock.time_services import has_name, until


class RecordingUnits:
    """Units that only remember what was asked of them."""

    def __init__(self):
        self.started = []

    def start(self, unit):
        self.started.append(unit)

    def restart(self, unit):
        self.started.append(unit)

    def stop(self, unit):
        self.started.remove(unit)

    def state(self, unit):
        return "active" if unit in self.started else "inactive"


class Desk:
    def __init__(self, folder, restart_timesyncd, synchronised, conf):
        self.folder, self.conf = folder, conf
        self.settings = ClockSettings(ntp_server=("127.0.0.1",))
        self.clock = TrustedClock()
        self.units = RecordingUnits()
        self.restarts = []
        self.keeper = ClockKeeper(
            settings=lambda: self.settings,
            clock=self.clock,
            timedate=TimeDate(restart_timesyncd or (lambda: self.restarts.append(1)), synchronised),
            units=self.units,
            rtc=RealTimeClock(lambda: 1, kernel_log=lambda: "", dev=folder, sys=folder),
            mark=SetMark(folder),
            conf_folder=conf,
        )

    def fit_rtc(self, epoch_s):
        rtc = self.folder / "class/rtc/rtc0"
        rtc.mkdir(parents=True, exist_ok=True)
        (rtc / "since_epoch").write_text(f"{int(epoch_s)}\n")

    def check(self, name):
        return {check.name: check for check in self.keeper.checks()}[name]


@pytest.fixture
def real(services, tmp_path):
    run = services.timesyncd.run
    return Desk(
        tmp_path, services.timesyncd.restart, services.timesyncd.synchronised, run / "timesyncd.conf.d"
    )


@contextmanager
def dbusmock():
    process = subprocess.Popen(
        ["/usr/bin/python3", "-m", "dbusmock", "--template", "timedated", "--parameters", '{"NTP": false}'],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: has_name("org.freedesktop.timedate1"))
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def pliant(system_bus, tmp_path):
    """A timedated that takes any time and sets no clock; nobody has told the time since boot."""
    needs.module("dbusmock")
    with dbusmock():
        (tmp_path / "conf").mkdir()
        desk = Desk(tmp_path, None, tmp_path / "never", tmp_path / "conf")
        desk.settings = ClockSettings(ntp_enabled=False)
        desk.keeper.look()
        yield desk


def times_set():
    path = "/org/freedesktop/timedate1"
    calls = dbus.call(
        "org.freedesktop.timedate1", path, "org.freedesktop.DBus.Mock", "GetMethodCalls", "s", ("SetTime",)
    )
    return [args[0] / 1e6 for _, args in calls[0]]


def test_the_clock_becomes_what_the_settings_say_and_is_trusted(services, real):
    assert not real.clock.wall_is_trusted()
    real.keeper.start()
    try:
        until(lambda: real.clock.wall_is_trusted())
        assert services.timedated.zone == "Asia/Jakarta"
        assert real.clock.trust.reason == "agrees with a time server"
        until(lambda: real.check("time server").finding.startswith("127.0.0.1, last answer"))
        assert real.check("real-time clock").level is Level.GREEN
    finally:
        real.keeper.stop()


def test_a_change_of_the_settings_is_done_at_once(services, real):
    real.keeper.start()
    try:
        until(lambda: services.timesyncd.is_running)
        real.settings = ClockSettings(
            time_zone="Asia/Makassar", ntp_server=("127.0.0.1",), ntp_interval="never"
        )
        real.keeper.changed()
        until(lambda: services.timedated.zone == "Asia/Makassar" and not services.timesyncd.is_running)
    finally:
        real.keeper.stop()


def test_other_servers_restart_timesyncd_once(services, real):
    real.keeper.look()
    until(lambda: services.timesyncd.is_running)
    real.settings = ClockSettings(ntp_server=("127.0.0.1", "ntp.example"))
    for _ in range(3):
        until(lambda: real.keeper._timedate.state().ntp_enabled)
        real.keeper.look()
    assert services.timesyncd.starts == 2


def test_it_heals_when_timedated_comes_back(services, real):
    services.timedated.stop()
    with pytest.raises(HostUnreachable):
        real.keeper.look()
    assert real.check("time server").level is Level.RED
    services.timedated.start()
    real.keeper.look()
    assert real.check("time server").level is not Level.RED
    assert services.timedated.zone == "Asia/Jakarta"


def test_the_thread_goes_on_after_a_failure(services, real):
    services.timedated.stop()
    real.keeper.start()
    try:
        until(lambda: real.clock.trust.reason.startswith("no time server"))
        services.timedated.start()
        until(lambda: real.clock.wall_is_trusted())
    finally:
        real.keeper.stop()


def test_one_thing_that_fails_does_not_keep_the_others_from_being_done(services, real):
    real.conf.rmdir()
    with pytest.raises(HostError, match=r"otppi\.conf"):
        real.keeper.look()
    assert services.timedated.zone == "Asia/Jakarta"


def test_time_servers_need_the_right_to_start_them(services, real):
    services.manager.refuses = "StartUnit"
    with pytest.raises(HostError):
        real.keeper.look()
    assert not real.clock.wall_is_trusted()


def test_a_synchronised_clock_corrects_the_real_time_clock(services, real):
    real.fit_rtc(time.time() - 7200)
    services.timesyncd.synchronised.touch()
    real.keeper.look()
    real.keeper.look()
    assert real.units.started == [RTC_SAVE_UNIT]


def test_a_clock_that_was_synchronised_is_trusted_when_nobody_is_asked_any_more(services, real, tmp_path):
    services.timesyncd.synchronised.touch()
    real.keeper.look()
    services.timesyncd.synchronised.unlink()
    real.settings = ClockSettings(ntp_enabled=False)
    real.keeper.look()
    assert real.clock.trust.reason == "set by a time server"
    assert SetMark(tmp_path).set_by == "by a time server"


def test_a_right_real_time_clock_is_left_alone(services, real):
    real.fit_rtc(time.time())
    services.timesyncd.synchronised.touch()
    real.keeper.look()
    assert real.units.started == []


def test_a_real_time_clock_is_not_overwritten_by_a_clock_that_nobody_vouches_for(pliant):
    pliant.fit_rtc(time.time() - 7200)
    pliant.keeper.look()
    assert pliant.units.started == []
    assert not pliant.clock.wall_is_trusted()


def test_the_time_of_a_browser_is_taken_once(pliant):
    browser_s = time.time() + 5
    assert pliant.keeper.offer(browser_s, origin="from the browser of admin")
    assert times_set() == [pytest.approx(browser_s)]
    assert pliant.clock.trust.reason == "set from the browser of admin"
    assert not pliant.keeper.offer(browser_s + 900, origin="from the browser of another")
    assert len(times_set()) == 1


def test_a_browser_is_not_heard_before_the_real_time_clock(pliant, tmp_path):
    pliant.fit_rtc(time.time())
    just_started = Desk(tmp_path, None, tmp_path / "never", pliant.conf)
    assert not just_started.keeper.offer(time.time() + 900, origin="from a browser")
    assert times_set() == []


@pytest.mark.parametrize(
    "epoch_s", [0, -5.0, EARLIEST_PLAUSIBLE_WALL_S - 1, 4_102_444_800.0, math.inf, -math.inf, math.nan]
)
def test_an_impossible_time_is_taken_from_nobody(pliant, epoch_s):
    assert not pliant.keeper.offer(epoch_s, origin="from a browser")
    with pytest.raises(SettingsError) as refused:
        pliant.keeper.set_by_hand(epoch_s)
    assert set(refused.value.errors) == {"clock.time"}
    assert times_set() == []


def test_the_administrator_may_set_the_time_at_any_moment(pliant):
    for _ in range(2):
        pliant.keeper.set_by_hand(time.time())
    assert len(times_set()) == 2
    assert pliant.clock.trust.reason == "set by the administrator"


def test_a_restart_of_the_service_still_trusts_the_time_that_was_set(pliant, tmp_path):
    pliant.keeper.set_by_hand(time.time())
    again = Desk(tmp_path, None, tmp_path / "never", pliant.conf)
    again.settings = pliant.settings
    again.keeper.look()
    assert again.clock.wall_is_trusted()


def test_a_time_that_the_system_refuses_is_not_believed(services, real):
    real.settings = ClockSettings(ntp_enabled=False)
    real.keeper.look()
    assert not real.keeper.offer(time.time(), origin="from a browser")
    with pytest.raises(HostRefused):
        real.keeper.set_by_hand(time.time())
    assert not real.clock.wall_is_trusted()
