"""Restarting and switching off the board, by logind."""

from collections.abc import Iterable

from otppi.model.checks import Check, Level
from otppi.model.errors import HostError
from otppi.system import dbus

_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


class LogindPower:
    """Implements `Power`; polkit must allow it to the user of the gateway, as nobody is there to be asked."""

    def reboot(self) -> None:
        """See `Power`."""
        dbus.call(*_LOGIND, "Reboot", "b", (False,))

    def power_off(self) -> None:
        """See `Power`."""
        dbus.call(*_LOGIND, "PowerOff", "b", (False,))

    def checks(self) -> Iterable[Check]:
        """Ask whether the device could be restarted."""
        try:
            answer = str(dbus.call(*_LOGIND, "CanReboot")[0])
        except HostError as error:
            yield _check(f"logind cannot be asked: {error}")
            return
        if answer == "yes":
            yield Check(name="power", level=Level.GREEN, finding="the device can be restarted from here")
        else:
            yield _check(f"logind says {answer}")


def _check(finding: str) -> Check:
    return Check(
        name="power",
        level=Level.YELLOW,
        finding=f"the device cannot be restarted from here: {finding}",
        advice="Sending goes on. To restart the device, pull its plug; scheduled restarts do not happen.",
    )
