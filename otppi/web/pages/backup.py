"""Backups: one encrypted file with all that is set, and the way back from it."""

import base64

from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web.pages.network import way_to_trial
from otppi.web.site import Response, Visit, get, post
from otppi.web.uploads import Upload

_USE = "backup"
_PATH = "/backup"
_RESTORE = f"{_PATH}/restore"


def show(visit: Visit) -> Response:
    """Show both ways: into a file, and back from one."""
    return _drawn(visit)


def make(visit: Visit) -> Response:
    """Give a backup as a file."""
    passphrase = visit.form("passphrase")
    if passphrase != visit.form("again"):
        return _drawn(visit, 422, {"again": visit.words("The two passphrases are not the same.")})
    try:
        made = visit.call("backup.make", passphrase=passphrase, with_messages=visit.ticked("with_messages"))
    except OtpPiError as error:
        return _drawn(visit, error.status, errors_beside(visit, error))
    return visit.download(made["name"], "application/octet-stream", base64.b64decode(made["content"]))


def read(visit: Visit) -> Response:
    """Take a file, look into it and lead to what may be restored; nothing is changed."""
    content = base64.b64encode(visit.file("content")[1]).decode()
    if not content:
        return _drawn(visit, 422, {"content": visit.words("Please choose a file.")})
    try:
        plan = visit.call("backup.read", content=content, passphrase=visit.form("old_passphrase"))
    except OtpPiError as error:
        errors = errors_beside(visit, error)
        # Two fields of the page ask for a passphrase.
        if "passphrase" in errors:
            errors["old_passphrase"] = errors.pop("passphrase")
        return _drawn(visit, error.status, errors)
    visit.site.facts["uploads"].keep(visit.session_id, _USE, content, plan)
    return visit.redirect(_RESTORE)


def choose(visit: Visit) -> Response:
    """Show what is in the file, to choose from."""
    upload = _upload(visit)
    return _choice(visit, upload) if upload is not None else too_late(visit, _PATH)


def restore(visit: Visit) -> Response:
    """Restore what was chosen, all of it or nothing."""
    upload = _upload(visit)
    if upload is None:
        return too_late(visit, _PATH)
    parts = visit.form_all("parts")
    if not parts:
        return _choice(visit, upload, 422, {"": visit.words("Please choose at least one part.")})
    way = way_to_trial(visit)
    try:
        done = visit.call(
            "backup.restore",
            content=upload.content,
            passphrase=visit.form("passphrase"),
            sections=parts,
            with_network=True,
        )
    except OtpPiError as error:
        return _choice(visit, upload, error.status, errors_beside(visit, error), parts)
    visit.site.facts["uploads"].drop(visit.session_id, _USE)
    titles = {one["key"]: one["title"] for one in upload.plan["sections"]}
    # Drawn at once: whoever restores other administrators is not logged in any more.
    return visit.page(
        "backup_restored.html",
        title=visit.words("Restored"),
        done=done,
        changed=[titles[key] for key in done["changed"]],
        way_to_trial=way if done["network_changed"] else "",
    )


def drop(visit: Visit) -> Response:
    """Forget the file that was sent."""
    visit.site.facts["uploads"].drop(visit.session_id, _USE)
    return visit.redirect(_PATH)


def errors_beside(visit: Visit, error: OtpPiError) -> dict[str, str]:
    """Return the reasons by arguments of the function; what is of none has an empty name."""
    return visit.field_errors(error) if isinstance(error, BadRequest) else visit.place_errors(error)


def too_late(visit: Visit, path: str) -> Response:
    """Say that the file that was sent is not kept any more."""
    text = visit.words("The file is not kept any more. Please send it again.")
    return visit.redirect(path, text, "warn")


def _upload(visit: Visit) -> Upload | None:
    upload: Upload | None = visit.site.facts["uploads"].find(visit.session_id, _USE)
    return upload


def _drawn(visit: Visit, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    return visit.page("backup.html", status=status, title=visit.words("Backup"), errors=errors or {})


def _choice(
    visit: Visit,
    upload: Upload,
    status: int = 200,
    errors: dict[str, str] | None = None,
    chosen: list[str] | None = None,
) -> Response:
    return visit.page(
        "backup_restore.html",
        status=status,
        title=visit.words("Restore a backup"),
        plan=upload.plan,
        errors=errors or {},
        chosen=chosen,
    )


ROUTES = (
    get(_PATH, show, Role.OWNER),
    post(f"{_PATH}/make", make),
    post(f"{_PATH}/read", read),
    get(_RESTORE, choose, Role.OWNER),
    post(_RESTORE, restore),
    post(f"{_PATH}/drop", drop),
)
