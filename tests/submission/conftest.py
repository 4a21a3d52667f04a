import smtplib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otppi.contracts.mail import Relayed
from otppi.gateway.accounts import ApiAccounts, ApiUser
from otppi.lib.passwords import hash_password
from otppi.model.requests import Origin
from otppi.model.results import MailReceipt
from otppi.settings.store import SettingsStore
from otppi.submission.desk import Desk
from otppi.submission.server import SubmissionServer
from otppi.submission.terms import Tally, Terms
from otppi.wsgi.tls import CertificateFiles, server_context
from tests.broker_servers.certificates import certificates

USER, PASSWORD = "toko", "rahasia 8 letters"
_HASH = hash_password(PASSWORD)


class Onward:
    """Stands for the accounts: takes messages, or does what a test wants instead."""

    def __init__(self) -> None:
        self.taken: list[tuple[Origin, Relayed, str]] = []
        self.errors: deque[Exception] = deque()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Semaphore(0)

    def __call__(self, origin: Origin, mail: Relayed, address: str) -> MailReceipt:
        self.taken.append((origin, mail, address))
        self.was_asked.release()
        if not self.may_answer.wait(30):
            raise TimeoutError("nobody let the message go")
        if self.errors:
            raise self.errors.popleft()
        return MailReceipt(account_id="a", account_name="A", message_id=f"id{len(self.taken)}")

    @property
    def contents(self) -> list[bytes]:
        """The messages without the line that the server put before them."""
        return [mail.content.split(b"+0000\r\n", 1)[1] for _, mail, _ in self.taken]


class Client(smtplib.SMTP):
    """Says what a test wants, by TLS that checks the server."""

    def __init__(self, port: int, source: str) -> None:
        place = (source, 0) if source else None
        super().__init__("127.0.0.1", port, local_hostname="[127.0.0.1]", timeout=20, source_address=place)

    def encrypt(self) -> "Client":
        self.starttls(context=ssl.create_default_context(cadata=certificates().ca.pem))
        return self

    def logged_in(self, user: str = USER, password: str = PASSWORD) -> "Client":
        self.encrypt().login(user, password)
        return self

    def say(self, *commands: str) -> list[str]:
        """Return the replies, each on one line."""
        return [self._line(self.docmd(one)) for one in commands]

    def content(self, raw: bytes) -> str:
        """Return what comes of a content that is sent as it is, after MAIL and RCPT."""
        self.mail("a@example.com")
        self.rcpt("x@example.com")
        assert self.docmd("DATA")[0] == 354
        self.send(raw)
        return self._line(self.getreply())

    def reply(self) -> str:
        return self._line(self.getreply())

    def _line(self, reply: tuple[int, bytes]) -> str:
        return f"{reply[0]} {reply[1].decode()}"

    def is_hung_up(self) -> bool:
        """Whether the server closes the connection after what it said."""
        assert isinstance(self.sock, socket.socket)
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The folder of a certificate for 127.0.0.1."""
    folder = tmp_path / "certificate"
    folder.mkdir()
    (folder / "tls.crt").write_text(certificates().server.pem)
    (folder / "tls.key").write_text(certificates().server.key_pem)
    return folder


@pytest.fixture
def users(tmp_path: Path) -> SettingsStore:
    store = SettingsStore(tmp_path / "users", (ApiUser,), None)
    store.put(ApiUser, USER, {"password": _HASH})
    store.put(ApiUser, "gone", {"password": _HASH, "active": False})
    return store


@pytest.fixture
def accounts(users, clock) -> ApiAccounts:
    return ApiAccounts(users, clock)


@pytest.fixture
def onward() -> Onward:
    return Onward()


@pytest.fixture
def serve(pair, users, accounts, onward, clock) -> Iterator[Callable[..., SubmissionServer]]:
    """Start servers; all are stopped at the end of the test."""
    running: list[SubmissionServer] = []

    def start(*, log_in=accounts.check, tally: Tally | None = None, **terms) -> SubmissionServer:
        usual = {
            "name": "otppi.local",
            "software": "OTP-Pi",
            "requires_tls": True,
            "max_message_bytes": 1024 * 1024,
            "messages_per_minute": 100,
        }
        desk = Desk(
            Terms(**usual | terms),
            log_in=log_in,
            stored_hash=lambda user: getattr(users.items(ApiUser).get(user), "password", ""),
            relay=onward,
            clock=clock,
            tally=tally or Tally(),
        )
        tls = server_context(CertificateFiles(pair / "tls.crt", pair / "tls.key", ""))
        server = SubmissionServer("127.0.0.1", 0, desk, tls)
        server.start()
        running.append(server)
        return server

    yield start
    onward.may_answer.set()
    for one in running:
        one.stop(10)


@pytest.fixture
def client(serve) -> Iterator[Callable[..., Client]]:
    """Connect clients; all hang up at the end of the test."""
    clients: list[Client] = []

    def connect(server: SubmissionServer | None = None, source: str = "") -> Client:
        one = Client((server or serve()).port, source)
        clients.append(one)
        return one

    yield connect
    for one in clients:
        one.close()
