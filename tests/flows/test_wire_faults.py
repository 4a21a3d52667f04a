"""The same message over every kind of bad line and every make of modem."""

import pytest

from otppi.sim.faults import Faults, Moment
from otppi.sim.personality import personality_names
from tests.gateway_under_test import Sim

TEXT = "Your order is ready"

FAULTS = {
    "one byte at a time": Faults(byte_gap_s=0.0002),
    "a slow line": Faults(byte_gap_s=1 / 960),
    **{
        f"{line} {moment.name.lower()}": Faults(interruption=line, interruption_at=moment)
        for moment in Moment
        for line in ('+CMTI: "SM",3', "^RSSI:12", "RING")
    },
}


def send(one, **data):
    return one.call("send-sms", receiver="081200000001", **{"message": TEXT, **data})


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_a_message_arrives_over_a_bad_line(gateway, faults):
    one = gateway()
    one.lines["m0"].set_faults(faults)
    assert [send(one).code for _ in range(2)] == ["0000", "0000"]
    assert one.texts() == [TEXT] * 2


@pytest.mark.parametrize("personality", personality_names())
def test_every_make_of_modem_sends_and_tells_who_it_is(gateway, personality):
    one = gateway(modems=(Sim(name="m0", personality=personality),))
    assert send(one, message="x" * 200).code == "0000"
    assert one.texts() == ["x" * 200]
    (modem,) = one.gateway.pool.snapshot()
    identity = modem.identity
    assert all((identity.manufacturer, identity.model, identity.imei, identity.imsi, identity.iccid))
    assert one.lines["m0"].offences == []


def test_lost_bytes_never_make_a_false_success(gateway):
    """On a line that loses bytes a message may fail or stay unknown, but what is called sent was sent."""
    one = gateway(sms={"answer_limit_s": 5, "longest_wait_s": 10})
    one.lines["m0"].set_faults(Faults(lost_fraction=0.002, lost_seed=5))
    answers = [send(one, message=f"message {n}").code for n in range(12)]
    sent = [f"message {n}" for n, code in enumerate(answers) if code == "0000"]
    assert set(sent) <= set(one.texts())
    assert len(one.texts()) == len(set(one.texts()))


def test_a_late_answer_is_not_taken_for_the_next_messages(gateway):
    one = gateway()
    line = one.lines["m0"]
    assert send(one, message="first").code == "0000"
    line.set_faults(Faults(late_sends=1, late_s=8.0, late_answers_meanwhile=True))
    assert send(one, message="late").code == "1408"
    one.wait_until(lambda: one.state("m0") == "ready")
    answer = send(one, message="next")
    # Whichever result came first, what is said of this message is its own.
    assert answer.code == "0000"
    assert answer.json["data"]["result"] == "+CMGS: 2"
    one.wait_until(lambda: len(one.texts()) == 3)
    one.wait_until(lambda: b'otppi_sms_late_total{modem="m0"} 1.0' in one.http("GET", "/metrics").body)
    assert send(one, message="after").code == "0000"


def test_a_modem_that_hangs_while_idle_is_noticed_and_comes_back(gateway, monkeypatch):
    import otppi.modems.modem

    monkeypatch.setattr(otppi.modems.modem, "_PROBE_INTERVAL_S", 0.2)
    one = gateway()
    one.lines["m0"].set_faults(Faults(hung=True))
    one.wait_until(lambda: one.state("m0") == "hung")
    assert send(one).code == "1101"
    one.lines["m0"].set_faults(Faults())
    one.wait_until(lambda: one.state("m0") == "ready", timeout_s=30)
    assert send(one).code == "0000"


def test_a_message_that_vanished_in_the_modem_costs_the_next_one_at_most(gateway):
    """It used up no reference, so the next message has the one that was foretold for it."""
    one = gateway()
    line = one.lines["m0"]
    assert send(one, message="first").code == "0000"
    line.set_faults(Faults(silent_sends=1, silent_reach_network=False))
    assert send(one, message="vanished").code == "1408"
    line.set_faults(Faults())
    one.wait_until(lambda: one.state("m0") == "ready")
    codes = []
    for n in range(3):
        one.wait_until(lambda: one.state("m0") == "ready")
        codes.append(send(one, message=f"message {n}").code)
        one.wait_until(lambda: one.state("m0") == "ready")
    assert codes[1:] == ["0000", "0000"]
    assert codes[0] in {"0000", "1408"}
    assert one.texts()[1:] == ["message 0", "message 1", "message 2"]
    assert b"otppi_sms_late_total{" not in one.http("GET", "/metrics").body


def test_an_error_that_may_be_a_late_one_is_no_failure(gateway):
    """Nothing was confirmed yet, so no reference can be foretold; a false failure would send a second copy."""
    one = gateway(modems=(Sim(name="m0", prefixes=("62812",)), Sim(name="m1", default=True)))
    line = one.lines["m0"]
    line.set_faults(Faults(silent_sends=1))
    assert send(one, message="silent").code == "1408"
    line.set_faults(Faults(failing_sends=1))
    one.wait_until(lambda: one.state("m0") == "ready")
    assert send(one, message="next").code == "1408"
    assert one.texts("m1") == []


def test_a_long_message_that_left_in_part_is_unknown_and_not_sent_again(gateway):
    one = gateway(modems=(Sim(name="m0", prefixes=("62812",)), Sim(name="m1", default=True)))
    one.lines["m0"].set_faults(Faults(good_sends=1, failing_sends=1))
    answer = send(one, message="x" * 300)
    assert answer.code == "1408"
    assert "part" in answer.json["error"]
    assert one.lines["m1"].sent == []


def test_a_code_whose_message_left_in_part_stays_valid(gateway):
    one = gateway()
    one.lines["m0"].set_faults(Faults(good_sends=1, failing_sends=1))
    data = {"reference": "r", "receiver": "081200000001"}
    answer = one.call("request-otp", **data, message="%s is your code. " + "x" * 200)
    assert answer.code == "1408"
    code = one.lines["m0"].sent[0].text.split()[0]
    assert one.call("verify-otp", **data, otp=code).code == "0000"


def test_a_modem_that_restarts_and_asks_for_its_pin_again_comes_back(gateway):
    one = gateway(modems=(Sim(name="m0", pin="1234", sim_pin="1234"),))
    assert send(one).code == "0000"
    one.lines["m0"].restart()
    assert send(one).code == "1102"
    one.wait_until(lambda: send(one).code == "0000")
