"""The network between a client and a broker, to be cut, held up and mended by a test."""

import asyncio
import contextlib
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from tests.broker_servers.server import HOST, free_port

_ANSWER_LIMIT_S = 10.0
_PIECE = 65_536
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # struct linger


class Cable:
    """Passes bytes between the clients of `port` and a server; when a call returns it is as it says."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._questions_pass, self._answers_pass = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)
        self._thread.start()
        self.mend()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cut(self) -> None:
        """Reset every connection and refuse new ones; bytes on their way are lost."""
        self._run(self._cut())

    def hold(self) -> None:
        """Let nothing through: connections stay, and new ones are taken, but nobody answers."""
        self._run(self._hold(self._questions_pass, self._answers_pass))

    def hold_answers(self) -> None:
        """Let through what clients say, and nothing of what the broker answers."""
        self._run(self._hold(self._answers_pass))

    def mend(self) -> None:
        """Let everything through: what was held arrives, and clients may connect again."""
        self._run(self._mend())

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, order: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(order, self._loop).result(_ANSWER_LIMIT_S)

    async def _cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _hold(self, *ways: asyncio.Event) -> None:
        for way in ways:
            way.clear()

    async def _mend(self) -> None:
        self._questions_pass.set()
        self._answers_pass.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._link, HOST, self.port)

    async def _link(self, client: StreamReader, to_client: StreamWriter) -> None:
        this = asyncio.current_task()
        self._links.add(this)
        ends = [to_client]
        try:
            server, to_server = await asyncio.open_connection(HOST, self._server_port)
            ends.append(to_server)
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(client, to_server, self._questions_pass))
                both.create_task(_carry(server, to_client, self._answers_pass))
        except* (OSError, asyncio.CancelledError):  # broken at one end, or cut: so for both
            for end in ends:
                _reset(end)
        finally:
            self._links.discard(this)
            for end in ends:
                end.close()


async def _carry(source: StreamReader, sink: StreamWriter, may_pass: asyncio.Event) -> None:
    while piece := await source.read(_PIECE):
        await may_pass.wait()
        sink.write(piece)
        await sink.drain()
    await may_pass.wait()
    sink.write_eof()


def _reset(end: StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    end.transport.abort()
