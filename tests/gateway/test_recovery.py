import queue
import re
import tempfile
import threading
from pathlib import Path

import pyotp
import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.admin_tokens import AdminToken, AdminTokens
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.journal import Journal
from otppi.gateway.otp import OtpSettings, OtpStore
from otppi.gateway.policy import SmsSettings
from otppi.gateway.recovery import Recovery
from otppi.gateway.sessions import Sessions
from otppi.lib.passwords import hash_password
from otppi.model.errors import (
    BadRequest,
    OtpInvalid,
    SecondFactorNeeded,
    SendFailed,
    TooManyRequests,
    Unauthorized,
)
from otppi.model.sms_text import Coding, code_text
from otppi.settings.store import SettingsStore

KEY = bytes(range(32))
OLD, NEW = "correct horse", "quite another one"
STORED = hash_password(OLD)
HERE = "192.0.2.1"


class Desk:
    """A device with one administrator who has a phone."""

    def __init__(self, tmp_path, clock, journal=None):
        self.clock = clock
        self.store = SettingsStore(tmp_path, (Administrator, AdminToken, SmsSettings), None)
        self.store.put(Administrator, "ann", {"password": STORED, "phone": "0812 0000 0001"})
        self.accounts = AdminAccounts(self.store, clock, KEY)
        self.sessions = Sessions(lambda: self.store.items(Administrator), clock)
        self.tokens = AdminTokens(self.store)
        self.sent = queue.Queue()
        self.contacts = ["6281200000001"]
        self.recovery = Recovery(
            self.accounts,
            self.sessions,
            self.tokens,
            lambda contacts, text: self.sent.put((contacts, text)),
            KEY,
            clock,
            journal or Journal(None, clock),
        )

    def code(self, called="ann", **more):
        self.recovery.begin(called, HERE, **more)
        contacts, text = self.sent.get(timeout=10)
        assert contacts == self.contacts
        return re.match("[0-9]{8}", text)[0]

    def sends_nothing(self, called):
        self.recovery.begin(called, HERE)
        return not deliveries() and self.sent.empty()

    def finish(self, code, password=NEW, called="ann", address=HERE):
        return self.recovery.finish(called, code, password, address)

    def put(self, **values):
        self.store.put(Administrator, "ann", values)


def deliveries():
    return [one for one in threading.enumerate() if one.name == "recovery"]


def other(code):
    return f"{(int(code) + 1) % 10**8:08d}"


@pytest.fixture
def desk(tmp_path, clock):
    return Desk(tmp_path, clock)


def test_the_code_sets_a_new_password_and_ends_sessions(desk):
    session = desk.sessions.open("ann", HERE, "")
    assert desk.finish(desk.code()) == "ann"
    assert desk.accounts.log_in("ann", NEW, HERE) == "ann"
    with pytest.raises(Unauthorized):
        desk.accounts.log_in("ann", OLD, HERE)
    assert desk.sessions.find(session) is None
    desk.put(password=STORED)  # as from a backup
    assert desk.sessions.find(session) is None


def test_tokens_of_the_account_end_and_those_of_others_do_not(desk):
    desk.store.put(Administrator, "bob", {"password": STORED})
    own, other = (desk.tokens.make(user, "owner", "")["token"] for user in ("ann", "bob"))
    desk.finish(desk.code())
    with pytest.raises(Unauthorized):
        desk.tokens.check(own)
    assert desk.tokens.check(other)[0] == "bob"


@pytest.mark.parametrize("called", ["081200000001", "ann@example.org"])
def test_a_contact_names_the_account_as_well(desk, called):
    desk.put(email="ann@example.org")
    desk.contacts += ["ann@example.org"]
    assert desk.finish(desk.code(called), called=called) == "ann"


def test_who_has_no_phone_or_is_switched_off_or_unknown_gets_the_same_answer(desk):
    assert desk.sends_nothing("nobody")
    for values in ({"active": False}, {"active": True, "phone": ""}, {"phone": "123"}):
        desk.put(**values)
        assert desk.sends_nothing("ann")


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_text_is_in_the_language_of_the_account_and_one_part(tmp_path, clock, language):
    desk = Desk(tmp_path, clock)
    desk.put(language=language)
    desk.recovery.begin("ann", HERE)
    _, text = desk.sent.get(timeout=10)
    assert ("sandi" in text) == (language == "id")
    coded = code_text(text)
    assert (coded.coding, coded.part_count) == (Coding.GSM7, 1)


def test_the_language_of_the_page_is_taken_where_the_account_names_none(desk):
    desk.recovery.begin("ann", HERE, "id")
    assert "sandi" in desk.sent.get(timeout=10)[1]


def test_a_code_works_once(desk):
    code = desk.code()
    desk.finish(code)
    with pytest.raises(OtpInvalid):
        desk.finish(code)


def test_a_code_lives_ten_minutes(desk):
    first = desk.code()
    desk.clock.advance(599)
    desk.finish(first)
    second = desk.code()
    desk.clock.advance(600)
    with pytest.raises(OtpInvalid):
        desk.finish(second)


def test_who_asks_and_guesses_from_elsewhere_keeps_nobody_from_using_his_code(desk):
    code = desk.code()
    for _ in range(5):
        assert desk.sends_nothing("ann"), "as the one before counts still"
    for _ in range(10):
        with pytest.raises(OtpInvalid):
            desk.finish(other(code), address="192.0.2.66")
    with pytest.raises(TooManyRequests):
        desk.finish(other(code), address="192.0.2.66")
    assert desk.finish(code) == "ann"


def test_asking_while_a_code_counts_uses_up_none_of_the_codes_of_the_hour(desk):
    for _ in range(3):
        desk.code()
        assert desk.sends_nothing("ann")
        desk.clock.advance(600)


def test_many_wrong_tries_from_everywhere_kill_a_code_until_another_may_be_asked_for(desk):
    code = desk.code()
    for number in range(50):
        with pytest.raises(OtpInvalid):
            desk.finish(other(code), address=f"192.0.2.{100 + number}")
    with pytest.raises(OtpInvalid):
        desk.finish(code)
    desk.clock.advance(600)
    desk.finish(desk.code())


def test_a_code_is_for_the_number_it_went_to(desk):
    code = desk.code()
    desk.put(phone="081200000002")
    with pytest.raises(OtpInvalid):
        desk.finish(code)


def test_a_code_of_one_account_does_not_open_another(desk):
    desk.store.put(Administrator, "bob", {"password": STORED, "phone": "081200000003"})
    code = desk.code()
    with pytest.raises(OtpInvalid):
        desk.finish(code, called="bob")
    desk.finish(code)


def test_a_switched_off_account_gets_no_new_password(desk):
    code = desk.code()
    desk.store.put(Administrator, "bob", {"password": STORED})
    desk.put(blocked=True)
    with pytest.raises(OtpInvalid):
        desk.finish(code)


def test_every_wrong_answer_is_the_same(desk):
    code = desk.code()
    answers = set()
    for called, typed in (("ann", other(code)), ("nobody", code), ("bob", ""), ("", "")):
        with pytest.raises(OtpInvalid) as caught:
            desk.finish(typed, called=called)
        answers.add(str(caught.value))
    desk.clock.advance(600)
    with pytest.raises(OtpInvalid) as caught:
        desk.finish(code)
    assert answers == {str(caught.value)}


def test_a_weak_password_does_not_use_up_the_code(desk):
    code = desk.code()
    for weak in ("short", "1234567890"):
        with pytest.raises(BadRequest, match="password"):
            desk.finish(code, weak)
    desk.finish(code)


def test_no_password_tells_which_name_belongs_to_a_phone_number(desk):
    phone, name_as_password = "0812 0000 0001", "anneliese-1234"
    desk.store.put(Administrator, "anneliese", {"password": STORED, "phone": "081200000002"})
    for called in (phone, "081200000002", "nobody"):
        with pytest.raises(OtpInvalid):
            desk.finish("00000000", name_as_password, called=called)
    desk.recovery.begin("anneliese", HERE)
    _, text = desk.sent.get(timeout=10)
    with pytest.raises(BadRequest, match="user name"):
        desk.finish(text[:8], name_as_password, called="081200000002")


def test_weak_passwords_are_counted_as_every_other_try(desk):
    for _ in range(10):
        with pytest.raises(BadRequest):
            desk.finish("00000000", "short")
    with pytest.raises(TooManyRequests):
        desk.finish("00000000", "short")


def test_three_codes_an_hour_for_an_account(desk):
    for _ in range(3):
        desk.code()
        desk.clock.advance(600)
    assert desk.sends_nothing("ann")
    desk.clock.advance(3600)
    desk.finish(desk.code())


def test_ten_an_hour_from_an_address_whether_there_are_accounts_or_not(desk):
    for number in range(10):
        desk.recovery.begin(f"nobody{number}", HERE)
    with pytest.raises(TooManyRequests):
        desk.recovery.begin("ann", HERE)
    desk.recovery.begin("ann", "192.0.2.2")
    desk.sent.get(timeout=10)


def test_wrong_codes_from_an_address_are_limited(desk):
    for _ in range(2):
        for _ in range(10):
            with pytest.raises(OtpInvalid):
                desk.finish("00000000", called="nobody")
        with pytest.raises(TooManyRequests):
            desk.finish("00000000", called="nobody")
        desk.clock.advance(601)
    code = desk.code()
    with pytest.raises(TooManyRequests):
        desk.finish(code)
    desk.finish(code, address="192.0.2.2")


def test_the_second_factor_stays(desk):
    desk.put(totp_secret=pyotp.random_base32())
    desk.finish(desk.code())
    with pytest.raises(SecondFactorNeeded):
        desk.accounts.log_in("ann", NEW, HERE)


def test_who_waits_to_log_in_is_not_hindered(desk):
    for last in range(6):
        with pytest.raises(Unauthorized):
            desk.accounts.log_in("ann", "a wrong one", f"192.0.2.{10 + last}")
        desk.clock.advance(60)
    assert desk.finish(desk.code()) == "ann"


def test_asking_does_not_wait_for_the_network_and_a_failure_is_logged_without_the_code(desk, caplog):
    may_fail = threading.Event()
    texts = []

    def send(number, text):
        texts.append(text)
        may_fail.wait(10)
        raise SendFailed("the modem refused")

    journal = Journal(None, desk.clock)
    recovery = Recovery(desk.accounts, desk.sessions, desk.tokens, send, KEY, desk.clock, journal)
    recovery.begin("ann", HERE)
    (thread,) = deliveries()
    may_fail.set()
    thread.join(10)
    told = str([record.__dict__ for record in caplog.records])
    assert "was not sent" in told
    assert texts[0][:8] not in told
    assert "6281200000001" not in told
    recovery.begin("ann", HERE)  # what never left is no reason to wait
    for thread in deliveries():
        thread.join(10)
    assert len(texts) == 2


def test_without_a_phone_or_after_it_the_address_is_tried(desk):
    desk.put(email="ann@example.com")
    desk.contacts = ["6281200000001", "ann@example.com"]
    assert desk.finish(desk.code()) == "ann"
    desk.put(phone="")
    desk.contacts = ["ann@example.com"]
    code = desk.code()
    desk.put(email="eve@example.com")
    with pytest.raises(OtpInvalid):
        desk.finish(code)


def test_codes_of_callers_and_of_administrators_live_in_one_journal(tmp_path, clock):
    of_caller = ("ann", "6281200000001", ("", "", "", ""))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram:
        journal = Journal(Path(ram), clock)
        codes = OtpStore(OtpSettings, KEY, clock, journal)
        desk = Desk(tmp_path, clock, journal)
        issued = codes.issue(*of_caller, 300)
        codes.submitted("ann", issued.token)
        for number in range(1100):  # enough for the journal to be written anew
            with pytest.raises(OtpInvalid):
                desk.finish(issued.code, address=f"192.0.2.{number}")
        journal.close()
        OtpStore(OtpSettings, KEY, clock, Journal(Path(ram), clock)).verify(*of_caller, issued.code)
