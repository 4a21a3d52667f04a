import json
import re

from tests.gateway_under_test import Sim

REQUEST = {
    "date_time": 1629685778,
    "receiver": "081200000001",
    "message": "Your OTP is %s",
    "reference": "12345678901234567890",
    "param1": "100000",
    "param2": "1234567890",
    "param3": "987654",
    "param4": "674527846556468254",
}


def verify(gateway, code, **changes):
    data = {key: value for key, value in REQUEST.items() if key != "message"}
    return gateway.call("verify-otp", **{**data, "otp": code, **changes})


def test_a_code_is_sent_and_used_up_by_its_first_success(gateway):
    one = gateway()
    answer = one.call("request-otp", **REQUEST)
    assert answer.status == 200
    document = answer.json
    assert re.fullmatch("[0-9a-f]{32}", document["data"].pop("message_id"))
    assert document == {
        "command": "request-otp",
        "response_code": "0000",
        "data": {
            "reference": "12345678901234567890",
            "receiver": "081200000001",
            "date_time": 1629685778,
            "channel": "sms",
            "fallback": 0,
            "parts": 1,
            "expires_in": 300,
        },
    }
    (text,) = one.texts()
    code = re.fullmatch(r"Your OTP is (\d{10})", text)[1]
    assert verify(one, code).json == {
        "command": "verify-otp",
        "response_code": "0000",
        "data": {
            "reference": "12345678901234567890",
            "receiver": "081200000001",
            "date_time": 1629685778,
        },
    }
    assert verify(one, code).code == "1202"


def test_all_ways_to_write_the_receiver_verify(gateway):
    one = gateway()
    assert one.call("request-otp", **REQUEST).code == "0000"
    assert verify(one, one.code_sent(), receiver="+62 812-0000-0001").code == "0000"


def test_every_bound_field_must_be_the_same(gateway):
    one = gateway(otp={"max_wrong_tries": 100})
    assert one.call("request-otp", **REQUEST).code == "0000"
    code = one.code_sent()
    for field in ("receiver", "param1", "param2", "param3", "param4"):
        assert verify(one, code, **{field: "081200000002"}).code == "1202"
    assert verify(one, code, reference="another").code == "1202"
    assert verify(one, code).code == "0000"


def test_five_wrong_tries_kill_a_code(gateway):
    one = gateway()
    assert one.call("request-otp", **REQUEST).code == "0000"
    code = one.code_sent()
    wrong = f"{(int(code) + 1) % 10**10:010d}"
    assert [verify(one, wrong).code for _ in range(5)] == ["1202"] * 5
    answer = verify(one, code)
    assert answer.code == "1204"
    assert 0 < answer.json["data"]["retry_after"] <= 300
    assert one.call("request-otp", **REQUEST).code == "1201"


def test_the_same_reference_is_refused_while_its_code_lives(gateway):
    one = gateway()
    assert one.call("request-otp", **REQUEST).code == "0000"
    assert one.call("request-otp", **REQUEST).code == "1201"
    assert len(one.texts()) == 1
    assert verify(one, one.code_sent()).code == "0000"
    assert one.call("request-otp", **REQUEST).code == "0000"


def test_a_code_that_surely_was_not_sent_is_forgotten(gateway):
    one = gateway()
    failing = {**REQUEST, "receiver": "6280000000001"}
    assert one.call("request-otp", **failing).code == "1102"
    assert one.call("request-otp", **failing).code == "1102"
    assert one.call("request-otp", **REQUEST).code == "0000"


def test_a_receiver_gets_no_more_than_the_limit_and_is_told_when(gateway):
    one = gateway()
    for n in range(5):
        assert one.call("request-otp", **{**REQUEST, "reference": f"r{n}"}).code == "0000"
    answer = one.v1("request-otp", **{**REQUEST, "reference": "r5"})
    assert (answer.status, answer.code) == (429, "1205")
    assert int(answer.headers["Retry-After"]) == answer.json["data"]["retry_after"] > 500
    assert (
        one.call("request-otp", **{**REQUEST, "reference": "r5", "receiver": "081200000002"}).code == "0000"
    )


def test_many_receivers_of_one_application_server_are_not_throttled(gateway):
    one = gateway()
    codes = {
        one.call("request-otp", **{**REQUEST, "reference": f"r{n}", "receiver": f"0812000{n:05d}"}).code
        for n in range(60)
    }
    assert codes == {"0000"}


def test_auto_fill_lines_are_added_and_parts_are_told(gateway):
    one = gateway()
    data = {**REQUEST, "web_host": "example.com", "app_hash": "FA+9qCX9VSu"}
    assert one.call("request-otp", **data).json["data"]["parts"] == 1
    (text,) = one.texts()
    assert re.fullmatch(r"Your OTP is (\d{10})\n@example\.com #\1 FA\+9qCX9VSu", text)


def test_an_expired_request_is_refused_and_an_expiration_in_milliseconds_is_read(gateway):
    one = gateway()
    assert one.call("request-otp", **{**REQUEST, "expiration": 1629685838}).code == "1410"
    far = {**REQUEST, "expiration": 4_000_000_000_000}
    answer = one.call("request-otp", **far)
    assert (answer.code, answer.json["data"]["expires_in"]) == ("0000", 600)


def test_a_restart_of_the_service_keeps_live_codes_tries_and_limits(gateway):
    one = gateway()
    assert one.call("request-otp", **REQUEST).code == "0000"
    code = one.code_sent()
    assert [verify(one, "0000000000").code for _ in range(4)] == ["1202"] * 4
    one.restart()
    assert one.call("request-otp", **REQUEST).code == "1201"
    assert verify(one, code).code == "0000"


def test_a_power_cut_leaves_nothing(gateway):
    one = gateway()
    assert one.call("request-otp", **REQUEST).code == "0000"
    code = one.code_sent()
    one.gateway.stop()
    for file in one.runtime_dir.iterdir():
        file.unlink()  # what the loss of power does to a RAM file system
    one.start()
    assert verify(one, code).code == "1202"


def test_an_email_address_says_that_there_is_no_account(gateway):
    one = gateway()
    answer = one.call("request-otp", **{**REQUEST, "receiver": "someone@example.com"})
    assert (answer.code, answer.json["error"]) == ("1102", "no e-mail account active")
    assert one.call("request-otp", **REQUEST).code == "0000"


def test_a_code_cannot_go_to_a_short_code(gateway):
    answer = gateway().call("request-otp", **{**REQUEST, "receiver": "4444"})
    assert (answer.code, answer.json["field"]) == ("1400", "data.receiver")


def test_codes_go_through_the_modem_of_their_prefix(gateway):
    one = gateway(
        modems=(
            Sim(name="a", prefixes=("62811",)),
            Sim(name="b", prefixes=("62812",)),
            Sim(name="c", default=True),
        )
    )
    assert one.call("request-otp", **REQUEST).code == "0000"
    assert len(one.texts("b")) == 1


def test_wrong_fields_are_named(gateway):
    one = gateway()
    cases = [
        ({"message": "no place"}, "data.message"),
        ({"message": "%s and %s"}, "data.message"),
        ({"message": ""}, "data.message"),
        ({"message": None}, "data.message"),
        ({"message": ["%s"]}, "data.message"),
        ({"receiver": "abc"}, "data.receiver"),
        ({"receiver": {"a": 1}}, "data.receiver"),
        ({"reference": ""}, "data.reference"),
        ({"reference": True}, "data.reference"),
        ({"expiration": "soon"}, "data.expiration"),
        ({"web_host": "https://example.com/"}, "data.web_host"),
        ({"app_hash": "short"}, "data.app_hash"),
        ({"message": "\x1a%s"}, "data.message"),
        ({"message": "\x1b%s"}, "data.message"),
        ({"message": "%s" + "x" * 3000}, "data.message"),
    ]
    for change, field in cases:
        answer = one.call("request-otp", **{**REQUEST, **change})
        assert (answer.status, answer.code, answer.json["field"]) == (200, "1400", field), change
        answer = one.v1("request-otp", **{**REQUEST, **change})
        assert (answer.status, answer.code, answer.json["field"]) == (400, "1400", field), change
    assert one.texts() == []
    assert (
        one.http("POST", "/api/otp", json.dumps({"command": "nothing", "data": {}})).json["field"]
        == "command"
    )
