"""Files of user names and password hashes as Apache's htpasswd makes them."""

import base64
import codecs
import hashlib
import hmac
import logging
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

log = logging.getLogger(__name__)

# What htpasswd itself takes at most.
LONGEST_PASSWORD_BYTES = 255
# Of a longer one bcrypt sees the beginning only.
LONGEST_BCRYPT_BYTES = 72
_LARGEST_FILE_BYTES = 1 << 20
_BCRYPT_ROUNDS = 10
_APR1 = re.compile(r"\$apr1\$([^$]{1,8})\$([./0-9A-Za-z]{22})")
_SHA = re.compile(r"\{SHA\}([A-Za-z0-9+/]{27}=)")
# Rounds as htpasswd takes them: 2 to the power of 17 cost seconds, one of 31 days.
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-7])\$[./0-9A-Za-z]{53}")
_APR1_ROUNDS = 1000
_APR1_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_APR1_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))
_Signature = tuple[int, int, int, int]


class PasswordFile:
    """The accounts of a file, read anew when it changes; on one thread only.

    Of a user who is named twice the first line counts, as with Apache. Line ends of Windows do no harm.
    """

    def __init__(self, path: Path) -> None:
        """Read it for the first time.

        Raises:
            OSError: It cannot be read.
        """
        self._path = path
        self._signature: _Signature | None = None
        self._problem = ""
        self._accounts: Mapping[str, str] = {}
        self._read(path.stat())

    def accounts(self) -> Mapping[str, str]:
        """Return hashes by user, the same object as long as the file is the same; nobody if it cannot be read."""
        try:
            status = self._path.stat()
            if _signature(status) != self._signature:
                self._read(status)
                fields = {"file": self._path, "accounts": len(self._accounts)}
                log.info("password file read anew", extra={"fields": fields})
        except OSError as error:
            self._accounts, self._signature = {}, None
            self._tell("the password file cannot be read: nobody is let in", error.strerror or str(error))
        return self._accounts

    def _read(self, status: os.stat_result) -> None:
        with self._path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES)
        self._accounts = MappingProxyType(_accounts(content.decode("utf-8-sig", "surrogateescape")))
        self._signature = _signature(status)
        self._problem = ""
        if not self._accounts:
            self._tell("the password file names nobody: nobody is let in", "empty")

    def _tell(self, what: str, why: str) -> None:
        if why != self._problem:
            self._problem = why
            log.error(what, extra={"fields": {"file": self._path, "reason": why}})


def is_right(clear: bytes, stored: str) -> bool:
    """Whether this is the password; takes as long as the hash was made to take."""
    if len(clear) > LONGEST_PASSWORD_BYTES or b"\0" in clear:
        return False
    if match := _APR1.fullmatch(stored):
        salt = match[1].encode("utf-8", "surrogateescape")
        return hmac.compare_digest(_apr1(clear, salt), match[2])
    if match := _SHA.fullmatch(stored):
        digest = hashlib.sha1(clear, usedforsecurity=False).digest()
        return hmac.compare_digest(base64.b64encode(digest).decode("ascii"), match[1])
    if _BCRYPT.fullmatch(stored):
        import bcrypt

        return bcrypt.checkpw(clear[:LONGEST_BCRYPT_BYTES], stored.encode("ascii"))
    return False


def hashed(clear: bytes) -> str:
    """Return the form to store, which Apache, nginx on Debian and PHP understand as well; at most 72 bytes."""
    import bcrypt

    return bcrypt.hashpw(clear, bcrypt.gensalt(_BCRYPT_ROUNDS)).decode("ascii").replace("$2b$", "$2y$", 1)


def is_user_name(user: str) -> bool:
    """Whether a line of the file can begin with this."""
    return bool(user) and not user.startswith("#") and user.isprintable() and ":" not in user


def with_line(content: bytes, line: str) -> bytes:
    """Return a file with this line in the place of those that the user had, or at the end."""
    new = line.encode()
    user = new.partition(b":")[0]
    text = content.removeprefix(codecs.BOM_UTF8).rstrip()
    lines = [one.rstrip(b"\r") for one in text.split(b"\n")] if text else []
    place = next((at for at, one in enumerate(lines) if one.partition(b":")[0] == user), len(lines))
    others = [one for one in lines if one.partition(b":")[0] != user]
    return b"\n".join([*others[:place], new, *others[place:]]) + b"\n"


def _accounts(text: str) -> dict[str, str]:
    accounts: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        user, colon, rest = line.strip("\r").partition(":")
        if not colon or not user or user.startswith("#"):
            continue
        # Apache takes what follows a second colon for a comment.
        stored = rest.partition(":")[0].strip()
        if not any(form.fullmatch(stored) for form in (_APR1, _SHA, _BCRYPT)):
            fields = {"user": user[:80], "line": number}
            log.warning("a password is in none of the forms apr1, SHA, bcrypt", extra={"fields": fields})
            continue
        accounts.setdefault(user, stored)
    return accounts


def _signature(status: os.stat_result) -> _Signature:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _apr1(clear: bytes, salt: bytes) -> str:
    """Return Apache's hash of 1,000 rounds of MD5 (apr_md5_encode of APR), without its salt."""
    md5 = partial(hashlib.md5, usedforsecurity=False)
    start = clear + b"$apr1$" + salt
    inner = md5(clear + salt + clear).digest()
    start += (inner * (len(clear) // len(inner) + 1))[: len(clear)]
    bits = len(clear)
    while bits:
        start += b"\0" if bits & 1 else clear[:1]
        bits >>= 1
    digest = md5(start).digest()
    for number in range(_APR1_ROUNDS):
        text = clear if number & 1 else digest
        text += salt if number % 3 else b""
        text += clear if number % 7 else b""
        digest = md5(text + (digest if number & 1 else clear)).digest()
    groups = [digest[a] << 16 | digest[b] << 8 | digest[c] for a, b, c in _APR1_ORDER]
    return "".join(_apr1_digits(group, 4) for group in groups) + _apr1_digits(digest[11], 2)


def _apr1_digits(value: int, number: int) -> str:
    return "".join(_APR1_DIGITS[value >> 6 * place & 63] for place in range(number))
