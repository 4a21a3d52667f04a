"""Keeps the books of all SIMs: what may still be sent, what it costs, what was saved."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from otppi.gateway.journal import Journal, Record
from otppi.gateway.usage import Entry, Moment, Period, Usage
from otppi.lib.atomicfile import write_atomically
from otppi.lib.clock import Clock
from otppi.lib.threads import died
from otppi.model.errors import QuotaUsedUp
from otppi.model.number import Number
from otppi.model.quota import Quota, without_reserve
from otppi.model.tariff import Fare, Tariff

log = logging.getLogger(__name__)

_KIND = "usage"
_FORMAT = 1
_SAVE_EVERY_S = 600.0
_RETRY_S = 60.0
# A card that is this slow, or dying, must not keep messages waiting.
_LONGEST_WAIT_FOR_DISK_S = 2.0
_FEWEST_UNSAVED, _MOST_UNSAVED = 5, 50


class Payer(Protocol):
    """What sends messages, and is charged for them and held to a quota: a modem, or an account."""

    @property
    def id(self) -> str: ...  # noqa: D102 - as everywhere

    @property
    def name(self) -> str: ...  # noqa: D102 - as everywhere

    @property
    def counted_as(self) -> str:
        """What its messages are counted under."""
        ...

    @property
    def tariff(self) -> Tariff:
        """What it is charged."""
        ...

    @property
    def quota(self) -> Quota:
        """How much it may send."""
        ...


@dataclass(frozen=True, kw_only=True)
class Load:
    """What of a message decides about its quota."""

    parts: int
    is_critical: bool  # may use what is reserved for codes


@dataclass(frozen=True, kw_only=True)
class Parcel(Load):
    """What of a text message decides about its price and quota."""

    number: Number


@dataclass(frozen=True)
class Taken:
    """A message that was counted before it was sent."""

    sim: str
    entry: Entry
    is_noted: bool  # in the journal


@dataclass
class _Account:
    """The usage of one SIM, and how much of it the disk has."""

    usage: Usage
    unsaved: int = 0  # parts counted since the disk was written last
    covered: int = 0  # parts that the disk allows for beyond what it tells


class Ledger:
    """Counts by SIM, in parts; every method may be called from any thread.

    A restart of the service finds the counters in the journal. The disk is written every so many parts, not with each:
    it tells what was counted and how many more may have been sent meanwhile, and after a power cut those count as
    sent. So a quota is never exceeded. Of costs a power cut forgets at most those, or the last ten minutes.
    """

    def __init__(
        self, file: Path | None, journal: Journal, clock: Clock, reserve_percent: Callable[[], float]
    ) -> None:
        """Read what is known; nothing is written before `start`.

        Args:
            file: The counters on the disk; None keeps them in the journal only.
            journal: What a restart of the service keeps.
            clock: Its wall time is asked only while it is trusted.
            reserve_percent: The share of each quota that only time-critical messages may use.
        """
        self._file = file
        self._journal = journal
        self._clock = clock
        self._reserve_percent = reserve_percent
        self._accounts: dict[str, _Account] = {}
        self._date: _Date | None = None
        self._nothing_sent = Usage(self._now())  # of every SIM that has no account
        self._changed = threading.Condition(journal.lock)
        self._saves_wanted = self._saves_tried = 0
        self._disk_is_late = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._load()
        journal.register(_KIND, self._replay, self._live)

    def start(self) -> None:
        """Begin to save."""
        self._thread.start()

    def stop(self) -> None:
        """Save exactly what was sent; nothing may be sent any more."""
        with self._changed:
            self._stopping = True
            for record in self._live():
                self._journal.append(_KIND, record)
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(2 * _LONGEST_WAIT_FOR_DISK_S)

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stopping)

    def cost(self, modem: Payer, parcel: Load) -> Decimal | None:
        """Return what this modem's SIM would be charged now; None if its tariff does not say."""
        fare = _fare(modem, parcel)
        if fare is None or fare.is_flat:
            return _flat_cost(fare, parcel)
        with self._changed:
            return fare.cost(parcel.parts, self._usage(modem, self._now()).sent(fare))

    def wait_s(self, modem: Payer, parcel: Load) -> float:
        """Return how long until the quota of this modem's SIM lets the message go; inf if it never does."""
        if not modem.quota:
            return 0.0
        with self._changed:
            now = self._now()
            return self._usage(modem, now).wait_s(self._quota(modem, parcel), parcel.parts, now)

    def take(self, modem: Payer, parcel: Load, otherwise: Decimal | None) -> Taken:
        """Count a message that is about to be sent.

        May wait for the disk for a moment, once in so many parts, if the SIM has a quota.

        Args:
            modem: Whose SIM sends it.
            parcel: What it is.
            otherwise: What it would have cost without prices to choose by; None if that is not known.

        Raises:
            QuotaUsedUp: It is not counted and must not be sent.
        """
        fare = _fare(modem, parcel)
        with self._changed:
            now = self._now()
            if modem.counted_as not in self._accounts:
                self._accounts[modem.counted_as] = _Account(Usage(now))
            account, usage = self._accounts[modem.counted_as], self._usage(modem, now)
            wait_s = usage.wait_s(self._quota(modem, parcel), parcel.parts, now) if modem.quota else 0.0
            if wait_s > 0:
                raise QuotaUsedUp(wait_s)
            cost = fare.cost(parcel.parts, usage.sent(fare)) if fare is not None else Decimal()
            saved = otherwise - cost if fare is not None and otherwise is not None else Decimal()
            entry = usage.count(now, parcel.parts, fare.name if fare is not None else "", cost, saved)
            account.unsaved += parcel.parts
            taken = Taken(modem.counted_as, entry, is_noted=bool(modem.quota or modem.tariff.fares))
            self._note(taken)
            if modem.quota:
                self._await_cover(account, _unsaved_allowed(modem.quota))
            return taken

    def give_back(self, taken: Taken) -> None:
        """Undo the count of a message that surely did not leave."""
        with self._changed:
            self._accounts[taken.sim].usage.take_back(taken.entry)
            self._note(taken)

    def report(self, modems: Sequence[Payer]) -> list[dict[str, Any]]:
        """Say what each modem's SIM has sent, what it cost and what was saved."""
        with self._changed:
            now = self._now()
            return [_described(modem, self._usage(modem, now), now) for modem in modems]

    def _now(self) -> Moment:
        boot_s = self._clock.boot_s()
        if not self._clock.wall_is_trusted():
            return Moment(boot_s=boot_s)
        wall_s = self._clock.wall_s()
        date, minute = self._date, int(wall_s // 60)
        if date is None or date.minute != minute:
            # Asked for each modem and message, so it is looked up once a minute.
            date = self._date = _date(minute)
        return Moment(
            boot_s=boot_s,
            day=date.day,
            month=date.month,
            day_left_s=date.tomorrow_s - wall_s,
            month_left_s=date.next_month_s - wall_s,
        )

    def _usage(self, modem: Payer, now: Moment) -> Usage:
        account = self._accounts.get(modem.counted_as)
        usage = self._nothing_sent if account is None else account.usage
        usage.advance(now)
        return usage

    def _quota(self, modem: Payer, parcel: Load) -> Quota:
        return modem.quota if parcel.is_critical else without_reserve(modem.quota, self._reserve_percent())

    def _note(self, taken: Taken) -> None:
        # Where nothing is at stake the disk is enough, which is written now and then.
        if taken.is_noted:
            self._journal.append(_KIND, [taken.sim, self._accounts[taken.sim].usage.as_json()])

    def _await_cover(self, account: _Account, allowed: int) -> None:
        if account.unsaved <= account.covered or self._file is None or self._disk_is_late:
            return
        account.covered = allowed
        self._saves_wanted += 1
        mine = self._saves_wanted
        self._changed.notify_all()
        if not self._changed.wait_for(lambda: self._saves_tried >= mine, _LONGEST_WAIT_FOR_DISK_S):
            self._disk_is_late = True
            log.error("the counters of the SIMs are not saved in time; sending goes on without")

    def _run(self) -> None:
        is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or self._saves_tried < self._saves_wanted, _SAVE_EVERY_S
                )
                is_last = self._stopping
            self._save(is_last)

    def _save(self, is_last: bool) -> None:
        with self._changed:
            wanted = self._saves_wanted
            written = {sim: account.unsaved for sim, account in self._accounts.items()}
            if self._file is None or not (any(written.values()) or is_last):
                self._saves_tried = wanted
                return
            document = json.dumps(
                {
                    "format": _FORMAT,
                    "sims": {
                        sim: {**account.usage.as_json(), "covered": 0 if is_last else account.covered}
                        for sim, account in self._accounts.items()
                    },
                }
            )
        try:
            write_atomically(self._file, document.encode())
            failure = ""
        except OSError as error:
            failure = error.strerror or "unknown"
        with self._changed:
            if failure and not self._disk_is_late:
                log.error("the counters of the SIMs cannot be saved", extra={"fields": {"reason": failure}})
            self._disk_is_late = bool(failure)
            self._saves_tried = wanted
            if not failure:
                for sim, parts in written.items():
                    self._accounts[sim].unsaved -= parts
            self._changed.notify_all()
            if failure:
                self._changed.wait_for(lambda: self._stopping, _RETRY_S)

    def _load(self) -> None:
        if self._file is None:
            return
        now = self._now()
        try:
            document = json.loads(self._file.read_bytes())
            for sim, written in document["sims"].items():
                usage = Usage.read_of_earlier_boot(written, now)
                usage.assume(now, int(written["covered"]))
                self._accounts[sim] = _Account(usage)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError):
            log.exception("the counters of the SIMs cannot be read; they begin anew")
            self._accounts.clear()

    def _replay(self, written: Record) -> None:
        sim, usage = written
        self._accounts[sim] = _Account(Usage.read(usage, self._now()))

    def _live(self) -> list[Record]:
        return [[sim, account.usage.as_json()] for sim, account in self._accounts.items()]


@dataclass(frozen=True)
class _Date:
    minute: int  # since 1970
    day: str
    month: str
    tomorrow_s: float
    next_month_s: float


def _date(minute: int) -> _Date:
    here = time.localtime(minute * 60)
    return _Date(
        minute=minute,
        day=f"{here.tm_year:04}-{here.tm_mon:02}-{here.tm_mday:02}",
        month=f"{here.tm_year:04}-{here.tm_mon:02}",
        # mktime knows the lengths of months and days, those with a change of summer time included.
        tomorrow_s=time.mktime((here.tm_year, here.tm_mon, here.tm_mday + 1, 0, 0, 0, 0, 0, -1)),
        next_month_s=time.mktime((here.tm_year, here.tm_mon + 1, 1, 0, 0, 0, 0, 0, -1)),
    )


def _fare(payer: Payer, parcel: Load) -> Fare | None:
    # Short codes have prices of their own, which no prefix tells.
    if not isinstance(parcel, Parcel) or parcel.number.is_short_code:
        return None
    return payer.tariff.fare(parcel.number.digits)


def _flat_cost(fare: Fare | None, parcel: Load) -> Decimal | None:
    return None if fare is None else fare.steps[0].price * parcel.parts


def _unsaved_allowed(quota: Quota) -> int:
    """Return how many parts may be sent between two saves, and so count twice after a power cut.

    A twentieth of a day or month, a fifth of an hour; a minute is over anyway before the device has started.
    """
    shares = [
        limit // share for limit, share in ((quota.hour, 5), (quota.day, 20), (quota.month, 20)) if limit
    ]
    return max(_FEWEST_UNSAVED, min([*shares, _MOST_UNSAVED]))


def _described(modem: Payer, usage: Usage, now: Moment) -> dict[str, Any]:
    return {
        "modem": modem.name,
        "modem_id": modem.id,
        "today": _totals(usage.day),
        "this_month": _totals(usage.month),
        "day_before": _totals(usage.day_before),
        "month_before": _totals(usage.month_before),
        "quota": {name: limit for name, limit in vars(modem.quota).items() if limit},
        "quota_left": usage.left(modem.quota, now),
    }


def _totals(period: Period) -> Mapping[str, Any]:
    return {
        "label": period.label,
        "parts": period.parts,
        "cost": str(period.cost),
        "saved": str(period.saved),
    }
