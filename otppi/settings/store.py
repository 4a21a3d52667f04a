"""The settings of a device: read without waiting, changed one at a time, kept in plain files."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from otppi.lib.bus import Bus
from otppi.lib.secretbox import DeviceBox
from otppi.model.errors import SettingsError, SettingsNotSaved
from otppi.model.events import SettingsChanged
from otppi.settings.paths import ONLY, check_item_id, dotted, locate, under, unknown_item
from otppi.settings.section import S, Section, assemble, shown, shown_value, values_of
from otppi.settings.sectionfile import Content, SectionFile

log = logging.getLogger(__name__)

Guard = Callable[[Any, Any], None]
JointGuard = Callable[["Joint"], None]


class Joint:
    """Several sections as they would be together after a change."""

    def __init__(self, items: Mapping[type[Section], Mapping[str, Section]]) -> None:
        self._items = items

    def get(self, section: type[S]) -> S:
        """Return a section that exists once."""
        return cast("S", self._items[section][ONLY])

    def items(self, section: type[S]) -> Mapping[str, S]:
        """Return all items of a section by id."""
        return cast("Mapping[str, S]", self._items[section])


class SettingsStore:
    """Holds all sections; owns the folders `settings` and, for the key of secrets, `keys`.

    Reading takes no lock, and what was read never changes. Writers wait for each other; a change is checked
    whole, shown to the guards, on the disk, and only then seen by readers and told on the bus.
    """

    def __init__(
        self,
        state_dir: Path,
        sections: Sequence[type[Section]],
        bus: Bus | None,
        *,
        read_only: bool = False,
    ) -> None:
        """Load every section; damaged files cost what they held (see `problems`), never the start.

        Args:
            state_dir: The folder.
            sections: What is in it.
            bus: Hears of changes.
            read_only: For whoever does not own the folder: nothing in it is mended, sealed or saved.
        """
        self.sections = tuple(sections)
        if len({section.key for section in self.sections}) != len(self.sections):
            raise ValueError("two sections have one key")
        self._bus = bus
        self._lock = threading.RLock()
        box = DeviceBox(state_dir / "keys" / "settings.key")
        self._files = {
            section: SectionFile(state_dir / "settings", section, box, read_only=read_only)
            for section in self.sections
        }
        self._contents = {section: file.load() for section, file in self._files.items()}
        self._guards: dict[type[Section], list[Guard]] = {section: [] for section in self.sections}
        self._joint_guards: list[tuple[frozenset[type[Section]], JointGuard]] = []

    @property
    def problems(self) -> Mapping[str, str]:
        """What was damaged or lost and not saved again since: dotted name to reason."""
        found: dict[str, str] = {}
        for section, file in self._files.items():
            found |= file.problems(self._contents[section])
        return found

    def get(self, section: type[S]) -> S:
        """Return a section that exists once; cheap enough for every message."""
        return cast("S", self._contents[section].items[ONLY])

    def items(self, section: type[S]) -> Mapping[str, S]:
        """Return all items of a section by id, oldest first; cheap enough for every message."""
        return cast("Mapping[str, S]", self._contents[section].items)

    def update(self, section: type[S], raw: Mapping[str, object]) -> S:
        """Lay raw values over the present ones of a section that exists once.

        Raises:
            SettingsError: Something is not valid, refused by a guard or not to be saved; nothing has changed.
        """
        _expect(section, many=False)
        return self._merge(section, ONLY, raw)

    def put(self, section: type[S], item_id: str, raw: Mapping[str, object]) -> S:
        """Lay raw values over those of an item; makes the item if there is none of this id.

        Raises:
            SettingsError: See `update`.
        """
        _expect(section, many=True)
        check_item_id(section, item_id)
        return self._merge(section, item_id, raw)

    def remove(self, section: type[Section], item_id: str) -> None:
        """Remove an item.

        Raises:
            SettingsError: There is none of this id, or see `update`.
        """
        _expect(section, many=True)
        with self._lock:
            items = dict(self.items(section))
            if item_id not in items:
                raise unknown_item(section, item_id, items)
            del items[item_id]
            self.replace({section: items})

    def reset(self, section: type[Section]) -> None:
        """Go back to the factory value of a section and leave no copy of the old one on the disk.

        Raises:
            SettingsError: See `update`.
        """
        with self._lock:
            old = self._contents[section]
            factory: Mapping[str, Section] = {} if section.many else {ONLY: section()}
            if factory != old.items:
                self._ask_guards({section: factory})
            try:
                self._contents[section] = self._files[section].remove()
            except OSError as error:
                raise _not_saved(section, error) from error
            if factory != old.items:
                self._tell(section)

    def replace(self, changes: Mapping[type[Section], Mapping[str, Section]]) -> tuple[type[Section], ...]:
        """Put valid items in the place of all present ones, in every section given or in none.

        A section that exists once has a single item, of the id `ONLY`.

        Returns:
            The sections that are not as before.

        Raises:
            SettingsError: A guard refused, or the disk; nothing has changed.
        """
        with self._lock:
            return self._apply({section: (items, ()) for section, items in changes.items()})

    def exclusively(self) -> AbstractContextManager[object]:
        """Keep other writers out for the duration of a block."""
        return self._lock

    def guard(self, section: type[Section], allow: Callable[[Any, Any], None]) -> None:
        """Ask `allow(old, new)` before every change; it refuses by raising SettingsError.

        It gets two sections, or two mappings of items where there are many, on the thread of the writer.
        """
        self._guards[section].append(allow)

    def guard_together(self, sections: Sequence[type[Section]], allow: JointGuard) -> None:
        """Ask `allow` before every change of any of these sections; it sees all of them as they would be.

        It refuses by raising SettingsError, on the thread of the writer.
        """
        self._joint_guards.append((frozenset(sections), allow))

    def get_path(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a dotted name leads to, as JSON; of a secret only whether it is set.

        Raises:
            SettingsError: It leads nowhere.
        """
        place = locate(path, self.sections, self.items)
        items = self.items(place.section)
        if place.item_id is None:
            return {item_id: shown(item) for item_id, item in items.items()}
        if place.setting is None:
            return shown(items[place.item_id])
        return shown_value(items[place.item_id], place.setting)

    def set_path(self, path: str, value: object) -> None:
        """Change the one setting that a dotted name leads to; see `set_paths`."""
        self.set_paths({path: value})

    def set_paths(self, values: Mapping[str, object]) -> tuple[type[Section], ...]:
        """Change the settings that dotted names lead to, all of them or none.

        Returns:
            The sections that are not as before.

        Raises:
            SettingsError: One leads nowhere, or see `update`.
        """
        with self._lock:
            wanted: dict[tuple[type[Section], str], dict[str, object]] = {}
            for path, value in values.items():
                place = locate(path, self.sections, self.items)
                if place.setting is None or place.item_id is None:
                    where = dotted(place.section, place.item_id or ONLY)
                    raise SettingsError({where: "name one setting, such as SECTION.KEY or SECTION.ITEM.KEY"})
                wanted.setdefault((place.section, place.item_id), {})[place.setting.name] = value
            changes: dict[type[Section], tuple[dict[str, Section], tuple[str, ...]]] = {}
            errors: dict[str, str] = {}
            for (section, item_id), raw in wanted.items():
                items, named = changes.get(section, (dict(self.items(section)), ()))
                try:
                    items[item_id] = self._assembled(section, item_id, raw)
                except SettingsError as error:
                    errors.update(error.errors)
                changes[section] = (items, (*named, *raw))
            if errors:
                raise SettingsError(errors)
            return self._apply(changes)

    def _assembled(self, section: type[S], item_id: str, raw: Mapping[str, object]) -> S:
        present = self.items(section).get(item_id)
        made, errors = assemble(section, raw, values_of(present) if present is not None else {})
        if made is None:
            raise SettingsError(under(dotted(section, item_id), errors))
        return made

    def _merge(self, section: type[S], item_id: str, raw: Mapping[str, object]) -> S:
        with self._lock:
            made = self._assembled(section, item_id, raw)
            self._apply({section: ({**self.items(section), item_id: made}, tuple(raw))})
            return made

    def _apply(
        self, changes: Mapping[type[Section], tuple[Mapping[str, Section], Sequence[str]]]
    ) -> tuple[type[Section], ...]:
        new: dict[type[Section], Content] = {}
        for section, (items, named) in changes.items():
            try:
                content = self._files[section].encoded(self._contents[section], items, named)
            except OSError as error:
                raise _not_saved(section, error) from error
            if content.stored != self._contents[section].stored:
                new[section] = content
        self._ask_guards({section: content.items for section, content in new.items()})
        self._save_all(new)
        self._contents |= new
        for section in new:
            self._tell(section)
        return tuple(new)

    def _save_all(self, new: Mapping[type[Section], Content]) -> None:
        saved: list[type[Section]] = []
        for section, content in new.items():
            try:
                self._files[section].save(content)
            except OSError as error:
                self._restore(saved)
                raise _not_saved(section, error) from error
            saved.append(section)

    def _restore(self, sections: Sequence[type[Section]]) -> None:
        for section in sections:
            try:
                self._files[section].save(self._contents[section], keep_previous=False)
            except OSError:
                log.exception("a section is half changed", extra={"fields": {"section": section.key}})

    def _ask_guards(self, changes: Mapping[type[Section], Mapping[str, Section]]) -> None:
        for section, items in changes.items():
            old = self._contents[section].items
            for allow in self._guards[section]:
                if section.many:
                    allow(old, MappingProxyType(dict(items)))
                else:
                    allow(old[ONLY], items[ONLY])
        for sections, allow_all in self._joint_guards:
            if not sections.isdisjoint(changes):
                allow_all(Joint({one: changes.get(one, self._contents[one].items) for one in sections}))

    def _tell(self, section: type[Section]) -> None:
        if self._bus is not None:
            self._bus.publish(SettingsChanged(section=section.key))


def _expect(section: type[Section], *, many: bool) -> None:
    if section.many != many:
        raise SettingsError(
            {section.key: "this section has no items" if many else "name an item of this section"}
        )


def _not_saved(section: type[Section], error: OSError) -> SettingsError:
    return SettingsNotSaved({section.key: f"could not be saved: {error.strerror or type(error).__name__}"})
