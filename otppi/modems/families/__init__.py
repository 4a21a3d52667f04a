"""The families of modems, and how a modem is told to be of one.

By its USB id, which takes no byte; else by what it says of itself; else it is generic.
"""

from otppi.model.ports import UsbId
from otppi.modems.families.family import Family
from otppi.modems.families.generic import GENERIC
from otppi.modems.families.huawei import HUAWEI
from otppi.modems.families.quectel import EC25, M26
from otppi.modems.families.sierra import SIERRA, WAVECOM
from otppi.modems.families.simcom import SIM800, SIM7600
from otppi.modems.families.ublox import UBLOX
from otppi.modems.families.zte import ZTE

# The first whose words fit is taken, so what is said of fewer modems stands first.
FAMILIES: tuple[Family, ...] = (HUAWEI, ZTE, SIM7600, SIM800, M26, EC25, WAVECOM, SIERRA, UBLOX)


def family_on_usb(usb: UsbId | None) -> Family | None:
    """Return the family of a USB device; None where the id says nothing, as with a serial converter."""
    if usb is None:
        return None
    # A family that names the very product goes before one that claims the vendor.
    named = (family for family in FAMILIES if usb in family.layouts or usb in family.products)
    return next(named, None) or next((family for family in FAMILIES if family.has(usb)), None)


def family_of(usb: UsbId | None, manufacturer: str, model: str) -> Family:
    """Return the family of a modem, by its USB id first and by its own words second."""
    words = f"{manufacturer} {model}"
    by_words = (family for family in FAMILIES if family.words is not None and family.words.search(words))
    return family_on_usb(usb) or next(by_words, GENERIC)
