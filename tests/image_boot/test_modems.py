"""Modems on the booted image: behind converters, which only the settings can call modems, and sticks of their own.

QEMU's serial adapter is such a converter (0403:6001). The sticks are played to QEMU (tests/image_bench/usb_modem.py):
what the kernel's driver for modems, udev and the finder make of them is real.
"""

import json
import re
import time

import pytest

from otppi.sim.faults import Faults
from tests.image_bench.modems import modem_rack
from tests.image_bench.rest import RestCaller

USER, PASSWORD = "shop", "correct horse battery"
READY_S = 60.0
RECEIVER = "081200000001"


@pytest.fixture(scope="module")
def rack(machine, tmp_path_factory):
    machine.run(f"printf '{PASSWORD}\\n' | otppi api-user add {USER} --password-stdin")
    with modem_rack(machine, tmp_path_factory.mktemp("modems")) as rack:
        yield rack


@pytest.fixture(scope="module")
def rest(machine, rack):
    return RestCaller(machine, USER, PASSWORD)


def wait_until(machine, modem, state):
    machine.wait_for(
        f"otppi modem list | grep -P '^{modem}\\t.*\\t{state}'", limit_s=READY_S, what=f"{modem} {state}"
    )


def request(rest, reference, receiver=RECEIVER):
    return rest.call(
        "request-otp",
        receiver=receiver,
        message="Your code is %s",
        reference=reference,
        date_time=int(time.time()),
    )


def verify(rest, reference, code):
    return rest.call("verify-otp", receiver=RECEIVER, reference=reference, otp=code)


def newest_code(line, count):
    text = line.wait_for_sent(count, READY_S)
    assert text
    return re.fullmatch(r"Your code is (\d+)", line.messages[-1].text)[1]


@pytest.mark.short
def test_a_modem_that_is_plugged_in_sends_a_code_that_verifies(machine, rack, rest):
    port = rack.plug("m0")
    machine.run(f"otppi modem add --name first --port {port} --default")
    wait_until(machine, "first", "ready")
    answer = request(rest, "one")
    assert answer["response_code"] == "0000", answer
    code = newest_code(rack.line("m0"), 1)
    assert verify(rest, "one", "0" * len(code))["response_code"] != "0000"
    assert verify(rest, "one", code)["response_code"] == "0000"
    assert verify(rest, "one", code)["response_code"] != "0000"


def test_a_modem_that_is_pulled_and_put_back_sends_again(machine, rack, rest):
    rack.unplug("m0")
    machine.wait_for("! otppi modem list | grep -P '^first\\t.*\\tready'", limit_s=READY_S)
    rack.plug("m0")
    wait_until(machine, "first", "ready")
    before = len(rack.line("m0").messages)
    assert request(rest, "two")["response_code"] == "0000"
    assert verify(rest, "two", newest_code(rack.line("m0"), before + 1))["response_code"] == "0000"


def test_a_second_modem_takes_its_prefix(machine, rack, rest):
    port = rack.plug("m1", "huawei")
    machine.run(f"otppi modem add --name second --port {port} --prefix 62812")
    wait_until(machine, "second", "ready")
    assert request(rest, "three")["response_code"] == "0000"
    assert verify(rest, "three", newest_code(rack.line("m1"), 1))["response_code"] == "0000"


# Sticks that are alike but for their IMEI -----------------------------------------------------------------------------

PREFIXES = {"left": "62895", "right": "62831"}
PORTS = ("7", "8")  # QEMU takes the first free ones by itself


@pytest.fixture(scope="module")
def sticks(machine, rack, rest):
    """Two of them, found and in use, each for a prefix of its own."""
    for (name, prefix), port in zip(PREFIXES.items(), PORTS, strict=True):
        rack.plug_stick(name, port)
        machine.run(
            f"otppi modem use {wait_for_new(machine, rack, name)['node']} --name {name} --prefix {prefix}"
        )
    for name in PREFIXES:
        wait_until(machine, name, "ready")
    return rack


def found(machine):
    return {one["imei"]: one for one in json.loads(machine.run("otppi modem found --json").said)["modems"]}


def tail(rack, name):
    return f"…{rack.line(name).imei[-4:]}"


def wait_for_new(machine, rack, name):
    """Return what the finder tells of a modem that nobody has named."""
    seconds_until(lambda: tail(rack, name) in found(machine), READY_S)
    return found(machine)[tail(rack, name)]


def state_of(machine, name):
    return next(
        one["state"] for one in json.loads(machine.run("otppi modem list --json").said) if one["name"] == name
    )


def seconds_until(is_so, limit_s):
    begun_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun_s < limit_s
        time.sleep(0.2)
    return time.monotonic() - begun_s


def sends_through(rest, rack, name, prefix, reference):
    """Whether a message for a prefix leaves through a modem; it has to leave."""
    before = len(rack.line(name).messages)
    answer = request(rest, reference, receiver=f"0{prefix[2:]}00000001")
    assert answer["response_code"] == "0000", answer
    return len(rack.line(name).messages) == before + 1


def test_a_stick_is_found_by_itself_and_a_converter_that_nobody_named_is_not_asked(machine, rack, rest):
    converter = rack.plug("m2")
    rack.plug_stick("new", PORTS[0])
    told = wait_for_new(machine, rack, "new")
    assert (told["family"], told["used_as"], told["problem"]) == ("Huawei", "", "")
    assert "interface 2" in told["why"]
    assert machine.run("ls /sys/bus/usb-serial/drivers/option1 | grep -c ttyUSB").said.strip() == "3"
    assert converter not in [one["node"] for one in found(machine).values()]
    assert rack.line("m2").at_commands == 0

    machine.run(f"otppi modem use {told['node']} --name new --prefix 62881")
    wait_until(machine, "new", "ready")
    assert sends_through(rest, rack, "new", "62881", "found")
    assert found(machine)[tail(rack, "new")]["used_as"] == "new"
    machine.run("otppi modem remove new")
    for name in ("new", "m2"):
        rack.unplug(name)


def test_settings_follow_a_modem_to_another_port(machine, sticks, rest):
    for name in PREFIXES:
        sticks.unplug(name)
    for name in PREFIXES:
        machine.wait_for(f"otppi modem list | grep -P '^{name}\\t.*\\tabsent'", limit_s=READY_S)
    for name, port in zip(PREFIXES, reversed(PORTS), strict=True):
        sticks.plug_stick(name, port)
    for name in reversed(PREFIXES):
        wait_until(machine, name, "ready")
    for name, prefix in PREFIXES.items():
        assert sends_through(rest, sticks, name, prefix, f"moved-{name}")


def hang_and_heal(machine, sticks, rest, reference, faults):
    """Let the left modem hang until the gateway has healed it; return what it took in words."""
    sticks.line("left").set_faults(faults)
    begun_s = time.monotonic()
    noticed_s = seconds_until(lambda: state_of(machine, "left") in ("hung", "recovering"), 20)
    assert not sends_through(rest, sticks, "left", PREFIXES["left"], f"{reference}-meanwhile")
    seconds_until(lambda: state_of(machine, "left") == "ready", 90 - noticed_s)
    healed_s = time.monotonic() - begun_s
    assert sends_through(rest, sticks, "left", PREFIXES["left"], f"{reference}-after")
    return f"{reference}: noticed after {noticed_s:.0f} s, ready again after {healed_s:.0f} s"


def test_a_modem_that_hangs_is_started_anew_and_found_again(machine, sticks, rest, capsys):
    left, right = sticks.stick("left"), sticks.stick("right")
    left.leaves_at_restart = True
    before = len(left.configurations), len(right.configurations)
    took = hang_and_heal(machine, sticks, rest, "restart", Faults(hung=True, hears_restart=True))
    # Off the bus and on it again: the kernel set it up anew, and never let go of it by itself.
    assert left.configurations[before[0] :] == [1]
    assert right.configurations[before[1] :] == []
    with capsys.disabled():
        print(f"\n{took}")


def test_a_modem_that_hears_nothing_is_given_new_power_by_itself_alone(machine, sticks, rest, capsys):
    left, right = sticks.stick("left"), sticks.stick("right")
    left.leaves_at_restart = False
    left.on_unconfigured = lambda: sticks.line("left").set_faults(Faults())
    before = len(left.configurations), len(right.configurations)
    took = hang_and_heal(machine, sticks, rest, "replug", Faults(hung=True))
    assert left.configurations[before[0] :] == [0, 1]
    assert right.configurations[before[1] :] == []
    with capsys.disabled():
        print(f"\n{took}")
