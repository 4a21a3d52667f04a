import configparser
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.system.clock.ntpconf import timesyncd_conf, write_conf
from otppi.system.clock.settings import INTERVALS_S, ClockSettings


def test_the_file_is_what_timesyncd_reads():
    settings = ClockSettings(ntp_server=("192.0.2.7", "pool.ntp.org"), ntp_interval="1 h")
    assert timesyncd_conf(settings).splitlines() == [
        "[Time]",
        "NTP=",
        "NTP=192.0.2.7 pool.ntp.org",
        "FallbackNTP=192.0.2.7 pool.ntp.org",
        "PollIntervalMaxSec=3600",
    ]


@pytest.mark.parametrize("interval", INTERVALS_S)
def test_every_interval_can_be_written(interval):
    assert "PollIntervalMaxSec=0" not in timesyncd_conf(ClockSettings(ntp_interval=interval))


# Even values that never went through `parse`.
@given(st.lists(st.text() | st.sampled_from(["a\nNTP=b", "a\r[Time]", "%i", "a\\\n", "\u2028", "x=y"])))
def test_no_input_adds_a_line_or_a_key(names):
    text = timesyncd_conf(ClockSettings(ntp_server=tuple(names)))
    assert len(text.splitlines()) == 5
    assert text.isascii()
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.read_string(text)
    assert parsed.sections() == ["Time"]
    assert set(parsed["Time"]) == {"ntp", "fallbackntp", "pollintervalmaxsec"}


def test_only_another_file_is_written_and_everybody_may_read_it(tmp_path):
    assert write_conf(ClockSettings(), tmp_path)
    assert not write_conf(ClockSettings(), tmp_path)
    assert write_conf(ClockSettings(ntp_interval="daily"), tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.name == "otppi.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(OSError, match="none"):
        write_conf(ClockSettings(), tmp_path / "none")
