"""The kinds of settings: how each is declared, read and described."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from dataclasses import field as dataclass_field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from otppi.lib.passwords import LONGEST_PASSWORD, hash_password, is_stored_form

# Longer values are mistakes, and would be carried about for ever.
_LONGEST_TEXT = 4096
_LONGEST_PEM = 32_768
# RFC 7468, 2 and 3: without headers, which a key with a passphrase has.
_CERTIFICATES = r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----\n?)*"
_PRIVATE_KEY = r"(-----BEGIN ((EC |RSA )?PRIVATE KEY)-----\n([A-Za-z0-9+/=]+\n)+-----END \2-----)?"
_LARGEST = 1e18
_UNIT_SUFFIXES = ("_s", "_ms", "_bytes")
_ABBREVIATIONS = frozenset(
    {"API", "APN", "DHCP", "DNS", "GPIO", "HTTP", "HTTPS", "ICCID", "IMEI"}
    | {"NTP", "OTP", "PIN", "RTC", "SIM", "SMS", "SSID", "USSD", "WPA3"}
)
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_REQUIRED: Final[Any] = MISSING


class Kind(StrEnum):
    """What a setting holds, and so which widget shows it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    LIST = "list"
    CERTIFICATE = "certificate"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    PRIVATE_KEY = "private_key"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    RETIRED = "retired"


class NotAccepted(ValueError):
    """A value cannot be that of a setting; the message says why and does not repeat the value."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting as it was declared; forms, REST and the documentation are drawn from it."""

    kind: Kind
    help: str
    default: Any = None  # None where `required`
    required: bool = False
    name: str = ""  # given by the section, as is the title where none was declared
    title: str = ""
    unit: str = ""
    pattern: str = ""  # of the whole text; of every item of a list
    shape: str = ""  # the pattern in words, as they follow "must be"
    minimum: float | None = None
    maximum: float | None = None
    min_length: int = 0
    choices: tuple[str, ...] = ()
    choice_titles: tuple[str, ...] = ()  # what pages call them, in the same order
    rule: str = ""  # the clause of a standard that the default follows

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.kind in (Kind.SECRET, Kind.PASSWORD, Kind.PRIVATE_KEY)

    @property
    def is_sealed(self) -> bool:
        """Whether the value is kept as it is, and so sealed on the disk; a password is kept as a hash."""
        return self.kind in (Kind.SECRET, Kind.PRIVATE_KEY)

    @property
    def limits(self) -> str:
        """What is accepted, for people."""
        if self.kind is Kind.BOOLEAN:
            return "true or false"
        if self.choices:
            return ", ".join(self.choices)
        if self.min_length:
            return f"at least {self.min_length} characters"
        if self.minimum is not None or self.maximum is not None:
            return f"{_range(self.minimum, self.maximum)} {self.unit}".rstrip()
        return self.shape or self.pattern

    def read(self, raw: object) -> Any:  # noqa: ANN401 - the type of the setting
        """Return the value of a JSON value or of a text as people write it.

        Raises:
            NotAccepted: It cannot be a value of this setting.
        """
        return _READERS[self.kind](self, raw)

    def as_json(self) -> dict[str, Any]:
        """Return the description for a form or an API."""
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        return {
            "name": self.name,
            "kind": self.kind.value,
            "title": self.title,
            "help": self.help,
            "required": self.required,
            "default": None if self.is_secret else default,
            "limits": self.limits,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "min_length": self.min_length,
            "pattern": self.pattern,
            "choices": list(self.choices),
            "choice_titles": list(self.choice_titles),
            "unit": self.unit,
            "is_secret": self.is_secret,
            "rule": self.rule,
        }


def text(
    *,
    default: str = _REQUIRED,
    pattern: str = "",
    shape: str = "",
    unit: str = "",
    help: str,
    title: str = "",
    rule: str = "",
) -> str:
    """Declare one line of text; spaces around it are dropped."""
    return cast(
        "str",
        _declare(
            Kind.TEXT, default, pattern=pattern, shape=shape, unit=unit, help=help, title=title, rule=rule
        ),
    )


def integer(
    *,
    default: int = _REQUIRED,
    minimum: int | None = None,
    maximum: int | None = None,
    unit: str = "",
    help: str,
    title: str = "",
    rule: str = "",
) -> int:
    """Declare a whole number."""
    return cast(
        "int",
        _declare(
            Kind.INTEGER,
            default,
            minimum=minimum,
            maximum=maximum,
            unit=unit,
            help=help,
            title=title,
            rule=rule,
        ),
    )


def number(
    *,
    default: float = _REQUIRED,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    help: str,
    title: str = "",
    rule: str = "",
) -> float:
    """Declare a number that may have a fraction."""
    return cast(
        "float",
        _declare(
            Kind.NUMBER,
            default,
            minimum=minimum,
            maximum=maximum,
            unit=unit,
            help=help,
            title=title,
            rule=rule,
        ),
    )


def boolean(*, default: bool = _REQUIRED, help: str, title: str = "", rule: str = "") -> bool:
    """Declare a switch."""
    return cast("bool", _declare(Kind.BOOLEAN, default, help=help, title=title, rule=rule))


def choice(
    choices: Sequence[str] | Mapping[str, str],
    *,
    default: str = _REQUIRED,
    help: str,
    title: str = "",
    rule: str = "",
) -> str:
    """Declare one of several words; a mapping also says what pages call each."""
    titles = tuple(choices.values()) if isinstance(choices, Mapping) else tuple(choices)
    return cast(
        "str",
        _declare(
            Kind.CHOICE,
            default,
            choices=tuple(choices),
            choice_titles=titles,
            help=help,
            title=title,
            rule=rule,
        ),
    )


def listing(
    *,
    default: tuple[str, ...] = _REQUIRED,
    item_pattern: str = "",
    item_shape: str = "",
    help: str,
    title: str = "",
    rule: str = "",
) -> tuple[str, ...]:
    """Declare a list of texts; people write it with commas."""
    return cast(
        "tuple[str, ...]",
        _declare(
            Kind.LIST, default, pattern=item_pattern, shape=item_shape, help=help, title=title, rule=rule
        ),
    )


def secret(
    *,
    default: Literal[""] = _REQUIRED,
    pattern: str = "",
    shape: str = "",
    help: str,
    title: str = "",
    rule: str = "",
) -> str:
    """Declare a text that is sealed on the disk and never shown."""
    return cast(
        "str",
        _declare(Kind.SECRET, default, pattern=pattern, shape=shape, help=help, title=title, rule=rule),
    )


def password(
    *, default: Literal[""] = _REQUIRED, min_length: int = 8, help: str, title: str = "", rule: str = ""
) -> str:
    """Declare a password.

    Its value is a slow hash that `otppi.lib.passwords` verifies, or empty where that is the default.
    """
    return cast(
        "str", _declare(Kind.PASSWORD, default, min_length=min_length, help=help, title=title, rule=rule)
    )


def certificate(*, help: str, title: str = "") -> str:
    """Declare certificates as PEM, one after the other; empty for none."""
    shape = "certificates as PEM, or empty"
    return cast(
        "str", _declare(Kind.CERTIFICATE, "", pattern=_CERTIFICATES, shape=shape, help=help, title=title)
    )


def private_key(*, help: str, title: str = "") -> str:
    """Declare a private key as PEM without a passphrase; sealed on the disk and never shown; empty for none."""
    shape = "a private key as PEM without a passphrase, or empty"
    return cast(
        "str", _declare(Kind.PRIVATE_KEY, "", pattern=_PRIVATE_KEY, shape=shape, help=help, title=title)
    )


def retired(*, help: str, init: Literal[False] = False) -> Any:  # noqa: ANN401 - of any type once
    """Declare a setting that is gone: still accepted, never kept.

    Args:
        help: What took its place.
        init: For type checkers; such a setting is no argument of the section.
    """
    setting = Setting(kind=Kind.RETIRED, help=help)
    return dataclass_field(init=init, default=None, repr=False, compare=False, metadata={"setting": setting})


def _declare(kind: Kind, default: Any, *, help: str, **limits: Any) -> object:  # noqa: ANN401
    if default is _REQUIRED:
        setting = Setting(kind=kind, help=help, required=True, **limits)
    else:
        if kind is Kind.NUMBER:
            default = float(default)
        setting = Setting(kind=kind, help=help, default=default, **limits)
    return dataclass_field(default=default, repr=not setting.is_secret, metadata={"setting": setting})


def title_of(name: str) -> str:
    """Return the words of a setting's name without its unit: `overtake_after_s` is `Overtake after`."""
    for suffix in _UNIT_SUFFIXES:
        name = name.removesuffix(suffix)
    words = name.replace("_", " ").capitalize().split(" ")
    return " ".join(word.upper() if word.upper() in _ABBREVIATIONS else word for word in words)


def _range(minimum: float | None, maximum: float | None) -> str:
    if maximum is None:
        return f"at least {_plain(minimum)}"
    if minimum is None:
        return f"at most {_plain(maximum)}"
    return f"{_plain(minimum)} to {_plain(maximum)}"


def _plain(value: float | None) -> str:
    return str(int(value)) if value is not None and value == int(value) else str(value)


def _line(raw: object) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str):
        raise NotAccepted("must be text")
    if len(raw) > _LONGEST_TEXT:
        raise NotAccepted(f"must not be longer than {_LONGEST_TEXT} characters")
    # Control characters could end a line of what is made of the value: an AT command, a configuration file.
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in raw):
        raise NotAccepted("must be one line without control characters")
    return raw


def _stripped(raw: object) -> str:
    return _line(raw.strip() if isinstance(raw, str) else raw)


def _matched(line: str, setting: Setting) -> str:
    if setting.pattern and not re.fullmatch(setting.pattern, line):
        wanted = f"must be {setting.shape}" if setting.shape else "is not of the form that is wanted"
        raise NotAccepted(wanted if line else "must not be empty")
    return line


def _read_text(setting: Setting, raw: object) -> str:
    return _matched(_stripped(raw), setting)


def _read_secret(setting: Setting, raw: object) -> str:
    return _matched(_line(raw), setting)


def _read_pem(setting: Setting, raw: object) -> str:
    if not isinstance(raw, str):
        raise NotAccepted("must be text")
    if len(raw) > _LONGEST_PEM:
        raise NotAccepted(f"must not be longer than {_LONGEST_PEM} characters")
    # What people paste has spaces at the ends of lines, and empty lines between certificates.
    return _matched("\n".join(line for one in raw.splitlines() if (line := one.strip())), setting)


def _read_password(setting: Setting, raw: object) -> str:
    clear = _line(raw)
    if is_stored_form(clear) or (not clear and not setting.required):
        return clear
    if len(clear) < setting.min_length:
        raise NotAccepted(f"must have at least {setting.min_length} characters")
    if len(clear) > LONGEST_PASSWORD:
        raise NotAccepted(f"must not be longer than {LONGEST_PASSWORD} characters")
    return hash_password(clear)


def _read_boolean(_: Setting, raw: object) -> bool:
    word = str(raw).strip().lower() if isinstance(raw, bool | int | str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise NotAccepted("must be true or false")


def _read_integer(setting: Setting, raw: object) -> int:
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw):
        raw = int(raw)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise NotAccepted("must be a whole number")
    return cast("int", _within(setting, raw))


def _read_number(setting: Setting, raw: object) -> float:
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}(\.[0-9]{1,18})?\s*", raw):
        raw = float(raw)
    # Larger whole numbers may not fit into a float at all.
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not abs(raw) < _LARGEST:
        raise NotAccepted("must be a number")
    return float(_within(setting, raw))


def _within(setting: Setting, value: float) -> float:
    too_small = setting.minimum is not None and value < setting.minimum
    if too_small or (setting.maximum is not None and value > setting.maximum):
        raise NotAccepted(f"must be {setting.limits}")
    return value


def _read_choice(setting: Setting, raw: object) -> str:
    # `1` and `1.5` may come as numbers; a boolean is no word.
    word = "" if isinstance(raw, bool) else f"{raw:g}" if isinstance(raw, float) else str(raw)
    for one in setting.choices:
        if one.lower() == word.strip().lower():
            return one
    raise NotAccepted(f"must be one of {', '.join(setting.choices)}")


def _read_list(setting: Setting, raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [item for item in re.split(r"[,\n]", raw) if item.strip()]
    if not isinstance(raw, list | tuple):
        raise NotAccepted("must be a list, or text with commas")
    items: list[str] = []
    for position, item in enumerate(raw, start=1):
        try:
            items.append(_matched(_stripped(item), setting))
        except NotAccepted as error:
            raise NotAccepted(f"item {position} {error}") from error
    return tuple(items)


_READERS: Mapping[Kind, Callable[[Setting, object], object]] = MappingProxyType(
    {
        Kind.TEXT: _read_text,
        Kind.INTEGER: _read_integer,
        Kind.NUMBER: _read_number,
        Kind.BOOLEAN: _read_boolean,
        Kind.CHOICE: _read_choice,
        Kind.LIST: _read_list,
        Kind.CERTIFICATE: _read_pem,
        Kind.SECRET: _read_secret,
        Kind.PRIVATE_KEY: _read_pem,
        Kind.PASSWORD: _read_password,
    }
)
