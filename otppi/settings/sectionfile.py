"""One section on the disk: its JSON file, the copy before it, and what to do when a file is damaged."""

import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from otppi.lib.atomicfile import previous_copy, private_folder, sync_folder, write_atomically
from otppi.lib.secretbox import DeviceBox
from otppi.settings.fields import Kind
from otppi.settings.paths import ONLY, dotted
from otppi.settings.section import Section
from otppi.settings.storedform import Raw, StoredForm, is_sealed
from otppi.settings.suggestion import did_you_mean

log = logging.getLogger(__name__)

VERSION = 1
_DAMAGED = ".damaged"


class _Damaged(Exception):
    """The file holds no settings; the message says why."""


@dataclass(frozen=True)
class Content:
    """What a section holds; one that exists once has a single item, whose id is `ONLY`."""

    items: Mapping[str, Section]
    # The same in its stored form, with settings that this release does not know.
    stored: Mapping[str, Raw]
    # What was wrong when it was read, until it is saved again: dotted name to reason.
    damage: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    items: Mapping[str, Raw]
    version: int = VERSION


class SectionFile:
    """Reads and writes one section; one writer at a time."""

    def __init__(
        self, folder: Path, section: type[Section], box: DeviceBox, *, read_only: bool = False
    ) -> None:
        self._section = section
        self._read_only = read_only
        self._path = folder / f"{section.key}.json"
        self._form = StoredForm(section, box)
        # The present file is kept under this suffix before the next save replaces it.
        self._aside = ""

    @property
    def _damaged_copy(self) -> Path:
        return self._path.with_name(self._path.name + _DAMAGED)

    def load(self) -> Content:
        """Read what there is; factory values take the place of what is missing or beyond repair.

        A damaged file is put aside and replaced at once, so that the next start finds a good one.
        """
        try:
            file = self._read(self._path)
        except FileNotFoundError:
            return self._understood(_File({}), _no_file)
        except (_Damaged, OSError) as error:
            return self._recovered(error)
        if file.version > VERSION:
            self._aside = f".version-{file.version}"
            log.warning(
                "settings of a newer release are read as far as they are understood",
                extra={"fields": {"file": self._path.name, "version": file.version}},
            )
        content = self._understood(file, self._previous)
        self._report(content, file)
        if content.damage:
            self._keep_damaged("values are not valid")
            self._repair(content)
        elif self._has_clear_secret(file, content):
            self._repair(content)
        return content

    def encoded(self, before: Content, items: Mapping[str, Section], named: Collection[str] = ()) -> Content:
        """Return the content that these items are, as it will lie in the file.

        Args:
            before: The present content; what did not change keeps its seal.
            items: All items.
            named: Settings of the changed item that were given by name, so that an empty secret is meant.

        Raises:
            OSError: The key for the secrets cannot be made.
        """
        stored: dict[str, Raw] = {}
        for item_id, item in items.items():
            old, raw = before.items.get(item_id), before.stored.get(item_id, {})
            stored[item_id] = raw if item is old else self._form.encoded(item_id, item, raw, old, named)
        return Content(MappingProxyType(dict(items)), stored)

    def save(self, content: Content, *, keep_previous: bool = True) -> None:
        """Write the content; on the disk when this returns.

        Raises:
            OSError: The old file is still there.
        """
        if self._read_only:
            raise PermissionError(errno.EPERM, "these settings were opened for reading only")
        private_folder(self._path.parent)
        if self._aside:
            self._put_aside()
        data = _written(content.stored, self._section.many)
        write_atomically(self._path, data, keep_previous=keep_previous and self._aside != _DAMAGED)
        if keep_previous and self._aside != _DAMAGED:
            # Somebody has looked at the section and saved it, so what was damaged is of no use any more.
            self._damaged_copy.unlink(missing_ok=True)
        self._aside = ""

    def remove(self) -> Content:
        """Go back to factory values and leave no copy of the old ones; returns the new content.

        Raises:
            OSError: Something could not be removed.
        """
        if self._read_only:
            raise PermissionError(errno.EPERM, "these settings were opened for reading only")
        folder, name = self._path.parent, self._path.name
        # The file goes last: until then it is what a power cut leaves, not one of its copies.
        there = [*folder.glob(f"{name}.*"), *folder.glob(f".{name}.*"), *folder.glob(name)]
        for path in there:
            path.unlink()
        if there:
            sync_folder(folder)
        self._aside = ""
        return self._understood(_File({}), _no_file)

    def problems(self, content: Content) -> dict[str, str]:
        """Return what a person should look at: dotted name to reason."""
        lost = {
            dotted(self._section, item_id, name): "cannot be opened with the key of this device and is empty"
            for item_id, raw in content.stored.items()
            for name, value in raw.items()
            if is_sealed(value) and getattr(content.items[item_id], name, None) == ""
        }
        if not content.damage and self._damaged_copy.exists():
            lost[dotted(self._section)] = (
                f"the file was damaged (kept as {self._damaged_copy.name}); look at the section and save it again"
            )
        return {**content.damage, **lost}

    def _read(self, path: Path) -> _File:
        # Neither a link, which would lead a reader with more rights elsewhere, nor a pipe, which would hold it.
        with open(path, "rb", opener=_open_plain) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _Damaged("is no file")
            if os.fstat(file.fileno()).st_mode & 0o077 and not self._read_only:
                log.warning("a settings file was open to others", extra={"fields": {"file": path.name}})
                with suppress(OSError):
                    os.fchmod(file.fileno(), 0o600)
            return _parsed(file.read(), self._section.many)

    def _previous(self) -> _File | None:
        try:
            return self._read(previous_copy(self._path))
        except (_Damaged, OSError):
            return None

    def _understood(self, file: _File, previous: Callable[[], _File | None]) -> Content:
        raws = file.items if self._section.many else {ONLY: file.items.get(ONLY, {})}
        items: dict[str, Section] = {}
        stored: dict[str, Raw] = {}
        damage: dict[str, str] = {}
        for item_id, raw in raws.items():

            def spare(item_id: str = item_id) -> Raw:
                file = previous()
                return file.items.get(item_id, {}) if file else {}

            item, bad = self._form.settled(item_id, raw, spare)
            damage |= {dotted(self._section, item_id, name): reason for name, reason in bad.items()}
            if item is not None:
                items[item_id] = item
                good = {name: value for name, value in raw.items() if name not in bad}
                # Encoding may seal, and so make a key.
                stored[item_id] = good if self._read_only else self._form.encoded(item_id, item, good, item)
        return Content(MappingProxyType(items), stored, damage)

    def _recovered(self, error: Exception) -> Content:
        previous = self._previous()
        file = previous or _File({})
        content = self._understood(file, _no_file)
        reason = str(error) if isinstance(error, _Damaged) else f"cannot be read ({type(error).__name__})"
        used = "its previous copy" if previous else "the factory values"
        damage = {dotted(self._section): f"the file {reason}; {used} took its place"}
        content = replace(content, damage={**damage, **content.damage})
        self._report(content, file)
        self._keep_damaged(reason)
        # A file that cannot be read may be fine: it stays until there is something new to save.
        if isinstance(error, _Damaged):
            self._repair(content)
        return content

    def _has_clear_secret(self, file: _File, content: Content) -> bool:
        """Whether somebody wrote a secret or a password into the file by hand."""
        secrets = [setting.name for setting in self._section.describe() if setting.is_secret]
        return any(
            name in raw and raw[name] != content.stored[item_id].get(name)
            for item_id, raw in file.items.items()
            for name in secrets
        )

    def _keep_damaged(self, reason: str) -> None:
        self._aside = _DAMAGED
        log.error(
            "a settings file is damaged",
            extra={
                "fields": {"file": self._path.name, "reason": reason, "kept_as": self._path.name + _DAMAGED}
            },
        )

    def _repair(self, content: Content) -> None:
        if self._read_only:
            return
        try:
            self.save(content, keep_previous=False)
        except OSError as error:
            # The device goes on with what it has read.
            log.error(  # noqa: TRY400
                "a settings file could not be repaired",
                extra={"fields": {"file": self._path.name, "reason": error.strerror}},
            )

    def _put_aside(self) -> None:
        aside = self._path.with_name(self._path.name + self._aside)
        aside.unlink(missing_ok=True)
        try:
            os.link(self._path, aside)
        except OSError:
            # No hard links here, or the file is not ours.
            os.replace(self._path, aside)

    def _report(self, content: Content, file: _File) -> None:
        for place, reason in self.problems(content).items():
            log.error(
                "a stored setting has a problem", extra={"fields": {"setting": place, "reason": reason}}
            )
        declared = self._section.declared
        for item_id, raw in file.items.items():
            for name in raw:
                fields = {"setting": dotted(self._section, item_id, name)}
                if name not in declared:
                    hint = did_you_mean(name, declared)
                    log.warning(f"an unknown setting is kept and not used{hint}", extra={"fields": fields})
                elif declared[name].kind is Kind.RETIRED:
                    log.info("a retired setting is ignored", extra={"fields": fields})


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _no_file() -> None:
    return None


def _written(stored: Mapping[str, Raw], many: bool) -> bytes:
    # One line per item or value: fast to write, even with thousands, and still good to read.
    rows = stored if many else stored[ONLY]
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in rows.items())
    return f'{{"version": {VERSION}, "{_body(many)}": {{\n{lines}\n}}}}\n'.encode()


def _parsed(data: bytes, many: bool) -> _File:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Damaged("is not JSON" if data.strip() else "is empty") from error
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, int) or version < 1:
        raise _Damaged("has no format version")
    body = document.get(_body(many))
    items = body if many else {ONLY: body}
    if not isinstance(items, dict) or not all(isinstance(item, dict) for item in items.values()):
        raise _Damaged("has another structure")
    return _File(items, version)


def _body(many: bool) -> str:
    return "items" if many else "values"
