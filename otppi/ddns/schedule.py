"""When a vendor of dynamic DNS is asked; nothing here looks at a clock, a network or a disk.

The vendors' rules are strict and their punishment is a block: an update only when something has changed, none after a
refusal until a person has done something about it, and long waits when they are in trouble.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice

from otppi.ddns.outcome import Address, Next, Outcome
from otppi.ddns.public_address import Learnt
from otppi.lib.backoff import delays_s

REFRESH_S = 25 * 86_400.0  # records that nobody confirms expire after some 30 days
LEAST_WAIT_S = 300.0
LONGEST_WAIT_S = 6 * 3600.0
LEAST_GAP_S = 60.0  # after a success, and between settings that are changed
MOST_AN_HOUR = 10
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_UNTIMELY_LOOK_S, _UNKNOWN_LOOK_S = 30.0, 300.0


class Standing(StrEnum):
    """How a record stands."""

    DONE = "done"
    LATER = "later"
    STOPPED = "stopped"  # until a person does something about it
    OFF = "off"
    WAITING = "waiting"  # for something that is not the vendor's


@dataclass(frozen=True, kw_only=True)
class Said:
    """Why a record stands as it does: in the words of the vendor's last `Outcome`, or in our own."""

    word: str = ""
    finding: str = ""
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class AccountStop:
    """A vendor's refusal that is about the whole account."""

    fingerprint: str  # of the account's settings that were refused
    said: Said


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a record at its vendor.

    Attributes:
        provider: The vendor that all of it is about.
        name: Name and type of the record when the vendor was asked last.
        fingerprint: Of the settings that the vendor was asked with last.
        address: What it was told last with success.
        updated_at_s: When that was, by the wall clock as all moments here.
        asked: When it was asked: the last time, and all in the hour before that.
        said: What it said last.
        is_stopped: Whether it refused what only a person can change.
        failures: How often in a row it could not do it.
        wait_s: The least time until it is then asked again by itself.
        rest_s: The time after the last question that it itself wants to be left alone, whoever asks.
    """

    provider: str
    name: str = ""
    fingerprint: str = ""
    address: str = ""
    updated_at_s: float = 0.0
    asked: tuple[float, ...] = ()
    said: Said = field(default_factory=Said)
    is_stopped: bool = False
    failures: int = 0
    wait_s: float = 0.0
    rest_s: float = 0.0

    @property
    def is_in_trouble(self) -> bool:
        """Whether the last that the vendor said was no success."""
        return self.is_stopped or self.failures > 0


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that is to be weighed for one record.

    Attributes:
        known: What is known of it at its vendor.
        fingerprint: Of the settings of record and account, as they are now.
        is_active: Whether the record is to be kept.
        account: The vendor's name, for people.
        account_is_active: Whether the vendor's account is to be used.
        account_stop: Its refusal of the account as it is now.
        account_asked: When the vendor was asked about any record, in this order; see `Known.asked`.
        is_timely: Whether the clock is right; certificates cannot be checked before.
        learnt: The public address, if anybody has looked.
        is_asked_for: Whether a person wants it now, which passes by every stop and every wait but those of good
            manners and those that the vendor itself wants.
        now_s: The time.
    """

    known: Known
    fingerprint: str
    is_active: bool
    account: str
    account_is_active: bool
    account_stop: AccountStop | None
    account_asked: tuple[float, ...]
    is_timely: bool
    learnt: Learnt | None
    is_asked_for: bool = False
    now_s: float


@dataclass(frozen=True)
class Update:
    """The vendor is to be told this address now."""

    address: Address


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Nothing is to be done before a moment of the wall clock, unless the address or a setting changes.

    Attributes:
        until_s: The moment; `inf` if time alone changes nothing.
        standing: How the record stands meanwhile.
        said: Why.
    """

    until_s: float
    standing: Standing
    said: Said


def decide(situation: Situation) -> Update | Wait:
    """Say what is to be done for a record."""
    if (wait := held(situation)) is not None:
        return wait
    known, learnt, now_s = situation.known, situation.learnt, situation.now_s
    if learnt is None:
        return _waiting(now_s, "the public address was not looked at yet")
    address = learnt.address
    is_as_told = known.fingerprint == situation.fingerprint and known.address == str(address)
    if address is None or not (learnt.is_sure or is_as_told):
        # Soon, as it may be looked at once a day only: most often the network is not there yet.
        return _waiting(now_s + _UNKNOWN_LOOK_S, learnt.finding, learnt.advice)
    refresh_s = known.updated_at_s + REFRESH_S
    is_enough = is_as_told and not known.is_in_trouble and not situation.is_asked_for
    if is_enough and _is_within(now_s, known.updated_at_s, refresh_s):
        return Wait(until_s=refresh_s, standing=Standing.DONE, said=known.said)
    # While all of the account is refused, its records count as one.
    asked = known.asked if situation.account_stop is None else situation.account_asked
    if (free_s := free_at_s(asked, now_s)) > now_s:
        finding = "the address or the settings change so often that the vendor would take offence"
        return Wait(until_s=free_s, standing=Standing.LATER, said=Said(finding=finding))
    return Update(address)


def held(situation: Situation) -> Wait | None:
    """Say what keeps the vendor from being asked, whatever the public address is; None if nothing does."""
    if not situation.is_active:
        return Wait(until_s=math.inf, standing=Standing.OFF, said=Said())
    if not situation.account_is_active:
        said = Said(
            finding=f"the account at {situation.account} is not active",
            advice=f"Fill in and activate the account at {situation.account}, or deactivate the record.",
        )
        return Wait(until_s=math.inf, standing=Standing.STOPPED, said=said)
    if is_refused(situation) and not situation.is_asked_for:
        said = situation.account_stop.said if situation.account_stop is not None else situation.known.said
        return Wait(until_s=math.inf, standing=Standing.STOPPED, said=said)
    if not situation.is_timely:
        return _waiting(
            situation.now_s + _UNTIMELY_LOOK_S,
            "the clock is not set yet",
            "No certificate can be checked without the time. It comes from the network, or set it: page Date and time.",
        )
    return _resting(situation) if situation.is_asked_for else _failing(situation)


def is_refused(situation: Situation) -> bool:
    """Whether the vendor refused the settings as they are now."""
    known = situation.known
    return situation.account_stop is not None or (
        known.is_stopped and known.fingerprint == situation.fingerprint
    )


def _resting(situation: Situation) -> Wait | None:
    """Say whether the vendor itself wants to be left alone."""
    known = situation.known
    if not known.rest_s:
        return None
    until_s = known.asked[-1] + known.rest_s
    if _is_within(situation.now_s, known.asked[-1], until_s):
        return Wait(until_s=until_s, standing=Standing.LATER, said=known.said)
    return None


def _failing(situation: Situation) -> Wait | None:
    """Say whether the vendor could not do it a short while ago."""
    known = situation.known
    if not known.failures:
        return None
    # Whoever has changed a setting waits only as long as the vendor itself wants.
    failures = known.failures if known.fingerprint == situation.fingerprint else 1
    until_s = known.asked[-1] + wait_after_s(failures, known.wait_s)
    if _is_within(situation.now_s, known.asked[-1], until_s):
        return Wait(until_s=until_s, standing=Standing.LATER, said=known.said)
    return None


def after(known: Known, outcome: Outcome, address: Address, fingerprint: str, now_s: float) -> Known:
    """Return what is known of a record after its vendor was asked."""
    recent = (one for one in known.asked if _is_within(now_s, one, one + _HOUR_S))
    is_later = outcome.next is Next.LATER
    rest_s = outcome.wait_s if is_later and outcome.is_wish else 0.0
    known = replace(known, asked=(*recent, now_s), rest_s=rest_s)
    if is_later and known.is_stopped and known.fingerprint == fingerprint:
        return known  # a stop ends by a success or another setting, not by a vendor that cannot be reached
    if outcome.next is Next.STOPPED and outcome.stops_account:
        return known  # that is kept once for all records of the account
    failed_before = known.failures if known.fingerprint == fingerprint else 0
    known = replace(
        known,
        fingerprint=fingerprint,
        said=said(outcome),
        is_stopped=outcome.next is Next.STOPPED,
        failures=failed_before + 1 if is_later else 0,
        wait_s=outcome.wait_s if is_later else 0.0,
    )
    if outcome.next is Next.DONE:
        return replace(known, address=str(address), updated_at_s=now_s)
    return known


def timely(known: Known, now_s: float) -> Known:
    """Return what is known with moments of a clock that was set back by at most a day, or lost its power, as now.

    Those that lie further ahead count for nothing.
    """

    def moved(at_s: float) -> float:
        return now_s if now_s < at_s <= now_s + _DAY_S else at_s

    return replace(known, asked=tuple(map(moved, known.asked)), updated_at_s=moved(known.updated_at_s))


def said(outcome: Outcome) -> Said:
    """Return the words of an outcome."""
    return Said(word=outcome.word, finding=outcome.finding, advice=outcome.advice)


def wait_after_s(failures: int, least_s: float) -> float:
    """Return how long a vendor is left alone after so many failures in a row, if it wants at least `least_s`."""
    first_s = max(LEAST_WAIT_S, least_s)
    waits_s = delays_s(first_s, max(LONGEST_WAIT_S, first_s), jitter=0.0)
    return next(islice(waits_s, max(0, failures - 1), None))


def free_at_s(asked: Iterable[float], now_s: float) -> float:
    """Return from when on a vendor that was asked at these moments may be asked; the past if it may be now."""
    recent = [one for one in asked if _is_within(now_s, one, one + _HOUR_S)]
    if len(recent) >= MOST_AN_HOUR:
        return recent[-MOST_AN_HOUR] + _HOUR_S
    return recent[-1] + LEAST_GAP_S if recent else 0.0


def _waiting(until_s: float, finding: str, advice: str = "") -> Wait:
    return Wait(until_s=until_s, standing=Standing.WAITING, said=Said(finding=finding, advice=advice))


def _is_within(now_s: float, begin_s: float, end_s: float) -> bool:
    # What lies in the future is of a clock that was set back since, and counts for nothing.
    return begin_s <= now_s < end_s
