import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.wsgi.test_certificates import Issued

PASSWORD = "of the file"
NAME = "otp.example.com"
TODAY = datetime.now(UTC).replace(microsecond=0)


def issued(days: int) -> Issued:
    return Issued(NAME, begin=TODAY - timedelta(days=1), end=TODAY + timedelta(days=days, hours=12))


@pytest.fixture(scope="module")
def own():
    return issued(80)


def bundle(one: Issued) -> bytes:
    locked = BestAvailableEncryption(PASSWORD.encode())
    return serialize_key_and_certificates(b"otp", one.key, one.certificate, None, locked)


def test_the_self_signed_one_is_shown_with_how_to_trust_it(pages, owner, viewer):
    for who in (owner, viewer):
        seen = who.get("/certificate").visible
        assert "self-signed" in seen
        assert "How to trust it" in seen
        assert pages.gateway._certificates.show()["fingerprint"] in seen
    assert "Upload" not in viewer.get("/certificate").visible
    assert viewer.post("/certificate/renew").status == 403


def test_what_is_downloaded_is_the_certificate_without_its_key(pages, owner, own):
    files = {"certificate": ("own.pem", own.pem + own.key_pem())}
    assert owner.upload("/certificate", {}, files).status == 303
    answer = owner.get("/certificate/otp-pi.crt")
    assert ssl.PEM_cert_to_DER_cert(answer.text) == ssl.PEM_cert_to_DER_cert(own.pem.decode())
    assert "PRIVATE" not in answer.text
    assert "attachment" in answer.headers["Content-Disposition"]


def test_an_own_one_is_uploaded_with_its_password_and_dropped_again(pages, owner, own):
    answer = owner.upload("/certificate", {"password": PASSWORD}, {"certificate": ("own.p12", bundle(own))})
    seen = owner.follow(answer).visible
    assert "your own" in seen
    assert f"CN={NAME}" in seen
    assert "80 days left" in seen
    refused = owner.post("/certificate/renew")
    assert "drop it first" in owner.follow(refused).visible
    assert "self-signed" in owner.follow(owner.post("/certificate/drop")).visible


def test_certificate_and_key_may_be_in_two_files(pages, owner, own):
    files = {"certificate": ("own.crt", own.pem), "key": ("own.key", own.key_pem())}
    assert "your own" in owner.follow(owner.upload("/certificate", {}, files)).visible


def test_one_that_ends_soon_is_warned_of(pages, owner):
    soon = issued(10)
    page = owner.follow(
        owner.upload("/certificate", {}, {"certificate": ("own.pem", soon.pem + soon.key_pem())})
    )
    assert "ends in 10 days" in page.visible


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(pages, owner, own):
    wrong = "a wrong password"
    answer = owner.upload("/certificate", {"password": wrong}, {"certificate": ("own.p12", bundle(own))})
    assert answer.status == 400
    assert 'id="password-error">is wrong, or the file is damaged<' in answer.text
    assert wrong not in answer.text
    answer = owner.upload("/certificate", {}, {"certificate": ("own.pem", own.pem)})
    assert 'id="certificate-error"' in answer.text
    assert 'id="certificate-error"' in owner.upload("/certificate", {}, {}).text
    assert "self-signed" in owner.get("/certificate").visible


def test_the_self_signed_one_is_made_anew(pages, owner):
    before = pages.gateway._certificates.show()["fingerprint"]
    seen = owner.follow(owner.post("/certificate/renew")).visible
    assert "new key" in seen
    assert before not in seen
