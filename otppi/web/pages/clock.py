"""Date and time: what the clock is worth, setting it, the zone and the time servers."""

from dataclasses import replace
from datetime import datetime, tzinfo

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import sheets, zones
from otppi.web.site import Response, Visit, get, post

_SECTIONS = ("clock",)


def show(visit: Visit) -> Response:
    """Show the clock."""
    return _drawn(visit)


def set_time(visit: Visit) -> Response:
    """Set the clock, to what somebody typed or to the time of the browser."""
    wanted = visit.form("moment")
    epoch_s = _read(visit.form("epoch_ms"), wanted, visit.site.device.zone())
    if epoch_s is None:
        return _drawn(visit, moment=wanted, time_error=visit.words("Please give date and time."))
    try:
        visit.call("clock.set", epoch_s=epoch_s)
    except OtpPiError as error:
        return _drawn(visit, moment=wanted, time_error=visit.error_text(error))
    return visit.redirect("/clock", visit.words("The clock was set."))


def _drawn(
    visit: Visit, error: OtpPiError | None = None, *, moment: str = "", time_error: str = ""
) -> Response:
    clock = visit.call("clock.show") if visit.can("clock.show") else None
    sheet = sheets.draw(visit, _SECTIONS, error)
    drawn = [replace(one, fields=zones.offered(visit, one.fields)) for one in sheet.sections]
    sheet = replace(sheet, sections=drawn)
    now = datetime.fromtimestamp(clock["now_s"], visit.site.device.zone()) if clock else None
    return visit.page(
        "clock.html",
        status=error.status if error is not None else 422 if time_error else 200,
        title=visit.words("Date and time"),
        clock=clock,
        moment=moment or (f"{now:%Y-%m-%dT%H:%M:%S}" if now else ""),
        time_error=time_error,
        sheet=sheet,
    )


def _read(epoch_ms: str, moment: str, zone: tzinfo) -> float | None:
    """Return seconds since the epoch; None for what is no time."""
    try:
        if epoch_ms:
            return int(epoch_ms) / 1000
        return datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None


ROUTES = (
    get("/clock", show, Role.OWNER),
    *sheets.saving("/clock", "clock", _drawn),
    post("/clock/time", set_time),
)
