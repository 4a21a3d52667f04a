"""Passwords as slow hashes."""

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata

# 16 MB and some tens of milliseconds on a desk, a few hundred on the smallest board: RFC 7914, 2.
_LOG2_N, _R, _P = 14, 8, 1
_SALT_BYTES = 16
_HASH_BYTES = 32
# Beyond all passwords: to compare letters in all ways of writing them costs the square of what somebody makes up.
LONGEST_PASSWORD = 1024
_SCRYPT = re.compile(rf"scrypt\${_LOG2_N}\${_R}\${_P}\$([A-Za-z0-9+/]{{22}}==)\$([A-Za-z0-9+/]{{43}}=)")
# What older devices kept: the hash of the password, the hash of that hash in hexadecimal, or one of them, nobody knows.
_LEGACY = re.compile(r"(sha256|sha256x2|sha256x1or2)\$([0-9a-f]{64})")


def hash_password(clear: str) -> str:
    """Return the form to store, `scrypt$14$8$1$SALT$HASH`; takes a moment and 16 MB on purpose.

    Raises:
        ValueError: It is longer than `LONGEST_PASSWORD`.
    """
    if len(clear) > LONGEST_PASSWORD:
        raise ValueError("the password is too long")
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt${_LOG2_N}${_R}${_P}${_base64(salt)}${_base64(_scrypt(clear, salt))}"


def verify_password(clear: str, stored: str) -> bool:
    """Whether this is the password; False for anything that is not a stored form, or too long for a password."""
    if len(clear) > LONGEST_PASSWORD:
        return False
    if match := _SCRYPT.fullmatch(stored):
        salt, expected = (base64.b64decode(part) for part in match.groups())
        return hmac.compare_digest(_scrypt(clear, salt), expected)
    if match := _LEGACY.fullmatch(stored):
        once = hashlib.sha256(clear.encode("utf-8", "surrogatepass")).hexdigest()
        twice = hashlib.sha256(once.encode()).hexdigest()
        possible = {"sha256": (once,), "sha256x2": (twice,), "sha256x1or2": (once, twice)}[match[1]]
        return any([hmac.compare_digest(digest, match[2]) for digest in possible])
    return False


def kept_form(clear: str, stored: str) -> str | None:
    """Return what to keep of a right password, None if it is wrong.

    It is what is stored, or a slow hash in place of what an older device kept. Every call costs one slow hash,
    so time tells neither the age of an account nor whether there is one (`stored` empty). What is too long for a
    password costs none, whatever is stored.
    """
    if len(clear) > LONGEST_PASSWORD:
        return None
    if _SCRYPT.fullmatch(stored):
        return stored if verify_password(clear, stored) else None
    slow = hash_password(clear)
    return slow if verify_password(clear, stored) else None


def is_stored_form(text: str) -> bool:
    """Whether this is a hash that `verify_password` understands rather than a clear password."""
    return bool(_SCRYPT.fullmatch(text) or _LEGACY.fullmatch(text))


def _scrypt(clear: str, salt: bytes) -> bytes:
    # Two keyboards may send one letter with an accent in two ways (NIST SP 800-63B-4, 3.1.1.2).
    normal = unicodedata.normalize("NFC", clear).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(normal, salt=salt, n=2**_LOG2_N, r=_R, p=_P, dklen=_HASH_BYTES)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
