import re
import time

import pytest

from otppi.modems.settings import ModemSettings
from otppi.sim.faults import Faults
from tests.gateway_under_test import Sim

TWO = (Sim(name="m0"), Sim(name="m1"))


def send(gateway, command="send-sms", **changes):
    data = {"receiver": "081200000001", "message": "Your order is ready"}
    return gateway.call(command, "/api/sms", **{**data, **changes})


def test_success_names_the_modem_and_its_answer(gateway):
    one = gateway()
    answer = send(one).json
    assert re.fullmatch("[0-9a-f]{32}", answer["data"].pop("message_id"))
    assert answer == {
        "command": "send-sms",
        "response_code": "0000",
        "data": {"channel": "sms", "fallback": 0, "modemID": "m0", "result": "+CMGS: 0", "parts": 1},
    }
    assert one.texts() == ["Your order is ready"]
    (sms,) = one.lines["m0"].sent
    assert (sms.submitted.number, sms.submitted.type_of_address) == ("6281200000001", 0x91)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("é" * 70, 1),
        ("日本" * 35, 1),
        ("日本" * 36, 2),
        ("😀" * 35, 1),
        ("x" * 66 + "😀" * 3, 2),
        ("{[~]}|\\^€ — “q”", 1),
    ],
)
def test_every_text_arrives_as_it_was_written(gateway, text, parts):
    one = gateway()
    assert send(one, message=text).json["data"]["parts"] == parts
    assert one.texts() == [text]
    assert len(one.lines["m0"].sent) == parts


def test_a_short_code_is_dialled_as_it_is(gateway):
    one = gateway()
    assert send(one, receiver="4444").code == "0000"
    (sms,) = one.lines["m0"].sent
    assert (sms.submitted.number, sms.submitted.type_of_address) == ("4444", 0x81)


def test_equal_modems_take_turns(gateway):
    one = gateway(modems=(Sim(name="m0"), Sim(name="m1"), Sim(name="m2")))
    used = [send(one).json["data"]["modemID"] for _ in range(6)]
    assert used[:3] == used[3:]
    assert sorted(used[:3]) == ["m0", "m1", "m2"]


def test_a_refusal_goes_on_to_the_next_modem(gateway):
    one = gateway(modems=(Sim(name="cheap", prefixes=("62812",)), Sim(name="other", default=True)))
    one.lines["cheap"].set_faults(Faults(failing_sends=1))
    answer = send(one)
    assert (answer.code, answer.json["data"]["modemID"]) == ("0000", "other")
    assert one.texts() == ["Your order is ready"]


def test_when_every_modem_refuses_the_answer_is_failed_and_a_retry_is_a_fresh_try(gateway):
    one = gateway(modems=TWO)
    for line in one.lines.values():
        line.set_faults(Faults(failing_sends=1))
    answer = send(one, id=7)
    assert answer.code == "1102"
    assert "38" in answer.json["error"]
    assert send(one, id=7).code == "0000"
    assert len(one.texts()) == 1


def test_without_a_modem_the_answer_is_no_device(gateway):
    assert send(gateway(modems=())).code == "1101"


def test_inactive_and_api_disabled_modems_are_never_used(gateway):
    one = gateway(
        modems=(
            Sim(name="off", prefixes=("62812",), active=False),
            Sim(name="by-hand", prefixes=("62812",), api_enabled=False),
        )
    )
    assert send(one).code == "1101"
    assert one.texts() == []


def test_one_modem_alone_can_be_asked_for_by_id_or_name(gateway):
    one = gateway(
        modems=(Sim(name="cheap", prefixes=("62812",)), Sim(name="mine"), Sim(name="off", active=False))
    )
    one.gateway.store.put(ModemSettings, "mine", {"name": "My modem"})
    one.wait_until(lambda: any(modem.name == "My modem" for modem in one.gateway.pool.snapshot()))
    one.wait_until(lambda: one.state("My modem") == "ready")
    for name in ("mine", "My modem"):
        assert send(one, modem_id=name).json["data"]["modemID"] == "mine"
    assert send(one, modem_id="").json["data"]["modemID"] == "cheap"
    assert send(one, modem_id="nobody").code == "1404"
    refused = send(one, modem_id="off")
    assert (refused.code, refused.json["error"]) == ("1101", "the modem off cannot send it: not active")
    one.lines["mine"].set_faults(Faults(failing_sends=1))
    assert send(one, modem_id="mine").code == "1102"
    one.lines["mine"].set_faults(Faults(silent_sends=1))
    assert send(one, modem_id="mine", expiration=int(time.time()) + 300).code == "1408"
    assert len(one.texts("cheap")) == 1


def test_an_unknown_outcome_is_neither_sent_nor_repeated(gateway):
    one = gateway(modems=TWO)
    for line in one.lines.values():
        line.set_faults(Faults(silent_sends=1))
    answer = send(one)
    assert answer.code == "1408"
    assert sum(len(line.ctrl_z_times) for line in one.lines.values()) == 1


def test_a_network_timeout_is_unknown_too(gateway):
    one = gateway(modems=TWO)
    for line in one.lines.values():
        line.set_faults(Faults(failing_sends=1, fail_with="+CMS ERROR: 332"))
    assert send(one).code == "1408"
    assert sum(len(line.ctrl_z_times) for line in one.lines.values()) == 1


def test_a_time_critical_message_overtakes_a_silent_modem(gateway):
    one = gateway(modems=(Sim(name="silent", prefixes=("62812",)), Sim(name="other", default=True)))
    one.lines["silent"].set_faults(Faults(silent_sends=1))
    began = time.monotonic()
    answer = send(one, expiration=int(time.time()) + 300)
    assert (answer.code, answer.json["data"]["modemID"]) == ("0000", "other")
    assert 1.0 <= time.monotonic() - began < 2.5


def test_a_modem_that_gives_no_prompt_surely_did_not_send(gateway):
    one = gateway(modems=(Sim(name="mute", prefixes=("62812",)), Sim(name="other", default=True)))
    one.lines["mute"].set_faults(Faults(no_prompt_sends=1))
    answer = send(one)
    assert (answer.code, answer.json["data"]["modemID"]) == ("0000", "other")
    assert one.texts() == ["Your order is ready"]


def test_unplugging_in_the_middle_is_unknown_and_plugging_in_heals(gateway):
    one = gateway(modems=(Sim(name="m0", submit_s=30.0),))
    line = one.lines["m0"]
    import threading

    answers = []
    caller = threading.Thread(target=lambda: answers.append(send(one)))
    caller.start()
    one.wait_until(lambda: line.ctrl_z_times)
    line.unplug()
    caller.join()
    assert answers[0].code == "1408"
    one.wait_until(lambda: one.state("m0") == "absent")
    assert send(one).code == "1101"
    line.plug()
    one.wait_until(lambda: one.state("m0") == "ready")


def test_a_repeat_gets_the_first_outcome(gateway):
    one = gateway()
    first = send(one, id=123456)
    again = send(one, id=123456)
    assert (first.code, again.code) == ("0000", "0000")
    assert len(one.texts()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"id": 2}, {"message": "Another text"}, {"receiver": "081200000002"}, {"command": "send-message"}],
)
def test_what_differs_is_no_repeat(gateway, changes):
    one = gateway()
    assert send(one, id=1).code == "0000"
    assert send(one, **{"id": 1, **changes}).code == "0000"
    assert len(one.texts()) == 2


def test_messages_without_a_name_are_never_taken_for_repeats(gateway):
    one = gateway()
    assert [send(one).code for _ in range(2)] == ["0000", "0000"]
    assert len(one.texts()) == 2


def test_a_repeat_of_an_unknown_outcome_is_unknown_and_not_sent_again(gateway):
    one = gateway()
    one.lines["m0"].set_faults(Faults(silent_sends=1))
    assert send(one, id=1).code == "1408"
    one.wait_until(lambda: one.state("m0") == "ready")
    assert send(one, id=1).code == "1408"
    again = one.v1("send-sms", id=1, receiver="081200000001", message="Your order is ready")
    assert (again.code, again.status) == ("1408", 409)
    assert len(one.lines["m0"].ctrl_z_times) == 1


def test_a_repeat_after_a_restart_of_the_service_gets_the_first_outcome(gateway):
    one = gateway()
    assert send(one, id=1).code == "0000"
    one.restart()
    assert send(one, id=1).code == "0000"
    assert len(one.texts()) == 1


def test_a_blocked_number_gets_nothing_on_any_path(gateway):
    one = gateway()
    assert one.call("block-msisdn", "/api/block", receiver="081200000001").code == "0000"
    assert send(one, receiver="+6281200000001").code == "1301"
    assert send(one, "send-message").code == "1301"
    otp = {"receiver": "6281200000001", "message": "%s", "reference": "r"}
    assert one.call("request-otp", **otp).code == "1301"
    by_hand = one.gateway.send_by_hand("081200000001", "x")
    assert by_hand["response_code"] == "1301"
    one.restart()
    assert send(one).code == "1301"
    assert one.call("unblock-msisdn", "/api/unblock", msisdn="081200000001").code == "0000"
    assert send(one).code == "0000"
    assert len(one.texts()) == 1


def test_an_expired_message_is_refused_unless_dropping_is_off(gateway):
    one = gateway()
    assert send(one, expiration=1629685838).code == "1410"
    assert one.texts() == []
    one.gateway.store.set_path("general.drop_expired", "false")
    assert send(one, expiration=1629685838).code == "0000"


def test_an_expiration_in_seconds_is_delivered(gateway):
    one = gateway()
    assert (
        send(one, "send-message", expiration=int(time.time()) + 60, date_time=int(time.time())).code == "0000"
    )
    (sms,) = one.lines["m0"].sent
    assert sms.submitted.validity_s == 300  # the shortest that TP-VP can say


def test_nothing_is_ever_written_to_the_sim(gateway):
    one = gateway()
    assert send(one).code == "0000"
    assert one.lines["m0"].offences == []


def test_many_callers_share_the_modems_and_nothing_is_lost_or_doubled(gateway):
    from concurrent.futures import ThreadPoolExecutor

    one = gateway(modems=(Sim(name="m0"), Sim(name="m1"), Sim(name="m2")), api={"threads": 40})
    texts = [f"message {n}" for n in range(200)]
    with ThreadPoolExecutor(16) as callers:
        codes = list(callers.map(lambda text: send(one, message=text, id=text).code, texts))
    assert set(codes) == {"0000"}
    assert sorted(one.texts()) == sorted(texts)


def test_a_pin_is_entered_once_and_a_refused_one_never_again(gateway):
    one = gateway(
        modems=(Sim(name="good", pin="1234", sim_pin="1234"), Sim(name="bad", pin="1234", sim_pin="9999"))
    )
    one.wait_until(lambda: one.state("bad") == "PIN needed")
    one.restart()
    one.wait_until(lambda: one.state("bad") == "PIN needed")
    tries = [entry for entry in one.lines["bad"].log if b"+CPIN=" in entry[2]]
    assert len(tries) == 1
    assert one.state("good") == "ready"
