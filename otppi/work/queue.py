"""The one queue in front of all senders: a message goes to whichever eligible one is free first."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otppi.contracts.sms import OutgoingSms, Priority, Ticket
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import DeliveryError, OtpPiError, SendFailed
from otppi.model.results import SmsReceipt


class Job:
    """Something that a modem is to do; belongs to the queue until a modem takes it."""

    priority = Priority.NORMAL
    waits_for_rest = False  # of a modem that pauses between messages

    def __init__(self, eligible: Sequence[str]) -> None:
        self.eligible = frozenset(eligible)
        self.modem_id: str | None = None

    def fail(self, error: DeliveryError) -> None:
        """End the job without a result."""
        raise NotImplementedError

    def no_modem(self) -> DeliveryError:
        """Return the error that says that no eligible modem is there."""
        return SendFailed("the modem is not ready")


class SmsJob(Job):
    """A message and the caller who waits for it; the `Ticket` of the contract."""

    def __init__(
        self,
        queue: "WorkQueue",
        sms: OutgoingSms,
        eligible: Sequence[str],
        on_done: Callable[[Ticket], None],
    ) -> None:
        super().__init__(eligible)
        self.priority = sms.priority
        self.waits_for_rest = sms.priority is not Priority.TIME_CRITICAL
        self.sms = sms
        self._queue = queue
        self._on_done = on_done
        self._outcome: SmsReceipt | OtpPiError | None = None

    def withdraw(self) -> bool:
        """See `Ticket`."""
        return self._queue.withdraw(self)

    def finish(self, receipt: SmsReceipt) -> None:
        """Tell the caller that the message was sent."""
        self._outcome = receipt
        self._on_done(self)

    def fail(self, error: DeliveryError) -> None:
        """Tell the caller what went wrong."""
        self._outcome = error
        self._on_done(self)

    def result(self) -> SmsReceipt:
        """See `Ticket`."""
        if isinstance(self._outcome, SmsReceipt):
            return self._outcome
        if self._outcome is None:
            raise RuntimeError("asked for a result before there is one")
        raise self._outcome


@dataclass
class _Worker:
    wakeup: Wakeup
    assigned: Job | None = None
    mean_s: float = 0.0
    has_mean: bool = False
    rests_until_s: float = 0.0  # monotonic, as the next
    asks_again_at_s: float = math.inf

    def may_begin(self, job: Job) -> bool:
        """Whether it need not rest first."""
        return not job.waits_for_rest or time.monotonic() >= self.rests_until_s


class WorkQueue:
    """Jobs that wait, and the modems that are ready for them; an account at a vendor counts as a modem here.

    All methods may be called from any thread.

    A free modem gets a job at once and is woken; among several free ones the longest idle is taken, which is
    round robin among equals. Where none is free the job waits, time-critical ones before others, and the
    first eligible modem that comes free takes it: no message is stuck behind a modem that hangs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: dict[str, _Worker] = {}
        self._idle: dict[str, None] = {}  # ordered: the longest idle first
        self._waiting: dict[Priority, deque[Job]] = {priority: deque() for priority in Priority}

    def put(self, job: Job) -> None:
        """Hand the job to a free modem or keep it; with no eligible modem ready it fails at once."""
        with self._lock:
            ready = any(modem_id in self._workers for modem_id in job.eligible)
            if ready and not self._give_to_idle(job):
                self._waiting[job.priority].append(job)
        if not ready:
            job.fail(job.no_modem())

    def join(self, modem_id: str, wakeup: Wakeup) -> None:
        """A modem becomes ready to take jobs."""
        with self._lock:
            self._workers[modem_id] = _Worker(wakeup)

    def leave(self, modem_id: str, wakeup: Wakeup) -> None:
        """A modem takes no more jobs; those that only it could do fail, so that their callers can go on."""
        with self._lock:
            worker = self._workers.get(modem_id)
            if worker is None or worker.wakeup is not wakeup:
                return  # another has taken its place
            del self._workers[modem_id]
            self._idle.pop(modem_id, None)
            given = worker.assigned
            if given is not None:
                given.modem_id = None
                if not self._give_to_idle(given):
                    self._waiting[given.priority].appendleft(given)
            stranded = [job for job in self._all_waiting() if not job.eligible & self._workers.keys()]
            for job in stranded:
                self._waiting[job.priority].remove(job)
        for job in stranded:
            job.fail(job.no_modem())

    def next_for(self, modem_id: str) -> Job | None:
        """Return the next job of this modem, or None after noting that it is idle."""
        with self._lock:
            worker = self._workers[modem_id]
            job, worker.assigned = worker.assigned, None
            if job is None:
                job = next(
                    (
                        job
                        for job in self._all_waiting()
                        if modem_id in job.eligible and worker.may_begin(job)
                    ),
                    None,
                )
                if job is not None:
                    self._waiting[job.priority].remove(job)
            if job is None:
                self._idle.setdefault(modem_id)
                rests = time.monotonic() < worker.rests_until_s
                worker.asks_again_at_s = worker.rests_until_s if rests else math.inf
            else:
                job.modem_id = modem_id
            return job

    def withdraw(self, job: Job) -> bool:
        """Take back a job that no modem has begun; True if it surely will not be done."""
        with self._lock:
            if job in self._waiting[job.priority]:
                self._waiting[job.priority].remove(job)
                return True
            for worker in self._workers.values():
                if worker.assigned is job:
                    worker.assigned = None
                    return True
            return False

    def note_duration(self, modem_id: str, seconds: float) -> None:
        """Remember how long this modem needed for a message."""
        with self._lock:
            worker = self._workers.get(modem_id)
            if worker is not None:
                worker.mean_s = 0.8 * worker.mean_s + 0.2 * seconds if worker.has_mean else seconds
                worker.has_mean = True

    def rest(self, modem_id: str, seconds: float) -> None:
        """Give this modem for so long no message that can wait; it asks again by itself when that is over."""
        with self._lock:
            if (worker := self._workers.get(modem_id)) is not None:
                worker.rests_until_s = time.monotonic() + seconds

    def asks_again_in_s(self, modem_id: str) -> float:
        """Return when a modem that was idle is to ask anew because its rest is over; inf if it did not rest."""
        with self._lock:
            return max(0.0, self._workers[modem_id].asks_again_at_s - time.monotonic())

    def waiting_for(self, modem_id: str) -> int:
        """Count the jobs that this modem might take."""
        with self._lock:
            return sum(modem_id in job.eligible for job in self._all_waiting())

    def expected_wait_s(self, eligible: Sequence[str]) -> float:
        """Estimate how long a new message waits until one of these modems takes it."""
        with self._lock:
            workers = [self._workers[modem_id] for modem_id in eligible if modem_id in self._workers]
            if not workers or any(modem_id in self._idle for modem_id in eligible):
                return 0.0
            wanted = frozenset(eligible)
            ahead = sum(bool(job.eligible & wanted) for job in self._all_waiting()) + 1
            mean_s = sum(worker.mean_s for worker in workers) / len(workers)
            return ahead * mean_s / len(workers)

    def _give_to_idle(self, job: Job) -> bool:
        for modem_id in self._idle:
            worker = self._workers[modem_id]
            if modem_id in job.eligible and worker.may_begin(job):
                del self._idle[modem_id]
                worker.assigned = job
                worker.wakeup.ring()
                return True
        return False

    def _all_waiting(self) -> list[Job]:
        return [job for jobs in self._waiting.values() for job in jobs]
