import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from otppi.model.errors import BadRequest
from otppi.wsgi.certificates import drop_own, examine, keep_own, own_certificate, own_path
from otppi.wsgi.tls import facts_in, server_context
from tests.lib.test_jks import KEYTOOL
from tests.lib.test_jks import PASSWORD as KEYTOOL_PASSWORD

PASSWORD = "kata sandi"
DAY = timedelta(days=1)
NOW = datetime.fromtimestamp(1_800_000_000, UTC)  # where the fixture `clock` begins
KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-224": lambda: ec.generate_private_key(ec.SECP224R1()),
    "RSA 2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA 1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - to be refused
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


class Issued:
    """A certificate with its key, and whose it is."""

    def __init__(
        self,
        name="otp.example.com",
        by=None,
        *,
        kind="P-256",
        begin=NOW - DAY,
        end=NOW + 90 * DAY,
        purposes=(ExtendedKeyUsageOID.SERVER_AUTH,),
        hosts=True,
        may_sign=True,
    ):
        self.key = KEYS[kind]()
        self.issuer = by or self
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)])
            for one in (name, by.name if by else name)
        )
        self.name = name
        builder = (
            x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=not purposes, path_length=None), True)
            .add_extension(
                x509.KeyUsage(may_sign, False, not may_sign, False, False, not purposes, False, False, False),
                True,
            )
        )
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if hosts:
            names = [x509.DNSName(name), x509.IPAddress(ip_address("192.0.2.7"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        digest = None if isinstance(self.issuer.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        self.certificate = builder.sign(self.issuer.key, digest)

    @property
    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, password="", form=PrivateFormat.PKCS8):
        locked = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, form, locked)


@pytest.fixture(scope="module")
def root():
    return Issued("Root of Example", purposes=(), hosts=False)


@pytest.fixture(scope="module")
def between(root):
    return Issued("Between of Example", by=root, purposes=(), hosts=False)


@pytest.fixture(scope="module")
def leaf(between):
    return Issued(by=between)


def subjects(examined):
    found = x509.load_pem_x509_certificates(examined.pem.encode())
    return [one.subject.rfc4514_string().removeprefix("CN=") for one in found]


# -- what it may come as


def test_chain_and_key_in_one_file_or_in_several_and_in_any_order(clock, leaf, between, root):
    one_file = b"Bag Attributes\n" + root.pem + leaf.key_pem() + leaf.pem + between.pem
    several = [leaf.key_pem(), root.pem, leaf.pem + between.pem]
    for documents in ([one_file], several, [b"\xef\xbb\xbf" + one_file.replace(b"\n", b"\r\n")]):
        examined = examine(documents, "", clock)
        assert subjects(examined) == [leaf.name, between.name, root.name]
    assert examined.facts.names == [leaf.name, "192.0.2.7"]
    assert examined.facts.issuer == "CN=Between of Example"
    assert examined.facts.chain == ["CN=Between of Example", "CN=Root of Example"]
    assert examined.facts.not_after_s == int((NOW + 90 * DAY).timestamp())


def test_a_key_with_a_password_is_unlocked_and_kept_without(clock, leaf):
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        documents = [leaf.pem, leaf.key_pem(PASSWORD, form)]
        assert "ENCRYPTED" not in examine(documents, PASSWORD, clock).pem


def test_a_password_that_nothing_asks_for_does_no_harm(clock, leaf):
    assert subjects(examine([leaf.pem, leaf.key_pem()], PASSWORD, clock)) == [leaf.name]


def test_openssl_writes_the_parameters_of_a_curve_before_its_key(clock, tmp_path):
    command = ["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-out", tmp_path / "key"]
    subprocess.run(command, check=True, capture_output=True)
    assert "EC PARAMETERS" in (tmp_path / "key").read_text()
    command = [
        "openssl",
        "req",
        "-new",
        "-x509",
        "-key",
        tmp_path / "key",
        "-subj",
        "/CN=own.example",
        "-days",
        "9000",
    ]
    made = subprocess.run(command, check=True, capture_output=True).stdout
    assert subjects(examine([made, (tmp_path / "key").read_bytes()], "", clock)) == ["own.example"]


def test_pkcs12_of_this_library_and_of_openssl_old_and_new(clock, tmp_path, leaf, between, root):
    chain = [between.certificate, root.certificate]
    lock = BestAvailableEncryption(PASSWORD.encode())
    ours = pkcs12.serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, chain[::-1], lock)
    (tmp_path / "all.pem").write_bytes(leaf.pem + leaf.key_pem() + root.pem + between.pem)
    command = ["openssl", "pkcs12", "-export", "-in", tmp_path / "all.pem", "-passout"]
    new = subprocess.run([*command, f"pass:{PASSWORD}"], check=True, capture_output=True).stdout
    old = subprocess.run([*command, f"pass:{PASSWORD}", "-legacy"], check=True, capture_output=True).stdout
    for document in (ours, new, old):
        assert subjects(examine([document], PASSWORD, clock)) == [leaf.name, between.name, root.name]
    bare = subprocess.run([*command, "pass:"], check=True, capture_output=True).stdout
    assert subjects(examine([bare], "", clock)) == [leaf.name, between.name, root.name]


def test_a_key_store_of_java(clock):
    examined = examine([KEYTOOL], KEYTOOL_PASSWORD, clock)
    assert subjects(examined) == ["otp.example.com"]
    assert examined.facts.names == ["otp.example.com", "192.0.2.7"]


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_or_missing_password_is_said_of_the_password(clock, leaf, password):
    lock = BestAvailableEncryption(PASSWORD.encode())
    store = pkcs12.serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, None, lock)
    for documents in ([leaf.pem, leaf.key_pem(PASSWORD)], [store], [KEYTOOL]):
        with pytest.raises(BadRequest) as refused:
            examine(documents, password, clock)
        assert refused.value.field == "password"
        assert "wrong" in str(refused.value) or "give it" in str(refused.value)


# -- what is refused


def refusal(documents, clock):
    with pytest.raises(BadRequest) as refused:
        examine(documents, "", clock)
    assert refused.value.field == "documents"
    return str(refused.value)


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([], "give 1 to 8 files"),
        ([b""] * 9, "give 1 to 8 files"),
        ([b"x" * 300_000], "256 KiB"),
        ([b"\x89PNG"], "neither PEM nor PKCS#12"),
        ([b"\x30\x03\x02\x01\x05"], "neither PEM nor PKCS#12"),
        ([b"\xce\xce\xce\xce\x00"], "keytool -importkeystore"),
        ([b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], "a certificate is damaged"),
        ([b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"], "the private key is damaged"),
    ],
)
def test_what_is_no_certificate_is_said_to_be_none(clock, documents, reason):
    assert reason in refusal(documents, clock)


def test_key_and_certificate_must_belong_together_and_both_be_there(clock, leaf, root):
    assert "no private key" in refusal([leaf.pem], clock)
    assert "no certificate" in refusal([leaf.key_pem()], clock)
    assert "does not belong" in refusal([leaf.pem, root.key_pem()], clock)
    assert "2 private keys" in refusal([leaf.pem, leaf.key_pem(), root.key_pem()], clock)


def test_a_stranger_in_the_chain_is_named(clock, leaf, between, root):
    assert "CN=Root of Example did not issue" in refusal([leaf.pem, leaf.key_pem(), root.pem], clock)
    imitation = Issued("Between of Example", by=root, purposes=(), hosts=False)
    assert "CN=Between of Example did not issue" in refusal(
        [leaf.pem + leaf.key_pem() + imitation.pem], clock
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"kind": "RSA 1024"}, "its key has 1024 bits"),
        ({"kind": "P-224"}, "elliptic curves P-256"),
        ({"kind": "Ed25519"}, "elliptic curves P-256"),
        ({"end": NOW - DAY / 2}, "CN=otp.example.com ended on 2027-01-14"),
        ({"begin": NOW + DAY}, "CN=otp.example.com begins on 2027-01-16"),
        ({"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, "not for servers"),
        ({"may_sign": False}, "may not sign"),
    ],
)
def test_what_browsers_would_refuse_is_refused(clock, options, reason):
    one = Issued(**options)
    assert reason in refusal([one.pem, one.key_pem()], clock)


def test_a_link_of_the_chain_that_is_over_is_refused(clock, root):
    over = Issued("Between of Example", by=root, purposes=(), hosts=False, end=NOW - DAY / 2)
    leaf = Issued(by=over)
    assert "CN=Between of Example ended" in refusal([leaf.pem, leaf.key_pem(), over.pem], clock)


def test_rsa_of_2048_bits_is_enough(clock):
    one = Issued(kind="RSA 2048")
    assert subjects(examine([one.pem, one.key_pem()], "", clock)) == [one.name]


def test_without_the_time_only_what_surely_is_over_is_refused(clock):
    clock.trusted, clock.wall = False, 0.0
    later = Issued(begin=NOW + 100 * DAY, end=NOW + 200 * DAY)
    assert subjects(examine([later.pem, later.key_pem()], "", clock)) == [later.name]
    # Before this release was made.
    over = Issued(begin=NOW - 800 * DAY, end=NOW - 700 * DAY)
    assert "ended on" in refusal([over.pem, over.key_pem()], clock)


# -- where it is kept


def test_it_is_kept_in_one_private_file_that_servers_can_use(tmp_path, clock, leaf, between):
    folder = tmp_path / "tls"
    keep_own(folder, examine([leaf.pem, between.pem, leaf.key_pem()], "", clock))
    files = own_certificate(folder)
    assert stat.S_IMODE(own_path(folder).stat().st_mode) == 0o600
    assert [one.name for one in folder.iterdir()] == ["own.pem"]
    assert files.fingerprint.replace(":", "").lower() == leaf.certificate.fingerprint(hashes.SHA256()).hex()
    assert facts_in(files.certificate).names == [leaf.name, "192.0.2.7"]
    assert isinstance(server_context(files), ssl.SSLContext)
    drop_own(folder)
    assert own_certificate(folder) is None
    assert list(folder.iterdir()) == []


def test_a_damaged_one_is_none(tmp_path, clock, leaf):
    keep_own(tmp_path, examine([leaf.pem, leaf.key_pem()], "", clock))
    own_path(tmp_path).write_bytes(own_path(tmp_path).read_bytes()[:-100])
    assert own_certificate(tmp_path) is None


def test_examining_one_does_not_bring_the_library_into_the_gateway(tmp_path, leaf):
    (tmp_path / "all.pem").write_bytes(leaf.pem + leaf.key_pem())
    program = (
        "import sys, pathlib; from otppi.wsgi.certificates import examine; from otppi.lib.clock import SystemClock\n"
        "class Early(SystemClock):\n    def wall_is_trusted(self): return False\n"
        "examine([pathlib.Path(sys.argv[1]).read_bytes()], '', Early()); assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "all.pem"], check=True)
