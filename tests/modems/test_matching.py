"""Who is who after a re-plug, another hub and a start in another order."""

import itertools
from dataclasses import dataclass

import pytest

from otppi.model.modems import Identity
from otppi.model.ports import SerialPort, Stick
from otppi.modems.matching import match
from otppi.modems.probe import FoundModem

A, B, C = "490154203237518", "356938035643809", "352099001761481"


@dataclass(frozen=True)
class Settings:
    name: str = "M"
    port: str = ""
    imei: str = ""


def found(number, imei="", *, place="", links=()):
    """A modem with two ports, of which the second takes commands."""
    ports = (
        SerialPort(node=f"/dev/ttyUSB{2 * number}"),
        SerialPort(node=f"/dev/ttyUSB{2 * number + 1}", links=links),
    )
    stick = Stick(place=place or f"1-1.{number}", ports=ports)
    return FoundModem(
        stick=stick, port=ports[1], why="", identity=Identity(imei=imei), problem="" if imei else "mute"
    )


def nodes(matching):
    return {modem_id: modem.port.node for modem_id, modem in matching.found.items()}


def test_a_modem_is_known_by_its_imei_wherever_it_is():
    configured = {"a": Settings(port="/dev/ttyUSB1", imei=A), "b": Settings(port="/dev/ttyUSB3", imei=B)}
    matching = match(configured, [found(0, B), found(1, A)])
    assert nodes(matching) == {"a": "/dev/ttyUSB3", "b": "/dev/ttyUSB1"}
    assert (matching.new, matching.conflicts) == ((), ())


def test_old_settings_with_a_port_alone_mean_the_modem_there():
    assert nodes(match({"a": Settings(port="ttyUSB1")}, [found(0, A)])) == {"a": "/dev/ttyUSB1"}


@pytest.mark.parametrize(
    "port", ["/dev/ttyUSB0", "ttyUSB0", "/dev/ttyUSB1", "/dev/serial/by-path/x", "/dev/serial/by-id/y"]
)
def test_any_port_of_a_stick_by_any_name_means_the_stick(port):
    matching = match(
        {"a": Settings(port=port)}, [found(0, A, links=("/dev/serial/by-path/x", "/dev/serial/by-id/y"))]
    )
    assert nodes(matching) == {"a": "/dev/ttyUSB1"}


def test_a_port_that_now_has_another_known_modem_is_not_taken_by_its_name():
    configured = {"a": Settings(port="ttyUSB1"), "b": Settings(port="ttyUSB3", imei=B)}
    matching = match(configured, [found(0, B)])
    assert nodes(matching) == {"b": "/dev/ttyUSB1"}


def test_an_unknown_modem_is_new():
    matching = match({"a": Settings(port="ttyUSB1", imei=A)}, [found(0, A), found(1, C)])
    assert [modem.identity.imei for modem in matching.new] == [C]
    assert matching.conflicts == ()


def test_a_modem_that_hangs_stays_who_it_was_by_its_port():
    assert nodes(match({"a": Settings(port="ttyUSB1", imei=A)}, [found(0)])) == {"a": "/dev/ttyUSB1"}


def test_a_mute_modem_at_an_unknown_port_is_new_and_says_so():
    (new,) = match({"a": Settings(port="ttyUSB9", imei=A)}, [found(0)]).new
    assert new.problem == "mute"


def test_another_modem_at_the_port_of_a_known_one_is_not_used_in_its_place():
    matching = match({"a": Settings(name="Telkomsel", port="ttyUSB1", imei=A)}, [found(0, B)])
    assert matching.found == {}
    assert [modem.identity.imei for modem in matching.new] == [B]
    (conflict,) = matching.conflicts
    assert "another modem" in conflict
    assert "Telkomsel" in conflict


def test_clones_are_told_apart_by_their_ports_and_it_is_said():
    configured = {
        "a": Settings(name="one", port="ttyUSB3", imei=A),
        "b": Settings(name="two", port="ttyUSB1", imei=A),
    }
    matching = match(configured, [found(0, A), found(1, A)])
    assert nodes(matching) == {"a": "/dev/ttyUSB3", "b": "/dev/ttyUSB1"}
    (conflict,) = matching.conflicts
    assert "one, two" in conflict


def test_of_two_clones_one_may_be_new():
    matching = match({"a": Settings(port="ttyUSB3", imei=A)}, [found(0, A), found(1, A)])
    assert nodes(matching) == {"a": "/dev/ttyUSB3"}
    assert [modem.port.node for modem in matching.new] == ["/dev/ttyUSB1"]
    assert len(matching.conflicts) == 1


def test_clones_that_moved_are_taken_in_order():
    configured = {"a": Settings(port="ttyUSB7", imei=A), "b": Settings(port="ttyUSB9", imei=A)}
    matching = match(configured, [found(1, A), found(0, A)])
    assert nodes(matching) == {"a": "/dev/ttyUSB1", "b": "/dev/ttyUSB3"}


def test_the_check_digit_does_not_count():
    spare_digit = A[:14] + "0"
    assert nodes(match({"a": Settings(imei=spare_digit)}, [found(0, A)])) == {"a": "/dev/ttyUSB1"}


def test_the_order_does_not_matter():
    configured = {
        "a": Settings(port="ttyUSB1", imei=A),
        "b": Settings(port="ttyUSB3"),
        "c": Settings(port="ttyUSB9", imei=C),
    }
    present = [found(0, C), found(1, B), found(2, A), found(3)]
    matchings = [
        match(dict(settings), modems)
        for settings in itertools.permutations(configured.items())
        for modems in itertools.permutations(present)
    ]
    assert all(matching == matchings[0] for matching in matchings)
    assert nodes(matchings[0]) == {"a": "/dev/ttyUSB5", "b": "/dev/ttyUSB3", "c": "/dev/ttyUSB1"}


def test_each_modem_is_used_once():
    configured = {"a": Settings(port="ttyUSB0"), "b": Settings(port="ttyUSB1")}
    matching = match(configured, [found(0, A)])
    assert len(matching.found) == 1
