"""What belongs to SSH beside its keys: the ports that let it in, its unit, and its line of the diagnosis."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from otppi.contracts.host import Units
from otppi.model.checks import Check, Level
from otppi.model.errors import HostError
from otppi.system.firewall.services import ACCESS_POINT
from otppi.system.firewall.settings import ETHERNET, OpenPort

UNIT: Final = "ssh.service"
# By this the image makes SSH ours. The keys themselves cannot be seen with the rights of the gateway.
_DROP_IN = Path("/usr/lib/systemd/system/ssh.service.d/50-otppi.conf")
# Entries of the owner's list like any other: who removes one closes SSH there. None for mobile internet.
_PORTS: Mapping[str, OpenPort] = MappingProxyType(
    {
        f"ssh-{interface}": OpenPort(port="22", interface=interface, note="SSH")
        for interface in (ACCESS_POINT, ETHERNET)
    }
)


def ports_with_ssh(present: Mapping[str, OpenPort], *, is_on: bool) -> Mapping[str, OpenPort]:
    """Return the owner's list of open ports with those of SSH, or without them."""
    others = {item_id: entry for item_id, entry in present.items() if item_id not in _PORTS}
    return {**others, **_PORTS} if is_on else others


def checks(units: Units, drop_in: Path = _DROP_IN) -> Iterable[Check]:
    """Look whether people can log in; says nothing where SSH is off or not ours. Waits for systemd."""
    if not drop_in.exists():
        return
    try:
        state = units.state(UNIT)
    except HostError as error:
        yield _check(Level.YELLOW, f"systemd cannot be asked: {error}", "Restart the device.")
        return
    if state == "active":
        yield _check(
            Level.GREEN,
            "is on: who has an allowed key can log in as root; nobody can with a password",
            'Not wanted? Put a file otppi.toml with the line ssh_key = "" on the card, or: otppi ssh off',
        )
    elif state == "failed":
        yield _check(
            Level.YELLOW,
            "is on, but nobody can log in: its service failed",
            "Put a file otppi.toml with your key (ssh_key) on the card and start the device.",
        )


def _check(level: Level, finding: str, advice: str) -> Check:
    return Check(name="ssh", level=level, finding=finding, advice=advice)
