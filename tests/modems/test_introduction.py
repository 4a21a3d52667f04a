"""Getting to know simulated modems of every family, over their ports."""

import contextlib
from dataclasses import replace

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.model.modems import PinTries, Registration, SimState
from otppi.modems import introduction
from otppi.modems.channel import AtRefused, Channel
from otppi.modems.introduction import LastTry, SimBlocked
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.transport import SerialLine, SerialTransport
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from otppi.sim.personality import load_personality

FAMILIES = {
    "huawei": "Huawei",
    "e3372": "Huawei",
    "zte": "ZTE",
    "simcom": "SIMCom SIM800",
    "sim7600": "SIMCom SIM7600",
    "quectel": "Quectel EC25",
    "m26": "Quectel M26",
    "wavecom": "Wavecom",
    "sierra": "Sierra Wireless",
    "ublox": "u-blox",
    "generic": "generic",
}


@pytest.fixture
def plugged(tmp_path):
    """Plug in a modem and open it; returns the modem and the channel, set up."""
    with contextlib.ExitStack() as stack:
        modems = stack.enter_context(SimModems(tmp_path / "ports"))

        def plug(personality, **options):
            line = modems.add(f"m{len(modems.lines)}", personality, **options)
            wakeup = stack.enter_context(contextlib.closing(Wakeup()))
            transport = SerialTransport(str(line.path), SerialLine(), wakeup)
            stack.enter_context(contextlib.closing(transport))
            channel = Channel(transport, lambda _: None)
            introduction.set_up(channel)
            return line, channel

        yield plug


@pytest.fixture
def refused(tmp_path):
    return RefusedPins(tmp_path / "refused")


def pin_tries_of(blocked):
    return blocked.tries and blocked.tries.pin


@pytest.mark.parametrize(("personality", "name"), FAMILIES.items())
def test_a_modem_of_each_family_is_known_unlocked_and_tells_its_sim(plugged, refused, personality, name):
    line, channel = plugged(personality, pin="1234", iccid="89620000000000001234")
    family, own = introduction.meet(channel)
    assert family.name == name
    assert own.manufacturer
    assert own.imei == "004999010000001"
    assert introduction.sim_state(channel) is SimState.PIN_NEEDED
    tries = introduction.pin_tries(channel, family)
    assert tries.pin == 3

    introduction.unlock(channel, "m0", "1234", refused, family)
    introduction.prepare_sending(channel, family)
    whole = introduction.identity(channel, family, own)

    assert introduction.sim_state(channel) is SimState.READY
    assert (whole.imei, whole.iccid) == (own.imei, "89620000000000001234")
    assert whole.imsi
    assert introduction.registration(channel) is Registration.HOME
    assert line.offences == []


@pytest.mark.parametrize("personality", FAMILIES)
def test_the_last_try_of_the_pin_is_left_to_a_person(plugged, refused, personality):
    line, channel = plugged(personality, pin="1234")
    family, _ = introduction.meet(channel)
    for wrong in ("0001", "0002"):
        with pytest.raises(SimBlocked, match="refused the PIN") as blocked:
            introduction.unlock(channel, "m0", wrong, refused, family)
    assert pin_tries_of(blocked.value) == 1
    for any_pin in ("0003", "1234"):
        with pytest.raises(LastTry, match="left to a person") as blocked:
            introduction.unlock(channel, "m0", any_pin, refused, family)
    assert line.card.pin_tries_left == 1
    assert (blocked.value.state, pin_tries_of(blocked.value)) == (SimState.PIN_NEEDED, 1)

    channel.command('AT+CPIN="1234"')  # as a person does it
    assert introduction.sim_state(channel) is SimState.READY


def test_the_link_is_kept_open_between_messages_where_the_modem_can_do_that(plugged):
    _, channel = plugged("generic")
    introduction.prepare_sending(channel)
    assert channel.command("AT+CMMS?", expect="+CMMS:") == ["+CMMS: 2"]

    _, older = plugged(replace(load_personality("generic"), answers={"+CMMS=2": ("+CME ERROR: 4",)}))
    introduction.prepare_sending(older)
    assert older.command("AT+CMGF?", expect="+CMGF:") == ["+CMGF: 0"]


def test_a_blocked_sim_says_so_and_how_often_the_puk_may_be_tried(plugged, refused):
    _, channel = plugged("quectel", pin="1234")
    family, _ = introduction.meet(channel)
    for _ in range(3):
        with pytest.raises(AtRefused):
            channel.command('AT+CPIN="0000"')
    with pytest.raises(SimBlocked, match="asks for SIM PUK") as blocked:
        introduction.unlock(channel, "m0", "1234", refused, family)
    assert blocked.value.state is SimState.PUK_NEEDED
    assert blocked.value.tries == PinTries(pin=0, puk=10)


def test_a_modem_without_network_is_searching(plugged):
    _, channel = plugged("generic", faults=Faults(no_network=True))
    assert introduction.registration(channel) is Registration.SEARCHING


# Dialogues that no simulated modem holds.
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"\r\n+CPIN: PH-NET PIN\r\n\r\nOK\r\n", SimState.LOCKED),
        (b"\r\n+CPIN: PH_SIM PIN\r\n\r\nOK\r\n", SimState.LOCKED),
        (b"\r\n+CPIN: SIM PIN2\r\n\r\nOK\r\n", SimState.READY),
        (b"\r\n+CPIN: SIM PUK\r\n\r\nOK\r\n", SimState.PUK_NEEDED),
        (b"\r\n+CPIN: NOT INSERTED\r\n\r\nOK\r\n", SimState.ABSENT),
        (b"\r\n+CPIN: SIM PIN\r\n\r\n+CPIN: READY\r\n\r\nOK\r\n", SimState.READY),
        (b"\r\n+CME ERROR: 10\r\n", SimState.ABSENT),
        (b"\r\n+CME ERROR: 11\r\n", SimState.PIN_NEEDED),
        (b"\r\n+CME ERROR: 13\r\n", SimState.FAILED),
        (b"\r\nERROR\r\n", SimState.FAILED),
    ],
)
def test_what_a_sim_waits_for(line, answer, state):
    far, channel, _ = line
    player = far.play((b"AT+CPIN?\r", answer))
    assert introduction.sim_state(channel) is state
    player.join()


def test_registered_for_lte_alone_is_registered(line):
    far, channel, _ = line
    player = far.play(
        (b"AT+CREG?\r", b"\r\n+CREG: 0,3\r\n\r\nOK\r\n"),
        (b"AT+CEREG?\r", b'\r\n+CEREG: 2,5,"1A2B","01020304",7\r\n\r\nOK\r\n'),
    )
    assert introduction.registration(channel) is Registration.ROAMING
    player.join()


def test_denied_is_told_where_no_network_takes_it(line):
    far, channel, _ = line
    player = far.play(
        (b"AT+CREG?\r", b"\r\n+CREG: 0,3\r\n\r\nOK\r\n"),
        (b"AT+CEREG?\r", b"\r\n+CEREG: 0,4\r\n\r\nOK\r\n"),
        (b"AT+CGREG?\r", b"\r\nERROR\r\n"),
    )
    assert introduction.registration(channel) is Registration.DENIED
    player.join()
