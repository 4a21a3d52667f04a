"""How the old product's settings are read: what is taken, what is left and why, what is not understood."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from otppi.settings.fields import NotAccepted
from otppi.settings.section import Section

Raw = dict[str, object]

UNUSED = "the old program did not use it"
OF_COURSE = ""  # said of every modem it would only hide what matters


class LeftOut(Exception):
    """A value is understood and not taken over; the text says why."""


@dataclass(frozen=True)
class Note:
    """Something that is not taken over; of a whole file where no name is given."""

    file: str
    name: str
    reason: str


@dataclass
class Translation:
    """What the files say, in our words; nothing has been compared with the device yet."""

    raw: dict[type[Section], dict[str, Raw]] = field(default_factory=dict)
    sources: dict[type[Section], str] = field(default_factory=dict)  # the file that a section comes from
    left: list[Note] = field(default_factory=list)
    unclear: list[Note] = field(default_factory=list)

    def add(self, file: str, section: type[Section], item_id: str, values: Mapping[str, object]) -> None:
        """Note values of an item."""
        self.raw.setdefault(section, {}).setdefault(item_id, {}).update(values)
        self.sources.setdefault(section, file)


@dataclass(frozen=True)
class To:
    """Where a value goes, and how it is read; several settings may be made of one value."""

    section: type[Section]
    name: str
    read: Callable[[Any], object] = lambda value: value


def if_given(value: object) -> object:
    """Leave out what is empty, without a word."""
    if value in ("", None, []):
        raise LeftOut("")
    return value


def unless_zero(value: object) -> object:
    """Leave out zeros as well, where they stood for nothing."""
    if str(value) in ("", "0", "None"):
        raise LeftOut(OF_COURSE)
    return value


def read_fields(
    result: Translation, file: str, old: Mapping[str, Any], fields: Mapping[str, To | str], item: str = ""
) -> dict[type[Section], Raw]:
    """Return the values that are taken, and note all others.

    Args:
        result: Where notes are added.
        file: The file that they come from.
        old: Its values by the old names.
        fields: By the old names, where a value goes, or why it does not.
        item: What people call the item, of which there are several in the file.
    """
    values: dict[type[Section], Raw] = {}
    for key, value in old.items():
        where = f"{item}: {key}" if item else key
        to = fields.get(key)
        if isinstance(to, To):
            try:
                read = to.read(value)
                to.section.declared[to.name].read(read)
                values.setdefault(to.section, {})[to.name] = read
            except LeftOut as reason:
                if str(reason):
                    result.left.append(Note(file, where, str(reason)))
            except NotAccepted as reason:
                result.unclear.append(Note(file, where, str(reason)))
        elif to is None:
            result.unclear.append(Note(file, where, "is not a setting that the old product had"))
        elif to and value not in ("", None, 0, False):
            result.left.append(Note(file, where, to))
    return values


def _items(document: Any) -> Iterator[tuple[str, Mapping[str, Any] | None]]:  # noqa: ANN401 - JSON
    pairs = document.items() if isinstance(document, dict) else (("", one) for one in document)
    for key, one in pairs:
        yield str(key), one if isinstance(one, dict) else None


def read_items(
    result: Translation,
    file: str,
    document: Any,  # noqa: ANN401 - JSON
    read: Callable[[str, Mapping[str, Any]], tuple[type[Section], str, Raw]],
) -> None:
    """Add every item of a file; `read` gets its key and values, and returns its section, id and new values."""
    if not isinstance(document, dict | list):
        result.unclear.append(Note(file, "", "is not the list that was expected"))
        return
    for position, (key, old) in enumerate(_items(document), start=1):
        if old is None:
            result.unclear.append(Note(file, str(position), "is not an object"))
            continue
        try:
            section, item_id, values = read(key, old)
        except LeftOut as reason:
            result.left.append(Note(file, _called(key, old) or str(position), str(reason)))
        except NotAccepted as reason:
            result.unclear.append(Note(file, _called(key, old) or str(position), str(reason)))
        else:
            result.add(file, section, item_id, values)


def _called(key: str, old: Mapping[str, Any]) -> str:
    names = (old.get(one) for one in ("username", "name", "recordName", "zone", "senderAddress", "id"))
    return str(next(filter(None, names), key))
