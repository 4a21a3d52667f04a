"""The accounts of people who may open these pages, and where they are logged in."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web import sheets
from otppi.web.browsers import browser_of
from otppi.web.site import Response, Visit, get, post

_LIST, _ADD, _CHANGE = "/administrators", "/administrators/add", "/administrators/change"
_OWN = "/account"
_SECTION = "admins"
_NEW = ("role", "name", "email", "phone", "language")
_OF_OTHERS = (*_NEW, "active", "blocked")


def show(visit: Visit) -> Response:
    """Show all administrators, and where they are logged in."""
    sessions = [
        {**one, "browser": browser_of(one["agent"], visit.words)} for one in visit.call("session.list")
    ]
    return visit.page(
        "administrators.html",
        title=visit.words("Administrators"),
        administrators=visit.call("admin.list"),
        sessions=sessions,
        path_of=_path_of,
    )


def ask_new(visit: Visit) -> Response:
    """Show the form for a new one."""
    return _add(visit)


def add(visit: Visit) -> Response:
    """Make one."""
    user = visit.form("user").strip()
    try:
        if _find(visit, user) is not None:
            raise BadRequest("user", "there is one of this name already")
        _put(visit, user, _NEW)
    except OtpPiError as error:
        return _add(visit, error.status, visit.field_errors(error))
    return visit.redirect(_LIST, visit.words("The administrator {user} is added.", user=user))


def ask_change(visit: Visit) -> Response:
    """Show one administrator; one's own account is on a page of its own."""
    if visit.query("user") == visit.caller.user:
        return visit.redirect(_OWN)
    return _change(visit)


def change(visit: Visit) -> Response:
    """Change one; an empty password keeps the present one."""
    user = visit.query("user")
    if _find(visit, user) is None:
        return visit.lost()
    try:
        _put(visit, user, _OF_OTHERS)
    except OtpPiError as error:
        return _change(visit, error.status, visit.field_errors(error))
    return visit.redirect(_LIST, visit.words("Saved."))


def disable_totp(visit: Visit) -> Response:
    """Let one in without the codes of an app."""
    user = visit.form("user")
    visit.call("admin.disable_totp", user=user)
    text = visit.words("{user} logs in with the password alone from now on.", user=user)
    return visit.redirect(_LIST, text)


def remove(visit: Visit) -> Response:
    """Remove one."""
    user = visit.form("user")
    visit.call("admin.remove", user=user)
    return visit.redirect(_LIST, visit.words("The administrator {user} is removed.", user=user))


def end_session(visit: Visit) -> Response:
    """Log somebody out."""
    visit.call("session.close", user=visit.form("user"), id=visit.form("id"))
    return visit.redirect(_LIST, visit.words("That browser is logged out."))


def _find(visit: Visit, user: str) -> Mapping[str, Any] | None:
    return next((one for one in visit.call("admin.list") if one["user"] == user), None)


def _put(visit: Visit, user: str, names: tuple[str, ...]) -> None:
    passwords = {name: visit.form(name) for name in ("password", "own_password")}
    visit.call("admin.put", user=user, **passwords, **_given(visit, names))


def _path_of(user: str) -> str:
    return f"{_CHANGE}?user={quote(user, safe='')}"


def _given(visit: Visit, names: tuple[str, ...]) -> dict[str, Any]:
    described = visit.call("settings.describe", section=_SECTION)
    switches = {one["name"] for one in described["settings"] if one["kind"] == "boolean"}
    return {name: visit.ticked(name) if name in switches else visit.form(name).strip() for name in names}


def _add(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    return visit.page(
        "administrator_add.html",
        status=status,
        title=visit.words("Add an administrator"),
        user=visit.form("user"),
        fields=sheets.item_fields(visit, _SECTION, {"role": Role.VIEWER.value}, _NEW, errors),
        errors=errors or {},
    )


def _change(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    user = visit.query("user")
    account = _find(visit, user)
    if account is None:
        return visit.lost()
    return visit.page(
        "administrator.html",
        status=status,
        title=visit.words("Administrator {user}", user=user),
        account=account,
        path=_path_of(user),
        fields=sheets.item_fields(visit, _SECTION, account, _OF_OTHERS, errors),
        errors=errors or {},
    )


ROUTES = (
    get(_LIST, show, Role.OWNER),
    get(_ADD, ask_new, Role.OWNER),
    post(_ADD, add),
    get(_CHANGE, ask_change, Role.OWNER),
    post(_CHANGE, change),
    post(f"{_LIST}/second-factor", disable_totp),
    post(f"{_LIST}/remove", remove),
    post(f"{_LIST}/session", end_session),
)
