"""All settings as one document, to keep or to take to another device."""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from otppi.lib.secretbox import SALT_BYTES, CannotOpen, passphrase_key, seal, unseal
from otppi.model.errors import SettingsError
from otppi.settings.fields import Kind, Setting
from otppi.settings.paths import ONLY, check_item_id, dotted, under
from otppi.settings.section import Section, assemble, shown_value, values_of
from otppi.settings.store import SettingsStore

FORMAT = "otppi-settings"
VERSION = 1
_KDF = "scrypt-2^15-8-1 aes-256-gcm"
_SHORTEST_PASSPHRASE = 8

Changes = Mapping[type[Section], Mapping[str, Section]]


class WrongPassphrase(SettingsError):
    """The passphrase is not the one that the document was sealed with, or there is none."""

    def __init__(self, reason: str) -> None:
        super().__init__({"passphrase": reason})


@dataclass
class ImportReport:
    """What an import did; every entry is a dotted name."""

    changed: list[str] = field(default_factory=list)  # sections
    kept: list[str] = field(default_factory=list)  # secrets that the document omits; the present ones stay
    missing: list[str] = field(default_factory=list)  # secrets that the document omits; empty now
    left_out: list[str] = field(default_factory=list)  # items that cannot be without a secret that is omitted
    removed: list[str] = field(default_factory=list)  # items that the document does not have
    ignored: list[str] = field(default_factory=list)  # what this release does not know

    def as_json(self) -> dict[str, list[str]]:
        """Return the report for an API."""
        return asdict(self)


def export_settings(store: SettingsStore, passphrase: str | None) -> dict[str, Any]:
    """Return all settings as JSON values.

    With a passphrase, secrets and password hashes are sealed under it; without, they are left out and named.

    Raises:
        SettingsError: The passphrase is too short.
    """
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    key = None
    if passphrase is not None:
        if len(passphrase) < _SHORTEST_PASSPHRASE:
            raise SettingsError({"passphrase": f"must have at least {_SHORTEST_PASSPHRASE} characters"})
        salt = secrets.token_bytes(SALT_BYTES)
        key = passphrase_key(passphrase, salt)
        # The check tells a wrong passphrase from a damaged document, and works where there is no secret.
        document["seal"] = {
            "kdf": _KDF,
            "salt": base64.b64encode(salt).decode(),
            "check": seal(key, FORMAT, FORMAT),
        }
    omitted: list[str] = []
    document["sections"] = _sections(store, lambda item_id, item: _exported(item_id, item, key, omitted))
    document["omitted"] = omitted
    return document


def clear_settings(store: SettingsStore) -> dict[str, Any]:
    """Return all settings with every secret in the clear, for what is encrypted as a whole."""
    sections = _sections(store, lambda _, item: values_of(item))
    return {"format": FORMAT, "version": VERSION, "sections": sections}


def import_settings(
    store: SettingsStore, document: Mapping[str, Any], passphrase: str | None
) -> ImportReport:
    """Make the settings those of an exported document; sections that it does not have stay.

    Where the document omits a secret, the present one of the same item stays. An item that needs it and is
    new is left out; its section then loses no item, so that nobody is locked out.

    Raises:
        WrongPassphrase: The secrets in the document do not open with it.
        SettingsError: Something is not valid, or see `SettingsStore.replace`; nothing has changed.
    """
    with store.exclusively():
        changes, report = planned_import(store, document, passphrase)
        report.changed = [section.key for section in store.replace(changes)]
    return report


def planned_import(
    store: SettingsStore, document: Mapping[str, Any], passphrase: str | None
) -> tuple[Changes, ImportReport]:
    """Return what `import_settings` would put in place; valid as long as no other writer comes in between.

    Raises:
        WrongPassphrase, SettingsError: See `import_settings`; guards have not been asked.
    """
    reader = _Reader(store, document, _key(document, passphrase))
    sections = _mapping(document.get("sections"), "sections")
    known = {section.key: section for section in store.sections}
    reader.report.ignored += sorted(sections.keys() - known.keys())
    changes = {
        section: reader.items(section, _mapping(sections[key], key))
        for key, section in known.items()
        if key in sections
    }
    if reader.errors:
        raise SettingsError(reader.errors)
    return changes, reader.report


def _sections(store: SettingsStore, exported: Callable[[str, Section], dict[str, Any]]) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for section in store.sections:
        items = {item_id: exported(item_id, item) for item_id, item in store.items(section).items()}
        sections[section.key] = items if section.many else items[ONLY]
    return sections


def _exported(item_id: str, item: Section, key: bytes | None, omitted: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in item.describe():
        value = getattr(item, setting.name)
        path = _path(item, item_id, setting)
        if not setting.is_secret:
            values[setting.name] = shown_value(item, setting)
        elif value and key is not None:
            values[setting.name] = {"sealed": seal(key, value, path)}
        elif value:
            omitted.append(path)
    return values


def _path(item: Section | type[Section], item_id: str, setting: Setting) -> str:
    """Return the exact name of a setting; unlike `dotted` it hides nothing, because import compares it."""
    return ".".join(part for part in (item.key, item_id, setting.name) if part)


def _key(document: Mapping[str, Any], passphrase: str | None) -> bytes | None:
    if document.get("format") != FORMAT:
        raise SettingsError({"format": "these are not settings that were exported"})
    if document.get("version") != VERSION:
        raise SettingsError({"version": "the document was made by a newer release"})
    if "seal" not in document:
        return None
    if passphrase is None:
        raise WrongPassphrase("the document is sealed with one")
    seal_of = _mapping(document["seal"], "seal")
    if seal_of.get("kdf") != _KDF:
        raise SettingsError({"seal": "it was made in an unknown way"})
    try:
        key = passphrase_key(passphrase, base64.b64decode(str(seal_of.get("salt")), validate=True))
        unseal(key, str(seal_of.get("check")), FORMAT)
    except (ValueError, CannotOpen) as error:
        raise WrongPassphrase("is not the one that the document was sealed with") from error
    return key


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError({name: "must be an object"})
    return value


class _Reader:
    """Reads the sections of one document, and gathers all mistakes on the way."""

    def __init__(self, store: SettingsStore, document: Mapping[str, Any], key: bytes | None) -> None:
        self.errors: dict[str, str] = {}
        self.report = ImportReport()
        self._store = store
        self._key = key
        omitted = document.get("omitted", [])
        self._omitted = frozenset(map(str, omitted)) if isinstance(omitted, list) else frozenset()

    def items(self, section: type[Section], body: Mapping[str, Any]) -> Mapping[str, Section]:
        present = self._store.items(section)
        if not section.many:
            item = self._item(section, ONLY, body, present[ONLY])
            return present if item is None else {ONLY: item}
        left_out_before = len(self.report.left_out)
        items: dict[str, Section] = {}
        for item_id, raw in body.items():
            try:
                check_item_id(section, item_id)
                item = self._item(
                    section, item_id, _mapping(raw, dotted(section, item_id)), present.get(item_id)
                )
            except SettingsError as error:
                self.errors |= error.errors
                continue
            if item is not None:
                items[item_id] = item
        if len(self.report.left_out) > left_out_before:
            return {**present, **items}
        self.report.removed += [dotted(section, item_id) for item_id in present if item_id not in body]
        return items

    def _item(
        self, section: type[Section], item_id: str, raw: Mapping[str, Any], present: Section | None
    ) -> Section | None:
        known = self._opened(section, item_id, raw)
        trusted: dict[str, Any] = {}
        for setting in section.describe():
            path = _path(section, item_id, setting)
            if path not in self._omitted or setting.name in known:
                continue
            if present is None and setting.required:
                self.report.left_out.append(dotted(section, item_id))
                return None
            name = dotted(section, item_id, setting.name)
            if present is not None and getattr(present, setting.name):
                trusted[setting.name] = getattr(present, setting.name)
                self.report.kept.append(name)
            else:
                trusted[setting.name] = ""
                self.report.missing.append(name)
        item, errors = assemble(section, known, trusted)
        # What is wrong with a seal was found before, and is the reason for what seems wrong now.
        self.errors = under(dotted(section, item_id), errors) | self.errors
        return item

    def _opened(self, section: type[Section], item_id: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for name, value in raw.items():
            setting = section.declared.get(name)
            if setting is None or setting.kind is Kind.RETIRED:
                self.report.ignored.append(dotted(section, item_id, name))
                continue
            known[name] = value
            if self._key is not None and setting.is_secret and isinstance(value, Mapping):
                try:
                    known[name] = unseal(
                        self._key, str(value.get("sealed")), _path(section, item_id, setting)
                    )
                except CannotOpen:
                    self.errors[dotted(section, item_id, name)] = "the sealed value is damaged"
        return known
