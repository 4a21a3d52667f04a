"""The folder in which root keeps who may log in by SSH; it is there only on a device that was flashed.

sshd reads it, and the gateway's user cannot even look into it: who may write here is root. That there is a file of
keys is what switches SSH on: `ssh.service` asks for it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from otppi.lib.atomicfile import sync_folder, write_atomically
from otppi.model.errors import HostError, SettingsError
from otppi.settings.fields import NotAccepted
from otppi.system.ssh.keys import PublicKey, keys_in

FOLDER: Final = Path("/data/system/ssh")
KEYS: Final = "authorized_keys"
HOST_KEY: Final = "ssh_host_ed25519_key"
NOT_OURS: Final = (
    "SSH of this system is its administrator's; only a device that was flashed with OTP-Pi switches it"
)


def expect_ours(folder: Path) -> None:
    """Let only a device pass that was flashed.

    Raises:
        HostError: SSH is not ours.
    """
    if not folder.is_dir():
        raise HostError(NOT_OURS)


def allowed(folder: Path) -> tuple[PublicKey, ...]:
    """Return the keys that open the device; none if SSH is off.

    Raises:
        HostError: SSH is not ours.
        SettingsError: Somebody wrote a line into the file that is not written here.
        OSError: It cannot be read.
    """
    expect_ours(folder)
    try:
        return keys_in((folder / KEYS).read_text(errors="replace"))
    except FileNotFoundError:
        return ()
    except NotAccepted as error:
        raise SettingsError({str(folder / KEYS): str(error)}) from error


def allow_only(folder: Path, keys: Sequence[PublicKey]) -> None:
    """Let these keys open the device and no others; without any nobody gets in, and `ssh.service` starts no more.

    Raises:
        OSError: It could not be written; who may log in is as before.
    """
    if not keys:
        (folder / KEYS).unlink(missing_ok=True)
        sync_folder(folder)
        return
    _see_to_host_key(folder / HOST_KEY)
    lines = {key.blob: f"{key.line}\n" for key in keys}
    write_atomically(folder / KEYS, "".join(lines.values()).encode())


def _see_to_host_key(path: Path) -> None:
    """Make the key by which people know the device again, where there is none that can be read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_ssh_private_key,
    )

    try:
        load_ssh_private_key(path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        key = Ed25519PrivateKey.generate()
        write_atomically(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
