"""PINs and PUKs that were tried, so that no restart, no other door and no power cut spends the last try."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from otppi.lib.atomicfile import write_atomically
from otppi.lib.filelock import hold
from otppi.lib.passwords import hash_password, verify_password
from otppi.model.modems import is_another_sim

log = logging.getLogger(__name__)


class Code(StrEnum):
    """What opens a SIM."""

    PIN = "PIN"
    PUK = "PUK"


# A SIM blocks with the third wrong PIN (3GPP TS 51.011, 8.9), for good with the tenth wrong PUK (8.13). Nobody knows
# what was tried in other devices, hence no more than half of the PUK's.
_MAY_BE_SPENT = {Code.PIN: 2, Code.PUK: 5}


@dataclass(frozen=True, kw_only=True)
class _Try:
    modem_id: str
    iccid: str  # empty if the modem does not tell while the SIM is locked
    code: str
    refused: str = ""  # slow hash of what was refused; empty as long as nobody knows what became of it
    was_seen_locked: bool = False  # later than this try


class RefusedPins:
    """Remembers what the SIMs of this device were given and did not take; only slow hashes of it are kept.

    A try counts from before it is made until the SIM is known to have taken a code. Several processes may use one
    file, so nothing is remembered elsewhere.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = file.with_name(f"{file.name}.lock")

    def __bool__(self) -> bool:
        """Whether anything is remembered of any SIM."""
        return bool(self.tries())

    def of(self, modem_id: str, iccid: str = "") -> "SpentTries":
        """Return what is remembered of a SIM; one that tells no number is taken for the one that was there before."""
        return SpentTries(self, modem_id, iccid)

    def tries(self) -> list[_Try]:
        """Return those of all SIMs, oldest first."""
        try:
            return [_Try(**one) for one in json.loads(self._file.read_text())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError):
            log.warning("the list of refused PINs cannot be read and starts anew")
            return []

    def change(self, change: Callable[[list[_Try]], Iterable[_Try]]) -> None:
        """Replace them; on the disk when this returns."""
        with hold(self._lock, waits=True):
            before = self.tries()
            after = list(change(before))
            if after != before:
                write_atomically(self._file, json.dumps([asdict(one) for one in after]).encode())


class SpentTries:
    """The tries of one SIM; each change is on the disk when the method returns, or raises OSError."""

    def __init__(self, file: RefusedPins, modem_id: str, iccid: str) -> None:
        self._file = file
        self._modem_id = modem_id
        self._iccid = iccid
        self._has_begun = False

    def may_try(self, code: Code) -> bool:
        """Whether one more wrong one surely leaves a try to a person, if the SIM forgave them all at the beginning."""
        return len(self._own(code)) < _MAY_BE_SPENT[code]

    def was_refused(self, code: Code, secret: str) -> bool:
        """Whether the SIM refused this very PIN or PUK."""
        return any(verify_password(secret, one.refused) for one in self._own(code))

    def begin(self, code: Code) -> None:
        """Count a try that is about to be made."""
        one = _Try(modem_id=self._modem_id, iccid=self._iccid, code=code)
        self._has_begun = False
        self._file.change(lambda tries: [*tries, one])
        self._has_begun = True

    def refuse(self, code: Code, secret: str) -> None:
        """The try that was begun was a wrong one."""
        hashed = hash_password(secret)
        self._change_newest(code, lambda one: [replace(one, refused=hashed)])

    def take_back(self, code: Code) -> None:
        """The try that was begun was none."""
        self._change_newest(code, lambda _: [])

    def forget(self, code: Code) -> None:
        """The SIM took it, and forgives anew; a PUK brings a new PIN with it."""
        taken = (code, Code.PIN)
        self._file.change(
            lambda tries: [one for one in tries if one.code not in taken or not self._is_mine(one)]
        )

    def seen(self, *, is_open: bool) -> None:
        """The SIM was found open, or locked; if it was locked before, somebody opened it elsewhere."""

        def change(tries: list[_Try]) -> Iterable[_Try]:
            for one in tries:
                if not self._is_mine(one):
                    yield one
                elif not is_open:
                    yield replace(one, was_seen_locked=True)
                elif not one.was_seen_locked:
                    yield one

        self._file.change(change)

    def _own(self, code: Code) -> list[_Try]:
        return [one for one in self._file.tries() if one.code == code and self._is_mine(one)]

    def _change_newest(self, code: Code, change: Callable[[_Try], list[_Try]]) -> None:
        def changed(tries: list[_Try]) -> list[_Try]:
            if not self._has_begun:  # the disk did not take it
                return tries
            for place in reversed(range(len(tries))):
                if tries[place].code == code and self._is_mine(tries[place]):
                    return [*tries[:place], *change(tries[place]), *tries[place + 1 :]]
            return tries

        self._file.change(changed)

    def _is_mine(self, one: _Try) -> bool:
        if one.iccid and self._iccid:
            return not is_another_sim(one.iccid, self._iccid)
        return one.modem_id == self._modem_id
