"""The page by which a change of the network is confirmed from the other side of it.

Whoever opens the link at the new address has shown that the new address works. The token in the link is all that is
asked: it was told only to the one who made the change, and who comes from another network has to log in anew there.
"""

from otppi.gateway.audit import Audit
from otppi.model.errors import HostRefused, OtpPiError
from otppi.web.site import Response, Visit, get, post

_PATH = "/network/confirm/<token>"


def ask(visit: Visit, token: str) -> Response:
    """Show the question; a link alone must not do it, as mail scanners and previews open links."""
    if "confirm_network" not in visit.site.facts:
        return visit.lost()
    return visit.page(
        "confirm.html", token=token, title=visit.words("Keep this network?"), outcome="", error=""
    )


def take(visit: Visit, token: str) -> Response:
    """Make the change last."""
    confirm = visit.site.facts.get("confirm_network")
    if confirm is None:
        return visit.lost()
    try:
        confirm(token, visit.own_address.strip("[]"))
    except OtpPiError as error:
        _note(visit, "refused")
        reason = visit.words.said(error.text if isinstance(error, HostRefused) else str(error))
        title = visit.words("Not confirmed")
        return visit.page(
            "confirm.html", token=token, status=error.status, title=title, outcome="refused", error=reason
        )
    _note(visit, "done")
    return visit.page("confirm.html", token=token, title=visit.words("Confirmed"), outcome="kept", error="")


def _note(visit: Visit, outcome: str) -> None:
    audit: Audit = visit.site.facts["audit"]
    user = visit.session.user if visit.session is not None else ""
    # Who has the token is no stranger.
    note = audit.note if outcome == "done" else audit.note_stranger
    note(user=user, address=visit.address, what="network.confirm", details={}, outcome=outcome)


ROUTES = (
    get(_PATH, ask, role=None),
    post(_PATH, take, role=None),
)
