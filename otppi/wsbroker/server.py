"""The broker: lets clients in, and hands what they send to the hub."""

import asyncio
import logging
import math
import socket
import time
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State

from otppi.lib.servicenotice import ServiceNotice
from otppi.model.errors import Busy, RequestError
from otppi.wsbroker.certificate import Certificate
from otppi.wsbroker.door import BACKLOG, Door
from otppi.wsbroker.hub import Hub, Message
from otppi.wsbroker.limits import Limits
from otppi.wsbroker.logins import Logins
from otppi.wsbroker.passwords import PasswordFile
from otppi.wsbroker.peer import Peer, Subscriber
from otppi.wsbroker.request import caller, credentials_of, is_of_another_site, topic_of

log = logging.getLogger(__name__)

# Refusals that are logged between two looks; strangers could fill a disk otherwise.
_TOLD_PER_LOOK = 5
_STOP_S = 5.0
_CHALLENGE = 'Basic realm="OTP-Pi WebSocket broker", charset="UTF-8"'


class Broker:
    """Serves one port, on an event loop that it has for itself."""

    def __init__(
        self,
        listener: socket.socket,
        file: PasswordFile,
        limits: Limits,
        *,
        certificate: Certificate | None = None,
        proxies: Collection[str] = (),
        look_s: float = 1.0,
    ) -> None:
        """Take what it needs.

        Args:
            listener: The port; closed when `run` returns.
            file: The accounts.
            limits: What clients may take.
            certificate: Set if the clients speak TLS.
            proxies: Addresses whose word is taken for whom a connection is with; see `request.caller`.
            look_s: How often it looks after connections, files and what it remembers.
        """
        self._file = file
        self._limits = limits
        self._certificate = certificate
        self._look_s = look_s
        self._proxies = frozenset(caller(one, (), ()) for one in proxies)
        self._door = Door(listener, limits, self._proxies, self._tell_refused)
        self._logins = Logins(file, time.monotonic)
        self._hub = Hub(limits.memory_s)
        self._peers: set[Peer] = set()
        self._accounts_before = file.accounts()
        self._earliest_s: dict[str, float] = {}  # user: when all that he sent would have been in time
        self._refused = 0
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until asked to stop."""
        # What the library logs on its own are the contents of frames, and lines that nobody needs.
        logging.getLogger("websockets").setLevel(logging.WARNING)
        server = await serve(
            self._serve,
            sock=self._door,
            backlog=BACKLOG,
            ssl=self._certificate.context if self._certificate is not None else None,
            process_request=self._admit,
            server_header=None,
            compression=None,
            open_timeout=self._limits.handshake_s,
            close_timeout=self._limits.close_s,
            ping_interval=None,  # `Peer.look_after` asks
            max_size=self._limits.message_bytes,
            create_connection=cast(type[ServerConnection], partial(Peer, self._limits, self._peers)),
        )
        notice = ServiceNotice.of_environment()
        looking = asyncio.create_task(self._look_after(notice))
        stopping = asyncio.create_task(stop.wait())
        notice.ready()
        await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
        notice.stopping()
        await self._end(server)
        if not looking.cancel():
            looking.result()  # says why it ended by itself

    async def _end(self, server: Server) -> None:
        server.close()
        for peer in list(self._peers):
            if peer.state is State.CONNECTING:
                peer.cut_off("the broker ends")
        try:
            async with asyncio.timeout(_STOP_S):
                await server.wait_closed()
        except TimeoutError:
            log.warning("not all connections have ended", extra={"fields": {"left": len(self._peers)}})
        self._logins.close()

    # One connection.

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse before the upgrade, or take a user's connection to a topic."""
        peer = cast(Peer, connection)
        headers = request.headers
        peer.address = caller(peer.remote_address[0], headers.get_all("X-Forwarded-For"), self._proxies)
        if is_of_another_site(headers.get_all("Origin"), headers.get_all("Host")):
            return self._refusal(peer, HTTPStatus.FORBIDDEN, "pages of other sites may not connect")
        try:
            given = credentials_of(headers.get_all("Authorization"))
            stored = await self._logins.check(given, peer.address)
            topic = topic_of(request.path)
            members = [one.member for one in self._peers if one.member is not None]
            if sum(one.user == given.user for one in members) >= self._limits.per_user:
                raise Busy("too many connections of this user", retry_after_s=1.0)
        except RequestError as error:
            return self._refusal(peer, error.status, str(error), error.retry_after_s)
        self._door.know(peer.descriptor)
        peer.member = Subscriber(peer, topic=topic, user=given.user, stored=stored, since_s=time.monotonic())
        return None

    def _refusal(self, peer: Peer, status: int, reason: str, retry_after_s: float | None = None) -> Response:
        self._tell_refused(reason, peer.address)
        response = peer.respond(status, f"{reason}\n")
        if status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = _CHALLENGE
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(math.ceil(retry_after_s))
        return response

    def _tell_refused(self, reason: str, address: str) -> None:
        self._refused += 1
        if self._refused <= _TOLD_PER_LOOK:
            log.warning("a client is refused", extra={"fields": {"address": address, "reason": reason}})

    async def _serve(self, connection: ServerConnection) -> None:
        """Hand on what a client sends, until it goes."""
        peer = cast(Peer, connection)
        member = cast(Subscriber, peer.member)  # by `_admit`
        loop = asyncio.get_running_loop()
        joining = loop.call_later(self._limits.quiet_s, lambda: self._hub.join(member, time.monotonic()))
        try:
            async for content in peer:
                message = (
                    Message(content.encode(), True) if isinstance(content, str) else Message(content, False)
                )
                member.note_sent(message)
                self._hub.publish(member, message, time.monotonic())
                await self._pace(member.user)
        except ConnectionClosed:
            pass  # without a goodbye, as many clients do it
        finally:
            joining.cancel()
            self._hub.leave(member)
            end = peer.end or ("closed" if peer.close_code is None else f"closed with {peer.close_code}")
            log.info(
                "a client has gone",
                extra={"fields": {"address": peer.address, "end": end, **member.described()}},
            )

    async def _pace(self, user: str) -> None:
        """Let others have their turn, and wait if this user has sent a second's worth too early."""
        now = time.monotonic()
        next_s = max(self._earliest_s.get(user, 0.0), now - 1.0) + 1.0 / self._limits.messages_per_s
        self._earliest_s[user] = next_s
        await asyncio.sleep(max(0.0, next_s - now))

    # All connections, every `look_s`.

    async def _look_after(self, notice: ServiceNotice) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            now = time.monotonic()
            for peer in list(self._peers):
                peer.look_after(now)
            self._relieve()
            self._hub.forget(now)
            self._end_changed_accounts()
            if self._certificate is not None:
                self._certificate.refresh()
            if self._refused > _TOLD_PER_LOOK:
                fields = {"clients": self._refused - _TOLD_PER_LOOK}
                log.warning("more clients were refused", extra={"fields": fields})
            self._refused = 0
            notice.alive()

    def _relieve(self) -> None:
        """Cut off who reads slowest, as long as too much waits for all together."""
        slowest = sorted(self._peers, key=lambda peer: peer.waiting_bytes, reverse=True)
        waiting_bytes = sum(peer.waiting_bytes for peer in slowest)
        for peer in slowest:
            if waiting_bytes <= self._limits.all_waiting_bytes:
                break
            waiting_bytes -= peer.waiting_bytes
            peer.cut_off("reads too slowly while many do")

    def _end_changed_accounts(self) -> None:
        """End connections of users who are no more in the file, or have another password now."""
        accounts = self._file.accounts()
        # An editor may write it in pieces: it counts when it was the same for a while, and names somebody.
        is_settled = accounts is self._accounts_before
        self._accounts_before = accounts
        if not is_settled or not accounts:
            return
        for peer in self._peers:
            if (
                peer.member is not None
                and peer.is_open
                and accounts.get(peer.member.user) != peer.member.stored
            ):
                peer.end = "the account has changed"
                ending = asyncio.create_task(peer.close(CloseCode.POLICY_VIOLATION, peer.end))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
