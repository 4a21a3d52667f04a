"""Vendors of dynamic DNS as their documents have them, on a local HTTPS server; `script` makes it answer otherwise."""

import base64
import json
import ssl
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.broker_servers.certificates import Certificates, Pair, certificates

USER, PASSWORD, EMAIL, KEY, TOKEN = "toko", "p@ss:word&1", "a@example.com", "key-of-toko", "ToKeN-of-toko"
ACCOUNT_ID, NAME_SERVERS = "account1", ["amir.ns.example", "siti.ns.example"]


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # by names in small letters
    document: Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered; `length` is what the head says of it, and after `silent` nothing comes at all."""

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    silent: bool = False


def as_json(document: object, status: int = 200) -> Reply:
    return Reply(text=json.dumps(document), status=status, headers={"Content-Type": "application/json"})


class DdnsServer:
    """Answers at /nic/update, /u (FreeDNS), /client/v4 (Cloudflare) and /v2 (Dynu).

    Attributes:
        script: What is answered next instead, whatever is asked.
        requests: What was asked.
        hosts: Names of the account and what they point to, for /nic/update.
        names: Names of FreeDNS by token, and what they point to.
        zones: Of Cloudflare, by id.
        records: Of Cloudflare, by id; each has the id of its zone.
        domain: The one of Dynu.
        dynu_records: Of that domain.
    """

    def __init__(self, host: str = "127.0.0.1", signed_by: Certificates | None = None) -> None:
        self._host = host
        self._context = _server_context((signed_by or certificates()).server)
        self._is_over = threading.Event()
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.script: deque[Reply] = deque()
        self.requests: list[Request] = []
        self.hosts: dict[str, str] = {"otp.example.com": "198.51.100.1"}
        self.names = {TOKEN: ["otp.example.com", "198.51.100.1"]}
        self.zones: dict[str, dict[str, Any]] = {
            "zone1": {"id": "zone1", "name": "example.com", "account": {"id": ACCOUNT_ID}}
        }
        self.records: dict[str, dict[str, Any]] = {}
        self.domain: dict[str, Any] = {
            "id": 100, "name": "example.com", "group": "shops", "ipv4Address": "198.51.100.1", "ipv6Address": None,
            "ttl": 90, "ipv4": True, "ipv6": False, "ipv4WildcardAlias": True, "ipv6WildcardAlias": False,
            "allowZoneTransfer": False, "dnssec": False,
        }  # fmt: skip
        self.dynu_records: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"https://{self._host}:{self._server.server_port}"

    def start(self) -> None:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                vendor._answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((self._host, 0), Handler)
        self._server.daemon_threads = True
        # The handshake is the handling thread's, so that no client keeps the others waiting.
        self._server.socket = self._context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._server.handle_error = lambda *_: None  # such as a client that does not trust us
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Request(
            handler.command,
            url.path,
            {name: values[0] for name, values in parse_qs(url.query).items()},
            {name.lower(): value for name, value in handler.headers.items()},
            json.loads(body) if body else None,
        )
        self.requests.append(request)
        reply = self.script.popleft() if self.script else self._documented(request)
        if reply.silent:
            self._is_over.wait(10)
            return
        content = reply.text.encode()
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content) if reply.length is None else reply.length))
        handler.end_headers()
        handler.wfile.write(content)

    def _documented(self, request: Request) -> Reply:
        path = request.path
        if path == "/nic/update":
            return Reply(text=self._nic(request))
        if path.startswith("/u/"):
            return self._freedns(path.removeprefix("/u/").rstrip("/"), request.query)
        if path.startswith("/client/v4/"):
            return self._cloudflare(request, path.removeprefix("/client/v4/").split("/"))
        if path.startswith("/v2/"):
            return self._dynu(request, path.removeprefix("/v2/").split("/"))
        return Reply(text="<html>Not found</html>", status=404)

    def _nic(self, request: Request) -> str:
        if not request.headers.get("user-agent", "").strip():
            return "badagent"
        if request.headers.get("authorization") != basic():
            return "badauth"
        query = request.query
        host = ".".join(filter(None, (query.get("alias"), query.get("hostname"))))
        if host not in self.hosts:
            return "nohost"
        address = next(query[name] for name in ("myip", "myipv6") if query.get(name, "no") != "no")
        word = "nochg" if self.hosts[host] == address else "good"
        self.hosts[host] = address
        return f"{word} {address}\r\n"

    def _freedns(self, token: str, query: Mapping[str, str]) -> Reply:
        if token not in self.names:
            return Reply(text="<html>Error 404 : Page not found</html>", status=404)
        host, before = self.names[token]
        if before == query["ip"]:
            return Reply(text=f"No IP change detected for {host} with IP {before}, skipping update\n")
        self.names[token][1] = query["ip"]
        return Reply(text=f"Updated {host} from {before} to {query['ip']}\n")

    def _cloudflare(self, request: Request, parts: list[str]) -> Reply:
        headers = request.headers
        has_token = headers.get("authorization") == f"Bearer {TOKEN}"
        if not has_token and (headers.get("x-auth-email"), headers.get("x-auth-key")) != (
            EMAIL,
            KEY,
        ):
            return cloudflare_error(9109, "Invalid access token", 403)
        match request.method, parts:
            case "GET", ["zones"]:
                found = [one for one in self.zones.values() if one["name"] == request.query["name"]]
            case "POST", ["zones"]:
                zone = f"zone{len(self.zones) + 1}"
                found = {"id": zone, "name_servers": NAME_SERVERS, "status": "pending", **request.document}
                self.zones[zone] = found
            case "GET", ["zones", zone, "dns_records"] if zone in self.zones:
                wanted = {"zone": zone, **{name: request.query[name] for name in ("type", "name")}}
                found = [one for one in self.records.values() if wanted.items() <= one.items()]
            case "POST", ["zones", zone, "dns_records"] if zone in self.zones:
                record = f"record{len(self.records) + 1}"
                found = self.records[record] = {"id": record, "zone": zone, **request.document}
            case "PATCH", ["zones", zone, "dns_records", record] if record in self.records:
                found = self.records[record]
                found |= request.document
            case _:
                return cloudflare_error(7003, f"Could not route to {request.path}", 404)
        return as_json({"success": True, "errors": [], "messages": [], "result": found})

    def _dynu(self, request: Request, parts: list[str]) -> Reply:
        headers = request.headers
        if parts == ["oauth2", "token"] and headers.get("authorization") == basic():
            return as_json({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600})
        if headers.get("api-key") != KEY and headers.get("authorization") != f"Bearer {TOKEN}":
            return dynu_error(401, "Authentication Exception", "Failed authentication.")
        number = str(self.domain["id"])
        match request.method, parts:
            case "GET", ["dns", "getroot", host] if f".{host}".endswith(f".{self.domain['name']}"):
                node = host.removesuffix(self.domain["name"]).rstrip(".")
                root = {
                    "id": self.domain["id"],
                    "domainName": self.domain["name"],
                    "hostname": host,
                    "node": node,
                }
                return as_json({"statusCode": 200, **root})
            case "GET", ["dns", one] if one == number:
                return as_json({"statusCode": 200, **self.domain, "state": "Complete", "token": "x"})
            case "POST", ["dns", one] if one == number:
                self.domain = {"id": self.domain["id"], **request.document}
                return as_json({"statusCode": 200})
            case "GET", ["dns", "record", host]:
                kind = request.query["recordType"]
                found = [
                    one for one in self.dynu_records if (one["hostname"], one["recordType"]) == (host, kind)
                ]
                return as_json({"statusCode": 200, "dnsRecords": found})
            case "POST", ["dns", one, "record", *rest] if one == number:
                record = int(rest[0]) if rest else 7 + len(self.dynu_records)
                row = {"id": record, "hostname": f"{request.document['nodeName']}.{self.domain['name']}"}
                self.dynu_records = [one for one in self.dynu_records if one["id"] != record]
                self.dynu_records.append({**row, **request.document})
                return as_json({"statusCode": 200, **row, **request.document})
        return dynu_error(501, "Argument Exception", "Invalid.")


def basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def cloudflare_error(code: int, message: str, status: int = 400) -> Reply:
    errors = [{"code": code, "message": message}]
    return as_json({"success": False, "errors": errors, "messages": [], "result": None}, status)


def dynu_error(status: int, kind: str, message: str) -> Reply:
    return as_json({"statusCode": status, "type": kind, "message": message}, 200 if status == 501 else status)


def _server_context(certificate: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "server.pem")
        file.write_text(certificate.pem + certificate.key_pem)
        context.load_cert_chain(file)
    return context
