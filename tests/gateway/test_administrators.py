import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from otppi.gateway.accounts import Administrator, ApiAccounts, ApiUser, refuse_without_owner
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.new_passwords import refuse_weak
from otppi.gateway.policy import SmsSettings
from otppi.lib.passwords import hash_password
from otppi.model.errors import (
    BadRequest,
    ClockNotSet,
    SecondFactorNeeded,
    SettingsError,
    TooManyRequests,
    Unauthorized,
)
from otppi.settings.store import SettingsStore

KEY = bytes(range(32))
RIGHT, WRONG = "correct horse", "incorrect horse"
STORED = hash_password(RIGHT)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def store(tmp_path):
    store = SettingsStore(tmp_path, (Administrator, ApiUser, SmsSettings), None)
    store.guard(Administrator, refuse_without_owner)
    store.put(
        Administrator, "ann", {"password": STORED, "email": "Ann@example.org", "phone": "0812 0000 0001"}
    )
    return store


@pytest.fixture
def accounts(store, clock):
    return AdminAccounts(store, clock, KEY)


def refused(accounts, user="ann", clear=WRONG, address="192.0.2.1", **more):
    with pytest.raises(Unauthorized) as caught:
        accounts.log_in(user, clear, address, **more)
    return str(caught.value)


def made_to_wait(accounts, clear=RIGHT, address="192.0.2.1", **more):
    """Return for how long a right password is not even looked at; 0 if it passes."""
    try:
        accounts.log_in("ann", clear, address, **more)
    except TooManyRequests as error:
        return error.retry_after_s
    return 0


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("called", ["ann", "ann@EXAMPLE.org", "081200000001", "+62 812-0000-0001"])
def test_an_administrator_may_be_called_by_name_mail_or_phone(accounts, called):
    assert accounts.log_in(called, RIGHT, "192.0.2.1") == "ann"


@pytest.mark.parametrize("called", ["ann@example.org", "081200000001"])
def test_a_contact_that_two_accounts_have_names_neither(accounts, store, called):
    store.put(
        Administrator, "bob", {"password": STORED, "email": "ann@example.org", "phone": "+6281200000001"}
    )
    refused(accounts, called, RIGHT)
    assert accounts.log_in("bob", RIGHT, "192.0.2.1") == "bob"


def test_an_empty_contact_names_nobody(accounts, store):
    store.put(Administrator, "bob", {"password": STORED})
    refused(accounts, "", RIGHT)


def test_unknown_wrong_and_switched_off_are_answered_alike(accounts, store):
    store.put(Administrator, "off", {"password": STORED, "active": False})
    store.put(Administrator, "blocked", {"password": STORED, "blocked": True})
    answers = {
        refused(accounts),
        refused(accounts, "nobody"),
        refused(accounts, "off", RIGHT),
        refused(accounts, "blocked", RIGHT),
    }
    assert len(answers) == 1


def test_every_refusal_costs_one_slow_hash(accounts, store, monkeypatch):
    store.put(Administrator, "old", {"password": f"sha256${sha256(RIGHT)}"})
    made = []
    slow = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", lambda *args, **named: made.append(1) or slow(*args, **named))
    costs = []
    for user in ("ann", "nobody", "old"):
        made.clear()
        refused(accounts, user)
        costs.append(len(made))
    assert costs == [1, 1, 1]


@pytest.mark.parametrize("old", [f"sha256${sha256(RIGHT)}", f"sha256x2${sha256(sha256(RIGHT))}"])
def test_the_hash_of_an_old_device_is_accepted_once_and_renewed(accounts, store, clock, old):
    store.put(Administrator, "ann", {"password": old})
    store.put(ApiUser, "shop", {"password": old})
    refused(accounts)
    assert store.items(Administrator)["ann"].password == old
    accounts.log_in("ann", RIGHT, "192.0.2.1")
    renewed = store.items(Administrator)["ann"].password
    assert renewed.startswith("scrypt$")
    accounts.log_in("ann", RIGHT, "192.0.2.1")
    assert store.items(Administrator)["ann"].password == renewed
    with pytest.raises(Unauthorized):
        ApiAccounts(store, clock).check("shop", old.partition("$")[2], "192.0.2.1")
    ApiAccounts(store, clock).check("shop", RIGHT, "192.0.2.1")
    assert store.items(ApiUser)["shop"].password.startswith("scrypt$")


def test_of_many_api_callers_with_an_old_password_at_once_all_pass(store, clock):
    store.put(ApiUser, "shop", {"password": f"sha256${sha256(RIGHT)}"})
    accounts, start = ApiAccounts(store, clock), threading.Barrier(8)

    def call(address):
        start.wait()
        accounts.check("shop", RIGHT, address)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, ["192.0.2.1"] * 8)) == [None] * 8


def test_waits_grow_to_a_minute_and_no_further(accounts, clock):
    waits = []
    for _ in range(14):
        refused(accounts)
        waits.append(made_to_wait(accounts, WRONG) if len(waits) >= 4 else 0)
        clock.advance(60)
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_what_is_refused_while_it_waits_makes_the_wait_no_longer(accounts, clock):
    for _ in range(5):
        refused(accounts)
    for _ in range(50):
        assert made_to_wait(accounts) == 1
    clock.advance(1)
    assert made_to_wait(accounts) == 0


def test_guessing_from_many_addresses_makes_the_account_wait_but_no_browser_that_is_known(accounts):
    mark = accounts.browser_mark("ann")
    for last in range(5):
        refused(accounts, address=f"192.0.2.{last}")
    assert made_to_wait(accounts, address="198.51.100.7") > 0
    assert made_to_wait(accounts, address="192.0.2.1", known_browser=mark) == 0


def test_a_known_browser_has_waits_of_its_own(accounts):
    mark = accounts.browser_mark("ann")
    for _ in range(5):
        refused(accounts, known_browser=mark)
    assert made_to_wait(accounts, known_browser=mark) > 0
    assert made_to_wait(accounts) == 0


@pytest.mark.parametrize("forge", [lambda mark: mark[:-1] + "x", lambda mark: "", lambda mark: "é.\udcff"])
def test_a_forged_mark_makes_no_browser_known(accounts, forge):
    mark = forge(accounts.browser_mark("ann"))
    for _ in range(5):
        refused(accounts)
    assert made_to_wait(accounts, known_browser=mark) > 0


def test_the_mark_of_one_user_is_of_no_use_for_another(accounts, store):
    store.put(Administrator, "bob", {"password": STORED})
    for _ in range(5):
        refused(accounts)
    assert made_to_wait(accounts, known_browser=accounts.browser_mark("bob")) > 0


def test_a_right_password_of_ones_own_buys_no_guesses_at_others(accounts, store):
    store.put(Administrator, "eve", {"password": STORED, "role": "viewer"})
    for _ in range(4):
        refused(accounts)
    accounts.log_in("eve", RIGHT, "192.0.2.1")
    refused(accounts, "bob")
    assert made_to_wait(accounts) > 0


def test_an_unknown_name_waits_like_a_known_one(accounts):
    for last in range(5):
        refused(accounts, "nobody", address=f"192.0.2.{last}")
    with pytest.raises(TooManyRequests):
        accounts.log_in("nobody", RIGHT, "198.51.100.7")


def test_of_many_guesses_at_once_only_the_free_ones_are_looked_at(accounts):
    for _ in range(4):
        with pytest.raises(Unauthorized):
            accounts.log_in("ann", WRONG, "192.0.2.1")
    start = threading.Barrier(8)

    def guess(address):
        start.wait()
        try:
            accounts.log_in("ann", WRONG, address)
        except (Unauthorized, TooManyRequests) as error:
            return type(error).__name__

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(guess, ["192.0.2.1"] * 8))
    assert outcomes == ["TooManyRequests"] * 7 + ["Unauthorized"]


def test_the_log_has_no_name_that_nobody_has(accounts, caplog):
    refused(accounts, "a password in the wrong field")
    assert "wrong field" not in str([record.__dict__ for record in caplog.records])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def code(clock, steps=0):
    return pyotp.TOTP(SECRET).at(int(clock.wall_s()), counter_offset=steps)


@pytest.fixture
def with_app(store, clock):
    store.put(Administrator, "ann", {"totp_secret": SECRET})
    return AdminAccounts(store, clock, KEY)


def test_a_second_factor_is_asked_for_only_after_a_right_password(with_app, clock):
    with pytest.raises(Unauthorized) as wrong:
        with_app.log_in("ann", WRONG, "192.0.2.1", totp=code(clock))
    assert not isinstance(wrong.value, SecondFactorNeeded)
    with pytest.raises(SecondFactorNeeded):
        with_app.log_in("ann", RIGHT, "192.0.2.1")
    assert with_app.log_in("ann", RIGHT, "192.0.2.1", totp=code(clock)) == "ann"


@pytest.mark.parametrize(("steps", "passes"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_may_be_one_step_off(with_app, clock, steps, passes):
    typed = code(clock, steps)
    if passes:
        assert with_app.log_in("ann", RIGHT, "192.0.2.1", totp=f"{typed[:3]} {typed[3:]}") == "ann"
    else:
        refused(with_app, clear=RIGHT, totp=typed)


def test_a_used_code_and_an_older_one_are_not_accepted(with_app, clock):
    with_app.log_in("ann", RIGHT, "192.0.2.1", totp=code(clock))
    for again in (code(clock), code(clock, -1)):
        with pytest.raises(SecondFactorNeeded, match="wrong"):
            with_app.log_in("ann", RIGHT, "192.0.2.1", totp=again)
    assert with_app.log_in("ann", RIGHT, "192.0.2.1", totp=code(clock, 1)) == "ann"


def test_wrong_codes_make_the_next_one_wait_up_to_ten_minutes(with_app, clock):
    for _ in range(5):
        refused(with_app, clear=RIGHT, totp="000000" if code(clock) != "000000" else "000001")
    assert made_to_wait(with_app, totp=code(clock)) == 1
    for _ in range(12):
        clock.advance(600)
        refused(with_app, clear=RIGHT, totp="12345")
    assert made_to_wait(with_app, totp=code(clock)) == 600
    clock.advance(600)
    assert made_to_wait(with_app, totp=code(clock)) == 0


def test_without_a_clock_no_code_is_judged_and_the_error_has_advice(with_app, clock):
    clock.trusted = False
    with pytest.raises(ClockNotSet, match=r"access point.*USB stick"):
        with_app.log_in("ann", RIGHT, "192.0.2.1", totp=code(clock))
    refused(with_app)


def test_half_a_log_in_stands_for_the_password_for_some_minutes(with_app, clock):
    half_way = with_app.half_way_mark("ann")
    clock.advance(299)
    with pytest.raises(SecondFactorNeeded):
        with_app.log_in("ann", "", "192.0.2.1", half_way=half_way)
    assert with_app.log_in("ann", "", "192.0.2.1", totp=code(clock), half_way=half_way) == "ann"
    clock.advance(1)
    with pytest.raises(Unauthorized, match="password"):
        with_app.log_in("ann", "", "192.0.2.1", totp=code(clock, 1), half_way=half_way)


@pytest.mark.parametrize("change", [{"password": "quite another one"}, {"active": False}, {"blocked": True}])
def test_half_a_log_in_ends_with_what_it_was_begun_by(with_app, store, clock, change):
    store.put(Administrator, "bob", {"password": RIGHT})
    half_way = with_app.half_way_mark("ann")
    store.put(Administrator, "ann", change)
    with pytest.raises(Unauthorized, match="password"):
        with_app.log_in("ann", "", "192.0.2.1", totp=code(clock), half_way=half_way)


def test_half_a_log_in_of_another_account_or_life_of_the_service_is_worth_nothing(with_app, store, clock):
    store.put(Administrator, "bob", {"password": RIGHT, "totp_secret": SECRET})
    for half_way in (
        with_app.half_way_mark("bob"),
        with_app.half_way_mark("nobody"),
        AdminAccounts(store, clock, KEY).half_way_mark("ann"),
        "9" * 30 + with_app.half_way_mark("ann"),
        ".",
        "²³.é",
    ):
        with pytest.raises((Unauthorized, TooManyRequests)):
            with_app.log_in("ann", "", "192.0.2.1", totp=code(clock), half_way=half_way)


def test_codes_are_not_guessed_with_half_a_log_in(with_app, clock):
    half_way = with_app.half_way_mark("ann")
    wrong = "000000" if code(clock) != "000000" else "000001"
    for _ in range(5):
        with pytest.raises(SecondFactorNeeded):
            with_app.log_in("ann", "", "192.0.2.1", totp=wrong, half_way=half_way)
    with pytest.raises(TooManyRequests):
        with_app.log_in("ann", "", "192.0.2.1", totp=code(clock), half_way=half_way)


def test_an_authenticator_app_is_set_up_by_showing_a_code_of_it(accounts, store, clock):
    begun = accounts.begin_totp("ann")
    assert begun["uri"].startswith("otpauth://totp/OTP-Pi:ann?secret=" + begun["secret"])
    assert not store.items(Administrator)["ann"].totp_secret
    with pytest.raises(BadRequest, match="code"):
        accounts.enable_totp("ann", begun["secret"], "12345")
    for bad in ("", "short", "x" * 32):
        with pytest.raises(BadRequest, match="secret"):
            accounts.enable_totp("ann", bad, "123456")
    now = pyotp.TOTP(begun["secret"]).at(int(clock.wall_s()))
    accounts.enable_totp("ann", begun["secret"], now)
    with pytest.raises(SecondFactorNeeded):
        accounts.log_in("ann", RIGHT, "192.0.2.1")
    accounts.disable_totp("ann")
    assert accounts.log_in("ann", RIGHT, "192.0.2.1") == "ann"


def test_the_secret_of_an_app_is_sealed_on_the_disk(with_app, store, tmp_path):
    files = [path for path in (tmp_path / "settings").iterdir() if path.is_file()]
    assert files
    assert not any(SECRET in path.read_text() for path in files)
    assert SettingsStore(tmp_path, (Administrator,), None).items(Administrator)["ann"].totp_secret == SECRET


def test_the_password_is_asked_for_once_more_without_hindering_log_ins(accounts):
    accounts.confirm("ann", RIGHT)
    for _ in range(5):
        with pytest.raises(BadRequest, match="password"):
            accounts.confirm("ann", WRONG)
    with pytest.raises(TooManyRequests):
        accounts.confirm("ann", RIGHT)
    assert made_to_wait(accounts) == 0


def test_a_new_password_takes_the_place_of_the_old_one(accounts):
    accounts.set_password("ann", "quite another one")
    refused(accounts, clear=RIGHT)
    assert accounts.log_in("ann", "quite another one", "192.0.2.1") == "ann"
    with pytest.raises(BadRequest):
        accounts.set_password("nobody", "quite another one")


def test_a_hash_typed_as_a_password_is_a_password(accounts, store):
    accounts.set_password("ann", STORED)
    refused(accounts, clear=RIGHT)
    assert accounts.log_in("ann", STORED, "192.0.2.1") == "ann"


@pytest.mark.parametrize(
    ("user", "clear"),
    [
        ("ann", "too short"),
        ("ann", "1234567890"),
        ("ann", "9876543210"),
        ("ann", "aaaaaaaaaaaa"),
        ("ann", "abababababab"),
        ("ann", "Password2026!"),
        ("ann", "Indonesia1945"),
        ("ann", "bismillah123"),
        ("ann", "qwertyuiop"),
        ("warungbudi", "WarungBudi"),
        ("budi", "budi!!!!2026"),
    ],
)
def test_what_a_guesser_tries_first_is_refused_as_a_new_password(user, clear):
    with pytest.raises(BadRequest, match="password") as caught:
        refuse_weak(user, clear)
    assert clear not in str(caught.value)


@pytest.mark.parametrize(
    "clear", [RIGHT, "kucing makan ikan", "tR7-pQ2x9w", "62812000000x7", "password of ann"]
)
def test_everything_else_is_allowed(clear):
    refuse_weak("ann", clear)


@pytest.mark.parametrize("change", [{"role": "operator"}, {"active": False}, {"blocked": True}])
def test_the_last_owner_stays_one(store, change):
    store.put(Administrator, "bob", {"password": STORED, "role": "operator"})
    store.put(Administrator, "off", {"password": STORED, "active": False})
    with pytest.raises(SettingsError, match="owner"):
        store.put(Administrator, "ann", change)
    with pytest.raises(SettingsError, match="owner"):
        store.remove(Administrator, "ann")
    store.put(Administrator, "bob", {"role": "owner"})
    store.put(Administrator, "ann", change)


def test_a_reset_removes_the_last_owner_as_well(store):
    store.reset(Administrator)
    assert not store.items(Administrator)
