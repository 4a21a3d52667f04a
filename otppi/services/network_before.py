"""The way back from a change of the network that nobody has confirmed."""

import logging
import os
import shutil

from otppi.lib.atomicfile import private_folder, sync_folder, write_atomically
from otppi.services.folders import StateFolder
from otppi.settings.section import Section
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings

NETWORK_SECTIONS: tuple[type[Section], ...] = (WlanSettings, DhcpSettings, EthernetSettings, NetworkSettings)

log = logging.getLogger(__name__)


class SettingsBefore:
    """The network settings as they were before a change that nobody has confirmed yet, on the disk.

    Whoever has lost the way to the device will pull its plug; the next start must not bring the change back.
    """

    def __init__(self, state: StateFolder) -> None:
        self._files = [state.settings / f"{section.key}.json" for section in NETWORK_SECTIONS]
        self._folder = state.path / "network-before"

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
        for file in self._files:
            if file.exists():
                write_atomically(making / file.name, file.read_bytes())
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
                "the next start will bring old network settings back",
                extra={"fields": {"reason": error.strerror}},
            )
        shutil.rmtree(gone, ignore_errors=True)

    def put_back(self) -> None:
        """Bring what is kept back into the folder of the settings; before anybody reads them.

        Raises:
            OSError: It could not be brought back; it is tried again at the next start.
        """
        if not self._folder.exists():
            return
        log.warning("a change of the network was never confirmed; the settings before it are back")
        for file in self._files:
            kept, coming = self._folder / file.name, file.with_name(f".{file.name}.before")
            if kept.exists():
                # A link needs no room, which a full disk would not have.
                coming.unlink(missing_ok=True)
                os.link(kept, coming)
                os.replace(coming, file)
            else:
                file.unlink(missing_ok=True)
        sync_folder(self._files[0].parent)
        self.forget()
