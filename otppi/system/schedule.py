"""Restarts of the service and of the device at times that the owner set."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from otppi.lib.clock import Clock
from otppi.model.checks import Check, Level
from otppi.model.errors import HostError
from otppi.settings.fields import choice, text
from otppi.settings.section import Section

log = logging.getLogger(__name__)

NEVER, EVERY_12_HOURS, DAILY = "never", "every 12 hours", "daily"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CHOICES = (NEVER, EVERY_12_HOURS, DAILY, *_WEEKDAYS)
_ON_PAGES = {one: f"every {one.capitalize()}" if one in _WEEKDAYS else one for one in CHOICES}
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME_SHAPE = "a time of the day such as 03:00"
# A clock that is set may jump over a due time. What is later than this was not meant any more.
_LATEST = timedelta(minutes=5)
# After a restart the clock may stand before the due time again: set back, or a board without a clock of its own.
_SHORTEST_LIFE_S = 3600.0


class HousekeepingSettings(Section, key="housekeeping", title="Planned restarts"):
    """When the device refreshes itself."""

    restart_service: str = choice(
        _ON_PAGES,
        default=NEVER,
        title="Restart the service",
        help="When the service ends and starts anew; messages in hand are finished first.",
    )
    restart_service_at: str = text(
        title="Time of the service's restart",
        default="00:00",
        pattern=_TIME,
        shape=_TIME_SHAPE,
        help="Time of the day, in the zone of the device; every 12 hours means then and 12 hours later.",
    )
    restart_device: str = choice(
        _ON_PAGES,
        default=NEVER,
        title="Restart the device",
        help="When the whole device restarts; messages in hand are finished first.",
    )
    restart_device_at: str = text(
        title="Time of the device's restart",
        default="03:00",
        pattern=_TIME,
        shape=_TIME_SHAPE,
        help="Time of the day, in the zone of the device; every 12 hours means then and 12 hours later.",
    )


def next_due(chosen: str, at: str, now: datetime) -> datetime | None:
    """Return the first due time after `now`, in its zone, or None if there is none.

    A time that the change to summer time leaves out comes as much later as clocks are put forward; one that occurs
    twice when they are put back counts once.
    """
    if chosen == NEVER:
        return None
    of_day = time.fromisoformat(at)
    times = [of_day]
    if chosen == EVERY_12_HOURS:
        times.append(of_day.replace(hour=(of_day.hour + 12) % 24))
    days = [now.date() + timedelta(days=n) for n in range(-1, 9)]
    candidates = (
        datetime.combine(day, one, tzinfo=now.tzinfo).astimezone(UTC)
        for day in days
        for one in times
        if chosen not in _WEEKDAYS or day.weekday() == _WEEKDAYS.index(chosen)
    )
    return min(due for due in candidates if due > now.astimezone(UTC)).astimezone(now.tzinfo)


def was_due(chosen: str, at: str, before: datetime, now: datetime) -> bool:
    """Return whether the first due time after `before` has come, and not too long ago."""
    due = next_due(chosen, at, before)
    # Seen in UTC, as datetimes of one zone are compared by what their clocks show.
    return due is not None and timedelta() <= now.astimezone(UTC) - due.astimezone(UTC) <= _LATEST


def local_zone(path: Path = Path("/etc/localtime")) -> tzinfo:
    """Return the zone that the device is set to; UTC where that cannot be read."""
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


@dataclass(frozen=True, kw_only=True)
class Restarts:
    """What a scheduler can set in motion; both return at once and may raise a `HostError`."""

    service: Callable[[], None]
    device: Callable[[], None]


class Scheduler:
    """Restarts at due times; `tick` is to be called every minute or more often, always by one thread.

    Nothing is kept on the disk: what was restarted less than an hour ago is not restarted again, so that no due
    time counts twice, whatever the clock does in between.
    """

    def __init__(
        self,
        settings: Callable[[], HousekeepingSettings],
        clock: Clock,
        restarts: Restarts,
        zone: Callable[[], tzinfo] = local_zone,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._restarts = restarts
        self._zone = zone
        self._began_s = clock.boot_s()
        self._before: datetime | None = None  # the last tick with a clock that could be trusted
        self._problem = ""

    def tick(self) -> None:
        """Restart what has become due since the last tick; at most one of the two."""
        if not self._clock.wall_is_trusted():
            self._before = None
            return
        now = datetime.fromtimestamp(self._clock.wall_s(), self._zone())
        before, self._before = self._before or now, now
        settings = self._settings()
        if was_due(settings.restart_device, settings.restart_device_at, before, now):
            self._restart("device", self._restarts.device, self._clock.boot_s())
        elif was_due(settings.restart_service, settings.restart_service_at, before, now):
            self._restart("service", self._restarts.service, self._clock.boot_s() - self._began_s)

    def checks(self) -> Iterable[Check]:
        """Say what is due next."""
        if self._problem:
            yield Check(
                name="housekeeping",
                level=Level.YELLOW,
                finding=self._problem,
                advice="It is tried again at the next due time. If that fails too, restart the device by hand.",
            )
            return
        trusted = self._clock.wall_is_trusted()
        finding = ", ".join(self._plans()) or "no restart is planned"
        if trusted or finding.startswith("no"):
            yield Check(name="housekeeping", level=Level.GREEN, finding=finding)
            return
        yield Check(
            name="housekeeping",
            level=Level.YELLOW,
            finding="planned restarts rest while the clock is wrong",
            advice="Set the time.",
        )

    def _plans(self) -> Iterable[str]:
        settings = self._settings()
        now = datetime.fromtimestamp(self._clock.wall_s(), self._zone())
        for what, chosen, at in (
            ("service", settings.restart_service, settings.restart_service_at),
            ("device", settings.restart_device, settings.restart_device_at),
        ):
            if (due := next_due(chosen, at, now)) is not None:
                yield f"{what} restarts {due:%Y-%m-%d %H:%M}"

    def _restart(self, what: str, restart: Callable[[], None], age_s: float) -> None:
        fields: dict[str, object] = {"what": what}
        if age_s < _SHORTEST_LIFE_S:
            log.info("a planned restart is left out, it has just started", extra={"fields": fields})
            return
        log.info("a planned restart begins", extra={"fields": fields})
        try:
            restart()
        except HostError as error:
            self._problem = f"the {what} could not be restarted: {error}"
            log.error("a planned restart failed", extra={"fields": fields | {"reason": str(error)}})  # noqa: TRY400
        else:
            self._problem = ""
