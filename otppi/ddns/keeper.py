"""Keeps the names of all records pointing to the device."""

import json
import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from otppi.ddns.outcome import Address, Next, Outcome, Provider
from otppi.ddns.public_address import PublicAddress
from otppi.ddns.schedule import (
    AccountStop,
    Known,
    Said,
    Situation,
    Standing,
    Update,
    Wait,
    after,
    decide,
    held,
    is_refused,
    said,
    timely,
)
from otppi.ddns.settings import VENDORS, DdnsRecord, VendorSettings
from otppi.ddns.state import State, StateFile
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import BadRequest, TooManyRequests
from otppi.model.events import DdnsChanged
from otppi.settings.section import values_of
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

_LONGEST_SLEEP_S = 86_400.0
_AFTER_MISTAKE_S = 300.0
_STOP_GRACE_S = 5.0
_STAYS_UNKNOWN_S = 60.0  # shorter is no news, as after a start, before the network is there
_VENDORS = {vendor.key: vendor for vendor in VENDORS}
# How often the address is looked at, and whether, says nothing of what the vendor was told.
_OF_NO_MATTER = frozenset({"active", "every_minutes"})


@dataclass(frozen=True, kw_only=True)
class RecordStatus:
    """A record as it stands.

    Attributes:
        settings: Of the record.
        standing: How it stands.
        said: Why.
        address: What the vendor was told last with success; empty if nothing.
        updated_at_s: When that was; None if never.
        next_at_s: When something is to be done for it, by the wall clock; None if time alone changes nothing.
    """

    settings: DdnsRecord
    standing: Standing
    said: Said
    address: str
    updated_at_s: float | None
    next_at_s: float | None


class Keeper:
    """Works on the thread `ddns`, which is there while a record is active; any thread may call the public methods."""

    def __init__(
        self,
        *,
        file: Path,
        store: SettingsStore,
        bus: Bus,
        clock: Clock,
        key: bytes,
        public_address: PublicAddress,
        provider: Callable[[str], Provider],
    ) -> None:
        """Read what is known; nobody is asked yet.

        Args:
            file: Where it is kept.
            store: The settings.
            bus: Hears what changes.
            clock: Says when.
            key: Of the device: passwords are told apart by what only it can make of them.
            public_address: Where the device can be reached.
            provider: Returns the vendor of a name.
        """
        self._file = StateFile(file)
        self._state = self._file.load()
        self._store = store
        self._bus = bus
        self._clock = clock
        self._key = key
        self._public_address = public_address
        self._provider = provider
        self._asking = threading.Lock()  # held while anybody is asked; of what is known
        self._due: dict[str, float] = {}  # by record, on the boot clock
        self._unknown: dict[str, float] = {}  # by record, since when its address is, on the boot clock
        self._unknown_told: set[str] = set()
        self._has_changed = False  # so that nothing that was due counts any more
        self._lock = threading.Lock()  # of the thread
        self._is_running = False
        self._wakeup = Wakeup()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()  # of this thread

    def start(self) -> None:
        """Begin to keep the names."""
        self._is_running = True
        self.apply()

    def stop(self) -> None:
        """End the thread; a vendor that is being asked is waited for a moment only."""
        self._is_running = False
        self.apply()

    def apply(self) -> None:
        """Follow the settings: look after every record anew, with a thread only if one is active."""
        with self._lock:
            is_wanted = self._is_running and any(one.active for one in self._records().values())
            if not is_wanted:
                self._end()
            elif self._thread is None:
                self._ended = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._ended,), name="ddns", daemon=True
                )
                self._thread.start()
        self._look_anew()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        thread = self._thread
        return died(thread, was_asked=self._ended.is_set()) if thread is not None else ()

    def records(self) -> Mapping[str, RecordStatus]:
        """Return all records by id, as they stand."""
        return {
            record_id: self._status(record_id, record, self._decision(record_id, record))
            for record_id, record in self._records().items()
        }

    def update_now(self, record_id: str) -> RecordStatus:
        """Tell the vendor the address of an active record, whatever was before; waits for sources and vendor.

        Returns:
            The record after that; if the vendor could not be asked, it says why.

        Raises:
            BadRequest: There is no such record, or it is not active.
            TooManyRequests: The vendor was asked just now, or too often in this hour, or wants to be left alone.
        """
        with self._asking:
            record = self._records().get(record_id)
            if record is None or not record.active:
                raise BadRequest("record", "there is no such record" if record is None else "is not active")
            decision = self._tend(record_id, record, is_asked_for=True)
        if isinstance(decision, Wait) and decision.standing is Standing.LATER:
            raise TooManyRequests("name", decision.until_s - self._clock.wall_s())
        self._look_anew()  # other records of the account may go on
        # What kept the vendor from being asked is news; what was before that is not.
        return self._status(
            record_id, record, decision if isinstance(decision, Wait) else self._decision(record_id, record)
        )

    def do_due(self, is_ended: Callable[[], bool] = lambda: False) -> float:
        """Look after every active record whose time has come; returns how many seconds nothing is to be done."""
        if self._has_changed:
            self._has_changed = False
            self._due.clear()
        next_s = math.inf
        for record_id in self._records():
            if self._due.get(record_id, 0.0) <= self._clock.boot_s():
                with self._asking:
                    if is_ended():
                        break
                    # It may have been changed while others were looked after.
                    record = self._records().get(record_id)
                    if record is None or not record.active:
                        continue
                    decision = self._tend(record_id, record)
                self._due[record_id] = self._clock.boot_s() + self._rest_s(record_id, record, decision)
            next_s = min(next_s, self._due[record_id])
        return next_s - self._clock.boot_s()

    def _look_anew(self) -> None:
        self._has_changed = True
        self._wakeup.ring()

    def _end(self) -> None:
        self._ended.set()
        self._wakeup.ring()
        if self._thread is not None:
            self._thread.join(_STOP_GRACE_S)
        self._thread = None

    def _run(self, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                wait_s = self.do_due(ended.is_set)
            except Exception:
                # What one record brings about must not end the thread that keeps them all.
                log.exception("dynamic DNS failed")
                wait_s = _AFTER_MISTAKE_S
            if not ended.is_set():  # one that was not waited for leaves the ring to the next
                self._wakeup.wait(min(wait_s, _LONGEST_SLEEP_S))

    def _rest_s(self, record_id: str, record: DdnsRecord, decision: Update | Wait) -> float:
        """Return how long a record needs nothing."""
        if isinstance(decision, Update):
            decision = self._decision(record_id, record)
        if isinstance(decision, Update):
            return record.every_s
        wait_s = max(0.0, decision.until_s - self._clock.wall_s())
        looks = decision.standing in (Standing.DONE, Standing.WAITING)
        return min(wait_s, record.every_s) if looks else wait_s

    def _tend(self, record_id: str, record: DdnsRecord, *, is_asked_for: bool = False) -> Update | Wait:
        """Do what is to be done for a record now, and say what it was, or what came of it if that is news."""
        self._be_timely()
        self._file.save(self._state)  # which the disk did not take before
        situation = replace(self._situation(record_id, record), is_asked_for=is_asked_for)
        if (wait := held(situation)) is not None:
            return wait  # nobody is asked for an address that no vendor may be told
        decision = decide(replace(situation, learnt=self._public_address.learn(record.type)))
        self._say_of_address(record_id, record, decision)
        if isinstance(decision, Update):
            outcome = self._tell(record_id, record, situation, decision.address)
            if outcome.next is Next.LATER and is_refused(self._situation(record_id, record)):
                return Wait(until_s=math.inf, standing=Standing.STOPPED, said=said(outcome))
        return decision

    def _be_timely(self) -> None:
        if self._clock.wall_is_trusted():
            now_s = self._clock.wall_s()
            records = {one: timely(known, now_s) for one, known in self._state.records.items()}
            self._state = replace(self._state, records=records)

    def _say_of_address(self, record_id: str, record: DdnsRecord, decision: Update | Wait) -> None:
        """Tell once that the public address stays unknown, and that it is known again."""
        if isinstance(decision, Update) or decision.standing is not Standing.WAITING:
            self._unknown.pop(record_id, None)
            if record_id in self._unknown_told:
                self._unknown_told.remove(record_id)
                self._bus.publish(DdnsChanged(host=record.host, finding="the public address is known again"))
            return
        now_s = self._clock.boot_s()
        is_long = now_s >= self._unknown.setdefault(record_id, now_s) + _STAYS_UNKNOWN_S
        if is_long and record_id not in self._unknown_told:
            self._unknown_told.add(record_id)
            self._bus.publish(
                DdnsChanged(
                    host=record.host,
                    finding=decision.said.finding,
                    advice=decision.said.advice,
                    is_failure=True,
                )
            )

    def _tell(self, record_id: str, record: DdnsRecord, situation: Situation, address: Address) -> Outcome:
        account, known = self._account(record), situation.known
        try:
            outcome = self._provider(record.provider).update(account, record, address)
        except Exception:
            log.exception("a vendor of dynamic DNS failed", extra={"fields": {"vendor": record.provider}})
            outcome = Outcome(next=Next.LATER, finding="internal error; see the log")
        accounts = dict(self._state.accounts)
        if outcome.next is Next.STOPPED and outcome.stops_account:
            accounts[record.provider] = AccountStop(
                fingerprint=self._fingerprint(account), said=said(outcome)
            )
        elif outcome.next is Next.DONE:
            accounts.pop(record.provider, None)
        # Of the settings that it was asked with: they may have changed while the address was looked at.
        changed = after(known, outcome, address, self._fingerprint(record, account), self._clock.wall_s())
        records = {**self._state.records, record_id: changed}
        present = self._records()
        self._state = State(
            records={one: known for one, known in records.items() if one in present}, accounts=accounts
        )
        self._file.save(self._state)
        self._say(record, situation, outcome, address)
        return outcome

    def _say(self, record: DdnsRecord, before: Situation, outcome: Outcome, address: Address) -> None:
        """Tell what is news: not every failure of the same kind, and not that nothing has changed."""
        fields = {"name": record.host, "vendor": record.provider, "word": outcome.word}
        was_stopped = is_refused(before)
        if outcome.next is Next.DONE:
            log.info("a name was updated", extra={"fields": fields})
            is_news = was_stopped or before.known.is_in_trouble or before.known.address != str(address)
        else:
            log.warning(
                "a name could not be updated", extra={"fields": {**fields, "reason": outcome.finding}}
            )
            was_failing = was_stopped or before.known.failures > 0
            is_news = not was_failing or (outcome.next is Next.STOPPED and not was_stopped)
        if is_news:
            self._bus.publish(
                DdnsChanged(
                    host=record.host,
                    finding=outcome.finding,
                    advice=outcome.advice,
                    is_failure=outcome.next is not Next.DONE,
                )
            )

    def _decision(self, record_id: str, record: DdnsRecord) -> Update | Wait:
        """Say what is to be done for a record at the address that was learnt last."""
        learnt = self._public_address.last().get(record.type)
        return decide(replace(self._situation(record_id, record), learnt=learnt))

    def _status(self, record_id: str, record: DdnsRecord, decision: Update | Wait) -> RecordStatus:
        situation = self._situation(record_id, record)
        if isinstance(decision, Update):
            said = Said(finding="the vendor is told next")
            decision = Wait(until_s=situation.now_s, standing=Standing.WAITING, said=said)
        rest_s = self._due.get(record_id, math.inf) - self._clock.boot_s()
        is_moment = situation.is_timely and record.active and not math.isinf(rest_s)
        return RecordStatus(
            settings=record,
            standing=decision.standing,
            said=decision.said,
            address=situation.known.address,
            updated_at_s=situation.known.updated_at_s or None,
            next_at_s=situation.now_s + max(0.0, rest_s) if is_moment else None,
        )

    def _situation(self, record_id: str, record: DdnsRecord) -> Situation:
        account, state = self._account(record), self._state
        known, stop = state.records.get(record_id), state.accounts.get(record.provider)
        if known is None or known.provider != record.provider:
            known = Known(provider=record.provider)
        if known.name != (name := f"{record.host} {record.type}"):
            known = replace(known, name=name, address="", updated_at_s=0.0)  # those are of another
        asked = (one.asked for one in state.records.values() if one.provider == record.provider)
        if stop is not None and stop.fingerprint != self._fingerprint(account):
            stop = None
        return Situation(
            known=known,
            fingerprint=self._fingerprint(record, account),
            is_active=record.active,
            account=account.title,
            account_is_active=account.active,
            account_stop=stop,
            account_asked=tuple(sorted(chain.from_iterable(asked))),
            is_timely=self._clock.wall_is_trusted(),
            learnt=None,
            now_s=self._clock.wall_s(),
        )

    def _fingerprint(self, *sections: DdnsRecord | VendorSettings) -> str:
        """Return what is another as soon as a setting is that matters to the vendor; tells nothing of any."""
        values = [
            {
                name: value
                for name, value in values_of(section).items()
                # A setting that a new release has brought along is as if it were not there.
                if name not in _OF_NO_MATTER and value != section.declared[name].default
            }
            for section in sections
        ]
        return keyed_hash(self._key, "ddns", json.dumps(values)).hex()

    def _records(self) -> Mapping[str, DdnsRecord]:
        return self._store.items(DdnsRecord)

    def _account(self, record: DdnsRecord) -> VendorSettings:
        return self._store.get(_VENDORS[record.provider])
