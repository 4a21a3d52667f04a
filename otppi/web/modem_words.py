"""How modems are told of on pages: their state, what to do about it, their signal, their prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from otppi.model.modems import LEFT_TO_A_PERSON, ModemState, Registration, SimState
from otppi.model.operators import by_operators
from otppi.model.tariff import OTHER, Step, TariffError, tariff
from otppi.web.words import N_, Words

_FULL = 0.8


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a modem is, for whoever owns it."""

    level: str  # of `parts.badge`: good, note, warn, bad or off
    title: str
    advice: str = ""
    at_sim: bool = False  # the page of its SIM helps


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What is to be done in one state, if its reason says this; the first that fits counts."""

    reason: str = ""
    standing: Standing


def _case(level: str, title: str, advice: str = "", *, reason: str = "", at_sim: bool = False) -> _Case:
    return _Case(reason=reason, standing=Standing(level=level, title=title, advice=advice, at_sim=at_sim))


_CASES: Mapping[str, tuple[_Case, ...]] = MappingProxyType(
    {
        ModemState.READY: (_case("good", N_("Ready")),),
        ModemState.BUSY: (_case("good", N_("Sending")),),
        ModemState.STARTING: (
            _case(
                "note",
                N_("Somebody works on it"),
                N_("It sends again when that is done."),
                reason="a person works on it",
            ),
            _case("note", N_("Starting"), N_("Wait a few seconds.")),
        ),
        ModemState.SEARCHING: (
            _case(
                "bad",
                N_("Refused by the network"),
                N_(
                    "The network does not accept this SIM card. It may have expired or be blocked: ask its operator, "
                    "or put in another one."
                ),
                reason=Registration.DENIED,
                at_sim=True,
            ),
            _case(
                "warn",
                N_("Looking for the mobile network"),
                N_(
                    "Check the antenna and the place of the modem, and that the SIM card is active. The modem is asked "
                    "again every few seconds."
                ),
                at_sim=True,
            ),
        ),
        ModemState.PIN_NEEDED: (
            _case(
                "bad",
                N_("PIN needed"),
                N_(
                    "Only one try is left, and a wrong PIN blocks the SIM card. Put it into a phone and enter the PIN "
                    "there."
                ),
                reason=LEFT_TO_A_PERSON,
                at_sim=True,
            ),
            _case("bad", N_("PIN needed"), N_("Enter the PIN of the SIM card."), at_sim=True),
        ),
        ModemState.PUK_BLOCKED: (
            _case(
                "bad",
                N_("SIM card blocked"),
                N_(
                    "It can be opened by its PUK: eight digits, printed on the card that it came in. Its operator "
                    "tells it as well."
                ),
                at_sim=True,
            ),
        ),
        ModemState.SIM_BLOCKED: (
            _case(
                "bad",
                N_("No SIM card"),
                N_(
                    "Put in a SIM card the right way round, then pull the modem out and plug it in again: many modems "
                    "notice a SIM card only when they start."
                ),
                reason=SimState.ABSENT,
            ),
            _case(
                "bad",
                N_("SIM card does not fit"),
                N_(
                    "The modem or the SIM card is locked to another one. Use a SIM card of the operator that sold the "
                    "modem, or have the modem unlocked."
                ),
                reason=SimState.LOCKED,
            ),
            _case(
                "bad",
                N_("SIM card needs attention"),
                N_(
                    "Check that the SIM card is in, the right way round and free for this modem. Then pull the modem "
                    "out and plug it in again."
                ),
                at_sim=True,
            ),
        ),
        ModemState.ABSENT: (
            _case(
                "bad",
                N_("Used by another program"),
                N_("Another program has the modem. End that program, or restart the device."),
                reason="holds the port",
            ),
            _case(
                "bad",
                N_("Another modem is in its place"),
                N_("Plug in the right modem, or choose another port in the settings of this one."),
                reason="is another modem",
            ),
            _case(
                "bad",
                N_("Port used twice"),
                N_("Two modems of the list have the same port. Give one of them another port."),
                reason="another modem of the settings has the port",
            ),
            _case(
                "bad",
                N_("Not there"),
                N_(
                    "Check that the modem is plugged in. If it is, see whether its port is right in the settings."
                ),
            ),
        ),
        ModemState.HUNG: (
            _case(
                "warn",
                N_("Does not answer"),
                N_(
                    "Nothing to do: in a minute and a half it has been brought back, or this says that it failed."
                ),
            ),
        ),
        ModemState.RECOVERING: (
            _case(
                "warn",
                N_("Being brought back"),
                N_("Nothing to do: other modems take its messages meanwhile."),
            ),
        ),
        ModemState.FAILED: (
            _case(
                "bad",
                N_("Failed"),
                N_(
                    "Pull the modem out and plug it in again. If that helps for a short time only, its power supply "
                    "may be too weak: use a hub with its own power supply, or replace the modem."
                ),
            ),
        ),
        ModemState.RESTING: (
            _case(
                "warn",
                N_("Resting"),
                N_(
                    "Top up the account if no credit is left. It is tried again by itself; a test of the connection "
                    "that goes well ends the waiting."
                ),
            ),
        ),
    }
)
_OFF = Standing(level="off", title=N_("Switched off"))
_FOR_INTERNET = Standing(
    level="note", title=N_("Kept for mobile internet"), advice=N_("It sends no messages.")
)
_SENDS_NOTHING = Standing(
    level="warn",
    title=N_("Ready, but sends nothing"),
    advice=N_("Sending messages is switched off in its settings. It can still be used for USSD."),
)
_ROAMING = Standing(
    level="warn",
    title=N_("Ready in a foreign network"),
    advice=N_("Messages may cost much more there. Choose an operator of your own country."),
    at_sim=True,
)
_UNKNOWN = Standing(level="note", title=N_("Not known"))
_REFUSED_BY_VENDOR = Standing(
    level="bad",
    title=N_("Needs attention"),
    advice=N_(
        "Look at address, account and password, and test the connection. It is tried again every quarter of an hour."
    ),
)


def standing(modem: Mapping[str, Any]) -> Standing:
    """Return how a modem of `modem.list` is and what its owner can do."""
    if not modem["active"]:
        return _OFF
    if modem["internetAccess"]:
        return _FOR_INTERNET
    if is_ready(modem):
        if not modem["apiEnabled"]:
            return _SENDS_NOTHING
        if modem["registration"] == Registration.ROAMING:
            return _ROAMING
    return _standing_in(modem["state"], modem["reason"])


def vendor_standing(route: Mapping[str, Any]) -> Standing:
    """Return how an account of `vendor_route.list` is and what its owner can do."""
    if not route["active"]:
        return _OFF
    if route["state"] == ModemState.FAILED:
        return _REFUSED_BY_VENDOR
    return _standing_in(route["state"], route["reason"])


def _standing_in(state: str, reason: str) -> Standing:
    for case in _CASES.get(state, ()):
        if case.reason in reason:
            return case.standing
    return _UNKNOWN


def is_ready(modem: Mapping[str, Any]) -> bool:
    """Whether it can be given something to do."""
    return modem["active"] and modem["state"] in (ModemState.READY, ModemState.BUSY)


def is_nearly_full(modem: Mapping[str, Any]) -> bool:
    """Whether soon no message can come in any more."""
    return (modem["storeFill"] or 0) >= _FULL


_BARS = MappingProxyType({"Marginal": 1, "OK": 2, "Good": 3, "Excellent": 4})
# The words of the old product, which the API keeps, as people say them.
_STRENGTHS = MappingProxyType(
    {"Marginal": N_("Weak"), "OK": N_("Fair"), "Good": N_("Good"), "Excellent": N_("Very good")}
)


def bars(condition: str) -> int:
    """Return how many of four bars a signal has."""
    return _BARS.get(condition, 0)


def signal_text(words: Words, condition: str, dbm: int | None) -> str:
    """Say how strong a signal is."""
    if dbm is None:
        return words("Signal not known")
    return words("{strength}, {dbm} dBm", strength=words(_STRENGTHS[condition]), dbm=words.number(dbm))


_PERIODS = MappingProxyType({"day": N_("a day"), "month": N_("a month")})
_QUOTAS = (
    ("minute", N_("{used} of {limit} parts in this minute")),
    ("hour", N_("{used} of {limit} parts in this hour")),
    ("day", N_("{used} of {limit} parts today")),
    ("month", N_("{used} of {limit} parts this month")),
)


@dataclass(frozen=True, kw_only=True)
class QuotaUse:
    """How much of one limit is used up, in parts."""

    used: int
    limit: int
    text: str


def quota_uses(words: Words, cost: Mapping[str, Any]) -> list[QuotaUse]:
    """Return the use of every limit that a modem of `cost` has."""
    uses = []
    for period, text in _QUOTAS:
        if (limit := cost["quota"].get(period)) is not None:
            used = limit - cost["quota_left"][period]
            said = words(text, used=words.number(used), limit=words.number(limit))
            uses.append(QuotaUse(used=used, limit=limit, text=said))
    return uses


def price_lines(words: Words, prices: Sequence[str], currency: str) -> list[tuple[str, str]]:
    """Return a tariff as people read it: to whom, and what one part costs."""
    try:
        fares = {fare.name: fare for fare in tariff(tuple(prices)).fares.values()}
    except TariffError:
        return []
    return [
        (
            words("all other numbers") if name == OTHER else _whom(name.split("+")),
            "; ".join(_price(words, step, currency) for step in fare.steps),
        )
        for name, fare in fares.items()
    ]


def _whom(prefixes: Sequence[str]) -> str:
    operators, rest = by_operators(prefixes)
    return ", ".join([*(one.name for one in operators), *rest])


def _price(words: Words, step: Step, currency: str) -> str:
    price = words.money(step.price, currency)
    if not step.period:
        return price
    return words(
        "{price} after {count} parts in {period}",
        price=price,
        count=words.number(step.after),
        period=words(_PERIODS[step.period]),
    )
