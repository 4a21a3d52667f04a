"""What an account asks a vendor, and how it understands the answers and their absence."""

import traceback
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest

from otppi.lib.clock import SystemClock
from otppi.model.number import Number
from otppi.model.sms_text import code_text
from otppi.vendors.account import Account, Report, signature
from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.trouble import VendorTrouble
from otppi.work.standing import Hold
from tests.broker_servers.certificates import certificates
from tests.vendor_server import ACCOUNT, KEY, PASSWORD, Fault

NUMBER = Number("6281200000001")
TEXT = "Kode: 123 & 456 é😀\nhttps://x.example/?a=b#c"


def account(vendor, clock=None, **changes):
    given = {"url": vendor.url, "password": PASSWORD, "api_key": KEY, "timeout_s": 10.0, **changes}
    settings = VendorRouteSettings(name="cadangan", account=ACCOUNT, allow_insecure=True, **given)
    return Account(settings, clock or SystemClock())


def send(of, text="halo"):
    """Send; returns what became of it, and whether a byte may have left before."""
    left = []
    try:
        return of.send(NUMBER, text, lambda: left.append(True)), left
    except VendorTrouble as trouble:
        return trouble, left


def test_the_signature_is_that_of_the_published_example():
    assert signature("test", "123456", "20190101120000") == "6ac4928d8d0c3c5ba75981b539c52152"


@pytest.mark.parametrize("dialect", ["V1", "V2"])
def test_a_message_leaves_as_the_description_has_it(vendor, dialect):
    one = vendor()
    assert account(one, dialect=dialect, url=f"{one.url}/api/").send(NUMBER, TEXT, lambda: None) == 1_620_443
    assert one.messages == [("6281200000001", TEXT)]
    target = urlsplit(one.targets[0])
    assert target.path == ("/api/sendsms" if dialect == "V1" else "/api/sendsmsV2")
    proof = {"V1": {"password"}, "V2": {"sign", "datetime"}}[dialect]
    assert dict(parse_qsl(target.query)).keys() == {"account", "numbers", "content"} | proof


def test_the_time_of_a_signature_is_that_of_the_vendors_zone(vendor, clock):
    one = vendor()
    clock.wall = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
    assert send(account(one, clock, dialect="V2"))[0].hold is Hold.PERSON
    assert dict(parse_qsl(urlsplit(one.targets[0]).query))["datetime"] == "20270115160000"


def test_the_array_may_be_written_as_a_text(vendor):
    one = vendor()
    one.array_as_text = True
    assert send(account(one))[0] == 1_620_443


@pytest.mark.parametrize("text", [TEXT, "x" * 300, "ÄÖÜ~[]{}€" * 30, "😀" * 100])
def test_a_coded_text_is_the_same_again(text):
    assert code_text(text).whole() == text


OF_THE_MESSAGE = (-3, -4, -5, -6, -7, -8, -9, -11, -14, -17, -21, -22, -24, -25, -28, -29)
SOON = (-12, -15, -16, -18)
LATER = (-10, -13, -19, -23, -26, -27)
FOR_A_PERSON = (-1, -2, -30, -31, -32)
UNKNOWN = (-20, -33, -99, 1, 7)


def test_every_documented_status_is_in_the_table():
    assert {*OF_THE_MESSAGE, *SOON, *LATER, *FOR_A_PERSON, -20} == set(range(-32, 0))


@pytest.mark.parametrize(
    ("statuses", "hold", "may_have_left", "passes_soon"),
    [
        (OF_THE_MESSAGE, Hold.NO, False, False),
        (SOON, Hold.MOMENT, False, True),
        (LATER, Hold.WHILE, False, False),
        (FOR_A_PERSON, Hold.PERSON, False, False),
        (UNKNOWN, Hold.MOMENT, True, False),
    ],
)
def test_what_each_status_means(vendor, statuses, hold, may_have_left, passes_soon):
    one = vendor()
    of = account(one)
    for status in statuses:
        one.script.append(status)
        trouble, left = send(of)
        assert (trouble.hold, trouble.may_have_left, trouble.passes_soon) == (
            hold,
            may_have_left,
            passes_soon,
        )
        assert left
    assert not one.messages


@pytest.mark.parametrize(
    ("fault", "hold", "may_have_left"),
    [
        (Fault.CLOSED, Hold.MOMENT, True),
        (Fault.RESET, Hold.MOMENT, True),
        (Fault.SILENT, Hold.MOMENT, True),
        (Fault.CUT, Hold.MOMENT, True),
        (Fault.STUCK, Hold.MOMENT, True),
        (Fault.GARBAGE, Hold.MOMENT, True),
        (Fault.NO_STATUS, Hold.MOMENT, True),
        (Fault.NOT_NAMED, Hold.MOMENT, True),
        (Fault.REFUSED_BY_COUNT, Hold.NO, False),
        ("500", Hold.MOMENT, True),
        ("502", Hold.MOMENT, True),
        ("504", Hold.MOMENT, True),
        ("408", Hold.MOMENT, True),
        ("302", Hold.PERSON, False),
        ("404", Hold.PERSON, False),
        ("429", Hold.MOMENT, False),
    ],
    ids=str,
)
def test_once_the_request_has_left_only_an_answer_says_what_became_of_it(vendor, fault, hold, may_have_left):
    one = vendor()
    one.script.append(fault)
    limit_s = 0.2 if fault in (Fault.SILENT, Fault.STUCK) else 10.0
    trouble, left = send(account(one, timeout_s=limit_s))
    assert (trouble.hold, trouble.may_have_left) == (hold, may_have_left)
    assert left


def nobody_listens(vendor):
    one = vendor()
    one.stop()
    return account(one)


def does_not_speak(vendor):
    return account(vendor(is_mute=True), timeout_s=0.2)


def speaks_no_tls(vendor):
    one = vendor()
    return account(one, url=one.url.replace("http", "https"), timeout_s=0.2)


def has_no_name(vendor):
    return account(vendor(), url="http://nobody.invalid")


def has_no_possible_name(vendor):
    return account(vendor(), url="http://a..b")


@pytest.mark.parametrize(
    "made", [nobody_listens, does_not_speak, speaks_no_tls, has_no_name, has_no_possible_name]
)
def test_without_a_connection_nothing_has_left(vendor, made):
    trouble, left = send(made(vendor))
    assert (trouble.hold, trouble.may_have_left) == (Hold.MOMENT, False)
    assert "cannot be reached" in str(trouble)
    assert not left


def test_a_certificate_must_be_vouched_for_unless_the_owner_says_otherwise(vendor):
    one, ca = vendor(is_tls=True), certificates().ca.pem
    trouble, left = send(account(one))
    assert (trouble.hold, trouble.may_have_left) == (Hold.PERSON, False)
    assert "not trusted" in str(trouble)
    assert not left
    assert send(account(one, ca=certificates().foreign_ca.pem))[0].hold is Hold.PERSON
    assert send(account(one, ca=ca))[0] == 1_620_443
    assert send(account(one, verify_tls=False))[0] == 1_620_444
    assert send(account(one, ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"))[1] == []


@pytest.mark.parametrize(
    ("number", "text"), [(Number("888", is_short_code=True), "x"), (NUMBER, "x" * 1024), (NUMBER, "é" * 512)]
)
def test_what_a_vendor_cannot_send_does_not_leave(vendor, number, text):
    one = vendor()
    with pytest.raises(VendorTrouble) as refused:
        account(one).send(number, text, lambda: None)
    assert refused.value.hold is Hold.NO
    assert not one.asked


@pytest.mark.parametrize("dialect", ["V1", "V2"])
def test_an_account_without_its_secret_asks_nobody(vendor, dialect):
    one = vendor()
    trouble, left = send(account(one, dialect=dialect, password="", api_key=""))
    assert (trouble.hold, left, one.asked.total()) == (Hold.PERSON, [], 0)


@pytest.mark.parametrize("dialect", ["V1", "V2"])
def test_the_balance_is_told(vendor, dialect):
    one = vendor()
    assert account(one, dialect=dialect).balance() == Decimal("499740")
    one.balance_status = -1
    with pytest.raises(VendorTrouble, match="refuses the account"):
        account(one, dialect=dialect).balance()


@pytest.mark.parametrize("told", ["", "much", "Infinity", "NaN", None])
def test_a_balance_that_is_no_amount_is_none(vendor, told):
    one = vendor()
    one.balance = told
    with pytest.raises(VendorTrouble, match="did not say what is left"):
        account(one).balance()


def test_reports_tell_what_has_ended_and_leave_out_the_rest(vendor):
    one = vendor()
    one.reports = {1: 0, 2: 1, 3: -1}
    told = account(one).reports([1, 2, 3])
    assert told == [Report(id=1, is_delivered=True), Report(id=2, is_delivered=False)]


def test_neither_secret_nor_text_nor_number_stands_in_an_error_or_a_log(vendor, caplog):
    plain, encrypted = vendor(), vendor(is_tls=True)
    plain.script.extend([Fault.RESET, Fault.GARBAGE, Fault.CUT, Fault.SILENT, "404", -1, 0])
    asked = [account(plain, timeout_s=0.2) for _ in plain.script]
    asked += [account(encrypted), account(encrypted, ca="no PEM"), account(encrypted, verify_tls=False)]
    with caplog.at_level("DEBUG"):
        for of in (*asked, nobody_listens(vendor)):
            outcome, _ = send(of, "zebramarker 314159")
            shown = [str(outcome), repr(outcome), repr(of.settings), repr(of), caplog.text]
            if isinstance(outcome, BaseException):
                shown += traceback.format_exception(outcome)
            for secret in (PASSWORD, KEY, "p%40ss", "zebramarker", "314159", "81200000001"):
                assert secret not in "".join(shown)
    assert not plain.script
