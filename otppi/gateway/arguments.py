"""Reading the fields of a command: lenient where old clients are, exact in what it says about mistakes."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otppi.model.errors import BadRequest

# From this value on a time is in milliseconds: as seconds it would lie in the year 5138.
_MILLISECONDS_FROM = 1e11
_LATEST_TIME = 1e15
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One field of a command's `data`; feeds the reader, the error texts and the API description."""

    name: str
    help: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    max_length: int = 256
    is_time: bool = False
    is_list: bool = False  # of objects
    example: str | int = ""


class Fields:
    """The `data` of one request."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def text(self, argument: Argument, *, trim: bool = True) -> str:
        """Return a field as text; numbers are accepted, as old clients send them.

        Raises:
            BadRequest: It is missing, too long, of another type, or holds characters that no text has.
        """
        field, value = self._find(argument)
        if value is None:
            if argument.required:
                raise BadRequest(f"data.{argument.name}", "is missing")
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadRequest(field, "must be a text")
        text = str(value).strip() if trim else str(value)
        if argument.required and not text.strip():
            raise BadRequest(field, "is empty")
        if len(text) > argument.max_length:
            raise BadRequest(field, f"is longer than {argument.max_length} characters")
        _refuse_unsendable(field, text)
        return text

    def time_s(self, argument: Argument) -> float | None:
        """Return a Unix time in seconds, or None if there is none; values from 1e11 on are milliseconds.

        Raises:
            BadRequest: It is no time.
        """
        field, value = self._find(argument)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, bool):
                raise TypeError
            moment = float(value)
        except (TypeError, ValueError, OverflowError):
            raise BadRequest(field, "must be a Unix time in seconds") from None
        if not math.isfinite(moment) or not 0 <= moment < _LATEST_TIME:
            raise BadRequest(field, "must be a Unix time in seconds")
        return moment / 1000 if moment >= _MILLISECONDS_FROM else moment

    def raw(self, name: str) -> Any:  # noqa: ANN401 - echoed to the caller in the type in which it came
        """Return a field as it came, None if it is not there."""
        return self._data.get(name)

    def _find(self, argument: Argument) -> tuple[str, Any]:
        for name in (argument.name, *argument.aliases):
            if self._data.get(name) is not None:
                return f"data.{name}", self._data[name]
        return f"data.{argument.name}", None


def _refuse_unsendable(field: str, text: str) -> None:
    # Nothing here can reach a modem as a command (PDU mode sends hex), but no phone shows these either, and
    # a Ctrl-Z or ESC in a text is an attack or a mistake.
    if _CONTROL.search(text):
        raise BadRequest(field, "holds a control character")
    if _SURROGATE.search(text):
        raise BadRequest(field, "holds half of a character (a lone surrogate)")
