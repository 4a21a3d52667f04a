"""Where a gateway keeps its things."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from otppi.lib.atomicfile import private_folder


@dataclass(frozen=True)
class StateFolder:
    """The folder that one gateway owns: settings, keys, certificate, inbox.

    No code and no outgoing message is ever in it.
    """

    path: Path

    @classmethod
    def prepared(cls, path: Path) -> "StateFolder":
        """Make the folder if it is not there, and see that only its owner may enter it."""
        private_folder(path)
        return cls(path)

    @property
    def lock(self) -> Path:
        """Held by whoever may change the folder."""
        return self.path / "lock"

    @property
    def settings(self) -> Path:
        """One file for each section."""
        return self.path / "settings"

    @property
    def keys(self) -> Path:
        """Keys that are born on the device and never leave it."""
        return self.path / "keys"

    @property
    def certificate(self) -> Path:
        """The device's own TLS certificate and key."""
        return self.path / "tls"

    @property
    def born(self) -> Path:
        """Secrets that were born on the device and are printed for its owner."""
        return self.keys / "born.json"

    @property
    def refused_pins(self) -> Path:
        """PINs not to be tried again."""
        return self.path / "refused-pins.json"

    @property
    def usage(self) -> Path:
        """What each SIM has sent and what it cost."""
        return self.path / "usage.json"

    @property
    def balances(self) -> Path:
        """What was last known of each SIM's credit."""
        return self.path / "balances.json"

    @property
    def vendor_book(self) -> Path:
        """What accounts of the vendor API sent, and which messages they have read."""
        return self.path / "vendor-book.json"

    @property
    def ddns(self) -> Path:
        """Which address every vendor of dynamic DNS was told last, and what it said."""
        return self.path / "ddns.json"

    @property
    def inbox(self) -> Path:
        """Received messages, in clear."""
        return self.path / "inbox"

    @property
    def reports(self) -> Path:
        """What became of sent messages: masked numbers, no texts."""
        return self.path / "reports"

    @property
    def audit(self) -> Path:
        """Who changed what."""
        return self.path / "audit"


def runtime_folder(state: StateFolder, asked: Path | None) -> Path | None:
    """Choose the folder for what survives a restart of the service and no power cut.

    What was asked for, else the one that systemd made for the service, else a folder of this user's own on a
    usual RAM file system, named after the state folder. None if there is no place.
    """
    if asked is not None:
        asked.mkdir(mode=0o700, parents=True, exist_ok=True)
        return asked
    if systemd := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(systemd.split(":")[0])
    own = hashlib.sha256(str(state.path.resolve()).encode()).hexdigest()[:16]
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):  # noqa: S108 - made 0700 and checked
        if parent and os.access(parent, os.W_OK):
            folder = Path(parent) / f"otppi-{os.getuid()}-{own}"
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
            except OSError:
                continue
            status = folder.lstat()
            # Somebody else could have made it first in a folder that all may write to.
            if status.st_uid == os.getuid() and status.st_mode & 0o077 == 0 and not folder.is_symlink():
                return folder
    return None
