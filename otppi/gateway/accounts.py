"""Who may use the API and the pages."""

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Mapping
from typing import Final, NoReturn

from otppi.gateway.guessing import OneAtATime
from otppi.gateway.limits import Rule, SlidingLimit
from otppi.gateway.rights import Role
from otppi.lib.clock import Clock
from otppi.lib.passwords import kept_form
from otppi.model.errors import BadRequest, SettingsError, TooManyRequests, Unauthorized
from otppi.settings.fields import boolean, choice, password, secret, text
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

_AT_SLOW_HASHES = 8
# Slow hashes are what an attacker can make us compute; so many wrong passwords an address may try in a minute.
_WRONG_PASSWORDS = Rule(limit=20, window_s=60.0)
# Of what an address does wrong, the log has one line a minute, and one when the limit is reached.
_LOG_LINES = Rule(limit=1, window_s=60.0)
_LONGEST_LOOK_S = 10.0
_LONGEST_USER_NAME = 64
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "id": "Bahasa Indonesia"}
TOTP_SECRET = r"[A-Z2-7]{32}"  # noqa: S105 - its form: 160 bits in base32, RFC 4226, 4, R6


class ApiUser(Section, key="api_users", title="API users", reset_flag="RESET_API_USER", many=True):
    """Accounts that may use the REST API; the id of an entry is the user name."""

    password: str = password(min_length=8, help="Password for Basic authentication.")
    name: str = text(
        default="", pattern=r".{0,100}", shape="at most 100 characters", help="Whose account it is."
    )
    email: str = text(
        default="",
        pattern=r".{0,254}",
        shape="at most 254 characters",
        help="Contact of the account's owner.",
    )
    phone: str = text(
        default="",
        pattern=r"[0-9+ ()-]{0,30}",
        shape="at most 30 digits, spaces and signs of a phone number",
        help="Contact of the account's owner.",
    )
    active: bool = boolean(default=True, help="Off, the account is refused.")
    blocked: bool = boolean(default=False, help="On, the account is refused.")


class Administrator(Section, key="admins", title="Administrators", reset_flag="RESET_USER", many=True):
    """Accounts that may use the admin pages; the id of an entry is the user name."""

    password: str = password(min_length=10, help="Password for the admin pages.")
    name: str = text(
        default="", pattern=r".{0,100}", shape="at most 100 characters", help="Whose account it is."
    )
    email: str = text(
        default="",
        pattern=r".{0,254}",
        shape="at most 254 characters",
        help="Where a forgotten password is reset.",
    )
    phone: str = text(
        default="",
        pattern=r"[0-9+ ()-]{0,30}",
        shape="at most 30 digits, spaces and signs of a phone number",
        help="Where a forgotten password is reset.",
    )
    role: str = choice(
        {Role.OWNER: "Owner", Role.OPERATOR: "Operator", Role.VIEWER: "Viewer"},
        default=Role.OWNER,
        help="A viewer sees how the device is; an operator also sends, reads the inbox and looks after modems; an "
        "owner also changes settings.",
    )
    language: str = choice(
        {"": "As the browser wants", **LANGUAGES}, default="", help="Language of the pages."
    )
    totp_secret: str = secret(
        default="",
        pattern=rf"({TOTP_SECRET})?",
        shape="32 letters A to Z and digits 2 to 7",
        help="What the account and its authenticator app share, in base32; empty, a password is enough.",
    )
    active: bool = boolean(default=True, help="Off, the account is refused.")
    blocked: bool = boolean(default=False, help="On, the account is refused.")

    @property
    def is_usable(self) -> bool:
        """Whether whoever proves to be its person may come in."""
        return self.active and not self.blocked


def refuse_user_name(user: str) -> None:
    """Refuse what cannot name an account.

    Raises:
        BadRequest: Says what a name may be.
    """
    if not user or ":" in user or not user.isprintable() or len(user) > _LONGEST_USER_NAME:
        reason = f"a user name has 1 to {_LONGEST_USER_NAME} printable characters and no colon"
        raise BadRequest("user", reason)


def refuse_without_owner(old: Mapping[str, Administrator], new: Mapping[str, Administrator]) -> None:
    """Refuse to leave only accounts that may not change settings; none at all is the factory's state.

    Raises:
        SettingsError: The last owner would go, or could come in no more.
    """
    if new and _has_owner(old) and not _has_owner(new):
        reason = "one owner who is active and not blocked must remain"
        raise SettingsError({Administrator.key: reason})


def _has_owner(accounts: Mapping[str, Administrator]) -> bool:
    return any(one.is_usable and one.role == Role.OWNER for one in accounts.values())


def keep_password(
    store: SettingsStore, section: type[ApiUser | Administrator], user: str, stored: str, kept: str
) -> None:
    """Put a slow hash in the place of what an older device kept, if nobody changed it meanwhile."""
    if kept == stored:
        return
    with store.exclusively():
        account = store.items(section).get(user)
        if account is not None and account.password == stored:
            try:
                store.put(section, user, {"password": kept})
            except SettingsError as error:
                # It was the right password; the old form stays until the disk takes the new one.
                fields = {"user": user, "reason": str(error)}
                log.warning("an old password hash could not be renewed", extra={"fields": fields})


class SwitchedOff(Unauthorized):
    """The log-in is right, and the account may not be used."""


class ApiAccounts:
    """Checks user names and passwords of API users, or of another section of such accounts.

    Slow hashes would cost more than the request itself, so a password that was right is remembered by a fast
    keyed hash until the account changes. Wrong ones are limited per address; a right one that is remembered
    passes even then, so that nobody can lock the application server out.
    """

    def __init__(self, store: SettingsStore, clock: Clock, section: type[ApiUser] = ApiUser) -> None:
        self._store = store
        self._section = section
        self._key = secrets.token_bytes(32)
        self._remembered: dict[str, tuple[str, bytes]] = {}  # user: stored hash, keyed hash of the password
        self._clock = clock
        self._wrong = SlidingLimit(_WRONG_PASSWORDS)
        self._told = SlidingLimit(_LOG_LINES)
        self._lock = threading.Lock()
        self._looked_at: dict[tuple[str, bytes], threading.Event] = {}
        self._slow = OneAtATime(most_threads=_AT_SLOW_HASHES)
        self._used: dict[str, tuple[float, str]] = {}  # user: when last on the boot clock, and from where

    def used(self) -> Mapping[str, Mapping[str, object]]:
        """Return when and from where each API user was last let in since the service started."""
        now = self._clock.boot_s()
        return {
            user: {"before_s": round(now - at_s), "address": address}
            for user, (at_s, address) in dict(self._used).items()
        }

    def check(self, user: str, clear: str, address: str) -> None:
        """Let an API user pass.

        Raises:
            Unauthorized: User or password is wrong, or the account is switched off.
            TooManyRequests: Too many wrong ones came from this address, or too many wait to be looked at.
        """
        digest = hmac.digest(self._key, clear.encode("utf-8", "surrogatepass"), hashlib.sha256)
        if not self._is_remembered(user, digest):
            self._refuse_guessing(address)
            self._look_closely(user, clear, digest, address)
        self._let_in(user, address)

    def check_proof(self, user: str, address: str, *, is_right: bool) -> None:
        """Let an account pass that proves by something else than its password who it is.

        Raises:
            Unauthorized: The proof is wrong, or the account is switched off.
            TooManyRequests: Too many wrong ones came from this address.
        """
        if not is_right:
            self._refuse_guessing(address)
            self._refuse(user, address)
        self._let_in(user, address)

    def _let_in(self, user: str, address: str) -> None:
        account = self._store.items(self._section).get(user)
        if account is None or not account.active or account.blocked:
            raise SwitchedOff("the account is switched off")
        self._used[user] = (self._clock.boot_s(), address)

    def _look_closely(self, user: str, clear: str, digest: bytes, address: str) -> None:
        """Verify by the slow hash; of many callers with the same password at once, one does it for all."""
        name = (user, digest)
        with self._lock:
            looked_at = self._looked_at.get(name)
            if looked_at is None:
                self._looked_at[name] = done = threading.Event()
        if looked_at is not None:
            looked_at.wait(_LONGEST_LOOK_S)
            if not self._is_remembered(user, digest):
                self._refuse(user, address)
            return
        try:
            self._verify(user, clear, digest, address)
        finally:
            with self._lock:
                del self._looked_at[name]
            done.set()

    def _verify(self, user: str, clear: str, digest: bytes, address: str) -> None:
        with self._slow.turn():
            self._refuse_guessing(address)
            stored = self._stored(user)
            kept = kept_form(clear, stored)
            if kept is None:
                self._refuse(user, address)
            keep_password(self._store, self._section, user, stored, kept)
            # What the store has now, since the disk may have refused the new form.
            self._remembered[user] = (kept if self._stored(user) == kept else stored, digest)

    def _stored(self, user: str) -> str:
        account = self._store.items(self._section).get(user)
        return account.password if account is not None else ""

    def _refuse(self, user: str, address: str) -> NoReturn:
        self._count_wrong(user if self._stored(user) else "", address)
        raise Unauthorized("user name or password is wrong")

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

    def _is_remembered(self, user: str, digest: bytes) -> bool:
        remembered, stored = self._remembered.get(user), self._stored(user)
        return (
            remembered is not None and remembered[0] == stored and hmac.compare_digest(remembered[1], digest)
        )
