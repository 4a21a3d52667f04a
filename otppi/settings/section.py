"""Sections: settings that belong together, declared once beside the code that reads them."""

import dataclasses
import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from otppi.settings.fields import (
    Kind,
    NotAccepted,
    Setting,
    boolean,
    certificate,
    choice,
    integer,
    listing,
    number,
    password,
    private_key,
    retired,
    secret,
    text,
    title_of,
)
from otppi.settings.suggestion import did_you_mean

S = TypeVar("S", bound="Section")


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(
        boolean,
        certificate,
        choice,
        integer,
        listing,
        number,
        password,
        private_key,
        retired,
        secret,
        text,
    ),
)
class Section:
    """Base of all sections; an instance is a frozen set of values.

    Values given to the constructor are trusted; `parse` is the door for all others.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    reset_flag: ClassVar[str]  # the key in reset-config.ini that resets the section; empty if none does
    many: ClassVar[bool]  # whether there may be any number of items, each with an id
    declared: ClassVar[Mapping[str, Setting]]  # every setting by name, retired ones included

    def __init_subclass__(cls, *, key: str, title: str, reset_flag: str = "", many: bool = False) -> None:
        super().__init_subclass__()
        if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
            raise TypeError(f"{key!r} cannot be the name of a file")
        if taken := _taken_names() & set(inspect.get_annotations(cls)):
            raise TypeError(f"{key}: a setting cannot be called {', '.join(sorted(taken))}")
        cls.key, cls.title, cls.reset_flag, cls.many = key, title, reset_flag, many
        cls.description = inspect.cleandoc(cls.__doc__ or "")
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        cls.declared = MappingProxyType({one.name: one for one in map(_setting, _fields(cls))})
        for setting in cls.declared.values():
            _check_declaration(cls, setting)

    @classmethod
    def parse(cls, raw: Mapping[str, object]) -> tuple[Self | None, dict[str, str]]:
        """Read values as people and clients write them.

        Returns:
            The section and no mistakes, or None and every mistake: name of the setting to the reason. A
            password in the clear becomes a hash, which takes a moment.
        """
        return assemble(cls, raw, {})

    @classmethod
    def describe(cls) -> tuple[Setting, ...]:
        """Return what forms, REST and the documentation need to know of each setting, in order."""
        return tuple(one for one in cls.declared.values() if one.kind is not Kind.RETIRED)

    def check(self) -> dict[str, str]:
        """Return what is wrong between settings that are fine by themselves: name to reason."""
        return {}


def assemble(
    section: type[S], raw: Mapping[str, object], trusted: Mapping[str, Any]
) -> tuple[S | None, dict[str, str]]:
    """Read values like `Section.parse` and lay them over trusted ones, which are not looked at again."""
    values, errors = dict(trusted), dict[str, str]()
    for name, value in raw.items():
        setting = section.declared.get(name)
        if setting is None:
            errors[name] = f"there is no such setting{did_you_mean(name, section.declared)}"
        elif setting.kind is not Kind.RETIRED:
            try:
                values[name] = setting.read(value)
            except NotAccepted as error:
                errors[name] = str(error)
    for setting in section.describe():
        if setting.required and setting.name not in values:
            errors.setdefault(setting.name, "is required")
    if errors:
        return None, errors
    made = section(**values)
    errors = made.check()
    return (None, errors) if errors else (made, {})


def values_of(section: Section) -> dict[str, Any]:
    """Return all values by name, secrets in the clear."""
    return {setting.name: getattr(section, setting.name) for setting in section.describe()}


def shown(section: Section) -> dict[str, Any]:
    """Return all values as JSON; of a secret only whether it is set."""
    return {setting.name: shown_value(section, setting) for setting in section.describe()}


def shown_value(section: Section, setting: Setting) -> Any:  # noqa: ANN401 - JSON
    """Return one value as JSON; of a secret only whether it is set."""
    value = getattr(section, setting.name)
    if setting.is_secret:
        return bool(value)
    return list(value) if isinstance(value, tuple) else value


def _fields(section: type[Section]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(section)  # type: ignore[arg-type]  # a dataclass by __init_subclass__


def _setting(field: dataclasses.Field[Any]) -> Setting:
    declared = field.metadata.get("setting")
    if not isinstance(declared, Setting):
        raise TypeError(f"{field.name}: declare it with a function of otppi.settings.fields")
    return dataclasses.replace(declared, name=field.name, title=declared.title or title_of(field.name))


def _check_declaration(section: type[Section], setting: Setting) -> None:
    if setting.kind is Kind.RETIRED:
        return
    if setting.required:
        if not section.many:
            raise TypeError(
                f"{section.key}.{setting.name}: a section that is there once needs a factory value"
            )
        return
    try:
        is_valid = setting.read(setting.default) == setting.default
    except NotAccepted:
        is_valid = False
    if not is_valid:
        raise TypeError(f"{section.key}.{setting.name}: the default is not a valid value")


def _taken_names() -> set[str]:
    return {*inspect.get_annotations(Section), *dir(Section)}
