"""What became of the messages that were sent: filtered, drawn, and to take away."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from otppi.gateway.rights import Role
from otppi.gateway.sent_row import local_time
from otppi.model.errors import OtpPiError
from otppi.web import charts, sending
from otppi.web.charts import Chart
from otppi.web.outcomes import CHANNELS, DOORS, OUTCOMES
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_, Words

_ON_A_PAGE: Final = 50
_FILTERS: Final = ("since", "until", "modem", "door", "user", "outcome", "delivery", "number", "channel")
_DELIVERIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "none": ("off", N_("no report")),
        "delivered": ("good", N_("delivered")),
        "failed": ("bad", N_("not delivered")),
        "unknown": ("warn", N_("unclear")),
    }
)
_SPANS: Mapping[str, int] = MappingProxyType({N_("Today"): 1, N_("7 days"): 7, N_("30 days"): 30})


class Export(Protocol):
    """A file to take away."""

    @property
    def name(self) -> str:
        """How it is called."""

    @property
    def content_type(self) -> str:
        """What it is."""

    @property
    def chunks(self) -> Iterator[bytes]:
        """What is in it."""


class Exports(Protocol):
    """What makes files of the rows that a filter lets through."""

    def csv(self, **asked: str) -> Export:
        """Make a table of text."""

    def xlsx(self, **asked: str) -> Export:
        """Make a spreadsheet."""


def show(visit: Visit) -> Response:
    """Show what the filter lets through."""
    asked, offset, words = _asked(visit), visit.query_number("offset"), visit.words
    error: OtpPiError | None = None
    try:
        found = visit.call("report.list", **asked, offset=offset, count=_ON_A_PAGE)
        summary = visit.call("report.summary", **asked)
    except OtpPiError as refused:
        error, found, summary = refused, {"rows": [], "total": 0, "is_kept": True}, None
    today = _today()
    return visit.page(
        "reports.html",
        status=200 if error is None else error.status,
        title=words("Reports"),
        asked=asked,
        errors=defaultdict(str, visit.field_errors(error) if error is not None else {}),
        is_narrowed=any(value for name, value in asked.items() if name not in ("since", "until")),
        query=urlencode(asked),
        spans=[
            (words(title), since, since == asked["since"] and not asked["until"])
            for title, since in _spans(today)
        ],
        doors=DOORS,
        outcomes=OUTCOMES,
        deliveries=_DELIVERIES,
        modem_choices=_with(asked["modem"], [(one["id"], one["name"]) for one in _senders(visit)]),
        door_choices=_with(asked["door"], [(door, words(title)) for door, title in DOORS.items()]),
        outcome_choices=[(one, words(title)) for one, (_, title) in OUTCOMES.items()],
        channels=CHANNELS,
        channel_choices=[(one, words(title)) for one, title in CHANNELS.items()],
        delivery_choices=[(one, words(title)) for one, (_, title) in _DELIVERIES.items()],
        offset=offset,
        count=_ON_A_PAGE,
        total=found["total"],
        rows=found["rows"],
        is_kept=found["is_kept"],
        summary=summary,
        chart=_chart(words, summary) if summary is not None and summary["chart"] else None,
        oldest=today - timedelta(days=30),
    )


def download(visit: Visit, kind: str) -> Response:
    """Give all rows that the filter lets through as a file."""
    exports: Exports = visit.site.facts["sent_report"]
    asked = _asked(visit)
    try:
        export = exports.csv(**asked) if kind == "csv" else exports.xlsx(**asked)
    except OtpPiError as error:
        return visit.redirect(f"/reports?{urlencode(asked)}", visit.error_text(error), "bad")
    return visit.download(export.name, export.content_type, export.chunks)


def delete(visit: Visit) -> Response:
    """Delete what is older than a day."""
    deleted = visit.call("report.delete_before", day=visit.form("day"))
    text = visit.words.many("{count} row deleted.", "{count} rows deleted.", deleted)
    return visit.redirect("/reports", text)


def _asked(visit: Visit) -> dict[str, str]:
    asked = {name: visit.query(name).strip() for name in _FILTERS}
    if visit.path == "/reports":
        asked["since"] = _today().isoformat()
    return asked


def _senders(visit: Visit) -> list[Mapping[str, Any]]:
    return [*sending.senders(visit), *visit.call("email_account.list")]


def _with(chosen: str, choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the choices with the chosen one, which may be of a modem that is no more."""
    return choices if not chosen or chosen in dict(choices) else [*choices, (chosen, chosen)]


def _today() -> date:
    # Days of a report are those of the machine's own zone, which off a device may be another than that of the pages.
    return local_time(time.time()).date()


def _spans(today: date) -> Iterator[tuple[str, str]]:
    """Give what is chosen by one click, with its first day."""
    for title, days in _SPANS.items():
        yield title, (today - timedelta(days=days - 1)).isoformat()
    yield N_("All"), ""


def _chart(words: Words, summary: Mapping[str, Any]) -> Chart:
    is_hourly, steps = summary["step"] == "hour", summary["chart"]
    write = words.minute if is_hourly else words.short_day
    title = words("Tries by hour") if is_hourly else words("Tries by day")
    return charts.bars(words, title, [write(one["at"]) for one in steps], charts.by_outcome(words, steps))


ROUTES = (
    get("/reports", show),
    get("/reports/<kind:re:csv|xlsx>", download),
    post("/reports/delete", delete, Role.OWNER),
)
