"""The TLS certificate that the device makes for itself, and the context in which the servers use one."""

import hashlib
import json
import logging
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otppi.lib.atomicfile import write_atomically
from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S, Clock, SystemClock

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger(__name__)

_DAY_S = 86_400
# Browsers refuse server certificates that are valid longer, whoever made them.
_VALID_DAYS = 825
# The clocks of the device and of its clients may be far apart, so the certificate begins in the past.
_BACKDATED_DAYS = 365
_RENEWED_DAYS_BEFORE_END = 30
_CHILD_TIMEOUT_S = 120


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate and its key; another certificate in the same files is not equal to this."""

    certificate: Path
    key: Path
    # SHA-256 of the certificate, as browsers show it.
    fingerprint: str


@dataclass(frozen=True)
class Facts:
    """What a certificate says; kept in a line before it.

    The line spares every start the library that could read the certificate itself.
    """

    names: list[str]
    not_before_s: int
    not_after_s: int
    subject: str = "CN=OTP-Pi"
    issuer: str = "CN=OTP-Pi"
    chain: list[str] = field(default_factory=list)  # who issued it, and who issued that


class CannotMakeCertificate(Exception):
    """The process that makes and reads certificates failed; the text is the last it said."""


def ensure_certificate(directory: Path, names: Sequence[str], clock: Clock | None = None) -> CertificateFiles:
    """Return a self-signed certificate for these host names and addresses; make or renew it if need be.

    A certificate is renewed if it lacks one of the names or, by a clock that can be trusted, has less than 30
    days left or is not valid yet. The key stays the same, for clients that pin it. A pair that was not made
    here is left alone as long as it is one. Making takes a process of some seconds, which is waited for. Where a
    renewal fails, the old one stays.

    Raises:
        CannotMakeCertificate: That process failed, and there is no old one.
        OSError: The files cannot be read or written.
    """
    clock = clock or SystemClock()
    certificate, key = directory / "tls.crt", directory / "tls.key"
    if not _fits_together(certificate, key):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _renew(certificate, key, names, clock)
    elif not _is_current(facts_in(certificate), names, clock):
        try:
            _renew(certificate, key, names, clock)
        except (CannotMakeCertificate, OSError) as error:
            # As with a full disk. Clients that pin the old one, or do not look, are still served.
            log.warning("the old TLS certificate stays", extra={"fields": {"reason": str(error)}})
    return _files(certificate, key)


def replace_certificate(directory: Path, names: Sequence[str], clock: Clock) -> CertificateFiles:
    """Make a self-signed certificate with a new key in place of the present one; see `ensure_certificate`."""
    certificate, key = directory / "tls.crt", directory / "tls.key"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _renew(certificate, key, names, clock, keeps_key=False)
    return _files(certificate, key)


def usable_pair(certificate: Path, key: Path) -> CertificateFiles | None:
    """Return what servers can use; None if it is missing, damaged or does not belong together."""
    return _files(certificate, key) if _fits_together(certificate, key) else None


def facts_in(certificate: Path) -> Facts | None:
    """Return what the line before the certificate says; None if another program wrote the file."""
    try:
        return Facts(**json.loads(text_of(certificate).partition("\n")[0]))
    except (ValueError, TypeError):
        return None


def with_facts(facts: Facts, pem: str) -> bytes:
    """Return a certificate with the line before it."""
    return f"{json.dumps(asdict(facts))}\n{pem}".encode("ascii")


def text_of(certificate: Path) -> str:
    """Return the text of a file with a certificate; other programs write what they like around it."""
    return certificate.read_text("ascii", errors="replace")


def in_a_process(module: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have a module answer an order: both JSON, by standard input and output.

    The library of certificates costs 11 MB that the gateway would keep for ever; a process gives them back.

    Raises:
        CannotMakeCertificate: It failed.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=_CHILD_TIMEOUT_S,
            # Where this package was found, it will be found again.
            cwd=Path(__file__).parents[2],
            check=False,
        )
    except subprocess.TimeoutExpired:
        # Its own text would hold the command, and what came of it so far is of no use.
        raise CannotMakeCertificate(f"it took more than {_CHILD_TIMEOUT_S} s") from None
    if child.returncode != 0:
        # The last line names the exception; neither key nor order get into one.
        raise CannotMakeCertificate(child.stderr.strip().rpartition("\n")[2])
    answer: Mapping[str, Any] = json.loads(child.stdout)
    return answer


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return the context for servers: TLS 1.2 or newer, no certificate asked of clients.

    Raises:
        ssl.SSLError, OSError: The files cannot be read or do not belong together.
    """
    return _context(files.certificate, files.key)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without a password OpenSSL would ask for one at the terminal if the key has one.
    context.load_cert_chain(certificate, key, password="")
    return context


def _fits_together(certificate: Path, key: Path) -> bool:
    try:
        _context(certificate, key)
    except (ssl.SSLError, FileNotFoundError):
        return False
    return True


def _files(certificate: Path, key: Path) -> CertificateFiles:
    return CertificateFiles(certificate, key, _fingerprint(text_of(certificate)))


def _fingerprint(text: str) -> str:
    start, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[start:end])).digest().hex(":").upper()


def _is_current(facts: Facts | None, names: Sequence[str], clock: Clock) -> bool:
    if facts is None:
        return True
    if not set(names) <= set(facts.names):
        return False
    if not clock.wall_is_trusted():
        return True
    renewed_s = facts.not_after_s - _RENEWED_DAYS_BEFORE_END * _DAY_S
    return facts.not_before_s <= clock.wall_s() < renewed_s


def _renew(
    certificate: Path, key: Path, names: Sequence[str], clock: Clock, *, keeps_key: bool = True
) -> None:
    facts = _new_facts(names, clock)
    old_key = ""
    if keeps_key:
        with suppress(FileNotFoundError, UnicodeDecodeError):
            old_key = key.read_text("ascii")
    made = in_a_process(__spec__.name, {**asdict(facts), "key": old_key})
    if made["key"] != old_key:
        write_atomically(key, made["key"].encode("ascii"))
    write_atomically(certificate, with_facts(facts, made["certificate"]))
    log.info("made a TLS certificate", extra={"fields": {"names": ",".join(facts.names)}})


def _new_facts(names: Sequence[str], clock: Clock) -> Facts:
    now_s = clock.wall_s() if clock.wall_is_trusted() else EARLIEST_PLAUSIBLE_WALL_S
    not_before_s = int(now_s) - _BACKDATED_DAYS * _DAY_S
    # RFC 5280, 4.1.2.5: the last second counts.
    return Facts(sorted(set(names)), not_before_s, not_before_s + _VALID_DAYS * _DAY_S - 1)


def _make(order: Mapping[str, Any]) -> Mapping[str, str]:
    """Make a certificate as ordered, and a key if the order has no usable one."""
    from cryptography.hazmat.primitives import serialization

    key = _usable_key(order["key"]) or _new_key()
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate_pem = _signed(key, order).public_bytes(serialization.Encoding.PEM)
    return {"key": key_pem.decode("ascii"), "certificate": certificate_pem.decode("ascii")}


def _usable_key(pem: str) -> "EllipticCurvePrivateKey | None":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    try:
        key = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, EllipticCurvePrivateKey) else None


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _signed(key: "EllipticCurvePrivateKey", order: Mapping[str, Any]) -> "x509.Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OTP-Pi")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(order["not_before_s"], UTC))
        .not_valid_after(datetime.fromtimestamp(order["not_after_s"], UTC))
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in order["names"]]), False)
        # Whoever trusts this certificate trusts this device and nothing that it could sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(_signatures_only(), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(identifier, False)
        .add_extension(authority, False)
    )
    return builder.sign(key, hashes.SHA256())


def _signatures_only() -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


if __name__ == "__main__":
    json.dump(_make(json.load(sys.stdin)), sys.stdout)
