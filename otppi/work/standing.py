"""Whether an account that messages go out by takes them now, and why not."""

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from otppi.lib.backoff import delays_s
from otppi.lib.clock import Clock
from otppi.model.mail import MailState
from otppi.model.modems import ModemState

S = TypeVar("S", ModemState, MailState)

_FIRST_REST_S = 2.0
_PERSON_S = 900.0


class Hold(IntEnum):
    """For how long an account is not tried again."""

    NO = 0  # it was about this one message
    MOMENT = 1  # seconds, and longer each time
    WHILE = 2  # until the other side or the account may have changed
    PERSON = 3  # until somebody has changed the settings, though it is tried now and then


class Trouble(Protocol):
    """An error, in words, that says what follows for the account."""

    @property
    def hold(self) -> Hold:
        """For how long it is not tried."""
        ...


class Standing(Generic[S]):
    """Every method may be called from any thread."""

    def __init__(
        self,
        state: S,
        changed: Callable[[S, str], None],
        clock: Clock,
        *,
        longest_moment_s: float,
        while_s: float,
    ) -> None:
        """Begin without a rest.

        Args:
            state: How the account stands.
            changed: Told of every other state and its reason; must not wait.
            clock: Measures the rests.
            longest_moment_s: What the moments of rest grow to.
            while_s: How long a while is.
        """
        self._states: type[S] = type(state)
        self._changed: Callable[[S, str], None] = changed
        self._clock = clock
        self._longest_moment_s = longest_moment_s
        self._rests_s = {Hold.WHILE: while_s, Hold.PERSON: _PERSON_S}
        self._lock = threading.Lock()
        self._now: tuple[S, str] = (state, "")
        self._rests_until_s = 0.0  # on the boot clock
        self._moments = delays_s(_FIRST_REST_S, longest_moment_s)

    @property
    def now(self) -> tuple[S, str]:
        """The state and its reason."""
        return self._now

    @property
    def rest_s(self) -> float:
        """How long the account is not tried; 0 if it may be."""
        return max(0.0, self._rests_until_s - self._clock.boot_s())

    def hold(self, trouble: Trouble) -> None:
        """Let the account rest, as long as the trouble asks for; a longer rest is not made shorter."""
        if trouble.hold is Hold.NO:
            return
        with self._lock:
            rests = self.rest_s
            if rests and trouble.hold is Hold.MOMENT:
                return  # of several at once the first one counts
            rest_s = self._rests_s[trouble.hold] if trouble.hold in self._rests_s else next(self._moments)
            if rest_s > rests:
                self._rests_until_s = self._clock.boot_s() + rest_s
                is_for_person = trouble.hold is Hold.PERSON
                self._become(self._states.FAILED if is_for_person else self._states.RESTING, str(trouble))

    def end_rest(self) -> None:
        """Let the account be tried again."""
        with self._lock:
            self._rests_until_s = 0.0
        self.went_well()

    def went_well(self) -> None:
        """Let the next rest be short again."""
        with self._lock:
            self._moments = delays_s(_FIRST_REST_S, self._longest_moment_s)

    def begin(self) -> None:
        """Take note that messages are taken, unless there was trouble again just now."""
        with self._lock:
            if not self.rest_s:
                self._become(self._states.READY)

    def _become(self, state: S, reason: str = "") -> None:
        if (state, reason) != self._now:
            self._now = state, reason
            self._changed(state, reason)
