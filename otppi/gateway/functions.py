"""The functions of the device as administrators call them: the same for pages and the admin API."""

import inspect
import re
import threading
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, Union

from otppi.gateway.accounts import Administrator
from otppi.gateway.admin_tokens import AdminToken
from otppi.gateway.rights import RIGHTS, Right, Role
from otppi.model.errors import BadRequest, Busy, Forbidden, OtpPiError

# Half of the threads that serve the pages, so that the others show them meanwhile.
_MOST_SLOW = 3
_SLOW_PAUSE_S = 5.0
# Filled by the door with who calls, and never by the caller.
ACTOR: Final = "by"
HIDDEN: Final = "(hidden)"
_ANY_SETTINGS = frozenset({"settings.set", "settings.put", "settings.remove", "settings.reset"})
_ACCOUNTS = frozenset({Administrator.key, AdminToken.key})
# Values under such names are written down nowhere, whatever function they are for; a test holds every secret setting
# against it.
_SECRET_NAME = re.compile(
    r"(pass(word|phrase)?|secret|digest|(^|_)(pin|puk|key|token|otp)|^(code|text|message|content|document))s?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls, and from where; by the token of this id, if by one."""

    user: str
    role: Role
    address: str
    token: str = ""


class AuditTrail(Protocol):
    """Where it is noted who changed what."""

    def note(self, *, user: str, address: str, what: str, details: Mapping[str, Any], outcome: str) -> None:
        """Note one call; never fails."""


class Functions:
    """Calls functions for administrators: who may, whether the arguments fit, and what is noted of it."""

    def __init__(self, table: Mapping[str, Callable[..., Any]], audit: AuditTrail) -> None:
        self._table = table
        self._audit = audit
        self._slow = threading.BoundedSemaphore(_MOST_SLOW)

    def __iter__(self) -> "typing.Iterator[str]":
        return iter(name for name in self._table if name in RIGHTS)

    def may(self, role: Role, name: str) -> bool:
        """Whether there is such a function, and the role suffices for it."""
        right = RIGHTS.get(name)
        return right is not None and name in self._table and role.includes(right.role)

    def right(self, name: str) -> Right:
        """Return how a function of the table may be called."""
        return RIGHTS[name]

    def function(self, name: str) -> Callable[..., Any]:
        """Return the function itself, for its description."""
        return self._table[name]

    def call(self, name: str, caller: Caller, args: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Call a function, and wait for it.

        Raises:
            BadRequest: There is none of this name, or the arguments do not fit.
            Forbidden: The role does not suffice.
            Busy: It takes long, and as many others that do are on their way; nothing was done.
            OtpPiError: What the function raises.
        """
        right, function = RIGHTS.get(name), self._table.get(name)
        if right is None or function is None:
            raise BadRequest("", "this device does not do that")
        if not caller.role.includes(right.role):
            self._note(name, caller, {}, "refused")
            raise Forbidden(right.role)
        wanted = parameters(function)
        _check(wanted, args)
        _refuse_accounts(name, args)
        given = dict(args)
        if ACTOR in inspect.signature(function).parameters:
            given[ACTOR] = caller.user
        with self._place(right):
            return self._called(name, caller, args, given)

    def _called(self, name: str, caller: Caller, args: Mapping[str, Any], given: Mapping[str, Any]) -> Any:  # noqa: ANN401
        right, function = RIGHTS[name], self._table[name]
        if not right.changes:
            return function(**given)
        outcome, details = "failed", _told(args, right.hidden)
        try:
            result = function(**given)
            outcome, details = "done", {**details, **_changed(result)}
        except OtpPiError:
            outcome = "refused"
            raise
        finally:
            self._note(name, caller, details, outcome)
        return result

    @contextmanager
    def _place(self, right: Right) -> Iterator[None]:
        if not right.is_slow:
            yield
            return
        if not self._slow.acquire(blocking=False):
            raise Busy("the device is at too much that takes long; try it again in a moment", _SLOW_PAUSE_S)
        try:
            yield
        finally:
            self._slow.release()

    def _note(self, name: str, caller: Caller, details: Mapping[str, Any], outcome: str) -> None:
        by = {"by token": caller.token} if caller.token else {}
        self._audit.note(
            user=caller.user, address=caller.address, what=name, details={**by, **details}, outcome=outcome
        )


def parameters(function: Callable[..., Any]) -> dict[str, tuple[dict[str, Any], bool]]:
    """Return the arguments of a function: name to JSON schema and whether it must be given."""
    hints = typing.get_type_hints(function)
    return {
        one.name: (schema_of(hints.get(one.name, Any)), one.default is inspect.Parameter.empty)
        for one in inspect.signature(function).parameters.values()
        if one.name != ACTOR and one.kind is not inspect.Parameter.VAR_KEYWORD
    }


def schema_of(annotation: Any) -> dict[str, Any]:  # noqa: ANN401 - any annotation
    """Return the JSON schema (draft 2020-12) of a type of JSON values."""
    simple = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    if annotation in simple:
        return {"type": simple[annotation]}
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(one) for one in args]}
    if origin in (Sequence, list, tuple):
        return {"type": "array", "items": schema_of(args[0]) if args else {}}
    if origin in (Mapping, dict):
        return {"type": "object", "additionalProperties": schema_of(args[1]) if len(args) > 1 else {}}
    return {}


def _check(wanted: Mapping[str, tuple[dict[str, Any], bool]], args: Mapping[str, Any]) -> None:
    for name in args:
        if name not in wanted:
            raise BadRequest(name, "there is no such argument")
    for name, (schema, is_required) in wanted.items():
        if name not in args:
            if is_required:
                raise BadRequest(name, "is required")
        elif not _fits(schema, args[name]):
            raise BadRequest(name, "is of the wrong type")


def _fits(schema: Mapping[str, Any], value: object) -> bool:
    if "anyOf" in schema:
        return any(_fits(one, value) for one in schema["anyOf"])
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "null":
            return value is None
        case "array":
            return isinstance(value, list | tuple) and all(_fits(schema["items"], one) for one in value)
        case "object":
            return isinstance(value, Mapping) and all(
                _fits(schema["additionalProperties"], one) for one in value.values()
            )
    return True


def _refuse_accounts(name: str, args: Mapping[str, Any]) -> None:
    """Keep accounts out of the functions for settings of all kinds, which know nothing of their rules."""
    if name not in _ANY_SETTINGS:
        return
    named = [str(args.get("section", "")), *(str(path) for path in args.get("values", ()))]
    if any(one.partition(".")[0] in _ACCOUNTS for one in named):
        raise BadRequest("section", "accounts of administrators have functions of their own")


def _changed(result: object) -> dict[str, Any]:
    """Return which sections a function says that it changed: the document that it took is noted nowhere."""
    return {"changed": result["changed"]} if isinstance(result, Mapping) and "changed" in result else {}


def _told(args: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    return {name: HIDDEN if name in hidden else _value(name, value) for name, value in args.items()}


def _value(name: str, value: object) -> object:
    if is_secret_name(name.rpartition(".")[2]):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _value(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(name, one) for one in value]
    return value


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is one that must not be written down."""
    return bool(_SECRET_NAME.search(name))
