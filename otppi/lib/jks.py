"""Reading of Java's old key stores, as OpenJDK's `JavaKeyStore.java` and `KeyProtector.java` write them.

Versions 1 and 2 of the format. What newer versions of keytool write under the same file name is PKCS#12.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

MAGIC = b"\xfe\xed\xfe\xed"

_WHITENING = b"Mighty Aphrodite"
_DIGEST_BYTES = 20
_KEY, _TRUSTED = 1, 2
# 1.3.6.1.4.1.42.2.17.1.1, Sun's protection of keys, as DER.
_KEY_PROTECTOR = bytes.fromhex("060a2b060104012a02110101")
_SEQUENCE, _OCTETS = 0x30, 0x04


class CannotReadKeyStore(ValueError):
    """It is damaged or the password is wrong; the text holds neither."""


@dataclass(frozen=True)
class KeyEntry:
    """A private key with its certificates, all in DER."""

    alias: str
    key: bytes  # PKCS#8
    certificates: tuple[bytes, ...]


def read_jks(data: bytes, password: str) -> list[KeyEntry]:
    """Return the keys of a store; trusted certificates without a key are left out.

    Raises:
        CannotReadKeyStore: See there. A key may have another password than its store.
    """
    secret = password.encode("utf-16-be", "surrogatepass")
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if not hmac.compare_digest(hashlib.sha1(secret + _WHITENING + body).digest(), digest):  # noqa: S324
        raise CannotReadKeyStore("the password is wrong, or the key store is damaged")
    bites = _Bites(body)
    if bites.take(4) != MAGIC:
        raise CannotReadKeyStore("this is no key store")
    version = bites.number(4)
    if version not in (1, 2):
        raise CannotReadKeyStore("the key store has a version that does not exist")
    return [one for _ in range(bites.number(4)) if (one := _entry(bites, version, secret)) is not None]


class _Bites:
    """Bytes, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) < length:
            raise CannotReadKeyStore("the key store ends too early")
        self._at += length
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length))

    def der(self, tag: int) -> bytes:
        """Take one value of DER (X.690, 8.1) and return its content."""
        if self.number(1) != tag:
            raise CannotReadKeyStore("a key of the key store is damaged")
        length = self.number(1)
        if length & 0x80:
            length = self.number(length & 0x7F)
        return self.take(length)


def _entry(bites: _Bites, version: int, secret: bytes) -> KeyEntry | None:
    kind = bites.number(4)
    alias = bites.take(bites.number(2)).decode(errors="replace")
    bites.take(8)  # when it was made
    if kind == _TRUSTED:
        _certificate(bites, version)
        return None
    if kind != _KEY:
        raise CannotReadKeyStore("the key store holds something that is neither key nor certificate")
    locked = bites.take(bites.number(4))
    certificates = tuple(_certificate(bites, version) for _ in range(bites.number(4)))
    return KeyEntry(alias, _unlocked(locked, secret), certificates)


def _certificate(bites: _Bites, version: int) -> bytes:
    if version > 1:
        bites.take(bites.number(2))  # X.509
    return bites.take(bites.number(4))


def _unlocked(locked: bytes, secret: bytes) -> bytes:
    """Return the PKCS#8 in an EncryptedPrivateKeyInfo (RFC 5208, 6)."""
    info = _Bites(_Bites(locked).der(_SEQUENCE))
    if not info.der(_SEQUENCE).startswith(_KEY_PROTECTOR):
        raise CannotReadKeyStore("a key is protected in a way that is not known here")
    sealed = info.der(_OCTETS)
    salt, digest = sealed[:_DIGEST_BYTES], sealed[-_DIGEST_BYTES:]
    key = bytes(
        a ^ b for a, b in zip(sealed[_DIGEST_BYTES:-_DIGEST_BYTES], _stream(secret, salt), strict=False)
    )
    if not hmac.compare_digest(hashlib.sha1(secret + key).digest(), digest):  # noqa: S324
        raise CannotReadKeyStore("the key has another password than the key store")
    return key


def _stream(secret: bytes, salt: bytes) -> Iterator[int]:
    def blocks() -> Iterator[bytes]:
        block = salt
        while True:
            block = hashlib.sha1(secret + block).digest()  # noqa: S324
            yield block

    return chain.from_iterable(blocks())
