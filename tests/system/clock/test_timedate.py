"""The real timedated and timesyncd; see time_services."""

import os
import time
from pathlib import Path

import pytest

from otppi.model.errors import HostRefused, HostUnreachable
from otppi.system import dbus
from otppi.system.clock.ntpconf import write_conf
from otppi.system.clock.settings import ClockSettings
from otppi.system.clock.timedate import TimeDate
from tests.system.clock.time_services import has_name, until


@pytest.fixture
def timedate(services):
    return TimeDate(services.timesyncd.restart, services.timesyncd.synchronised)


def test_the_zone_is_set_and_read_back(services, timedate):
    before = os.readlink("/etc/localtime")
    assert timedate.state().time_zone == "Etc/UTC"
    timedate.set_time_zone("Asia/Jakarta")
    assert timedate.state().time_zone == services.timedated.zone == "Asia/Jakarta"
    assert os.readlink("/etc/localtime") == before


def test_a_zone_that_does_not_exist_is_refused(timedate):
    with pytest.raises(HostRefused) as refused:
        timedate.set_time_zone("Mars/Olympus")
    assert refused.value.name == "InvalidArgs"


def test_ntp_is_switched_on_and_off(services, timedate):
    assert not timedate.state().ntp_enabled
    timedate.set_ntp(True)
    until(lambda: timedate.state().ntp_enabled)
    assert services.timesyncd.is_running
    assert services.manager.is_enabled
    timedate.set_ntp(False)
    until(lambda: not timedate.state().ntp_enabled)
    assert not services.timesyncd.is_running


def test_the_server_of_the_settings_answers(services, timedate):
    write_conf(ClockSettings(ntp_server=("127.0.0.1",)), services.timesyncd.run / "timesyncd.conf.d")
    assert timedate.state().last_sync_epoch_s is None
    timedate.set_ntp(True)
    until(lambda: timedate.state().last_sync_epoch_s is not None)
    state = timedate.state()
    assert state.is_synchronised
    assert state.server_name == "127.0.0.1"
    assert abs(state.last_sync_epoch_s - time.time()) < 60


def test_timesyncd_reads_every_line_of_the_configuration(services, timedate):
    settings = ClockSettings(ntp_server=("127.0.0.1", "ntp.example.net", "2001:db8::1"), ntp_interval="12 h")
    write_conf(settings, services.timesyncd.run / "timesyncd.conf.d")
    timedate.set_ntp(True)
    until(lambda: has_name("org.freedesktop.timesync1"))
    known = dbus.get_properties(
        "org.freedesktop.timesync1", "/org/freedesktop/timesync1", "org.freedesktop.timesync1.Manager"
    )
    assert known["SystemNTPServers"] == list(settings.ntp_server)
    assert known["FallbackNTPServers"] == list(settings.ntp_server)
    assert known["PollIntervalMaxUSec"] == 12 * 3600 * 1_000_000


def test_setting_the_time_needs_the_right_that_was_taken_from_the_test(timedate):
    before = time.time()
    with pytest.raises(HostRefused) as refused:
        timedate.set_time(before + 1000)
    assert refused.value.name != "AutomaticTimeSyncEnabled"
    assert abs(time.time() - before) < 100


def test_ntp_is_on_again_after_setting_the_time_failed(services, timedate):
    timedate.set_ntp(True)
    with pytest.raises(HostRefused) as refused:
        timedate.set_time(time.time() + 1000)
    assert refused.value.name != "AutomaticTimeSyncEnabled"
    until(lambda: timedate.state().ntp_enabled)
    assert services.timesyncd.starts == 2


def test_the_time_is_set_only_when_ntp_is_really_off(services, timedate):
    timedate.set_ntp(True)
    until(lambda: timedate.state().ntp_enabled)
    services.manager.job_takes_s = 0.5
    with pytest.raises(HostRefused) as refused:
        timedate.set_time(time.time() + 1000)
    assert refused.value.name != "AutomaticTimeSyncEnabled"


def test_the_reason_of_a_refusal_is_not_hidden_by_ntp_that_stays_off(services, timedate):
    timedate.set_ntp(True)
    services.manager.refuses = "StartUnit"
    with pytest.raises(HostRefused) as refused:
        timedate.set_time(time.time() + 1000)
    assert "StartUnit" not in str(refused.value)


def test_without_timesyncd_the_rest_is_known(services, timedate):
    timedate.set_ntp(True)
    until(lambda: timedate.state().last_sync_epoch_s is not None or services.timesyncd.is_running)
    services.timesyncd.stop()
    assert timedate.state().server_name == ""


def test_without_timedated_it_is_unreachable(system_bus):
    timedate = TimeDate(lambda: None, Path("/nonexistent"))
    with pytest.raises(HostUnreachable):
        timedate.state()
