"""Files as they were before a change that may have to be taken back, also after a power cut."""

import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from otppi.lib.atomicfile import private_folder, sync_folder, write_atomically

log = logging.getLogger(__name__)


class FilesBefore:
    """A copy of some files in a folder of its own; while it is there, the next start brings them back."""

    def __init__(self, root: Path, name: str, files: Callable[[], Iterable[Path]]) -> None:
        """Take the folder that all is in, the name of the copy in it, and what names the files, there or to come."""
        self._root = root
        self._folder = root / name
        self._files = files

    def keep(self) -> None:
        """Copy the files as they are, unless older ones are kept; secrets stay sealed in them.

        Raises:
            OSError: They cannot be kept.
        """
        if self._folder.exists():
            return
        making = self._folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        private_folder(making)
        for file in self._files():
            if file.exists():
                copy = making / file.relative_to(self._root)
                private_folder(copy.parent)
                write_atomically(copy, file.read_bytes())
        making.rename(self._folder)
        sync_folder(self._folder.parent)

    def forget(self) -> None:
        """Keep none."""
        # Renamed first, so that a power cut leaves all or nothing.
        gone = self._folder.with_suffix(".gone")
        shutil.rmtree(gone, ignore_errors=True)
        try:
            self._folder.rename(gone)
            sync_folder(gone.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            log.error(  # noqa: TRY400
                "the next start will bring old files back",
                extra={"fields": {"kept_in": self._folder.name, "reason": error.strerror}},
            )
        shutil.rmtree(gone, ignore_errors=True)

    def put_back(self) -> bool:
        """Bring what is kept back to its place; before anybody reads it.

        Returns:
            Whether anything was kept.

        Raises:
            OSError: It could not be brought back; it is tried again at the next start.
        """
        if not self._folder.exists():
            return False
        files = tuple(self._files())
        for file in files:
            kept, coming = self._folder / file.relative_to(self._root), file.with_name(f".{file.name}.before")
            if kept.exists():
                # A link needs no room, which a full disk would not have.
                coming.unlink(missing_ok=True)
                os.link(kept, coming)
                os.replace(coming, file)
            else:
                file.unlink(missing_ok=True)
        for folder in {file.parent for file in files if file.parent.is_dir()}:
            sync_folder(folder)
        self.forget()
        return True
