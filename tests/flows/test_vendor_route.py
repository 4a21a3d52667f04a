"""An account at an SMS vendor beside the SIMs, by the normal doors: last resort, price, quota, outcomes, secrecy."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from otppi.sim.faults import Faults
from otppi.vendors.settings import VendorRouteSettings
from tests.gateway_under_test import Sim
from tests.vendor_server import ACCOUNT, PASSWORD, Fault, VendorServer

TEXT = "Your order is ready"


@pytest.fixture
def vendor():
    one = VendorServer()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def device(gateway, vendor):
    """Start a device with these modems and one account at the vendor."""

    def start(*modems, sms=None, **settings):
        one = gateway(modems=modems, sms=sms or {})
        use(one, vendor, **settings)
        return one

    return start


def use(one, vendor, **changes):
    values = {"name": "cadangan", "url": vendor.url, "allow_insecure": True, "account": ACCOUNT, **changes}
    one.gateway.store.put(VendorRouteSettings, "v1", {"password": PASSWORD, "timeout_s": 10, **values})
    one.wait_until(lambda: [modem.is_ready for modem in one.gateway.vendors.snapshot()] == [True])


def send(one, **changes):
    return one.call("send-message", "/api/sms", **{"receiver": "081200000001", "message": TEXT, **changes})


def used(answer):
    return answer.json["data"].get("modemID")


def test_without_a_modem_the_vendor_sends_and_as_soon_as_one_is_back_the_modem(device, vendor):
    one = device(Sim(name="m0", settings={"prices": ["other=350"]}), prices=["other=1"])
    assert used(send(one)) == "m0"  # the vendor is cheaper, and for the last resort all the same
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") == "absent")
    answer = send(one)
    assert (answer.code, used(answer)) == ("0000", "v1")
    assert vendor.messages == [("6281200000001", TEXT)]
    asked = one.call("request-otp", reference="r1", receiver="081200000001", message="Code %s")
    assert asked.code == "0000"
    code = vendor.messages[-1][1].rsplit(" ", 1)[-1]
    checked = one.call("verify-otp", reference="r1", receiver="081200000001", otp=code)
    assert checked.code == "0000"
    one.lines["m0"].plug()
    one.wait_until(lambda: one.state("m0") == "ready")
    assert used(send(one, message="again")) == "m0"
    assert len(vendor.messages) == 2


def test_a_modem_that_refuses_or_is_too_busy_is_followed_by_the_vendor(device, vendor):
    one = device(Sim(name="m0", submit_s=0.1), sms={"longest_wait_s": 5})
    one.lines["m0"].set_faults(Faults(failing_sends=1))
    assert used(send(one)) == "v1"
    assert used(send(one)) == "m0"
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda n: send(one, message=f"{n}"), range(4)))
    assert {used(answer) for answer in answers} == {"m0"}  # there is time enough for all
    assert len(vendor.messages) == 1


def test_compared_by_price_the_cheapest_is_tried_first_and_who_refuses_is_not_charged(device, vendor):
    modem = Sim(name="m0", settings={"prices": ["62811=50", "other=350"]})
    one = device(modem, last_resort=False, prices=["other=230"])
    assert used(send(one)) == "v1"
    assert used(send(one, receiver="081100000001")) == "m0"
    vendor.script.append(-3)
    assert used(send(one)) == "m0"
    books = {row["modem"]: row["today"]["cost"] for row in one.gateway.cost()["modems"]}
    assert books == {"m0": "400", "cadangan": "230"}
    (first, second) = one.gateway.route("081200000001", 1, is_code=False)["modems"]
    assert (first["modem"], second["modem"]) == ("cadangan", "m0")
    one.gateway.store.set_path("vendor_routes.v1.last_resort", "true")
    one.wait_until(lambda: one.gateway.route("081200000001", 1, is_code=False)["modems"][0]["modem"] == "m0")
    last = one.gateway.route("081200000001", 1, is_code=False)["modems"][1]
    assert last["reason"] == "only when no modem can: price of other, no prefix"


def test_a_quota_of_the_account_is_kept_by_many_callers_at_once(device, vendor):
    one = device(
        Sim(name="m0", active=False), sms={"reserve_for_codes_percent": 0}, quota_per_day=5, in_flight=8
    )
    with ThreadPoolExecutor(12) as callers:
        codes = list(callers.map(lambda n: send(one, message=f"message {n}").code, range(12)))
    assert (codes.count("0000"), codes.count("1302")) == (5, 7)
    assert len(vendor.messages) == 5


def test_what_the_vendor_leaves_open_is_unknown_and_a_code_goes_out_elsewhere(device, vendor):
    one = device(Sim(name="m0", settings={"prices": ["other=350"]}), last_resort=False, prices=["other=1"])
    vendor.script.append(Fault.CUT)
    answer = send(one)
    assert answer.code == "1408"
    assert one.gateway.vendors.snapshot()[0].state.value == "resting"
    use(one, vendor, balance_low=1)
    # Silent for longer than a code waits.
    vendor.answers_after.clear()
    answer = send(one, message="code 1234", expiration=int(time.time()) + 300)
    assert (answer.code, used(answer)) == ("0000", "m0")
    assert one.texts() == ["code 1234"]
    vendor.answers_after.set()


def test_it_is_shown_by_name_where_senders_are_and_not_among_the_modems(device, vendor):
    one = device(Sim(name="m0"))
    assert used(send(one, modem_id="cadangan")) == "v1"
    assert used(send(one, modem_id="v1")) == "v1"
    assert list(one.call("get-modem-list").json["data"]["modem_list"]) == ["m0"]
    assert one.call("request-ussd", modem_id="cadangan", ussd_code="*888#").code == "1404"
    counted = b'otppi_sms_total{modem="cadangan",outcome="sent"} 2.0'
    one.wait_until(lambda: counted in one.http("GET", "/metrics").body)
    assert b'otppi_sim_parts{modem="cadangan",period="day"} 2.0' in one.http("GET", "/metrics").body
    assert any(
        check["name"] == "SMS vendor cadangan" and check["level"] == "green"
        for check in one.gateway.diagnose()
    )
    vendor.script.append(-10)
    assert send(one, modem_id="v1").code == "1102"
    answer = send(one, modem_id="v1")
    assert (answer.code, "resting" in answer.json["error"]) == ("1101", True)
    (check,) = (one for one in one.gateway.diagnose() if one["name"] == "SMS vendor cadangan")
    assert (check["level"], check["finding"]) == ("yellow", "no credit is left at the vendor")


def test_neither_password_nor_text_nor_number_is_left_anywhere(device, vendor, caplog):
    one = device(Sim(name="m0", active=False))
    with caplog.at_level("DEBUG"):
        for script in (0, -3, -1):
            vendor.script.append(script)
            send(one, receiver="081200000091", message="zebramarker 271828")
        assert send(one).code in ("1101", "1102")
    kept = {str(file): file.read_bytes() for file in one.state_dir.rglob("*") if file.is_file()}
    kept |= {str(file): file.read_bytes() for file in one.runtime_dir.rglob("*") if file.is_file()}
    kept["log"] = caplog.text.encode() + repr([record.__dict__ for record in caplog.records]).encode()
    kept["told"] = json.dumps(
        [one.gateway.diagnose(), one.gateway.balances(), one.gateway._vendor_desk.list()]
    ).encode()
    for place, content in kept.items():
        for secret in (PASSWORD, "p%40ss", "zebramarker", "271828", "81200000091"):
            assert secret.encode() not in content, place
    assert vendor.messages
