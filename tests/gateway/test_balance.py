from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.gateway import balance
from otppi.gateway.balance import Alarm, Balance, Known
from otppi.model.checks import Level

# Answers as users of the operators published them (an Android program that reads them, and gammu, issue 513), and
# amounts and dates in other forms.
ANSWERS = {
    "Sisa Pulsa Anda Rp.5600. Masa berlaku sampai dengan 05/11/2014.": ("5600", "2014-11-05"),
    "Sisa pulsa Rp.3000.Aktif sd 26/02/2020.\nKonten Rp2200/SMS\n1.YA": ("3000", "2020-02-26"),
    "Pulsa 19350 s/d 18Aug13.": ("19350", "2013-08-18"),
    "Pulsa anda sisa Rp 1234 berlaku s/d 18-AUG-14.": ("1234", "2014-08-18"),
    "Pulsa Anda Rp. 36,998 berlaku s/d 03/05/2014": ("36998", "2014-05-03"),
    "Balance Rp.8500. Active 08.16.13, GracePeriod 09.15.13.": ("8500", "2013-08-16"),
    "Saldo Rp 12,500.00 aktif s.d. 31 Des 2026": ("12500.00", "2026-12-31"),
    "Rp12.500 exp 31-12-26": ("12500", "2026-12-31"),
    "Sisa pulsa Rp 0. Masa aktif hingga 2026-12-31": ("0", "2026-12-31"),
    "Balance: IDR 1.250.000,5": ("1250000.5", None),
    "Rp1000 aktif 99/99/2026": ("1000", None),
}


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_of_operators_are_read(text):
    amount, until = ANSWERS[text]
    assert balance.read_balance(text) == Balance(
        amount=Decimal(amount), valid_until=date.fromisoformat(until) if until else None
    )


@pytest.mark.parametrize("text", ["", "1 Pulsa\n2 Data", "Maaf, layanan tidak tersedia", "Terima kasih"])
def test_what_is_no_balance_is_none(text):
    assert balance.read_balance(text) is None


def test_the_owner_may_say_where_it_stands():
    text = "Credit 7.50 EUR (bonus Rp 99), ends 1 Mei 2027"
    pattern = r"Credit (?P<amount>\S+) .* ends (?P<valid_until>.*)"
    assert balance.read_balance(text, pattern) == Balance(
        amount=Decimal("7.50"), valid_until=date(2027, 5, 1)
    )
    assert balance.read_balance(text, r"Credit (?P<amount>\S+)") == Balance(amount=Decimal("7.50"))


@pytest.mark.parametrize(
    ("text", "amount"),
    [("Rp12.500", "12500"), ("Rp 12,500.00", "12500.00"), ("1.234.567", "1234567"), ("5,5", "5.5")],
)
def test_amounts(text, amount):
    assert balance.read_amount(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["31/12/2026", "31-12-26", "31 Des 2026", "31 December 2026", "12/31/2026", "31.12.26"]
)
def test_dates(text):
    assert balance.read_date(text) == date(2026, 12, 31)


@given(st.text(max_size=182))
def test_any_answer_is_read_or_is_none(text):
    balance.read_balance(text)
    balance.read_date(text)


def test_the_code_is_the_owner_s_or_else_that_of_the_operator():
    assert balance.steps("", "510101234567890") == ("*888#",)
    assert balance.steps("*888#>4>1", "510101234567890") == ("*888#", "4", "1")
    assert balance.steps("", "001010000000001") == ()
    assert len({network for preset in balance.PRESETS for network in preset.networks}) == 8


@pytest.mark.parametrize("steps", ["", "*888#", "*888#>4", "*888#>4>Rahasia 1"])
def test_codes_and_replies(steps):
    assert balance.check_steps(steps) == ""


@pytest.mark.parametrize("steps", ["888", ">4", '*888#>"', "*888#>", "*888#;>4"])
def test_what_is_no_code(steps):
    assert balance.check_steps(steps)


@pytest.mark.parametrize("pattern", ["(", "Rp (\\d+)"])
def test_what_is_no_pattern(pattern):
    assert balance.check_pattern(pattern)
    assert not balance.check_pattern("")


TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("amount", "until", "reasons"),
    [
        ("5000", None, []),
        ("4999.99", None, ["less than 5000 is left"]),
        ("9000", TODAY + timedelta(days=6), []),
        ("9000", TODAY + timedelta(days=5), ["it ends in 5 days"]),
        ("9000", TODAY + timedelta(days=1), ["it ends tomorrow"]),
        ("1", TODAY - timedelta(days=1), ["less than 5000 is left", "it is no longer valid"]),
    ],
)
def test_too_little_is_said_why(amount, until, reasons):
    left = Balance(amount=Decimal(amount), valid_until=until)
    assert Alarm(below=5000, days=5).reasons(left, TODAY) == reasons
    assert Alarm(below=0, days=0).reasons(left, TODAY) == []


@given(st.text("0123456789", min_size=1), st.floats(1.7e9, 1.9e9))
def test_each_sim_has_its_minute_of_the_day(sim, last_s):
    first = balance.next_check_s(sim, last_s)
    assert last_s < first <= last_s + 86_400
    assert balance.next_check_s(sim, first) == first + 86_400
    assert first % 60 == 0


def test_what_is_kept_is_read_again():
    known = Known(balance=Balance(amount=Decimal("12500.00"), valid_until=TODAY), at_wall_s=1.8e9)
    assert Known.from_json(known.as_json()) == known


def test_the_line_of_the_diagnosis():
    alarm, now_s = Alarm(below=5000, days=5), 1_800_000_000.0
    left = Known(balance=Balance(amount=Decimal(12500)), at_wall_s=now_s - 3600)
    assert balance.check_balance("a", left, "", alarm, now_s).level is Level.GREEN
    assert balance.check_balance("a", None, "", alarm, now_s).level is Level.GREEN
    for known, problem in (
        (None, "the network timed out"),
        (Known(balance=Balance(amount=Decimal(1)), at_wall_s=now_s), ""),
        (Known(balance=left.balance, at_wall_s=now_s - 5 * 86_400), "the network timed out"),
    ):
        check = balance.check_balance("a", known, problem, alarm, now_s)
        assert check.level is Level.YELLOW
        assert check.advice
        assert problem in check.finding
