"""The log: the last lines of the gateway, and on a device the journal of the system."""

from otppi.gateway.rights import Role
from otppi.web.site import Response, Visit, get
from otppi.web.words import N_

_LINES = 100
_ENTRIES = 200
_LEVELS = {"info": N_("Everything"), "warning": N_("Warnings and errors"), "error": N_("Errors only")}
_FIRST_UNIT = "otppi"
# As the gateway and the journal call them.
_SHOWN_LEVELS = {
    "debug": ("off", N_("Detail")),
    "info": ("off", N_("Information")),
    "notice": ("note", N_("Notice")),
    "warning": ("warn", N_("Warning")),
    "error": ("bad", N_("Error")),
    "critical": ("bad", N_("Error")),
    "alert": ("bad", N_("Error")),
    "emergency": ("bad", N_("Error")),
}


def show(visit: Visit) -> Response:
    """Show lines of the gateway, the newest first."""
    level, search, offset = visit.query("level"), visit.query("search"), visit.query_number("offset")
    if level not in _LEVELS:
        level = next(iter(_LEVELS))
    found = visit.call("log.list", level=level, search=search, offset=offset, count=_LINES)
    return visit.page(
        "logs.html",
        title=visit.words("Logs"),
        levels=_LEVELS,
        level=level,
        search=search,
        offset=offset,
        count=_LINES,
        shown_levels=_SHOWN_LEVELS,
        **found,
    )


def show_journal(visit: Visit) -> Response:
    """Show entries of a unit of the system, the newest first."""
    if not visit.can("log.journal"):
        return visit.lost()
    units = visit.call("log.units")
    unit = visit.query("unit", _FIRST_UNIT)
    if unit not in [one["unit"] for one in units]:
        return visit.lost()
    return visit.page(
        "logs_journal.html",
        title=visit.words("Logs"),
        units=units,
        unit=unit,
        count=_ENTRIES,
        shown_levels=_SHOWN_LEVELS,
        lines=visit.call("log.journal", unit=unit, count=_ENTRIES),
    )


def download(visit: Visit) -> Response:
    """Give all lines of the gateway as a file."""
    text = visit.call("log.text")
    return visit.download("otppi-log.txt", "text/plain; charset=utf-8", text.encode("utf-8", "replace"))


ROUTES = (
    get("/logs", show, Role.OWNER),
    get("/logs/journal", show_journal, Role.OWNER),
    get("/logs/download", download, Role.OWNER),
)
