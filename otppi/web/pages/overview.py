"""The first page: how the device is, and what it does."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from otppi.model.checks import Level
from otppi.model.errors import Busy
from otppi.web import broker_words, charts, diagnosis_words, mail_words, modem_words
from otppi.web.charts import Chart, Series
from otppi.web.navigation import GROUPS
from otppi.web.outcomes import OUTCOMES, SERVERS
from otppi.web.site import Response, Visit, get
from otppi.web.words import N_, Words

# What a chart of the machine may show, in hours.
_SPANS: Mapping[int, str] = MappingProxyType(
    {1: N_("1 hour"), 6: N_("6 hours"), 24: N_("1 day"), 168: N_("7 days")}
)
_MINUTE_S, _HOUR_S = 60.0, 3600.0
_LONG_HOURS, _LONG_STEP_S = 24, 600.0  # beyond so many hours "device.history" has a row for so long
_SHARES = (
    ("cpu", N_("Processor"), "first"),
    ("memory", N_("Memory"), "second"),
    ("storage", N_("Storage"), "third"),
    ("swap", N_("Swap"), "fourth"),
)
_SHORTCUTS = ("/send", "/inbox", "/modems", "/reports")


@dataclass(frozen=True, kw_only=True)
class _Share:
    """How much of something is used."""

    title: str
    icon: str
    percent: float
    text: str


def show(visit: Visit) -> Response:
    """Show how everything is."""
    words = visit.words
    hours = visit.query_number("hours", 1)
    if hours not in _SPANS:
        hours = 1
    cost = visit.call("cost")
    recent = visit.call("traffic.recent")
    minutes = recent["minutes"]
    vitals = visit.call("device.vitals")
    accounts = visit.call("email_account.list")
    return visit.page(
        "overview.html",
        title=words("Overview"),
        shortcuts=[
            entry
            for _, entries in GROUPS
            for entry in entries
            if entry.path in _SHORTCUTS and (not entry.needs or visit.can(entry.needs))
        ],
        unread=_unread(visit),
        lines=_lines(visit),
        levels=diagnosis_words.LEVELS,
        modems=_modems(visit, cost["currency"]),
        doors=_doors(words, visit.call("door.list")),
        email=mail_words.ready(words, accounts),
        email_sum=mail_words.daily_sum(words, accounts),
        brokers=[broker_words.card(visit, one) for one in visit.call("broker.list") if one["enabled"]],
        today_parts=sum(one["today"]["parts"] for one in cost["modems"]),
        today_cost=words.money(
            sum((Decimal(one["today"]["cost"]) for one in cost["modems"]), Decimal()), cost["currency"]
        ),
        last_hour=[
            (level, words(title), sum(minute[outcome] for minute in minutes))
            for outcome, (level, title) in OUTCOMES.items()
        ],
        is_whole_hour=recent["is_whole"],
        traffic=charts.bars(
            words,
            words("Tries to send in each minute of the last hour"),
            [words.minute(minute["at"]) for minute in minutes],
            charts.by_outcome(words, minutes),
        ),
        latency=_latency(words, minutes),
        vitals=vitals,
        shares=_shares(words, vitals),
        temperature=_degrees(words, vitals["temperature_c"]) if vitals["temperature_c"] is not None else "",
        voltage=_voltage(words, vitals),
        hours=hours,
        spans=[(one, words(title)) for one, title in _SPANS.items()],
        history=_history(visit, hours),
    )


def _doors(words: Words, doors: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    named = ((str(door["name"]), door) for door in doors)
    return [(words(SERVERS.get(name, name)), door) for name, door in named]


def _lines(visit: Visit) -> list[diagnosis_words.Line]:
    try:
        return [line for line in diagnosis_words.lines(visit) if line.level != Level.GREEN]
    except Busy as error:
        title, finding = visit.words("Diagnosis"), visit.error_text(error)
        return [diagnosis_words.Line(level=Level.YELLOW, name=title, finding=finding, advice="", page=None)]


def _unread(visit: Visit) -> int:
    if not visit.can("inbox.list"):
        return 0
    return int(visit.call("inbox.list", search="", offset=0, count=1)["unread"])


def _modems(visit: Visit, currency: str) -> list[Mapping[str, Any]]:
    balances = {one["modem_id"]: one for one in visit.call("balance.list")}
    return [
        _modem(visit.words, one, balances.get(one["id"], {}), currency) for one in visit.call("modem.list")
    ]


def _modem(
    words: Words, modem: Mapping[str, Any], balance: Mapping[str, Any], currency: str
) -> Mapping[str, Any]:
    signal = modem["signalStrength"]
    return {
        "name": modem["name"],
        "standing": modem_words.standing(modem),
        "bars": modem_words.bars(signal.get("condition", "")),
        "signal": modem_words.signal_text(words, signal.get("condition", ""), signal.get("rssi")),
        "operator": modem["copsOperator"],
        "balance": words.money(balance["amount"], currency) if "amount" in balance else "",
        "is_low": bool(balance.get("warnings")),
    }


def _latency(words: Words, minutes: Sequence[Mapping[str, Any]]) -> Chart | None:
    if all(minute["median_s"] is None for minute in minutes):
        return None
    moments_s = [datetime.fromisoformat(minute["at"]).timestamp() for minute in minutes]
    return charts.lines(
        words,
        words("How long sending a message took"),
        (moments_s[0], moments_s[-1]),
        moments_s,
        [
            Series(
                title=words("Half of them at most"),
                look="first",
                values=[minute["median_s"] for minute in minutes],
            ),
            Series(
                title=words("19 of 20 at most"), look="second", values=[minute["p95_s"] for minute in minutes]
            ),
        ],
        gap_s=1.5 * _MINUTE_S,
        top=1,
        write=lambda value: words("{seconds} s", seconds=words.number(value)),
    )


def _shares(words: Words, vitals: Mapping[str, Any]) -> list[_Share]:
    """Return what the machine tells of itself; what it does not is left out."""
    shares = []
    if (cpu := vitals["cpu_percent"]) is not None:
        shares.append(_Share(title=words("Processor"), icon="cpu", percent=cpu, text=_percent(words, cpu)))
    for key, title, free in (
        ("memory", words("Memory"), "available_bytes"),
        ("swap", words("Swap"), "free_bytes"),
    ):
        total, left = vitals[key]["total_bytes"], vitals[key][free]
        if total and left is not None:
            shares.append(_used(words, title, "memory", total - left, total, 100 * (total - left) / total))
    if (storage := vitals["storage"].get("state")) is not None:
        shares.append(
            _used(
                words,
                words("Storage"),
                "sd-card",
                storage["used_bytes"],
                storage["total_bytes"],
                storage["used_percent"],
            )
        )
    return shares


def _used(words: Words, title: str, icon: str, used: float, total: float, percent: float) -> _Share:
    text = words(
        "{percent}, {used} of {total}",
        percent=_percent(words, percent),
        used=words.size(used),
        total=words.size(total),
    )
    return _Share(title=title, icon=icon, percent=percent, text=text)


def _voltage(words: Words, vitals: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return level and word for the power supply; None where nobody measures it."""
    if vitals["has_under_voltage"] is None:
        return None
    if vitals["has_under_voltage"]:
        return "bad", words("too weak now")
    if vitals["had_under_voltage"]:
        return "warn", words("was too weak since the start")
    return "good", words("strong enough")


def _history(visit: Visit, hours: int) -> list[Chart]:
    words, rows = visit.words, visit.call("device.history", hours=hours)
    now_s = time.time()
    span_s, moments_s = (now_s - hours * _HOUR_S, now_s), [row["at"] for row in rows]
    gap_s = 2.5 * (_LONG_STEP_S if hours > _LONG_HOURS else _MINUTE_S)
    shares = [
        Series(title=words(title), look=look, values=[row[key] for row in rows])
        for key, title, look in _SHARES
        if any(row[key] is not None for row in rows)
    ]
    drawn = []
    if shares:
        title = words("How much was used")
        drawn.append(
            charts.lines(
                words,
                title,
                span_s,
                moments_s,
                shares,
                gap_s=gap_s,
                top=100,
                write=lambda value: _percent(words, value),
            )
        )
    if any(row["temperature"] is not None for row in rows):
        heat = Series(title=words("Temperature"), look="first", values=[row["temperature"] for row in rows])
        drawn.append(
            charts.lines(
                words,
                words("How warm it was"),
                span_s,
                moments_s,
                [heat],
                gap_s=gap_s,
                write=lambda value: _degrees(words, value),
            )
        )
    return drawn


def _percent(words: Words, percent: float) -> str:
    return words.percent(percent / 100)


def _degrees(words: Words, celsius: float) -> str:
    return words("{degrees} °C", degrees=words.number(round(celsius)))


ROUTES = (get("/", show),)
