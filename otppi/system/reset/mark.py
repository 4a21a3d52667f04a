"""What is to be done about the sticks that are in; decided, not done.

A stick that stays in resets once. What says that a stick was away is a snapshot without it, and only one that is
settled: after a start a stick that was in all the time shows up late. A stick that cannot be read now may be the
one that was applied, so it never counts as another one that took its place.
"""

from dataclasses import dataclass, replace

from otppi.settings.resetfile import proves_secret
from otppi.system.reset.record import Applied, Record, Refused
from otppi.system.reset.snapshot import Snapshot, Stick

_NOT_SHOWN = "this device asks for its set-up secret: reset-config.ini has no line SECRET = ..."
_NOT_PROVEN = "the SECRET in reset-config.ini is not the set-up secret of this device"


@dataclass(frozen=True)
class Apply:
    """Reset what these flags name."""

    stick: Stick
    flags: frozenset[str]
    done: frozenset[str]  # what this stick has reset already


@dataclass(frozen=True)
class Refuse:
    """Tell the owner why nothing is reset."""

    stick: Stick
    reason: str


def forget_absent(record: Record, snapshot: Snapshot) -> Record:
    """Drop the marks of sticks that are not in any more."""
    filesystems = {stick.filesystem for stick in snapshot.sticks}
    applied, refused = record.applied, record.refused
    if applied and snapshot.is_settled and not filesystems & {applied.filesystem, ""}:
        applied = None
    if refused and not any(_is_refused(stick, refused) for stick in snapshot.sticks):
        refused = None
    return replace(record, applied=applied, refused=refused)


def decide(record: Record, snapshot: Snapshot, secret: str | None) -> Apply | Refuse | None:
    """Say what to do next; None for nothing.

    While the stick that was applied is in, no other is looked at; else the first valid one wins; without any the
    first refused one is told about, once.

    Args:
        record: What is remembered, without the marks of absent sticks.
        snapshot: What is in.
        secret: The set-up secret that a file must hold; None if it need not, empty if there is none to match.
    """
    for stick in snapshot.sticks:
        if record.applied and _is_applied(stick, record.applied):
            left = frozenset(stick.flags) - frozenset(record.applied.done)
            return Apply(stick, left, frozenset(record.applied.done)) if left else None
    reasons = [(stick, stick.refusal or _lacks(stick, secret)) for stick in snapshot.sticks]
    for stick, reason in reasons:
        if not reason:
            return Apply(stick, frozenset(stick.flags), frozenset())
    for stick, reason in reasons:
        told = record.refused
        return None if told and told == refused(stick, reason) else Refuse(stick, reason)
    return None


def applied(stick: Stick, done: frozenset[str]) -> Applied:
    """Return the mark of a stick that has reset these flags."""
    return Applied(filesystem=stick.filesystem, file_sha256=stick.file_sha256, done=tuple(sorted(done)))


def refused(stick: Stick, reason: str) -> Refused:
    """Return the mark of a stick whose refusal was told."""
    return Refused(device=stick.device, filesystem=stick.filesystem, reason=reason)


def _is_applied(stick: Stick, mark: Applied) -> bool:
    is_same = (stick.filesystem, stick.file_sha256) == (mark.filesystem, mark.file_sha256)
    return is_same and not stick.refusal


def _is_refused(stick: Stick, mark: Refused) -> bool:
    return (stick.device, stick.filesystem) == (mark.device, mark.filesystem)


def _lacks(stick: Stick, secret: str | None) -> str:
    if secret is None or proves_secret(stick.secret_sha256, secret):
        return ""
    return _NOT_PROVEN if stick.secret_sha256 else _NOT_SHOWN
