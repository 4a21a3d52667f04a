"""Dynamic DNS as a part of the gateway: what pages, command line and diagnosis see of it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from otppi.ddns.interface import addresses_of, own_address
from otppi.ddns.keeper import Keeper, RecordStatus
from otppi.ddns.outcome import Address
from otppi.ddns.providers import provider
from otppi.ddns.public_address import Learnt, PublicAddress, ask_source
from otppi.ddns.schedule import Standing
from otppi.ddns.settings import AAAA, VENDORS, A, DdnsRecord, PublicAddressSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest
from otppi.model.events import SettingsChanged
from otppi.services.folders import StateFolder
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore
from otppi.system.schedule import local_zone

_SECTIONS: tuple[type[Section], ...] = (DdnsRecord, PublicAddressSettings, *VENDORS)
_KEYS = frozenset(section.key for section in _SECTIONS)
_LEVELS = {Standing.DONE: Level.GREEN, Standing.STOPPED: Level.RED}
_HOUR_S, _DAY_S = 3600.0, 86_400.0


class Ddns:
    """Builds its parts; nobody is asked while no record is active. Every method may be called from any thread."""

    def __init__(
        self,
        *,
        state: StateFolder,
        store: SettingsStore,
        bus: Bus,
        clock: Clock,
        key: bytes,
        interface_addresses: Callable[[str], Iterable[Address]] | None = None,
        own_address: Callable[[], Address | None] = own_address,
    ) -> None:
        """Take the parts of the gateway; the last two tell the addresses of the device, if not the system."""
        self._store = store
        self._bus = bus
        self._clock = clock
        self._public_address = PublicAddress(
            lambda: store.get(PublicAddressSettings),
            clock,
            ask=ask_source,
            interface_addresses=interface_addresses or addresses_of,
            own_address=own_address,
        )
        self._keeper = Keeper(
            file=state.ddns,
            store=store,
            bus=bus,
            clock=clock,
            key=key,
            public_address=self._public_address,
            provider=provider,
        )

    def start(self) -> None:
        """Begin to keep the names, and to hear of settings."""
        self._keeper.start()
        self._bus.subscribe("ddns", self._settings_changed, SettingsChanged)

    def stop(self) -> None:
        """End; what a vendor is being told is not waited for."""
        self._keeper.stop()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended by mistake."""
        return self._keeper.died()

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls of pages and command line."""
        return {"ddns.list": self.list, "ddns.update": self.update}

    def list(self) -> dict[str, Any]:
        """Return the public address as it was learnt last, and every record as it stands."""
        learnt = self._public_address.last()
        return {
            "address": {kind: self._shown_address(learnt.get(kind, Learnt())) for kind in (A, AAAA)},
            "records": [self._shown(record_id, one) for record_id, one in self._keeper.records().items()],
        }

    def update(self, record: str) -> dict[str, Any]:
        """Tell the vendor the address of a record now, by the record's id or name; waits for sources and vendor.

        A success ends a stop. Returns the record as it then stands, or what kept the vendor from being asked.
        """
        record_id = self._id_of(record)
        return self._shown(record_id, self._keeper.update_now(record_id))

    def checks(self) -> Iterable[Check]:
        """Look at the public address, and at every record that is active."""
        active = [one for one in self._keeper.records().values() if one.settings.active]
        learnt = self._public_address.last()
        for kind in sorted({one.settings.type for one in active}):
            if finding := learnt.get(kind, Learnt()).finding:
                yield Check(
                    name=f"public address {kind}",
                    level=Level.YELLOW,
                    finding=finding,
                    advice=learnt[kind].advice,
                )
        for one in active:
            yield Check(
                name=f"DDNS {one.settings.host} {one.settings.type}",
                level=_LEVELS.get(one.standing, Level.YELLOW),
                finding=self._points_to(one) if one.standing is Standing.DONE else one.said.finding,
                advice=one.said.advice,
            )

    def _settings_changed(self, change: SettingsChanged) -> None:
        if change.section in _KEYS:
            self._keeper.apply()

    def _id_of(self, record: str) -> str:
        records = self._store.items(DdnsRecord)
        if record in records:
            return record
        found = [record_id for record_id, one in records.items() if one.host == record.lower()]
        if len(found) > 1:
            raise BadRequest("record", f"several records have this name; say which: {', '.join(found)}")
        return found[0] if found else record

    def _points_to(self, one: RecordStatus) -> str:
        age_s = self._clock.wall_s() - (one.updated_at_s or 0.0)
        return f"points to {one.address}, confirmed {_age(age_s)}"

    def _shown(self, record_id: str, one: RecordStatus) -> dict[str, Any]:
        return {
            "id": record_id,
            "host": one.settings.host,
            "type": one.settings.type,
            "provider": one.settings.provider,
            "active": one.settings.active,
            "state": one.standing.value,
            "finding": one.said.finding,
            "advice": one.said.advice,
            "word": one.said.word,
            "address": one.address,
            "updated_at": _shown_moment(one.updated_at_s),
            "next_at": _shown_moment(one.next_at_s),
        }

    def _shown_address(self, learnt: Learnt) -> dict[str, Any]:
        return {
            "address": str(learnt.address) if learnt.address is not None else "",
            "finding": learnt.finding,
            "advice": learnt.advice,
            "at": _shown_moment(learnt.at_wall_s or None),
        }


def _age(age_s: float) -> str:
    for unit_s, text in ((_DAY_S, "{} days ago"), (_HOUR_S, "{} hours ago"), (60.0, "{} minutes ago")):
        if age_s >= 2 * unit_s:
            return text.format(int(age_s // unit_s))
    return "just now"


def _shown_moment(wall_s: float | None) -> str | None:
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, local_zone()).isoformat(timespec="seconds")
