"""Who is logged in on the admin pages."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from otppi.gateway.accounts import Administrator
from otppi.gateway.rights import Role
from otppi.lib.clock import Clock
from otppi.model.errors import Unauthorized

_TOKEN_BYTES = 32
_ID_BYTES = 8
_LONGEST_AGENT = 200

Credentials = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One browser in which somebody is logged in; times are on the boot clock."""

    id: str  # public, unlike the token
    user: str
    role: Role  # of the account at this moment, as is the language
    language: str  # empty follows the browser
    csrf: str = field(repr=False)
    opened_s: float
    seen_s: float
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class _Open:
    session: Session
    credentials: Credentials = field(repr=False)  # password hash and second factor that it was opened by


class Sessions:
    """Knows sessions by their tokens; every method may be called from any thread.

    They are in memory only, so a restart of the service ends them all. A session is also over when its account
    is gone or switched off, or has another password or second factor.
    """

    def __init__(
        self,
        accounts: Callable[[], Mapping[str, Administrator]],
        clock: Clock,
        *,
        idle_s: float = 1800.0,
        absolute_s: float = 43_200.0,
        most: int = 200,
    ) -> None:
        """Take where accounts are looked up, and how long sessions last.

        Args:
            accounts: Returns all accounts by user name, as the settings have them now.
            clock: Its boot time counts.
            idle_s: A session that nobody uses ends after so long (ASVS 5.0, 7.3.1).
            absolute_s: Every session ends after so long (ASVS 5.0, 7.3.2).
            most: Beyond so many the one longest unused ends.
        """
        self._accounts = accounts
        self._clock = clock
        self._idle_s = idle_s
        self._absolute_s = absolute_s
        self._most = most
        self._lock = threading.Lock()
        self._open: dict[bytes, _Open] = {}  # by the hash of the token, longest unused first

    def open(self, user: str, address: str, agent: str) -> str:
        """Open a session for somebody who has just logged in, and return its token, which is kept nowhere here.

        Raises:
            Unauthorized: The account is gone since then.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        account = self._accounts().get(user)
        if account is None:
            raise Unauthorized("the account is gone")
        now = self._clock.boot_s()
        session = Session(
            id=secrets.token_hex(_ID_BYTES),
            user=user,
            role=Role(account.role),
            language=account.language,
            csrf=secrets.token_urlsafe(_TOKEN_BYTES),
            opened_s=now,
            seen_s=now,
            address=address,
            agent="".join(letter for letter in agent[:_LONGEST_AGENT] if letter.isprintable()),
        )
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if self._is_in_time(one, now)}
            while len(self._open) >= self._most:
                del self._open[next(iter(self._open))]
            self._open[_digest(token)] = _Open(session, _credentials(account))
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of this token, which counts as used; None if it is over or there is none."""
        key = _digest(token)
        with self._lock:
            one = self._open.get(key)
            session = self._current(one) if one is not None else None
            if one is None or session is None:
                return None
            session = replace(session, seen_s=self._clock.boot_s())
            del self._open[key]
            self._open[key] = _Open(session, one.credentials)
        return session

    def look_at(self, token: str) -> Session | None:
        """Return the session of this token without counting as use; None if it is over or there is none."""
        with self._lock:
            one = self._open.get(_digest(token))
            return self._current(one) if one is not None else None

    def of(self, user: str) -> tuple[Session, ...]:
        """Return the sessions of a user that are not over, the one used last at the end."""
        with self._lock:
            found = [self._current(one) for one in self._open.values() if one.session.user == user]
        return tuple(session for session in found if session is not None)

    def close(self, token: str) -> None:
        """End a session, if it is not over yet."""
        with self._lock:
            self._open.pop(_digest(token), None)

    def close_by_id(self, user: str, session_id: str) -> bool:
        """End one session of a user; False if there is none of this id."""
        with self._lock:
            for key, one in self._open.items():
                if one.session.user == user and one.session.id == session_id:
                    del self._open[key]
                    return True
        return False

    def close_others(self, user: str, keep_token: str) -> None:
        """End all sessions of a user but this one, which goes on with the password that the account has now.

        For whoever has just changed his own password or second factor. An empty token keeps none.
        """
        account = self._accounts().get(user)
        kept_key = _digest(keep_token) if keep_token else b""
        with self._lock:
            kept = self._open.get(kept_key)
            self._open = {key: one for key, one in self._open.items() if one.session.user != user}
            if kept is not None and account is not None and kept.session.user == user:
                self._open[kept_key] = _Open(kept.session, _credentials(account))

    def _current(self, one: _Open) -> Session | None:
        """Return the session as its account is now; None if it is over.

        One whose password has changed is not removed here: `close_others` comes a moment after the change and may
        keep it.
        """
        account = self._accounts().get(one.session.user)
        if account is None or not account.is_usable or _credentials(account) != one.credentials:
            return None
        if not self._is_in_time(one, self._clock.boot_s()):
            return None
        return replace(one.session, role=Role(account.role), language=account.language)

    def _is_in_time(self, one: _Open, now: float) -> bool:
        session = one.session
        return now < session.seen_s + self._idle_s and now < session.opened_s + self._absolute_s


def _credentials(account: Administrator) -> Credentials:
    return account.password, account.totp_secret


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
