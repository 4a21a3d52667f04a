"""Public keys of SSH as people paste them; read strictly, because whoever has the other half becomes root."""

import base64
import hashlib
import re
from dataclasses import dataclass

from otppi.settings.fields import NotAccepted

# Neither DSA, which is broken, nor certificates, whose authority nobody has named.
_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_SHORTEST_RSA_BITS = (
    3072  # as strong as the others (NIST SP 800-57 part 1, table 2), and what ssh-keygen makes
)
_LONGEST_TEXT, _LONGEST_COMMENT = 4096, 100
_NOT_IN_A_COMMENT = re.compile(r"[^A-Za-z0-9@._+:-]+")


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A key that opens the device."""

    kind: str
    blob: bytes
    comment: str = ""  # letters, digits and a few signs

    @property
    def line(self) -> str:
        """The key as a line of authorized_keys; it holds nothing that was not understood."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()

    @property
    def fingerprint(self) -> str:
        """What ssh-keygen -l shows."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"


def read_key(text: str) -> PublicKey:
    """Read one key as it stands in a file such as id_ed25519.pub.

    Raises:
        NotAccepted: It is none, is weak, or has options in front.
    """
    if "PRIVATE KEY" in text:
        raise NotAccepted(
            "is a private key, which nobody but you should ever see; the file that ends in .pub is meant"
        )
    words = text.split()
    if len(words) < 2 or words[0] not in _KINDS or len(text.strip().splitlines()) != 1:
        raise NotAccepted(
            "must be one line of a kind of key, a key and a name, such as: ssh-ed25519 AAAA... name; options are not "
            f"taken, nor other kinds than {', '.join(_KINDS)}"
        )
    if len(text) > _LONGEST_TEXT:
        raise NotAccepted(f"is longer than {_LONGEST_TEXT} characters")
    comment = _NOT_IN_A_COMMENT.sub("_", " ".join(words[2:]))[:_LONGEST_COMMENT]
    return PublicKey(kind=words[0], blob=_blob(words[0], words[1]), comment=comment)


def keys_in(text: str) -> tuple[PublicKey, ...]:
    """Read a file of keys, such as authorized_keys, with comments and empty lines.

    Raises:
        NotAccepted: See `read_key`.
    """
    lines = (line.strip() for line in text.splitlines())
    return tuple(read_key(line) for line in lines if line and not line.startswith("#"))


def _blob(kind: str, encoded: str) -> bytes:
    # It costs memory, so only who reads keys has it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        blob = base64.b64decode(encoded, validate=True)
        # Knows the form of each kind to its last byte, and that the kind inside is the one outside.
        key = load_ssh_public_key(f"{kind} {encoded}".encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAccepted("is damaged: a part is missing, or it was changed while it was copied") from error
    if isinstance(key, RSAPublicKey) and key.key_size < _SHORTEST_RSA_BITS:
        raise NotAccepted(
            f"is an RSA key of {key.key_size} bits; at least {_SHORTEST_RSA_BITS} are needed. Make another one: "
            "ssh-keygen -t ed25519"
        )
    return blob
