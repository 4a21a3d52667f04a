import json
import socket
import ssl
from base64 import b64encode
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes

from otppi.model.checks import Level
from otppi.model.errors import BadRequest
from otppi.services.certificates import Certificates
from otppi.services.control import Refused, call
from otppi.services.folders import StateFolder
from otppi.services.resetting import forget_certificate
from otppi.web.settings import AdminSettings
from tests.services.test_cli import otppi
from tests.wsgi.test_certificates import NOW, Issued

NAMES = ("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def issued():
    return Issued(end=NOW + timedelta(days=40, hours=1))


@pytest.fixture
def told():
    return []


@pytest.fixture
def certificates(tmp_path, clock, told):
    return Certificates(tmp_path / "tls", lambda: NAMES, clock, lambda: told.append("changed"))


def files_of(one):
    return [b64encode(part).decode() for part in (one.pem, one.key_pem())]


def fingerprint_of(one):
    return one.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def finding(certificates):
    (check,) = certificates.checks()
    assert bool(check.advice) is (check.level is not Level.GREEN)
    return check.level, check.finding


def test_at_first_it_is_self_signed(certificates):
    shown = certificates.show()
    assert not shown["is_own"]
    assert (shown["subject"], shown["names"]) == ("CN=OTP-Pi", ["127.0.0.1", "localhost"])
    assert shown["days_left"] == 459
    assert shown["notes"] == []
    assert finding(certificates) == (Level.GREEN, "self-signed, until 2028-04-19")


def test_an_own_one_takes_its_place_and_can_be_dropped_again(certificates, issued, told):
    before = certificates.show()
    shown = certificates.put(files_of(issued))
    assert shown["is_own"]
    assert shown["fingerprint"] == certificates.files().fingerprint == fingerprint_of(issued)
    assert (shown["valid_until"], shown["days_left"]) == ("2027-02-24T09:00:00+00:00", 40)
    assert certificates.drop() == before
    assert told == ["changed", "changed"]
    with pytest.raises(BadRequest, match="no certificate of your own"):
        certificates.drop()


def test_what_is_refused_leaves_all_as_it_was(certificates, issued, told, tmp_path):
    certificates.put(files_of(issued))
    before = {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    weak = Issued(kind="RSA 1024")
    for documents in (files_of(weak), ["not Base64!"], [], files_of(issued)[:1]):
        with pytest.raises(BadRequest):
            certificates.put(documents)
    assert {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before
    assert told == ["changed"]


def test_a_new_self_signed_one_has_a_new_key(certificates, issued, told, tmp_path):
    before, key = certificates.show(), (tmp_path / "tls" / "tls.key").read_bytes()
    assert certificates.renew()["fingerprint"] != before["fingerprint"]
    assert (tmp_path / "tls" / "tls.key").read_bytes() != key
    assert told == ["changed"]
    certificates.put(files_of(issued))
    with pytest.raises(BadRequest, match="drop it first"):
        certificates.renew()


def test_the_diagnosis_warns_a_month_before_an_own_one_ends(certificates, issued, clock):
    certificates.put(files_of(issued))
    assert finding(certificates) == (Level.GREEN, "your own, until 2027-02-24")
    clock.advance(11 * 86_400)
    assert finding(certificates) == (Level.YELLOW, "your own ends on 2027-02-24")
    clock.advance(30 * 86_400)
    assert finding(certificates) == (Level.RED, "your own ended on 2027-02-24")
    # Those who pin it go on.
    assert certificates.files().fingerprint == fingerprint_of(issued)
    clock.trusted = False
    assert finding(certificates)[0] is Level.GREEN
    assert certificates.show()["days_left"] is None


def test_a_damaged_own_one_is_not_served_and_is_told(certificates, issued, tmp_path):
    certificates.put(files_of(issued))
    (tmp_path / "tls" / "own.pem").write_text("damaged")
    assert not certificates.show()["is_own"]
    assert finding(certificates) == (Level.RED, "your own is damaged, the self-signed one is used")


def test_one_that_names_no_host_is_taken_with_a_note(certificates):
    old = Issued(hosts=False)
    assert "browsers refuse it" in certificates.put(files_of(old))["notes"][0]


def test_one_that_another_program_put_there_is_shown_as_well(certificates, issued, tmp_path):
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "tls.crt").write_bytes(issued.pem)
    (tmp_path / "tls" / "tls.key").write_bytes(issued.key_pem())
    assert certificates.show()["names"] == [issued.name, "192.0.2.7"]


def test_a_reset_forgets_the_own_one_too(certificates, issued, tmp_path):
    before = certificates.show()
    certificates.put(files_of(issued))
    forget_certificate(StateFolder(tmp_path))
    after = certificates.show()
    assert not after["is_own"]
    assert after["fingerprint"] != before["fingerprint"]


# -- in a gateway


def served(port):
    """Return the fingerprint of the certificate that a door shows, or nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            with context.wrap_socket(plain) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if not (begun := connection.recv(100)):
                    return ""  # the door was just being opened anew
                assert begun.startswith(b"HTTP/1.1 200 ")
                certificate = connection.getpeercert(binary_form=True)
    except OSError:
        return ""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate)
    return digest.finalize().hex(":").upper()


def test_both_doors_of_https_take_a_new_certificate_without_a_restart(gateway, free_port):
    port = free_port()
    one = gateway(modems=(), api={"https_enabled": True})
    one.gateway.store.update(AdminSettings, {"https_enabled": True, "https_port": port})
    first = call(one.state_dir, "certificate.show", {}, 30)["fingerprint"]
    one.wait_until(lambda: served(port) == served(one.https_port) == first)
    # The clock of this machine judges here.
    own = Issued(begin=NOW - timedelta(days=2000), end=NOW + timedelta(days=9000))
    put = {"documents": files_of(own), "password": ""}
    assert call(one.state_dir, "certificate.put", put, 30)["fingerprint"] == fingerprint_of(own)
    one.wait_until(lambda: served(port) == served(one.https_port) == fingerprint_of(own))
    checks = {check["name"]: check["level"] for check in one.gateway.diagnose()}
    assert checks["admin-tls"] == checks["rest-tls"] == checks["certificate"] == "green"
    with pytest.raises(Refused, match="no private key"):
        call(one.state_dir, "certificate.put", {"documents": put["documents"][:1]}, 30)
    call(one.state_dir, "certificate.drop", {}, 30)
    one.wait_until(lambda: served(port) == served(one.https_port) == first)


def test_without_any_door_of_https_no_certificate_is_made(gateway):
    one = gateway(modems=())
    assert "certificate" not in {check["name"] for check in one.gateway.diagnose()}
    assert not (one.state_dir / "tls").exists()


def test_the_command_line_does_it_all(gateway, tmp_path):
    one = gateway(modems=(), api={"https_enabled": True})
    own = Issued(begin=NOW - timedelta(days=2000), end=NOW + timedelta(days=9000))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(own.pem)
    key.write_bytes(own.key_pem("kata sandi"))

    def certificate(*words, stdin="", check=0):
        return otppi(one.state_dir, "certificate", *words, stdin=stdin, check=check)

    assert certificate("show").stdout.startswith("self-signed: CN=OTP-Pi\n")
    assert "has a password" in certificate("put", str(chain), str(key), check=1).stderr
    put = certificate("put", str(chain), str(key), "--password-stdin", stdin="kata sandi\n")
    assert put.stdout.startswith("your own: CN=otp.example.com\n")
    assert f"SHA-256 {fingerprint_of(own)}" in put.stdout
    assert "drop it first" in certificate("renew", check=1).stderr
    first = json.loads(certificate("drop", "--json").stdout)["fingerprint"]
    assert json.loads(certificate("renew", "--json").stdout)["fingerprint"] != first
