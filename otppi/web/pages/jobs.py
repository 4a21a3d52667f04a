"""Long work: how far it is, for whoever has left the page that began it."""

from otppi.gateway.rights import Role
from otppi.web.pages.modems import path_of
from otppi.web.site import Response, Visit, get
from otppi.web.words import N_

_STATES = {
    "waiting": ("off", N_("waits for its turn")),
    "running": ("note", N_("is being done")),
    "done": ("good", N_("done")),
    "failed": ("bad", N_("did not work")),
}


def show_all(visit: Visit) -> Response:
    """List the work of the last half hour."""
    return visit.page(
        "jobs.html", title=visit.words("Work in progress"), jobs=visit.call("job.list"), states=_STATES
    )


def show(visit: Visit, job_id: str) -> Response:
    """Show one job, where its result is shown as well if there is such a page."""
    work = visit.call("job.show", job_id=job_id)
    if work["modem"]:
        return visit.redirect(f"{path_of(work['modem'])}/job/{job_id}")
    return visit.page("job.html", title=visit.words.said(work["title"]), work=work, states=_STATES)


ROUTES = (
    get("/jobs", show_all, Role.VIEWER),
    get("/jobs/<job_id:re:[0-9a-f]+>", show, Role.OPERATOR),
)
