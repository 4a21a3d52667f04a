"""Logging in and out, the forgotten password, and the language."""

from otppi.gateway.recovery import Recovery
from otppi.model.errors import OtpPiError, SecondFactorNeeded, TooManyRequests, Unauthorized
from otppi.web.site import LANGUAGE_COOKIE, LOGIN, SETUP, Response, Visit, get, local, post
from otppi.web.words import LANGUAGES

_YEAR_S = 365 * 86_400
_BROWSER_COOKIE = "otppi_browser"


def ask(visit: Visit) -> Response:
    """Show the log-in form."""
    if not visit.site.device.has_administrator():
        return visit.redirect(SETUP)
    if visit.session is not None:
        return visit.redirect(local(visit.query("next", "/")))
    return _form(visit)


def log_in(visit: Visit) -> Response:
    """Take name and password, and a code where the account wants one."""
    accounts = visit.site.facts["accounts"]
    user = visit.form("user")
    try:
        name = accounts.log_in(
            user,
            visit.form("password"),
            visit.address,
            totp=visit.form("totp").replace(" ", ""),
            known_browser=visit.cookie(_BROWSER_COOKIE),
        )
    except SecondFactorNeeded as error:
        text = visit.error_text(error) if visit.form("totp") else ""
        return _form(visit, status=401 if text else 200, wants_code=True, error=text)
    except TooManyRequests as error:
        wait = visit.words.duration(error.retry_after_s or 1)
        return _form(visit, status=429, error=visit.words("Too many tries. Please wait {wait}.", wait=wait))
    except Unauthorized:
        return _form(visit, status=401, error=visit.words("Name or password is wrong."))
    let_in(visit, name)
    return visit.redirect(local(visit.form("next", "/")))


def let_in(visit: Visit, user: str) -> None:
    """Open a session for somebody who has just proven to be this user."""
    accounts, sessions = visit.site.facts["accounts"], visit.site.sessions
    # Always a new token: one that somebody planted before is worth nothing.
    if visit.session is not None:
        sessions.close(visit.cookie(visit.cookie_name))
    visit.remember(sessions.open(user, visit.address, visit.agent))
    visit.set_cookie(_BROWSER_COOKIE, accounts.browser_mark(user), max_age=_YEAR_S)


def log_out(visit: Visit) -> Response:
    """End the session."""
    visit.site.sessions.close(visit.cookie(visit.cookie_name))
    visit.remember("")
    return visit.redirect(LOGIN)


def choose_language(visit: Visit) -> Response:
    """Keep a language: for the account, and for this browser."""
    language = visit.form("language")
    if language in LANGUAGES:
        visit.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S)
        if visit.session is not None:
            visit.call("own.put", language=language)
    return visit.redirect(visit.came_from)


def ask_who_forgot(visit: Visit) -> Response:
    """Show what helps who forgot the password."""
    if not visit.site.device.has_administrator():
        return visit.redirect(SETUP)
    return visit.page("forgot.html", title=visit.words("Forgot the password"), sent=False, user="", error="")


def send_code(visit: Visit) -> Response:
    """Send a code to the contact of the account, if there is one; the answer never says."""
    recovery: Recovery = visit.site.facts["recovery"]
    try:
        recovery.begin(visit.form("user"), visit.address, visit.words.language)
    except TooManyRequests as error:
        wait = visit.words.duration(error.retry_after_s or 1)
        text = visit.words("Too many tries. Please wait {wait}.", wait=wait)
        return _forgot(visit, 429, sent=False, error=text)
    return _forgot(visit, 200, sent=True, error="")


def take_code(visit: Visit) -> Response:
    """Take the code and the new password."""
    recovery: Recovery = visit.site.facts["recovery"]
    if visit.form("password") != visit.form("again"):
        return _forgot(visit, 422, sent=True, error=visit.words("The two passwords are not the same."))
    try:
        recovery.finish(visit.form("user"), visit.form("code"), visit.form("password"), visit.address)
    except OtpPiError as error:
        return _forgot(visit, error.status, sent=True, error=visit.error_text(error))
    return visit.page(
        "login.html",
        title=visit.words("Log in"),
        next="/",
        user=visit.form("user"),
        wants_code=False,
        error="",
        good=visit.words("The new password counts from now on."),
    )


def _form(visit: Visit, status: int = 200, *, wants_code: bool = False, error: str = "") -> Response:
    return visit.page(
        "login.html",
        status=status,
        title=visit.words("Log in"),
        next=local(visit.form("next") or visit.query("next", "/")),
        user=visit.form("user"),
        wants_code=wants_code,
        error=error,
        good="",
    )


def _forgot(visit: Visit, status: int, *, sent: bool, error: str) -> Response:
    title = visit.words("Forgot the password")
    return visit.page(
        "forgot.html", status=status, title=title, sent=sent, user=visit.form("user"), error=error
    )


ROUTES = (
    get(LOGIN, ask, role=None),
    post(LOGIN, log_in, role=None),
    post("/logout", log_out, role=None),
    post("/language", choose_language, role=None),
    get("/forgot", ask_who_forgot, role=None),
    post("/forgot", send_code, role=None),
    post("/forgot/code", take_code, role=None),
)
