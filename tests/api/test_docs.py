import gzip
import hashlib
import json
import re
from pathlib import Path
from wsgiref.headers import Headers
from wsgiref.util import setup_testing_defaults

import bottle
import pytest

import otppi.api
from otppi.api.docs import ApiDocs
from otppi.api.rest import RestApi
from otppi.api.settings import ApiSettings

STATIC = Path(otppi.api.__file__).with_name("static")
VIEWER = STATIC / "swagger-ui"
OWN_FILES = ("docs.html", "docs.js", "docs.css")


class Response:
    def __init__(self, status, headers, body):
        self.status = int(status.split()[0])
        self.headers = Headers(headers)
        self.body = body


@pytest.fixture
def get():
    app = bottle.Bottle()
    ApiDocs().install(app)
    # What it takes to answer that a path is not served; a log-in or a command would fail.
    RestApi(door=None, accounts=None, settings=lambda: ApiSettings(), threads=64).install(app)

    def call(path, method="GET", **headers):
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
        setup_testing_defaults(environ)
        environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
        began = []
        body = app.wsgi(environ, lambda status, headers, exc_info=None: began.append((status, headers)))
        try:
            return Response(*began[0], b"".join(body))
        finally:
            if hasattr(body, "close"):
                body.close()

    return call


def recorded_sums():
    text = (VIEWER / "VENDORED.md").read_text("utf-8")
    return {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}


def test_the_description_is_shown_without_a_login(get):
    answer = get("/openapi.json")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert "/api/v1/request-otp" in json.loads(answer.body)["paths"]


def test_the_description_is_made_when_first_asked_for_and_kept():
    docs = ApiDocs()
    assert "_description" not in vars(docs)
    assert docs._description is docs._description


def test_everything_that_the_page_names_is_served_in_its_type(get):
    page = get("/docs")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    names = re.findall(r'(?:href|src)="(?!data:)([^"]+)"', page.body.decode())
    types = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
    assert len(names) == 5
    for name in names:
        answer = get(f"/{name}", accept_encoding="gzip")
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(types[Path(name).suffix])
        assert len(answer.body) == int(answer.headers["Content-Length"])


@pytest.mark.parametrize("name", ["swagger-ui.css", "swagger-ui-bundle.js"])
@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "deflate, gzip ; q=1"])
def test_large_files_go_compressed(get, name, accepted):
    answer = get(f"/docs/{name}", accept_encoding=accepted)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert hashlib.sha256(gzip.decompress(answer.body)).hexdigest() == recorded_sums()[name]


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0.000", "x-gzip-not"])
def test_large_files_go_plain_where_compression_is_not_accepted(get, accepted):
    answer = get("/docs/swagger-ui.css", accept_encoding=accepted)
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert hashlib.sha256(answer.body).hexdigest() == recorded_sums()["swagger-ui.css"]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/docs.js", "/docs/swagger-ui.css"])
def test_a_client_that_has_it_is_not_sent_it_again(get, path):
    first = get(path, accept_encoding="gzip")
    again = get(path, accept_encoding="gzip", if_none_match=f'"other", W/{first.headers["ETag"]}')
    assert (again.status, again.body) == (304, b"")
    assert get(path, accept_encoding="gzip", if_none_match='"other"').status == 200


def test_a_plain_copy_is_not_taken_for_the_compressed_one(get):
    compressed = get("/docs/swagger-ui.css", accept_encoding="gzip")
    assert get("/docs/swagger-ui.css", if_none_match=compressed.headers["ETag"]).status == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/swagger-ui.css"])
def test_head_is_answered_like_get_without_a_body(get, path):
    answer = get(path, method="HEAD", accept_encoding="gzip")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["ETag"]
    assert answer.headers["ETag"] == get(path, accept_encoding="gzip").headers["ETag"]


@pytest.mark.parametrize(
    "name",
    ["docs.html", "VENDORED.md", "swagger-ui.css.gz", "..", "../docs.py", "%2e%2e", "swagger-ui/NOTICE"],
)
def test_no_other_file_is_served(get, name):
    assert get(f"/docs/{name}").status == 404


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/docs.js", "/docs/swagger-ui-bundle.js"])
def test_answers_forbid_other_hosts_inline_scripts_and_guessed_types(get, path):
    headers = get(path, accept_encoding="gzip").headers
    policy = dict(one.strip().split(" ", 1) for one in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_has_no_inline_script_or_style():
    page = (STATIC / "docs.html").read_text("utf-8")
    assert not re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page)


@pytest.mark.parametrize("name", OWN_FILES)
def test_no_other_host_is_named(name):
    assert not re.findall(r"//\w|@import", (STATIC / name).read_text("utf-8"))


def test_the_style_sheet_of_the_viewer_loads_nothing():
    text = gzip.decompress((VIEWER / "swagger-ui.css.gz").read_bytes()).decode()
    sources = re.findall(r"url\(\s*[\"']?([^:)]{0,20})", text)
    assert sources
    assert set(sources) == {"data"}
    assert "@import" not in text


def test_vendored_files_are_those_that_were_published():
    sums = recorded_sums()
    found = {}
    for path in VIEWER.iterdir():
        if path.name != "VENDORED.md":
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            found[path.name.removesuffix(".gz")] = hashlib.sha256(data).hexdigest()
    assert found == sums
