"""Takes one USB device from the kernel's driver and gives it back, for a modem that nothing gentler wakes up.

Run as root at the wish of the gateway, so it believes nothing: only a stick with serial ports is touched.
"""

import logging
import re
import time
from pathlib import Path

from otppi.model.errors import HostError
from otppi.system.serialports import present_sticks

log = logging.getLogger(__name__)

# A bus, the port of its root, and at most six hubs (USB 2.0, 4.1.1).
_PLACE = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}")
_DEVICES = Path("/sys/bus/usb/devices")
_DRIVER = Path("/sys/bus/usb/drivers/usb")
_REST_S = 1.0
_LIMIT_S = 10.0


def unit_of(place: str) -> str:
    """Return the unit that restarts the device at this place, such as `1-1.3`.

    Raises:
        ValueError: No USB device can have this name.
    """
    if not _PLACE.fullmatch(place):
        raise ValueError("no place of a USB device")
    return f"otppi-usb-restart@{place}.service"


def restart(place: str, *, limit_s: float = _LIMIT_S) -> None:
    """Unbind and bind the device at this place, such as `1-1.3`; again and again until it comes back.

    Waits for the kernel, which has its own patience with a device that does not answer (some 5 s), and a second
    between the two for the device. One that nobody drives, as after a try that failed, is only bound.

    Args:
        place: Its name in /sys/bus/usb/devices.
        limit_s: After so long no new try begins.

    Raises:
        HostError: It is no stick with serial ports, it was pulled out, or it did not come back in time.
    """
    end_s = time.monotonic() + limit_s
    while reason := _try(place):
        time.sleep(_REST_S)
        log.warning("a USB device did not come back", extra={"fields": {"place": place, "reason": reason}})
        if time.monotonic() >= end_s:
            raise HostError(f"the USB device did not come back ({reason}): pull it out and put it in again")


def _try(place: str) -> str:
    """Return why it did not come back; nothing if it did."""
    _expect_modem(place)
    try:
        if _driver_of(place):
            (_DRIVER / "unbind").write_text(place)
        time.sleep(_REST_S)
        (_DRIVER / "bind").write_text(place)
    except OSError as error:
        return error.strerror or type(error).__name__
    # The kernel also counts it as driven when it took no configuration, and then it has no ports.
    return "" if _is_configured(place) else "it does not answer"


def _expect_modem(place: str) -> None:
    if not _PLACE.fullmatch(place):
        raise HostError("this is no place of a USB device")
    stick = next((one for one in present_sticks() if one.place == place), None)
    if stick is None:
        raise HostError("there is no such USB device, or it is a hub")
    # One that nobody drives has no interfaces: nothing can be taken from anybody.
    if stick.interface_classes and not stick.ports:
        raise HostError("this USB device has no serial port")
    if _driver_of(place) not in ("", _DRIVER.name):
        raise HostError("this USB device has a driver of its own")


def _driver_of(place: str) -> str:
    try:
        return (_DEVICES / place / "driver").readlink().name
    except OSError:
        return ""


def _is_configured(place: str) -> bool:
    try:
        return bool((_DEVICES / place / "bConfigurationValue").read_text().strip())
    except OSError:
        return False
