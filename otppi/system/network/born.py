"""Secrets that are born on the device: nothing in an image opens more than one device."""

import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otppi.lib.atomicfile import private_folder, write_atomically
from otppi.system.network.planning import Born

log = logging.getLogger(__name__)

_VERSION = 1
# Nothing that looks like something else in print: no 0 and o, no 1, i and l.
_CLEAR = "abcdefghjkmnpqrstuvwxyz23456789"
_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aiou"
_GROUPS = 4
_LONGEST_SSID_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class BornSecrets(Born):
    """What the brochure tells the owner."""

    setup_secret: str = field(repr=False)  # asked of the first administrator who comes by another network


def born(path: Path, preset: Mapping[str, object] | None = None) -> BornSecrets:
    """Return the secrets in this file; they are made, and the file is written, when it is not there.

    One caller at a time. What a damaged file still has is kept, as it may be printed on a label; only the rest is
    made anew.

    Args:
        path: The file; only its owner may read it.
        preset: Values that are taken instead of new ones if they are valid: ssid, passphrase, setup_secret.

    Raises:
        OSError: The file cannot be read or written.
    """
    stored = _stored(path)
    values = {name: stored[name] for name, is_valid in _VALID.items() if is_valid(stored.get(name))}
    if len(values) < len(_VALID):
        values = _preset(preset or {}) | values
        values = {name: values[name] if name in values else make() for name, make in _MAKERS.items()}
        private_folder(path.parent)
        write_atomically(path, json.dumps({"version": _VERSION, **values}, indent=2).encode() + b"\n")
    return BornSecrets(**values)


def _stored(path: Path) -> Mapping[str, str]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    if path.stat().st_mode & 0o077:
        log.warning("the born secrets were open to others", extra={"fields": {"file": path.name}})
        path.chmod(0o600)
    stored = _parsed(data)
    if lost := [name for name, is_valid in _VALID.items() if not is_valid(stored.get(name))]:
        log.error(
            "born secrets are damaged and made anew; the brochure is no longer right",
            extra={"fields": {"file": path.name, "lost": ", ".join(lost)}},
        )
    return stored


def _parsed(data: bytes) -> Mapping[str, str]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _preset(preset: Mapping[str, object]) -> dict[str, str]:
    given = {name: value for name, value in preset.items() if value not in (None, "")}
    values = {name: str(value) for name, value in given.items() if name in _VALID and _VALID[name](value)}
    if refused := sorted(set(given) - set(values)):
        log.warning(
            "a preset is not valid, a new value takes its place",
            extra={"fields": {"names": ", ".join(refused)}},
        )
    return values


def _new_ssid() -> str:
    return f"OTP-Pi-{_clear(4).upper()}"


def _new_passphrase() -> str:
    """Return about 79 bits, to be typed from paper."""
    return "-".join(_clear(4) for _ in range(_GROUPS))


def _new_setup_secret() -> str:
    """Return 64 bits as words that can be spoken, such as lusab-babad-gutih-tugad (arXiv:0901.4016)."""
    return "-".join(_spoken(secrets.randbits(16)) for _ in range(_GROUPS))


def _clear(length: int) -> str:
    return "".join(secrets.choice(_CLEAR) for _ in range(length))


def _spoken(number: int) -> str:
    return (
        _CONSONANTS[number >> 12]
        + _VOWELS[number >> 10 & 3]
        + _CONSONANTS[number >> 6 & 15]
        + _VOWELS[number >> 4 & 3]
        + _CONSONANTS[number & 15]
    )


def _is_ssid(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.isprintable()
        and 1 <= len(value.strip().encode()) <= _LONGEST_SSID_BYTES
    )


def _is_passphrase(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\x20-\x7e]{8,63}", value) is not None


def _is_setup_secret(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]{12,63}", value) is not None


_VALID: Mapping[str, Callable[[object], bool]] = {
    "ssid": _is_ssid,
    "passphrase": _is_passphrase,
    "setup_secret": _is_setup_secret,
}
_MAKERS: Mapping[str, Callable[[], str]] = {
    "ssid": _new_ssid,
    "passphrase": _new_passphrase,
    "setup_secret": _new_setup_secret,
}
