"""One e-mail account at work: its connections, and whether it takes messages."""

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from otppi.contracts.mail import OutgoingMail
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.mail.settings import EmailAccountSettings
from otppi.mail.trouble import AccountTrouble, VerdictUnknown
from otppi.model.errors import Busy
from otppi.model.events import MailAccountChanged
from otppi.model.mail import MailAccountStatus, MailState
from otppi.work.standing import Hold, Standing

if TYPE_CHECKING:
    from otppi.mail.connection import Connection, Server

log = logging.getLogger(__name__)

_LONGEST_MOMENT_S = 300.0
_WHILE_S = 3600.0
_TURN_S = 1.0  # after which a connection may be free again


@dataclass(frozen=True)
class _Idle:
    connection: "Connection"
    since_s: float  # on the boot clock


class Account:
    """Every method may be called from any thread."""

    def __init__(
        self,
        account_id: str,
        settings: EmailAccountSettings,
        *,
        idle_s: Callable[[], float],
        bus: Bus,
        clock: Clock,
    ) -> None:
        """Begin without a connection.

        Args:
            account_id: Names it.
            settings: Fixed for its life.
            idle_s: How long a connection waits for the next message.
            bus: Hears how it stands.
            clock: Measures rests and waits.
        """
        self.id = account_id
        self.settings = settings
        self._idle_s = idle_s
        self._bus = bus
        self._clock = clock
        self._standing = Standing(
            MailState.OFF, self._tell, clock, longest_moment_s=_LONGEST_MOMENT_S, while_s=_WHILE_S
        )
        self._changed = threading.Condition()  # of what follows
        self._in_use = 0
        self._idle: list[_Idle] = []  # the one used last at the end
        self._is_closed = False

    def status(self) -> MailAccountStatus:
        """Return the account as it stands."""
        self._standing.begin()  # a rest may be over since a moment
        state, reason = self._standing.now
        with self._changed:
            is_busy = self._in_use >= self.settings.connections
        now = status_of(self.id, self.settings, state, reason)
        return replace(now, rest_s=self._standing.rest_s, is_busy=is_busy)

    def send(
        self,
        mail: OutgoingMail,
        content: bytes,
        until: Deadline,
        before_submit: Callable[[], None] = lambda: None,
        *,
        is_test: bool = False,
    ) -> None:
        """Hand over an e-mail, on a connection that is open or a new one.

        Args:
            mail: To whom.
            content: As it goes out.
            until: When the wait is over.
            before_submit: Called just before the first byte of the content leaves.
            is_test: Whether it goes out though the account rests, and ends the rest if all goes well.

        Raises:
            Busy: Not sent, as all connections are in use.
            MailRefused: Not sent, and no other account would do better.
            AccountTrouble: Not sent.
            VerdictUnknown: The server has it and does not say what becomes of it.
        """
        self._refuse_at_rest(is_test=is_test)
        with self._turn(until):
            self._refuse_at_rest(is_test=is_test)  # whoever had the connection before may have met trouble
            try:
                self._hand_over(mail.address, content, until, before_submit)
            except (AccountTrouble, VerdictUnknown) as trouble:
                self._standing.hold(trouble)
                raise
        if is_test:
            self._standing.end_rest()
        self._standing.went_well()
        self._standing.begin()

    def look_after(self) -> float:
        """End a rest that is over, and close connections that have waited long enough.

        Returns:
            In how many seconds there is something to do again.
        """
        self._standing.begin()
        with self._changed:
            over_s = self._clock.boot_s() - (0.0 if self._is_closed else self._idle_s())
            old = [one for one in self._idle if one.since_s <= over_s]
            self._idle = [one for one in self._idle if one.since_s > over_s]
            closes_s = [one.since_s - over_s for one in self._idle]
        for one in old:
            one.connection.close()
        return min([*closes_s, self._standing.rest_s or math.inf])

    def close(self) -> None:
        """Close what is idle now, and what is in use after its message."""
        with self._changed:
            self._is_closed = True
        self.look_after()

    @cached_property
    def _server(self) -> "Server":
        from otppi.mail.connection import server_of

        return server_of(self.settings)

    def _refuse_at_rest(self, *, is_test: bool) -> None:
        if self._standing.rest_s and not is_test:
            raise AccountTrouble(self._standing.now[1], Hold.NO)

    def _hand_over(
        self, address: str, content: bytes, until: Deadline, before_submit: Callable[[], None]
    ) -> None:
        from otppi.mail.connection import Connection, ConnectionWasDead

        sender = self.settings.sender_address
        if (connection := self._waiting()) is not None:
            try:
                with self._kept(connection):
                    return connection.send(sender, address, content, until, before_submit)
            except ConnectionWasDead:
                pass
        connection = Connection(self._server, until)
        with self._kept(connection):
            connection.send(sender, address, content, until, before_submit)

    @contextmanager
    def _turn(self, until: Deadline) -> Iterator[None]:
        """Wait until another connection may be in use."""
        with self._changed:
            while self._in_use >= self.settings.connections:
                if until.expired:
                    raise Busy("all connections of the account are in use", _TURN_S)
                self._changed.wait(min(until.remaining_s, threading.TIMEOUT_MAX))
            self._in_use += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_use -= 1
                self._changed.notify()

    def _waiting(self) -> "Connection | None":
        with self._changed:
            return self._idle.pop().connection if self._idle else None

    @contextmanager
    def _kept(self, connection: "Connection") -> Iterator[None]:
        """Keep a connection for the next message, if it is open after this one."""
        try:
            yield
        finally:
            with self._changed:
                is_kept = connection.is_open and self._idle_s() > 0 and not self._is_closed
                if is_kept:
                    self._idle.append(_Idle(connection, self._clock.boot_s()))
            if not is_kept:
                connection.close()

    def _tell(self, state: MailState, reason: str) -> None:
        name = self.settings.name
        log.info(
            "e-mail account changed state",
            extra={"fields": {"account": name, "state": state.value, "reason": reason}},
        )
        self._bus.publish(
            MailAccountChanged(account_id=self.id, account_name=name, state=state, reason=reason)
        )


def status_of(
    account_id: str,
    settings: EmailAccountSettings,
    state: MailState = MailState.OFF,
    reason: str = "not active",
) -> MailAccountStatus:
    """Return an account as it stands; by itself one that is not active."""
    return MailAccountStatus(
        id=account_id, name=settings.name, state=state, reason=reason, quota=settings.quota
    )
