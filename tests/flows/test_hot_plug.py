"""Sticks that come, go, change places and fail in every way of a plug, told to a whole gateway by the real libudev."""

from pathlib import Path

import pytest

from tests.testbed import told_by

BODY = Path(__file__).with_name("hot_plug_body.py")
SEEN_S = 2.0
# The ports of a stick are given a second to show themselves.
BACK_S = 10.0
# What flapped is told of when no device has moved for five seconds.
CALM_S = 20.0


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What each scene found, by its name."""
    return {
        scene.pop("scene"): scene for scene in told_by(BODY, tmp_path_factory.mktemp("hot-plug"), limit_s=300)
    }


def test_a_stick_is_found_by_its_port_for_commands_and_the_others_hear_nothing(story):
    assert story["appears"]["found"] == [
        {
            "node": "/dev/ttyUSB2",
            "family": "Huawei",
            "make": "huawei E173",
            "revision": "11.126.15.00.00",
            "imei": "…7518",
            "used_as": "",
            "problem": "",
            "is_held": False,
            "why": "Huawei marks interface 2 as one for commands; it answered",
        }
    ]
    assert story["appears"]["bytes_at_others"] == 0
    assert story["appears"]["advice"] == ["Use it: otppi modem use /dev/ttyUSB2 --name NAME"]


def test_it_sends_when_its_owner_uses_it(story):
    assert story["is_used"] == {"code": "0000", "texts": ["from the first place"]}


def test_it_is_missed_at_once_and_known_again_at_another_place(story, record_property):
    scene = story["is_moved"]
    record_property("absent_s", scene["absent_s"])
    record_property("ready_s", scene["ready_s"])
    assert scene["absent_s"] < SEEN_S
    assert scene["ready_s"] < BACK_S
    assert scene["code"] == "0000"
    assert scene["texts"] == ["from the first place", "from another place"]
    assert scene["used"] == {"/dev/ttyUSB7": "telkomsel"}


def test_two_that_changed_places_send_what_is_theirs(story):
    assert story["are_exchanged"] == {"codes": ["0000", "0000"], "copies": [[1, 0], [0, 1]]}


def test_a_message_whose_modem_goes_is_unknown_and_not_sent_again(story):
    assert story["goes_in_the_middle"] == {
        "code": "1408",
        "code_after": "0000",
        "copies": [1, 0],
        "copies_after": [1, 0],
    }


def test_a_time_critical_one_goes_on_to_the_other_modem_once(story):
    assert story["goes_in_the_middle_of_a_code"] == {
        "code": "0000",
        "code_after": "0000",
        "copies": [1, 1],
        "copies_after": [1, 0],
    }


def test_a_port_that_is_held_is_told_with_the_holder_and_looked_at_again(story):
    scene = story["is_held"]
    assert scene["while_held"]["problem"] == "minicom holds the port"
    assert scene["while_held"]["why"] == "Huawei marks interface 2 as one for commands"
    assert (scene["afterwards"]["imei"], scene["afterwards"]["used_as"]) == ("…1481", "")
    assert scene["bytes_at_others"] == 0


def test_one_that_flaps_is_one_modem_afterwards_and_disturbs_no_other(story, record_property):
    scene = story["flaps"]
    record_property("ready_s", scene["ready_s"])
    assert scene["ready_s"] < CALM_S
    assert scene["changed"] == ["indosat"]
    assert scene["codes"] == ["0000"]
    assert scene["changes_after"] == 0
