"""The file on a USB stick by which an owner resets settings: `/otppi/reset-config.ini`."""

import base64
import codecs
import hashlib
import hmac
import json
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from otppi.model.errors import OtpPiError
from otppi.settings.section import Section

LONGEST_FILE_BYTES = 64 * 1024
MOST_FLAGS = 64
FLAG = re.compile(r"RESET_[A-Z0-9_]{1,40}")
_VERIFY = {"deviceType": "RPi", "baseName": "reset-config.ini"}
# A key ends at the first equals sign, colon or space, as in Java properties.
_KEY = re.compile(r"[^\s=:#!][^\s=:]*")


class BadResetFile(OtpPiError):
    """The file is none that resets this device; the message says why."""

    code = "1400"
    status = 422


@dataclass(frozen=True, kw_only=True)
class ResetFile:
    """What a file asks for."""

    flags: frozenset[str]  # those that are true, such as RESET_WLAN
    unclear: frozenset[str]  # those that are neither true nor false, and so do nothing
    secret_sha256: str = field(
        default="", repr=False
    )  # of SECRET in its `secret_hash` form; empty without one


def read_reset_file(data: bytes) -> ResetFile:
    """Return what the file asks for; lines that are not of the form `RESET_NAME = true` mean nothing.

    Raises:
        BadResetFile: It is too long, not text, or was not made for this device.
    """
    if len(data) > LONGEST_FILE_BYTES:
        raise BadResetFile(f"the file is longer than {LONGEST_FILE_BYTES // 1024} KiB")
    properties = _properties(_decoded(data))
    _check_verify(properties.get("VERIFY"))
    words = {key: value.lower() for key, value in properties.items() if FLAG.fullmatch(key)}
    if len(words) > MOST_FLAGS:
        raise BadResetFile(f"the file has more than {MOST_FLAGS} RESET_ lines")
    return ResetFile(
        flags=frozenset(flag for flag, word in words.items() if word == "true"),
        unclear=frozenset(flag for flag, word in words.items() if word not in ("true", "false")),
        secret_sha256=secret_hash(properties.get("SECRET", "")),
    )


def secret_hash(secret: str) -> str:
    """Return the form in which a secret is handed on; empty for an empty one.

    Capitals, spaces and dashes do not count: the owner copies it by hand from paper.
    """
    letters = "".join(c for c in secret.casefold() if c.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest() if letters else ""


def proves_secret(shown_sha256: str, secret: str) -> bool:
    """Whether a file held this secret; never if the secret is empty. Takes the same time for every wrong one."""
    wanted = secret_hash(secret)
    return bool(wanted) and hmac.compare_digest(shown_sha256.encode(), wanted.encode())


def sections_to_reset(flags: Set[str], sections: Sequence[type[Section]]) -> list[type[Section]]:
    """Return the sections that the flags name, in the order of the sections."""
    return [section for section in sections if section.reset_flag in flags]


def _decoded(data: bytes) -> str:
    # What old editors call Unicode.
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadResetFile("the file is not text") from error


def _properties(text: str) -> dict[str, str]:
    properties: dict[str, str] = {}
    for line in map(str.strip, re.split(r"[\r\n]+", text)):
        if key := _KEY.match(line):
            value = line[key.end() :].lstrip()
            properties[key[0].upper()] = (value[1:] if value[:1] in ("=", ":") else value).strip()
    return properties


def _check_verify(value: str | None) -> None:
    if value is None:
        raise BadResetFile("VERIFY is missing")
    try:
        document = json.loads(base64.b64decode(value, validate=True))
    except (ValueError, RecursionError) as error:
        raise BadResetFile("VERIFY is not base64 of JSON") from error
    if not isinstance(document, dict) or any(document.get(key) != wanted for key, wanted in _VERIFY.items()):
        raise BadResetFile("VERIFY is that of another device or file")
