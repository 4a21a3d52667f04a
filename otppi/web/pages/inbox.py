"""Messages that the SIM cards received: read, answer, delete."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import sending, sms_length
from otppi.web.sending import Outcome
from otppi.web.site import Response, Visit, get, post

_ON_A_PAGE: Final = 25
_LONGEST_BEGINNING: Final = 160
_ID: Final = "<message_id:re:[0-9A-Za-z._-]{1,80}>"


def show(visit: Visit) -> Response:
    """Show the list, newest first."""
    search, offset = visit.query("search").strip(), visit.query_number("offset")
    found = visit.call("inbox.list", search=search, offset=offset, count=_ON_A_PAGE)
    path = f"/inbox?{urlencode({'search': search})}"
    if offset and not found["messages"]:
        return visit.redirect(path)
    return visit.page(
        "inbox.html",
        title=visit.words("Inbox"),
        search=search,
        path=f"{path}&",
        offset=offset,
        count=_ON_A_PAGE,
        total=found["total"],
        unread=found["unread"],
        is_kept=found["is_kept"],
        messages=[{**one, "beginning": _beginning(one["text"])} for one in found["messages"]],
    )


def show_one(visit: Visit, message_id: str) -> Response:
    """Show a message, which counts as read from then on."""
    return _drawn(visit, message_id)


def reply(visit: Visit, message_id: str) -> Response:
    """Send an answer, and wait for what becomes of it."""
    reference = sending.reference(visit)
    try:
        answer = visit.call(
            "inbox.reply",
            message_id=message_id,
            text=visit.form("text"),
            any_modem=visit.ticked("any_modem"),
            reference=reference,
        )
    except OtpPiError as error:
        return _drawn(visit, message_id, error.status, error=visit.error_text(error), reference=reference)
    outcome = sending.outcome(visit, answer)
    if outcome.is_good:
        return visit.redirect(f"/inbox/{message_id}", outcome.title)
    return _drawn(visit, message_id, sending.REFUSED, outcome=outcome, reference=reference)


def delete(visit: Visit, message_id: str) -> Response:
    """Delete the message for good."""
    return _deleted(visit, [message_id], "/inbox")


def mark_unread(visit: Visit, message_id: str) -> Response:
    """Let the message count as new."""
    visit.call("inbox.mark", message_ids=[message_id], is_read=False)
    return visit.redirect("/inbox", visit.words("The message counts as new again."))


def block(visit: Visit, message_id: str) -> Response:
    """Put the sender on the block list."""
    visit.call("number.block", number=visit.call("inbox.show", message_id=message_id)["sender"], blocked=True)
    return visit.redirect(
        f"/inbox/{message_id}", visit.words("The number is on the block list. Nothing is sent to it.")
    )


def change_ticked(visit: Visit) -> Response:
    """Delete or mark what is ticked in the list."""
    ticked, what = visit.form_all("message"), visit.form("what")
    if not ticked:
        return visit.redirect(visit.came_from, visit.words("Tick a message first."), "warn")
    if what == "delete":
        return _deleted(visit, ticked, visit.came_from)
    visit.call("inbox.mark", message_ids=ticked, is_read=what != "unread")
    return visit.redirect(visit.came_from)


def _deleted(visit: Visit, message_ids: list[str], then: str) -> Response:
    deleted = visit.call("inbox.delete", message_ids=message_ids)
    text = visit.words.many("{count} message deleted.", "{count} messages deleted.", deleted)
    return visit.redirect(then, text)


def _drawn(
    visit: Visit,
    message_id: str,
    status: int = 200,
    *,
    outcome: Outcome | None = None,
    error: str = "",
    reference: str = "",
) -> Response:
    message: Mapping[str, Any] = visit.call("inbox.show", message_id=message_id)
    text = visit.form("text") if status != 200 else ""
    return visit.page(
        "inbox_message.html",
        status=status,
        title=visit.words("Message"),
        message=message,
        data_bytes=len(message["text"]) // 2,
        outcome=outcome,
        error=error,
        errors=outcome.errors if outcome is not None else {},
        text=text,
        any_modem=visit.ticked("any_modem"),
        reference=reference or sending.new_reference(),
        next_reference=sending.new_reference(),
        length=sms_length.measure(text),
        sms_length=sms_length,
    )


def _beginning(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_BEGINNING else f"{words[:_LONGEST_BEGINNING]}…"


ROUTES = (
    get("/inbox", show, Role.OPERATOR),
    post("/inbox", change_ticked, Role.OPERATOR),
    get(f"/inbox/{_ID}", show_one, Role.OPERATOR),
    post(f"/inbox/{_ID}/reply", reply, Role.OPERATOR),
    post(f"/inbox/{_ID}/delete", delete, Role.OPERATOR),
    post(f"/inbox/{_ID}/unread", mark_unread, Role.OPERATOR),
    post(f"/inbox/{_ID}/block", block, Role.OPERATOR),
)
