"""The templates of the pages."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).with_name("templates")


def render(template: str, values: Mapping[str, Any]) -> str:
    """Draw a template; whatever is put in is escaped."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    # Loaded with the first page: a device that nobody looks at does without it.
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
