import re
import time

import pytest

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


def request(rest, reference):
    return rest.call(
        "request-otp",
        receiver=RECEIVER,
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
