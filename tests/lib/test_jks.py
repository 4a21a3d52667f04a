from base64 import b64decode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from otppi.lib.jks import CannotReadKeyStore, read_jks

PASSWORD = "kunci rahasia"
# Made by keytool of OpenJDK 17 with -storetype JKS: a key of P-256 with its certificate for otp.example.com, and the
# same certificate once more as a trusted one. It opens nothing.
KEYTOOL = b64decode(
    "/u3+7QAAAAIAAAACAAAAAgAHdHJ1c3RlZAAAAaH/sITbAAVYLjUwOQAAAYgwggGEMIIBKqADAgECAgg98JHCWA220TAKBggqhkjO"
    "PQQDAjAaMRgwFgYDVQQDEw9vdHAuZXhhbXBsZS5jb20wIBcNMjYxMTIxMTk1ODQwWhgPMjA1MTA3MTMxOTU4NDBaMBoxGDAWBgNV"
    "BAMTD290cC5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABO/NOcg0/gckY0u9A19Ge7p3vjdmLRyV29SGKnFz"
    "18G9OWnTq8Xd7gqDQuaeoHtMp3K2NDQ4rvkCCu7y2QBTsZ6jWDBWMB0GA1UdDgQWBBSAN5P54+EVK8QnRBAU52UvCk1HMjAgBgNV"
    "HREEGTAXgg9vdHAuZXhhbXBsZS5jb22HBMAAAgcwEwYDVR0lBAwwCgYIKwYBBQUHAwEwCgYIKoZIzj0EAwIDSAAwRQIhAM1+sK+m"
    "OOT/0IahDSrtvKL0aDy8HnU91nC/5WpFOH+YAiBQNAwAbBb8NqfDTCfmM4b1QWgpeX58lQEkG/ObEv1oNAAAAAEAB2dhdGV3YXkA"
    "AAGh/7CDYAAAAH8wfTAOBgorBgEEASoCEQEBBQAEaxzLTD8peO9xsHbJjCcxQKyJy4cmGWvaHMx1U9Ka+ef62dOhMNM7typbN2So"
    "nhC5b2J+y3A5ElPf4FPLRLIRzCqNYfcQQXqWB9w1buV9GGbtlKeHGlWhQGyRgJLCum5+PA7hoob4FqJdBHIRAAAAAQAFWC41MDkA"
    "AAGIMIIBhDCCASqgAwIBAgIIPfCRwlgNttEwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAxMPb3RwLmV4YW1wbGUuY29tMCAXDTI2MTEy"
    "MTE5NTg0MFoYDzIwNTEwNzEzMTk1ODQwWjAaMRgwFgYDVQQDEw9vdHAuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMB"
    "BwNCAATvzTnINP4HJGNLvQNfRnu6d743Zi0cldvUhipxc9fBvTlp06vF3e4Kg0LmnqB7TKdytjQ0OK75Agru8tkAU7Geo1gwVjAd"
    "BgNVHQ4EFgQUgDeT+ePhFSvEJ0QQFOdlLwpNRzIwIAYDVR0RBBkwF4IPb3RwLmV4YW1wbGUuY29thwTAAAIHMBMGA1UdJQQMMAoG"
    "CCsGAQUFBwMBMAoGCCqGSM49BAMCA0gAMEUCIQDNfrCvpjjk/9CGoQ0q7byi9Gg8vB51PdZwv+VqRTh/mAIgUDQMAGwW/Danw0wn"
    "5jOG9UFoKXl+fJUBJBvzmxL9aDQ4KcySwih/fUUzWTPH0jVjClfnKg=="
)


def test_the_key_that_keytool_wrote_belongs_to_the_certificate_beside_it():
    (entry,) = read_jks(KEYTOOL, PASSWORD)
    assert entry.alias == "gateway"
    (certificate,) = map(x509.load_der_x509_certificate, entry.certificates)
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = load_der_private_key(entry.key, None)
    assert key.public_key().public_bytes(*spki) == certificate.public_key().public_bytes(*spki)


@pytest.mark.parametrize("password", ["", "kunci", "KUNCI RAHASIA"])
def test_a_wrong_password_is_refused(password):
    with pytest.raises(CannotReadKeyStore, match="password is wrong"):
        read_jks(KEYTOOL, password)


def test_no_damage_is_taken_for_a_key():
    for at in range(0, len(KEYTOOL), 7):
        damaged = bytearray(KEYTOOL)
        damaged[at] ^= 0x55
        with pytest.raises(CannotReadKeyStore):
            read_jks(bytes(damaged), PASSWORD)
    for length in range(0, len(KEYTOOL), 31):
        with pytest.raises(CannotReadKeyStore):
            read_jks(KEYTOOL[:length], PASSWORD)
