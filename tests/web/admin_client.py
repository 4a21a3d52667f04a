"""A browser's view of the admin pages without a browser: cookies, forms, redirects."""

import html
import re
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from otppi.gateway.accounts import Administrator
from otppi.lib.passwords import hash_password
from tests.gateway_under_test import GatewayUnderTest

PASSWORD = "a long password"
STORED_PASSWORD = hash_password(PASSWORD)  # what the settings make of it, once for all
_BOUNDARY = "boundary-of-a-form-of-a-test"


@dataclass
class Page:
    status: int
    headers: Any
    text: str
    raw: bytes

    @property
    def location(self) -> str:
        return self.headers["Location"]

    @property
    def visible(self) -> str:
        """The text that a person reads, with single spaces."""
        text = re.sub(
            r"<script.*?</script>|<style.*?</style>|<head>.*?</head>", " ", self.text, flags=re.DOTALL
        )
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())

    def value_of(self, name: str) -> str:
        """What a field of a form holds."""
        found = re.search(rf'<input[^>]*name="{re.escape(name)}"[^>]*>', self.text)
        assert found, f"no field {name}"
        value = re.search(r'value="([^"]*)"', found[0])
        return html.unescape(value[1]) if value else ""


@dataclass
class AdminClient:
    """Logged in, or nobody where `user` is empty."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Page:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":  # as browsers do
            sent.setdefault("Origin", f"http://127.0.0.1:{self.port}")
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        for one in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = one.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        page = Page(answer.status, answer.headers, raw.decode("utf-8", "replace"), raw)
        if token := re.search(r'<meta name="csrf" content="([^"]+)"', page.text):
            self.csrf = token[1]
        return page

    def get(self, path: str, **headers: str) -> Page:
        return self.ask("GET", path, **headers)

    def post(
        self, path: str, fields: dict[str, Any] | None = None, *, csrf: str | None = None, **headers: str
    ) -> Page:
        """Post a form as the page would; a list sends a field several times."""
        given = {**(fields or {}), "csrf": self.csrf if csrf is None else csrf}
        body = urlencode(given, doseq=True).encode()
        return self.ask(
            "POST", path, body, **{"Content_Type": "application/x-www-form-urlencoded", **headers}
        )

    def upload(
        self, path: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]], **headers: str
    ) -> Page:
        """Post a form with files: field to name and content."""
        parts = [
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in {**fields, "csrf": self.csrf}.items()
        ]
        parts += [
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode()
            + content
            + b"\r\n"
            for name, (file_name, content) in files.items()
        ]
        body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
        return self.ask(
            "POST", path, body, Content_Type=f"multipart/form-data; boundary={_BOUNDARY}", **headers
        )

    def follow(self, page: Page) -> Page:
        """Go where a redirect leads."""
        assert page.status == 303, (page.status, page.visible[-500:])
        return self.get(page.location)

    def log_in(self, user: str = "owner", password: str = PASSWORD) -> Page:
        answer = self.post("/login", {"user": user, "password": password})
        if answer.status == 303:
            self.get("/account")
        return answer


def admin_client(gateway: GatewayUnderTest, user: str = "owner", role: str = "owner") -> AdminClient:
    """Make an administrator, and return somebody who is logged in as him."""
    store = gateway.gateway.store
    if user not in store.items(Administrator):
        store.put(Administrator, user, {"password": STORED_PASSWORD, "role": role})
    client = AdminClient(gateway.admin_port)
    assert client.log_in(user).status == 303
    return client
