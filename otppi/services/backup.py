"""A backup: all settings, the certificate and, if asked for, messages and reports, in one file under a passphrase.

The file is a line of JSON (`format`, `version`, how the key is made), then zlib-packed JSON sealed under that key,
then the SHA-256 of all before it, by which a damaged file is told from a wrong passphrase.
"""

import base64
import binascii
import hashlib
import json
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import otppi
from otppi.gateway.accounts import Administrator
from otppi.gateway.inbox import Inbox
from otppi.gateway.policy import GeneralSettings
from otppi.lib.atomicfile import private_folder, write_atomically
from otppi.lib.clock import Clock
from otppi.lib.secretbox import SALT_BYTES, CannotOpen, passphrase_key, seal_bytes, unseal_bytes
from otppi.model.errors import BadRequest, HostError
from otppi.services.folders import StateFolder
from otppi.services.network_before import NETWORK_SECTIONS
from otppi.services.whole_change import WholeChange, certificate_of
from otppi.settings.export import Changes, ImportReport, WrongPassphrase, clear_settings, planned_import
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore
from otppi.wsgi.tls import usable_pair

FORMAT: Final = "otppi-backup"
VERSION: Final = 1
LARGEST_BYTES: Final = 16 << 20
SHORTEST_PASSPHRASE: Final = 10
# What can be restored beside sections of settings.
CERTIFICATE, MESSAGES = "certificate", "messages"
_KDF: Final = "scrypt-2^15-8-1 aes-256-gcm"
_LONGEST_HEAD: Final = 1024
_DIGEST_BYTES: Final = 32
_LARGEST_UNPACKED_BYTES: Final = 32 << 20
# Certificate and key, which may be in one file.
_PAIRS: Final = (("tls.crt", "tls.key"), ("own.pem", "own.pem"))
_CERTIFICATE_FILES: Final = frozenset(name for pair in _PAIRS for name in pair)
_REPORT_NAME: Final = re.compile(r"\d{4}-\d\d-\d\d(\.\d{1,6})?\.jsonl")
_MOST_REPORT_BYTES: Final = 8 << 20  # some months; all is in memory while it is packed
_NETWORK: Final = frozenset(section.key for section in NETWORK_SECTIONS)


class DamagedBackup(BadRequest):
    """The file is no backup, or not as it was written."""

    def __init__(self, reason: str) -> None:
        super().__init__("content", reason)


class Backup:
    """Makes and restores backups; every method takes and returns JSON values and waits for the disk."""

    def __init__(
        self,
        *,
        state: StateFolder,
        store: SettingsStore,
        inbox: Inbox,
        clock: Clock,
        renewed: Callable[[], None],
    ) -> None:
        """Take what is backed up; `renewed` is called when another certificate is in place."""
        self._state = state
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._change = WholeChange(state, store, renewed)

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that command line and pages may make."""
        return {"backup.make": self.make, "backup.read": self.read, "backup.restore": self.restore}

    def make(self, passphrase: str, with_messages: bool = False) -> dict[str, str]:
        """Return a backup of the device as a file: its name, and its content in base64.

        Secrets of the settings and the key of the certificate are in it. What else was born on the device stays
        there: the key of codes, the set-up secret and the passphrase of the Wi-Fi.

        Args:
            passphrase: At least ten characters; without it nobody opens the file.
            with_messages: Whether received messages and the reports of sent ones are in it as well.
        """
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise WrongPassphrase(f"must have at least {SHORTEST_PASSPHRASE} characters")
        made_at = datetime.fromtimestamp(self._clock.wall_s(), UTC).astimezone()
        device_name = self._store.get(GeneralSettings).device_name
        document = {
            "device_name": device_name,
            "made_at": made_at.isoformat(timespec="seconds"),
            "release": otppi.__version__,
            "settings": clear_settings(self._store),
            CERTIFICATE: {
                name: base64.b64encode(data).decode()
                for name, data in certificate_of(self._state).items()
                if name in _CERTIFICATE_FILES
            },
            MESSAGES: self._inbox.for_backup() if with_messages else None,
            "sent": _reports(self._state.reports) if with_messages else {},
        }
        name = re.sub(r"[^A-Za-z0-9]+", "-", device_name).strip("-") or "device"
        return {
            "name": f"otppi-backup-{name}-{made_at:%Y-%m-%d}.otppi",
            "content": base64.b64encode(_closed(document, passphrase)).decode(),
        }

    def read(self, content: str, passphrase: str) -> dict[str, Any]:
        """Say what is in a backup, and what restoring it would change; nothing is changed."""
        kept = _opened(content, passphrase)
        changes, report = self._planned(kept, None)
        return {
            "device_name": kept.device_name,
            "made_at": kept.made_at,
            "release": kept.release,
            "sections": [self._told(section, items) for section, items in changes.items()],
            CERTIFICATE: bool(kept.certificate),
            MESSAGES: kept.message_count,
            "days_of_reports": len({name[:10] for name in kept.sent}),
            "removed": report.removed,
            "ignored": report.ignored,
        }

    def restore(
        self, content: str, passphrase: str, sections: Sequence[str] | None = None, with_network: bool = False
    ) -> dict[str, Any]:
        """Put what is in a backup in the place of what is there, all of it or nothing.

        Messages and days of reports are added to those that are there. The network is on trial afterwards, as after
        any change of it.

        Args:
            content: The file in base64.
            passphrase: What it was made with.
            sections: Keys of the sections, `certificate` and `messages`; None for everything that is in it.
            with_network: Whether the sections of the network are among them.
        """
        kept = _opened(content, passphrase)
        if unknown := sorted(set(sections or ()) - kept.parts):
            raise BadRequest("sections", f"this is not in the backup: {', '.join(unknown)}")
        wanted = kept.parts if sections is None else frozenset(sections)
        if CERTIFICATE in wanted:
            _refuse_unusable(kept.certificate)
        added: list[int] = []
        with self._store.exclusively():
            changes, report = self._planned(kept, wanted if with_network else wanted - _NETWORK)
            changed = self._change.make(
                changes,
                kept.certificate if CERTIFICATE in wanted else None,
                lambda: added.append(self._add_messages(kept) if MESSAGES in wanted else 0),
            )
        return {
            "changed": changed,
            CERTIFICATE: CERTIFICATE in wanted,
            MESSAGES: sum(added),
            "removed": report.removed,
            "ignored": report.ignored,
            "network_changed": not _NETWORK.isdisjoint(changed),
            "sessions_end": Administrator.key in changed,
        }

    def _planned(self, kept: "_Kept", wanted: Iterable[str] | None) -> tuple[Changes, ImportReport]:
        sections = dict(kept.sections)
        # With nobody left the pages would be open to whoever comes first.
        if not sections.get(Administrator.key):
            sections.pop(Administrator.key, None)
        if wanted is not None:
            sections = {key: body for key, body in sections.items() if key in wanted}
        return planned_import(self._store, {**kept.settings, "sections": sections}, None)

    def _add_messages(self, kept: "_Kept") -> int:
        """Add messages and days of reports, all or none; returns how many messages."""
        folder, written = self._state.reports, list[Path]()
        try:
            private_folder(folder)
            for name in kept.sent.keys() - {path.name for path in folder.iterdir()}:
                written.append(folder / name)
                write_atomically(folder / name, kept.sent[name].encode("utf-8"))
            return self._inbox.restore(kept.messages or ())
        except (OSError, HostError, ValueError) as error:
            for path in written:
                path.unlink(missing_ok=True)
            if isinstance(error, ValueError):
                raise DamagedBackup("the messages in it cannot be read") from error
            raise

    def _told(self, section: type[Section], items: Mapping[str, Section]) -> dict[str, Any]:
        return {
            "key": section.key,
            "title": section.title,
            "items": len(items) if section.many else None,
            "is_network": section.key in _NETWORK,
            "changes": dict(items) != dict(self._store.items(section)),
        }


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What was in a file."""

    device_name: str
    made_at: str
    release: str
    settings: Mapping[str, Any]
    certificate: Mapping[str, bytes]
    messages: Sequence[str] | None
    message_count: int | None
    sent: Mapping[str, str]  # the files of reports, by name

    @property
    def sections(self) -> Mapping[str, Any]:
        sections: Mapping[str, Any] = self.settings["sections"]
        return sections

    @property
    def parts(self) -> frozenset[str]:
        """What may be restored, by its key."""
        beside = {CERTIFICATE: bool(self.certificate), MESSAGES: self.messages is not None}
        return frozenset(self.sections) | {name for name, is_there in beside.items() if is_there}


def _closed(document: Mapping[str, Any], passphrase: str) -> bytes:
    salt = secrets.token_bytes(SALT_BYTES)
    head = json.dumps(
        {"format": FORMAT, "version": VERSION, "kdf": _KDF, "salt": base64.b64encode(salt).decode()}
    )
    packed = zlib.compress(json.dumps(document, separators=(",", ":")).encode("ascii"))
    file = f"{head}\n".encode("ascii") + seal_bytes(passphrase_key(passphrase, salt), packed, head)
    return file + hashlib.sha256(file).digest()


def _opened(content: str, passphrase: str) -> _Kept:
    """Open a backup.

    Raises:
        DamagedBackup: It is none, or not as it was written.
        WrongPassphrase: It opens with another one.
    """
    head, sealed = _parted(content)
    try:
        described = json.loads(head)
        salt = base64.b64decode(described["salt"], validate=True)
        version, kdf = described["version"], described["kdf"]
        if described["format"] != FORMAT:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedBackup("this is no backup") from error
    if version != VERSION or kdf != _KDF:
        raise DamagedBackup("the backup was made by a newer release; update this device first")
    try:
        packed = unseal_bytes(passphrase_key(passphrase, salt), sealed, head)
    except CannotOpen as error:
        raise WrongPassphrase("is not the one that the backup was made with") from error
    try:
        return _kept(json.loads(_unpacked(packed)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error) as error:
        raise DamagedBackup("the backup cannot be read") from error


def _parted(content: str) -> tuple[str, bytes]:
    if len(content) > LARGEST_BYTES * 4 // 3 + 4:
        raise DamagedBackup(f"is larger than {LARGEST_BYTES >> 20} MB")
    try:
        file = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DamagedBackup("is not in base64") from error
    end = file.find(b"\n", 0, _LONGEST_HEAD)
    if end < 0 or not file[:end].isascii() or FORMAT.encode() not in file[:end]:
        raise DamagedBackup("this is no backup")
    body, digest = file[:-_DIGEST_BYTES], file[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise DamagedBackup("the backup is damaged or cut off")
    return body[:end].decode("ascii"), body[end + 1 :]


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, _LARGEST_UNPACKED_BYTES)
    if not unpacking.eof:
        raise ValueError("too large, or cut off")
    return data


def _kept(document: Mapping[str, Any]) -> _Kept:
    settings, messages = document["settings"], document[MESSAGES]
    if not isinstance(settings["sections"], Mapping):
        raise TypeError
    certificate = {
        name: base64.b64decode(data, validate=True) for name, data in document[CERTIFICATE].items()
    }
    sent = document["sent"]
    if not certificate.keys() <= _CERTIFICATE_FILES:
        raise ValueError
    if not all(_REPORT_NAME.fullmatch(name) and isinstance(text, str) for name, text in sent.items()):
        raise ValueError
    return _Kept(
        device_name=str(document["device_name"]),
        made_at=str(document["made_at"]),
        release=str(document["release"]),
        settings=settings,
        certificate=certificate,
        messages=messages,
        message_count=_count(messages) if messages is not None else None,
        sent=sent,
    )


def _count(lines: Sequence[str]) -> int:
    if not all(isinstance(line, str) for line in lines):
        raise TypeError
    return len({one["message"] for one in map(json.loads, lines) if "message" in one})


def _refuse_unusable(files: Mapping[str, bytes]) -> None:
    """Refuse a certificate with which no server starts; nothing of the present one is touched before that is known."""
    with TemporaryDirectory(prefix="otppi-") as name:
        folder = Path(name)
        for file, data in files.items():
            write_atomically(folder / file, data)
        for certificate, key in _PAIRS:
            if {certificate, key} & files.keys() and usable_pair(folder / certificate, folder / key) is None:
                raise DamagedBackup("the certificate in it cannot be used; restore the rest without it")


def _reports(folder: Path) -> dict[str, str]:
    """Return the newest files of reports, as many as a backup may hold."""
    found: dict[str, str] = {}
    left = _MOST_REPORT_BYTES
    there = folder.iterdir() if folder.is_dir() else ()
    for path in sorted((one for one in there if _REPORT_NAME.fullmatch(one.name)), reverse=True):
        data = path.read_bytes()
        left -= len(data)
        if left < 0:
            break
        found[path.name] = data.decode("utf-8", errors="replace")
    return found
