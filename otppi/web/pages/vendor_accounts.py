"""The accounts of programs that use the vendor API."""

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web import forms, sheets
from otppi.web.site import Response, Visit, get, post
from otppi.web.snippets import EXAMPLE_RECEIVER, SAFE_USER

_LIST, _ADD, _CHANGE = "/vendor-accounts", "/vendor-accounts/add", "/vendor-accounts/change"
_SECTION = "vendor_accounts"
_SECRETS = ("password", "api_key")
_RIGHTS = ("credit", "life_s", "reads_inbox", "addresses", "name", "email", "phone")


def show(visit: Visit) -> Response:
    """Show all accounts, and where their programs find the device."""
    return visit.page(
        "vendor_accounts.html",
        title=visit.words("Accounts of the vendor API"),
        accounts=visit.call("vendor_account.list"),
        addresses=_addresses(visit),
        path_of=_path_of,
    )


def ask_new(visit: Visit) -> Response:
    """Show the form for a new one."""
    return _add(visit)


def add(visit: Visit) -> Response:
    """Make one; what the device made up itself is shown once."""
    user = visit.form("user").strip()
    made = {name: secrets.token_urlsafe(12) for name in _SECRETS if not visit.form(name)}
    try:
        if not re.fullmatch(SAFE_USER, user):
            raise BadRequest("user", "has 1 to 64 letters, digits, dots, hyphens and underscores")
        if _account(visit, user) is not None:
            raise BadRequest("user", "there is one of this name already")
        values = {**_typed(visit, (*_SECRETS, *_RIGHTS)), **made}
        visit.call("settings.put", section=_SECTION, item=user, values=values, is_new=True)
    except OtpPiError as error:
        return _add(visit, error.status, visit.field_errors(error))
    return _made(visit, user, made)


def ask_change(visit: Visit) -> Response:
    """Show one account."""
    return _change(visit)


def change(visit: Visit) -> Response:
    """Change it; what is to be made anew is shown once."""
    user = visit.query("user")
    if _account(visit, user) is None:
        return visit.lost()
    made = {name: secrets.token_urlsafe(12) for name in _SECRETS if visit.ticked(f"new_{name}")}
    values = {**_typed(visit, ("active", *_SECRETS, *_RIGHTS)), **made}
    try:
        visit.call("settings.put", section=_SECTION, item=user, values=values)
    except OtpPiError as error:
        return _change(visit, error.status, visit.field_errors(error))
    if made:
        return _made(visit, user, made)
    return visit.redirect(_LIST, visit.words("Saved."))


def remove(visit: Visit) -> Response:
    """Remove one."""
    user = visit.form("user")
    visit.call("settings.remove", section=_SECTION, item=user)
    return visit.redirect(_LIST, visit.words("The account {user} is removed.", user=user))


def _account(visit: Visit, user: str) -> Mapping[str, Any] | None:
    return next((one for one in visit.call("vendor_account.list") if one["user"] == user), None)


def _typed(visit: Visit, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the form has of these settings; an empty secret keeps what there is."""
    return forms.read(visit.call("settings.describe", section=_SECTION), visit.form_items(), names)


def _path_of(user: str) -> str:
    return f"{_CHANGE}?user={quote(user, safe='')}"


def _addresses(visit: Visit) -> list[str]:
    """Return where programs find the API, as the visitor reaches the device; none if it is switched off."""
    api = visit.call("settings.get", path="vendor_api")
    return [
        f"{scheme}://{visit.url_host}:{api[f'{scheme}_port']}"
        for scheme in ("http", "https")
        if api[f"{scheme}_enabled"]
    ]


def _add(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    return visit.page(
        "vendor_account_add.html",
        status=status,
        title=visit.words("Add an account of the vendor API"),
        user=visit.form("user"),
        fields=sheets.item_fields(visit, _SECTION, {}, _RIGHTS, errors),
        errors=errors or {},
    )


def _change(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    user = visit.query("user")
    account = _account(visit, user)
    if account is None:
        return visit.lost()
    return visit.page(
        "vendor_account.html",
        status=status,
        title=visit.words("Account {user}", user=user),
        account=account,
        path=_path_of(user),
        fields=sheets.item_fields(visit, _SECTION, account, ("active", *_RIGHTS), errors),
        errors=errors or {},
    )


def _made(visit: Visit, user: str, made: Mapping[str, str]) -> Response:
    addresses = _addresses(visit)
    return visit.page(
        "vendor_account_made.html",
        title=visit.words("Account {user}", user=user),
        user=user,
        made=made,
        addresses=addresses,
        # What stands between quotes in the command.
        is_safe=re.fullmatch(SAFE_USER, user) is not None,
        receiver=EXAMPLE_RECEIVER,
        after=_LIST,
    )


ROUTES = (
    get(_LIST, show, Role.OWNER),
    get(_ADD, ask_new, Role.OWNER),
    post(_ADD, add),
    get(_CHANGE, ask_change, Role.OWNER),
    post(_CHANGE, change),
    post(f"{_LIST}/remove", remove),
)
