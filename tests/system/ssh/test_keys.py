import base64
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.settings.fields import NotAccepted
from otppi.system.ssh.keys import keys_in, read_key
from tests import needs

SK_KINDS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


def wire(*parts: bytes) -> str:
    return base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()


ED25519 = f"ssh-ed25519 {wire(b'ssh-ed25519', bytes(range(32)))}"


def made(folder, *options):
    """Return a public key as ssh-keygen writes it, and what it says of it."""
    needs.programs("ssh-keygen")
    file = folder / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-C", "ann@desk", "-f", file, *options],
        check=True,
        capture_output=True,
    )
    told = subprocess.run(["ssh-keygen", "-l", "-f", file], check=True, capture_output=True, text=True).stdout
    return file.with_suffix(".pub").read_text(), told


@pytest.mark.parametrize(
    "options",
    [
        ["-t", "ed25519"],
        *(["-t", "ecdsa", "-b", bits] for bits in ("256", "384", "521")),
        ["-t", "rsa", "-b", "3072"],
    ],
)
def test_what_ssh_keygen_makes_is_taken_as_it_is(tmp_path, options):
    text, told = made(tmp_path, *options)
    key = read_key(text)
    assert key.line == text.strip()
    assert key.fingerprint in told


@pytest.mark.parametrize(
    ("options", "reason"), [(["-t", "rsa", "-b", "2048"], "2048 bits"), (["-t", "dsa"], "kind")]
)
def test_a_weak_key_is_refused(tmp_path, options, reason):
    text, _ = made(tmp_path, *options)
    with pytest.raises(NotAccepted, match=reason):
        read_key(text)


def test_a_private_key_is_not_taken_for_one(tmp_path):
    made(tmp_path, "-t", "ed25519")
    with pytest.raises(NotAccepted, match=r"private key.*\.pub"):
        read_key((tmp_path / "key").read_text())


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (SK_KINDS[0], (b"k" * 32, b"ssh:")),
        (
            SK_KINDS[1],
            (
                b"nistp256",
                # The base point of the curve (SEC 2, 2.4.2).
                bytes.fromhex(
                    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
                ),
                b"ssh:",
            ),
        ),
    ],
)
def test_keys_that_need_a_touch_are_taken(kind, parts):
    line = f"{kind} {wire(kind.encode(), *parts)} token"
    assert read_key(line).line == line


ED25519_BLOB = ED25519.split()[1]
BROKEN = [
    "",
    "ssh-ed25519",
    ED25519_BLOB,
    f'command="/bin/sh" {ED25519}',
    f"no-pty {ED25519}",
    f"@cert-authority * {ED25519}",
    f"SSH-ED25519 {ED25519_BLOB}",
    f"ssh-ed25519-cert-v01@openssh.com {ED25519_BLOB}",
    f"{ED25519}\n{ED25519}",
    f"{ED25519}\r{ED25519}",
    f"{ED25519} ann\u2028{ED25519}",
    # The kind inside is another one.
    f"ssh-rsa {ED25519_BLOB}",
    f"{SK_KINDS[0]} {ED25519_BLOB}",
    # Cut, longer, and with what base64 does not know.
    ED25519[:-4],
    ED25519[:-1],
    f"ssh-ed25519 {wire(b'ssh-ed25519', b'k' * 31)}",
    f"ssh-ed25519 {wire(b'ssh-ed25519', b'k' * 32, b'')}",
    f"ssh-ed25519 {wire(b'ssh-ed25519', b'k' * 32)[:-4]}AAA=AAAA",
    ED25519.replace("C3Nz", "C3\u00e9z"),
    ED25519.replace("C3Nz", "C3-z"),
    # Numbers that are no key.
    f"ssh-rsa {wire(b'ssh-rsa', b'', b'')}",
    f"ssh-rsa {wire(b'ssh-rsa', bytes([1, 0, 1]), b'')}",
    f"ssh-rsa {wire(b'ssh-rsa', bytes([2]), bytes([127] * 512))}",
    f"ecdsa-sha2-nistp256 {wire(b'ecdsa-sha2-nistp256', b'nistp256', bytes([4] * 65))}",
    f"ecdsa-sha2-nistp256 {wire(b'ecdsa-sha2-nistp256', b'nistp384', bytes([4] * 65))}",
    f"{ED25519} {'x' * 5000}",
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_key_is_refused_and_not_repeated(text):
    with pytest.raises(NotAccepted) as caught:
        read_key(text)
    assert ED25519_BLOB[-20:] not in str(caught.value)


def test_a_name_cannot_do_more_than_name():
    line = read_key(f"  {ED25519}\t  Ann's 'desk'\x1b[2J \U0001f600 $(reboot) ann@desk\n").line
    assert line == f"{ED25519} Ann_s_desk_2J_reboot_ann@desk"
    assert len(read_key(f"{ED25519} {'x' * 500}").comment) == 100


@given(st.text(max_size=200))
def test_any_name_leaves_one_line_that_is_read_the_same(name):
    try:
        key = read_key(f"{ED25519} {name}")
    except NotAccepted:
        return
    assert key.line.isascii()
    assert key.line.isprintable()
    assert read_key(key.line) == key


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(NotAccepted):
        read_key(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    encoded = base64.b64encode(data).decode()
    for kind in ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", *SK_KINDS):
        with pytest.raises(NotAccepted):
            read_key(f"{kind} {encoded}")


def test_a_file_of_keys_has_comments_and_empty_lines():
    (key,) = keys_in(f"# who may\n\n  {ED25519} ann\r\n")
    assert key.comment == "ann"
    assert keys_in("# nobody\n") == ()
    with pytest.raises(NotAccepted):
        keys_in(f"{ED25519}\nnonsense\n")
