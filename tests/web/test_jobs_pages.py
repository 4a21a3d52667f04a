import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otppi.model.errors import ModemUnavailable
from otppi.services.jobs import Progress

PATIENCE_S = 10.0


@pytest.fixture
def jobs(pages):
    return pages.gateway._jobs


@contextmanager
def work_on(jobs, title: str = "Look around", modem_id: str = "") -> Iterator[str]:
    """Have work done that ends with the block."""
    half, end = threading.Event(), threading.Event()

    def work(progress: Progress) -> None:
        progress.say("half of it is over", 0.5)
        half.set()
        assert end.wait(PATIENCE_S)

    job_id = jobs.start(title, "owner", work, modem_id)
    assert half.wait(PATIENCE_S)
    try:
        yield job_id
    finally:
        end.set()


def over(pages, jobs, job_id: str) -> None:
    pages.wait_until(lambda: jobs.show(job_id)["state"] in ("done", "failed"))


def test_work_is_shown_with_its_progress_and_then_its_end(pages, owner, jobs):
    with work_on(jobs, "Look <b>around</b>") as job_id:
        page = owner.get(f"/jobs/{job_id}")
        assert "is being done" in page.visible
        assert "half of it is over" in page.visible
        assert 'value="0.5"' in page.text
        assert "<b>around" not in page.text
        assert "Look <b>around</b>" in owner.get("/jobs").visible
    over(pages, jobs, job_id)
    assert "The work is done." in owner.get(f"/jobs/{job_id}").visible


def test_every_page_leads_to_work_while_there_is_some(pages, viewer, jobs):
    link = '<a class="btn" href="/jobs">'
    assert link not in viewer.get("/jobs").text
    with work_on(jobs) as job_id:
        assert link in viewer.get("/jobs").text
        assert link in viewer.get("/network").text
    over(pages, jobs, job_id)
    assert link not in viewer.get("/jobs").text


def test_work_that_fails_says_why(pages, owner, jobs):
    def work(_: Progress) -> None:
        raise ModemUnavailable("the modem does not answer")

    job_id = jobs.start("Look around", "owner", work)
    over(pages, jobs, job_id)
    page = owner.get(f"/jobs/{job_id}")
    assert "did not work" in page.visible
    assert "the modem does not answer" in page.visible


def test_work_at_a_modem_is_shown_on_its_page_to_those_who_may_see_that(pages, operator, viewer, jobs):
    with work_on(jobs, modem_id="m0") as job_id:
        assert operator.get(f"/jobs/{job_id}").location == f"/modems/m0/job/{job_id}"
        assert viewer.get(f"/jobs/{job_id}").status == 403


def test_work_that_is_not_known_any_more_is_said_to_be_so(owner):
    page = owner.get("/jobs/00ff")
    assert page.status == 400
    assert "there is no such job" in page.visible


def test_a_test_of_a_modem_is_work_about_that_modem(pages, owner, jobs):
    answer = owner.post("/modems/m0/test")
    job_id = answer.location.rpartition("/")[2]
    assert jobs.show(job_id)["modem"] == "m0"
    over(pages, jobs, job_id)
