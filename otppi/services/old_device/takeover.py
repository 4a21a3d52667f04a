"""Takes over what an old device was set to: shows it first, then does it all or not at all."""

import base64
import binascii
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from otppi.ddns.settings import DdnsRecord
from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.policy import SmsSettings
from otppi.mail.settings import EmailAccountSettings
from otppi.model.errors import BadRequest, SettingsError
from otppi.modems.settings import ModemSettings
from otppi.services.folders import StateFolder
from otppi.services.network_before import NETWORK_SECTIONS
from otppi.services.old_device.files import LARGEST_BYTES, read_files
from otppi.services.old_device.reading import Note, Raw, Translation
from otppi.services.old_device.translation import translated
from otppi.services.sections import refuse_bad_network, refuse_shared_hosts
from otppi.services.whole_change import WholeChange
from otppi.settings.fields import NotAccepted
from otppi.settings.paths import check_item_id, dotted
from otppi.settings.section import S, Section, assemble, shown_value, values_of
from otppi.settings.store import Joint, SettingsStore
from otppi.system.network.settings import DhcpSettings, EthernetSettings, WlanSettings
from otppi.vendors.settings import VendorRouteSettings

# More lines nobody reads; a block list may have thousands.
_MOST_SHOWN: Final = 200
_LONGEST_SHOWN: Final = 100
_NAME_IS_TAKEN: Final = "another account or a modem has this name"
# By what people know an item, where that is not its id.
_NAMES: Final[Mapping[type[Section], str]] = {
    ModemSettings: "name",
    EmailAccountSettings: "name",
    DdnsRecord: "host",
}
# What is left out first of network settings that do not fit together.
_NETWORK_TRIES: Final[tuple[tuple[type[Section], ...], ...]] = (
    (),
    (EthernetSettings,),
    (DhcpSettings,),
    (EthernetSettings, DhcpSettings),
    (EthernetSettings, DhcpSettings, WlanSettings),
)


class OldDevice:
    """Reads the settings folder of an old device; every method takes and returns JSON values."""

    def __init__(self, state: StateFolder, store: SettingsStore) -> None:
        """Take the folder and its settings."""
        self._store = store
        self._change = WholeChange(state, store, renewed=lambda: None)

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that command line and pages may make."""
        return {"old_device.read": self.read, "old_device.apply": self.apply}

    def read(self, content: str) -> dict[str, Any]:
        """Say what would be taken over, what would not and why; nothing is changed.

        Args:
            content: A ZIP or .tar.gz of /resource/data of the old device, or one JSON file of it, in base64.
        """
        return self._plan(content).as_json(self._store)

    def apply(self, content: str, parts: Sequence[str]) -> dict[str, Any]:
        """Take over these parts, all of them or nothing; the network is on trial afterwards, as after any change.

        Args:
            content: The same file.
            parts: Keys of sections that `read` named.
        """
        with self._store.exclusively():
            plan = self._plan(content)
            known = {section.key: section for section in plan.items}
            if unknown := sorted(set(parts) - known.keys()):
                raise BadRequest("parts", f"this is not in the file: {', '.join(unknown)}")
            wanted = [section for key, section in known.items() if key in parts]
            changes = {section: {**self._store.items(section), **plan.items[section]} for section in wanted}
            changed = self._change.make(changes)
        return {
            "changed": changed,
            "network_changed": any(section.key in changed for section in NETWORK_SECTIONS),
        }

    def _plan(self, content: str) -> "_Plan":
        if len(content) > LARGEST_BYTES * 4 // 3 + 4:
            raise BadRequest("content", f"is larger than {LARGEST_BYTES >> 20} MB")
        try:
            data = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest("content", "is not in base64") from error
        found = translated(read_files(data), self._store.get(SmsSettings).country_code)
        return _Planner(self._store, found).plan()


@dataclass
class _Plan:
    """What would be in place afterwards, of what the files name."""

    sources: Mapping[type[Section], str]
    left: list[Note]
    unclear: list[Note]
    items: dict[type[Section], dict[str, Section]] = field(default_factory=dict)
    clashes: list[Note] = field(default_factory=list)

    def as_json(self, store: SettingsStore) -> dict[str, Any]:
        return {
            "parts": [self._part(store, section) for section in store.sections if section in self.items],
            "left": _told(self.left),
            "unclear": _told(self.unclear),
            "clashes": _told(self.clashes),
        }

    def _part(self, store: SettingsStore, section: type[Section]) -> dict[str, Any]:
        values = [
            row
            for item_id, item in self.items[section].items()
            for row in _rows(section, item_id, store.items(section).get(item_id), item)
        ]
        return {
            "key": section.key,
            "title": section.title,
            "file": self.sources[section],
            "is_network": section in NETWORK_SECTIONS,
            "items": len(self.items[section]) if section.many else None,
            "values": values[:_MOST_SHOWN],
            "more": max(0, len(values) - _MOST_SHOWN),
        }


class _Planner:
    """Lays what was found over what is there."""

    def __init__(self, store: SettingsStore, found: Translation) -> None:
        self._store = store
        self._found = found
        self._result = _Plan(found.sources, found.left, found.unclear)

    def plan(self) -> _Plan:
        for section, raw_items in self._found.raw.items():
            for called, raw in raw_items.items():
                if section in (Administrator, ApiUser) and called in self._store.items(section):
                    # A password that was renewed since must not be undone.
                    self._clash(section, called, "the account is there already, and stays as it is")
                elif section is ModemSettings:
                    self._modem(called, raw)
                elif section is DdnsRecord:
                    self._record(called, raw)
                elif section is EmailAccountSettings and self._is_taken(
                    section, called, {called, str(raw["name"])}
                ):
                    self._clash(section, str(raw["name"]), _NAME_IS_TAKEN)
                else:
                    self._item(section, called, called, raw)
        self._fit_network()
        return self._result

    def _modem(self, name: str, raw: Raw) -> None:
        present = self._store.items(ModemSettings)
        imei = raw.get("imei")
        same = [one_id for one_id, one in present.items() if imei and one.imei == imei]
        same += [one_id for one_id, one in present.items() if one.name == name and one_id not in same]
        modem_id = same[0] if same else uuid.uuid4().hex
        known = present.get(modem_id)
        if known is not None and imei and known.imei and known.imei != imei:
            self._clash(ModemSettings, name, "another modem here has this name")
            return
        others = {**present, **self._modems()}
        others.pop(modem_id, None)
        if self._is_taken(ModemSettings, modem_id, {name}):
            self._clash(ModemSettings, name, _NAME_IS_TAKEN)
            return
        item = self._made(ModemSettings, modem_id, name, raw)
        if item is None:
            return
        if any(_share_a_port(item, one) for one in others.values()):
            self._clash(ModemSettings, name, f"another modem has the port {item.port}")
            return
        self._take(ModemSettings, modem_id, item)

    def _record(self, record_id: str, raw: Raw) -> None:
        item = self._made(DdnsRecord, record_id, record_id, raw)
        if item is None:
            return
        planned = self._result.items.get(DdnsRecord, {})
        others = {one: other for one, other in planned.items() if isinstance(other, DdnsRecord)}
        try:
            refuse_shared_hosts({**self._store.items(DdnsRecord), **others, record_id: item})
        except SettingsError as error:
            self._clash(DdnsRecord, item.host, next(iter(error.errors.values())))
            return
        self._take(DdnsRecord, record_id, item)

    def _modems(self) -> dict[str, ModemSettings]:
        planned = self._result.items.get(ModemSettings, {})
        return {one_id: one for one_id, one in planned.items() if isinstance(one, ModemSettings)}

    def _is_taken(self, section: type[Section], item_id: str, names: set[str]) -> bool:
        """Whether something else that sends has one of these names, or will have."""
        for one in (ModemSettings, VendorRouteSettings, EmailAccountSettings):
            items: Mapping[str, Any] = {**self._store.items(one), **self._result.items.get(one, {})}
            for key, item in items.items():
                if (one, key) != (section, item_id) and names & {key, item.name}:
                    return True
        return False

    def _item(self, section: type[Section], item_id: str, called: str, raw: Raw) -> None:
        item = self._made(section, item_id, called, raw)
        if item is not None:
            self._take(section, item_id, item)

    def _made(self, section: type[S], item_id: str, called: str, raw: Raw) -> S | None:
        """Return the item, without what cannot be; None if it cannot be without that."""
        present = self._store.items(section).get(item_id)
        try:
            if section.many:
                check_item_id(section, item_id)
        except SettingsError as error:
            self._note_all(section, called, error.errors)
            return None
        good = dict(raw)
        for name, value in raw.items():
            try:
                section.declared[name].read(value)
            except NotAccepted as reason:
                self._note_all(section, called, {name: str(reason)})
                del good[name]
        item, errors = assemble(section, good, values_of(present) if present is not None else {})
        self._note_all(section, called, errors)
        return item

    def _fit_network(self) -> None:
        """Leave out what does not fit to the rest; the factory's networks of the old product overlapped."""
        planned = {section: self._result.items.get(section, {}) for section in NETWORK_SECTIONS}
        for leaving_out in _NETWORK_TRIES:
            items = {
                section: self._store.items(section)
                if section in leaving_out
                else {**self._store.items(section), **planned[section]}
                for section in NETWORK_SECTIONS
            }
            try:
                refuse_bad_network(Joint(items))
            except SettingsError as error:
                refusal = str(error)
                continue
            for section in leaving_out:
                if self._result.items.pop(section, None) is not None:
                    self._clash(section, section.title, f"stays as it is, as it would not fit: {refusal}")
            return

    def _take(self, section: type[Section], item_id: str, item: Section) -> None:
        self._result.items.setdefault(section, {})[item_id] = item

    def _clash(self, section: type[Section], called: str, reason: str) -> None:
        self._result.clashes.append(Note(self._found.sources[section], called, reason))

    def _note_all(self, section: type[Section], called: str, errors: Mapping[str, str]) -> None:
        for name, reason in errors.items():
            where = f"{dotted(section, called)}.{name}" if name in section.declared else name
            self._result.unclear.append(Note(self._found.sources[section], where, reason))


def _share_a_port(one: ModemSettings, other: ModemSettings) -> bool:
    if not (one.active and other.active and one.port) or one.device != other.device:
        return False
    return not (one.imei and other.imei and one.imei != other.imei)


def _rows(
    section: type[Section], item_id: str, present: Section | None, item: Section
) -> Iterator[dict[str, Any]]:
    called = str(getattr(item, _NAMES[section])) if section in _NAMES else dotted(section, item_id)
    factory = {setting.name: setting.default for setting in section.describe()}
    for setting in section.describe():
        value = getattr(item, setting.name)
        before = factory[setting.name] if present is None else getattr(present, setting.name)
        if value == before:
            continue
        yield {
            "item": called if section.many else "",
            "name": setting.name,
            "title": setting.title,
            "now": None if present is None else shown_value(present, setting),
            "new": shown_value(item, setting),
            "is_secret": setting.is_secret,
        }


def _told(notes: Sequence[Note]) -> list[dict[str, str]]:
    return [
        {name: value[:_LONGEST_SHOWN] if name != "reason" else value for name, value in asdict(note).items()}
        for note in notes[:_MOST_SHOWN]
    ]
