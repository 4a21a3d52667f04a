"""A certificate of the owner's: what was uploaded is examined, put in order and kept beside the self-signed one.

What it is (PEM, PKCS#12 or Java's old key store) is told by its content, never by the name of a file.
"""

import json
import os
import re
import ssl
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otppi.lib.atomicfile import private_folder, sync_folder, write_atomically
from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S, Clock
from otppi.lib.jks import MAGIC, CannotReadKeyStore, read_jks
from otppi.model.errors import BadRequest
from otppi.wsgi.tls import (
    CertificateFiles,
    Facts,
    in_a_process,
    server_context,
    text_of,
    usable_pair,
    with_facts,
)

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_MAX_DOCUMENTS, _MAX_BYTES = 8, 256 * 1024
_JCEKS = b"\xce\xce\xce\xce"
_DER_SEQUENCE = b"\x30"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_LEAST_RSA_BITS = 2048
# Those that browsers take.
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_DOCUMENTS, _PASSWORD = "documents", "password"
_NEEDS_PASSWORD = "the key has a password: give it, too"  # noqa: S105
_WRONG_PASSWORD = "is wrong, or the file is damaged"  # noqa: S105


@dataclass(frozen=True)
class Examined:
    """A certificate that servers can use, with its chain and its key."""

    pem: str
    facts: Facts


def examine(documents: Sequence[bytes], password: str, clock: Clock) -> Examined:
    """Look at everything that was uploaded together; takes a process of some seconds, which is waited for.

    Args:
        documents: One file or several, with one private key, its certificate and, in any order, the chain.
        password: Of key, PKCS#12 file or key store; empty if there is none.
        clock: What is over by it is refused, and what has not begun if it can be trusted.

    Raises:
        BadRequest: It is not good enough; the reason is for the owner.
        CannotMakeCertificate: That process failed.
    """
    if not documents or len(documents) > _MAX_DOCUMENTS or sum(map(len, documents)) > _MAX_BYTES:
        raise BadRequest(_DOCUMENTS, f"give 1 to {_MAX_DOCUMENTS} files of together at most 256 KiB")
    is_trusted = clock.wall_is_trusted()
    answer = in_a_process(
        __spec__.name,
        {
            "documents": [b64encode(one).decode("ascii") for one in documents],
            "password": password,
            "not_earlier_s": clock.wall_s() if is_trusted else EARLIEST_PLAUSIBLE_WALL_S,
            "is_trusted": is_trusted,
        },
    )
    if "reason" in answer:
        raise BadRequest(answer["field"], answer["reason"])
    return Examined(answer["pem"], Facts(**answer["facts"]))


def described(certificate: Path) -> Facts:
    """Return what a certificate says that another program put there; see `examine` for what that takes."""
    return Facts(**in_a_process(__spec__.name, {"certificate": text_of(certificate)})["facts"])


def public_part(certificate: Path) -> str:
    """Return the certificates in a file, without the key that may be there as well."""
    blocks = _BLOCK.finditer(text_of(certificate).encode("ascii", errors="replace"))
    return "".join(f"{one[0].decode('ascii')}\n" for one in blocks if one[1] == b"CERTIFICATE")


def own_path(directory: Path) -> Path:
    """Return where an own certificate is kept: one file with everything, so that it is there whole or not at all."""
    return directory / "own.pem"


def own_certificate(directory: Path) -> CertificateFiles | None:
    """Return the own certificate; None if there is none or it is damaged."""
    path = own_path(directory)
    return usable_pair(path, path)


def keep_own(directory: Path, examined: Examined) -> None:
    """Keep an own certificate, readable by the owner of the folder alone, in place of the one before.

    Raises:
        OSError: It could not be written; the one before is still there.
    """
    private_folder(directory)
    write_atomically(own_path(directory), with_facts(examined.facts, examined.pem))


def drop_own(directory: Path) -> None:
    """Remove the own certificate and its key.

    Raises:
        OSError: There is none, or it could not be removed.
    """
    own_path(directory).unlink()
    sync_folder(directory)


# -- in the process


def _answer(order: Mapping[str, Any]) -> Mapping[str, Any]:
    from cryptography import x509

    if "certificate" in order:
        found = x509.load_pem_x509_certificates(order["certificate"].encode("ascii"))
        return {"facts": asdict(_facts(found))}
    try:
        return _examined(order)
    except BadRequest as error:
        return {"field": error.field, "reason": error.reason}
    except (ValueError, x509.DuplicateExtension):
        return {"field": _DOCUMENTS, "reason": "a certificate is damaged"}


def _examined(order: Mapping[str, Any]) -> Mapping[str, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pile = _Pile(order["password"])
    for document in order["documents"]:
        pile.add(b64decode(document))
    key = pile.only_key()
    chain = _in_order(pile.certificates, key)
    _check_key(key)
    _check_use(chain[0])
    for one in chain:
        _check_time(one, order["not_earlier_s"], is_trusted=order["is_trusted"])
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _try_out(pem)
    return {"pem": pem.decode("ascii"), "facts": asdict(_facts(chain))}


class _Pile:
    """Certificates and keys, of whatever files they came in."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._keys: list[PrivateKeyTypes] = []
        self.certificates: list[x509.Certificate] = []

    def add(self, document: bytes) -> None:
        if document.startswith(MAGIC):
            self._add_jks(document)
        elif document.startswith(_JCEKS):
            reason = "a JCEKS key store is not read here; keytool -importkeystore makes PKCS#12 of it"
            raise BadRequest(_DOCUMENTS, reason)
        elif blocks := list(_BLOCK.finditer(document)):
            for block in blocks:
                self._add_pem(block[1], block[0])
        elif document.startswith(_DER_SEQUENCE):
            self._add_pkcs12(document)
        else:
            raise BadRequest(_DOCUMENTS, "a file is neither PEM nor PKCS#12 nor a key store of Java")

    def only_key(self) -> "PrivateKeyTypes":
        keys = {_public(key): key for key in self._keys}
        if not keys:
            raise BadRequest(_DOCUMENTS, "there is no private key in it; give its file, too")
        if len(keys) > 1:
            raise BadRequest(
                _DOCUMENTS, f"there are {len(keys)} private keys in it; give the one that is meant"
            )
        return next(iter(keys.values()))

    def _add_pem(self, label: bytes, block: bytes) -> None:
        from cryptography import x509

        if label in (b"CERTIFICATE", b"X509 CERTIFICATE"):
            try:
                self.certificates.append(x509.load_pem_x509_certificate(block))
            except ValueError:
                raise BadRequest(_DOCUMENTS, "a certificate is damaged") from None
        elif label.endswith(b"PRIVATE KEY"):
            self._add_pem_key(block)
        # Others, such as EC PARAMETERS, say nothing that the key does not.

    def _add_pem_key(self, block: bytes) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        # RFC 7468, 11, and the older way of RFC 1421, 4.6.1.1.
        is_locked = b"ENCRYPTED" in block
        if is_locked and not self._password:
            raise BadRequest(_PASSWORD, _NEEDS_PASSWORD)
        try:
            self._keys.append(load_pem_private_key(block, self._password.encode() if is_locked else None))
        except (ValueError, TypeError):
            if is_locked:
                raise BadRequest(_PASSWORD, _WRONG_PASSWORD) from None
            raise BadRequest(_DOCUMENTS, "the private key is damaged") from None
        except UnsupportedAlgorithm:
            raise BadRequest(_DOCUMENTS, "the private key is of a kind that is not known here") from None

    def _add_pkcs12(self, document: bytes) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

        try:
            found = load_pkcs12(document, self._password.encode() or None)
        except ValueError:
            if _is_pkcs12(document):
                raise BadRequest(_PASSWORD, _WRONG_PASSWORD if self._password else _NEEDS_PASSWORD) from None
            raise BadRequest(
                _DOCUMENTS, "a file is neither PEM nor PKCS#12 nor a key store of Java"
            ) from None
        except UnsupportedAlgorithm:
            raise BadRequest(_DOCUMENTS, "it is locked in a way that is not known here") from None
        if found.key is not None:
            self._keys.append(found.key)
        self.certificates += [one.certificate for one in (found.cert, *found.additional_certs) if one]

    def _add_jks(self, document: bytes) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        try:
            entries = read_jks(document, self._password)
        except CannotReadKeyStore as error:
            raise BadRequest(_PASSWORD, str(error)) from None
        try:
            for entry in entries:
                self._keys.append(load_der_private_key(entry.key, None))
                self.certificates += map(x509.load_der_x509_certificate, entry.certificates)
        except ValueError:
            raise BadRequest(_DOCUMENTS, "the key store is damaged") from None


def _is_pkcs12(document: bytes) -> bool:
    # RFC 7292, 4: PFX is a SEQUENCE that begins with the version 3; its length has one to five bytes.
    return b"\x02\x01\x03" in document[2:10]


def _public(of: "x509.Certificate | PrivateKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _in_order(
    certificates: Sequence["x509.Certificate"], key: "PrivateKeyTypes"
) -> Sequence["x509.Certificate"]:
    """Return the certificate of the key, who issued that, and so on (RFC 8446, 4.4.2)."""
    public = _public(key)
    unused = list(dict.fromkeys(certificates))
    fitting = [one for one in unused if _public(one) == public]
    if not fitting:
        words = "the private key does not belong to it" if unused else "there is no certificate in it"
        raise BadRequest(_DOCUMENTS, words)
    # One that was renewed may still lie beside the new one.
    chain = [max(fitting, key=lambda one: one.not_valid_after_utc)]
    unused = [one for one in unused if one not in fitting]
    while issuer := next((one for one in unused if _issued(chain[-1], one)), None):
        chain.append(issuer)
        unused.remove(issuer)
    if unused:
        reason = f"{unused[0].subject.rfc4514_string()} did not issue any of the others; leave it out"
        raise BadRequest(_DOCUMENTS, reason)
    return chain


def _issued(certificate: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_key(key: "PrivateKeyTypes") -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, RSAPrivateKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise BadRequest(
                _DOCUMENTS, f"its key has {key.key_size} bits; RSA needs {_LEAST_RSA_BITS} or more"
            )
    elif not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        reason = "browsers take keys of RSA and of the elliptic curves P-256, P-384 and P-521 only"
        raise BadRequest(_DOCUMENTS, reason)


def _check_use(certificate: "x509.Certificate") -> None:
    """Refuse what may not be used by servers of TLS (RFC 5280, 4.2.1.3 and 4.2.1.12)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    with suppress(x509.ExtensionNotFound):
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(purposes):
            raise BadRequest(_DOCUMENTS, "the certificate is not for servers (extendedKeyUsage)")
    with suppress(x509.ExtensionNotFound):
        if not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            raise BadRequest(_DOCUMENTS, "its key may not sign, as servers must (keyUsage)")


def _check_time(certificate: "x509.Certificate", not_earlier_s: float, *, is_trusted: bool) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    subject = certificate.subject.rfc4514_string()
    if end.timestamp() < not_earlier_s:
        raise BadRequest(_DOCUMENTS, f"{subject} ended on {end:%Y-%m-%d}")
    if is_trusted and begin.timestamp() > not_earlier_s:
        raise BadRequest(_DOCUMENTS, f"{subject} begins on {begin:%Y-%m-%d} only")


def _try_out(pem: bytes) -> None:
    """Let OpenSSL have the last word, as it will when the servers use it; nothing gets to a disk."""
    memory = os.memfd_create("certificate")
    try:
        os.write(memory, pem)
        path = Path(f"/proc/self/fd/{memory}")
        server_context(CertificateFiles(path, path, ""))
    except ssl.SSLError as error:
        reason = (error.reason or "unknown reason").lower().replace("_", " ")
        raise BadRequest(_DOCUMENTS, f"OpenSSL does not take it: {reason}") from None
    finally:
        os.close(memory)


def _facts(chain: Sequence["x509.Certificate"]) -> Facts:
    first = chain[0]
    return Facts(
        names=_names(first),
        not_before_s=int(first.not_valid_before_utc.timestamp()),
        not_after_s=int(first.not_valid_after_utc.timestamp()),
        subject=first.subject.rfc4514_string(),
        issuer=first.issuer.rfc4514_string(),
        chain=[one.subject.rfc4514_string() for one in chain[1:]],
    )


def _names(certificate: "x509.Certificate") -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *found.get_values_for_type(x509.DNSName),
        *map(str, found.get_values_for_type(x509.IPAddress)),
    ]


if __name__ == "__main__":
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
