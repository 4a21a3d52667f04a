"""Tokens by which programs use the admin API in the name of an administrator."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from otppi.gateway.accounts import Administrator
from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, Unauthorized
from otppi.settings.fields import boolean, choice, secret, text
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore

_TOKEN_BYTES = 32
_ID_BYTES = 6


class AdminToken(
    Section, key="admin_tokens", title="Tokens of the admin API", reset_flag="RESET_USER", many=True
):
    """Tokens that `token.make` makes; the id of an entry is public, the token itself is shown once."""

    # The token is random and long, so a fast hash of it is as good as a slow one.
    digest: str = secret(
        pattern=r"[0-9a-f]{64}", shape="64 hexadecimal digits", help="SHA-256 of the token, in hexadecimal."
    )
    user: str = text(
        pattern=r".{1,64}", shape="1 to 64 characters", help="The administrator in whose name it acts."
    )
    role: str = choice(
        tuple(reversed(Role)),
        default=Role.VIEWER,
        help="What it may do: at most what its administrator may at that moment.",
    )
    note: str = text(default="", pattern=r".{0,100}", shape="at most 100 characters", help="What it is for.")
    active: bool = boolean(default=True, help="Off, the token is refused.")


class AdminTokens:
    """Makes and checks tokens; every method may be called from any thread."""

    def __init__(self, store: SettingsStore) -> None:
        self._store = store

    def make(self, user: str, role: str, note: str) -> dict[str, str]:
        """Make a token of an administrator; what is returned is kept nowhere.

        Raises:
            BadRequest: There is no such administrator.
            SettingsError: Role or note are not possible, or the disk refuses.
        """
        token, token_id = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_hex(_ID_BYTES)
        with self._store.exclusively():
            if user not in self._store.items(Administrator):
                raise BadRequest("user", "there is no such administrator")
            raw = {"digest": _digest(token), "user": user, "role": role, "note": note}
            self._store.put(AdminToken, token_id, raw)
        return {"id": token_id, "token": token}

    def listed(self) -> list[dict[str, Any]]:
        """Return all tokens without what they are made of."""
        return [
            {"id": token_id, "user": one.user, "role": one.role, "note": one.note, "active": one.active}
            for token_id, one in self._store.items(AdminToken).items()
        ]

    def remove(self, token_id: str) -> None:
        """Remove a token; it is refused from now on.

        Raises:
            SettingsError: There is none of this id, or the disk refuses.
        """
        self._store.remove(AdminToken, token_id)

    def remove_all(self, user: str) -> None:
        """Remove all tokens of an administrator.

        Raises:
            SettingsError: The disk refuses.
        """
        with self._store.exclusively():
            self._store.replace({AdminToken: _without(self._store.items(AdminToken), user)})

    def count(self, user: str) -> int:
        """Return how many tokens of an administrator are not switched off."""
        return sum(one.user == user and one.active for one in self._store.items(AdminToken).values())

    def check(self, token: str) -> tuple[str, Role, str]:
        """Return whose token it is, what it may do, and its id.

        Raises:
            Unauthorized: It is none of ours, or it or its administrator is switched off.
        """
        digest = _digest(token)
        found, found_id = None, ""
        # All are compared, so that time does not tell how near a guess was.
        for token_id, one in self._store.items(AdminToken).items():
            if hmac.compare_digest(one.digest, digest):
                found, found_id = one, token_id
        account = self._store.items(Administrator).get(found.user) if found is not None else None
        if found is None or account is None or not (found.active and account.is_usable):
            raise Unauthorized("the token is not valid")
        wanted, allowed = Role(found.role), Role(account.role)
        return found.user, wanted if allowed.includes(wanted) else allowed, found_id


def remove_administrator(store: SettingsStore, user: str) -> None:
    """Remove an account with its tokens, so that no later account of this name inherits them.

    Raises:
        SettingsError: There is no such account, the last owner would go, or the disk refuses.
    """
    with store.exclusively():
        accounts, tokens = store.items(Administrator), store.items(AdminToken)
        if user not in accounts:
            store.remove(Administrator, user)  # it says what is wrong, and which name was meant
        store.replace(
            {
                Administrator: {one: account for one, account in accounts.items() if one != user},
                AdminToken: _without(tokens, user),
            }
        )


def _without(tokens: Mapping[str, AdminToken], user: str) -> dict[str, AdminToken]:
    return {one: token for one, token in tokens.items() if token.user != user}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
