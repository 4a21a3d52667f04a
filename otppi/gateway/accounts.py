"""Who may use the API and the pages."""

import hashlib
import hmac
import logging
import secrets
import threading

from otppi.gateway.limits import Rule, SlidingLimit
from otppi.lib.clock import Clock
from otppi.lib.passwords import hash_password, verify_password
from otppi.model.errors import TooManyRequests, Unauthorized
from otppi.settings.fields import boolean, password, text
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

# Slow hashes are what an attacker can make us compute; so many wrong passwords an address may try in a minute.
_WRONG_PASSWORDS = Rule(limit=20, window_s=60.0)
# Of what an address does wrong, the log has one line a minute, and one when the limit is reached.
_LOG_LINES = Rule(limit=1, window_s=60.0)
# So many threads may wait for a slow hash; the rest stay free for those who are known.
_LONGEST_QUEUE = 8
_LONGEST_LOOK_S = 10.0
_QUEUE_PAUSE_S = 1.0


class ApiUser(Section, key="api_users", title="API users", reset_flag="RESET_API_USER", many=True):
    """Accounts that may use the REST API; the id of an entry is the user name."""

    password: str = password(min_length=8, help="Password for Basic authentication.")
    name: str = text(default="", pattern=r".{0,100}", help="Whose account it is.")
    email: str = text(default="", pattern=r".{0,254}", help="Contact of the account's owner.")
    phone: str = text(default="", pattern=r"[0-9+ ()-]{0,30}", help="Contact of the account's owner.")
    active: bool = boolean(default=True, help="Off, the account is refused.")
    blocked: bool = boolean(default=False, help="On, the account is refused.")


class Administrator(Section, key="admins", title="Administrators", reset_flag="RESET_USER", many=True):
    """Accounts that may use the admin pages; the id of an entry is the user name."""

    password: str = password(min_length=10, help="Password for the admin pages.")
    name: str = text(default="", pattern=r".{0,100}", help="Whose account it is.")
    email: str = text(default="", pattern=r".{0,254}", help="Where a forgotten password is reset.")
    phone: str = text(default="", pattern=r"[0-9+ ()-]{0,30}", help="Where a forgotten password is reset.")
    active: bool = boolean(default=True, help="Off, the account is refused.")
    blocked: bool = boolean(default=False, help="On, the account is refused.")


class ApiAccounts:
    """Checks user names and passwords of API users.

    Slow hashes would cost more than the request itself, so a password that was right is remembered by a fast
    keyed hash until the account changes. Wrong ones are limited per address; a right one that is remembered
    passes even then, so that nobody can lock the application server out.
    """

    def __init__(self, store: SettingsStore, clock: Clock) -> None:
        self._store = store
        self._key = secrets.token_bytes(32)
        self._remembered: dict[str, tuple[str, bytes]] = {}  # user: stored hash, keyed hash of the password
        self._clock = clock
        self._wrong = SlidingLimit(_WRONG_PASSWORDS)
        self._told = SlidingLimit(_LOG_LINES)
        self._queue = threading.BoundedSemaphore(_LONGEST_QUEUE)
        self._lock = threading.Lock()
        self._looked_at: dict[tuple[str, bytes], threading.Event] = {}
        # One slow hash at a time: each takes 16 MB for its moment.
        self._slow = threading.Lock()
        self._nobody = hash_password(secrets.token_hex(16))

    def check(self, user: str, clear: str, address: str) -> None:
        """Let an API user pass.

        Raises:
            Unauthorized: User or password is wrong, or the account is switched off.
            TooManyRequests: Too many wrong ones came from this address, or too many wait to be looked at.
        """
        account = self._store.items(ApiUser).get(user)
        stored = account.password if account is not None else ""
        digest = hmac.digest(self._key, clear.encode("utf-8", "surrogatepass"), hashlib.sha256)
        if not self._is_remembered(user, stored, digest):
            self._refuse_guessing(address)
            self._look_closely(user, clear, stored, digest, address)
        if account is None or not account.active or account.blocked:
            raise Unauthorized("the account is switched off")

    def _look_closely(self, user: str, clear: str, stored: str, digest: bytes, address: str) -> None:
        """Verify by the slow hash; of many callers with the same password at once, one does it for all."""
        name = (user, digest)
        with self._lock:
            looked_at = self._looked_at.get(name)
            if looked_at is None:
                self._looked_at[name] = done = threading.Event()
        if looked_at is not None:
            looked_at.wait(_LONGEST_LOOK_S)
            if not self._is_remembered(user, stored, digest):
                self._count_wrong(user if stored else "", address)
                raise Unauthorized("user name or password is wrong")
            return
        try:
            self._verify(user, clear, stored, digest, address)
        finally:
            with self._lock:
                del self._looked_at[name]
            done.set()

    def _verify(self, user: str, clear: str, stored: str, digest: bytes, address: str) -> None:
        if not self._queue.acquire(blocking=False):
            raise TooManyRequests("device", retry_after_s=_QUEUE_PAUSE_S)
        try:
            with self._slow:
                # Of many guesses at once, those behind the last one that is allowed are not looked at.
                self._refuse_guessing(address)
                # An unknown user costs as much time as a wrong password.
                if not verify_password(clear, stored or self._nobody) or not stored:
                    self._count_wrong(user if stored else "", address)
                    raise Unauthorized("user name or password is wrong")
                self._remembered[user] = (stored, digest)
        finally:
            self._queue.release()

    def _refuse_guessing(self, address: str) -> None:
        wait_s = self._wrong.wait_s(address.encode(), self._clock.boot_s())
        if wait_s > 0:
            raise TooManyRequests("address", wait_s)

    def _count_wrong(self, user: str, address: str) -> None:
        now = self._clock.boot_s()
        self._wrong.take(address.encode(), now)
        fields = {"address": address, "user": user or "unknown"}
        if self._wrong.wait_s(address.encode(), now) > 0:
            log.warning("too many wrong passwords from an address", extra={"fields": fields})
        elif self._told.wait_s(address.encode(), now) == 0:
            self._told.take(address.encode(), now)
            log.warning("a wrong password", extra={"fields": fields})

    def _is_remembered(self, user: str, stored: str, digest: bytes) -> bool:
        remembered = self._remembered.get(user)
        return (
            remembered is not None and remembered[0] == stored and hmac.compare_digest(remembered[1], digest)
        )
