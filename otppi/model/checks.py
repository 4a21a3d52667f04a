"""Named checks with a finding and advice: support that nobody has to give."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How well it is."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the diagnosis."""

    name: str
    level: Level
    finding: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        return asdict(self)
