"""The way back from a change of the network that nobody has confirmed."""

import logging

from otppi.services.files_before import FilesBefore
from otppi.services.folders import StateFolder
from otppi.settings.section import Section
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings

NETWORK_SECTIONS: tuple[type[Section], ...] = (WlanSettings, DhcpSettings, EthernetSettings, NetworkSettings)

log = logging.getLogger(__name__)


class SettingsBefore(FilesBefore):
    """The network settings as they were before a change that nobody has confirmed yet, on the disk.

    Whoever has lost the way to the device will pull its plug; the next start must not bring the change back.
    """

    def __init__(self, state: StateFolder) -> None:
        files = [state.settings / f"{section.key}.json" for section in NETWORK_SECTIONS]
        super().__init__(state.path, "network-before", lambda: files)

    def put_back(self) -> bool:
        """See `FilesBefore`."""
        is_back = super().put_back()
        if is_back:
            log.warning("a change of the network was never confirmed; the settings before it are back")
        return is_back
