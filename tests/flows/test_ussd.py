"""USSD over every door: the same keys, and a session that is its opener's."""

import base64
import json

from otppi.gateway.accounts import ApiUser
from otppi.services.control import call
from tests.gateway_under_test import PASSWORD, Sim

_KEYS = {
    *("date_time", "modem_id", "ussd_code", "ussd_response", "ussd_content", "ussd_content_raw", "replyable"),
}


def dial(one, code, **changes):
    data = {"modem_id": "m0", "ussd_code": code, "date_time": 1629685778}
    return one.call("request-ussd", "/api/ussd", **{**data, **changes})


def test_ussd_is_answered_with_the_keys_of_both_old_products(gateway):
    one = gateway()
    answer = one.call("request-ussd", "/api/ussd", modem_id="m0", ussd_code="*888#", date_time=1)
    assert answer.code == "0000"
    data = answer.json["data"]
    assert data["ussd_response"] == data["ussd_content"]
    assert data["ussd_response"]
    assert data["ussd_content_raw"].startswith("+CUSD:")
    assert (data["modem_id"], data["ussd_code"], data["date_time"]) == ("m0", "*888#", 1)
    assert isinstance(data["replyable"], bool)
    assert one.call("request-ussd", "/api/ussd", modem_id="nobody", ussd_code="*888#").code == "1404"
    assert one.call("request-ussd", "/api/ussd", modem_id="m0", ussd_code='*1#",15;+CMGD=1').code == "1400"


def test_every_door_answers_with_the_same_keys(gateway):
    one = gateway()
    documents = [
        dial(one, "*888#").json,
        one.v1("request-ussd", modem_id="m0", ussd_code="*888#", date_time=1629685778).json,
        call(one.state_dir, "ussd", {"modem": "m0", "code": "*888#"}, 30),
    ]
    for document in documents:
        assert (document["command"], document["response_code"]) == ("request-ussd", "0000")
        assert set(document["data"]) == _KEYS
        assert document["data"]["ussd_response"] == document["data"]["ussd_content"] == "You dialled *888#"
        assert document["data"]["replyable"] is False
    assert documents[0] == documents[1]


def test_a_menu_is_walked_through_over_rest(gateway):
    one = gateway()
    first = dial(one, "*123#").json["data"]
    assert (first["replyable"], first["ussd_content"]) == (True, "1 Balance\n2 Packages\n0 Back")
    assert first["ussd_content_raw"].startswith("+CUSD: 1,")
    assert dial(one, "2").json["data"]["replyable"] is True
    last = dial(one, "1").json["data"]
    assert (last["replyable"], last["ussd_code"], last["ussd_response"]) == (False, "1", "Daily it is.")
    over = dial(one, "1")
    assert over.code == "1102"
    assert "no USSD session is open" in over.json["error"]


def test_another_user_is_told_how_long_the_modem_is_busy(gateway):
    one = gateway()
    one.gateway.store.put(ApiUser, "other", {"password": PASSWORD})
    other = "Basic " + base64.b64encode(f"other:{PASSWORD}".encode()).decode()
    assert dial(one, "*123#").code == "0000"
    for path in ("/api/ussd", "/api/v1/request-ussd"):
        data = {"modem_id": "m0", "ussd_code": "1"}
        body = data if "v1" in path else {"command": "request-ussd", "data": data}
        answer = one.http("POST", path, json.dumps(body), authorization=other)
        assert answer.code == "1503"
        assert 1 <= answer.json["data"]["retry_after"] <= 120
    assert (answer.status, answer.headers["Retry-After"]) == (503, str(answer.json["data"]["retry_after"]))
    cancelled = one.call("cancel-ussd", "/api/ussd", modem_id="m0", date_time=5)
    assert cancelled.json == {
        "command": "cancel-ussd",
        "response_code": "0000",
        "data": {"date_time": 5, "modem_id": "m0"},
    }
    document = json.dumps({"command": "request-ussd", "data": {"modem_id": "m0", "ussd_code": "*1#"}})
    assert one.http("POST", "/api/ussd", document, authorization=other).code == "0000"
    assert one.call("cancel-ussd", "/api/ussd", modem_id="nobody").code == "1404"


def test_a_modem_that_is_not_ready_says_what_it_is_and_why(gateway):
    one = gateway(modems=(Sim(pin="1234"), Sim(name="m1"), Sim(name="m2", active=False)))
    one.gateway.store.set_path("modems.m1.port", "/dev/not-there")
    one.wait_until(lambda: (one.state("m0"), one.state("m1")) == ("PIN needed", "absent"))
    told = {"m0": "PIN needed: ", "m1": "absent: the port does not exist", "m2": "absent: not active"}
    for modem_id, words in told.items():
        answer = dial(one, "*888#", modem_id=modem_id)
        assert answer.code == "1102"
        assert f"the modem is not ready ({words}" in answer.json["error"]
        by_hand = call(one.state_dir, "ussd", {"modem": modem_id, "code": "*888#"}, 30)
        assert by_hand["error"] == answer.json["error"]


def test_messages_go_out_while_a_menu_is_open(gateway):
    one = gateway()
    assert dial(one, "*123#").code == "0000"
    assert one.call("send-sms", receiver="081200000001", message="x").code == "0000"
    assert dial(one, "1").json["data"]["ussd_response"].startswith("Sisa pulsa")


def test_a_menu_without_a_reply_is_cancelled_after_its_time(gateway):
    one = gateway(sms={"ussd_session_s": 1})
    assert dial(one, "*123#").code == "0000"
    one.wait_until(
        lambda: sum(b"AT+CUSD=2" in data for _, way, data in one.lines["m0"].log if way == "in") == 2
    )
    assert "no reply came in time" in dial(one, "1").json["error"]


def test_a_modem_that_speaks_packed_septets_looks_the_same_from_outside(gateway):
    one = gateway(modems=(Sim(personality="huawei"),))
    assert dial(one, "*888#").json["data"]["ussd_response"] == "Pulsa 1000"
    assert dial(one, "*1#").json["data"]["ussd_response"] == "You dialled *1#"


def test_the_balance_is_asked_by_hand_and_shown_by_the_diagnosis(gateway):
    one = gateway()
    one.gateway.store.set_path("modems.m0.balance_ussd", "*123#>1")
    asked = call(one.state_dir, "balance.ask", {"modem": "m0"}, 30)
    assert (asked["amount"], asked["valid_until"]) == ("12500", "2026-12-31")
    lines = {line["name"]: line for line in one.gateway.diagnose()}
    assert lines["balance of m0"]["finding"].startswith("12 500, valid until 2026-12-31")
