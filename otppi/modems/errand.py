"""What a person asks of one modem: done on its thread, between two messages, while its port is open."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from otppi.lib.deadline import Deadline
from otppi.lib.faults import fault
from otppi.model.errors import ModemUnavailable, OtpPiError
from otppi.model.modems import Identity
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.family import Family
from otppi.modems.transport import PortGone

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A modem that listens, and what is known of it; its SIM may still wait for its PIN."""

    channel: Channel
    family: Family
    identity: Identity


class Errand(Generic[T]):
    """One thing to do at a modem, and the caller who waits for it."""

    def __init__(self, action: Callable[[Conversation], T], deadline: Deadline, *, takes_long: bool) -> None:
        self.takes_long = takes_long
        self._action = action
        self._deadline = deadline
        self._done = threading.Event()
        self._result: T | None = None
        self._error: OtpPiError | None = None

    def perform(self, conversation: Conversation) -> None:
        """Do it; called by the modem's thread.

        Raises:
            NoAnswer, PortGone: The modem is in question; the caller has been told.
        """
        try:
            self._result = self._action(conversation)
        except OtpPiError as error:
            self._error = error
        except AtRefused as error:
            self._error = ModemUnavailable(str(error))
        except (NoAnswer, PortGone) as error:
            self._error = ModemUnavailable(str(error))
            raise
        except Exception as error:  # noqa: BLE001 - logged without its text
            log.error("what a person asked of a modem failed", extra={"fields": fault(error)})  # noqa: TRY400
            self._error = ModemUnavailable("it stopped in the middle of it; see the log")
        finally:
            self._done.set()

    def fail(self, error: OtpPiError) -> None:
        """End it without a result."""
        self._error = error
        self._done.set()

    def wait(self, errands: "Errands") -> T:
        """Wait for the result; one that was not begun by the deadline is taken back."""
        self._done.wait(self._deadline.remaining_s)
        if not self._done.is_set() and errands.withdraw(self):
            raise ModemUnavailable("the modem is busy")
        self._done.wait()
        if self._error is not None:
            raise self._error
        return cast(T, self._result)


class Errands:
    """Those that wait for one modem. Every method may be called from any thread."""

    def __init__(self, how_it_is: Callable[[], str]) -> None:
        """Take what says in words how the modem is, for those that it cannot do."""
        self._how_it_is = how_it_is
        self._lock = threading.Lock()
        self._waiting: deque[Errand[Any]] = deque()
        self._is_open = False

    def __bool__(self) -> bool:
        """Whether one waits."""
        return bool(self._waiting)

    def put(self, errand: Errand[Any]) -> None:
        """Let it wait for the modem; it fails at once where the port is not open."""
        with self._lock:
            if self._is_open:
                self._waiting.append(errand)
                return
        self._refuse(errand)

    def open(self) -> None:
        """The modem listens."""
        with self._lock:
            self._is_open = True

    def close(self) -> None:
        """The modem listens no more; all that wait fail."""
        with self._lock:
            self._is_open = False
            waiting, self._waiting = self._waiting, deque()
        for errand in waiting:
            self._refuse(errand)

    def first(self) -> Errand[Any] | None:
        """Return the one whose turn it is, without taking it."""
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def take(self) -> Errand[Any] | None:
        """Take the one whose turn it is."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def withdraw(self, errand: Errand[Any]) -> bool:
        """Take one back that was not begun; True if it surely will not be done."""
        with self._lock:
            if errand in self._waiting:
                self._waiting.remove(errand)
                return True
            return False

    def _refuse(self, errand: Errand[Any]) -> None:
        errand.fail(ModemUnavailable(f"the modem cannot be asked now ({self._how_it_is()})"))
