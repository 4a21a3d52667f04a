"""A mailbox for every address: a real SMTP server that sends nothing on, and a page that shows what came.

For the demo and nothing else: texts and codes of real e-mails are never stored.
"""

import asyncio
import itertools
import re
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from errno import EADDRINUSE
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer, ThreadingTCPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from otppi.sim import mailbox_page
from otppi.sim.delivered_email import DeliveredEmail, parts_of
from otppi.sim.magic import MagicAddress

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, LoginPassword, Session

USER = PASSWORD = "demo"  # noqa: S105 - everybody may know it; nobody has to log in

_HOST = "127.0.0.1"
_NAMES = frozenset({_HOST, "localhost"})
_SMTP_PORT, _PAGE_PORT = 2525, 8025
_MOST_TRIED = 50
_MOST_KEPT = 100
_LARGEST_BYTES = 32 << 20  # more than a gateway takes
_LONGEST_NAME = 100
_CLIENT_LIMIT_S = 10.0
_END_WITHIN_S = 0.1
_REFUSED_AT_ONCE: dict[str, str] = {
    MagicAddress.UNKNOWN: "550 5.1.1 no such user here",
    MagicAddress.BUSY: "451 4.7.1 greylisted, try again later",
}


class Mailbox:
    """Listens on loopback, on two ports that nobody has, between `with` and its end.

    Every e-mail becomes a file `DIRECTORY/ADDRESS/TIME-COUNT.eml`, readable by its owner only; the last hundred are on
    the page.
    """

    host: Final = _HOST

    def __init__(
        self,
        directory: Path,
        on_delivered: Callable[[DeliveredEmail], None] | None = None,
        *,
        smtp_port: int = _SMTP_PORT,
        page_port: int = _PAGE_PORT,
        slow_s: float = 5.0,
    ) -> None:
        """Take the ports; it serves from `with` on.

        Args:
            directory: Where the files appear.
            on_delivered: Called with each e-mail, on the thread of the SMTP server.
            smtp_port: Where SMTP is spoken, or the next port that is free.
            page_port: The same for the page.
            slow_s: How long the slow address takes.

        Raises:
            OSError: No port is free.
        """
        self._directory = directory
        self._on_delivered = on_delivered
        self._ids = itertools.count(1)
        self._emails: tuple[DeliveredEmail, ...] = ()
        self._smtp = _SmtpThread(_listener(smtp_port), _Postman(self._deliver, slow_s))
        self._page = ThreadingTCPServer((_HOST, 0), partial(_Page, self), bind_and_activate=False)
        self._page.socket.close()
        self._page.socket = _listener(page_port)
        self._page.daemon_threads = True
        self._page_thread = threading.Thread(
            target=self._page.serve_forever, args=(_END_WITHIN_S,), name="mailbox:page", daemon=True
        )

    @property
    def smtp_port(self) -> int:
        """Where SMTP is spoken."""
        return self._smtp.port

    @property
    def page(self) -> str:
        """The address of the page."""
        return f"http://{_HOST}:{self._page.socket.getsockname()[1]}/"

    @property
    def emails(self) -> tuple[DeliveredEmail, ...]:
        """What the page shows, newest first."""
        return self._emails

    def __enter__(self) -> Self:
        self._smtp.start()
        self._page_thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._smtp.stop()
        self._page.shutdown()
        self._page_thread.join()
        self._page.server_close()

    def _deliver(self, receiver: str, content: bytes) -> None:
        # An address has signs that would lead elsewhere as the name of a folder.
        name = re.sub(r"[^0-9A-Za-z@._-]", "_", receiver)[:_LONGEST_NAME].strip(".")
        folder = self._directory / (name or "_")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        now, email_id = datetime.now().astimezone(), next(self._ids)
        path = folder / f"{now:%Y%m%dT%H%M%S}-{email_id}.eml"
        path.touch(mode=0o600)
        path.write_bytes(content)
        email = DeliveredEmail(
            id=email_id, at=now, path=path, receiver=receiver, subject=parts_of(content).subject
        )
        self._emails = (email, *self._emails)[:_MOST_KEPT]
        if self._on_delivered:
            self._on_delivered(email)


def _listener(port: int) -> socket.socket:
    for one in range(port, port + _MOST_TRIED):
        try:
            return socket.create_server((_HOST, one))
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
    raise OSError(EADDRINUSE, f"none of the ports {port} to {port + _MOST_TRIED - 1} is free")


class _SmtpThread:
    """The SMTP server, on an event loop that it has for itself."""

    def __init__(self, listener: socket.socket, postman: "_Postman") -> None:
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._postman = postman
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="mailbox:smtp", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        from aiosmtpd.smtp import SMTP, AuthResult

        def conversation() -> SMTP:
            return SMTP(
                self._postman,
                hostname="mailbox.example.com",
                ident="OTP-Pi demo mailbox",
                data_size_limit=_LARGEST_BYTES,
                enable_SMTPUTF8=True,
                authenticator=lambda *asked: AuthResult(success=_is_known(asked[-1]), handled=False),
                auth_require_tls=False,
                loop=self._loop,
            )

        server = await self._loop.create_server(conversation, sock=self._listener)
        await self._stopping.wait()
        server.close()


def _is_known(login: "LoginPassword") -> bool:
    return (login.login, login.password) == (USER.encode(), PASSWORD.encode())


class _Postman:
    """Decides what becomes of an e-mail; the SMTP library calls it by the names of commands."""

    def __init__(self, deliver: Callable[[str, bytes], None], slow_s: float) -> None:
        self._deliver = deliver
        self._slow_s = slow_s

    async def handle_RCPT(
        self, _: "SMTP", __: "Session", envelope: "Envelope", address: str, ___: list[str]
    ) -> str:
        if refusal := _REFUSED_AT_ONCE.get(address.lower()):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: "SMTP", _: "Session", envelope: "Envelope") -> str:
        receivers = {address.lower() for address in envelope.rcpt_tos}
        if MagicAddress.FULL in receivers:
            return "552 5.2.2 mailbox full"
        if MagicAddress.SLOW in receivers:
            await asyncio.sleep(self._slow_s)
        for address in envelope.rcpt_tos:
            self._deliver(address, envelope.original_content or b"")
        if MagicAddress.SILENT in receivers and server.transport is not None:
            server.transport.close()
        return "250 2.0.0 OK"


class _Page(BaseHTTPRequestHandler):
    timeout = _CLIENT_LIMIT_S

    def __init__(self, mailbox: Mailbox, request: Any, client: Any, server: BaseServer) -> None:  # noqa: ANN401
        self._mailbox = mailbox
        super().__init__(request, client, server)

    def do_GET(self) -> None:
        # Under another name it is the page of somebody else's that asks, by way of a name that leads here.
        if self.headers.get("Host", "").partition(":")[0].lower() not in _NAMES:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, mailbox_page.lost())
            return
        emails = {f"/{email.id}": email for email in self._mailbox.emails}
        if self.path == "/":
            self._answer(HTTPStatus.OK, mailbox_page.listed(emails))
            return
        try:
            page = mailbox_page.opened(emails[self.path])
        except (KeyError, OSError):  # not there any more
            self._answer(HTTPStatus.NOT_FOUND, mailbox_page.lost())
        else:
            self._answer(HTTPStatus.OK, page)

    def _answer(self, status: HTTPStatus, page: str) -> None:
        body = page.encode("utf-8", errors="replace")
        self.send_response(status)
        for name, value in mailbox_page.HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: it would be told each few seconds that the page was drawn anew."""
