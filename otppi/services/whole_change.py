"""Changes of much at once: all of it or nothing, whenever the power goes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from otppi.lib.atomicfile import private_folder, sync_folder, write_atomically
from otppi.model.errors import SettingsNotSaved
from otppi.services.files_before import FilesBefore
from otppi.services.folders import StateFolder
from otppi.services.network_before import NETWORK_SECTIONS
from otppi.services.sections import SECTIONS
from otppi.settings.export import Changes
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)


class ChangeBefore(FilesBefore):
    """Settings and certificate as they were before a change of many of them that is not complete yet.

    The sections of the network are not among them: they have a way back of their own, which lasts longer.
    """

    def __init__(self, state: StateFolder) -> None:
        super().__init__(state.path, "change-before", lambda: self._all(state))

    def put_back(self) -> bool:
        """See `FilesBefore`."""
        is_back = super().put_back()
        if is_back:
            log.warning("a restore or an import was cut off; everything is as it was before")
        return is_back

    def _all(self, state: StateFolder) -> Iterator[Path]:
        yield from (
            state.settings / f"{section.key}.json" for section in SECTIONS if section not in NETWORK_SECTIONS
        )
        # What has come since then is removed, and what is gone comes back.
        kept = self._folder / state.certificate.relative_to(state.path)
        for name in sorted({path.name for path in (*_plain_files(state.certificate), *_plain_files(kept))}):
            yield state.certificate / name


def certificate_of(state: StateFolder) -> dict[str, bytes]:
    """Return the files that the certificate and its key are in, by name."""
    return {path.name: path.read_bytes() for path in _plain_files(state.certificate)}


class WholeChange:
    """Puts sections and the certificate in the place of the present ones."""

    def __init__(self, state: StateFolder, store: SettingsStore, renewed: Callable[[], None]) -> None:
        """Take the folder, its store, and what is called when the certificate is another."""
        self._state = state
        self._store = store
        self._before = ChangeBefore(state)
        self._renewed = renewed

    def make(
        self,
        changes: Changes,
        certificate: Mapping[str, bytes] | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Change all this in one go; the network comes last and is tried like any change of it.

        Args:
            changes: The items of whole sections.
            certificate: The files of another certificate, or None to leave the present one.
            then: What belongs to it and may fail; after that nothing does.

        Returns:
            The keys of the sections that are not as before.

        Raises:
            SettingsError, and what `then` raises: Nothing has changed.
        """
        there = [section for section in self._store.sections if section in changes]
        ordered = sorted(there, key=lambda section: section in NETWORK_SECTIONS)
        with self._store.exclusively():
            old = {section: self._store.items(section) for section in ordered}
            old_certificate = certificate_of(self._state)
            try:
                self._before.keep()
                if certificate is not None:
                    self._put_certificate(certificate)
                changed = self._store.replace({section: changes[section] for section in ordered})
                then()
            except OSError as error:
                self._take_back(old, old_certificate)
                raise SettingsNotSaved({"device": f"could not be saved: {error.strerror}"}) from error
            except Exception:
                self._take_back(old, old_certificate)
                raise
            self._before.forget()
        if certificate is not None and dict(certificate) != old_certificate:
            self._renewed()
        return [section.key for section in changed]

    def _take_back(self, old: Changes, old_certificate: Mapping[str, bytes]) -> None:
        try:
            self._put_certificate(old_certificate)
            self._store.replace(old)
        except Exception:
            # The copy stays, for the next start.
            log.exception("a change that failed could not be taken back")
            raise
        self._before.forget()

    def _put_certificate(self, files: Mapping[str, bytes]) -> None:
        folder = self._state.certificate
        if not files and not folder.is_dir():
            return
        private_folder(folder)
        there = certificate_of(self._state)
        for name, data in files.items():
            if there.get(name) != data:
                write_atomically(folder / name, data)
        for name in there.keys() - files.keys():
            (folder / name).unlink()
        sync_folder(folder)


def _plain_files(folder: Path) -> list[Path]:
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        path for path in there if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    ]
