"""Keeps the network as planned, and tries changes so that nobody can lock themselves out."""

import hmac
import logging
import queue
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar

from otppi.contracts.host import Network
from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.threads import died
from otppi.model.checks import Check
from otppi.model.errors import HostError, HostRefused, HostUnreachable
from otppi.model.events import NetworkOnTrial
from otppi.model.network import NetworkPlan, NetworkState
from otppi.system.network.diagnosis import look_at
from otppi.system.network.trial import Trial, is_by_dhcp, new_address, proves

log = logging.getLogger(__name__)

T = TypeVar("T")

REPLACED: Final = "replaced by another change"

_TOKEN_BYTES: Final = 16
# NetworkManager takes a change back by itself only where we are not there to do it, and say it, first.
_ROLLBACK_MARGIN_S: Final = 15
_TRIAL_TICK_S: Final = 0.25
_ASK_LIMIT_S: Final = 90.0


@dataclass(frozen=True, kw_only=True)
class _Pending:
    trial: Trial
    checkpoint: str
    plan: NetworkPlan
    starts_at_s: float
    on_taken_back: Callable[[str], None]


class _Job(Future[T]):
    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__()
        self._call = call

    def run(self) -> None:
        if self.set_running_or_notify_cancel():
            try:
                self.set_result(self._call())
            except BaseException as error:  # noqa: BLE001 - whoever asked gets it
                self.set_exception(error)


class NetworkKeeper:
    """Owns every change of the network, on the thread `network`; its methods may be called from any thread.

    Between changes it looks now and then whether the network still is as planned, and makes it so: that is how it
    gets over a NetworkManager that was away, at the start or later.
    """

    def __init__(
        self,
        network: Network,
        bus: Bus,
        clock: Clock,
        *,
        head_start_s: float = 1.0,
        look_s: float = 60.0,
        longest_retry_s: float = 300.0,
        tick_s: float = 5.0,
    ) -> None:
        """Take the network and the times.

        Args:
            network: What is kept.
            bus: Hears of trials.
            clock: Counts confirmation times on the boot clock.
            head_start_s: How long a change waits until the answer that names its token has left the device.
            look_s: How often the network is looked at while all is well.
            longest_retry_s: How long a network that cannot be made so is left alone at most.
            tick_s: How long the thread sleeps at most.
        """
        self._network = network
        self._bus = bus
        self._clock = clock
        self._head_start_s = head_start_s
        self._look_s = look_s
        self._longest_retry_s = longest_retry_s
        self._tick_s = tick_s
        self._inbox: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        # From here on only the thread writes.
        self._plan: NetworkPlan | None = None
        self._pending: _Pending | None = None
        self._is_applied = False
        self._next_look_s = 0.0
        self._retries = self._new_retries()
        self._trouble = ""

    def start(self, plan: NetworkPlan) -> None:
        """Make the network so without a trial, now and whenever it differs; returns at once."""
        self._plan = plan
        self._thread.start()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._is_stopping)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the thread; a change that nobody has confirmed yet is taken back."""
        self._is_stopping = True
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def trial(self) -> Trial | None:
        """The change that waits for its confirmation."""
        pending = self._pending
        return pending.trial if pending is not None else None

    @property
    def trouble(self) -> str:
        """Why the network could not be made as planned when it was last tried; empty if it could."""
        return self._trouble

    def change(
        self,
        plan: NetworkPlan,
        previous: NetworkPlan,
        confirm_s: int,
        on_taken_back: Callable[[str], None],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Trial:
        """Try a plan; waits until the way back is secured, and begins a moment later.

        The moment lets the answer with the token reach the browser before its network goes away. What then becomes
        of the change is told on the bus.

        Args:
            plan: What is wanted.
            previous: What the network goes back to.
            confirm_s: Seconds until it goes back, counted from now.
            on_taken_back: Called with the reason, on the thread of the keeper, when the change did not last, so that
                the settings go back too; it may call the keeper.
            is_wanted: Asked when it is this change's turn; another may have taken its place while it waited.

        Raises:
            HostError: Nothing was changed: another trial is pending, or there is no way back.
        """

        def begin() -> Trial:
            if not is_wanted():
                raise HostRefused("Superseded", "another change took its place")
            return self._begin(plan, previous, confirm_s, on_taken_back)

        return self._ask(begin)

    def confirm(self, token: str, arrived_at: str) -> None:
        """Make the change last; waits.

        Args:
            token: Of the trial.
            arrived_at: The device's own address that the request came to, so that a confirmation proves the new
                way in, not the old one.

        Raises:
            HostError: It was not confirmed; the trial goes on, or is over.
        """
        # At once, and not behind a change that is being made: anybody may knock here without a token.
        pending = self._pending
        if pending is None:
            raise HostRefused("NoTrial", "no change of the network waits for a confirmation")
        if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), pending.trial.token.encode()):
            raise HostRefused("WrongToken", "this is not the confirmation of the pending change")
        if not self._is_applied:
            raise HostRefused("NotYet", "the change is just being made; try again in a moment")
        self._ask(lambda: self._confirm(pending, arrived_at))

    def would_confirm(self, arrived_at: str) -> bool:
        """Whether the change on trial can be confirmed by a request to this address; may wait for NetworkManager."""
        pending = self._pending
        try:
            return pending is not None and self._is_applied and self._proves(pending.plan, arrived_at)
        except HostError:
            return False

    def change_now(self, plan: NetworkPlan) -> None:
        """Make the network so without a trial, for those who stand beside the device; ends a pending trial.

        Its `on_taken_back` is not called: the caller has settled the settings. Waits.

        Raises:
            HostError: It could not be made so yet; it is tried again by itself.
        """
        self._ask(lambda: self._change_now(plan))

    def checks(self, plan: NetworkPlan) -> list[Check]:
        """Look at the network; waits for NetworkManager."""
        state: NetworkState | None = None
        reason = ""
        try:
            state = self._network.state()
        except HostError as error:
            reason = str(error)
        remaining_s = None
        if (trial := self.trial) is not None:
            remaining_s = max(0.0, trial.deadline_s - self._clock.boot_s())
        return look_at(
            plan,
            state,
            unreachable=reason,
            trouble=self._trouble,
            trial_remaining_s=remaining_s,
        )

    def _ask(self, call: Callable[[], T]) -> T:
        if threading.current_thread() is self._thread:
            return call()
        if not self._thread.is_alive():
            raise HostUnreachable("the network is not being kept")
        job = _Job(call)
        self._inbox.put(job)  # type: ignore[arg-type]  # the result is ours alone
        try:
            return job.result(_ASK_LIMIT_S)
        except TimeoutError:
            if job.cancel():
                raise HostUnreachable("the network is busy with another change") from None
            return job.result()

    def _run(self) -> None:
        while True:
            try:
                job = self._inbox.get(timeout=self._sleep_s())
            except queue.Empty:
                pass
            else:
                if job is None:
                    break
                job.run()
            try:
                self._look()
            except Exception:
                log.exception("the keeper of the network failed")
                self._next_look_s = self._clock.boot_s() + next(self._retries)
        if self._pending is not None:
            self._take_back("the service was stopped")

    def _sleep_s(self) -> float:
        if self._pending is not None:
            return min(_TRIAL_TICK_S, self._tick_s)
        return min(max(self._next_look_s - self._clock.boot_s(), 0.0), self._tick_s)

    def _look(self) -> None:
        now_s, pending = self._clock.boot_s(), self._pending
        if pending is None:
            if now_s >= self._next_look_s:
                self._make_so()
        elif not self._is_applied and now_s >= pending.starts_at_s:
            self._apply_trial(pending)
        elif now_s >= pending.trial.deadline_s:
            self._take_back("nobody confirmed it in time")

    def _make_so(self) -> None:
        if self._plan is None:
            return
        try:
            self._network.apply(self._plan)
        except HostError as error:
            if str(error) != self._trouble:
                log.warning("the network is not as planned", extra={"fields": {"reason": str(error)}})
            self._trouble = str(error)
            self._next_look_s = self._clock.boot_s() + next(self._retries)
            return
        if self._trouble:
            log.info("the network is as planned again")
        self._is_well()

    def _is_well(self) -> None:
        self._trouble = ""
        self._retries = self._new_retries()
        self._next_look_s = self._clock.boot_s() + self._look_s

    def _new_retries(self) -> Iterator[float]:
        return delays_s(2.0, self._longest_retry_s)

    def _begin(
        self, plan: NetworkPlan, previous: NetworkPlan, confirm_s: int, on_taken_back: Callable[[str], None]
    ) -> Trial:
        if self._pending is not None:
            # Ending the first would decide it for somebody who is about to confirm it.
            raise HostRefused("TrialPending", "another change of the network waits for its confirmation")
        now_s = self._clock.boot_s()
        checkpoint = self._network.begin_trial(confirm_s + _ROLLBACK_MARGIN_S)
        trial = Trial(
            token=secrets.token_hex(_TOKEN_BYTES),
            address=new_address(plan, previous),
            deadline_s=now_s + confirm_s,
        )
        self._plan, self._is_applied = previous, False
        self._pending = _Pending(
            trial=trial,
            checkpoint=checkpoint,
            plan=plan,
            starts_at_s=now_s + self._head_start_s,
            on_taken_back=on_taken_back,
        )
        log.info("a change of the network is on trial", extra={"fields": {"confirm_s": confirm_s}})
        self._bus.publish(NetworkOnTrial(state="trying"))
        return trial

    def _apply_trial(self, pending: _Pending) -> None:
        try:
            self._network.apply(pending.plan)
        except HostError as error:
            self._take_back(str(error))
        except Exception:
            self._take_back("an error of the program")
            raise
        else:
            self._is_applied = True

    def _confirm(self, pending: _Pending, arrived_at: str) -> None:
        if self._pending is not pending:
            raise HostRefused("NoTrial", "the change is over already")
        if not self._proves(pending.plan, arrived_at):
            raise HostRefused("OldAddress", "confirm from the new address of the device")
        try:
            self._network.keep(pending.checkpoint)
        except HostError:
            self._take_back("the system had taken it back already")
            raise
        self._pending, self._plan = None, pending.plan
        self._is_well()
        log.info("the change of the network was confirmed")
        self._bus.publish(NetworkOnTrial(state="confirmed"))

    def _proves(self, plan: NetworkPlan, arrived_at: str) -> bool:
        """Whether a request to this address shows that the device can be reached as planned."""
        if not is_by_dhcp(plan):
            return proves(plan, arrived_at, ())
        return proves(plan, arrived_at, self._network.state().interfaces)

    def _change_now(self, plan: NetworkPlan) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                self._network.keep(pending.checkpoint)
            except HostError as error:
                log.info("the trial was over already", extra={"fields": {"reason": str(error)}})
            self._bus.publish(NetworkOnTrial(state="taken back", reason=REPLACED))
        self._plan = plan
        self._next_look_s = self._clock.boot_s()
        self._network.apply(plan)
        self._is_well()

    def _take_back(self, reason: str) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        log.warning("the change of the network is taken back", extra={"fields": {"reason": reason}})
        try:
            # First, so that whatever is made from the settings is the old again when the connections come back.
            pending.on_taken_back(reason)
        except Exception:
            log.exception("the settings did not go back with the network")
        try:
            self._network.take_back(pending.checkpoint)
        except HostError as error:
            # It came back by itself, or NetworkManager was restarted and has forgotten.
            log.info("the trial was over already", extra={"fields": {"reason": str(error)}})
        # A checkpoint holds what was active: not the host name, nor a profile that was down. The next look makes
        # the rest as it was.
        self._next_look_s = self._clock.boot_s()
        self._bus.publish(NetworkOnTrial(state="taken back", reason=reason))
