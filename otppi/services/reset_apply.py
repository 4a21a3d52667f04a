"""The applier: does once what the sticks that are in ask for, and says what it did.

Order: reset, mark on the disk, report. A power cut before the mark resets again, which does no harm; none loses
the reset, and none reports what could happen twice.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otppi.lib.clock import Clock, SystemClock
from otppi.lib.filelock import AlreadyHeld, hold
from otppi.services.control import NotRunning, Refused, Unanswered, call
from otppi.services.folders import StateFolder
from otppi.services.offline import owned_store
from otppi.services.resetting import Resets, keystore
from otppi.settings.store import SettingsStore
from otppi.system.reset import mark, record
from otppi.system.reset.mark import Apply, Refuse
from otppi.system.reset.record import Record, Result
from otppi.system.reset.report import read_snapshot
from otppi.system.reset.settings import ResetSettings
from otppi.system.reset.snapshot import BadSnapshot, Snapshot

log = logging.getLogger(__name__)

_LOCK = "reset-mark.lock"
_PATIENCE_S = 60.0  # for a gateway that is just starting or stopping
_PAUSE_S = 0.5
_CALL_LIMIT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class ResetOutcome:
    """What a run of the applier did; nothing, most of the time."""

    sections: tuple[str, ...] = ()  # titles of what was reset
    without: tuple[str, ...] = ()  # flags that name nothing in this release
    unclear: tuple[str, ...] = ()  # flags that were neither true nor false
    failed: Mapping[str, str] = field(default_factory=dict)  # title to reason
    refusal: str = ""  # why nothing was reset

    @property
    def is_well(self) -> bool:
        """Whether all that was asked for was done."""
        return not (self.failed or self.refusal)

    def lines(self) -> tuple[str, ...]:
        """Return what the console shows; nothing if nothing was done."""
        if self == ResetOutcome():
            return ()
        if self.refusal:
            return (f"USB stick: nothing was reset: {self.refusal}.",)
        done = (
            f"reset to factory values: {', '.join(self.sections)}" if self.sections else "nothing was reset"
        )
        lines = [f"USB stick: {done}."]
        lines += [f"USB stick: NOT reset: {title}: {reason}." for title, reason in self.failed.items()]
        lines += [f"USB stick: nothing to reset for {flag} in this release." for flag in self.without]
        lines += [f"USB stick: {flag} is neither true nor false; it did nothing." for flag in self.unclear]
        return (*lines, "USB stick: take it out now.")


def apply(
    state_dir: Path,
    snapshot_path: Path,
    setup_secret: Callable[[], str] = lambda: "",
    *,
    patience_s: float = _PATIENCE_S,
    clock: Clock | None = None,
) -> ResetOutcome:
    """Do what the sticks ask for, if it was not done yet; waits until it is done and on the disk.

    Args:
        state_dir: The folder of the gateway, whether one runs or not.
        snapshot_path: What the watcher wrote.
        setup_secret: Returns the secret of the device; asked only if the settings want one. Without any, no file
            can hold it.
        patience_s: How long to wait for a gateway that neither answers nor lets go of its folder.
        clock: Tells when it was.

    Raises:
        AlreadyHeld: Another applier is at work.
        OSError: The state folder or the snapshot cannot be used at all; nothing was done.
    """
    state = StateFolder.prepared(state_dir)
    # The record is the applier's own, with a lock of its own: the other is held by a gateway that runs.
    with hold(state_dir / _LOCK):
        snapshot = _seen(snapshot_path)
        if snapshot is None:
            return ResetOutcome()
        before = record.load(state_dir)
        known = mark.forget_absent(before, snapshot)
        if known != before:
            record.save(state_dir, known)
        action = mark.decide(known, snapshot, _wanted_secret(state, setup_secret))
        run = _Run(state, known, patience_s, clock or SystemClock())
        if isinstance(action, Apply):
            return run.apply(action)
        if isinstance(action, Refuse):
            return run.refuse(action)
        return ResetOutcome()


def _seen(path: Path) -> Snapshot | None:
    try:
        return read_snapshot(path)
    except FileNotFoundError:
        return None
    except BadSnapshot as error:
        log.error("what the watcher wrote is refused", extra={"fields": {"reason": str(error)}})  # noqa: TRY400
        return None


def _wanted_secret(state: StateFolder, setup_secret: Callable[[], str]) -> str | None:
    settings = SettingsStore(state.path, (ResetSettings,), None, read_only=True).get(ResetSettings)
    return setup_secret() if settings.needs_secret else None


class _Run:
    """One reset or refusal: done, marked, told."""

    def __init__(self, state: StateFolder, known: Record, patience_s: float, clock: Clock) -> None:
        self._state = state
        self._known = known
        self._patience_s = patience_s
        self._clock = clock

    def apply(self, action: Apply) -> ResetOutcome:
        unclear = action.stick.unclear
        try:
            done = self._reset(action.flags)
        except _NotDone as error:
            outcome = ResetOutcome(failed={"everything": str(error)}, unclear=unclear)
            return self._told(outcome, self._known)
        outcome = ResetOutcome(
            sections=tuple(done["sections"]),
            without=tuple(done["without"]),
            failed=done["failed"],
            unclear=unclear,
        )
        applied = mark.applied(action.stick, action.done | frozenset(done["done"]))
        return self._told(outcome, Record(applied=applied))

    def refuse(self, action: Refuse) -> ResetOutcome:
        refused = mark.refused(action.stick, action.reason)
        return self._told(ResetOutcome(refusal=action.reason), replace(self._known, refused=refused))

    def _reset(self, flags: frozenset[str]) -> Any:  # noqa: ANN401 - JSON
        """Do it in the gateway that owns the folder, or in the folder itself if none runs."""
        end_s = time.monotonic() + self._patience_s
        while True:
            try:
                return self._reset_once(sorted(flags))
            except (AlreadyHeld, Unanswered) as error:
                # It may have been done; doing it again does no harm.
                if time.monotonic() >= end_s:
                    raise _NotDone("the gateway neither answers nor ends; restart the device") from error
            except Refused as error:
                raise _NotDone(f"the gateway refused: {error}") from error
            except OSError as error:
                raise _NotDone(f"the storage cannot be used ({error.strerror})") from error
            time.sleep(_PAUSE_S)

    def _reset_once(self, flags: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
        try:
            return call(self._state.path, "reset.apply", {"flags": flags}, _CALL_LIMIT_S)
        except NotRunning:
            with hold(self._state.lock):
                return Resets(owned_store(self._state), keystore(self._state)).apply(flags)

    def _told(self, outcome: ResetOutcome, known: Record) -> ResetOutcome:
        """Bring the mark to the disk, then report."""
        try:
            record.save(self._state.path, replace(known, last=self._result(outcome)))
        except OSError as error:
            reason = f"not noted ({error.strerror}), so the same stick may do it again"
            outcome = replace(outcome, failed={**outcome.failed, "the mark of this reset": reason})
        fields = {name: value for name, value in asdict(outcome).items() if value}
        log.log(logging.WARNING if outcome.is_well else logging.ERROR, "USB stick", extra={"fields": fields})
        reasons = [outcome.refusal, *(f"{title}: {reason}" for title, reason in outcome.failed.items())]
        args = {"sections": list(outcome.sections), "refusal": "; ".join(filter(None, reasons))}
        try:
            call(self._state.path, "reset.report", args, _CALL_LIMIT_S)
        except (NotRunning, Unanswered, Refused):
            log.info("no gateway runs that could sound the buzzer")
        return outcome

    def _result(self, outcome: ResetOutcome) -> Result:
        when = ""
        if self._clock.wall_is_trusted():
            when = datetime.fromtimestamp(self._clock.wall_s(), UTC).isoformat(timespec="seconds")
        return Result(
            when=when, sections=outcome.sections, failed=dict(outcome.failed), refusal=outcome.refusal
        )


class _NotDone(Exception):
    """Nothing could be reset; the message says why."""
