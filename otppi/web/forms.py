"""Forms drawn from the declarations of settings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otppi.web.words import Words

_WITH_LIMITS = ("text", "list", "integer", "number")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a form, in the reader's words."""

    name: str
    kind: str  # as `otppi.settings.fields.Kind` has them, and "lines" for a list that has long items
    title: str
    help: str
    limits: str
    unit: str
    value: Any  # of a list its items with line breaks; of a secret nothing, ever
    choices: tuple[str, ...]
    choice_titles: tuple[str, ...]  # in the same order
    minimum: float | None
    maximum: float | None
    min_length: int
    required: bool
    is_set: bool  # of a secret: whether there is one
    error: str
    names: frozenset[str] = frozenset()  # choices that are of no language
    placeholder: str = ""


def fields_of(
    described: Mapping[str, Any],
    values: Mapping[str, Any],
    words: Words,
    *,
    names: Sequence[str] | None = None,
    prefix: str = "",
    given: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
) -> list[Field]:
    """Return the fields of a section.

    Args:
        described: The section as `settings.describe` returns it.
        values: The present values as `settings.get` returns them; empty for a new item.
        words: Translate titles, helps and limits.
        names: Which settings, in which order; all if None.
        prefix: Stands before each name in the form, where one form has several sections.
        given: What somebody typed that was refused; shown again instead of the present values, never of secrets.
        errors: Reasons by name in the form, translated already.
    """
    by_name = {one["name"]: one for one in described["settings"]}
    return [
        _field(
            by_name[name], f"{prefix}{name}", values, words, given, (errors or {}).get(f"{prefix}{name}", "")
        )
        for name in (names if names is not None else by_name)
        if name in by_name
    ]


def read(described: Mapping[str, Any], form: Mapping[str, str], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of a posted form by the names of settings, as `settings.set` takes them.

    A box that is not ticked is not sent by browsers, so each switch among the names is read. An empty secret is left
    out: it keeps what there is.
    """
    by_name = {one["name"]: one for one in described["settings"]}
    read: dict[str, Any] = {}
    for name in names:
        setting = by_name[name]
        if setting["kind"] == "boolean":
            read[name] = "true" if form.get(name) else "false"
        elif name in form and (form[name] or not setting["is_secret"]):
            read[name] = form[name]
    return read


def names_in(described: Mapping[str, Any]) -> list[str]:
    """Return the names of all settings of a section."""
    return [one["name"] for one in described["settings"]]


def _limits(setting: Mapping[str, Any], words: Words) -> str:
    # A pattern without words for it is for programs.
    if setting["kind"] not in _WITH_LIMITS or setting["limits"] == setting["pattern"]:
        return ""
    least, most = setting["minimum"], setting["maximum"]
    if least is None or most is None:
        return words.said(setting["limits"])
    return words("{least} to {most}", least=words.number(least), most=words.number(most))


def _field(
    setting: Mapping[str, Any],
    in_form: str,
    values: Mapping[str, Any],
    words: Words,
    given: Mapping[str, Any] | None,
    error: str,
) -> Field:
    name, kind = setting["name"], setting["kind"]
    present = values.get(name, setting["default"])
    value = present if given is None or setting["is_secret"] else given.get(in_form, present)
    if setting["is_secret"]:
        shown: Any = ""
    elif kind == "boolean":
        shown = value in (True, "true", "on", "1") if given is None or in_form in given else False
    elif kind == "list" and not isinstance(value, str):
        shown = "\n".join(str(one) for one in value or ())
    else:
        shown = "" if value is None else value
    title, help_, limits = setting["title"], setting["help"], _limits(setting, words)
    if help_.rstrip(".").casefold() == title.casefold():
        # Says nothing more.
        help_, limits = limits, ""
    return Field(
        name=in_form,
        kind=kind,
        title=words.said(title),
        help=words.said(help_),
        limits=limits,
        unit=words.said(setting["unit"]),
        value=shown,
        choices=tuple(setting["choices"]),
        choice_titles=tuple(words.said(one) for one in setting["choice_titles"]),
        minimum=setting["minimum"],
        maximum=setting["maximum"],
        min_length=setting["min_length"],
        required=setting["required"],
        is_set=setting["is_secret"] and bool(values.get(name)),
        error=error,
    )
