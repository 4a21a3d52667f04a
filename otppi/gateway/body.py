"""Reading JSON bodies as old clients write them."""

import json
import math
import re
from typing import Any, NoReturn

from otppi.model.errors import BadRequest

# A string, or a comma that stands before a closing bracket. Strings are matched so that they are skipped.
# Possessive, so that no text makes it look twice at anything.
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]++|\\.)*+(?:"|\\?\Z))|,(?=\s*+[}\]])', re.DOTALL)


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - whatever the caller sent
    """Read a JSON document; trailing commas, which the old documentation shows, are forgiven.

    Raises:
        BadRequest: It is no JSON.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("", "the body is not UTF-8") from None
    try:
        return _loaded(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _loaded(_TRAILING_COMMA.sub(lambda m: m[1] or "", text))
    except RecursionError:
        raise BadRequest("", "the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadRequest("", f"the body is not JSON (line {error.lineno}, column {error.colno})") from None
    except ValueError:
        raise BadRequest("", "the body holds a number that is no JSON number") from None


def _loaded(text: str) -> Any:  # noqa: ANN401 - whatever the caller sent
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("too large a number")
    return number


def _refuse_constant(_: str) -> NoReturn:
    # NaN and Infinity are not JSON (RFC 8259, 6).
    raise ValueError("not a JSON number")
