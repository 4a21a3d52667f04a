"""Looks which modems are plugged in, and which of the settings each of them is."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.events import DeviceNotice, ModemStateChanged, SettingsChanged
from otppi.model.modems import Identity, ModemState
from otppi.model.ports import SerialPort, Stick
from otppi.modems import probe
from otppi.modems.families import family_of
from otppi.modems.matching import match
from otppi.modems.ports import candidates, left_out, why_without_port
from otppi.modems.probe import FoundModem
from otppi.modems.settings import ModemSettings
from otppi.modems.transport import SerialLine
from otppi.modems.whereabouts import Place, Whereabouts

log = logging.getLogger(__name__)

# The ports of a stick show themselves one after another, and a modem that starts takes its own first.
_SETTLE_S = 1.0
_LONGEST_SETTLE_S = 5.0  # something that flaps does not keep us from looking
_KINDS = frozenset({"serial", "network", "storage"})
_NEVER_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was there when it was last looked."""

    present: tuple[FoundModem, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)  # modem ids by the place of a stick
    new: tuple[FoundModem, ...] = ()  # not in the settings
    problems: tuple[str, ...] = ()  # what a person should look at, in words


class ModemFinder:
    """Does it on the thread `modem-finder`; every method may be called from any thread."""

    def __init__(
        self,
        *,
        sticks: Callable[[], Sequence[Stick]],
        settings: Callable[[], Mapping[str, ModemSettings]],
        identities: Callable[[], Mapping[str, Identity]],
        whereabouts: Whereabouts,
        wake: Callable[[Sequence[str]], None],
        interval_s: Callable[[], float],
        on_new: Callable[[FoundModem], None] = lambda _: None,
    ) -> None:
        """Take what is there, what is wanted and who is to hear of it.

        Args:
            sticks: Tells what is plugged in.
            settings: All modems of the settings by id.
            identities: What our own modems told of themselves.
            whereabouts: Is told where each is.
            wake: Called with the ids of modems that should look for their port.
            interval_s: How often it is looked without news; 0 for never.
            on_new: Called with each new modem that answers, each time it is seen.
        """
        self._sticks = sticks
        self._settings = settings
        self._identities = identities
        self._whereabouts = whereabouts
        self._wake = wake
        self._interval_s = interval_s
        self._on_new = on_new
        self.findings = Findings()
        self._wakeup = Wakeup()
        self._moved_at_s = 0.0  # monotonic: when a device came or went last
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modem-finder", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the port that it asks."""
        self._stop.set()
        self._wakeup.ring()
        if self._thread.ident is not None:
            self._thread.join()
        self._wakeup.close()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stop.is_set())

    def hear(self, news: DeviceNotice | SettingsChanged | ModemStateChanged) -> None:
        """Look soon, if the news is of modems; for a subscriber of the bus."""
        match news:
            case DeviceNotice():
                matters = news.kind in _KINDS
                self._moved_at_s = time.monotonic()
            case SettingsChanged():
                matters = news.section == ModemSettings.key
            case _:
                matters = news.state is ModemState.ABSENT
        if matters:
            self.look_soon()

    def look_soon(self) -> None:
        """Look when devices have come to rest, and ask anew how often to look; returns at once."""
        if not self._stop.is_set():
            self._wakeup.ring()

    def look(self) -> None:
        """Look once, and tell everybody; waits up to some seconds for each port that does not answer."""
        settings = self._settings()
        dialled = [one for one in settings.values() if one.active and one.internet_access]
        present: list[FoundModem] = []
        problems: list[str] = []
        for stick in self._sticks():
            if any(_answers(stick, one.port) for one in dialled):
                continue  # it is pppd's
            if why := why_without_port(stick):
                problems.append(why)
            if found := self._meet(stick, settings):
                present.append(found)
        used = {one: each for one, each in settings.items() if each.active and not each.internet_access}
        matching = match(used, present)
        # An inactive modem gets what nobody else is.
        resting = {one: each for one, each in settings.items() if not each.active}
        rest = match(resting, matching.new)
        self.findings = Findings(
            present=tuple(present),
            owners={
                one.stick.place: modem_id for modem_id, one in (*matching.found.items(), *rest.found.items())
            },
            new=rest.new,
            problems=(*matching.conflicts, *problems),
        )
        self._settle(used, matching.found, present)
        for one in rest.new:
            if one.family is not None:
                self._on_new(one)

    def _meet(self, stick: Stick, settings: Mapping[str, ModemSettings]) -> FoundModem | None:
        if (own := self._own(stick, settings)) is not None:
            return own
        choices = [
            choice
            for choice in candidates(stick)
            if not choice.only_if_named or any(_answers(stick, one.port) for one in settings.values())
        ]
        line = next((one.line for one in settings.values() if _answers(stick, one.port)), SerialLine())
        found = probe.find(stick, choices, line)
        # Meanwhile one of our own modems may have been faster.
        return self._own(stick, settings) or found

    def _own(self, stick: Stick, settings: Mapping[str, ModemSettings]) -> FoundModem | None:
        """Return a stick that one of our modems has open, as that modem; it is not asked again."""
        for modem_id, node in self._whereabouts.claims.items():
            port = next((port for port in stick.ports if port.answers_to(node)), None)
            if port is not None and modem_id in settings:
                return _as_own(stick, port, settings[modem_id], self._identities().get(modem_id, Identity()))
        return None

    def _settle(
        self,
        settings: Mapping[str, ModemSettings],
        found: Mapping[str, FoundModem],
        present: Sequence[FoundModem],
    ) -> None:
        places = {
            modem_id: Place(node=one.port.node, stick=one.stick.place, usb=one.stick.usb, why=one.why)
            for modem_id, one in found.items()
        }
        claims = self._whereabouts.claims
        for modem_id, one in settings.items():
            if modem_id not in found and (stranger := _at(one.port, present)):
                tail = stranger.identity.imei[-4:]
                why = f"at {one.port} is another modem (IMEI …{tail}), and its own is not plugged in"
                places[modem_id] = Place(node="", why=why)
        moved = self._whereabouts.settle(places)
        waiting = [modem_id for modem_id in places if modem_id in moved or modem_id not in claims]
        if waiting:
            self._wake(waiting)

    def _run(self) -> None:
        while self._let_settle():
            self._wakeup.clear()  # what comes from now on is looked at again
            try:
                self.look()
            except Exception:
                # What devices tell of themselves may be made to confuse.
                log.exception("looking for modems failed")
            self._wakeup.wait(self._interval_s() or _NEVER_S)

    def _let_settle(self) -> bool:
        """Wait until no device has come or gone for a moment; False if it is time to stop."""
        latest_s = time.monotonic() + _LONGEST_SETTLE_S
        rest_s = _SETTLE_S
        while rest_s > 0:
            if self._stop.wait(rest_s):
                return False
            rest_s = min(self._moved_at_s + _SETTLE_S, latest_s) - time.monotonic()
        return True


def _answers(stick: Stick, name: str) -> bool:
    return bool(name) and any(port.answers_to(name) for port in stick.ports)


def _at(name: str, present: Sequence[FoundModem]) -> FoundModem | None:
    return next((one for one in present if one.identity.imei and _answers(one.stick, name)), None)


def _as_own(stick: Stick, port: SerialPort, settings: ModemSettings, told: Identity) -> FoundModem:
    why = next(choice.why for choice in (*candidates(stick), *left_out(stick)) if choice.port == port)
    return FoundModem(
        stick=stick,
        port=port,
        why=f"{why}; it is in use there",
        family=family_of(stick.usb, told.manufacturer, told.model),
        identity=Identity(
            manufacturer=told.manufacturer,
            model=told.model,
            revision=told.revision,
            imei=settings.imei or told.imei,
        ),
    )
