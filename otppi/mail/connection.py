"""One conversation with an SMTP server (RFC 5321) that may carry several e-mails, one after another.

It knows what smtplib's `sendmail` hides: whether the final dot had gone out when something broke.
"""

import base64
import contextlib
import re
import select
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from otppi.contracts.mail import MailRefused
from otppi.lib.deadline import Deadline
from otppi.mail.settings import PLAIN, SSL, STARTTLS, EmailAccountSettings
from otppi.mail.trouble import NOT_NOW, AccountTrouble, Stage, VerdictUnknown, told, trouble_of
from otppi.work.standing import Hold

OPPORTUNISTIC = "opportunistic"  # as `security`: STARTTLS where the server offers it

_PIECE = 16_384
_LONGEST_LINE = 8192
_MOST_LINES = 200
# A connection that was kept open may have been forgotten by whatever is between; that shows soon.
_STALE_AFTER_S = 5.0
# The server has the message and decides about it; RFC 5321, 4.5.3.2.6 gives it ten minutes.
_VERDICT_S = 300.0
_GOODBYE_S = 0.1
_SHORTEST_WAIT_S = 0.001
_FAIR_WAIT_S = 2.0
_GO_ON, _CHALLENGE, _INTERIM = 354, 334, range(300, 400)
_NO_SMTP = "what answers there is no SMTP server"
_REPLY = re.compile(rb"[2-5]\d\d([ -]|\r?\n)")
_PATH = re.compile(r"[^\x00-\x20\x7f<>\ud800-\udfff]*")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server, and how it is spoken to."""

    host: str
    port: int
    security: str  # of otppi.mail.settings, or `OPPORTUNISTIC`
    timeout_s: float
    context: ssl.SSLContext | None = None  # None if it is never spoken to by TLS
    login: tuple[str, str] | None = field(default=None, repr=False)  # user name and password
    name: str = ""  # what this device calls itself; empty for its address


class ConnectionWasDead(Exception):
    """A connection that was kept open did not take a message any more; surely nothing of it left."""


class NotEncrypted(AccountTrouble):
    """A server that offers STARTTLS did not bring it about; a new connection can do without."""


class _Gone(Exception):
    """The server hung up, or says nothing; the text says which."""

    def __init__(self, why: str, hold: Hold = Hold.MOMENT) -> None:
        super().__init__(why)
        self.hold = hold


def server_of(settings: EmailAccountSettings) -> Server:
    """Return how the server of an account is spoken to; takes a moment, to read what the system trusts.

    Raises:
        AccountTrouble: The certificate of the CA cannot be used.
    """
    return Server(
        host=settings.host,
        port=settings.port,
        security=settings.security,
        timeout_s=settings.timeout_s,
        context=None if settings.security == PLAIN else _context(settings),
        login=(settings.user, settings.password) if settings.auth else None,
    )


class Connection:
    """Belongs to one thread at a time."""

    def __init__(self, server: Server, until: Deadline) -> None:
        """Connect, encrypt and log in.

        Raises:
            AccountTrouble: Any of these was not possible.
        """
        self._smtp = _Smtp(server, until)
        self._was_used = False
        self._is_clean = True  # nothing is left half done
        self._secrets: tuple[str, ...] = ()
        try:
            self._greet(server)
        except _Gone as error:
            self._smtp.close()
            raise AccountTrouble(str(error), error.hold) from None
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether another message can be tried."""
        return self._smtp.sock is not None

    def send(
        self, sender: str, receiver: str, content: bytes, until: Deadline, before_submit: Callable[[], None]
    ) -> None:
        """Hand over one e-mail; the connection may be closed afterwards.

        Args:
            sender: Of the envelope; empty for a bounce.
            receiver: Of the envelope.
            content: As RFC 5322 has it, every line ended by CR LF.
            until: When the wait is over.
            before_submit: Called just before the first byte of the content leaves.

        Raises:
            ConnectionWasDead: Not sent; a new connection may do better.
            MailRefused: Not sent, and no other account would do better.
            AccountTrouble: Not sent.
            VerdictUnknown: It may have been sent.
        """
        if not (_PATH.fullmatch(sender) and _PATH.fullmatch(receiver)):
            raise MailRefused("the address is none that a server can be told")
        smtp = self._smtp
        smtp.until = until
        try:
            self._begin(f"FROM:<{sender}>", self._options(sender, receiver, content), receiver)
            self._judge(Stage.RECEIVER, smtp.docmd("RCPT", f"TO:<{receiver}>"), receiver)
            self._judge(Stage.CONTENT, smtp.docmd("DATA"), receiver, wanted=_GO_ON)
            self._hand_over(content, before_submit)
        except _Gone as error:
            smtp.close()
            raise AccountTrouble(str(error), error.hold) from None
        try:
            smtp.patience_s = _VERDICT_S
            verdict = smtp.getreply()
            if verdict[0] in _INTERIM:
                raise _Gone(_NO_SMTP)
            self._judge(Stage.CONTENT, verdict, receiver)
        except _Gone as error:
            smtp.close()
            raise VerdictUnknown(str(error), error.hold) from None
        self._is_clean = True

    def close(self) -> None:
        """Say goodbye and hang up; does not wait for an answer."""
        if self.is_open:
            self._smtp.patience_s = _GOODBYE_S
            with contextlib.suppress(_Gone):
                self._smtp.putcmd("QUIT")
        self._smtp.close()

    def _greet(self, server: Server) -> None:
        smtp = self._smtp
        smtp.open()
        self._judge(Stage.GREETING, smtp.getreply())
        self._say_hello()
        is_offered = smtp.has_extn("starttls")
        if server.security == STARTTLS and not is_offered:
            # Left out, whoever is on the way could have it left out, and read the password.
            raise AccountTrouble("the server does not offer STARTTLS at this port", Hold.PERSON)
        if server.security == STARTTLS or (server.security == OPPORTUNISTIC and is_offered):
            try:
                self._judge(Stage.ENCRYPTION, smtp.docmd("STARTTLS"))
                smtp.encrypt()
            except (AccountTrouble, _Gone) as error:
                if server.security == OPPORTUNISTIC:
                    raise NotEncrypted(str(error), Hold.MOMENT) from None
                raise
            self._say_hello()
        if server.login is not None:
            self._log_in(*server.login)

    def _say_hello(self) -> None:
        if not _is_good(self._smtp.ehlo()[0]):
            self._judge(Stage.GREETING, self._smtp.helo())

    def _log_in(self, user: str, password: str) -> None:
        smtp = self._smtp
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        user64, password64, both64 = (
            base64.b64encode(one.encode()).decode() for one in (user, password, f"\0{user}\0{password}")
        )
        # Some servers repeat a command that they do not understand.
        self._secrets = (both64, password64, password)
        if "PLAIN" in offered:
            self._judge(Stage.LOGIN, smtp.docmd("AUTH", f"PLAIN {both64}"))
        elif "LOGIN" in offered:
            self._judge(Stage.LOGIN, smtp.docmd("AUTH", "LOGIN"), wanted=_CHALLENGE)
            self._judge(Stage.LOGIN, smtp.docmd(user64), wanted=_CHALLENGE)
            self._judge(Stage.LOGIN, smtp.docmd(password64))
        elif offered:
            ways = told(" ".join(offered).encode())
            raise AccountTrouble(f"the server takes no password, only {ways}", Hold.PERSON)
        else:
            reason = "the server takes no login here; choose another encryption or port, or no authentication"
            raise AccountTrouble(reason, Hold.PERSON)

    def _options(self, sender: str, receiver: str, content: bytes) -> str:
        smtp = self._smtp
        options = f" SIZE={len(content)}" if smtp.has_extn("size") else ""
        if smtp.has_extn("8bitmime") and not content.isascii():
            options += " BODY=8BITMIME"  # others get it as it is; most of them take it
        if not (sender + receiver).isascii():
            if not smtp.has_extn("smtputf8"):
                raise MailRefused("the server takes no addresses with letters other than those of ASCII")
            options += " SMTPUTF8"
        return options

    def _begin(self, path: str, options: str, receiver: str) -> None:
        """Name the sender; a connection that was kept open is found out here if it is dead."""
        smtp, is_first, is_clean = self._smtp, not self._was_used, self._is_clean
        self._was_used, self._is_clean = True, False
        smtp.patience_s = smtp.server.timeout_s if is_first else min(_STALE_AFTER_S, smtp.server.timeout_s)
        try:
            if smtp.has_news:
                raise _Gone("the server hung up")
            if not is_clean:
                smtp.docmd("RSET")
            answer = smtp.docmd("MAIL", path + options)
        except _Gone:
            if is_first:
                raise
            smtp.close()
            raise ConnectionWasDead from None
        smtp.patience_s = smtp.server.timeout_s
        if answer[0] == NOT_NOW and not is_first:
            smtp.close()
            raise ConnectionWasDead
        self._judge(Stage.SENDER, answer, receiver)

    def _hand_over(self, content: bytes, before_submit: Callable[[], None]) -> None:
        smtp = self._smtp
        try:
            before_submit()
            smtp.send(_stuffed(content))
            if smtp.has_news:
                raise _Gone("the server did not wait for the end of the message")
            if smtp.until.expired:
                raise _Gone("the server takes longer than the message may wait", Hold.NO)
            smtp.send(".\r\n")
        except BaseException:
            smtp.close()  # without the dot it is no message
            raise

    def _judge(
        self, stage: Stage, answer: tuple[int, bytes], receiver: str = "", *, wanted: int | None = None
    ) -> None:
        """Raise what a refusal means."""
        code, reply = answer
        if code == wanted if wanted else _is_good(code):
            return
        if code == NOT_NOW:
            self._smtp.close()
        raise trouble_of(stage, code, reply, receiver=receiver, secrets=self._secrets)


class _Smtp(smtplib.SMTP):
    """The commands of smtplib over a socket whose every wait ends in time."""

    def __init__(self, server: Server, until: Deadline) -> None:
        super().__init__(local_hostname=server.name or "localhost")
        self.server = server
        self.until = until
        self.patience_s = server.timeout_s
        self._received = b""
        self._waits_since_s = until.clock.boot_s()

    def open(self) -> None:
        """Connect, with TLS if the server speaks it from the start."""
        self.sock = self._reached()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the final dot goes out by itself
        if not self.server.name:
            address = self.sock.getsockname()[0]
            self.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        if self.server.security == SSL:
            self.encrypt()

    def encrypt(self) -> None:
        """Speak TLS from now on."""
        if self._received:
            # Whoever is on the way may have put it there, to be taken for what the server says in TLS.
            raise AccountTrouble("the server said something before it encrypted", Hold.MOMENT)
        if self.server.context is None or self.sock is None:
            raise RuntimeError("a connection by TLS has a context")
        self._will_wait()
        try:
            self.sock = self.server.context.wrap_socket(self.sock, server_hostname=self.server.host)
        except ssl.SSLCertVerificationError as error:
            reason = f"the certificate of the server is not trusted: {error.verify_message}"
            raise AccountTrouble(reason, Hold.PERSON) from None
        except (OSError, ValueError) as error:
            raise AccountTrouble(
                f"the server cannot be spoken to by TLS: {_why(error)}", Hold.MOMENT
            ) from None

    def send(self, s: str | bytes | bytearray | memoryview) -> None:  # type: ignore[override]
        """Send all of it, in pieces, each of which may take as long as an answer."""
        data = s.encode() if isinstance(s, str) else s
        for start in range(0, len(data), _PIECE):
            try:
                self._will_wait()
                self._socket.sendall(data[start : start + _PIECE])
            except OSError as error:
                raise self._gone(error) from None

    def getreply(self) -> tuple[int, bytes]:
        """Return the code and, in lines, all words of one reply."""
        end = self._will_wait()
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            line = self._line(end)
            if not _REPLY.match(line):
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        raise _Gone(_NO_SMTP)

    @property
    def has_news(self) -> bool:
        """Whether the server said something unasked, or hung up."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(self._received or poll.poll(0))

    @property
    def _socket(self) -> socket.socket:
        if self.sock is None:
            raise _Gone("the server hung up")
        return self.sock

    def _line(self, end: Deadline) -> bytes:
        while (length := self._received.find(b"\n") + 1) == 0:
            if len(self._received) > _LONGEST_LINE:
                raise _Gone(_NO_SMTP)
            try:
                self._socket.settimeout(max(end.remaining_s, _SHORTEST_WAIT_S))
                got = self._socket.recv(_PIECE)
            except OSError as error:
                raise self._gone(error) from None
            if not got:
                raise _Gone("the server hung up")
            self._received += got
        line, self._received = self._received[:length], self._received[length:]
        return line

    def _will_wait(self) -> Deadline:
        self._waits_since_s = self.until.clock.boot_s()
        end = self.until.within(self.patience_s)
        self._socket.settimeout(max(end.remaining_s, _SHORTEST_WAIT_S))
        return end

    def _gone(self, error: OSError) -> _Gone:
        waited_s = self.until.clock.boot_s() - self._waits_since_s
        # The message had no more time: that says nothing of the server.
        is_hasty = isinstance(error, TimeoutError) and waited_s < min(_FAIR_WAIT_S, self.server.timeout_s / 2)
        return _Gone(_why(error), Hold.NO if is_hasty else Hold.MOMENT)

    def _reached(self) -> socket.socket:
        """Try all addresses of the server, none of them so long that nothing is left for the next."""
        try:
            places = socket.getaddrinfo(self.server.host, self.server.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise AccountTrouble("the name of the server is not known", Hold.MOMENT) from None
        end, gone = self.until.within(self.patience_s), _Gone("its name has no address")
        for position, (family, kind, protocol, _, address) in enumerate(places):
            one = socket.socket(family, kind, protocol)
            one.settimeout(max(end.remaining_s / (len(places) - position), _SHORTEST_WAIT_S))
            try:
                one.connect(address)
            except OSError as error:
                one.close()
                gone = self._gone(error)
            else:
                return one
        raise AccountTrouble(f"the server cannot be reached: {gone}", gone.hold)


def _context(settings: EmailAccountSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=settings.ca_certificate or None)
    except ssl.SSLError:
        raise AccountTrouble("the certificate of the CA cannot be used", Hold.PERSON) from None
    if not settings.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _stuffed(content: bytes) -> bytes:
    """Return a message as it goes over the wire (RFC 5321, 4.5.2), without the final dot."""
    stuffed = content.replace(b"\n.", b"\n..")  # no `re.sub`, which makes a list of all pieces
    return b"." + stuffed if content.startswith(b".") else stuffed


def _is_good(code: int) -> bool:
    return 200 <= code < 300


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at that address and port"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS as it should; another port or encryption may be right"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke"
