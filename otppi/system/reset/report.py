"""What the diagnosis says about the reset by USB stick."""

from collections.abc import Iterable
from pathlib import Path

from otppi.model.checks import Check, Level
from otppi.system.reset import record
from otppi.system.reset.record import Record
from otppi.system.reset.snapshot import LONGEST_BYTES, BadSnapshot, Snapshot

_NAME = "reset by USB stick"


def checks(snapshot_path: Path, state_dir: Path) -> list[Check]:
    """Look at the watcher, at the sticks that are in, and at what the last one did."""
    remembered = record.load(state_dir)
    return [*_of_sticks(snapshot_path, remembered), *_of_last(remembered)]


def read_snapshot(path: Path) -> Snapshot:
    """Read what the watcher wrote.

    Raises:
        FileNotFoundError: It does not run.
        BadSnapshot: It is none.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return Snapshot.parse(file.read(LONGEST_BYTES + 1))


def _of_sticks(path: Path, remembered: Record) -> Iterable[Check]:
    try:
        snapshot = read_snapshot(path)
    except FileNotFoundError:
        yield _bad_watcher("nobody watches for sticks")
        return
    except (BadSnapshot, OSError) as error:
        yield _bad_watcher(f"what the watcher wrote cannot be used: {error}")
        return
    refused = [stick for stick in snapshot.sticks if stick.refusal]
    for stick in refused:
        yield Check(
            name=f"USB stick {stick.device}",
            level=Level.YELLOW,
            finding=f"resets nothing: {stick.refusal}",
            advice="Correct it on a computer and plug it in again, or take it out.",
        )
    if len(refused) < len(snapshot.sticks):
        done = "has done its reset and" if remembered.applied else "with a reset file"
        yield Check(
            name=_NAME,
            level=Level.YELLOW,
            finding=f"a stick {done} is still in",
            advice="Take it out. It would reset the device again the next time it is plugged in.",
        )
    elif not refused:
        yield Check(name=_NAME, level=Level.GREEN, finding="waits for a stick")


def _bad_watcher(finding: str) -> Check:
    return Check(
        name=_NAME,
        level=Level.RED,
        finding=finding,
        advice="Without it a forgotten password cannot be reset. Restart the device; if that does not help, "
        "look at: systemctl status otppi-reset-watch",
    )


def _of_last(remembered: Record) -> Iterable[Check]:
    last = remembered.last
    if last is None:
        return
    when = f" ({last.when})" if last.when else ""
    if last.refusal:
        yield _last(Level.GREEN, f"reset nothing{when}: {last.refusal}", "")
    elif last.failed:
        reasons = "; ".join(f"{title}: {reason}" for title, reason in last.failed.items())
        advice = "Take the stick out and plug it in again; if the storage is named, look at its line here."
        yield _last(Level.RED, f"could not reset everything{when}: {reasons}", advice)
    else:
        yield _last(Level.GREEN, f"reset {', '.join(last.sections) or 'nothing'}{when}", "")


def _last(level: Level, finding: str, advice: str) -> Check:
    return Check(name="last USB stick", level=level, finding=finding, advice=advice)
