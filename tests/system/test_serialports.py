"""Serial ports of an umockdev testbed, read through the real libudev."""

from pathlib import Path

import pytest

from tests.testbed import told_by

BODY = Path(__file__).with_name("serialports_body.py")


@pytest.fixture(scope="module")
def scenes():
    """What is there: only what belongs to the board; three devices; one pulled out; the same at another hub port."""
    return [{stick["place"]: stick for stick in sticks} for sticks in told_by(BODY)]


def huawei(place, first):
    kinds = [[255, 1, 1], [255, 1, 3], [255, 1, 2]]
    return {
        "place": place,
        "usb": "12d1:1506",
        "serial": "0123456789ABCDEF",
        "classes": [0x08, 0xFF],
        "ports": [
            [
                f"/dev/ttyUSB{first + index}",
                index,
                kinds[index],
                "option",
                [f"/dev/serial/by-path/platform-usb-0:{place}:1.{index}-port0"],
            ]
            for index in range(3)
        ],
    }


def test_hubs_and_ports_of_the_board_are_no_sticks(scenes):
    assert scenes[0] == {}


def test_the_ports_of_one_stick_are_together_with_all_that_tells_them_apart(scenes):
    assert scenes[1]["1-1.2"] == huawei("1-1.2", first=0)


def test_a_stick_without_a_port_is_there_as_well(scenes):
    assert scenes[1]["1-1.3"]["ports"] == []
    assert scenes[1]["1-1.3"]["classes"] == [0x02]


def test_a_converter_is_a_stick_and_its_hostile_words_are_tamed(scenes):
    assert scenes[1]["1-1.4"]["ports"] == [["/dev/ttyUSB9", 0, [255, 1, 2], "ch341", []]]
    assert scenes[1]["1-1.4"]["serial"].isprintable()
    assert len(scenes[1]["1-1.4"]["serial"]) == 60


def test_what_was_pulled_out_is_gone_and_comes_back_at_another_place(scenes):
    assert set(scenes[2]) == {"1-1.3", "1-1.4"}
    assert scenes[3]["1-1.1"] == huawei("1-1.1", first=3)
