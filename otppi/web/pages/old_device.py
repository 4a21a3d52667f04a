"""The settings folder of an old device: what it would bring, and taking that over."""

import base64

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web.pages.backup import errors_beside, too_late
from otppi.web.pages.network import way_to_trial
from otppi.web.site import Response, Visit, get, post
from otppi.web.uploads import Upload

_USE = "old device"
_PATH = "/backup/old-device"
_PLAN = f"{_PATH}/plan"


def show(visit: Visit) -> Response:
    """Ask for the folder."""
    return _drawn(visit)


def read(visit: Visit) -> Response:
    """Take a file and lead to what it would bring; nothing is changed."""
    content = base64.b64encode(visit.file("content")[1]).decode()
    if not content:
        return _drawn(visit, 422, {"content": visit.words("Please choose a file.")})
    try:
        plan = visit.call("old_device.read", content=content)
    except OtpPiError as error:
        return _drawn(visit, error.status, errors_beside(visit, error))
    visit.site.facts["uploads"].keep(visit.session_id, _USE, content, plan)
    return visit.redirect(_PLAN)


def choose(visit: Visit) -> Response:
    """Show what the file would bring, to choose from."""
    upload = _upload(visit)
    return _choice(visit, upload) if upload is not None else too_late(visit, _PATH)


def apply(visit: Visit) -> Response:
    """Take over what was chosen, all of it or nothing."""
    upload = _upload(visit)
    if upload is None:
        return too_late(visit, _PATH)
    parts = visit.form_all("parts")
    if not parts:
        return _choice(visit, upload, 422, visit.words("Please choose at least one part."))
    way = way_to_trial(visit)
    try:
        done = visit.call("old_device.apply", content=upload.content, parts=parts)
    except OtpPiError as error:
        return _choice(visit, upload, error.status, visit.error_text(error), parts)
    visit.site.facts["uploads"].drop(visit.session_id, _USE)
    titles = {one["key"]: one["title"] for one in upload.plan["parts"]}
    return visit.page(
        "old_device_done.html",
        title=visit.words("Taken over"),
        changed=[titles[key] for key in done["changed"]],
        way_to_trial=way if done["network_changed"] else "",
    )


def drop(visit: Visit) -> Response:
    """Forget the file that was sent."""
    visit.site.facts["uploads"].drop(visit.session_id, _USE)
    return visit.redirect(_PATH)


def _upload(visit: Visit) -> Upload | None:
    upload: Upload | None = visit.site.facts["uploads"].find(visit.session_id, _USE)
    return upload


def _drawn(visit: Visit, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    title = visit.words("From an old OTP-Pi")
    return visit.page("old_device.html", status=status, title=title, errors=errors or {})


def _choice(
    visit: Visit, upload: Upload, status: int = 200, error: str = "", chosen: list[str] | None = None
) -> Response:
    return visit.page(
        "old_device_plan.html",
        status=status,
        title=visit.words("From an old OTP-Pi"),
        plan=upload.plan,
        error=error,
        chosen=chosen,
    )


ROUTES = (
    get(_PATH, show, Role.OWNER),
    post(_PATH, read),
    get(_PLAN, choose, Role.OWNER),
    post(_PLAN, apply),
    post(f"{_PATH}/drop", drop),
)
