"""Which modems may carry a message, cheapest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from otppi.gateway.ledger import Ledger, Parcel
from otppi.model.modems import ModemStatus
from otppi.model.number import Number
from otppi.model.tariff import shown_money

_UNKNOWN_PRICE = Decimal("Infinity")
_Rank = tuple[int, int]
_Order = tuple[bool, Decimal, _Rank]


@dataclass(frozen=True)
class Plan:
    """The groups of equal modems in the order in which they are to be tried."""

    groups: list[list[str]]
    # How long until the quota of one more modem lets the message go; None if no quota keeps one back.
    quota_wait_s: float | None


def plan(parcel: Parcel, modems: Sequence[ModemStatus], ledger: Ledger) -> Plan:
    """Choose by price: the SIM that is charged least first, one of unknown price last.

    Where prices are equal, and so wherever none is set, come first those with the longest prefix that the number
    begins with, then those with shorter ones, then the default modems, then every other one. What is equal in this
    as well is one group. What is kept for the last resort comes after all others, by the same rules. Inactive,
    API-disabled and unready modems and those whose quota is used up are in none.
    """
    groups: dict[_Order, list[str]] = {}
    waits = []
    for modem in modems:
        if objection(modem):
            continue
        wait_s = ledger.wait_s(modem, parcel)
        if wait_s > 0:
            waits.append(wait_s)
        else:
            groups.setdefault(_order(modem, parcel, ledger), []).append(modem.id)
    return Plan([groups[order] for order in sorted(groups)], min(waits, default=None))


def cost_in_turns(parcel: Parcel, modems: Sequence[ModemStatus], ledger: Ledger) -> Decimal | None:
    """Return what the message would cost without prices to choose by: what savings are measured against.

    That is the mean of what the default modems are charged, or of all but the last resort where none is the default,
    whether they are ready or not; None where no such price is known.
    """
    eligible = [
        modem
        for modem in modems
        if modem.active and modem.api_enabled and not modem.internet_access and not modem.is_last_resort
    ]
    eligible = [modem for modem in eligible if modem.is_default] or eligible
    costs = [cost for modem in eligible if (cost := ledger.cost(modem, parcel)) is not None]
    return sum(costs, Decimal()) / len(costs) if costs else None


def explain(parcel: Parcel, modems: Sequence[ModemStatus], ledger: Ledger) -> list[dict[str, Any]]:
    """Say for each modem when it would be tried and why, or why not; in the order of trying."""
    groups = plan(parcel, modems, ledger).groups
    turns = {modem_id: turn for turn, group in enumerate(groups, start=1) for modem_id in group}
    rows = [
        {
            "modem": modem.name,
            "turn": turns.get(modem.id),
            "cost": None if (cost := ledger.cost(modem, parcel)) is None else shown_money(cost),
            "reason": objection(modem)
            or ("its quota is used up" if modem.id not in turns else _reason(modem, parcel)),
        }
        for modem in modems
    ]
    return sorted(rows, key=lambda row: row["turn"] or len(turns) + 1)


def objection(modem: ModemStatus) -> str:
    """Say why a modem takes no message, whichever it is; empty if it does."""
    if not modem.active:
        return "not active"
    if modem.internet_access:
        return "kept for mobile internet"
    if not modem.api_enabled:
        return "switched off for the API"
    return "" if modem.is_ready else modem.state.value


def _order(modem: ModemStatus, parcel: Parcel, ledger: Ledger) -> _Order:
    cost = ledger.cost(modem, parcel)
    return modem.is_last_resort, _UNKNOWN_PRICE if cost is None else cost, _rank(modem, parcel.number)


def _rank(modem: ModemStatus, number: Number) -> _Rank:
    length = len(_longest_match(modem, number))
    return (0, -length) if length else (1, 0) if modem.is_default else (2, 0)


def _reason(modem: ModemStatus, parcel: Parcel) -> str:
    fare = None if parcel.number.is_short_code else modem.tariff.fare(parcel.number.digits)
    price = f"price of {fare.name}" if fare is not None else "price unknown"
    prefix = _longest_match(modem, parcel.number)
    reason = f"{price}, {f'prefix {prefix}' if prefix else 'default' if modem.is_default else 'no prefix'}"
    return f"only when no modem can: {reason}" if modem.is_last_resort else reason


def _longest_match(modem: ModemStatus, number: Number) -> str:
    if number.is_short_code or not modem.prefixes:
        return ""
    return max((prefix for prefix in modem.prefixes if number.digits.startswith(prefix)), key=len, default="")
