"""What is left on a prepaid SIM and until when: where to ask, how the answer is read, and when it is too little."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from otppi.model import ussd
from otppi.model.checks import Check, Level

_DAY_S = 86_400
# A balance that could not be read anew for so long says little.
_STALE = timedelta(days=3)

_DATE = r"\d{1,4}[-/. ]?(?:\d{1,2}|[A-Za-z]{3,9})[-/. ]?\d{2,4}"
# Reads the answers below and their like: what is called balance or has a currency in front, and the date that follows
# a word for validity.
DEFAULT_PATTERN = (
    r"(?:rp|idr|pulsa|saldo|balance)[^0-9\n]{0,20}?(?P<amount>\d+(?:[.,]\d+)*)"
    r"(?:.{0,60}?(?:aktif|active|berlaku|valid|exp|sampai|hingga|until|s/d|s\.d|\bsd\b)"
    rf"[^0-9\n]{{0,30}}?(?P<valid_until>{_DATE}))?"
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Where an operator tells the balance; what is not verified is common knowledge without a published witness."""

    operator: str
    networks: tuple[str, ...]  # mobile country and network code, as the IMSI begins (ITU-T E.212)
    ussd: str
    is_verified: bool = False


# A start for `balance_ussd`, which goes before it. Operators move their menus without telling.
PRESETS = (
    # An answer of 2020 with amount and date: gammu, issue 513. The first screen of *888# may be a menu: *888#>4.
    Preset(operator="Telkomsel", networks=("51010",), ussd="*888#", is_verified=True),
    Preset(operator="Indosat", networks=("51001", "51021"), ussd="*123#"),
    # Pages of users who checked their balance so.
    Preset(operator="XL", networks=("51011",), ussd="*123#", is_verified=True),
    Preset(operator="Axis", networks=("51008",), ussd="*123#", is_verified=True),
    Preset(operator="Tri", networks=("51089",), ussd="*111#"),
    Preset(operator="Smartfren", networks=("51009", "51028"), ussd="*999#"),
)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What an answer said; None where it did not."""

    amount: Decimal
    valid_until: date | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """The last balance that was read, and when by the wall clock."""

    balance: Balance
    at_wall_s: float

    def as_json(self) -> dict[str, object]:
        """Return it for a file."""
        until = self.balance.valid_until
        return {
            "amount": str(self.balance.amount),
            "valid_until": until.isoformat() if until else None,
            "at": self.at_wall_s,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> "Known":
        """Read what `as_json` wrote.

        Raises:
            KeyError, ValueError, ArithmeticError: It is something else.
        """
        until = document["valid_until"]
        return cls(
            balance=Balance(
                amount=Decimal(str(document["amount"])),
                valid_until=date.fromisoformat(str(until)) if until else None,
            ),
            at_wall_s=float(str(document["at"])),
        )


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """From when on a balance is too little; zero switches either half off."""

    below: float
    days: int

    def reasons(self, balance: Balance, today: date) -> list[str]:
        """Return what is wrong, in words."""
        found = []
        if self.below and balance.amount < Decimal(str(self.below)):
            found.append(f"less than {self.below:g} is left")
        if self.days and balance.valid_until is not None:
            left = (balance.valid_until - today).days
            if left < 0:
                found.append("it is no longer valid")
            elif left <= self.days:
                found.append(f"it ends in {left} days" if left != 1 else "it ends tomorrow")
        return found


def steps(balance_ussd: str, imsi: str) -> tuple[str, ...]:
    """Return the code to dial and the replies after it; empty where nobody knows.

    Args:
        balance_ussd: The owner's, such as `*888#>4`; empty to go by the operator.
        imsi: Of the SIM.
    """
    preset = next((one.ussd for one in PRESETS if imsi.startswith(one.networks)), "")
    return tuple(step for step in (balance_ussd or preset).split(">") if step)


def check_steps(balance_ussd: str) -> str:
    """Say what is wrong with a code and its replies; nothing if all is well."""
    code, *replies = balance_ussd.split(">")
    if balance_ussd and not (ussd.is_code(code) and all(map(ussd.is_safe, replies))):
        return "must be a USSD code, and the replies to its menus behind it, such as *888# or *888#>4"
    return ""


def check_pattern(pattern: str) -> str:
    """Say what is wrong with a pattern; nothing if all is well."""
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        return f"is no regular expression: {error}"
    if pattern and "amount" not in groups:
        return "has no group (?P<amount>…)"
    return ""


def read_balance(text: str, pattern: str = "") -> Balance | None:
    """Find the balance in an answer; None if it has none that can be read."""
    match = re.search(pattern or DEFAULT_PATTERN, text, re.IGNORECASE | re.DOTALL)
    if match is None:
        return None
    found = match.groupdict()
    amount = read_amount(found["amount"] or "")
    if amount is None:
        return None
    return Balance(amount=amount, valid_until=read_date(found.get("valid_until") or ""))


def read_amount(text: str) -> Decimal | None:
    """Read an amount with whatever separators: the last one parts decimals if one or two digits follow it."""
    match = re.search(r"\d+(?:[.,]\d+)*", text)
    if match is None:
        return None
    whole, decimals = re.fullmatch(r"(.*?)(?:[.,](\d{1,2}))?", match[0]).groups()  # type: ignore[union-attr]
    return Decimal(re.sub(r"[.,]", "", whole) + (f".{decimals}" if decimals else ""))


# Indonesian and English; the first three letters tell them all.
_MONTHS = (
    {"jan"}, {"feb", "peb"}, {"mar"}, {"apr"}, {"mei", "may"}, {"jun"},
    {"jul"}, {"agu", "ags", "agt", "aug"}, {"sep"}, {"okt", "oct"}, {"nov", "nop"}, {"des", "dec"},
)  # fmt: skip


def read_date(text: str) -> date | None:
    """Read a date with the day first, or the year; the other order of day and month where only that can be."""
    match = re.search(
        r"(\d{1,4})[-/. ]?(\d{1,2}(?!\d)|\d{1,2}(?=[-/. ])|[A-Za-z]{3,9})[-/. ]?(\d{2,4})", text
    )
    if match is None:
        return None
    first, middle, last = match.groups()
    if middle.isdigit():
        month = int(middle)
    else:
        month = next((n for n, names in enumerate(_MONTHS, 1) if middle[:3].lower() in names), 0)
    year, day = (int(first), int(last)) if len(first) == 4 else (int(last), int(first))
    if month > 12 >= day and len(first) <= 2:
        month, day = day, month
    try:
        return date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        return None


def next_check_s(sim: str, last_wall_s: float) -> float:
    """Return when a SIM is asked again: once a day, at a minute of its own that looks like any other."""
    own_s = zlib.crc32(sim.encode()) % 1440 * 60
    return ((last_wall_s - own_s) // _DAY_S + 1) * _DAY_S + own_s


def check_balance(name: str, known: Known | None, problem: str, alarm: Alarm, now_s: float) -> Check:
    """Look at the balance of one SIM."""
    name = f"balance of {name}"
    if known is None:
        if not problem:
            return Check(name=name, level=Level.GREEN, finding="not asked yet")
        return Check(name=name, level=Level.YELLOW, finding=problem, advice=_ADVICE_CANNOT_READ)
    today = _day(now_s)
    until = known.balance.valid_until
    finding = f"{known.balance.amount:,}".replace(",", " ") + (f", valid until {until}" if until else "")
    finding += f" (asked on {_day(known.at_wall_s)})"
    if reasons := alarm.reasons(known.balance, today):
        advice = "Top up the SIM; without credit its messages fail."
        return Check(name=name, level=Level.YELLOW, finding=f"{finding}: {', '.join(reasons)}", advice=advice)
    if today - _day(known.at_wall_s) > _STALE:
        why = f": {problem}" if problem else ""
        return Check(
            name=name,
            level=Level.YELLOW,
            finding=f"{finding}, not read since{why}",
            advice=_ADVICE_CANNOT_READ,
        )
    return Check(name=name, level=Level.GREEN, finding=finding)


_ADVICE_CANNOT_READ = (
    "Dial the code by hand (otppi ussd MODEM CODE) and set balance_ussd and balance_pattern of the modem so that they "
    "fit, or balance_check to never."
)


def _day(wall_s: float) -> date:
    return date.fromtimestamp(wall_s)
