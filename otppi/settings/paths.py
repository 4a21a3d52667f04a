"""Dotted names of settings: `sms.country_code`, `modems.m1.port`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from otppi.lib.masking import masked_digits
from otppi.model.errors import SettingsError
from otppi.settings.fields import Kind, Setting
from otppi.settings.section import Section
from otppi.settings.suggestion import did_you_mean

# The id of the only item of a section that exists once.
ONLY = ""
_LONGEST_ID = 100
_SHORTEST_PHONE_NUMBER = 7


@dataclass(frozen=True)
class Place:
    """Where a dotted name leads: to a section, to one item of it, or to one setting."""

    section: type[Section]
    item_id: str | None = None
    setting: Setting | None = None


def dotted(section: type[Section], item_id: str = ONLY, name: str = "") -> str:
    """Return the name of a place for messages and logs; an id that is a phone number is masked."""
    is_number = item_id.isascii() and item_id.isdigit() and len(item_id) >= _SHORTEST_PHONE_NUMBER
    return ".".join(
        part for part in (section.key, masked_digits(item_id) if is_number else item_id, name) if part
    )


def under(place: str, errors: Mapping[str, str]) -> dict[str, str]:
    """Return errors with the name of their place in front."""
    return {f"{place}.{name}": reason for name, reason in errors.items()}


def check_item_id(section: type[Section], item_id: str) -> None:
    """Let the id of a new item pass.

    Raises:
        SettingsError: It cannot be shown on a page or written in a dotted name.
    """
    if not (0 < len(item_id) <= _LONGEST_ID and item_id.isprintable() and item_id == item_id.strip()):
        raise SettingsError({section.key: f"an id has 1 to {_LONGEST_ID} printable characters"})


def locate(
    path: str, sections: Iterable[type[Section]], items: Callable[[type[Section]], Mapping[str, Section]]
) -> Place:
    """Find what a dotted name means. An item is named by its id or, where that is clear, by its `name`.

    Raises:
        SettingsError: There is no such section, item or setting; says which one was probably meant.
    """
    key, _, rest = path.partition(".")
    by_key = {section.key: section for section in sections}
    section = by_key.get(key)
    if section is None:
        raise SettingsError({key: f"there is no such section{did_you_mean(key, by_key)}"})
    if not section.many:
        return Place(section, ONLY, _find_setting(section, ONLY, rest) if rest else None)
    if not rest:
        return Place(section)
    # Ids may hold dots themselves, as user names do.
    item_id = _find_item(items(section), rest)
    if item_id is not None:
        return Place(section, item_id)
    head, _, name = rest.rpartition(".")
    item_id = _find_item(items(section), head)
    if item_id is None:
        raise unknown_item(section, head or rest, items(section))
    return Place(section, item_id, _find_setting(section, item_id, name))


def _find_item(items: Mapping[str, Section], wanted: str) -> str | None:
    if wanted in items:
        return wanted
    named = [one for one, item in items.items() if wanted and getattr(item, "name", None) == wanted]
    return named[0] if len(named) == 1 else None


def unknown_item(section: type[Section], item_id: str, items: Mapping[str, Section]) -> SettingsError:
    """Return the error for an item that is not there."""
    return SettingsError({dotted(section, item_id): f"there is no such item{_similar_item(item_id, items)}"})


def _similar_item(item_id: str, items: Mapping[str, Section]) -> str:
    # A suggestion must not tell a phone number.
    known = [str(getattr(item, "name", "") or one) for one, item in items.items()]
    return did_you_mean(item_id, (one for one in known if not one.isdigit()))


def _find_setting(section: type[Section], item_id: str, name: str) -> Setting:
    setting = section.declared.get(name)
    if setting is None:
        hint = did_you_mean(name, section.declared)
        raise SettingsError({dotted(section, item_id, name): f"there is no such setting{hint}"})
    if setting.kind is Kind.RETIRED:
        raise SettingsError({dotted(section, item_id, name): f"this setting is retired. {setting.help}"})
    return setting
