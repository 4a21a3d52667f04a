"""What all conversations share: who may come in, how much is in hand, and the threads that wait for outcomes."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Protocol, TypeVar

from otppi.contracts.mail import Relayed
from otppi.gateway.limits import Rule, SlidingLimit
from otppi.lib.clock import Clock
from otppi.lib.faults import fault
from otppi.model.errors import OtpPiError, OutcomeUnknown
from otppi.model.requests import Origin
from otppi.submission import replies
from otppi.submission.terms import LogIn, Relay, StoredHash, Tally, Terms

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_CONNECTIONS = 60
# As many as Postfix opens to one server (default_destination_concurrency_limit).
_MOST_FROM_ADDRESS = 20
# Each holds a thread and its content. More would only wait for the few connections of the accounts.
_MOST_IN_HAND = 20
_FEWEST_IN_HAND = 2
# What the messages in hand may have together. On its way a message is in memory up to four times for a moment, and a
# Pi 3 has 1 GB.
_MEMORY_BYTES = 32 * 1024 * 1024


class Caller(Protocol):
    """A connection."""

    address: str

    @property
    def is_stranger(self) -> bool:
        """Whether nobody has logged in."""
        ...

    def dismiss(self, reply: str) -> None:
        """Say goodbye, unless a message is being handed on: then after its reply."""
        ...

    def abort(self) -> None:
        """Close the connection without a word."""
        ...


class Desk:
    """Belongs to the thread of the server's loop."""

    def __init__(
        self,
        terms: Terms,
        *,
        log_in: LogIn,
        stored_hash: StoredHash,
        relay: Relay,
        clock: Clock,
        tally: Tally,
    ) -> None:
        """Take what is offered and what does the work.

        Args:
            terms: What clients may do.
            log_in: Lets an API user pass, by name, password and address; slow.
            stored_hash: Returns what is stored of the password of a user who may come in; empty for others; quick.
            relay: Hands a message on; waits for the outcome.
            clock: Measures the minute of the rate.
            tally: Counts what came of messages.
        """
        self.terms = terms
        self.tally = tally
        self.callers: dict[Caller, None] = {}  # the oldest first
        self.nobody_here, self.none_in_hand = asyncio.Event(), asyncio.Event()
        self.nobody_here.set()
        self.none_in_hand.set()
        self.is_closing = False
        self._log_in = log_in
        self._stored_hash = stored_hash
        self._relay = relay
        self._clock = clock
        self._rate = SlidingLimit(Rule(limit=terms.messages_per_minute, window_s=60.0))
        self._most_in_hand = max(
            _FEWEST_IN_HAND, min(_MOST_IN_HAND, _MEMORY_BYTES // terms.max_message_bytes)
        )
        self._in_hand = 0

    def came(self, caller: Caller) -> None:
        """Count a connection."""
        self.callers[caller] = None
        self.nobody_here.clear()

    def went(self, caller: Caller) -> None:
        """Count it no more; may be called twice."""
        self.callers.pop(caller, None)
        if not self.callers:
            self.nobody_here.set()

    def has_room_for(self, caller: Caller) -> bool:
        """Whether a connection that has just come may stay; the oldest stranger may have to leave for it."""
        network = _network(caller)
        if sum(_network(one) == network for one in self.callers) > _MOST_FROM_ADDRESS:
            return False
        if len(self.callers) <= _MOST_CONNECTIONS:
            return True
        # So strangers cannot keep those out who can log in.
        oldest = next((one for one in self.callers if one.is_stranger), caller)
        if oldest is not caller:
            oldest.dismiss(replies.FULL)
            oldest.abort()
        return oldest is not caller

    async def log_in(self, user: str, clear: str, address: str) -> str | OtpPiError:
        """Return the user's stored hash, or what keeps him out.

        The password is looked at on a thread, as that takes long.
        """

        def look() -> str | OtpPiError:
            while True:
                stored = self._stored_hash(user)
                try:
                    self._log_in(user, clear, address)
                except OtpPiError as error:
                    return error
                if stored == self._stored_hash(user):  # it was not changed meanwhile
                    return stored

        return await _on_thread("smtp:login", look)

    def take(self, user: str, stored_hash: str) -> str:
        """Take room for a message of a user, to be given back.

        Args:
            user: Whose it is.
            stored_hash: His at the log-in.

        Returns:
            The reply to the client if there is none, or if the user could not log in like that any more.
        """
        if not stored_hash or self._stored_hash(user) != stored_hash:
            return replies.LOGIN_OVER
        key, now = user.encode("utf-8", "surrogatepass"), self._clock.boot_s()
        if (wait_s := self._rate.wait_s(key, now)) > 0:
            return replies.too_often(wait_s)
        if self.is_closing or self._in_hand >= self._most_in_hand:
            # Better told at once than after the content: the client keeps it.
            return replies.BUSY
        self._rate.take(key, now)
        self._in_hand += 1
        self.none_in_hand.clear()
        return ""

    def give_back(self) -> None:
        """Give room back."""
        self._in_hand -= 1
        if self._in_hand == 0:
            self.none_in_hand.set()

    def hand_on(self, origin: Origin, mail: Relayed, address: str) -> asyncio.Future[str]:
        """Have a message handed on, and its room given back after that; the result is the reply to the client.

        It goes on when the client has gone: what left is not called back.
        """

        def work() -> str:
            try:
                return replies.handed_on(self._relay(origin, mail, address).message_id)
            except OtpPiError as error:
                return replies.not_handed_on(error)
            except Exception as error:  # noqa: BLE001
                # A fault of ours. Whether a server had been given something is not known here, so nothing is promised.
                log.error("a message failed", extra={"fields": {"door": origin.door, **fault(error)}})  # noqa: TRY400
                return replies.not_handed_on(OutcomeUnknown("internal error"))

        done = _on_thread("smtp:relay", work)
        done.add_done_callback(lambda _: self.give_back())
        return asyncio.shield(done)


def _network(caller: Caller) -> bytes:
    """Return what callers are counted by: an IPv6 customer has a /64 of addresses at least."""
    return ip_address(caller.address).packed[:8]


def _on_thread(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """Do what waits on a thread of its own; the thread does not keep the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        if not answer.done():  # the client left meanwhile
            how()

    def run() -> None:
        try:
            how = partial(answer.set_result, work())
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            how = partial(answer.set_exception, error)
        with suppress(RuntimeError):  # the server was stopped meanwhile
            loop.call_soon_threadsafe(settle, how)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
