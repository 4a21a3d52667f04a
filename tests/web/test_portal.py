import socket
from types import SimpleNamespace

import pytest

from otppi.web.portal import PROBES, Portal
from tests.web.serving import site

ADMIN = "http://192.168.0.11:8888/"


@pytest.fixture
def setup():
    return SimpleNamespace(is_open=True)


@pytest.fixture
def portal(setup):
    with site(Portal(lambda: ADMIN, lambda: setup.is_open)) as one:
        yield one


PATHS = [
    "/",
    "/index.html",
    "/hotspot-detect.html/",
    "/favicon.ico",
    "/\\evil.example",
    "/%0d%0aLocation:%20http://evil.example/",
    "/a%0ab",
    "/%ff%fe",
    "/?next=http://evil.example/",
    "/<script>alert(1)</script>",
]


@pytest.mark.parametrize("path", sorted(PROBES))
def test_a_probe_opens_the_admin_pages_during_the_setup(portal, path):
    answer = portal.ask("GET", path)
    assert (answer.status, answer.headers["Location"]) == (302, ADMIN)
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_admin_pages_are_where_the_settings_have_them_at_this_moment():
    ports = ["8888", "9999"]
    with site(Portal(lambda: f"http://192.168.0.11:{ports.pop(0)}/", lambda: True)) as portal:
        led_to = [portal.ask("GET", "/generate_204").headers["Location"] for _ in range(2)]
    assert led_to == ["http://192.168.0.11:8888/", "http://192.168.0.11:9999/"]


@pytest.mark.parametrize("path", sorted(PROBES))
def test_after_the_setup_a_probe_learns_that_there_is_no_internet(portal, setup, path):
    setup.is_open = False
    answer = portal.ask("GET", path)
    assert answer.status == 503
    assert "Location" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    # What the makers of phones take for the internet.
    assert "success" not in answer.body.lower()
    assert "Microsoft" not in answer.body


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("path", PATHS)
def test_every_other_path_leads_to_the_admin_pages_and_nowhere_else(portal, setup, path, is_open):
    setup.is_open = is_open
    answer = portal.ask("GET", path, Host="evil.example", X_Forwarded_Host="evil.example")
    assert (answer.status, answer.headers["Location"], answer.body) == (302, ADMIN, "")
    assert "evil.example" not in str(answer.headers)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PROPFIND"])
def test_every_method_is_answered_alike(portal, method):
    answer = portal.ask(method, "/generate_204")
    assert (answer.status, answer.headers["Location"]) == (302, ADMIN)


def test_the_query_of_a_probe_does_not_matter(portal, setup):
    assert portal.ask("GET", "/generate_204?x=1").status == 302
    setup.is_open = False
    assert portal.ask("GET", "/generate_204?x=1").status == 503


@pytest.mark.parametrize(
    "line",
    [
        b"OPTIONS * HTTP/1.1",
        b"GET http://evil.example/x HTTP/1.1",
        b"GET evil.example HTTP/1.1",
        b"GET //evil.example/ HTTP/1.1",
    ],
)
def test_requests_of_another_form_show_nothing_of_themselves(portal, line):
    with socket.create_connection(("127.0.0.1", portal.port), 5) as sock:
        sock.sendall(line + b"\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        with sock.makefile("rb") as file:
            answer = file.read()
    assert answer
    assert b"evil.example" not in answer
