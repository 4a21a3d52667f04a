"""One part of the pages behind a real web server."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bottle

from otppi.wsgi.server import WebServer


@dataclass
class Answer:
    status: int
    headers: Any
    body: str


@dataclass
class Site:
    port: int

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(
                method, path, body, {name.replace("_", "-"): one for name, one in headers.items()}
            )
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def site(*parts: Any) -> Iterator[Site]:
    app = bottle.Bottle()
    for part in parts:
        part.install(app)
    server = WebServer("test", app, "127.0.0.1", 0, threads=2, max_body_bytes=10_000)
    server.start()
    try:
        yield Site(server.port)
    finally:
        server.stop(2.0)
