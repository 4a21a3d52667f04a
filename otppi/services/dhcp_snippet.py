"""Writes what dnsmasq tells those who join the access point; runs as root and shortly.

It may read everything and writes one file. The settings are the gateway's: even a damaged file stays as it is,
because one that root has mended could not be read by the gateway any more.
"""

import logging
from pathlib import Path

from otppi.gateway.accounts import Administrator
from otppi.lib.atomicfile import write_atomically
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore
from otppi.system.network.dnsmasq import HEADER, snippet
from otppi.system.network.planning import Born, plan_access_point
from otppi.system.network.settings import DhcpSettings, NetworkSettings, WlanSettings

log = logging.getLogger(__name__)

TARGET = Path("/etc/NetworkManager/dnsmasq-shared.d/otppi.conf")
_SECTIONS: tuple[type[Section], ...] = (WlanSettings, DhcpSettings, NetworkSettings, Administrator)
# Nothing that is written here has a name or a passphrase in it.
_UNUSED = Born(ssid="unused", passphrase="unused")  # noqa: S106


def write(state_dir: Path, target: Path = TARGET) -> bool:
    """Write the file if its content would be another.

    Returns:
        Whether it was written; then the access point has to be activated anew.

    Raises:
        SettingsError: The settings do not fit together; the old file stays.
        OSError: The settings cannot be read, or the file cannot be written; the old one stays.
    """
    data = _content(state_dir / "settings").encode()
    if target.is_file() and target.read_bytes() == data:
        return False
    write_atomically(target, data)
    log.info("DHCP of the access point was written", extra={"fields": {"file": target.name}})
    return True


def _content(folder: Path) -> str:
    store = SettingsStore(folder.parent, _SECTIONS, None, read_only=True)
    for section in _SECTIONS:
        _expect_readable(folder / f"{section.key}.json")
    wlan = store.get(WlanSettings)
    if not wlan.enabled:
        return f"{HEADER}\n"
    return snippet(
        plan_access_point(wlan, store.get(DhcpSettings), _UNUSED),
        hostname=store.get(NetworkSettings).hostname.lower(),
        answers_every_name=not store.items(Administrator),
    )


def _expect_readable(file: Path) -> None:
    try:
        # Without the right to read it, all would look like on a new device, and that is another thing.
        file.open("rb").close()
    except FileNotFoundError:
        log.debug("factory values are used", extra={"fields": {"file": file.name}})
