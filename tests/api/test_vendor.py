"""Programs of the vendor, as they are published, send through the device."""

import hashlib
import http.client
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.policy import SmsSettings
from otppi.gateway.reports import ReportSettings
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.lib.logfmt import LogfmtFormatter
from otppi.lib.passwords import hash_password
from otppi.modems.settings import ModemSettings
from otppi.services.firewall_plan import services_of
from otppi.sim.faults import FOREVER, Faults
from otppi.sim.magic import Magic
from otppi.submission.settings import SubmissionSettings
from otppi.system.network.settings import EthernetSettings, WlanSettings
from otppi.web.settings import AdminSettings
from tests.gateway_under_test import GatewayUnderTest, HttpAnswer, Sim

PASSWORD, API_KEY = "a password", "a1B2c3D4"
KEPT = hash_password(PASSWORD)  # once, as it takes its time
GMT8 = timedelta(hours=8)


class Vendor:
    """A gateway whose vendor API is open, and what programs ask of it."""

    def __init__(self, gateway: GatewayUnderTest, port: int) -> None:
        self.gateway, self.port = gateway, port
        self.accounts = 0

    @property
    def store(self):
        return self.gateway.gateway.store

    def account(self, **values: Any) -> str:
        """Make an account of its own for a test."""
        self.accounts += 1
        name = f"shop{self.accounts}"
        self.store.put(VendorAccount, name, {"password": KEPT, "api_key": API_KEY, **values})
        return name

    def http(self, method: str, target: str, body: bytes | None = None, **headers: str) -> HttpAnswer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.gateway.http(method, target, body, sent, authorization=None, port=self.port)

    def ask(self, call: str, account: str, **fields: Any) -> Any:
        """Ask by GET in version 2, which looks at no slow hash."""
        answer = self.http("GET", f"/{call}V2?{urlencode({**signed(account), **fields})}")
        assert answer.status == 200
        return answer.json

    def send(self, account: str, numbers: str, content: str = "Pesanan Anda sudah dikirim") -> Any:
        return self.ask("sendsms", account, numbers=numbers, content=content)

    def sent(self, account: str, number: str, content: str = "Pesanan Anda sudah dikirim") -> int:
        """Send one message, and return its id."""
        answer = self.send(account, number, content)
        assert (answer["status"], answer["success"]) == (0, 1), answer
        return answer["array"][0][1]

    def state(self, account: str, message_id: int) -> int | None:
        """What the report says of a message; None if it is not known."""
        return next((row[3] for row in self.ask("getreport", account, ids=message_id)["array"]), None)

    def arrived(self, text: str) -> int:
        return sum(one == text for one in self.gateway.texts())


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Vendor]:
    modems = tuple(Sim(name=f"m{n}", settings={"balance_ussd": "*123#>1"}) for n in range(4))
    gateway = GatewayUnderTest(tmp_path_factory.mktemp("gateway"), free_port, modems=modems)
    try:
        gateway.start()
        port = free_port()
        values = {"host": "127.0.0.1", "http_enabled": True, "http_port": port, "requests_per_minute": 0}
        gateway.gateway.store.update(VendorApiSettings, values)
        gateway.gateway.store.put(VendorAccount, "table", {"password": KEPT})
        gateway.wait_until(lambda: listens(port))
        yield Vendor(gateway, port)
    finally:
        gateway.stop()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stamp_now(offset_s: float = 0.0) -> str:
    return (datetime.now(UTC) + GMT8 + timedelta(seconds=offset_s)).strftime("%Y%m%d%H%M%S")


def signed(account: str, key: str = API_KEY, stamp: str = "") -> dict[str, str]:
    stamp = stamp or stamp_now()
    sign = hashlib.md5(f"{account}{key}{stamp}".encode(), usedforsecurity=False).hexdigest()
    return {"account": account, "sign": sign, "datetime": stamp}


# -- the programs of the vendor's document, byte by byte


def raw(port: int, request: bytes) -> tuple[bytes, Any]:
    """Send the bytes of a request; returns the first line of the answer, and its document."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], json.loads(body)


def test_the_php_program_of_the_document_sends(vendor):
    account = vendor.account(password="secret123")
    content = quote("Kode Anda 1234 & jangan dibagi… 100%", safe="-_.~")  # rawurlencode
    head, document = raw(
        vendor.port,
        f"GET /sendsms?account={account}&password=secret123&numbers=6281200000101,6281200000102&content={content}"
        f" HTTP/1.1\r\nHost: 127.0.0.1:{vendor.port}\r\nContent-Type: application/json\r\n"
        "Accept:application/json\r\nConnection: close\r\n\r\n".encode(),
    )
    assert head == b"HTTP/1.1 200 OK"
    (first, second), counts = document.pop("array"), document
    assert counts == {"status": 0, "success": 2, "fail": 0}
    assert (first[0], second[0]) == (6281200000101, 6281200000102)
    assert all(type(one) is int for one in (*first, *second))
    assert vendor.arrived("Kode Anda 1234 & jangan dibagi… 100%") == 2


def test_the_java_program_of_the_document_sends(vendor):
    account = vendor.account(password="secret123")
    content = quote("Test sms java client + més", safe="*-._")  # URLEncoder, with %20 for its plus signs
    head, document = raw(
        vendor.port,
        f"GET /sendsms?account={account}&password=secret123&numbers=6281200000103,6281200000104&content={content}"
        f" HTTP/1.1\r\nAccept: application/json\r\nUser-Agent: Java/1.8.0_292\r\nHost: 127.0.0.1:{vendor.port}\r\n"
        "Connection: close\r\n\r\n".encode(),
    )
    assert head == b"HTTP/1.1 200 OK"
    assert (document["status"], document["success"]) == (0, 2)
    assert vendor.arrived("Test sms java client + més") == 2


@pytest.mark.parametrize(
    ("in_address", "body"),
    [
        ((), lambda fields: json.dumps(fields)),
        (("account", "sign", "datetime"), lambda fields: json.dumps(fields)),
        (
            ("account", "sign", "datetime"),
            lambda fields: json.dumps({**fields, "content": quote(fields["content"])}),
        ),
        (
            ("account", "sign", "datetime"),
            lambda fields: json.dumps({**fields, "numbers": [fields["numbers"]]}),
        ),
        ((), lambda fields: urlencode(fields)),
        (("account", "sign", "datetime"), lambda fields: urlencode(fields)),
        (("account", "sign", "datetime", "numbers", "content"), lambda _: ""),
    ],
    ids=["json", "json-and-address", "json-encoded", "json-list", "form", "form-and-address", "empty"],
)
def test_programs_of_version_2_send_by_post_in_whatever_form(vendor, in_address, body, request):
    account = vendor.account()
    content = f"Bentuk {request.node.callspec.id}: 50% <é>"
    fields = {**signed(account), "senderid": "", "numbers": "6281200000110", "content": content}
    address = {name: fields.pop(name) for name in in_address}
    answer = vendor.http(
        "POST", f"/sendsmsV2?{urlencode(address)}", body(fields).encode(), Content_Type="application/json"
    )
    assert answer.json["success"] == 1, answer.body
    assert vendor.arrived(content) == 1


def test_every_form_of_a_number_is_one_receiver(vendor):
    account = vendor.account()
    numbers = "_6281200000120,081200000120,+6281200000120,006281200000120, 62812 0000 0120 ,620812-0000-0120,"
    answer = vendor.send(account, numbers, "one receiver")
    assert [row[0] for row in answer["array"]] == [6281200000120]
    assert (answer["success"], answer["fail"]) == (1, 0)
    assert vendor.arrived("one receiver") == 1


def test_a_plus_sign_that_nobody_encoded_is_still_the_number(vendor):
    account = vendor.account()
    target = f"/sendsms?account={account}&password=a%20password&numbers=+6281200000121&content=plus"
    assert vendor.http("GET", target).json["array"][0][0] == 6281200000121


# -- every code


REFUSALS = [
    ({"password": "another one"}, -1),
    ({"account": "nobody"}, -1),
    ({"account": ""}, -1),
    ({"password": ""}, -1),
    ({"content": ""}, -4),
    ({"content": "  "}, -4),
    ({"content": "x" * 1024}, -5),
    ({"content": "é" * 512}, -5),
    ({"numbers": ""}, -8),
    ({"numbers": " , ,"}, -8),
    ({"numbers": "12ab"}, -9),
    ({"numbers": "0812,call me"}, -9),
    ({"numbers": ",".join(f"62812000{n:05}" for n in range(101))}, -7),
    ({"content": "bad \x01"}, -22),
    ({"numbers": Magic.FAILS}, -12),
    ({"numbers": "6281200000199"}, -9),  # blocked
]


@pytest.mark.parametrize(
    ("changes", "status"), REFUSALS, ids=[f"{status}-{n}" for n, (_, status) in enumerate(REFUSALS)]
)
def test_a_message_that_is_not_sent_is_answered_with_its_code(vendor, changes, status):
    vendor.store.put(BlockedNumber, "6281200000199", {})
    before = len(vendor.gateway.texts())
    fields = {"numbers": "6281200000130", "content": "never sent", "password": PASSWORD, "account": "table"}
    answer = vendor.http("GET", f"/sendsms?{urlencode({**fields, **changes})}")
    assert answer.status == 200
    assert answer.json["status"] == status
    assert not answer.json.get("array")
    assert len(vendor.gateway.texts()) == before


def test_an_account_is_let_in_from_its_addresses_only(vendor):
    assert vendor.ask("getreport", vendor.account(addresses="192.0.2.0/24"), ids=1) == {"status": -2}
    assert vendor.ask("getreport", vendor.account(addresses="192.0.2.7,127.0.0.0/8"), ids=1)["status"] == 0


def test_an_account_that_is_switched_off_is_locked_for_who_knows_its_password(vendor):
    account = vendor.account(active=False)
    assert vendor.ask("getbalance", account) == {"status": -13}
    for password, status in ((PASSWORD, -13), ("a guess", -1)):
        query = urlencode({"account": account, "password": password})
        assert vendor.http("GET", f"/getbalance?{query}").json == {"status": status}


def test_ids_that_are_none_or_too_many_are_refused(vendor):
    account = vendor.account()
    for ids, status in (("", -14), ("1,x", -14), (",".join(map(str, range(201))), -7)):
        assert vendor.ask("getreport", account, ids=ids) == {"status": status}
    assert vendor.ask("getreport", account, ids=",".join(map(str, range(200))))["nofound"] == 200


def test_who_asks_too_often_waits(vendor):
    account = vendor.account()
    vendor.store.update(VendorApiSettings, {"requests_per_minute": 3})
    try:
        answers = [vendor.ask("getreport", account, ids=1)["status"] for _ in range(5)]
    finally:
        vendor.store.update(VendorApiSettings, {"requests_per_minute": 0})
    assert answers == [0, 0, 0, -15, -15]


def test_a_quota_that_is_used_up_is_told_as_the_limit_of_the_period(vendor):
    names = [f"m{n}" for n in range(4)]
    for name in names:
        vendor.store.put(ModemSettings, name, {"quota_per_day": 1})
    try:
        codes = [vendor.send(vendor.account(), "6281200000135", f"quota {n}")["status"] for n in range(5)]
    finally:
        for name in names:
            vendor.store.put(ModemSettings, name, {"quota_per_day": 0})
    assert codes[-1] == -27


def test_what_the_device_does_not_know_is_no_part_of_the_dialect(vendor):
    assert vendor.http("GET", "/sendmms?account=x").status == 404
    assert vendor.http("PUT", "/sendsms?account=x").status == 405
    assert vendor.http("POST", "/sendsms", b'{"account": {"a": 1}}').json == {"status": -22}
    assert vendor.http("POST", "/sendsms", b'{"account": ').json == {"status": -22}
    assert vendor.http("GET", "/sendsms?account=%ff").json == {"status": -22}
    assert vendor.http("GET", "/healthz").status == 200


# -- signatures


@pytest.mark.parametrize(
    ("offset_s", "key", "status"),
    [
        (0, API_KEY, 0),
        (-1700, API_KEY, 0),
        (1700, API_KEY, 0),
        (-1900, API_KEY, -16),
        (1900, API_KEY, -16),
        (-8 * 3600, API_KEY, -16),  # UTC
        (0, "another key", -1),
    ],
)
def test_a_signature_counts_for_half_an_hour(vendor, offset_s, key, status):
    account = vendor.account(credit=7)
    query = urlencode(signed(account, key, stamp_now(offset_s)))
    assert vendor.http("GET", f"/getbalanceV2?{query}").json["status"] == status


def test_a_signature_of_no_time_or_of_an_account_without_key_is_refused(vendor):
    for stamp in ("20261332250000", "1629685778"):
        query = urlencode(signed(account := vendor.account(), stamp=stamp))
        assert vendor.http("GET", f"/getbalanceV2?{query}").json == {"status": -11}, account
    keyless = vendor.account(api_key="")
    for key in ("", API_KEY):
        assert vendor.http("GET", f"/getbalanceV2?{urlencode(signed(keyless, key))}").json == {"status": -1}
    # A signature is no password, and a password no signature.
    query = urlencode({**signed(account), "password": API_KEY})
    assert vendor.http("GET", f"/getbalance?{query}").json == {"status": -1}
    capitals = signed(account)
    capitals["sign"] = capitals["sign"].upper()
    assert vendor.http("GET", f"/getreportV2?{urlencode({**capitals, 'ids': 1})}").json["status"] == 0


# -- outcomes


def test_numbers_that_failed_are_told_beside_those_that_were_sent(vendor):
    account = vendor.account()
    answer = vendor.send(account, f"6281200000140,{Magic.FAILS},nonsense,6281200000141", "mixed")
    assert (answer["status"], answer["success"], answer["fail"]) == (0, 2, 2)
    assert [row[0] for row in answer["array"]] == [6281200000140, 6281200000141]


def test_a_report_has_the_number_the_time_and_the_state_of_each_message(vendor):
    account = vendor.account()
    message_id = vendor.sent(account, "081200000145")
    answer = vendor.ask("getreport", account, ids=f"{message_id},1, {message_id}")
    (row,), counts = answer.pop("array"), answer
    assert counts == {"status": 0, "success": 1, "fail": 0, "unsent": 0, "sending": 0, "nofound": 1}
    assert (row[0], row[1], row[3]) == (message_id, 6281200000145, 0)
    assert abs(row[2] - int(stamp_now())) <= 200 or str(row[2])[:8] != stamp_now()[:8]
    other = vendor.ask("getreport", vendor.account(), ids=message_id)
    assert (other["nofound"], other["array"]) == (1, [])


def test_an_unknown_outcome_is_sending_until_the_modem_says_otherwise(vendor):
    one = vendor.gateway
    account = vendor.account()
    vendor.store.update(SmsSettings, {"longest_wait_s": 1})
    for line in one.lines.values():
        line.set_faults(Faults(late_sends=1, late_s=2.2))
    try:
        message_id = vendor.sent(account, "6281200000147", "late")
        assert vendor.state(account, message_id) == -1
        one.wait_until(lambda: vendor.state(account, message_id) == 0)
    finally:
        vendor.store.update(SmsSettings, {"longest_wait_s": 60})
        for line in one.lines.values():
            line.set_faults(Faults())
    assert vendor.arrived("late") == 1


def test_a_delivery_report_of_the_network_changes_the_state(vendor):
    one, account = vendor.gateway, vendor.account()
    vendor.store.update(ReportSettings, {"ask": True})
    for line in one.lines.values():
        line.set_faults(Faults(report_status=0x41))  # incompatible destination: for good
    try:
        message_id = vendor.sent(account, "6281200000148")
        one.wait_until(lambda: vendor.state(account, message_id) == 1)
    finally:
        vendor.store.update(ReportSettings, {"ask": False})
        for line in one.lines.values():
            line.set_faults(Faults())


def test_a_client_that_repeats_after_a_time_out_sends_nothing_twice(vendor):
    one, account = vendor.gateway, vendor.account(credit=9)
    for line in one.lines.values():
        line.set_faults(Faults(late_sends=1, late_s=0.8, late_answers_meanwhile=True))
    query = urlencode(
        {"account": account, "password": PASSWORD, "numbers": "6281200000150", "content": "once"}
    )
    try:
        impatient = http.client.HTTPConnection("127.0.0.1", vendor.port, timeout=0.3)
        impatient.request("GET", f"/sendsms?{query}")
        with pytest.raises(TimeoutError):
            impatient.getresponse()
        impatient.close()
        again = vendor.http("GET", f"/sendsms?{query}").json
    finally:
        for line in one.lines.values():
            line.set_faults(Faults())
    third = vendor.send(account, "+6281200000150", "once")
    assert again == third
    assert vendor.arrived("once") == 1
    assert vendor.ask("getbalance", account)["balance"] == "8.000000"
    # Another text, another number and another account are no repeats.
    for number, text, who in (
        ("6281200000150", "twice", account),
        ("6281200000151", "once", account),
        ("6281200000150", "once", vendor.account()),
    ):
        vendor.sent(who, number, text)
    assert (vendor.arrived("once"), vendor.arrived("twice")) == (3, 1)


def test_a_message_that_failed_is_sent_when_it_is_asked_for_again(vendor):
    one, account = vendor.gateway, vendor.account(credit=1)
    for line in one.lines.values():
        line.set_faults(Faults(failing_sends=1))
    try:
        failed = vendor.send(account, "6281200000152", "second try")
    finally:
        for line in one.lines.values():
            line.set_faults(Faults())
    assert failed == {"status": -12, "array": [], "success": 0, "fail": 1}
    vendor.sent(account, "6281200000152", "second try")
    assert vendor.arrived("second try") == 1


def test_a_signed_request_that_somebody_copied_sends_nothing_again(vendor):
    account = vendor.account()
    vendor.store.update(VendorApiSettings, {"repeat_s": 0})
    fields = {**signed(account), "numbers": "6281200000153", "content": "signed"}
    try:
        answers = [vendor.http("GET", f"/sendsmsV2?{urlencode(fields)}").json for _ in range(2)]
        fields |= signed(account, stamp=stamp_now(1))
        third = vendor.http("GET", f"/sendsmsV2?{urlencode(fields)}").json
    finally:
        vendor.store.update(VendorApiSettings, {"repeat_s": 120})
    assert answers[0] == answers[1] != third
    assert vendor.arrived("signed") == 2


def test_a_hundred_numbers_go_out_over_all_modems_at_once(vendor):
    account = vendor.account()
    numbers = [f"62812000{n:05}" for n in range(1000, 1100)]
    began_s = time.monotonic()
    answer = vendor.send(account, ",".join(numbers), "a hundred")
    took_s = time.monotonic() - began_s
    assert (answer["success"], answer["fail"]) == (100, 0)
    assert [str(row[0]) for row in answer["array"]] == numbers
    assert len({row[1] for row in answer["array"]}) == 100
    assert vendor.arrived("a hundred") == 100
    used = {
        name
        for name, line in vendor.gateway.lines.items()
        if any(m.text == "a hundred" for m in line.messages)
    }
    assert used == set(vendor.gateway.lines)
    assert not [one.name for one in threading.enumerate() if one.name.startswith("vendor:send")]
    report = vendor.ask("getreport", account, ids=",".join(str(row[1]) for row in answer["array"]))
    assert report["success"] == 100
    assert took_s < 30, "they went out one after the other"


def test_more_messages_than_there_are_places_are_refused_and_none_is_half_accepted(vendor):
    one = vendor.gateway
    vendor.store.update(VendorApiSettings, {"most_numbers": 256})
    for line in one.lines.values():
        line.set_faults(Faults(late_sends=FOREVER, late_s=0.3))
    first, second = vendor.account(), vendor.account()
    many = ",".join(f"62812000{n:05}" for n in range(2000, 2200))
    answers: list[Any] = []
    vendor.store.update(SmsSettings, {"longest_wait_s": 2})
    try:
        sender = threading.Thread(target=lambda: answers.append(vendor.send(first, many, "many")))
        sender.start()
        one.wait_until(lambda: vendor.arrived("many"))
        refused = vendor.send(second, many, "too many")
        small = vendor.ask("getbalance", vendor.account(credit=5))
        sender.join()
    finally:
        vendor.store.update(SmsSettings, {"longest_wait_s": 60})
        vendor.store.update(VendorApiSettings, {"most_numbers": 100})
        for line in one.lines.values():
            line.set_faults(Faults())
        one.wait_until(lambda: all(one.state(name) == "ready" for name in one.lines))
    assert refused == {"status": -15}
    assert small["balance"] == "5.000000"
    assert vendor.arrived("too many") == 0
    # Those whose turn did not come are failed; of the others each was sent or may have been.
    assert answers[0]["success"] + answers[0]["fail"] == 200
    assert answers[0]["fail"] > 0
    told = {str(row[0]) for row in answers[0]["array"]}
    reached = {m.number for line in one.lines.values() for m in line.messages if m.text == "many"}
    assert reached <= told


# -- balance, words, life


def test_a_balance_is_the_parts_that_are_left_to_the_account(vendor):
    account = vendor.account(credit=499740)
    assert vendor.ask("getbalance", account) == {"status": 0, "balance": "499740.000000", "gift": "0.000000"}
    vendor.sent(account, "6281200000160", "x" * 161)
    assert vendor.ask("getbalance", account)["balance"] == "499738.000000"
    vendor.send(account, str(Magic.FAILS), "costs nothing")
    assert vendor.ask("getbalance", account)["balance"] == "499738.000000"


def test_an_account_without_credit_sends_nothing_more_and_no_part_of_a_list(vendor):
    account = vendor.account(credit=2)
    numbers = "6281200000161,6281200000162,6281200000163"
    assert vendor.send(account, numbers, "too dear") == {"status": -10}
    assert vendor.arrived("too dear") == 0
    assert vendor.send(account, "6281200000161,6281200000162", "affordable")["success"] == 2
    assert vendor.send(account, "6281200000161,6281200000162", "affordable")["success"] == 2  # a repeat
    assert vendor.send(account, "6281200000164", "no more") == {"status": -10}


def test_without_a_counter_the_balance_is_that_of_the_sims_and_unknown_is_not_zero(vendor):
    account = vendor.account()
    assert vendor.ask("getbalance", account) == {"status": -12}
    for name in ("m0", "m1"):
        assert vendor.gateway.gateway.ask_balance(name)["amount"] == "12500"
    assert vendor.ask("getbalance", account)["balance"] == "25000.000000"


def test_words_that_operators_block_are_replaced(vendor):
    vendor.store.update(VendorApiSettings, {"replacements": ["PIN=nomor", "kode rahasia=sandi"]})
    try:
        vendor.sent(vendor.account(), "6281200000165", "Pin dan KODE RAHASIA Anda, bukan shopping: 1")
    finally:
        vendor.store.update(VendorApiSettings, {"replacements": []})
    assert vendor.arrived("nomor dan sandi Anda, bukan shopping: 1") == 1


def test_messages_of_an_account_for_codes_go_out_again_when_a_modem_is_silent(vendor):
    account, line = vendor.account(life_s=300), vendor.gateway.lines["m1"]
    vendor.store.put(ModemSettings, "m1", {"prefixes": ["62899"]})
    line.set_faults(Faults(late_sends=1, late_s=1.6))  # `overtake_after_s` is 1
    try:
        message_id = vendor.sent(account, "6289900000166", "code 123456")
        assert vendor.state(account, message_id) == 0
        vendor.gateway.wait_until(lambda: vendor.arrived("code 123456") == 2)
    finally:
        vendor.store.put(ModemSettings, "m1", {"prefixes": []})
        line.set_faults(Faults())


# -- received messages


def test_received_messages_are_told_once_to_each_account_that_may_read(vendor):
    one, rows = vendor.gateway, []

    def read(account: str, text: str) -> bool:
        """Whether the account has been told this text by now."""
        answer = vendor.ask("getsms", account)
        assert (answer["status"], answer["cnt"]) == (0, len(answer["array"]))
        rows.extend(answer["array"])
        return any(row[3] == text for row in rows)

    assert vendor.ask("getsms", vendor.account()) == {"status": -32}
    early = vendor.account(reads_inbox=True)
    assert vendor.ask("getsms", early)["cnt"] == 0
    one.lines["m0"].deliver("+6281200000170", "Ya, é")
    one.wait_until(lambda: read(early, "Ya, é"))
    late = vendor.account(reads_inbox=True)
    assert vendor.ask("getsms", late)["cnt"] == 0, "what came before the account is not for it"
    one.lines["m1"].deliver("TELKOMSEL", "Pulsa")
    one.wait_until(lambda: read(early, "Pulsa"))
    (first, second) = rows
    assert (first[1], first[3], second[1], second[3]) == (6281200000170, "Ya, é", "TELKOMSEL", "Pulsa")
    assert first[0] < second[0]
    assert datetime.strptime(str(first[2]), "%Y%m%d%H%M%S")
    assert [row[3] for row in vendor.ask("getsms", late)["array"]] == ["Pulsa"]
    assert vendor.ask("getsms", early)["cnt"] == vendor.ask("getsms", late)["cnt"] == 0


# -- what is kept


def test_a_restart_of_the_service_keeps_reports_repeats_credit_and_what_was_read(vendor):
    one = vendor.gateway
    account = vendor.account(credit=100, reads_inbox=True)
    assert vendor.ask("getsms", account)["cnt"] == 0
    message_id = vendor.sent(account, "6281200000175", "before the restart")
    one.gateway.stop()
    one.start()
    one.wait_until(lambda: listens(vendor.port))
    row = vendor.ask("getreport", account, ids=message_id)["array"][0]
    assert (row[0], row[1], row[3]) == (message_id, 6281200000175, 0)
    assert vendor.sent(account, "6281200000175", "before the restart") == message_id
    assert vendor.arrived("before the restart") == 1
    assert vendor.ask("getbalance", account)["balance"] == "99.000000"
    assert vendor.ask("getsms", account)["cnt"] == 0
    assert vendor.sent(account, "6281200000177", "after the restart") > message_id


def test_neither_password_nor_key_nor_text_nor_number_is_left_anywhere(vendor):
    one, log = vendor.gateway, io.StringIO()
    handler, root = logging.StreamHandler(log), logging.getLogger()
    handler.setFormatter(LogfmtFormatter())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    secrets = ["zebrapassword", "zebrakey1", "zebratext", "81200000191"]
    account = vendor.account(password=secrets[0], api_key=secrets[1])
    fields = {"numbers": "081200000191", "content": secrets[2]}
    query = urlencode({"account": account, "password": secrets[0], **fields})
    try:
        assert vendor.http("GET", f"/sendsms?{query}").json["success"] == 1
        assert vendor.http(
            "POST", "/sendsmsV2", urlencode({**signed(account, secrets[1]), **fields}).encode()
        ).json["success"]
        vendor.http("GET", f"/sendsms?{query}%00")
        vendor.http("GET", f"/sendsms?{query}&password=wrong")
        vendor.http("GET", f"/nonsense?{query}")
        vendor.http("GET", f"/sendsms?{query}&x={'x' * 20_000}")
        one.wait_until(lambda: "sms sent" in log.getvalue())
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    kept = {"log": log.getvalue().encode(), "metrics": one.http("GET", "/metrics").body}
    for folder in (one.state_dir, one.runtime_dir):
        kept |= {str(file): file.read_bytes() for file in Path(folder).rglob("*") if file.is_file()}
    assert "a wrong password" in log.getvalue()
    assert "door=vendor" in log.getvalue()
    for place, content in kept.items():
        for secret in secrets:
            assert secret.encode() not in content, (place, secret)


def test_a_device_whose_owner_did_not_ask_for_it_does_not_listen(gateway):
    one = gateway(modems=())
    assert "vendor" not in {door["name"] for door in one.gateway.listeners.listed()}
    settings = VendorApiSettings()
    assert (settings.http_enabled, settings.https_enabled, settings.http_port) == (False, False, 20003)


def test_the_firewall_opens_the_ports_that_are_on():
    others = (ApiSettings(), AdminSettings(), WlanSettings(), EthernetSettings())
    ports = {
        offered: services_of(*others, VendorApiSettings(**offered_values), SubmissionSettings()).api_ports
        for offered, offered_values in {
            "neither": {},
            "both": {"http_enabled": True, "https_enabled": True},
            "to the device itself": {"http_enabled": True, "host": "127.0.0.1"},
        }.items()
    }
    assert ports == {
        "neither": (8899, 443),
        "both": (8899, 443, 20003, 20443),
        "to the device itself": (8899, 443),
    }
