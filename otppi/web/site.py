"""The admin site: every route with who may use it, and what all answers have in common."""

import hmac
import ipaddress
import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from typing import Any, BinaryIO, Protocol, TypeAlias
from urllib.parse import SplitResult, quote, urlsplit

import bottle

from otppi.gateway.accounts import LANGUAGES
from otppi.gateway.functions import AuditTrail, Caller, Functions
from otppi.gateway.rights import Role
from otppi.gateway.sessions import Session, Sessions
from otppi.lib.faults import fault
from otppi.model.errors import (
    BadRequest,
    HostRefused,
    OtpPiError,
    SettingsError,
    TooManyRequests,
    Unauthorized,
)
from otppi.web.navigation import GROUPS
from otppi.web.templates import render
from otppi.web.words import N_, Words, language_of, words_for

log = logging.getLogger(__name__)

SECURITY_HEADERS: Mapping[str, str] = {
    # Styles and scripts are files of ours; pictures in Bootstrap's style sheet are data URLs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LANGUAGE_COOKIE = "otppi_language"
LOGIN, SETUP, LIVE = "/login", "/setup", "/live"
PUT_BACK = "#put-back"  # asks the script of a page to put back what was typed into its forms
_COOKIE = "otppi_session"
_JSON, _EVENTS = "application/json", "text/event-stream"
_MOST_TOLD = 200
_MOST_FIELDS = 2000
_READ_BYTES = 64 * 1024
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")
_MULTIPART = re.compile(r"""multipart/form-data; *boundary=("?)([\w'()+,./:=? -]{1,70})\1""", re.ASCII)

Response: TypeAlias = bottle.HTTPResponse


class BadForm(BadRequest):
    """What was posted cannot be taken for a form of ours."""

    def __init__(self, reason: str) -> None:
        super().__init__("", reason)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address of the site.

    Attributes:
        method: GET (which serves HEAD as well) or POST.
        path: As bottle writes paths.
        answer: Gets the visit and what the path holds, by name.
        role: The least role that may; None lets everybody in.
        is_for_scripts: Other programs may call it as well; it looks by itself at who calls.
    """

    method: str
    path: str
    answer: Callable[..., Response]
    role: Role | None
    is_for_scripts: bool = False


def get(path: str, answer: Callable[..., Response], role: Role | None = Role.VIEWER) -> Route:
    """Declare a page."""
    return Route(method="GET", path=path, answer=answer, role=role)


def post(path: str, answer: Callable[..., Response], role: Role | None = Role.OWNER) -> Route:
    """Declare what a form or a button does."""
    return Route(method="POST", path=path, answer=answer, role=role)


class Device(Protocol):
    """What pages need to know of the device before anybody has logged in."""

    def name(self) -> str:
        """Return what the owner calls the device."""

    def host_names(self) -> Sequence[str]:
        """Return the names and addresses that the device is called by, in lower case."""

    def admin_ports(self) -> tuple[int, int | None]:
        """Return the ports of HTTP, and of HTTPS if that is open."""

    def has_administrator(self) -> bool:
        """Whether it was set up."""

    def is_on_access_point(self, address: str, from_address: str) -> bool:
        """Whether a request to this address of ours came from somebody beside the device."""

    def zone(self) -> tzinfo:
        """Return the time zone of the device."""


@dataclass
class Site:
    """What all pages share; lives as long as the gateway."""

    functions: Functions
    sessions: Sessions
    device: Device
    version: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # of the parts that some pages need, by name
    told: dict[str, list[tuple[str, str]]] = field(
        default_factory=dict
    )  # session: messages for its next page

    def install(self, app: bottle.Bottle, routes: Sequence[Route]) -> None:
        """Add routes to an application."""
        for route in routes:
            methods = ["GET", "HEAD"] if route.method == "GET" else [route.method]
            app.route(route.path, methods, self._guarded(route))
        app.add_hook("before_request", self._refuse_other_names)
        app.error(404)(self._lost)
        app.error(405)(self._lost)

    def is_of_owner(self, fields: Mapping[str, str]) -> bool:
        """Whether a request with these header fields, named in lower case, is that of an owner; nothing is counted."""
        cookies = cookies_of(fields.get("cookie", ""))
        sessions = (self.sessions.look_at(cookies.get(name, "")) for name in (_COOKIE, f"__Host-{_COOKIE}"))
        if any(one is not None and one.role is Role.OWNER for one in sessions):
            return True
        if not (token := bearer_token(fields.get("authorization", ""))):
            return False
        try:
            return bool(self.facts["tokens"].check(token)[1] is Role.OWNER)
        except Unauthorized:
            return False

    def is_called(self, host: str) -> bool:
        """Whether this is one of our names: an address, or a name that the device has."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host in self.device.host_names()
        return True

    def _refuse_other_names(self) -> None:
        """Keep out whoever asks for a name of somebody else's that leads here, on every path of the port.

        Otherwise his page could speak with the device.
        """
        if self.is_called(_host_of(f"//{bottle.request.get_header('Host', '')}")):
            return
        visit = Visit(self)
        if bottle.request.method in ("GET", "HEAD") and not visit.wants_json:
            http, _ = self.device.admin_ports()
            raise visit.finished(visit.redirect(f"http://{visit.own_address}:{http}/"))
        title = visit.words("Wrong address")
        raise visit.finished(visit.page("error.html", status=421, title=title, text=title))

    def _guarded(self, route: Route) -> Callable[..., Response]:
        def answer(**parts: str) -> Response:
            visit = Visit(self)
            try:
                return visit.finished(self._answer(route, visit, parts))
            except bottle.HTTPResponse as response:
                return visit.finished(response)
            except OtpPiError as error:
                return visit.finished(visit.refusal(error))
            except Exception as error:  # noqa: BLE001 - logged without its text
                fields = {"path": route.path, **fault(error)}
                log.error("a page failed", extra={"fields": fields})  # noqa: TRY400 - see `fault`
                words = visit.words
                text = words("Something went wrong inside the device. Its log says more.")
                return visit.finished(visit.page("error.html", status=500, title=words("Error"), text=text))

        return answer

    def _lost(self, _: bottle.HTTPError) -> Response:
        visit = Visit(self)
        if self.device.has_administrator():
            return visit.finished(visit.lost())
        return visit.finished(self._set_up_first(visit))

    def _answer(self, route: Route, visit: "Visit", parts: Mapping[str, str]) -> Response:
        is_change = route.method != "GET"
        # Without a session there is no token that would show it.
        must_say = route.role is None
        if is_change and not route.is_for_scripts and not visit.is_from_us(must_say=must_say):
            raise Unauthorized("the request comes from another site")
        if route.role is None:
            return route.answer(visit, **parts)
        session = visit.session
        if session is None:
            return self._log_in_first(visit)
        if is_change and not visit.has_page_token:
            text = visit.words("The page was too old. Please try again.")
            return visit.redirect(visit.came_from + PUT_BACK, text, "warn")
        if not session.role.includes(route.role):
            return visit.page(
                "error.html",
                status=403,
                title=visit.words("Not allowed"),
                text=visit.words("Your account may not do this."),
            )
        return route.answer(visit, **parts)

    def _log_in_first(self, visit: "Visit") -> Response:
        if visit.wants_json:
            return visit.json({"error": visit.words("Please log in.")}, status=401)
        if not self.device.has_administrator():
            return self._set_up_first(visit)
        # Nothing of what was posted is kept here, so the way back is to its form.
        path = visit.path if bottle.request.method != "POST" else visit.came_from + PUT_BACK
        return visit.redirect(f"{LOGIN}?next={quote(path)}" if path != "/" else LOGIN)

    def _set_up_first(self, visit: "Visit") -> Response:
        if bottle.request.method in ("GET", "HEAD"):
            return visit.redirect(SETUP)
        text = visit.words("This device has no administrator yet. Please set it up first.")
        return visit.page("error.html", status=403, title=visit.words("Not allowed"), text=text)


class Visit:
    """One request of a browser, with who it is and the words to answer in."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._request = bottle.request
        self._environ: Mapping[str, Any] = bottle.request.environ
        self._cookies: list[tuple[str, str, dict[str, Any]]] = []
        # What a page asks by itself does not keep somebody logged in who has left.
        find = site.sessions.look_at if self._is_by_itself else site.sessions.find
        self.session: Session | None = find(self.cookie(self.cookie_name))
        self.words: Words = words_for(self._language(), site.device.zone)

    @property
    def _is_by_itself(self) -> bool:
        return self._request.path.startswith(LIVE) or "X-Part" in self._request.headers

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return bool(self._environ.get("wsgi.url_scheme") == "https")

    @property
    def cookie_name(self) -> str:
        """The cookie that holds the session on this kind of connection."""
        return self.own_name(_COOKIE)

    def own_name(self, cookie: str) -> str:
        """Return what a cookie is called on this kind of connection, whose value is not for the other kind.

        One of the plain site would be taken for one of the encrypted site if both had one name.
        """
        return f"__Host-{cookie}" if self.is_tls else cookie

    @property
    def address(self) -> str:
        """The client's address."""
        return str(self._environ.get("REMOTE_ADDR", ""))

    @property
    def own_address(self) -> str:
        """The address of ours that was reached."""
        address = str(self._environ.get("SERVER_ADDR", ""))
        return f"[{address}]" if ":" in address else address

    @property
    def is_beside(self) -> bool:
        """Whether whoever asks has joined the access point."""
        return self.site.device.is_on_access_point(str(self._environ.get("SERVER_ADDR", "")), self.address)

    @property
    def may_offer_time(self) -> bool:
        """Whether the time of this browser may be taken where the device has none; see `otppi.web.timeoffer`."""
        return self.is_beside and self.host == self.own_address

    @property
    def agent(self) -> str:
        """What the browser says it is."""
        return str(self._request.get_header("User-Agent", ""))[:200]

    @property
    def host(self) -> str:
        """The name or address that the browser used, without the port."""
        return _host_of(f"//{self._request.get_header('Host', '')}")

    @property
    def url_host(self) -> str:
        """The same as it stands in an address."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def path(self) -> str:
        """The path that was asked for, with its query."""
        query = self._environ.get("QUERY_STRING", "")
        return str(self._request.path) + (f"?{query}" if query else "")

    @property
    def wants_json(self) -> bool:
        """Whether a script of the page asks."""
        accept = self._request.get_header("Accept", "")
        return _JSON in accept or _EVENTS in accept

    def is_from_us(self, *, must_say: bool) -> bool:
        """Whether a request comes from our own page.

        Args:
            must_say: Refuse as well what says nothing of it. Browsers say it with every form: by Origin, and those
                before 2020 by Referer, which our pages let them send.
        """
        if self._request.get_header("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        said = self._request.get_header("Origin")
        if said is None and must_say:
            said = self._request.get_header("Referer")
        return not must_say if said is None else self._is_own(_split(said))

    def _is_own(self, url: SplitResult) -> bool:
        return url.netloc.lower() == str(self._request.get_header("Host", "")).lower()

    @property
    def csrf_given(self) -> str:
        """The token that came with the request."""
        return str(self._request.get_header("X-CSRF-Token") or self.form("csrf"))

    @property
    def has_page_token(self) -> bool:
        """Whether the request brings the token of the session's pages."""
        return self.session is not None and hmac.compare_digest(
            self.csrf_given.encode(), self.session.csrf.encode()
        )

    @property
    def authorization(self) -> str:
        """What a program shows instead of a session."""
        return str(self._request.get_header("Authorization", ""))

    @property
    def has_body(self) -> bool:
        """Whether something was sent."""
        return bool(self._request.content_length > 0)

    @property
    def came_from(self) -> str:
        """The page of ours that the request came from."""
        url = _split(self._request.get_header("Referer", ""))
        return local(url.path + (f"?{url.query}" if url.query else "")) if self._is_own(url) else "/"

    @property
    def caller(self) -> Caller:
        """Who calls the functions of the device."""
        if self.session is None:
            raise Unauthorized("log-in required")
        return Caller(user=self.session.user, role=self.session.role, address=self.address)

    @property
    def session_id(self) -> str:
        """The public id of the session."""
        if self.session is None:
            raise Unauthorized("log-in required")
        return self.session.id

    def call(self, name: str, /, **args: Any) -> Any:  # noqa: ANN401 - JSON
        """Call a function of the device in the name of who visits; see `Functions.call`."""
        return self.site.functions.call(name, self.caller, args)

    def note(self, what: str, outcome: str = "done", **details: str) -> None:
        """Note what who visits did and no function of the device notes."""
        audit: AuditTrail = self.site.facts["audit"]
        who = self.caller
        audit.note(user=who.user, address=who.address, what=what, details=details, outcome=outcome)

    def can(self, name: str) -> bool:
        """Whether the device has this function and who visits may call it."""
        return self.session is not None and self.site.functions.may(self.session.role, name)

    @property
    def environ(self) -> Mapping[str, Any]:
        """The request as the web server describes it."""
        return self._environ

    @property
    def last_event_id(self) -> str:
        """The last news that a stream had before it broke."""
        return str(self._request.get_header("Last-Event-ID", ""))

    def form(self, name: str, default: str = "") -> str:
        """Return a field of the posted form."""
        return str(self._posted[0].get(name, default))

    def form_all(self, name: str) -> list[str]:
        """Return all fields of this name."""
        return [str(one) for one in self._posted[0].getall(name)]

    def form_items(self) -> dict[str, str]:
        """Return every field once, without the token."""
        return {str(key): str(one) for key, one in self._posted[0].items() if key != "csrf"}

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.form(name))

    def file(self, name: str) -> tuple[str, bytes]:
        """Return name and content of an uploaded file; both empty if there is none."""
        upload = self._posted[1].get(name)
        return ("", b"") if upload is None else (str(upload.filename), upload.file.read())

    @cached_property
    def _posted(self) -> tuple[bottle.FormsDict, bottle.FormsDict]:
        """The fields of the posted form, and its files.

        Raises:
            BadForm: There are too many, or it cannot be read.
        """
        try:
            # A long one is a file of its own.
            with self._request.body as body:
                if _fields_in(body, self._request.get_header("Content-Type", "")) > _MOST_FIELDS:
                    raise BadForm(N_("the form has too many fields"))
                return self._request.forms.decode(), self._request.files
        except (bottle.HTTPError, LookupError, ValueError):
            raise BadForm(N_("the form is too long, or cannot be read")) from None

    def query(self, name: str, default: str = "") -> str:
        """Return a part of the query."""
        value = self._request.query.getunicode(name)
        return default if value is None else str(value)

    def query_number(self, name: str, default: int = 0) -> int:
        """Return a whole number from the query, never below 0; the default for anything else."""
        value = self.query(name)
        return int(value) if re.fullmatch("[0-9]{1,9}", value) else default

    def document(self) -> Any:  # noqa: ANN401 - whatever came
        """Return the JSON body.

        Raises:
            BadRequest: It is none.
        """
        # A long one is a file of its own.
        with self._request.body as body:
            text = body.read()
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise BadRequest("", "the body is not JSON") from None

    def page(self, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - for the template
        """Answer with a page."""
        words = self.words
        body = render(
            template,
            {
                "visit": self,
                "words": words,
                "_": words,
                "many": words.many,
                "said": words.said,
                "session": self.session,
                "device_name": self.site.device.name(),
                "version": self.site.version,
                "languages": LANGUAGES,
                "live_from": self.site.facts["live"].newest(),
                "https_port": self.site.device.admin_ports()[1],
                "groups": self._groups(),
                "told": self._taken_messages(),
                **values,
            },
        )
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
        return Response(body, status=status, headers=headers)

    def json(self, document: object, status: int = 200) -> Response:
        """Answer a script or another program."""
        headers = {"Content-Type": _JSON, "Cache-Control": "no-store"}
        return Response(json.dumps(document), status=status, headers=headers)

    def download(self, name: str, content_type: str, body: Any) -> Response:  # noqa: ANN401 - bytes or an iterator
        """Answer with a file to keep, which is noted; the name has letters, digits, dots and hyphens only."""
        self.note("download", file=name)
        headers = {
            "Content-Type": content_type,
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        return Response(body, headers=headers)

    def redirect(self, path: str, text: str = "", level: str = "good") -> Response:
        """Lead the browser on, where it reads the text: good, warn or bad."""
        if text:
            self.tell(text, level)
        return Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})

    def tell(self, text: str, level: str = "good") -> None:
        """Show a text on the next page of this session."""
        if self.session is not None:
            told = self.site.told.setdefault(self.session.id, [])
            if (level, text) not in told:  # a button that was pressed twice
                told.append((level, text))
            while len(self.site.told) > _MOST_TOLD:  # of sessions that ended before their next page
                self.site.told.pop(next(iter(self.site.told)), None)

    def refusal(self, error: OtpPiError) -> Response:
        """Answer what a function refused: scripts get JSON, buttons go back to their page, pages say so."""
        text = self.error_text(error)
        if self.wants_json:
            return self.json({"error": text, "fields": self.field_errors(error)}, status=error.status)
        if self._request.method == "POST" and self.session is not None and not isinstance(error, BadForm):
            return self.redirect(self.came_from, text, "bad")
        return self.page("error.html", status=error.status, title=self.words("That did not work"), text=text)

    def error_text(self, error: OtpPiError) -> str:
        """Return an error in the reader's words."""
        if isinstance(error, SettingsError):
            return "; ".join(self.words.said(reason) for reason in error.errors.values())
        if isinstance(error, BadRequest):
            return self.words.said(error.reason)
        if isinstance(error, TooManyRequests):
            wait = self.words.duration(max(1, math.ceil(error.retry_after_s or 1)))
            return self.words("Too many tries. Please wait {wait}.", wait=wait)
        return self.words.said(error.text if isinstance(error, HostRefused) else str(error))

    def field_errors(self, error: OtpPiError) -> dict[str, str]:
        """Return the reasons by the names of form fields; what is of no field has an empty name."""
        if isinstance(error, SettingsError):
            return {_field_of(place): self.words.said(reason) for place, reason in error.errors.items()}
        if isinstance(error, BadRequest):
            return {error.field: self.words.said(error.reason)}
        return {"": self.error_text(error)}

    def place_errors(self, error: OtpPiError) -> dict[str, str]:
        """Return the reasons by dotted names of settings; what is of no setting has an empty name."""
        if isinstance(error, SettingsError):
            return {place: self.words.said(reason) for place, reason in error.errors.items()}
        return {"": self.error_text(error)}

    def lost(self) -> Response:
        """Say that there is no such page."""
        words = self.words
        return self.page(
            "error.html", status=404, title=words("Not found"), text=words("There is no such page.")
        )

    def set_cookie(self, name: str, value: str, **options: Any) -> None:  # noqa: ANN401 - of bottle
        """Give the browser a cookie that no script can read."""
        self._cookies.append(
            (
                name,
                value,
                {"path": "/", "httponly": True, "samesite": "lax", "secure": self.is_tls, **options},
            )
        )

    def remember(self, token: str) -> None:
        """Bind the browser to a session; an empty token ends it."""
        self.set_cookie(self.cookie_name, token, **({} if token else {"max_age": 0}))
        self.session = self.site.sessions.find(token)

    def cookie(self, name: str) -> str:
        """Return a cookie of the browser."""
        return cookies_of(self._request.get_header("Cookie", "")).get(name, "")

    def finished(self, response: Response) -> Response:
        """Add to a response what every answer has."""
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if self.is_tls:
            # Elsewhere browsers do not heed it, and complain.
            response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        for name, value, options in self._cookies:
            response.set_cookie(name, value, **options)
        return response

    def _language(self) -> str:
        if self.session is not None and self.session.language:
            return self.session.language
        chosen = self.cookie(LANGUAGE_COOKIE)
        return chosen if chosen in LANGUAGES else language_of(self._request.get_header("Accept-Language", ""))

    def _groups(self) -> list[tuple[str, list[Any]]]:
        if self.session is None:
            return []
        role, functions = self.session.role, self.site.functions
        shown = (
            (title, [one for one in entries if not one.needs or functions.may(role, one.needs)])
            for title, entries in GROUPS
        )
        return [(title, entries) for title, entries in shown if entries]

    def _taken_messages(self) -> list[tuple[str, str]]:
        # What is fetched to renew a part of a page is read by nobody.
        if self.session is None or self._is_by_itself:
            return []
        return self.site.told.pop(self.session.id, [])


def local(path: str) -> str:
    """Return a path of this site, and the first page for anything that leads elsewhere."""
    return path if _LOCAL_PATH.fullmatch(path) else "/"


def bearer_token(authorization: str) -> str:
    """Return the token in an Authorization header; empty if there is none of this kind."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def cookies_of(header: str) -> dict[str, str]:
    """Return the cookies of a Cookie header.

    Strange ones of other services on this host, whose cookies browsers send here as well, are no hindrance.
    """
    pairs = (one.partition("=") for one in header.split(";"))
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _fields_in(body: BinaryIO, content_type: str) -> int:
    """Return how many fields a form has, before it is taken apart: each then takes far more than its bytes.

    Raises:
        ValueError: It has files, and no boundary between them as browsers write it.
    """
    mark = b"&"
    if "multipart" in content_type.lower():
        boundary = _MULTIPART.fullmatch(content_type)
        if boundary is None:
            raise ValueError(content_type)
        mark = b"--" + boundary[2].encode()
    count, end = 0, b""
    while piece := body.read(_READ_BYTES):
        count += (end + piece).count(mark)
        end = (end + piece)[1 - len(mark) :] if len(mark) > 1 else b""
    return count


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _host_of(url: str) -> str:
    return (_split(url).hostname or "").lower()


def _field_of(place: str) -> str:
    # `section.field` and `section.item.field`; an item's id may have dots in it, a field has none.
    return place.rpartition(".")[2] if "." in place else ""
