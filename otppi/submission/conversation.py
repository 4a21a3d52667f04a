"""One connection of a client: aiosmtpd's SMTP with what it leaves open decided, and what it does too freely tightened.

Importing this loads aiosmtpd.
"""

import asyncio
import logging
import re
import ssl
from collections import defaultdict
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session, TLSSetupException

from otppi.contracts.mail import Relayed
from otppi.gateway.commands import EMAIL
from otppi.lib.faults import fault
from otppi.model.errors import OtpPiError, TooManyRequests
from otppi.model.requests import Origin
from otppi.submission import replies
from otppi.submission.desk import Desk

log = logging.getLogger(__name__)

# It writes addresses, and whatever a client sends instead of a command, such as a password after a refused AUTH.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)

_MAPPED_IPV4 = "::ffff:"
_MOST_WRONG_LOGINS = 3
_LONGEST_COMMAND = 1000  # RFC 4954, 4 would have 12288; names and passwords of API users need less
# Nobody waits longer for the answer to a content (RFC 5321, 4.5.3.2.6).
_LONGEST_ANSWER_S = 600.0
_GOODBYE_S = 1.0
# RFC 4954, 5: who offers AUTH takes it; Postfix sends it. Who logged in answers for the message, so it says nothing.
_AUTH_PARAMETER = re.compile(r"\s+AUTH=\S+", re.IGNORECASE)
_EMPTY_SENDER = "<>"  # of a bounce, as aiosmtpd gives it
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_DOOR = "smtp"


class Conversation(SMTP):
    """Speaks with one client on the thread of the loop."""

    def __init__(self, desk: Desk, tls: ssl.SSLContext | None) -> None:
        self.address = ""
        self._desk = desk
        self._is_handing_on = False
        self._wrong_logins = 0
        self._stored_hash = ""  # of who logged in, at that time
        self._login_timer: asyncio.TimerHandle | None = None
        # aiosmtpd shares one table among all connections and lets it grow with each EHLO.
        self.command_size_limits = defaultdict(lambda: _LONGEST_COMMAND)
        self.command_size_limit = _LONGEST_COMMAND
        super().__init__(
            self,
            data_size_limit=desk.terms.max_message_bytes,
            enable_SMTPUTF8=True,
            hostname=desk.terms.name,
            ident=desk.terms.software,
            tls_context=tls,
            require_starttls=desk.terms.requires_tls,
            auth_require_tls=desk.terms.requires_tls,
            authenticator=_as_sent,
            timeout=desk.terms.silence_s,
        )
        desk.came(self)

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`; called once more when TLS is on."""
        if self.transport is None:
            self.address = str(transport.get_extra_info("peername")[0]).removeprefix(_MAPPED_IPV4)
            self._login_timer = self.loop.call_later(self._desk.terms.login_s, self._let_go_of_stranger)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`; aiosmtpd may call it twice."""
        self._desk.went(self)
        if self._login_timer is not None:
            self._login_timer.cancel()
        super().connection_lost(error)

    @property
    def is_stranger(self) -> bool:
        """See `Caller`."""
        return self._user is None

    def dismiss(self, reply: str) -> None:
        """See `Caller`."""
        if not self._is_handing_on:
            self._hang_up(reply)

    def abort(self) -> None:
        """See `Caller`."""
        # Below TLS, whose transport does not know how to once it was closed twice.
        transport = self._original_transport or self.transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()
        # In the middle of a handshake TLS tells nobody that the connection was lost.
        self._desk.went(self)

    def _hang_up(self, reply: str) -> None:
        """Say goodbye; whether the client reads it is not waited for long."""
        if not isinstance(self.transport, asyncio.Transport) or self.transport.is_closing():
            return
        self.transport.write(f"{reply}\r\n".encode("ascii"))
        # No more commands: what the client sent already would be carried out behind its back.
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        self.transport.close()
        self.loop.call_later(_GOODBYE_S, self.abort)

    def _let_go_of_stranger(self) -> None:
        if self.is_stranger:
            self._hang_up(replies.LOGIN_TOO_LATE)

    def _timeout_cb(self) -> None:
        self._hang_up(replies.SILENT)

    async def _handle_client(self) -> None:
        if self._desk.is_closing or not self._desk.has_room_for(self):
            self._hang_up(replies.GOODBYE if self._desk.is_closing else replies.FULL)
            return
        with suppress(ConnectionError):
            await super()._handle_client()

    async def handle_exception(self, error: Exception) -> str:
        """Tell the log, and the client no more than that it was not its fault."""
        if not isinstance(error, TLSSetupException | ConnectionError):
            log.error("a conversation failed", extra={"fields": fault(error)})
        return replies.FAULT

    # Who it is.

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Switch TLS on, once."""
        if self._tls_protocol is not None:
            await self.push(replies.TLS_IS_ON)
            return
        await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str | None) -> None:
        """Let an API user log in; whoever tries too often has to call again."""
        mechanism, space, rest = (arg or "").partition(" ")
        try:
            await super().smtp_AUTH(mechanism.upper() + space + rest)
        except ValueError:  # of `StreamReader.readline`
            await self.push(replies.AUTH_TOO_LONG)
        if self._user is None:
            self._wrong_logins += 1
            if self._wrong_logins >= _MOST_WRONG_LOGINS:
                self._hang_up(replies.WRONG_TOO_OFTEN)

    async def auth_PLAIN(self, _: SMTP, args: list[str]) -> AuthResult:
        """See RFC 4616."""
        return await self._looked_at(await super().auth_PLAIN(_, args))

    async def auth_LOGIN(self, _: SMTP, args: list[str]) -> AuthResult:
        """Take name and password one after the other, as old clients send them."""
        return await self._looked_at(await super().auth_LOGIN(_, args))

    async def _looked_at(self, sent: AuthResult) -> AuthResult:
        if not sent.success or sent.auth_data is None:
            return sent
        try:
            user, clear = (one.decode("utf-8") for one in sent.auth_data)
        except UnicodeDecodeError:
            return AuthResult(success=False, handled=False)
        self._reset_timeout(_LONGEST_ANSWER_S)
        found = await self._desk.log_in(user, clear, self.address)
        self._reset_timeout()
        if isinstance(found, TooManyRequests):
            return AuthResult(success=False, handled=False, message=replies.too_many_guesses(found))
        if isinstance(found, OtpPiError):
            return AuthResult(success=False, handled=False)
        self._stored_hash = found
        return AuthResult(success=True, auth_data=user)

    @property
    def _user(self) -> str | None:
        return self.session.auth_data if self.session is not None and self.session.authenticated else None

    async def check_auth_needed(self, caller_method: str) -> bool:  # noqa: ARG002 - aiosmtpd's log wants it
        """Refuse a command of somebody who has not logged in."""
        if self._user is not None:
            return False
        await self.push(replies.AUTH_FIRST)
        return True

    # The message.

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: ARG002 - whoever it is
        """Tell nobody which addresses there are."""
        await self.push(replies.NO_VRFY)

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a message."""
        await super().smtp_MAIL(_AUTH_PARAMETER.sub("", arg) if arg else arg)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Take an address apart."""
        try:
            return super()._getaddr(arg)
        except Exception:  # noqa: BLE001 - on some that are none the parser of `email` falls over its own feet
            return None, None

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the sender; called by aiosmtpd."""
        if address != _EMPTY_SENDER and not _is_address(address, envelope):
            return replies.BAD_ADDRESS
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take the one receiver, so that each has an outcome of its own; called by aiosmtpd.

        RFC 5321, 4.5.3.1.10: a mail server gives the others a turn of their own. Most other programs do not.
        """
        if envelope.rcpt_tos:
            return replies.ONE_RECEIVER
        if not _is_address(address, envelope):
            return replies.BAD_ADDRESS
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take the content, hand the message on, and only then answer.

        Nothing is kept: when the answer is 250 the next server has the message, otherwise the client still has it. If
        the connection breaks after the final dot, the client learns nothing and will send the message again, though it
        may have arrived: no SMTP server can prevent that (RFC 1047), only answer soon, and have less to do before.
        """
        user, envelope = self._user, self.envelope
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if envelope is None or not envelope.rcpt_tos or arg:
            await self.push("501 5.5.4 Syntax: DATA" if arg else "503 5.5.1 first MAIL and RCPT")
            return
        reply = self._desk.take(user or "", self._stored_hash)
        if not reply:
            reply = await self._content_taken(user or "", envelope)
        self._desk.tally.count(reply)
        self.envelope = self._create_envelope()
        self._reset_timeout()
        if reply == replies.LOGIN_OVER:
            self._hang_up(reply)
            return
        await self.push(reply)
        if self._desk.is_closing:
            self._hang_up(replies.GOODBYE)

    async def _content_taken(self, user: str, envelope: Envelope) -> str:
        """Read the content and hand it on; return the reply."""
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            content, refusal = await self._content()
            if refusal:
                return refusal
            sender = "" if envelope.mail_from == _EMPTY_SENDER else envelope.mail_from or ""
            origin = Origin(door=_DOOR, user=user, address=self.address)
            mail = Relayed(sender=sender, content=b"".join((self._received(envelope), content)))
            content.clear()
            answer = self._desk.hand_on(origin, mail, envelope.rcpt_tos[0])
            self._is_handing_on = True
        finally:
            if not self._is_handing_on:
                self._desk.give_back()
        self._reset_timeout(_LONGEST_ANSWER_S)
        try:
            return await answer
        finally:
            self._is_handing_on = False

    async def _content(self) -> tuple[bytearray, str]:
        """Read up to the final dot; return the content, and why it is refused if it is.

        A line ends with CR LF and nothing else, and only the line of a single dot ends the content. A CR or an LF
        alone, which another server may take for the end of a line, is refused: behind such a line end a sender could
        hide commands for the next server (SMTP smuggling). aiosmtpd's own way keeps them, and each line apart, which
        takes up to thirty times the memory.
        """
        content, refusal, size = bytearray(), "", 0
        is_begin = True  # of a line
        while True:
            try:
                line = await self._reader.readuntil(b"\r\n")
                is_whole = True
            except asyncio.LimitOverrunError as error:
                line, is_whole = await self._reader.readexactly(error.consumed), False
                refusal = refusal or replies.LINE_TOO_LONG
            if is_begin and line == b".\r\n":
                return content, refusal
            size += len(line)
            if len(line) > self.line_length_limit:
                refusal = refusal or replies.LINE_TOO_LONG
            elif size > self._desk.terms.max_message_bytes:
                refusal = refusal or replies.TOO_LARGE
            elif is_whole and (b"\n" in line[:-2] or b"\r" in line[:-2]):
                refusal = refusal or replies.BARE_LINE_END
            if refusal:
                content.clear()
            else:
                content += line[1:] if is_begin and line.startswith(b".") else line
            is_begin = is_whole

    def _received(self, envelope: Envelope) -> bytes:
        """Return the line that says where the message came from (RFC 5321, 4.4; RFC 3848; RFC 6531)."""
        session = self.session
        name = _NOT_IN_NAME.sub("?", (session.host_name if session else None) or "unknown")[:255]
        address = f"IPv6:{self.address}" if ":" in self.address else self.address
        kind = "UTF8SMTP" if envelope.smtp_utf8 else "ESMTP"
        protocol = f"{kind}{'S' if self._tls_protocol else ''}A"
        terms = self._desk.terms
        return (
            f"Received: from {name} ([{address}])\r\n"
            f"\tby {terms.name} ({terms.software}) with {protocol};\r\n"
            f"\t{formatdate(localtime=True)}\r\n"
        ).encode("ascii")


def _as_sent(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:  # noqa: ANN401
    """Hand on what a client sent to be looked at; aiosmtpd would wait for the slow look on the loop."""
    return AuthResult(success=True, auth_data=data)


def _is_address(address: str, envelope: Envelope) -> bool:
    # RFC 6531, 3.1: letters beyond ASCII only where the client has said so.
    return (
        bool(EMAIL.fullmatch(address)) and address.isprintable() and (address.isascii() or envelope.smtp_utf8)
    )
