"""Modems that were found: what is shown of them, how they come into the settings, what is advised."""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from otppi.gateway.policy import GeneralSettings
from otppi.lib.bus import Bus
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest, SettingsError
from otppi.model.events import DeviceNotice, ModemLearned, ModemStateChanged, SettingsChanged
from otppi.model.ports import Stick
from otppi.modems.finder import ModemFinder
from otppi.modems.pool import ModemPool
from otppi.modems.probe import FoundModem
from otppi.modems.settings import ModemSettings
from otppi.modems.whereabouts import Whereabouts
from otppi.services.administration import Administration
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)


class FoundModems:
    """The finder of a device, and what its owner sees and does about it."""

    def __init__(
        self,
        *,
        sticks: Callable[[], Sequence[Stick]],
        store: SettingsStore,
        pool: ModemPool,
        whereabouts: Whereabouts,
        bus: Bus,
        administration: Administration,
    ) -> None:
        """Compose; nothing is looked at yet."""
        self._store = store
        self._bus = bus
        self._administration = administration
        self._finder = ModemFinder(
            sticks=sticks,
            settings=lambda: store.items(ModemSettings),
            identities=lambda: {one.id: one.identity for one in pool.snapshot()},
            whereabouts=whereabouts,
            wake=pool.look_again,
            interval_s=lambda: store.get(GeneralSettings).modems_inspect_s,
            on_new=self._add_by_itself,
        )

    def start(self) -> None:
        """Begin to look, and to hear what comes and goes."""
        self._bus.subscribe("modem-finder", self._hear, DeviceNotice, SettingsChanged, ModemStateChanged)
        self._finder.start()

    def stop(self) -> None:
        """Look no more."""
        self._finder.stop()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return self._finder.died()

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the calls of the control socket; they take and return JSON values."""
        return {"modem.found": self.listed, "modem.look": self.look, "modem.use": self.use}

    @property
    def has_new(self) -> bool:
        """Whether a modem answers that the settings do not have."""
        return any(one.family is not None for one in self._finder.findings.new)

    def listed(self) -> dict[str, Any]:
        """Return what is plugged in and what is wrong with it."""
        findings, settings = self._finder.findings, self._store.items(ModemSettings)
        names = {
            place: settings[modem_id].name
            for place, modem_id in findings.owners.items()
            if modem_id in settings
        }
        return {
            "modems": [_shown(one, names.get(one.stick.place, "")) for one in findings.present],
            "problems": list(findings.problems),
        }

    def look(self) -> None:
        """Look anew which modems are plugged in; what was found shows some seconds later."""
        self._finder.look_soon()

    def use(
        self, modem: str, name: str, prefixes: Sequence[str] | None, is_default: bool | None
    ) -> dict[str, Any]:
        """Put a modem that was found into the settings, by its node or IMEI; a present name gets another modem."""
        found = [one for one in self._finder.findings.present if _is_meant(one, modem)]
        if len(found) != 1:
            raise BadRequest(
                "modem", "several are called so" if found else "no modem that was found is called so"
            )
        (one,) = found
        return dict(
            self._administration.put_modem(name, one.port.node, prefixes, is_default, one.identity.imei)
        )

    def checks(self) -> Iterable[Check]:
        """Say what was found and is not used, and what is wrong with what is plugged in."""
        findings = self._finder.findings
        for one in findings.new:
            if one.family is not None:
                yield Check(
                    name="new modem",
                    level=Level.YELLOW,
                    finding=f"{_make(one)} at {one.port.node} is not used yet",
                    advice=f"Use it: otppi modem use {one.port.node} --name NAME",
                )
        for problem in findings.problems:
            yield Check(
                name="modem ports",
                level=Level.YELLOW,
                finding=problem,
                advice="See all that is plugged in: otppi modem found",
            )

    def _hear(self, news: DeviceNotice | SettingsChanged | ModemStateChanged) -> None:
        if isinstance(news, SettingsChanged) and news.section == GeneralSettings.key:
            self._finder.look_soon()  # it may be to look more often
        else:
            self._finder.hear(news)

    def _add_by_itself(self, one: FoundModem) -> None:
        modems, imei = self._store.items(ModemSettings), one.identity.imei
        if not self._store.get(GeneralSettings).modems_auto_add or not imei:
            return
        if any(modem.imei == imei for modem in modems.values()):
            return  # a clone, which is for a person to look at
        raw = {"name": f"Modem {imei[-4:]}", "port": one.port.node, "imei": imei, "is_default": not modems}
        try:
            self._store.put(ModemSettings, uuid.uuid4().hex, raw)
        except SettingsError as error:
            log.warning("a new modem could not be added", extra={"fields": {"reason": str(error)}})


def learn(store: SettingsStore, learned: ModemLearned) -> None:
    """Keep the IMEI or ICCID that a modem told, unless its settings have one by now."""
    with store.exclusively():
        modem = store.items(ModemSettings).get(learned.modem_id)
        if modem is None:
            return
        told = {"imei": learned.imei, "iccid": learned.iccid}
        news = {name: value for name, value in told.items() if value and not getattr(modem, name)}
        if not news:
            return
        try:
            store.put(ModemSettings, learned.modem_id, news)
        except SettingsError as error:
            log.warning("what a modem told could not be kept", extra={"fields": {"reason": str(error)}})


def _shown(one: FoundModem, name: str) -> dict[str, Any]:
    imei = one.identity.imei
    return {
        "node": one.port.node,
        "family": one.family.name if one.family is not None else "",
        "make": _make(one),
        "revision": one.identity.revision,
        "imei": f"…{imei[-4:]}" if imei else "",
        "used_as": name,
        "problem": one.problem,
        "is_held": one.is_held,
        "why": one.why,
    }


def _make(one: FoundModem) -> str:
    return f"{one.identity.manufacturer} {one.identity.model}".strip() or one.stick.description or "a modem"


def _is_meant(one: FoundModem, words: str) -> bool:
    return one.identity.imei == words or any(port.answers_to(words) for port in one.stick.ports)
