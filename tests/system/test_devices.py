"""Devices of an umockdev testbed, heard through the real libudev."""

import logging
import time
from pathlib import Path

import pytest

from otppi.lib.bus import Bus
from otppi.model.checks import Level
from otppi.model.events import DeviceNotice
from otppi.system.devices import DeviceWatch, clean, log_notice
from tests.testbed import told_by

BODY = Path(__file__).with_name("devices_body.py")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What was told at the start, of a hostile device, of one that flaps and of its end; then what the watch says."""
    return told_by(BODY, tmp_path_factory.mktemp("devices"))


def test_what_is_there_is_told_at_the_start_without_consoles_and_serial_numbers(story):
    assert sorted(story[0]) == [
        ["network", "eth0", "", "bcmgenet", True],
        ["rtc", "rtc0", "/dev/rtc0", "rtc-ds1307 1-0068", True],
        ["serial", "ttyUSB0", "/dev/ttyUSB0", "Huawei Technologies Co., Ltd. E1752", True],
        ["storage", "sda", "/dev/sda", "Kingston DT", True],
    ]


def test_coming_and_going_is_told_once_each_and_hostile_words_are_tamed(story):
    came, went = story[1]
    assert came[:3] == ["serial", "ttyUSB1", "/dev/ttyUSB1"]
    assert came[3].startswith("[31mEvil xxx")
    assert came[3].isprintable()
    assert len(came[3]) <= 125
    assert went == [*came[:4], False]


def test_a_device_that_flaps_is_told_of_a_few_times_only(story):
    assert 1 <= len(story[2]) <= 7
    assert story[2][0] == ["storage", "sdb", "/dev/sdb", "Flaps", True]


def test_when_it_has_calmed_down_it_is_told_that_it_went_and_is_there(story):
    assert [told[-1] for told in story[3]] == [False, True]


def test_the_watch_tells_of_itself_and_of_what_it_saw(story):
    of_itself = story[-1]
    assert of_itself["absent"] == ["udev does not run"]
    assert of_itself["checks"][0][0] == Level.GREEN
    assert of_itself["checks"][0][1].startswith("1 serial")
    assert "ttyUSB0" in of_itself["present"]
    assert "ttyUSB1" not in of_itself["present"]
    assert of_itself["recent"][-2:] == ["ttyUSB1", "ttyUSB1"]
    assert "ttyUSB0" not in of_itself["recent"]
    assert of_itself["died"] == []


def test_without_udev_it_says_so_and_stops_at_once(tmp_path, clock):
    watch = DeviceWatch(Bus(), clock, control=tmp_path / "none")
    watch.start()
    end_s = time.monotonic() + 5
    while (check := next(iter(watch.checks()))).finding != "udev does not run":
        assert time.monotonic() < end_s
    assert check.level is Level.YELLOW
    assert check.advice
    watch.stop()
    assert watch.present() == watch.recent() == ()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Quectel\x00\x1b[2J\r\nEC25", "Quectel [2J EC25"),
        ("  two   words ", "two words"),
        ("modem 861234567890123", "modem"),
        ("card 00:11:22:aa:BB:cc", "card"),
        ("\u202etxe\u200b", "txe"),
        ("caf\udce9", "caf"),
        ("x" * 50, "x" * 20),
        ("", ""),
    ],
)
def test_words_of_a_device_are_one_printable_line(text, cleaned):
    assert clean(text, 20) == cleaned


def test_a_notice_is_logged(caplog):
    notice = DeviceNotice(
        kind="serial", name="ttyUSB0", node="/dev/ttyUSB0", description="E1752", is_present=False
    )
    with caplog.at_level(logging.INFO):
        log_notice(notice)
    assert caplog.records[0].getMessage() == "device is gone"
    assert caplog.records[0].fields == {"kind": "serial", "name": "ttyUSB0", "is": "E1752"}
