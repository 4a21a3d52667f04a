"""What keeps a board going for years without a person: its watchdog, and a log that does not wear out the card."""

from collections.abc import Iterable
from pathlib import Path

from otppi.model.checks import Check, Level
from otppi.model.errors import HostError
from otppi.system import dbus

_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_AVAHI = ("org.freedesktop.Avahi", "/", "org.freedesktop.Avahi.Server")
_NEVER_US = 2**64 - 1
_FLASH_AGAIN = "Restart the device. If it stays so, flash it again."


def checks(hostname: str, root: Path = Path("/")) -> Iterable[Check]:
    """Look at the watchdog of the board, the log and the name in the network; waits for the services asked."""
    yield _watchdog(root)
    yield _log(root)
    yield _name(hostname)


def _watchdog(root: Path) -> Check:
    name = "hardware watchdog"
    if not any((root / "sys/class/watchdog").glob("watchdog*")):
        finding = "this board has none, or it is switched off"
        return Check(name=name, level=Level.YELLOW, finding=finding, advice=_FLASH_AGAIN)
    try:
        limit_us = int(dbus.get_property(*_MANAGER, "RuntimeWatchdogUSec"))
    except HostError as error:
        finding = f"systemd cannot be asked: {error}"
        return Check(name=name, level=Level.YELLOW, finding=finding, advice=_FLASH_AGAIN)
    if limit_us in (0, _NEVER_US):
        return Check(name=name, level=Level.YELLOW, finding="nobody feeds it", advice=_FLASH_AGAIN)
    return Check(
        name=name, level=Level.GREEN, finding=f"restarts the board when it hangs for {limit_us / 1e6:.0f} s"
    )


def _log(root: Path) -> Check:
    name = "log"
    # Debian makes the folder on the card even where nothing is written to it.
    if any((root / "run/log/journal").glob("*/system.journal")):
        return Check(name=name, level=Level.GREEN, finding="in RAM; a restart of the board forgets it")
    on_card = (root / "var/log/journal").exists()
    finding = "is written to the card, which wears it out" if on_card else "there is none"
    return Check(name=name, level=Level.YELLOW, finding=finding, advice=_FLASH_AGAIN)


def _name(hostname: str) -> Check:
    name = f"{hostname}.local"
    try:
        announced = str(dbus.call(*_AVAHI, "GetHostNameFqdn")[0])
    except HostError as error:
        return Check(
            name=name,
            level=Level.YELLOW,
            finding=f"is not announced: {error}",
            advice="Use the address of the device instead. " + _FLASH_AGAIN,
        )
    if announced.lower() != name.lower():
        return Check(
            name=name,
            level=Level.YELLOW,
            finding=f"the device is announced as {announced}, as another one has the name",
            advice="Give each device a name of its own: otppi settings set network.hostname NAME",
        )
    return Check(name=name, level=Level.GREEN, finding="is announced in the networks")
