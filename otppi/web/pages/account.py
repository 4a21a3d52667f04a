"""One's own account: data, password, second factor, where one is logged in, and tokens of the admin API."""

from collections.abc import Mapping

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web import admin_api, sheets
from otppi.web.browsers import browser_of
from otppi.web.site import Response, Visit, get, post

_PATH, _PASSWORD, _TOTP = "/account", "/account/password", "/account/second-factor"
_SESSIONS, _TOKENS = "/account/sessions", "/account/tokens"
_SECTION = "admins"
_DATA = ("name", "email", "phone", "language")
# An authenticator app reads it from a screen, and a phone's camera wants some white around it.
_QR_SCALE, _QR_BORDER = 4, 4


def show(visit: Visit) -> Response:
    """Show all of it."""
    return _drawn(visit)


def save(visit: Visit) -> Response:
    """Change one's own data."""
    given = {name: visit.form(name).strip() for name in _DATA}
    try:
        visit.call("own.put", **given, password=visit.form("password"))
    except OtpPiError as error:
        return _drawn(visit, error, "data")
    return visit.redirect(_PATH, visit.words("Saved."))


def change_password(visit: Visit) -> Response:
    """Take another password."""
    try:
        _refuse_different(visit)
        visit.call("own.password", password=visit.form("password"), new_password=visit.form("new_password"))
    except OtpPiError as error:
        return _drawn(visit, error, "password")
    _end_others(visit)
    return visit.redirect(_PATH, visit.words("The new password counts. Your other browsers are logged out."))


def begin_totp(visit: Visit) -> Response:
    """Show a new secret for an authenticator app."""
    return _totp(visit, visit.call("own.begin_totp"))


def enable_totp(visit: Visit) -> Response:
    """Ask for codes from now on, if the app has the secret."""
    secret = visit.form("secret")
    try:
        visit.call("own.enable_totp", secret=secret, code=visit.form("code"), password=visit.form("password"))
    except OtpPiError as error:
        return _totp(visit, {"secret": secret}, error)
    _end_others(visit)
    return visit.redirect(_PATH, visit.words("From now on your log-in needs the app as well."))


def disable_totp(visit: Visit) -> Response:
    """Ask for codes no more."""
    try:
        visit.call("own.disable_totp", password=visit.form("password"))
    except OtpPiError as error:
        return _drawn(visit, error, "totp")
    _end_others(visit)
    return visit.redirect(_PATH, visit.words("From now on the password is enough."))


def end_session(visit: Visit) -> Response:
    """Log one browser out."""
    visit.call("own.close_session", id=visit.form("id"))
    return visit.redirect(_PATH, visit.words("That browser is logged out."))


def end_other_sessions(visit: Visit) -> Response:
    """Log all other browsers out."""
    own = visit.session.id if visit.session is not None else ""
    for one in visit.call("own.sessions"):
        if one["id"] != own:
            visit.call("own.close_session", id=one["id"])
    return visit.redirect(_PATH, visit.words("Your other browsers are logged out."))


def make_token(visit: Visit) -> Response:
    """Make a token of the admin API, and show it once."""
    try:
        made = visit.call(
            "token.make",
            role=visit.form("role"),
            note=visit.form("note").strip(),
            password=visit.form("password"),
        )
    except OtpPiError as error:
        return _drawn(visit, error, "token")
    return visit.page(
        "account_token.html",
        title=visit.words("Token of the admin API"),
        token=made["token"],
        address=admin_api.address(visit),
    )


def remove_token(visit: Visit) -> Response:
    """Remove a token."""
    visit.call("token.remove", id=visit.form("id"))
    return visit.redirect(_PATH, visit.words("The token is removed."))


def _refuse_different(visit: Visit) -> None:
    if visit.form("new_password") != visit.form("again"):
        raise BadRequest("again", "The two passwords are not the same.")


def _end_others(visit: Visit) -> None:
    """End the other sessions; without this the one that made the change would end as well."""
    visit.site.sessions.close_others(visit.caller.user, visit.cookie(visit.cookie_name))


def _drawn(visit: Visit, error: OtpPiError | None = None, part: str = "") -> Response:
    errors = visit.field_errors(error) if error is not None else {}
    account = visit.call("own.show")
    sessions = [
        {**one, "browser": browser_of(one["agent"], visit.words)} for one in visit.call("own.sessions")
    ]
    return visit.page(
        "account.html",
        status=200 if error is None else error.status,
        title=visit.words("Own account"),
        account=account,
        fields=sheets.item_fields(visit, _SECTION, account, _DATA, errors if part == "data" else None),
        sessions=sessions,
        tokens=visit.call("token.list") if visit.can("token.list") else [],
        roles=[role.value for role in Role],
        note=visit.form("note") if part == "token" else "",
        errors={name: errors if name == part else {} for name in ("data", "password", "totp", "token")},
    )


def _totp(visit: Visit, begun: Mapping[str, str], error: OtpPiError | None = None) -> Response:
    return visit.page(
        "account_totp.html",
        status=200 if error is None else error.status,
        title=visit.words("Second factor"),
        secret=begun["secret"],
        picture=_picture(begun["uri"]) if "uri" in begun else "",
        errors=visit.field_errors(error) if error is not None else {},
    )


def _picture(uri: str) -> str:
    """Return the QR code as an image that a page may show without asking anybody for it."""
    import segno

    code = segno.make(uri, error="m", micro=False)
    return code.svg_data_uri(scale=_QR_SCALE, border=_QR_BORDER, light="white")


# What is drawn in answer to a form can be asked for as well: by a reload, or by whoever changes the language there.
ROUTES = (
    get(_PATH, show),
    post(_PATH, save, Role.VIEWER),
    get(_PASSWORD, show),
    post(_PASSWORD, change_password, Role.VIEWER),
    get(_TOTP, begin_totp),
    post(_TOTP, enable_totp, Role.VIEWER),
    get(f"{_TOTP}/off", show),
    post(f"{_TOTP}/off", disable_totp, Role.VIEWER),
    post(_SESSIONS, end_session, Role.VIEWER),
    post(f"{_SESSIONS}/others", end_other_sessions, Role.VIEWER),
    get(_TOKENS, show),
    post(_TOKENS, make_token),
    post(f"{_TOKENS}/remove", remove_token),
)
