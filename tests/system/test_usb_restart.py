"""Restarts of USB devices of an umockdev testbed; what a kernel does is shown in tests/image_boot/test_modems.py."""

from pathlib import Path

import pytest

from otppi.system.usb_restart import unit_of
from tests.testbed import told_by

BODY = Path(__file__).with_name("usb_restart_body.py")
UNBIND, BIND = ["unbind", "1-1.2"], ["bind", "1-1.2"]
DONE = ""


def play(scene):
    """Return what was written to the kernel's driver, and what became of each restart."""
    (played,) = told_by(BODY, scene)
    return played["written"], played["outcomes"]


def test_a_stick_is_taken_from_the_driver_and_given_back_and_its_twin_is_left_alone():
    assert play("whole") == ([UNBIND, BIND], [DONE])


def test_a_hub_and_what_is_no_modem_and_what_has_a_driver_of_its_own_are_refused():
    written, (hub, network_card, disk, keyboard, special) = play("no_modems")
    assert written == []
    assert hub == "there is no such USB device, or it is a hub"
    assert {network_card, disk, keyboard} == {"this USB device has no serial port"}
    assert special == "this USB device has a driver of its own"


def test_a_name_that_no_device_can_have_is_refused():
    written, outcomes = play("hostile_names")
    assert written == []
    assert set(outcomes) == {"this is no place of a USB device"}


def test_a_device_that_is_not_there_is_refused():
    assert play("absent") == ([], ["there is no such USB device, or it is a hub"])


def test_a_stick_that_is_pulled_out_meanwhile_is_not_waited_for():
    assert play("pulled_out_meanwhile") == ([UNBIND], ["there is no such USB device, or it is a hub"])


def test_a_stick_that_is_refused_once_is_bound_at_the_second_try():
    assert play("bound_at_the_second_try") == ([UNBIND, BIND], [DONE])


def test_a_stick_that_stayed_unbound_is_said_and_only_bound_the_next_time():
    written, (first, second) = play("bound_by_the_next_restart")
    assert "did not come back" in first
    assert (written, second) == ([UNBIND, BIND], DONE)


def test_a_stick_that_came_back_without_its_ports_is_said_and_restarted_the_next_time():
    written, (first, second) = play("without_configuration")
    assert "did not come back (it does not answer)" in first
    assert (written, second) == ([UNBIND, BIND, UNBIND, BIND], DONE)


@pytest.mark.parametrize("place", ["1-1", "1-1.3", "12-4.1.10"])
def test_a_place_has_a_unit_of_its_own(place):
    assert unit_of(place) == f"otppi-usb-restart@{place}.service"


@pytest.mark.parametrize(
    "place", ["", "usb1", "1", "1-", "1-1.", "1-1.3\n", "1-1:1.0", "/dev/ttyUSB0", "1-1/../x"]
)
def test_what_is_no_place_of_a_usb_device_has_none(place):
    with pytest.raises(ValueError, match="no place"):
        unit_of(place)
