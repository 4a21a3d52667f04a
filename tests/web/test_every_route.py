"""What must hold for each address of the pages, the future ones included: the table of routes is walked."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from otppi.gateway.rights import Role
from otppi.web.routes import ROUTES
from otppi.web.site import SECURITY_HEADERS, Route
from tests.gateway_under_test import GatewayUnderTest
from tests.web.admin_client import AdminClient, admin_client

# Whoever adds a page that asks for no log-in adds it here as well, and knows why.
OPEN = {
    ("GET", "/static/<name:path>"),  # styles and scripts
    ("POST", "/api/admin/v1/<name:re:[a-z_.-]+>"),  # looks for a token by itself
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("POST", "/language"),
    ("GET", "/forgot"),
    ("POST", "/forgot"),
    ("GET", "/forgot/code"),
    ("POST", "/forgot/code"),
    ("GET", "/setup"),  # leads on once there is an administrator
    ("POST", "/setup"),
    ("GET", "/network/confirm/<token>"),  # its link is the proof
    ("POST", "/network/confirm/<token>"),
}
PLAUSIBLE = ("m0", "shop", "1", "0123456789ab", "general", "6281200000001", "login.html")
NONSENSE = ("../../etc/passwd", "<script>", "\x00", "%s%n", "💥", "a" * 300, "' or 1=1 --")
FORM = "application/x-www-form-urlencoded"


@dataclass
class Head:
    status: int
    headers: Any
    body: str

    @property
    def location(self) -> str:
        return self.headers["Location"] or ""


class Walk:
    """A device with one account of each role, and what is asked of it."""

    def __init__(self, gateway: GatewayUnderTest) -> None:
        self.gateway = gateway
        self.people = {
            None: AdminClient(gateway.admin_port),
            **{role: admin_client(gateway, role.value, role.value) for role in reversed(Role)},
        }

    def ask(self, role: Role | None, method: str, path: str, **headers: str) -> Head:
        """Ask as the browser of this role would; a stream is not waited for."""
        client = self.people[role]
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        body = None
        if method == "POST":
            sent = {"Content-Type": FORM, "Origin": f"http://127.0.0.1:{client.port}", **sent}
            body = urlencode({"csrf": client.csrf} if "X-CSRF-Token" not in sent else {})
        connection = HTTPConnection("127.0.0.1", client.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            is_stream = "event-stream" in answer.headers.get("Content-Type", "")
            text = "" if is_stream else answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for name in SECURITY_HEADERS:
            assert answer.headers[name], f"no {name}"
        assert answer.headers["Cache-Control"], "may be kept by the browser"
        assert answer.headers["Server"] is None or "/" not in answer.headers["Server"], "names its version"
        return Head(answer.status, answer.headers, text)

    def state(self) -> object:
        """What is different after anything was changed, or refused by a function."""
        store = self.gateway.gateway.store
        settings = {section.key: dict(store.items(section)) for section in store.sections}
        trail = self.gateway.gateway._admin_site._audit.page(count=10_000)["rows"]
        # A file that was taken away is noted, and changes nothing.
        return settings, [row for row in trail if row["what"] != "download"]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Walk]:
    gateway = GatewayUnderTest(tmp_path_factory.mktemp("device"), free_port, on_desk=True)
    gateway.start()
    yield Walk(gateway)
    gateway.stop()


def paths(route: Route, values: tuple[str, ...]) -> list[str]:
    """The addresses of a route with these values in the place of its parts, where they fit."""
    if "<" not in route.path:
        return [route.path]
    found = (_filled(route.path, value) for value in values)
    return [path for path in found if path]


def _filled(path: str, value: str) -> str:
    while part := re.search(r"<[a-z_]+(?::re:([^>]*))?(?::path)?>", path):
        pattern = part[1] or ".*"
        # Where only certain words fit, the first of them stands for something plausible.
        words = (value, *pattern.split("|"), *PLAUSIBLE) if value == PLAUSIBLE[0] else (value,)
        fits = next((one for one in words if re.fullmatch(pattern, one, re.DOTALL)), None)
        if fits is None:
            return ""
        path = path.replace(part[0], quote(fits, safe=""), 1)
    return path


def plausible(route: Route) -> str:
    found = paths(route, PLAUSIBLE)
    assert found, f"say in PLAUSIBLE what stands in {route.path}"
    return found[0]


def named(routes: list[Route]) -> dict[str, Any]:
    return {"argvalues": routes, "ids": [f"{route.method} {route.path}" for route in routes]}


GUARDED = [route for route in ROUTES if route.role is not None]
PAGES = [route for route in GUARDED if route.method == "GET"]
FORMS = [route for route in ROUTES if route.method == "POST" and not route.is_for_scripts]


def test_only_these_addresses_ask_for_no_log_in():
    assert {(route.method, route.path) for route in ROUTES if route.role is None} == OPEN


def test_only_the_admin_api_is_called_by_other_programs():
    assert [route.path for route in ROUTES if route.is_for_scripts] == ["/api/admin/v1/<name:re:[a-z_.-]+>"]


def test_no_address_stands_twice_and_every_method_is_get_or_post():
    addresses = [(route.method, route.path) for route in ROUTES]
    assert len(set(addresses)) == len(addresses)
    assert {method for method, _ in addresses} == {"GET", "POST"}


@pytest.mark.parametrize("route", **named(GUARDED))
def test_who_is_not_logged_in_is_led_to_the_log_in_and_sees_nothing(walk, route):
    before = walk.state()
    answer = walk.ask(None, route.method, plausible(route))
    assert (answer.status, answer.body) == (303, "")
    assert answer.location.startswith("/login")
    script = walk.ask(None, route.method, plausible(route), Accept="application/json")
    assert (script.status, script.body) == (401, '{"error": "Please log in."}')
    assert walk.state() == before


@pytest.mark.parametrize("route", **named([one for one in GUARDED if one.role is not Role.VIEWER]))
def test_a_lesser_role_is_refused(walk, route):
    before = walk.state()
    lesser = [role for role in Role if not role.includes(route.role)]
    for role in lesser:
        answer = walk.ask(role, route.method, plausible(route))
        assert answer.status == 403
        assert "Your account may not do this" in answer.body
    assert walk.state() == before


@pytest.mark.parametrize("route", **named([one for one in GUARDED if one.method == "POST"]))
def test_a_form_without_the_token_of_the_session_does_nothing(walk, route):
    before = walk.state()
    tokens = ("", "wrong", "é", walk.people[Role.VIEWER].csrf)
    for token in tokens:
        answer = walk.ask(Role.OWNER, "POST", plausible(route), X_CSRF_Token=token.encode().decode("latin-1"))
        assert (answer.status, answer.location) == (303, "/#put-back")
    assert walk.state() == before


@pytest.mark.parametrize("route", **named(FORMS))
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[x"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_form_of_another_site_does_nothing(walk, route, headers):
    before = walk.state()
    answer = walk.ask(Role.OWNER, "POST", plausible(route), **headers)
    assert (answer.status, answer.location) == (303, "/")
    stranger = walk.ask(None, "POST", plausible(route), **headers)
    assert stranger.status == 401
    assert "Set-Cookie" not in stranger.headers
    assert walk.state() == before
    assert walk.ask(Role.OWNER, "GET", "/account").status == 200


@pytest.mark.parametrize("route", **named(list(ROUTES)))
@pytest.mark.parametrize("host", ["example.com", "example.com:8888", "otppi.local.example.com", ""])
def test_what_is_asked_for_by_another_name_is_not_answered(walk, route, host):
    before = walk.state()
    answer = walk.ask(Role.OWNER, route.method, plausible(route), Host=host, Accept="text/html")
    if route.method == "GET":
        assert (answer.status, answer.body) == (303, "")
        assert answer.location == f"http://127.0.0.1:{walk.gateway.admin_port}/"
        answer = walk.ask(Role.OWNER, "GET", plausible(route), Host=host, Accept="application/json")
    assert answer.status == 421
    assert walk.state() == before


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/healthz", "/metrics", "/no/such/page"])
def test_by_another_name_nothing_of_the_port_is_answered(walk, path):
    client = AdminClient(walk.gateway.admin_port)
    for host in ("example.com", "otppi.local.example.com", "[x"):
        answer = client.get(path, Host=host)
        assert (answer.status, answer.text) == (303, "")
        assert answer.location == f"http://127.0.0.1:{client.port}/"
        assert client.get(path, Host=host, Accept="application/json").status == 421
    here = 404 if path == "/no/such/page" else 200
    for host in ("localhost", "127.0.0.1", "[::1]:8888"):
        assert client.get(path, Host=host).status == here


@pytest.mark.parametrize("route", **named([one for one in FORMS if one.role is None]))
def test_an_open_form_that_does_not_say_where_it_comes_from_does_nothing(walk, route):
    """Somebody else's page could log its reader in to an account of its own."""
    port = walk.gateway.admin_port

    def is_refused(**headers: str) -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", plausible(route), "", {"Content-Type": FORM, **headers})
            answer = connection.getresponse()
            return answer.status == 401 and "comes from another site" in answer.read().decode()
        finally:
            connection.close()

    before = walk.state()
    assert is_refused()
    assert is_refused(Referer="http://example.com/")
    assert is_refused(Referer="http://[x")
    assert walk.state() == before
    assert not is_refused(Referer=f"http://127.0.0.1:{port}/login"), "older browsers send no Origin"


@pytest.mark.parametrize("route", **named(PAGES))
def test_every_page_answers_its_own_role(walk, route):
    before = walk.state()
    for path in paths(route, PLAUSIBLE):
        for role in Role:
            if role.includes(route.role):
                assert walk.ask(role, "GET", path).status < 500 or _is_told(walk.ask(role, "GET", path))
    assert walk.state() == before, "looking must not change anything"


@pytest.mark.parametrize("route", **named([one for one in ROUTES if one.method == "GET"]))
def test_nonsense_in_the_address_is_no_accident(walk, route):
    queries = [f"?{name}={quote(value)}" for value in NONSENSE for name in ("offset", "user", "q", "period")]
    for path in [*paths(route, NONSENSE), *(plausible(route) + query for query in queries)]:
        answer = walk.ask(Role.OWNER, "GET", path)
        assert answer.status < 500 or _is_told(answer), path
        assert "<script>" not in answer.body.replace('<script src="', "")


def _is_told(answer: Head) -> bool:
    """Whether somebody is told that the device cannot do it now, and not that it fell over."""
    return answer.status == 503 and "Its log says more" not in answer.body


def test_an_address_that_is_not_there_looks_like_every_page(walk):
    for role in (None, Role.OWNER):
        answer = walk.ask(role, "GET", "/no/such/page")
        assert answer.status == 404
        assert "There is no such page" in answer.body


def test_a_head_shows_no_more_than_the_page(walk):
    assert walk.ask(None, "HEAD", "/account").status == 303
    assert walk.ask(Role.VIEWER, "HEAD", "/administrators").status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_served(walk, method):
    assert walk.ask(Role.OWNER, method, "/account").status in (404, 405, 501)
