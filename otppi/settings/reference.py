"""The table of all settings for the documentation."""

from collections.abc import Sequence

from otppi.settings.fields import Setting
from otppi.settings.section import Section

_HEAD = ("| Setting | Default | Limits | Meaning |", "| --- | --- | --- | --- |")


def settings_table(sections: Sequence[type[Section]]) -> str:
    """Return Markdown: for each section what it is, and a table of its settings."""
    return "\n\n".join(_section(section) for section in sections) + "\n"


def _section(section: type[Section]) -> str:
    notes = [" ".join(section.description.split())]
    if section.reset_flag:
        notes.append(f"`{section.reset_flag}` in `reset-config.ini` resets it.")
    rows = [_row(section, setting) for setting in section.describe()]
    return "\n".join((f"### {section.title} (`{section.key}`)", "", " ".join(notes), "", *_HEAD, *rows))


def _row(section: type[Section], setting: Setting) -> str:
    path = f"{section.key}.ID.{setting.name}" if section.many else f"{section.key}.{setting.name}"
    meaning = f"{setting.help} Rule: {setting.rule}." if setting.rule else setting.help
    cells = (_code(path), _default(setting), _limits(setting), _escaped(meaning))
    return f"| {' | '.join(cells)} |"


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    if isinstance(setting.default, tuple):
        return _code(", ".join(setting.default)) or "none"
    if isinstance(setting.default, bool):
        return _code(str(setting.default).lower())
    return (
        _code(f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default))
        or "empty"
    )


def _limits(setting: Setting) -> str:
    return _code(setting.limits) if setting.limits == setting.pattern else _escaped(setting.limits)


def _code(text: str) -> str:
    return f"`{_escaped(text)}`" if text else ""


def _escaped(text: str) -> str:
    # A bar ends a cell, even within code (GitHub Flavored Markdown, 4.10).
    return text.replace("|", "\\|").replace("\n", " ")
