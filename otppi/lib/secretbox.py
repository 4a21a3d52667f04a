"""Secrets that are kept sealed: AES-256-GCM under a key of the device or of a passphrase."""

import base64
import hashlib
import logging
import os
import secrets
from pathlib import Path

from otppi.lib.atomicfile import private_folder
from otppi.lib.keyfile import DamagedKeyFile, device_key

log = logging.getLogger(__name__)

SALT_BYTES = 16
_NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1
_PASSPHRASE_N, _PASSPHRASE_R, _PASSPHRASE_P = 2**15, 8, 1


class CannotOpen(Exception):
    """The seal was made with another key or for another place, or it is damaged."""


def seal(key: bytes, clear: str, context: str) -> str:
    """Return a sealed text in base64; only the same key and context open it."""
    return base64.b64encode(seal_bytes(key, clear.encode("utf-8"), context)).decode()


def unseal(key: bytes, sealed: str, context: str) -> str:
    """Return the clear text.

    Raises:
        CannotOpen: Key or context is not that of the seal, or the seal is damaged.
    """
    try:
        return unseal_bytes(key, base64.b64decode(sealed, validate=True), context).decode()
    except ValueError as error:
        raise CannotOpen("the seal does not open") from error


def seal_bytes(key: bytes, clear: bytes, context: str) -> bytes:
    """Return sealed data; only the same key and context open it."""
    # Imported late: it takes several MB, and a device without secrets needs none of them.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, clear, context.encode("utf-8"))


def unseal_bytes(key: bytes, sealed: bytes, context: str) -> bytes:
    """Return the clear data.

    Raises:
        CannotOpen: Key or context is not that of the seal, or the seal is damaged.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode("utf-8"))
    except (ValueError, InvalidTag) as error:
        raise CannotOpen("the seal does not open") from error


def passphrase_key(passphrase: str, salt: bytes) -> bytes:
    """Return the key of a passphrase; takes a moment and 32 MB on purpose."""
    n, r, p = _PASSPHRASE_N, _PASSPHRASE_R, _PASSPHRASE_P
    clear = passphrase.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(clear, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


class DeviceBox:
    """Seals under a key that is born on the device when the first secret is sealed.

    One writer at a time; opening may happen beside it.
    """

    def __init__(self, key_file: Path) -> None:
        self._file = key_file
        self._key: bytes | None = None

    def seal(self, clear: str, context: str) -> str:
        """Seal a text; makes the key if there is none.

        Raises:
            OSError: The key cannot be read or made.
        """
        if self._key is None:
            private_folder(self._file.parent)
            try:
                self._key = device_key(self._file)
            except DamagedKeyFile:
                self._key = self._new_key()
        return seal(self._key, clear, context)

    def open(self, sealed: str, context: str) -> str:
        """Return the clear text.

        Raises:
            CannotOpen: The key is lost or another one, or the seal is damaged.
        """
        if self._key is None:
            try:
                # Asking for a key that is lost must not make a new one.
                if not self._file.exists():
                    raise CannotOpen("the key is lost")
                self._key = device_key(self._file)
            except (DamagedKeyFile, OSError) as error:
                raise CannotOpen("the key cannot be read") from error
        return unseal(self._key, sealed, context)

    def _new_key(self) -> bytes:
        aside = self._file.with_name(f"{self._file.name}.damaged")
        log.error(
            "a damaged key is put aside and a new one is made; what the old one sealed is lost",
            extra={"fields": {"file": self._file.name, "kept_as": aside.name}},
        )
        os.replace(self._file, aside)
        return device_key(self._file)
