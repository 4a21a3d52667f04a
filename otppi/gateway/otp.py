"""One-time passwords: made, remembered as keyed hashes, accepted once."""

import hmac
import math
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from otppi.gateway.journal import Journal, Record
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.model.errors import (
    Busy,
    DuplicateReference,
    MessageExpired,
    OtpExpired,
    OtpInvalid,
    OtpTooManyTries,
)
from otppi.settings.fields import integer
from otppi.settings.section import Section

# For so long an expired code is answered with 1203; later nothing is known of it, which is 1202.
REMEMBERED_AFTER_EXPIRY_S = 600.0
_SWEEP_EVERY_S = 60.0
_SALT_BYTES = 8
# Whitespace, hyphens and dashes, as people and phones put them between groups of digits.
_SEPARATORS = re.compile(r"[\s\-\u00ad\u2010-\u2015\u2212]+")

Params = tuple[str, str, str, str]


class OtpSettings(Section, key="otp", title="One-time passwords"):
    """How codes are made, and how often they may be asked for and guessed."""

    length: int = integer(
        title="Digits of a code",
        default=6,
        minimum=4,
        maximum=10,
        help="Digits of a code. 4 and 5 are possible and are below what NIST and ASVS ask for.",
        rule="NIST SP 800-63B-4, 3.1.3.2: at least six digits; ASVS 5.0, 6.5.4: at least 20 bits",
    )
    default_life_s: int = integer(
        title="Life of a code",
        default=300,
        minimum=30,
        maximum=600,
        unit="s",
        help="How long a code is valid when the request names no end.",
    )
    max_life_s: int = integer(
        title="Longest life of a code",
        default=600,
        minimum=30,
        maximum=600,
        unit="s",
        help="The longest a code may be valid; a longer one in a request is cut to it.",
        rule="ASVS 5.0, 6.5.5 and NIST SP 800-63B-4, 3.1.3.2: at most 10 minutes",
    )
    max_wrong_tries: int = integer(
        title="Wrong tries",
        default=5,
        minimum=1,
        maximum=100,
        help="Wrong tries after which a code is dead, even for who then types the right one.",
        rule="NIST SP 800-63B-4, 3.2.2: at most 100 failed attempts; ASVS 5.0, 6.6.3",
    )
    receiver_limit: int = integer(
        title="Codes for one receiver within the window",
        default=5,
        minimum=0,
        maximum=1000,
        help="Codes that one receiver may be sent within the window; 0 switches this limit off.",
        rule="ASVS 5.0, 6.6.3",
    )
    receiver_window_s: int = integer(
        title="Window",
        default=600,
        minimum=10,
        maximum=3600,
        unit="s",
        help="The window of the limit above.",
    )
    receiver_hour_limit: int = integer(
        title="Codes for one receiver in an hour",
        default=10,
        minimum=0,
        maximum=1000,
        help="Codes that one receiver may be sent within an hour; 0 switches this limit off.",
        rule="ASVS 5.0, 6.6.3",
    )
    user_limit: int = integer(
        title="Codes for one API user in a minute",
        default=0,
        minimum=0,
        maximum=100_000,
        help="Codes that one API user may ask for in a minute; 0 means no limit. "
        "Leave it at 0 when one application asks on behalf of all people, or set it above their number.",
    )
    address_limit: int = integer(
        title="Codes for one network address in a minute",
        default=0,
        minimum=0,
        maximum=100_000,
        help="Codes that may be asked for from one network address in a minute; 0 means no limit. "
        "Leave it at 0 when one application server asks on behalf of all people.",
    )


@dataclass(frozen=True, kw_only=True)
class IssuedOtp:
    """A new code, to be put into one message and then forgotten."""

    code: str = field(repr=False)
    life_s: float
    token: str  # names this issue, for `OtpStore.revoke`


@dataclass(frozen=True, slots=True)
class _Record:
    code_hash: bytes
    salt: bytes
    expires_boot_s: float
    wrong_tries: int = 0
    submitted: bool = False

    @property
    def forgotten_boot_s(self) -> float:
        return self.expires_boot_s + REMEMBERED_AFTER_EXPIRY_S


class OtpStore:
    """Remembers which codes are live; every method may be called from any thread.

    A code is bound to its reference, receiver and parameters by an HMAC under the device's key; neither the
    code nor anything it is bound to is kept. Lives are measured on the boot clock and end exactly; the sweep
    only gives memory back.
    """

    def __init__(
        self,
        settings: Callable[[], OtpSettings],
        key: bytes,
        clock: Clock,
        journal: Journal,
        capacity: int = 50_000,
        kind: str = "otp",
    ) -> None:
        """Take what it needs; `kind` names its records in the journal, and each store has another."""
        self._settings = settings
        self._key = key
        self._clock = clock
        self._journal = journal
        self._capacity = capacity
        self._kind = kind
        self._records: dict[bytes, _Record] = {}
        self._next_sweep_boot_s = 0.0
        self._full_until_boot_s = 0.0
        # Stands in for a record that does not exist, so that an unknown reference costs the same time.
        self._nobody = _Record(
            secrets.token_bytes(32), secrets.token_bytes(_SALT_BYTES), -REMEMBERED_AFTER_EXPIRY_S
        )
        journal.register(kind, self._replay, self._live)

    def issue(self, reference: str, receiver_key: str, params: Params, life_s: float) -> IssuedOtp:
        """Make a code for a reference that has none.

        A life longer than the setting is cut to it; `inf` means that the request named no end.

        Raises:
            DuplicateReference: A code of this reference is live, or dead by wrong tries and not yet expired.
            MessageExpired: The life is over before it began.
            Busy: Too many codes are live.
        """
        settings = self._settings()
        life_s = min(settings.default_life_s if math.isinf(life_s) else life_s, settings.max_life_s)
        if life_s <= 0:
            raise MessageExpired("the life of the code was over before it was made")
        code = _new_code(settings.length)
        salt = secrets.token_bytes(_SALT_BYTES)
        code_hash = self._hash(salt, reference, receiver_key, params, code)
        record_key = self._key_of(reference)
        with self._journal.lock:
            now = self._clock.boot_s()
            old = self._known(record_key, now)
            if old is not None and now < old.expires_boot_s:
                raise DuplicateReference(old.expires_boot_s - now)
            self._make_room(record_key, now)
            self._remember(record_key, _Record(code_hash, salt, now + life_s))
        return IssuedOtp(code=code, life_s=life_s, token=salt.hex())

    def submitted(self, reference: str, token: str) -> None:
        """Record that the code may now leave; call it just before Ctrl-Z, for every part or copy.

        Only from here on does a restart of the service keep it: a code that surely never left is forgotten
        then, so that the same reference can be asked for again.
        """
        record_key = self._key_of(reference)
        with self._journal.lock:
            record = self._records.get(record_key)
            if record is not None and record.salt.hex() == token and not record.submitted:
                self._remember(record_key, replace(record, submitted=True))

    def revoke(self, reference: str, token: str) -> None:
        """Forget a code whose sending surely failed, unless it is no longer that issue of it."""
        record_key = self._key_of(reference)
        with self._journal.lock:
            record = self._records.get(record_key)
            if record is not None and record.salt.hex() == token:
                self._forget(record_key)

    def verify(self, reference: str, receiver_key: str, params: Params, code: str) -> None:
        """Accept a right code and use it up; anything else is a wrong try.

        Spaces, hyphens and dashes in the code are ignored. Digits of other alphabets are wrong.

        Raises:
            OtpInvalid: Reference, receiver, parameters or code are wrong.
            OtpExpired: The life of the code is over.
            OtpTooManyTries: There were as many wrong tries before this one as are allowed.
        """
        record_key = self._key_of(reference)
        typed = _SEPARATORS.sub("", code)
        with self._journal.lock:
            now = self._clock.boot_s()
            # Known or not, one hash is made and one comparison: time does not tell which references exist.
            record = self._known(record_key, now) or self._nobody
            typed_hash = self._hash(record.salt, reference, receiver_key, params, typed)
            is_right = hmac.compare_digest(typed_hash, record.code_hash)
            if record is not self._nobody:
                self._refuse_if_over(record, now)
            if not is_right:
                self._count_wrong_try(record_key, record)
                raise OtpInvalid("wrong code, or unknown reference")
            self._forget(record_key)

    def _known(self, record_key: bytes, now: float) -> _Record | None:
        record = self._records.get(record_key)
        return None if record is None or now >= record.forgotten_boot_s else record

    def _is_dead(self, record: _Record) -> bool:
        return record.wrong_tries >= self._settings().max_wrong_tries

    def _refuse_if_over(self, record: _Record, now: float) -> None:
        if now >= record.expires_boot_s:
            raise OtpExpired("the code has expired")
        if self._is_dead(record):
            raise OtpTooManyTries(record.expires_boot_s - now)

    def _count_wrong_try(self, record_key: bytes, record: _Record) -> None:
        if record is self._nobody:
            # Writing takes time as well, and would tell; this record changes nothing when replayed.
            self._journal.append(self._kind, _as_written(record_key, record))
        else:
            self._remember(record_key, replace(record, wrong_tries=record.wrong_tries + 1))

    def _remember(self, record_key: bytes, record: _Record) -> None:
        self._records[record_key] = record
        if record.submitted:
            self._journal.append(self._kind, _as_written(record_key, record))

    def _forget(self, record_key: bytes) -> None:
        del self._records[record_key]
        self._journal.append(self._kind, [record_key.hex()])

    def _make_room(self, record_key: bytes, now: float) -> None:
        if now >= self._next_sweep_boot_s:
            self._next_sweep_boot_s = now + _SWEEP_EVERY_S
            self._records = {key: kept for key, kept in self._records.items() if now < kept.forgotten_boot_s}
        if len(self._records) < self._capacity or record_key in self._records:
            return
        if now >= self._full_until_boot_s:
            self._records = {key: kept for key, kept in self._records.items() if now < kept.expires_boot_s}
            if len(self._records) < self._capacity:
                return
            self._full_until_boot_s = min(kept.expires_boot_s for kept in self._records.values())
        raise Busy("too many codes are live", self._full_until_boot_s - now)

    def _replay(self, written: Record) -> None:
        record_key = bytes.fromhex(written[0])
        self._records.pop(record_key, None)
        if len(written) == 1:
            return
        _, code_hash, salt, expires_boot_s, wrong_tries = written
        record = _Record(
            bytes.fromhex(code_hash), bytes.fromhex(salt), float(expires_boot_s), int(wrong_tries), True
        )
        if self._clock.boot_s() < record.forgotten_boot_s:
            self._records[record_key] = record

    def _live(self) -> Iterator[Record]:
        now = self._clock.boot_s()
        for record_key, record in self._records.items():
            if record.submitted and now < record.forgotten_boot_s:
                yield _as_written(record_key, record)

    def _key_of(self, reference: str) -> bytes:
        return keyed_hash(self._key, "otp reference", reference)

    def _hash(self, salt: bytes, reference: str, receiver_key: str, params: Params, code: str) -> bytes:
        return keyed_hash(self._key, "otp code", salt.hex(), reference, receiver_key, *params, code)


def _new_code(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}d}"


def _as_written(record_key: bytes, record: _Record) -> Record:
    return [
        record_key.hex(),
        record.code_hash.hex(),
        record.salt.hex(),
        record.expires_boot_s,
        record.wrong_tries,
    ]
