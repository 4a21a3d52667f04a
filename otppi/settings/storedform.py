"""The form in which the values of a section lie in its file: sealed, and without factory values."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from otppi.lib.secretbox import CannotOpen, DeviceBox
from otppi.model.errors import SettingsError
from otppi.settings.paths import check_item_id
from otppi.settings.section import Section, assemble

Raw = Mapping[str, Any]


def is_sealed(value: object) -> bool:
    """Whether a stored value is a sealed secret."""
    return isinstance(value, dict) and isinstance(value.get("sealed"), str)


class StoredForm:
    """Turns items of one section into what is stored of them, and back."""

    def __init__(self, section: type[Section], box: DeviceBox) -> None:
        self._section = section
        self._box = box

    def encoded(
        self, item_id: str, item: Section, before: Raw, old: Section | None, named: Collection[str] = ()
    ) -> Raw:
        """Return what to store of an item.

        Args:
            item_id: Its id.
            item: Its values.
            before: What is stored of it now; unknown settings are taken over, and seals of unchanged values.
            old: The values that `before` means.
            named: Settings that were given by name, so that an empty secret is meant and not just lost.

        Raises:
            OSError: The key for the secrets cannot be made.
        """
        stored = {name: value for name, value in before.items() if name not in self._section.declared}
        for setting in self._section.describe():
            name, value = setting.name, getattr(item, setting.name)
            if setting.is_sealed:
                is_same = old is not None and getattr(old, name) == value
                if is_same and is_sealed(before.get(name)) and (value or name not in named):
                    stored[name] = before[name]
                elif value:
                    stored[name] = {"sealed": self._box.seal(value, self._context(item_id, name))}
            elif setting.required or value != setting.default:
                stored[name] = list(value) if isinstance(value, tuple) else value
        return stored

    def settled(
        self, item_id: str, raw: Raw, spare: Callable[[], Raw]
    ) -> tuple[Section | None, dict[str, str]]:
        """Make an item of what is valid in a stored one.

        A bad value is taken from `spare`, which is only asked for then, else from the factory.

        Returns:
            The item, or None if something is missing that has no factory value; and what was bad.
        """
        if self._section.many:
            try:
                check_item_id(self._section, item_id)
            except SettingsError:
                return None, {"": "has an impossible id and is left out"}
        known, lost = self._opened(item_id, raw)
        item, errors = assemble(self._section, known, lost)
        if item is not None:
            return item, {}
        bad: dict[str, str] = {}
        for source, whose in ((self._opened(item_id, spare())[0], "the previous"), ({}, "the factory")):
            for name, reason in errors.items():
                known.pop(name, None)
                if name in source:
                    known[name] = source[name]
                bad[name] = f"{reason}; {whose} value took its place"
            item, errors = assemble(self._section, known, lost)
            if item is not None:
                return item, bad
        if self._section.many:
            return None, {
                **bad,
                **{name: f"{reason}; the item is left out" for name, reason in errors.items()},
            }
        return self._section(), bad

    def _opened(self, item_id: str, raw: Raw) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values that this release knows, and beside them the secrets that do not open, empty."""
        known: dict[str, Any] = {}
        lost: dict[str, Any] = {}
        for name, value in raw.items():
            setting = self._section.declared.get(name)
            if setting is None:
                continue
            if setting.is_sealed and is_sealed(value):
                try:
                    known[name] = self._box.open(value["sealed"], self._context(item_id, name))
                except CannotOpen:
                    lost[name] = ""
            else:
                known[name] = value
        return known, lost

    def _context(self, item_id: str, name: str) -> str:
        # A sealed value that somebody copies to another place does not open there.
        return f"{self._section.key}.{item_id}.{name}"
