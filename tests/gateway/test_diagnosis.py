from dataclasses import replace

import pytest

from otppi.gateway.diagnosis import check_modems
from otppi.model.checks import Level
from otppi.model.modems import ModemState, ModemStatus, Registration, Signal

READY = ModemStatus(
    id="m0",
    name="m0",
    port="/dev/ttyUSB0",
    state=ModemState.READY,
    is_default=True,
    signal=Signal(csq=21, bit_error_rate=0),
    registration=Registration.HOME,
    store_fill=0.0,
)


def checks(**changes):
    return {check.name: check for check in check_modems([replace(READY, **changes)])}


def test_a_modem_that_is_well_is_one_green_line():
    (check,) = checks().values()
    assert (check.name, check.level, check.finding, check.advice) == (
        "modem m0",
        Level.GREEN,
        "ready, signal -71 dBm",
        "",
    )


@pytest.mark.parametrize("state", [ModemState.READY, ModemState.BUSY])
def test_roaming_is_a_warning_with_its_price(state):
    check = checks(state=state, registration=Registration.ROAMING)["modem m0"]
    assert (check.level, check.finding) == (Level.YELLOW, f"{state.value}, signal -71 dBm, roaming")
    assert "cost" in check.advice


@pytest.mark.parametrize("reason", [Registration.DENIED, Registration.IDLE, Registration.SEARCHING])
def test_a_modem_without_network_says_why(reason):
    found = checks(state=ModemState.SEARCHING, reason=reason.value, registration=reason)
    assert (found["modem m0"].level, found["modem m0"].finding) == (Level.RED, f"searching: {reason.value}")
    assert "antenna" in found["modem m0"].advice
    assert found["modems"].finding == "no modem can send messages of the API"


@pytest.mark.parametrize(
    ("fill", "is_told"), [(None, False), (0.0, False), (0.79, False), (0.8, True), (1.0, True)]
)
def test_a_store_that_fills_up_is_told_before_nothing_more_comes_in(fill, is_told):
    found = checks(store_fill=fill)
    assert ("messages of m0" in found) is is_told
    if is_told:
        check = found["messages of m0"]
        assert (check.level, check.finding) == (Level.YELLOW, f"the store of the SIM is {fill:.0%} full")


@pytest.mark.parametrize(
    ("state", "reason", "command"),
    [
        (ModemState.PIN_NEEDED, "the SIM asks for its PIN and none is set", "otppi sim pin enter 'Tri 1'"),
        (ModemState.PUK_BLOCKED, "", "otppi sim unblock 'Tri 1'"),
        (ModemState.PIN_NEEDED, "only one try is left, and it is left to a person", "into a phone"),
    ],
)
def test_the_advice_can_be_followed_as_it_stands(state, reason, command):
    check = checks(name="Tri 1", state=state, reason=reason)["modem Tri 1"]
    assert command in check.advice
    assert ("otppi" in check.advice) is ("otppi" in command)


@pytest.mark.parametrize(("has_new", "command"), [(False, "otppi modem add"), (True, "otppi modem use")])
def test_without_a_modem_the_advice_is_what_can_be_done_now(has_new, command):
    (check,) = check_modems([], has_new=has_new)
    assert command in check.advice
