"""One client's connection: the library's, with an eye on what it costs and on what has arrived."""

import fcntl
import sys
import termios
import time
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.frames import CTRL_OPCODES, Frame
from websockets.protocol import State

from otppi.wsbroker.hub import Message
from otppi.wsbroker.limits import Limits

# A place in what was sent that is never reached.
_NOWHERE = sys.maxsize
_LONGEST_LOGGED = 80


class Peer(ServerConnection):
    """A connection from its first byte on, with or without a user."""

    def __init__(self, limits: Limits, peers: set["Peer"], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's
        """Take the limits and where to be listed as long as it is open; the rest is the library's."""
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._peers = peers
        self.address = ""  # whom limits are about; known with the request
        self.member: Subscriber | None = None  # set when a user has been let in
        self.end = ""  # why it was cut off
        self.heard_s = self.loop.time()
        self._asked_s = 0.0
        self._handshake_bytes = 0
        self._controls = 0
        self._missing_bytes = 0
        self._is_cut_off = False

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self.state is State.OPEN and not self.transport.is_closing()

    @property
    def descriptor(self) -> int:
        """The socket, as the system numbers it; negative when it is gone."""
        sock = self.transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    @property
    def waiting_bytes(self) -> int:
        """What the system did not take yet, since the client does not read."""
        return self.transport.get_write_buffer_size()

    def missing_bytes(self) -> int:
        """Find out how much of what was sent the other machine has not acknowledged (tcp(7), SIOCOUTQ).

        When TLS says that a connection is gone its socket is gone already; then it is the last that was known.
        """
        if (descriptor := self.descriptor) >= 0:
            unacknowledged = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
            self._missing_bytes = int.from_bytes(unacknowledged, sys.byteorder) + self.waiting_bytes
        return self._missing_bytes

    def cut_off(self, reason: str) -> None:
        """End it at once, without a goodbye that might never be read."""
        if self._is_cut_off:
            return
        self._is_cut_off = True
        self.end = self.end or reason
        self.missing_bytes()  # as long as somebody knows
        self.transport.abort()

    def look_after(self, now: float) -> None:
        """Ask whether it is still there, and cut it off if it does not say; to be called every second or so."""
        self._controls = 0
        self.missing_bytes()
        if self._asked_s > self.heard_s:
            if now - self._asked_s > self._limits.pong_s:
                self.cut_off("does not answer")
        elif self.is_open and now - self.heard_s >= self._limits.ping_s:
            self._asked_s = now
            # Without a payload: the PHP client answers none.
            self.protocol.send_ping(b"")
            self.send_data()

    # What the event loop calls.

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - the library's
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        self._peers.add(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.heard_s = self.loop.time()
        if self.state is State.CONNECTING:
            self._handshake_bytes += len(data)
            if self._handshake_bytes > self._limits.handshake_bytes:
                self.cut_off("the request is too long")
                return
        super().data_received(data)
        # Pings are answered at once, whether the answers are read or not.
        self.check_waiting()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`."""
        self.missing_bytes()
        super().eof_received()

    def process_event(self, event: Any) -> None:  # noqa: ANN401 - the library's
        """See `websockets.asyncio.connection.Connection`."""
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode in CTRL_OPCODES:
            self._controls += 1
            if self._controls > self._limits.controls:
                self.cut_off("too many control frames")

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._peers.discard(self)
        if self.member is not None:
            self.member.lose(self.missing_bytes())
        super().connection_lost(exc)

    def check_waiting(self) -> None:
        """Cut it off if too much waits for it."""
        if self.waiting_bytes > self._limits.waiting_bytes:
            self.cut_off("reads too slowly")


class Subscriber:
    """A client of the hub: a user's connection to a topic. It outlives the connection as long as the hub needs it."""

    def __init__(self, peer: Peer, *, topic: str, user: str, stored: str, since_s: float) -> None:
        """Take what `hub.Member` describes, and the hash by which the user was let in."""
        self.topic = topic
        self.user = user
        self.stored = stored
        self.since_s = since_s
        self.has_spoken = False
        self._peer: Peer | None = peer
        self._sent = self._sent_bytes = self._given = self._given_bytes = 0
        # What the system had not taken after the last message; when a connection breaks nobody can ask any more.
        self._waiting_bytes = 0
        self._missing_bytes = 0

    def give(self, message: Message) -> int:
        """See `hub.Member`."""
        if self._peer is None or not self._peer.is_open:
            return _NOWHERE
        broadcast((self._peer,), message.data, text=message.is_text)
        self._given += 1
        self._given_bytes += len(message.data)
        self._waiting_bytes = self._peer.waiting_bytes
        self._peer.missing_bytes()  # now nothing of it has arrived; TLS may never let us ask again
        self._peer.check_waiting()
        return self._given_bytes

    def has_taken(self, place: int) -> bool:
        """See `hub.Member`; the few bytes of frames around messages are not counted, so it may say no too often."""
        missing = self._peer.missing_bytes() if self._peer is not None else self._missing_bytes
        return place <= self._given_bytes - missing

    def lose(self, missing_bytes: int) -> None:
        """Note that the connection is gone, and how much had not come to the other side."""
        self._missing_bytes = max(missing_bytes, self._waiting_bytes)
        self._peer = None

    def note_sent(self, message: Message) -> None:
        """Count what the client has sent."""
        self._sent += 1
        self._sent_bytes += len(message.data)

    def described(self) -> dict[str, object]:
        """Return what a line of the log says about it."""
        return {
            "user": self.user[:_LONGEST_LOGGED],
            "topic": self.topic[:_LONGEST_LOGGED],
            "seconds": time.monotonic() - self.since_s,
            "sent": self._sent,
            "sent_bytes": self._sent_bytes,
            "received": self._given,
            "received_bytes": self._given_bytes,
        }
