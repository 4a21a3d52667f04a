"""What administrators do with accounts: those of others, their own, sessions, tokens and the audit trail."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from otppi.gateway.accounts import Administrator, refuse_user_name
from otppi.gateway.admin_tokens import AdminTokens, remove_administrator
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.audit import Audit
from otppi.gateway.new_passwords import refuse_weak
from otppi.gateway.sessions import Session, Sessions
from otppi.lib.clock import Clock
from otppi.lib.passwords import hash_password
from otppi.model.errors import BadRequest
from otppi.settings.section import shown
from otppi.settings.store import SettingsStore

# What would take an owner's own rights away; another owner may do it.
_NOT_OF_ONESELF = ("role", "active", "blocked")
_MOST_ROWS = 500


class AccountFunctions:
    """The functions of accounts; every method takes and returns JSON values.

    The argument `by` is the user name of who calls; it is empty for the owner of the device at the command line.
    Functions named `own.` are for every role. Those that could give somebody with a borrowed browser or token the
    account for ever ask for the password once more.
    """

    def __init__(
        self,
        store: SettingsStore,
        accounts: AdminAccounts,
        sessions: Sessions,
        tokens: AdminTokens,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._audit = audit
        self._clock = clock

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that front ends may make."""
        return {
            "admin.list": self.list,
            "admin.put": self.put,
            "admin.remove": self.remove,
            "admin.disable_totp": self.disable_totp,
            "own.show": self.show_own,
            "own.put": self.put_own,
            "own.password": self.change_own_password,
            "own.begin_totp": self.begin_own_totp,
            "own.enable_totp": self.enable_own_totp,
            "own.disable_totp": self.disable_own_totp,
            "own.sessions": self.list_own_sessions,
            "own.close_session": self.close_own_session,
            "session.list": self.list_sessions,
            "session.close": self.close_session,
            "token.list": self.list_tokens,
            "token.make": self.make_token,
            "token.remove": self.remove_token,
            "audit.list": self.list_audit,
        }

    def list(self) -> Sequence[Mapping[str, Any]]:
        """Return all administrators, without their secrets."""
        return [_as_json(user, one) for user, one in self._store.items(Administrator).items()]

    def put(
        self,
        user: str,
        password: str | None = None,
        name: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        role: str | None = None,
        language: str | None = None,
        active: bool | None = None,
        blocked: bool | None = None,
        own_password: str = "",
        by: str = "",
    ) -> Mapping[str, Any]:
        """Add an administrator, or change the one of this name; what is null stays as it is.

        `own_password` is that of who calls: with an account of another name a borrowed browser would be kept for ever.
        """
        if by:
            try:
                self._accounts.confirm(by, own_password)
            except BadRequest as error:
                raise BadRequest("own_password", error.reason) from None
        given: dict[str, object] = {
            "name": name,
            "email": email,
            "phone": phone,
            "role": role,
            "language": language,
            "active": active,
            "blocked": blocked,
        }
        changes = {key: value for key, value in given.items() if value is not None}
        if password:
            refuse_weak(user, password)
            changes["password"] = hash_password(password)  # before the lock: it takes a moment
        with self._store.exclusively():
            present = self._store.items(Administrator).get(user)
            if present is None:
                refuse_user_name(user)
                if not password:
                    raise BadRequest("password", "is required for a new account")
            elif by == user:
                _refuse_for_oneself(present, changes)
            made = self._store.put(Administrator, user, changes)
        return _as_json(user, made)

    def remove(self, user: str, by: str = "") -> None:
        """Remove an administrator with all tokens and sessions; nobody removes his own account."""
        if by == user:
            raise BadRequest("user", "nobody can remove his own account; another owner can")
        remove_administrator(self._store, user)
        self._sessions.close_others(user, keep_token="")

    def disable_totp(self, user: str, by: str = "") -> None:
        """Let an administrator whose phone is lost in without its codes."""
        if by == user:
            raise BadRequest("user", "is your own account, where you are asked for your password")
        self._accounts.disable_totp(user)

    def show_own(self, by: str) -> Mapping[str, Any]:
        """Return the account of who calls, without its secrets, and how many tokens it has."""
        return {**_as_json(by, self._accounts.account(by)), "tokens": self._tokens.count(by)}

    def put_own(
        self,
        name: str | None = None,
        language: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        password: str = "",
        *,
        by: str,
    ) -> Mapping[str, Any]:
        """Change the account of who calls; what is null stays.

        The password is needed for another e-mail address or phone, as those set a forgotten password.
        """
        account = self._accounts.account(by)
        given = {"name": name, "language": language, "email": email, "phone": phone}
        changes = {key: value for key, value in given.items() if value is not None}
        if any(
            changes.get(key, getattr(account, key)) != getattr(account, key) for key in ("email", "phone")
        ):
            self._accounts.confirm(by, password)
        return _as_json(by, self._store.put(Administrator, by, changes))

    def change_own_password(self, password: str, new_password: str, *, by: str) -> None:
        """Give the account of who calls another password; its other sessions end."""
        self._accounts.confirm(by, password)
        try:
            self._accounts.set_password(by, new_password)
        except BadRequest as error:
            raise BadRequest("new_password", error.reason) from None

    def begin_own_totp(self, *, by: str) -> Mapping[str, str]:
        """Return a new secret for an authenticator app, and the link for its QR code."""
        return self._accounts.begin_totp(by)

    def enable_own_totp(self, secret: str, code: str, password: str, *, by: str) -> None:
        """Ask for codes of an authenticator app from now on; `code` is one of them."""
        self._accounts.confirm(by, password)
        self._accounts.enable_totp(by, secret, code)

    def disable_own_totp(self, password: str, *, by: str) -> None:
        """Ask for no more codes; asks for the password."""
        self._accounts.confirm(by, password)
        self._accounts.disable_totp(by)

    def list_own_sessions(self, *, by: str) -> Sequence[Mapping[str, Any]]:
        """Return where who calls is logged in."""
        return self._listed(by)

    def close_own_session(self, id: str, *, by: str) -> None:
        """Log out one browser of who calls."""
        self._close(by, id)

    def list_sessions(self, user: str = "") -> Sequence[Mapping[str, Any]]:
        """Return where administrators are logged in, or one of them."""
        users = [user] if user else self._store.items(Administrator)
        return [session for one in users for session in self._listed(one)]

    def close_session(self, user: str, id: str) -> None:
        """Log out one browser of an administrator."""
        self._close(user, id)

    def list_tokens(self) -> Sequence[Mapping[str, Any]]:
        """Return the tokens of the admin API, without the tokens themselves."""
        return self._tokens.listed()

    def make_token(
        self, role: str, note: str = "", user: str = "", password: str = "", by: str = ""
    ) -> Mapping[str, str]:
        """Make a token for the admin API, of who calls or of another; it is shown this once.

        The password is that of who calls: a token works on when a borrowed browser was given back.
        """
        if by:
            self._accounts.confirm(by, password)
        return self._tokens.make(user or by, role, note)

    def remove_token(self, id: str) -> None:
        """Remove a token by its id; it is refused from now on."""
        self._tokens.remove(id)

    def list_audit(self, offset: int = 0, count: int = 50, user: str = "") -> Mapping[str, Any]:
        """Return who changed what, newest first, and how many rows there are."""
        return self._audit.page(max(0, offset), min(max(0, count), _MOST_ROWS), user)

    def _listed(self, user: str) -> Sequence[Mapping[str, Any]]:
        now = self._clock.boot_s()
        return [_session(one, now) for one in reversed(self._sessions.of(user))]

    def _close(self, user: str, session_id: str) -> None:
        if not self._sessions.close_by_id(user, session_id):
            raise BadRequest("id", "there is no such session")


def _refuse_for_oneself(present: Administrator, changes: Mapping[str, object]) -> None:
    if "password" in changes:
        raise BadRequest("password", "is your own, and changed where you are asked for the present one")
    for name in _NOT_OF_ONESELF:
        if changes.get(name, getattr(present, name)) != getattr(present, name):
            raise BadRequest(name, "nobody can change this of his own account; another owner can")


def _as_json(user: str, account: Administrator) -> dict[str, Any]:
    told = {name: value for name, value in shown(account).items() if name not in ("password", "totp_secret")}
    return {"user": user, **told, "has_totp": bool(account.totp_secret)}


def _session(session: Session, now: float) -> dict[str, Any]:
    return {
        "id": session.id,
        "user": session.user,
        "address": session.address,
        "agent": session.agent,
        "open_for_s": round(now - session.opened_s),
        "idle_for_s": round(now - session.seen_s),
    }
