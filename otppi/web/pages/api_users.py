"""The accounts of applications that use the API."""

import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web import sheets
from otppi.web.site import Response, Visit, get, post
from otppi.web.snippets import EXAMPLE_RECEIVER, SAFE_USER, api_addresses, snippets
from otppi.web.words import N_

_LIST, _ADD, _CHANGE = "/api-users", "/api-users/add", "/api-users/change"
_SECTION = "api_users"
_CONTACT = ("name", "email", "phone")
_SWITCHES: Mapping[str, tuple[Mapping[str, bool], str]] = MappingProxyType(
    {
        "activate": ({"active": True, "blocked": False}, N_("The API user {user} is let in from now on.")),
        "deactivate": ({"active": False}, N_("The API user {user} is switched off.")),
        "block": ({"blocked": True}, N_("The API user {user} is blocked.")),
    }
)


def show(visit: Visit) -> Response:
    """Show all API users."""
    used = visit.call("api_user.used") if visit.can("api_user.used") else {}
    users = [{**one, "used": used.get(one["user"])} for one in _users(visit)]
    return visit.page("api_users.html", title=visit.words("API users"), users=users, path_of=_path_of)


def ask_new(visit: Visit) -> Response:
    """Show the form for a new one."""
    return _add(visit)


def add(visit: Visit) -> Response:
    """Make one, and show how it is used."""
    user, typed = visit.form("user").strip(), visit.form("password")
    made = "" if typed else _new_password()
    try:
        if not re.fullmatch(SAFE_USER, user):
            raise BadRequest("user", "has 1 to 64 letters, digits, dots, hyphens and underscores")
        values = {**_contact(visit), "password": typed or made}
        visit.call("api_user.put", user=user, values=values, is_new=True)
    except OtpPiError as error:
        return _add(visit, error.status, visit.field_errors(error))
    return _made(visit, user, made)


def ask_change(visit: Visit) -> Response:
    """Show one API user, and how it is used."""
    return _change(visit)


def change(visit: Visit) -> Response:
    """Change it; with a new password made by the device, show how it is used."""
    user, made = visit.query("user"), _new_password() if visit.ticked("new_password") else ""
    values = {**_contact(visit), "password": made or visit.form("password")}
    try:
        visit.call("api_user.put", user=user, values=values)
    except OtpPiError as error:
        return _change(visit, error.status, visit.field_errors(error))
    if made:
        return _made(visit, user, made)
    return visit.redirect(_LIST, visit.words("Saved."))


def switch(visit: Visit, what: str) -> Response:
    """Activate, switch off or block one."""
    values, text = _SWITCHES[what]
    user = visit.form("user")
    visit.call("api_user.put", user=user, values=values)
    return visit.redirect(_LIST, visit.words(text, user=user))


def remove(visit: Visit) -> Response:
    """Remove one."""
    user = visit.form("user")
    visit.call("settings.remove", section=_SECTION, item=user)
    return visit.redirect(_LIST, visit.words("The API user {user} is removed.", user=user))


def _users(visit: Visit) -> list[Mapping[str, Any]]:
    return list(visit.call("account.list", section=_SECTION))


def _path_of(user: str) -> str:
    return f"{_CHANGE}?user={quote(user, safe='')}"


def _new_password() -> str:
    return secrets.token_urlsafe(18)


def _contact(visit: Visit) -> dict[str, str]:
    return {name: visit.form(name).strip() for name in _CONTACT}


def _add(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    return visit.page(
        "api_user_add.html",
        status=status,
        title=visit.words("Add an API user"),
        user=visit.form("user"),
        fields=sheets.item_fields(visit, _SECTION, {}, _CONTACT, errors),
        errors=errors or {},
    )


def _change(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    user = visit.query("user")
    account = next((one for one in _users(visit) if one["user"] == user), None)
    if account is None:
        return visit.lost()
    return visit.page(
        "api_user.html",
        status=status,
        title=visit.words("API user {user}", user=user),
        account=account,
        path=_path_of(user),
        fields=sheets.item_fields(visit, _SECTION, account, _CONTACT, errors),
        errors=errors or {},
        **_usage(visit, user, password=""),
    )


def _made(visit: Visit, user: str, password: str) -> Response:
    return visit.page(
        "api_user_made.html",
        title=visit.words("API user {user}", user=user),
        after=_LIST,
        **_usage(visit, user, password),
    )


def _usage(visit: Visit, user: str, password: str) -> dict[str, Any]:
    """Return how applications use an account; a password that somebody typed is not shown."""
    plain, encrypted = api_addresses(visit)
    programs = snippets(
        url=plain or encrypted,
        user=user,
        password=password or "PASSWORD",
        receiver=EXAMPLE_RECEIVER,
        message=visit.words("Your code is %s"),
    )
    return {
        "user": user,
        "password": password,
        "plain": plain,
        "encrypted": encrypted,
        "is_example": True,
        # What old devices called an account may end a quotation in a program.
        "programs": programs if re.fullmatch(SAFE_USER, user) else None,
    }


ROUTES = (
    get(_LIST, show, Role.OWNER),
    get(_ADD, ask_new, Role.OWNER),
    post(_ADD, add),
    get(_CHANGE, ask_change, Role.OWNER),
    post(_CHANGE, change),
    post(f"{_LIST}/<what:re:{'|'.join(_SWITCHES)}>", switch),
    post(f"{_LIST}/remove", remove),
)
