"""Certificates of the brokers: a CA of their own, one that vouches for nobody, and what the first has signed."""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)
_ROLES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def pkcs12(self, password: str) -> bytes:
        """Both in the form that Java reads."""
        locked = BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(b"broker", self.key, self.certificate, None, locked)

    def java_truststore(self, password: str) -> bytes:
        """The certificate alone, for a Java that is to trust whom it has signed."""
        trusted = [pkcs12.PKCS12Certificate(self.certificate, b"ca")]
        return pkcs12.serialize_java_truststore(trusted, BestAvailableEncryption(password.encode()))


@dataclass(frozen=True)
class Certificates:
    ca: Pair
    server: Pair  # for localhost and 127.0.0.1
    client: Pair
    foreign_ca: Pair  # vouches for none of these
    foreign_client: Pair  # vouched for by it


@functools.cache
def certificates() -> Certificates:
    """Make them, once in a process; all servers show the same."""
    ca, foreign_ca = _ca("CA of the brokers"), _ca("Another CA")
    return Certificates(
        ca,
        _signed("server", ca),
        _signed("client", ca),
        foreign_ca,
        _signed("client", foreign_ca),
    )


def _ca(name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begun(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    return Pair(builder.add_extension(_usage(may_sign=True), True).sign(key, hashes.SHA256()), key)


def _signed(role: str, ca: Pair) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = ca.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    builder = _begun(role, issuer, key).add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(may_sign=False), True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([_ROLES[role]]), False)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    builder = builder.add_extension(x509.SubjectAlternativeName(hosts), False)
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _begun(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(subject_name=names[0], issuer_name=names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
    )


def _usage(*, may_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not may_sign, False, False, False, False, may_sign, False, False, False)
