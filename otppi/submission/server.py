"""The server by which applications hand over e-mail (message submission, RFC 6409).

A message is handed on while its client waits, and the answer to the content is what became of it. Nothing is queued.
"""

import asyncio
import concurrent.futures
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from otppi.lib.threads import died
from otppi.submission import replies
from otppi.submission.desk import Desk
from otppi.wsgi.server import PortUnavailable, listening

log = logging.getLogger(__name__)

_BACKLOG = 64
_LONGEST_GOODBYE_S = 0.5  # TLS would have each client answer the goodbye


class SubmissionServer:
    """Listens on one port, on the thread `smtp`; starts and stops once.

    It is no open relay: nothing is taken from whoever has not logged in as an API user.
    """

    def __init__(self, host: str, port: int, desk: Desk, tls: ssl.SSLContext | None) -> None:
        """Take where it listens and what its conversations share.

        Args:
            host: An address; `::` means every address of both families.
            port: 0 lets the system choose.
            desk: Of this server alone.
            tls: Offered by STARTTLS; needed if the terms require it.
        """
        self._host = host
        self.port = port
        self._desk = desk
        self._tls = tls
        self._began = threading.Event()
        self._failure: OSError | None = None  # that kept it from listening
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._listener: socket.socket
        self._server: asyncio.Server
        self._over: asyncio.Event

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._desk.callers)

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended by mistake."""
        return died(self._thread, was_asked=self._stopping) if self._thread is not None else ()

    def start(self) -> None:
        """Listen, and return.

        Raises:
            PortUnavailable: The port is taken or may not be used, or the address is not ours.
        """
        from otppi.submission.conversation import Conversation  # here, as it loads aiosmtpd

        self._listener = listening(self._host, self.port, _BACKLOG)
        self.port = self._listener.getsockname()[1]
        conversation = partial(Conversation, self._desk, self._tls)
        self._thread = threading.Thread(target=self._run, args=(conversation,), name="smtp", daemon=True)
        self._thread.start()
        self._began.wait()
        if self._failure is not None:
            self._stopping = True
            self._thread.join()
            self._listener.close()
            raise PortUnavailable(self._host, self.port, self._failure)

    def stop_listening(self) -> None:
        """Give the port back and say goodbye to all but those whose message is being handed on."""
        if self._thread is None or not self._thread.is_alive():
            return
        self._stopping = True
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    def stop(self, grace_s: float) -> None:
        """Stop listening, and wait for the messages in hand as long as the grace."""
        self.stop_listening()
        if self._thread is None or not self._thread.is_alive():
            return
        waiting = asyncio.run_coroutine_threadsafe(self._desk.none_in_hand.wait(), self._loop)
        try:
            waiting.result(grace_s)
        except concurrent.futures.TimeoutError:
            waiting.cancel()
            log.warning("messages were cut off", extra={"fields": {"server": "smtp"}})
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self, conversation: Callable[[], asyncio.Protocol]) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve(conversation))
        except OSError as error:
            if self._began.is_set():
                raise
            self._failure = error  # too many files are open
        finally:
            self._began.set()

    async def _serve(self, conversation: Callable[[], asyncio.Protocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_tell)
        self._over = asyncio.Event()
        self._server = await self._loop.create_server(conversation, sock=self._listener, backlog=_BACKLOG)
        self._began.set()
        await self._over.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_GOODBYE_S):
                await self._desk.nobody_here.wait()
        for caller in tuple(self._desk.callers):
            caller.abort()

    async def _close(self) -> None:
        if self._desk.is_closing:
            return
        self._desk.is_closing = True
        # A server that is closed forgets whom it has just let in (`asyncio.Server._attach`): he would wait for ever. So
        # nobody is let in, then who was begins, and only then it is closed.
        self._loop.remove_reader(self._listener)
        await asyncio.sleep(0)
        self._server.close()
        for caller in tuple(self._desk.callers):
            caller.dismiss(replies.GOODBYE)


def _tell(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no conversation caught, without what it was about."""
    error = context.get("exception")
    if not isinstance(error, ConnectionError):
        fields = {"reason": context["message"], "kind": type(error).__name__}
        log.error("the SMTP server failed at something", extra={"fields": fields})
