import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from otppi.lib.bus import Bus
from otppi.model.errors import BadRequest, Busy, SettingsError
from otppi.model.events import JobChanged
from otppi.services.jobs import Jobs, Progress

PATIENCE_S = 5.0


class Told:
    """What the bus told of jobs."""

    def __init__(self, bus: Bus) -> None:
        self.events: list[JobChanged] = []
        self._came = threading.Condition()
        bus.subscribe("test", self._hear, JobChanged)

    def wait_for(self, job_id: str, state: str) -> None:
        with self._came:
            assert self._came.wait_for(
                lambda: (job_id, state) in [(one.job_id, one.state) for one in self.events], PATIENCE_S
            )

    def _hear(self, event: JobChanged) -> None:
        with self._came:
            self.events.append(event)
            self._came.notify_all()


class Gate:
    """Work that goes on when it may."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Event()

    def __call__(self, progress: Progress) -> str:
        self.entered.release()
        assert self.allowed.wait(PATIENCE_S)
        return "through"


@contextmanager
def jobs_on(clock: Any) -> Iterator[tuple[Jobs, Told]]:
    bus = Bus()
    jobs, told = Jobs(bus, clock), Told(bus)
    try:
        yield jobs, told
    finally:
        jobs.stop()
        bus.stop()


def failing(error: Exception) -> Callable[[Progress], Any]:
    def work(_progress: Progress) -> None:
        raise error

    return work


def test_work_tells_how_far_it_is_and_then_what_came_of_it(clock):
    half, go_on = threading.Event(), threading.Event()

    def work(progress: Progress) -> dict[str, int]:
        progress.say("the first half is over", 0.5)
        half.set()
        assert go_on.wait(PATIENCE_S)
        return {"found": 3}

    with jobs_on(clock) as (jobs, told):
        job_id = jobs.start("Look for modems", "siti", work)
        assert half.wait(PATIENCE_S)
        assert jobs.show(job_id) == {
            "id": job_id,
            "title": "Look for modems",
            "user": "siti",
            "modem": "",
            "started_at": "2027-01-15T08:00:00+00:00",
            "state": "running",
            "text": "the first half is over",
            "share": 0.5,
        }
        go_on.set()
        told.wait_for(job_id, "done")
        assert jobs.show(job_id)["result"] == {"found": 3}
        (listed,) = jobs.listed()
        assert "result" not in listed
    states = [event.state for event in told.events]
    assert states[0] in ("waiting", "running")
    assert states[-1] == "done"
    assert {event.title for event in told.events} == {"Look for modems"}


@pytest.mark.parametrize(
    ("error", "document"),
    [
        (BadRequest("port", "there is none"), {"code": "1400", "message": "port: there is none"}),
        (
            SettingsError({"otp.length": "is too short"}),
            {
                "code": "1400",
                "message": str(SettingsError({"otp.length": "is too short"})),
                "errors": {"otp.length": "is too short"},
            },
        ),
        (KeyError("hidden words"), {"code": "internal", "message": "internal error; see the log"}),
    ],
)
def test_work_that_fails_says_why_as_a_call_would(clock, error, document):
    with jobs_on(clock) as (jobs, told):
        job_id = jobs.start("Fail", "siti", failing(error))
        told.wait_for(job_id, "failed")
        shown = jobs.show(job_id)
        assert (shown["state"], shown["error"]) == ("failed", document)
        after = jobs.start("Go on", "siti", lambda _: "well")
        told.wait_for(after, "done")


def test_four_are_done_at_a_time_and_the_others_wait_for_their_turn(clock):
    gate = Gate()
    with jobs_on(clock) as (jobs, told):
        ids = [jobs.start(f"Number {number}", "siti", gate) for number in range(6)]
        for _ in range(4):
            assert gate.entered.acquire(timeout=PATIENCE_S)
        assert [jobs.show(one)["state"] for one in ids] == ["running"] * 4 + ["waiting"] * 2
        gate.allowed.set()
        for one in ids:
            told.wait_for(one, "done")
        assert [one["title"] for one in jobs.listed()] == [f"Number {number}" for number in range(5, -1, -1)]


def test_no_thread_is_left_when_all_is_done(clock):
    with jobs_on(clock) as (jobs, told):
        for _ in range(3):
            told.wait_for(jobs.start("Quick", "siti", lambda _: None), "done")
        jobs.stop()
        assert [one.name for one in threading.enumerate() if one.name.startswith("job:")] == []


def test_more_work_than_can_wait_is_refused(clock):
    gate = Gate()
    with jobs_on(clock) as (jobs, told):
        for _ in range(20):
            jobs.start("Wait", "siti", gate)
        with pytest.raises(Busy):
            jobs.start("One too many", "siti", gate)
        gate.allowed.set()
        told.wait_for(jobs.listed()[0]["id"], "done")
        told.wait_for(jobs.listed()[-1]["id"], "done")
        first = jobs.listed()[-1]["id"]
        added = jobs.start("Now there is room", "siti", gate)
        assert len(jobs.listed()) == 20
        assert jobs.listed()[0]["id"] == added
        with pytest.raises(BadRequest):
            jobs.show(first)


def test_what_came_of_it_is_forgotten_after_half_an_hour(clock):
    with jobs_on(clock) as (jobs, told):
        job_id = jobs.start("Quick", "siti", lambda _: "result")
        told.wait_for(job_id, "done")
        clock.advance(30 * 60 - 1)
        assert jobs.show(job_id)["result"] == "result"
        clock.advance(1)
        assert jobs.listed() == []
        with pytest.raises(BadRequest):
            jobs.show(job_id)


def test_the_end_of_the_service_asks_work_to_end_and_begins_no_more(clock):
    gate, begun = Gate(), threading.Semaphore(0)

    def work(progress: Progress) -> str:
        begun.release()
        while not progress.is_cancelled:
            gate.allowed.wait(0.01)
        return "ended in order"

    with jobs_on(clock) as (jobs, _):
        ids = [jobs.start("Long", "siti", work) for _ in range(5)]
        for _ in range(4):
            assert begun.acquire(timeout=PATIENCE_S)
        jobs.stop()
        assert [jobs.show(one)["state"] for one in ids] == ["done"] * 4 + ["waiting"]


def test_work_that_does_not_end_is_not_waited_for_longer_than_allowed(clock, caplog):
    gate = Gate()
    with jobs_on(clock) as (jobs, told):
        job_id = jobs.start("Stubborn", "siti", gate)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        jobs.stop(timeout_s=0.1)
        assert [record.fields["jobs"] for record in caplog.records] == ["Stubborn"]
        gate.allowed.set()
        told.wait_for(job_id, "done")
