"""Numbers that nothing is sent to."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError, SettingsError
from otppi.web.site import Response, Visit, get, post

_ON_A_PAGE: Final = 50
_MOST_ERRORS: Final = 50
_LONGEST_SHORT_CODE: Final = 6


def show(visit: Visit) -> Response:
    """Show the list."""
    return _drawn(visit)


def add(visit: Visit) -> Response:
    """Block a number."""
    try:
        visit.call("number.block", number=visit.form("number"), blocked=True)
    except OtpPiError as error:
        return _drawn(
            visit, error.status, error=visit.field_errors(error).get("number") or visit.error_text(error)
        )
    return visit.redirect(
        "/blocklist", visit.words("The number is on the block list. Nothing is sent to it.")
    )


def add_many(visit: Visit) -> Response:
    """Block what stands on the lines of a text: all of it or nothing."""
    lines = [(place, line.strip()) for place, line in enumerate(visit.form("numbers").splitlines(), start=1)]
    lines = [(place, line) for place, line in lines if line]
    if not lines:
        return _drawn(visit, 400, wrong=[visit.words("Write one number on each line.")])
    try:
        added = visit.call("number.block_all", numbers=[line for _, line in lines])
    except SettingsError as error:
        return _drawn(visit, error.status, wrong=_wrong(visit, error, lines))
    except OtpPiError as error:
        return _drawn(visit, error.status, wrong=visit.field_errors(error).values())
    text = visit.words.many(
        "{count} number is blocked, {new} of them new.",
        "{count} numbers are blocked, {new} of them new.",
        added["numbers"],
        new=visit.words.number(added["new"]),
    )
    return visit.redirect("/blocklist", text)


def block(visit: Visit) -> Response:
    """Block a number of the list again, or let it receive messages."""
    blocked = visit.form("blocked") == "yes"
    visit.call("number.block", number=_international(visit.form("number")), blocked=blocked)
    words = visit.words
    text = (
        words("The number is blocked again.") if blocked else words("The number may receive messages again.")
    )
    return visit.redirect(visit.came_from, text)


def remove(visit: Visit) -> Response:
    """Take a number off the list."""
    visit.call("number.remove", number=_international(visit.form("number")))
    return visit.redirect(visit.came_from, visit.words("The number is no longer on the block list."))


def _wrong(visit: Visit, error: SettingsError, lines: Sequence[tuple[int, str]]) -> list[str]:
    told = []
    for place, reason in list(error.errors.items())[:_MOST_ERRORS]:
        number = place.rpartition(".")[2]
        if not number.isdigit():
            told.append(visit.words.said(reason))
            continue
        line, text = lines[int(number) - 1]
        told.append(
            visit.words(
                "Line {line}, {text}: {reason}", line=line, text=text[:40], reason=visit.words.said(reason)
            )
        )
    return told


def _drawn(visit: Visit, status: int = 200, *, error: str = "", wrong: object = ()) -> Response:
    search, offset = visit.query("search").strip(), visit.query_number("offset")
    found = visit.call("number.list", search=search, offset=offset, count=_ON_A_PAGE)
    path = f"/blocklist?{urlencode({'search': search})}"
    if offset and not found["numbers"]:
        return visit.redirect(path)
    return visit.page(
        "blocklist.html",
        status=status,
        title=visit.words("Block list"),
        search=search,
        path=f"{path}&",
        offset=offset,
        count=_ON_A_PAGE,
        total=found["total"],
        all=found["all"],
        blocked=found["blocked"],
        numbers=[{**one, "shown": _international(one["number"])} for one in found["numbers"]],
        number=visit.form("number"),
        many_numbers=visit.form("numbers"),
        error=error,
        wrong=wrong,
    )


def _international(digits: str) -> str:
    return digits if len(digits) <= _LONGEST_SHORT_CODE else f"+{digits}"


ROUTES = (
    get("/blocklist", show, Role.OPERATOR),
    post("/blocklist", add, Role.OPERATOR),
    post("/blocklist/many", add_many, Role.OPERATOR),
    post("/blocklist/block", block, Role.OPERATOR),
    post("/blocklist/remove", remove, Role.OPERATOR),
)
