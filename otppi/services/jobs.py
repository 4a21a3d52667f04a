"""Long work that can be left: it goes on when the page is closed, and tells how far it is."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.faults import fault
from otppi.model.errors import BadRequest, Busy, OtpPiError
from otppi.model.events import JobChanged
from otppi.services.control import describe

log = logging.getLogger(__name__)

_THREADS = 4
_KEPT = 20
_FORGOTTEN_AFTER_S = 30 * 60.0
_RETRY_AFTER_S = 60.0


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"  # for a thread
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED)


class Progress:
    """How work tells how far it is, and hears that it is to end."""

    def __init__(self, tell: Callable[[str, float | None], None], cancelled: threading.Event) -> None:
        self._tell = tell
        self._cancelled = cancelled

    def say(self, text: str, share: float | None = None) -> None:
        """Say what is being done, in English, and how much of the whole is over, up to 1, if that is known."""
        self._tell(text, share)

    @property
    def is_cancelled(self) -> bool:
        """Whether the service stops: work that can end in order does so now."""
        return self._cancelled.is_set()


Work = Callable[[Progress], Any]


@dataclass
class _Job:
    id: str
    title: str
    user: str
    work: Work
    at_wall_s: float
    modem_id: str
    state: JobState = JobState.WAITING
    text: str = ""
    share: float | None = None
    result: Any = None
    error: Mapping[str, Any] = field(default_factory=dict)
    over_at_s: float = 0.0  # by the boot clock

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "user": self.user,
            "modem": self.modem_id,
            "started_at": datetime.fromtimestamp(self.at_wall_s, UTC).isoformat(timespec="seconds"),
            "state": self.state.value,
            "text": self.text,
            "share": self.share,
        }


class Jobs:
    """Does long work on threads of its own, a few at a time, and keeps what came of it for a while.

    Every method may be called from any thread.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}  # the oldest first
        self._threads: set[threading.Thread] = set()
        self._cancelled = threading.Event()

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that pages and command line may make."""
        return {"job.list": self.listed, "job.show": self.show}

    def start(self, title: str, user: str, work: Work, modem_id: str = "") -> str:
        """Have work done, and return the id of the job.

        Args:
            title: What it is, in English.
            user: Who wants it.
            work: Called once on a thread of its own; what it returns is the result, as JSON values.
            modem_id: The modem that it is about, if it is about one.

        Raises:
            Busy: Too much is being done already.
        """
        job = _Job(secrets.token_hex(8), title, user, work, self._clock.wall_s(), modem_id)
        with self._lock:
            self._make_room()
            self._jobs[job.id] = job
            thread = None
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._run, name=f"job:{job.id}", daemon=True)
                self._threads.add(thread)
        self._changed(job)
        if thread is not None:
            thread.start()
        return job.id

    def listed(self) -> list[dict[str, Any]]:
        """List the jobs, the newest first, without what came of them."""
        with self._lock:
            self._forget_old()
            return [job.as_json() for job in reversed(self._jobs.values())]

    def show(self, job_id: str) -> dict[str, Any]:
        """Show one job: how far it is, and its result or error."""
        with self._lock:
            self._forget_old()
            job = self._jobs.get(job_id)
            if job is None:
                raise BadRequest("job_id", "there is no such job, or it was too long ago")
            document = job.as_json()
            if job.state is JobState.DONE:
                document["result"] = job.result
            elif job.state is JobState.FAILED:
                document["error"] = job.error
            return document

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask all work to end and begin no more; wait for what is running, but not longer than this."""
        with self._lock:
            self._cancelled.set()
            threads = tuple(self._threads)
        end_s = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        with self._lock:
            running = [job.title for job in self._jobs.values() if job.state is JobState.RUNNING]
        if running:
            log.warning("work was cut off", extra={"fields": {"jobs": ", ".join(running)}})

    def _make_room(self) -> None:
        self._forget_old()
        if len(self._jobs) < _KEPT:
            return
        oldest = next((job for job in self._jobs.values() if job.state.is_over), None)
        if oldest is None:
            raise Busy("too much other work is waiting", _RETRY_AFTER_S)
        del self._jobs[oldest.id]

    def _forget_old(self) -> None:
        now_s = self._clock.boot_s()
        for job in [job for job in self._jobs.values() if job.state.is_over]:
            if now_s - job.over_at_s >= _FORGOTTEN_AFTER_S:
                del self._jobs[job.id]

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._changed(job)
            self._do(job)
            self._changed(job)

    def _next(self) -> _Job | None:
        with self._lock:
            waiting = (job for job in self._jobs.values() if job.state is JobState.WAITING)
            job = None if self._cancelled.is_set() else next(waiting, None)
            if job is None:
                self._threads.discard(threading.current_thread())
            else:
                job.state = JobState.RUNNING
            return job

    def _do(self, job: _Job) -> None:
        try:
            result = job.work(Progress(lambda text, share: self._got_on(job, text, share), self._cancelled))
        except OtpPiError as error:
            self._end(job, JobState.FAILED, error=describe(error))
        except Exception as error:  # noqa: BLE001 - logged without its text
            log.error("work failed", extra={"fields": {"job": job.title, **fault(error)}})  # noqa: TRY400
            self._end(
                job, JobState.FAILED, error={"code": "internal", "message": "internal error; see the log"}
            )
        else:
            self._end(job, JobState.DONE, result=result)

    def _got_on(self, job: _Job, text: str, share: float | None) -> None:
        with self._lock:
            job.text, job.share = text, share
        self._changed(job)

    def _end(self, job: _Job, state: JobState, **outcome: Any) -> None:  # noqa: ANN401 - JSON
        with self._lock:
            job.result, job.error = outcome.get("result"), outcome.get("error", {})
            job.state, job.over_at_s = state, self._clock.boot_s()

    def _changed(self, job: _Job) -> None:
        self._bus.publish(JobChanged(job_id=job.id, state=job.state.value, title=job.title))
