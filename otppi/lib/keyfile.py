"""Secret keys that are born on the device, and the hashes that only their owner can make."""

import hmac
import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from otppi.lib.atomicfile import sync_folder

log = logging.getLogger(__name__)

KEY_BYTES = 32
_PRIVATE = 0o600


class DamagedKeyFile(Exception):
    """The file is there and holds no key; making a new one is for a person to decide."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} does not hold a key of {KEY_BYTES} bytes")


def device_key(path: Path) -> bytes:
    """Return the key in this file; make file, key and folder on first use.

    Several processes may ask at once: all get the same key. A power cut leaves a whole file or none.

    Raises:
        DamagedKeyFile: The file has another size.
        OSError: The file cannot be read or made.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _make(path)
        return _read(path)


def keyed_hash(key: bytes, purpose: str, *fields: str) -> bytes:
    """Return HMAC-SHA-256 over the fields.

    No other list of fields, and none of another purpose, encodes to the same bytes.
    """
    return hmac.digest(key, b"".join(map(_framed, (purpose, *fields))), "sha256")


def _framed(field: str) -> bytes:
    # JSON may carry half of a surrogate pair; it must hash like any other text rather than raise.
    encoded = field.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(4, "big") + encoded


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) & ~_PRIVATE:
            log.warning(
                "a key file was open to others, and is no longer", extra={"fields": {"file": path.name}}
            )
            os.fchmod(fd, _PRIVATE)
        key = os.read(fd, KEY_BYTES + 1)
    finally:
        os.close(fd)
    if len(key) != KEY_BYTES:
        raise DamagedKeyFile(path)
    return key


def _make(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        try:
            os.write(fd, secrets.token_bytes(KEY_BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
        # A link, unlike a rename, does not replace the key of a process that was faster.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    sync_folder(path.parent)
