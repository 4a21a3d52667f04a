"""Codes that are made and checked on the side of the application, by the same rules as in the gateway.

All processes that use the folder share them. Only hashes lie there, in files of which a restart of the machine makes
nothing: codes that were live then are no longer known.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from otppi.gateway.journal import Journal
from otppi.gateway.otp import IssuedOtp, OtpSettings, OtpStore, Params
from otppi.lib.clock import Clock, SystemClock
from otppi.lib.filelock import AlreadyHeld, hold
from otppi.lib.keyfile import DamagedKeyFile, device_key, keyed_hash
from otppi.model.errors import BadRequest
from otppi.model.number import parse_number
from otppi.publisher.errors import CodesUnavailable

_LONGEST_LIFE_S = 600
_LONGEST_WAIT_S = 5.0
_LOOK_S = 0.002


class OwnCodes:
    """The codes in a folder of this user's on this machine; may be used by any number of threads and processes."""

    def __init__(
        self,
        folder: Path,
        *,
        max_life_s: int = 300,
        length: int = 6,
        country_code: str = "62",
        clock: Clock | None = None,
    ) -> None:
        """Take the folder, which is made when it is needed, and the rules.

        Args:
            folder: Must be this user's own, be no link, and be writable by nobody else.
            max_life_s: The longest life of a code; more than ten minutes is cut to that.
            length: Digits of a code.
            country_code: Put before national numbers, so that 0812… and 62812… are one receiver.
            clock: Another one than that of the machine.
        """
        self._folder = folder
        life_s = min(max_life_s, _LONGEST_LIFE_S)
        self._settings = OtpSettings(length=length, max_life_s=life_s, default_life_s=life_s)
        self._country_code = country_code
        self._clock = clock or SystemClock()

    def issue(self, reference: str, receiver: str, params: Params, life_s: float) -> IssuedOtp:
        """Make a code that is live for all processes when this returns.

        Raises:
            BadRequest: The receiver is neither a number nor an address.
            DuplicateReference: A code of this reference is live.
            MessageExpired: The life is over before it began.
            CodesUnavailable: The folder cannot be used.
        """
        receiver_key = self._receiver_key(receiver)
        with self._store(reference) as store:
            issued = store.issue(reference, receiver_key, params, life_s)
            store.submitted(reference, issued.token)  # from here on other processes see it
        return issued

    def revoke(self, reference: str, issued: IssuedOtp) -> None:
        """Forget a code whose sending surely failed; raises CodesUnavailable."""
        with self._store(reference) as store:
            store.revoke(reference, issued.token)

    def verify(self, reference: str, receiver: str, params: Params, code: str) -> None:
        """Accept a right code once; anything else is a wrong try.

        Raises:
            BadRequest: The receiver is neither a number nor an address.
            OtpInvalid: Reference, receiver, parameters or code are wrong.
            OtpExpired: The life of the code is over.
            OtpTooManyTries: The code is dead after too many wrong tries.
            CodesUnavailable: The folder cannot be used; the code was not accepted.
        """
        receiver_key = self._receiver_key(receiver)
        with self._store(reference) as store:
            store.verify(reference, receiver_key, params, code)

    def _receiver_key(self, receiver: str) -> str:
        if "@" in receiver:
            return receiver.lower()
        try:
            return parse_number(receiver, self._country_code).digits
        except ValueError as error:
            raise BadRequest("data.receiver", str(error)) from None

    @contextmanager
    def _store(self, reference: str) -> Iterator[OtpStore]:
        """Give the codes among which this one is, to this process alone; keep them when the block ends."""
        try:
            self._check_folder()
            key = device_key(self._folder / "otp.key")
            # Many small journals: each is read and written whole, and processes seldom wait for each other.
            part = self._folder / keyed_hash(key, "folder of a code", reference)[:1].hex()
            part.mkdir(mode=0o700, exist_ok=True)
            with self._held(part / "lock"):
                journal = Journal(part, self._clock, needs_ram=False)
                try:
                    yield OtpStore(lambda: self._settings, key, self._clock, journal)
                finally:
                    journal.compact()
                    is_kept = journal.is_kept
                    journal.close()
                    if not is_kept:
                        # What is not written would be unknown, or a used code known, to the next process.
                        raise CodesUnavailable(f"{self._folder}: the codes cannot be written")
        except (OSError, DamagedKeyFile) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise CodesUnavailable(f"{self._folder}: {reason}") from error

    def _check_folder(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise CodesUnavailable(f"{self._folder} is a link or a file: name the folder itself")
        if found.st_uid != os.geteuid():
            raise CodesUnavailable(f"{self._folder} belongs to another user")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CodesUnavailable(f"{self._folder} can be written by other users")

    @contextmanager
    def _held(self, lock: Path) -> Iterator[None]:
        end_s = time.monotonic() + _LONGEST_WAIT_S
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(hold(lock))
                    break
                except AlreadyHeld as error:
                    if time.monotonic() > end_s:
                        raise CodesUnavailable(f"{self._folder}: another process holds the codes") from error
                time.sleep(_LOOK_S)
            yield
