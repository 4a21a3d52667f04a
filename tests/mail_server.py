"""A real SMTP server on loopback that keeps what it is given, and answers badly where a test wants that."""

import asyncio
import email.message
import email.policy
import itertools
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from otppi.mail.settings import PLAIN, SSL, STARTTLS
from tests.broker_servers.certificates import certificates
from tests.ports import free_port

USER, PASSWORD = "toko@example.com", "abcd efgh ijkl mnop"
# Where something else can happen than is usual: before the greeting, at each command, and after the final dot.
GREETING, END = "GREETING", "END"


class Fault(Enum):
    """What becomes of a command instead of an answer."""

    CLOSED = "the connection is closed; at END the message was kept"
    SILENT = "nothing comes until `go_on`; at END the message was kept"


@dataclass(frozen=True)
class Kept:
    """A message as it came."""

    sender: str
    receivers: tuple[str, ...]
    content: bytes
    user: str  # who had logged in

    @property
    def parsed(self) -> email.message.EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)  # type: ignore[return-value]


class MailServer:
    """Listens on `port`; one account, `USER` with `PASSWORD`.

    Args:
        security: `SSL`, `STARTTLS` (offered, not demanded) or `PLAIN`, of otppi.mail.settings.
        wants_login: Whether mail is taken only after AUTH.
        options: For aiosmtpd's SMTP: `data_size_limit`, `enable_SMTPUTF8`, `auth_exclude_mechanism` ...
    """

    def __init__(self, security: str = PLAIN, *, wants_login: bool = True, **options: Any) -> None:
        self.port = free_port()
        self.ca = certificates().ca.pem
        self.messages: list[Kept] = []
        self.commands: list[str] = []  # each with its argument, AUTH without it
        self.connections = 0
        self.most_at_once = 0
        self.logins = 0
        self.is_silent = threading.Event()  # set while somebody waits for an answer that does not come
        self._news = threading.Condition()
        self._script: dict[str, Iterator[str | Fault]] = {}
        self._open: set[_Conversation] = set()
        self.wants_login = wants_login
        self._is_implicit = security == SSL
        self._options = {
            "hostname": "mail.example.com",
            "enable_SMTPUTF8": True,
            "authenticator": self._login,
            "auth_require_tls": False,
            "tls_context": _context() if security == STARTTLS else None,
        } | options

    def on(self, stage: str, *what: str | Fault, always: bool = False) -> None:
        """Do this the next times at `GREETING`, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, RSET, NOOP, QUIT or `END`.

        Args:
            stage: A command of the client, or one of the two.
            what: A reply such as "550 5.1.1 no such user", or a fault; one for each time.
            always: Begin again after the last one.
        """
        self._script[stage] = itertools.cycle(what) if always else iter(what)

    def start(self) -> None:
        """Listen; again after a stop, on the same port."""
        ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(ready),), name="mail server")
        self._thread.start()
        if not ready.wait(10):
            raise TimeoutError("the mail server did not start")

    def stop(self) -> None:
        """Close every connection; from now on they are refused."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        if self._thread.is_alive():
            raise TimeoutError("the mail server did not end")

    def drop(self) -> None:
        """Close every connection, as a server does that has waited long enough."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(self._abort, done)
        done.wait(10)

    def go_on(self) -> None:
        """Answer those who wait because of `Fault.SILENT`."""
        self.is_silent.clear()
        self._loop.call_soon_threadsafe(self._spoken.set)

    def wait_for(self, what: Callable[[], bool], timeout_s: float = 5) -> bool:
        """Wait until something is so, such as that a command came; whether it is."""
        with self._news:
            return self._news.wait_for(what, timeout_s)

    def __enter__(self) -> "MailServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over, self._spoken = asyncio.Event(), asyncio.Event()
        server = await self._loop.create_server(
            partial(_Conversation, self, **self._options),
            "127.0.0.1",
            self.port,
            ssl=_context() if self._is_implicit else None,
        )
        ready.set()
        await self._over.wait()
        server.close()
        closed = [one.closed for one in self._open]
        self._abort()
        await asyncio.gather(*closed)

    def _abort(self, done: threading.Event | None = None) -> None:
        for one in self._open:
            if one.transport is not None and not one.transport.is_closing():
                one.transport.abort()
            else:  # one of TLS waits for a goodbye, and cannot be aborted any more
                with suppress(OSError):
                    one.socket.shutdown(socket.SHUT_RDWR)
        if done is not None:
            done.set()

    def _login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any
    ) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
        self.logins += is_right
        return AuthResult(success=is_right, handled=False, auth_data=data)

    def began(self, conversation: "_Conversation") -> None:
        self.connections += 1
        self._open.add(conversation)
        self.most_at_once = max(self.most_at_once, len(self._open))

    def ended(self, conversation: "_Conversation") -> None:
        self._open.discard(conversation)

    def note(self, command: str) -> None:
        with self._news:
            self.commands.append(command)
            self._news.notify_all()

    def wanted(self, stage: str) -> str | Fault | None:
        """Return what is to become of a stage; None for what is usual."""
        return next(self._script.get(stage, iter(())), None)

    async def be_silent(self) -> None:
        """Wait until somebody calls `go_on`."""
        self._spoken.clear()
        self.is_silent.set()
        await self._spoken.wait()

    async def handle_DATA(self, conversation: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a message; named and called by aiosmtpd."""
        wanted = self.wanted(END)
        if not isinstance(wanted, str) or wanted.startswith("2"):
            user = session.auth_data.login.decode() if session.authenticated else ""
            receivers = tuple(envelope.rcpt_tos)
            self.messages.append(Kept(envelope.mail_from or "", receivers, envelope.content, user))
        if wanted is Fault.SILENT:
            await self.be_silent()
        if wanted is Fault.CLOSED and conversation.transport is not None:
            conversation.transport.close()
        return wanted if isinstance(wanted, str) else "250 2.0.0 kept"


class _Conversation(SMTP):
    """One connection."""

    def __init__(self, server: MailServer, **options: Any) -> None:
        self._mail = server
        super().__init__(server, **options)
        self.closed = self.loop.create_future()
        for command, method in list(self._smtp_methods.items()):
            self._smtp_methods[command] = partial(self._do, command, method)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # it is called again after STARTTLS
            self.socket = transport.get_extra_info("socket")
            self._mail.began(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._mail.ended(self)
        if not self.closed.done():
            self.closed.set_result(None)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        with suppress(ConnectionError):
            if await self._is_usual(GREETING):
                await super()._handle_client()

    async def _do(self, command: str, method: Any, argument: str | None) -> None:
        self._mail.note(command if command == "AUTH" else f"{command} {argument or ''}".rstrip())
        if command == "MAIL" and self._mail.wants_login and not self.session.authenticated:
            await self.push("530 5.7.0 Authentication required")
        elif await self._is_usual(command):
            await method(argument)

    async def _is_usual(self, stage: str) -> bool:
        wanted = self._mail.wanted(stage)
        if wanted is Fault.SILENT:
            await self._mail.be_silent()
            return True
        if isinstance(wanted, str):
            await self.push(wanted)
        is_over = wanted is Fault.CLOSED or (isinstance(wanted, str) and wanted.startswith("421"))
        if is_over and self.transport is not None:
            self.transport.close()
        return wanted is None


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = certificates().server
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "server.pem")
        file.write_text(server.pem + server.key_pem)
        context.load_cert_chain(file)
    return context
