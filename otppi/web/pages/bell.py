"""The buzzer: what it sounds for, and trying it."""

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import sheets
from otppi.web.site import Response, Visit, get, post

_SECTIONS = ("bell",)


def show(visit: Visit) -> Response:
    """Show the buzzer, and to an owner what may be set."""
    return _drawn(visit)


def test(visit: Visit) -> Response:
    """Sound it."""
    visit.call("bell.test")
    return visit.redirect("/bell", visit.words("The buzzer sounds now."))


def stop(visit: Visit) -> Response:
    """End the tune."""
    visit.call("bell.stop")
    return visit.redirect("/bell", visit.words("The tune ends."))


def _drawn(visit: Visit, error: OtpPiError | None = None) -> Response:
    return visit.page(
        "bell.html",
        status=200 if error is None else error.status,
        title=visit.words("Buzzer"),
        bell=visit.call("bell.show"),
        sheet=sheets.draw(visit, _SECTIONS, error) if visit.can("settings.set") else None,
    )


ROUTES = (
    get("/bell", show, Role.OPERATOR),
    *sheets.saving("/bell", "bell", _drawn),
    post("/bell/test", test, Role.OPERATOR),
    post("/bell/stop", stop, Role.OPERATOR),
)
