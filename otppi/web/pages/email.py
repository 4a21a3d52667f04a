"""E-mail: the accounts and how each is, their settings, a test of one, and a message by hand."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from otppi.gateway import answers
from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, Busy, OtpPiError
from otppi.web import forms, mail_words, sending, sheets
from otppi.web.sending import Outcome
from otppi.web.sheets import Group
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_

_PATH = "/email"
_COMMON, _SECTION = "email", "email_accounts"
_GROUPS = (
    Group(
        "account",
        N_("The account"),
        ("name", "active", "sender_address", "sender_name", "password", "limit_per_day"),
    ),
    Group("server", N_("The server"), ("host", "port", "security", "auth", "username")),
    Group(
        "connection",
        N_("Certificate and connections"),
        ("tls_verify", "ca_certificate", "allow_insecure", "connections", "timeout_s"),
        is_folded=True,
    ),
)
# What each account has for itself, and one that is made like another is not given.
_OWN = frozenset({"name", "sender_address", "username", "password"})


def show(visit: Visit) -> Response:
    """Show all accounts, and to an owner what they have in common."""
    return _drawn(visit)


def new(visit: Visit) -> Response:
    """Show the form for a new one, filled in by a preset or from another account."""
    return _form(visit, "", _filled_in(visit))


def add(visit: Visit) -> Response:
    """Add one."""
    return _saved(visit, "")


def edit(visit: Visit, account: str) -> Response:
    """Show the form of one."""
    return _form(visit, account, _present(visit, account))


def save(visit: Visit, account: str) -> Response:
    """Save one."""
    return _saved(visit, account)


def switch(visit: Visit, account: str) -> Response:
    """Switch one on or off."""
    is_on, name = visit.ticked("active"), _present(visit, account)["name"]
    visit.call("settings.put", section=_SECTION, item=account, values={"active": is_on})
    if is_on:
        text = visit.words("The account {name} is switched on.", name=name)
    else:
        text = visit.words("The account {name} is switched off.", name=name)
    return visit.redirect(_PATH, text)


def remove(visit: Visit, account: str) -> Response:
    """Remove one."""
    visit.call("settings.remove", section=_SECTION, item=account)
    return visit.redirect(_PATH, visit.words("The account is removed."))


def ask_for_test(visit: Visit, account: str) -> Response:
    """Show where a test may go."""
    return _test(visit, account, {"address": str(visit.call("own.show")["email"])})


def test(visit: Visit, account: str) -> Response:
    """Send one message through an account, and say what the server said."""
    given = visit.form_items()
    address = given.get("address", "").strip()
    try:
        told = visit.call("email_account.test", account=account, address=address)
    except BadRequest as error:
        return _test(visit, account, given, errors=visit.field_errors(error), status=error.status)
    if not told["sent"]:
        return _test(visit, account, given, reason=told["reason"], status=sending.REFUSED)
    text = visit.words(
        "The server took the message in {seconds} seconds. Look into the mailbox of {address}, and among its spam.",
        seconds=visit.words.number(told["seconds"], 1),
        address=address,
    )
    return visit.redirect(f"{_path_of(account)}/test", text)


def write(visit: Visit) -> Response:
    """Show the form of a message by hand."""
    return _writing(visit, given={})


def send(visit: Visit) -> Response:
    """Send the message, and wait for what becomes of it."""
    given, reference = visit.form_items(), sending.reference(visit)
    address = given.get("number", "").strip()
    try:
        if "@" not in address:  # of a number the device would make an SMS
            raise BadRequest("data.receiver", "is not an e-mail address")
        answer = visit.call(
            "send",
            number=address,
            text=visit.form("text"),
            subject=visit.form("subject").strip(),
            reference=reference,
        )
    except (BadRequest, Busy) as error:
        answer = answers.failure("send", error)
    outcome = sending.outcome_of_email(visit, answer)
    if outcome.is_good:
        return visit.redirect(f"{_PATH}/send", outcome.title)
    return _writing(visit, status=sending.REFUSED, given=given, outcome=outcome, reference=reference)


def _drawn(visit: Visit, error: OtpPiError | None = None) -> Response:
    accounts = visit.call("email_account.list")
    return visit.page(
        "email.html",
        status=200 if error is None else error.status,
        title=visit.words("E-mail"),
        cards=[
            {
                "account": one,
                "path": _path_of(one["id"]),
                "standing": mail_words.standing(one),
                "used": mail_words.used_today(visit.words, one),
            }
            for one in accounts
        ],
        daily_sum=mail_words.daily_sum(visit.words, accounts),
        sheet=sheets.draw(visit, (_COMMON,), error) if visit.can("settings.set") else None,
    )


def _path_of(account_id: str) -> str:
    return f"{_PATH}/{quote(account_id, safe='')}"


def _present(visit: Visit, account_id: str) -> Mapping[str, Any]:
    accounts = visit.call("settings.get", path=_SECTION)
    if account_id not in accounts:
        raise BadRequest("account", "there is no such account")
    return dict(accounts[account_id])


def _filled_in(visit: Visit) -> Mapping[str, Any]:
    if like := visit.query("like"):
        return {name: value for name, value in _present(visit, like).items() if name not in _OWN}
    preset = _preset(visit)
    return {name: preset[name] for name in ("host", "port", "security")} if preset is not None else {}


def _preset(visit: Visit) -> Mapping[str, Any] | None:
    wanted = visit.query("preset")
    return next((dict(one) for one in visit.call("email_account.presets") if one["id"] == wanted), None)


def _saved(visit: Visit, account_id: str) -> Response:
    described = visit.call("settings.describe", section=_SECTION)
    wanted = account_id or uuid.uuid4().hex
    present = _present(visit, account_id) if account_id else {}
    try:
        values = forms.read(described, visit.form_items(), forms.names_in(described))
        visit.call("settings.put", section=_SECTION, item=wanted, values=values, is_new=not account_id)
    except OtpPiError as error:
        return _form(visit, account_id, present, error)
    return visit.redirect(
        _PATH, visit.words("The account {name} is saved.", name=_present(visit, wanted)["name"])
    )


def _form(
    visit: Visit, account_id: str, values: Mapping[str, Any], error: OtpPiError | None = None
) -> Response:
    errors = visit.field_errors(error) if error is not None else None
    return visit.page(
        "email_account.html",
        status=200 if error is None else error.status,
        title=visit.words("Account {name}", name=values["name"])
        if account_id
        else visit.words("Add an e-mail account"),
        action=_path_of(account_id) if account_id else f"{_PATH}/new",
        account_id=account_id,
        presets=visit.call("email_account.presets"),
        preset=_preset(visit),
        form=sheets.grouped(visit, _SECTION, values, _GROUPS, errors),
    )


def _test(
    visit: Visit,
    account_id: str,
    given: Mapping[str, str],
    *,
    errors: Mapping[str, str] = MappingProxyType({}),
    reason: str | None = None,
    status: int = 200,
) -> Response:
    account = next((one for one in visit.call("email_account.list") if one["id"] == account_id), None)
    if account is None:
        return visit.lost()
    return visit.page(
        "email_test.html",
        status=status,
        title=visit.words("Test of {name}", name=account["name"]),
        account=account,
        action=f"{_path_of(account_id)}/test",
        given=given,
        errors=errors,
        reason=reason,
        advice=mail_words.advice(reason) if reason is not None else "",
    )


def _writing(
    visit: Visit,
    status: int = 200,
    *,
    given: Mapping[str, str],
    outcome: Outcome | None = None,
    reference: str = "",
) -> Response:
    return visit.page(
        "email_send.html",
        status=status,
        title=visit.words("Send an e-mail"),
        given=given,
        outcome=outcome,
        errors=outcome.errors if outcome is not None else {},
        has_account=any(one["active"] for one in visit.call("email_account.list")),
        reference=reference or sending.new_reference(),
        next_reference=sending.new_reference(),
    )


_ONE = f"{_PATH}/<account:re:[^/]+>"
ROUTES = (
    get(_PATH, show),
    *sheets.saving(_PATH, _COMMON, _drawn),
    get(f"{_PATH}/new", new, Role.OWNER),
    post(f"{_PATH}/new", add),
    get(f"{_PATH}/send", write, Role.OPERATOR),
    post(f"{_PATH}/send", send, Role.OPERATOR),
    get(_ONE, edit, Role.OWNER),
    post(_ONE, save),
    get(f"{_ONE}/test", ask_for_test, Role.OPERATOR),
    post(f"{_ONE}/test", test, Role.OPERATOR),
    post(f"{_ONE}/switch", switch),
    post(f"{_ONE}/remove", remove),
)
