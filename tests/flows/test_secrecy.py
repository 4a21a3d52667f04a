"""The clear code and the text exist only in the message on its way."""

import gc
import io
import logging
import threading

from otppi.lib.logfmt import LogfmtFormatter
from otppi.sim.faults import Faults

MARKER = "zebramarker"
RECEIVED_MARKER = "okapimarker"


def everything_kept(one, log: str) -> dict[str, bytes]:
    """Collect all that an attacker could read afterwards: files, logs, pages, metrics."""
    kept = {"log": log.encode()}
    for folder in (one.state_dir, one.runtime_dir):
        for file in folder.rglob("*"):
            if file.is_file():
                kept[str(file)] = file.read_bytes()
    for port in (one.port, one.admin_port):
        for path in ("/", "/healthz", "/metrics", "/openapi.json"):
            kept[f"{port}{path}"] = one.http("GET", path, port=port).body
    kept["diagnosis"] = repr(one.gateway.diagnose()).encode()
    kept["modems"] = one.call("get-modem-list").body
    return kept


def test_neither_code_nor_text_nor_number_is_left_anywhere(gateway):
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        one = gateway(sms={"overtake_after_s": 1, "answer_limit_s": 5})
        codes = []
        for reference, fault in (
            ("sent", Faults()),
            ("refused", Faults(failing_sends=1)),
            ("silent", Faults(silent_sends=1)),
        ):
            one.lines["m0"].set_faults(fault)
            data = {"reference": reference, "receiver": "081200000091", "message": f"{MARKER} %s"}
            answer = one.call("request-otp", **data)
            assert answer.code == {"sent": "0000", "refused": "1102", "silent": "1408"}[reference]
            assert MARKER.encode() not in answer.body
            if reference != "refused":
                codes.append(one.code_sent())
                assert codes[-1].encode() not in answer.body
            one.wait_until(lambda: one.state("m0") == "ready")
        one.call("verify-otp", reference="sent", receiver="081200000091", otp="1234567890")
        one.call("verify-otp", reference="sent", receiver="081200000091", otp=codes[0])
        one.call("send-sms", receiver="081200000091", message=f"{MARKER} bad \x1a", id=1)
        good = {"receiver": "081200000091", "message": f"{MARKER} good", "id": 1}
        one.wait_until(lambda: one.call("send-sms", **good).code == "0000")
        one.http("POST", "/api/otp", '{"command": "send-sms", "data": {"message": "' + MARKER + '", broken')
        one.wait_until(lambda: log.getvalue().count("sms sent") == 2)
        one.lines["m0"].deliver("+6281200000093", f"{RECEIVED_MARKER} your code is 271828")
        one.wait_until(lambda: "sms received" in log.getvalue())
        for place, content in everything_kept(one, log.getvalue()).items():
            # It is in the inbox and nowhere else; the number is its sender's.
            if not place.endswith("/inbox/messages.jsonl"):
                for secret in (RECEIVED_MARKER, "271828", "81200000093"):
                    assert secret.encode() not in content, place
        secrets = [MARKER, *codes, "81200000091", MARKER.encode().hex().upper()]
        for place, content in everything_kept(one, log.getvalue()).items():
            for secret in secrets:
                assert secret.encode() not in content, place
        assert len(set(codes)) == 2
        assert all(len(code) == 10 for code in codes)
        assert "sms sent" in log.getvalue()
        assert "62812••••••91" in log.getvalue()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_nothing_that_lives_while_a_message_waits_shows_what_it_holds(gateway):
    """While a modem is silent, everything that holds the text and the code is alive and can be asked."""
    one = gateway()
    one.lines["m0"].set_faults(Faults(silent_sends=1))
    request = {"reference": "tigerreference", "receiver": "081200000091", "message": f"{MARKER} %s"}
    caller = threading.Thread(target=lambda: one.call("request-otp", **request))
    caller.start()
    one.wait_until(lambda: one.lines["m0"].ctrl_z_times)
    # Some classes of other libraries have no name of a module but a descriptor in its place.
    modules = [(thing, str(type(thing).__module__)) for thing in gc.get_objects()]
    ours = [thing for thing, module in modules if module.startswith("otppi.") and "otppi.sim" not in module]
    shown = {type(thing).__name__: repr(thing) for thing in ours}
    code = one.code_sent()
    caller.join()
    assert {"RequestOtp", "OutgoingSms", "SmsText", "SmsJob", "IssuedOtp"} <= shown.keys()
    for name, text in shown.items():
        for secret in (code, MARKER, "tigerreference", "81200000091"):
            assert secret not in text, name
