"""What clients of the old product rely on, byte for byte where it matters."""

import json
import socket
import ssl
import threading
import time

import pytest

from otppi.api.rest import PERMANENT_PATHS
from tests.gateway_under_test import AUTHORIZATION, PASSWORD, USER, Sim

ECHO = json.dumps({"command": "echo", "data": {"x": 1}})
LENGTH = len(ECHO)


def raw(gateway, request: bytes, *later: bytes) -> bytes:
    """Send bytes, further ones when the server had time to ask for them, and read until it closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(request)
        for more in later:
            time.sleep(0.05)
            connection.sendall(more)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def head(method="POST", path="/api/otp", extra="", length=LENGTH, version="1.1"):
    length_line = "" if length is None else f"Content-Length: {length}\r\n"
    return (
        f"{method} {path} HTTP/{version}\r\nHost: x\r\nAuthorization: {AUTHORIZATION}\r\n"
        f"{length_line}{extra}\r\n"
    ).encode()


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", None]
)
def test_a_json_body_is_read_whatever_it_calls_itself(gateway, method, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = gateway(modems=()).http(method, "/api/otp", ECHO, headers)
    assert (answer.status, answer.json) == (200, json.loads(ECHO))
    assert answer.headers["Content-Type"] == "application/json"


def test_expect_100_is_answered(gateway):
    one = gateway(modems=())
    answer = raw(one, head(extra="Expect: 100-continue\r\nConnection: close\r\n"), ECHO.encode())
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_a_chunked_body_is_read(gateway):
    one = gateway(modems=())
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (ECHO[:7].encode(), ECHO[7:].encode()))
    request = (
        head(extra="Transfer-Encoding: chunked\r\nConnection: close\r\n", length=None) + chunks + b"0\r\n\r\n"
    )
    assert raw(one, request).endswith(b'{"command": "echo", "data": {"x": 1}}')


def test_connections_are_kept_and_closed_as_asked(gateway):
    one = gateway(modems=())
    twice = head() + ECHO.encode() + head(extra="Connection: close\r\n") + ECHO.encode()
    assert raw(one, twice).count(b"HTTP/1.1 200 OK") == 2
    assert raw(one, head(version="1.0") + ECHO.encode()).count(b" 200 OK") == 1


@pytest.mark.parametrize("path", [*PERMANENT_PATHS, "/", "/api/otp/x", "/api/otpx", "/own/path"])
def test_any_command_works_on_every_path(gateway, path):
    one = gateway(modems=(), api={"otp_path": "/own/path", "sms_path": "/api/message"})
    assert one.http("POST", path, ECHO).json == json.loads(ECHO)
    assert one.call("get-modem-list", path).code == "0000"


def test_a_path_that_was_never_served_is_not_found(gateway):
    assert gateway(modems=()).http("POST", "/other", ECHO).status == 404


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + "c2hvcA==",  # no colon
        "Basic " + "OnBhc3N3b3Jk",  # no user
        "Basic " + "c2hvcDp3cm9uZw==",  # a wrong password
        "Basic " + "bm9ib2R5OmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==",  # an unknown user
        "Basic " + "/////w==",  # no UTF-8
    ],
)
def test_bad_credentials_get_401_without_a_body(gateway, authorization):
    answer = gateway(modems=()).http("POST", "/api/otp", ECHO, authorization=authorization)
    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_password_may_hold_colons_and_a_scheme_any_case(gateway):
    import base64

    one = gateway(modems=())
    one.gateway.store.put(_api_user(), "colon", {"password": "a:b:c:d:é"})
    credentials = base64.b64encode("colon:a:b:c:d:é".encode()).decode()
    assert one.http("POST", "/", ECHO, authorization=f"basic {credentials}").status == 200


def test_the_stored_hash_is_no_password(gateway):
    import base64

    one = gateway(modems=())
    stored = one.gateway.store.items(_api_user())[USER].password
    credentials = base64.b64encode(f"{USER}:{stored}".encode()).decode()
    assert one.http("POST", "/", ECHO, authorization=f"Basic {credentials}").status == 401


@pytest.mark.parametrize("change", [{"active": False}, {"blocked": True}])
def test_a_switched_off_account_is_refused_at_once(gateway, change):
    one = gateway(modems=())
    assert one.http("POST", "/", ECHO).status == 200
    one.gateway.store.put(_api_user(), USER, change)
    assert one.http("POST", "/", ECHO).status == 401


def test_a_changed_password_works_at_once_and_the_old_one_no_more(gateway):
    one = gateway(modems=())
    assert one.http("POST", "/", ECHO).status == 200
    one.gateway.store.put(_api_user(), USER, {"password": "another password"})
    assert one.http("POST", "/", ECHO).status == 401


def test_guessing_is_throttled_and_the_application_server_goes_on(gateway):
    one = gateway(modems=())
    assert one.http("POST", "/", ECHO).status == 200
    wrong = "Basic c2hvcDp3cm9uZw=="
    answers = [one.http("POST", "/", ECHO, authorization=wrong) for _ in range(22)]
    assert [answer.status for answer in answers] == [401] * 20 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert one.http("POST", "/", ECHO).status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_get_405_after_the_log_in(gateway, method):
    one = gateway(modems=())
    assert one.http(method, "/api/otp").status == 405
    assert one.http(method, "/api/otp", authorization=None).status == 401


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", "7", '"x"', "{}", '{"command": "echo"}', '{"command": 5, "data": {}}', '{"data": {}}',
     '{"command": "send-sms", "data": "text"}', '{"command": "send-sms", "data": null}', "[" * 30000,
     '{"command": "echo", "data": {"x": NaN}}', '{"command":"send-sms","data":{"receiver":["0812"],"message":{}}}',
     '{"command":"send-sms","data":{"receiver":1e400,"message":"x"}}',
     '{"command":"request-otp","data":[{"command":"request-otp","data":[]}]}',
     '{"command":"verify-otp","data":{"reference":"\\ud800","receiver":"081200000001","otp":"1"}}'],
)  # fmt: skip
def test_no_body_makes_a_500(gateway, body):
    answer = gateway(modems=()).http("POST", "/api/otp", body)
    assert answer.status == 200
    assert answer.code in {"1400"}
    assert answer.json.get("error") or isinstance(answer.json["data"], list)
    assert isinstance(answer.json["data"], dict | list)


def test_a_body_over_the_limit_is_refused(gateway):
    one = gateway(modems=(), api={"max_body_bytes": 2048})
    assert one.http("POST", "/api/otp", "x" * 3000).status == 413


def test_numbers_are_read_where_texts_are_expected_and_echoed_as_they_came(gateway):
    one = gateway()
    answer = one.call(
        "request-otp", reference=1629685778, receiver=6281200000001, message="%s", date_time="1629685778"
    )
    assert answer.json["data"]["reference"] == "1629685778"
    assert answer.json["data"]["receiver"] == "6281200000001"
    assert answer.json["data"]["date_time"] == "1629685778"


def test_the_older_dialects_are_read(gateway):
    one = gateway()
    assert one.call("send-sms", msisdn="081200000001", message="a").code == "0000"
    assert one.call("send-message", recipient="081200000001", message="b").code == "0000"
    many = {
        "command": "send-message",
        "channel": "sms",
        "data": [
            {"command": "send-sms", "data": {"msisdn": "081200000001", "message": "c"}},
            {"command": "send-sms", "data": {"msisdn": "081200000001"}},
        ],
    }
    answer = one.http("POST", "/api/otp", json.dumps(many))
    assert answer.code == "1400"
    assert [inner["response_code"] for inner in answer.json["data"]] == ["0000", "1400"]
    assert one.texts() == ["a", "b", "c"]


def test_trailing_commas_of_the_old_documentation_are_forgiven(gateway):
    body = '{"command": "block-msisdn", "data": {"date_time": 1629685778, "receiver": "081200000001",}}'
    assert gateway(modems=()).http("POST", "/api/block", body).code == "0000"


def test_the_modem_list_has_the_old_keys(gateway):
    answer = gateway().call("get-modem-list", "/api/modem", date_time=1)
    (modem,) = answer.json["data"]["modem_list"].values()
    assert {"id", "connected", "internetAccess", "internetConnected", "name", "copsOperator", "imei", "iccid",
            "imsi", "active", "port", "smsCenter", "defaultModem", "signalStrength"} <= modem.keys()  # fmt: skip
    assert set(modem["signalStrength"]) == {"value", "rssi", "condition", "class", "ber"}


def test_e_mail_says_that_there_is_no_account(gateway):
    one = gateway(modems=())
    for command in ("send-email", "send-mail", "send-message"):
        answer = one.call(command, receiver="someone@example.com", subject="s", message="m")
        assert (answer.code, answer.json["error"]) == ("1102", "no e-mail account active")
        assert answer.json["command"] == command


def test_https_serves_the_same_with_the_devices_certificate(gateway):
    one = gateway(modems=(), api={"https_enabled": True})
    context = ssl.create_default_context(cafile=str(next((one.state_dir / "tls").glob("*.crt*"), "")) or None)
    with (
        socket.create_connection(("127.0.0.1", one.https_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(head(extra="Connection: close\r\n") + ECHO.encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert answer.endswith(b'{"command": "echo", "data": {"x": 1}}')


def test_ports_and_paths_change_at_once(gateway, free_port):
    one = gateway(modems=())
    old, new = one.port, free_port()
    one.gateway.store.set_path("api.http_port", str(new))
    one.port = new
    one.wait_until(lambda: _serves(new) and not _serves(old))
    assert one.http("POST", "/", ECHO).status == 200


def _serves(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _api_user():
    from otppi.gateway.accounts import ApiUser

    assert PASSWORD
    return ApiUser


def test_without_a_certificate_everything_but_https_works_and_the_diagnosis_says_so(gateway, tmp_path):
    (tmp_path / "gateway0" / "state").mkdir(parents=True)
    (tmp_path / "gateway0" / "state" / "tls").write_text("in the way of the folder")
    one = gateway(modems=(), api={"https_enabled": True})
    assert one.http("POST", "/", ECHO).status == 200
    checks = {check["name"]: check for check in one.gateway.diagnose()}
    assert checks["rest"]["level"] == "green"
    assert checks["rest-tls"]["level"] == "red"
    assert "certificate" in checks["rest-tls"]["finding"]


def test_a_port_that_another_program_holds_does_not_stop_the_rest_and_is_taken_when_free(
    gateway, monkeypatch
):
    from otppi.services import listeners

    monkeypatch.setattr(listeners, "_RETRY_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        one = gateway(modems=(), api={"http_port": port})
        assert one.http("GET", "/healthz", port=one.admin_port).status == 200
        assert {"rest": f"port {port} on 127.0.0.1: Address already in use"}.items() <= dict(
            one.gateway.listeners.problems()
        ).items()
    one.wait_until(lambda: dict(one.gateway.listeners.problems())["rest"] == "")
    assert one.http("POST", "/", ECHO, port=port).status == 200


def test_an_answer_comes_in_one_piece(gateway):
    """Small clients read once and take that for the answer."""
    one = gateway(modems=())
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(head() + ECHO.encode())
            assert connection.recv(65536).endswith(b'{"command": "echo", "data": {"x": 1}}')


def test_a_claimed_address_does_not_help_guessing(gateway):
    one = gateway(modems=())
    wrong = "Basic c2hvcDp3cm9uZw=="
    answers = [
        one.http("POST", "/", ECHO, {"X-Forwarded-For": f"10.0.0.{n}"}, authorization=wrong).status
        for n in range(22)
    ]
    assert answers == [401] * 20 + [429] * 2


@pytest.mark.parametrize("header", ["Basic \xff\xfe", "Basic \u00e9", "B\xe4sic x"])
def test_a_header_that_is_no_utf8_is_a_refused_login(gateway, header):
    one = gateway(modems=())
    request = head(extra="Connection: close\r\n").replace(AUTHORIZATION.encode(), header.encode("latin-1"))
    assert raw(one, request + ECHO.encode()).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("command", [["x"], {"a": 1}, True, 5])
def test_a_command_that_is_no_text_is_named(gateway, command):
    answer = gateway(modems=()).http("POST", "/", json.dumps({"command": command, "data": {}}))
    assert (answer.status, answer.json["field"]) == (200, "command")


def test_many_first_callers_at_once_are_all_let_in(gateway):
    from concurrent.futures import ThreadPoolExecutor

    one = gateway(modems=(), api={"threads": 64})
    with ThreadPoolExecutor(40) as callers:
        answers = [callers.submit(one.http, "POST", "/", ECHO) for _ in range(40)]
        assert {answer.result().status for answer in answers} == {200}


def test_a_change_of_the_listener_cuts_nobody_off(gateway):
    """Whoever waits for a modem behind the old listener still gets the answer."""
    one = gateway(modems=(Sim(name="m0", submit_s=2.0),))
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(one.call("send-sms", receiver="081200000001", message="x"))
    )
    caller.start()
    one.wait_until(lambda: one.lines["m0"].ctrl_z_times)
    one.gateway.store.set_path("api.max_body_bytes", "70000")

    def takes_more():
        try:
            return one.http("POST", "/", b"x" * 68_000).status == 200
        except OSError:
            return False

    one.wait_until(takes_more)
    caller.join()
    assert answers[0].code == "0000"
