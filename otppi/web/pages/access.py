"""Logging in and out, the forgotten password, and the language."""

from otppi.gateway.accounts import LANGUAGES
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.audit import Audit
from otppi.gateway.recovery import Recovery
from otppi.model.errors import OtpInvalid, OtpPiError, SecondFactorNeeded, Unauthorized
from otppi.web.site import LANGUAGE_COOKIE, LOGIN, PUT_BACK, SETUP, Response, Visit, get, local, post

_YEAR_S = 365 * 86_400
_BROWSER_COOKIE = "otppi_browser"
_FORGOT, _CODE = "/forgot", "/forgot/code"


def ask(visit: Visit) -> Response:
    """Show the log-in form."""
    if not visit.site.device.has_administrator():
        return visit.redirect(SETUP)
    if visit.session is not None:
        return visit.redirect(local(visit.query("next", "/")))
    return _form(visit)


def log_in(visit: Visit) -> Response:
    """Take name and password, and then a code where the account wants one."""
    accounts, user = _accounts(visit), visit.form("user")
    try:
        name = accounts.log_in(
            user,
            visit.form("password"),
            visit.address,
            totp=visit.form("totp"),
            known_browser=visit.cookie(visit.own_name(_BROWSER_COOKIE)),
            half_way=visit.form("half_way"),
        )
    except SecondFactorNeeded as error:
        half_way = accounts.half_way_mark(user)
        if not visit.form("totp"):
            return _form(visit, half_way=half_way)
        _note_stranger(visit, "log_in", "refused", wrong="code")
        return _form(visit, error.status, half_way=half_way, error=visit.error_text(error))
    except Unauthorized:
        if visit.form("half_way"):
            return _form(visit, 401, error=visit.words("That took too long. Please log in again."))
        _note_stranger(visit, "log_in", "refused", wrong="password")
        return _form(visit, 401, error=visit.words("Name or password is wrong."))
    except OtpPiError as error:
        return _form(visit, error.status, half_way=visit.form("half_way"), error=visit.error_text(error))
    let_in(visit, name)
    _note(visit, name, "log_in")
    return visit.redirect(local(visit.form("next", "/")))


def let_in(visit: Visit, user: str) -> None:
    """Open a session for somebody who has just proven to be this user."""
    sessions = visit.site.sessions
    # Always a new token: one that somebody planted before is worth nothing.
    if visit.session is not None:
        sessions.close(visit.cookie(visit.cookie_name))
    visit.remember(sessions.open(user, visit.address, visit.agent))
    _know_browser(visit, user)


def log_out(visit: Visit) -> Response:
    """End the session."""
    if visit.session is not None:
        visit.note("log_out")
    visit.site.sessions.close(visit.cookie(visit.cookie_name))
    visit.remember("")
    return visit.redirect(LOGIN)


def choose_language(visit: Visit) -> Response:
    """Keep a language: for the account, and for this browser."""
    language = visit.form("language")
    if language in LANGUAGES:
        # Nothing that is worth hiding, and the plain pages and the encrypted ones share it.
        visit.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, secure=False)
        if visit.has_page_token:
            visit.call("own.put", language=language)
    return visit.redirect(visit.came_from)


def ask_who_forgot(visit: Visit) -> Response:
    """Show what helps who forgot the password."""
    return _forgot(visit)


def send_code(visit: Visit) -> Response:
    """Send a code to the contact of the account, if there is one; the answer never says."""
    try:
        _recovery(visit).begin(visit.form("user"), visit.address, visit.words.language)
    except OtpPiError as error:
        return _forgot(visit, error.status, visit.field_errors(error))
    _note_stranger(visit, "recovery.begin", "done")
    return _ask_code(visit)


def ask_code(visit: Visit) -> Response:
    """Show the form for a code that was sent before."""
    return _ask_code(visit)


def take_code(visit: Visit) -> Response:
    """Take the code and the new password."""
    if visit.form("password") != visit.form("again"):
        return _ask_code(visit, 422, {"again": visit.words("The two passwords are not the same.")})
    try:
        user = _recovery(visit).finish(
            visit.form("user"), visit.form("code"), visit.form("password"), visit.address
        )
    except OtpPiError as error:
        if isinstance(error, OtpInvalid):
            _note_stranger(visit, "recovery.finish", "refused", wrong="code")
        return _ask_code(visit, error.status, visit.field_errors(error))
    # Whoever kept the owner out by wrong passwords meanwhile does so no more.
    _know_browser(visit, user)
    _note(visit, user, "recovery.finish")
    return _form(visit, good=visit.words("The new password counts from now on."))


def _form(
    visit: Visit, status: int = 200, *, half_way: str = "", error: str = "", good: str = ""
) -> Response:
    way = local(visit.form("next") or visit.query("next", "/"))
    return visit.page(
        "login.html",
        status=status,
        title=visit.words("Log in"),
        next=way,
        was_ended=way.endswith(PUT_BACK),
        user=visit.form("user"),
        half_way=half_way,
        error=error,
        good=good,
    )


def _forgot(visit: Visit, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    return _recovering(visit, "forgot.html", status, errors)


def _ask_code(visit: Visit, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    return _recovering(visit, "forgot_code.html", status, errors)


def _recovering(visit: Visit, template: str, status: int, errors: dict[str, str] | None) -> Response:
    if not visit.site.device.has_administrator():
        return visit.redirect(SETUP)
    return visit.page(
        template,
        status=status,
        title=visit.words("Forgot the password"),
        user=visit.form("user"),
        errors=errors or {},
    )


def _know_browser(visit: Visit, user: str) -> None:
    name = visit.own_name(_BROWSER_COOKIE)
    visit.set_cookie(name, _accounts(visit).browser_mark(user), max_age=_YEAR_S)


def _note(visit: Visit, user: str, what: str) -> None:
    audit: Audit = visit.site.facts["audit"]
    audit.note(user=user, address=visit.address, what=what, details={}, outcome="done")


def _note_stranger(visit: Visit, what: str, outcome: str, **details: str) -> None:
    audit: Audit = visit.site.facts["audit"]
    # People also type passwords where their name belongs.
    user = _accounts(visit).find(visit.form("user"))
    audit.note_stranger(user=user, address=visit.address, what=what, details=details, outcome=outcome)


def _accounts(visit: Visit) -> AdminAccounts:
    accounts: AdminAccounts = visit.site.facts["accounts"]
    return accounts


def _recovery(visit: Visit) -> Recovery:
    recovery: Recovery = visit.site.facts["recovery"]
    return recovery


ROUTES = (
    get(LOGIN, ask, role=None),
    post(LOGIN, log_in, role=None),
    post("/logout", log_out, role=None),
    post("/language", choose_language, role=None),
    get(_FORGOT, ask_who_forgot, role=None),
    post(_FORGOT, send_code, role=None),
    get(_CODE, ask_code, role=None),
    post(_CODE, take_code, role=None),
)
