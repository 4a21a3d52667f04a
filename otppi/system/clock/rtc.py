"""The DS3231: a clock with a battery on the I2C bus.

Register map: Maxim DS3231 data sheet 19-5170, Figure 1 and the sections Clock and Calendar, Status Register (0Fh)
and Temperature Registers (11h-12h).
"""

import logging
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smbus2 import SMBus

log = logging.getLogger(__name__)

ADDRESS = 0x68
FIND_BUS = -1
REGISTERS = 0x13
_DEV = Path("/dev")
_SYS = Path("/sys")

_STATUS = 0x0F
_OSF = 0x80  # the oscillator stopped: the battery was empty or absent while the power was off
_ALARM_FLAGS = 0x03  # writing 1 leaves them as they are
_TEMPERATURE = 0x11
_TWELVE_HOURS = 0x40
_PM = 0x20

# Of ds1307_probe in drivers/rtc/rtc-ds1307.c: `dev_warn(ds1307->dev, "SET TIME!\n")`, so driver and device come first.
_SET_TIME = re.compile(r"^rtc-ds1307 \d+-0068: SET TIME!$", re.MULTILINE)
_BOUND = re.compile(r"^rtc-ds1307 \d+-0068: ", re.MULTILINE)
_JOURNALCTL = ("/usr/bin/journalctl", "--dmesg", "--boot", "--output=cat", "--no-pager", "--quiet")
_JOURNAL_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class RtcReading:
    """What the chip says."""

    lost_power: bool  # still noted in the chip; older kernels clear the note when they find the chip
    temperature_c: float  # of the chip, within 3 degrees
    time: datetime | None  # None where the registers hold none


@dataclass(frozen=True, kw_only=True)
class KernelRtc:
    """What the kernel says of its first real-time clock."""

    name: str  # of driver and device
    epoch_s: int | None  # None where it cannot be read
    set_the_clock: bool  # whether the wall clock was set from it at boot


def decode(registers: bytes) -> RtcReading:
    """Read the registers 00h to 12h.

    Raises:
        ValueError: These are fewer registers.
    """
    if len(registers) < REGISTERS:
        raise ValueError(f"{len(registers)} registers are not {REGISTERS}")
    high, low = registers[_TEMPERATURE : _TEMPERATURE + 2]
    return RtcReading(
        lost_power=bool(registers[_STATUS] & _OSF),
        # Two's complement in the upper ten bits, a quarter of a degree each.
        temperature_c=(int.from_bytes((high, low), "big", signed=True) >> 6) / 4,
        time=_time(registers),
    )


def read(bus: int, folder: Path = _DEV) -> RtcReading | None:
    """Ask the chip; None where there is no such bus, no chip, or no right to ask."""
    path = folder / f"i2c-{bus}"
    if not path.exists():
        return None
    try:
        with SMBus(str(path)) as wire:
            # In one go, so that the time does not move on between two registers; a block has at most 32 bytes.
            # A driver that is bound to the chip makes unforced access EBUSY.
            block = wire.read_i2c_block_data(ADDRESS, 0, REGISTERS, force=True)
    except OSError as error:
        log.debug("the real-time clock cannot be read", extra={"fields": {"reason": str(error)}})
        return None
    return decode(bytes(block))


def clear_lost_power(bus: int, folder: Path = _DEV) -> None:
    """Strike out the chip's note that it lost power; only once its time is right again.

    Kernels since August 2025 no longer do that for a DS3231, neither when they find it nor when they set it.

    Raises:
        OSError: The chip does not answer.
    """
    with SMBus(str(folder / f"i2c-{bus}")) as wire:
        status = wire.read_byte_data(ADDRESS, _STATUS, force=True)
        wire.write_byte_data(ADDRESS, _STATUS, (status | _ALARM_FLAGS) & ~_OSF & 0xFF, force=True)


def find_bus(wanted: int, sys: Path = _SYS) -> int | None:
    """Return the number of the bus: the wanted one, or that of the chip in the device tree; None without one."""
    if wanted != FIND_BUS:
        return wanted
    for device in sorted((sys / "bus/i2c/devices").glob(f"*-{ADDRESS:04x}")):
        if "ds3231" in _text(device / "name"):
            return int(device.name.partition("-")[0])
    return None


def kernel_rtc(sys: Path = _SYS) -> KernelRtc | None:
    """Return what the kernel says of rtc0; None if it knows none."""
    folder = sys / "class/rtc/rtc0"
    if not folder.exists():
        return None
    epoch = _text(folder / "since_epoch")
    return KernelRtc(
        name=_text(folder / "name"),
        epoch_s=int(epoch) if epoch.isdecimal() else None,
        set_the_clock=_text(folder / "hctosys") == "1",
    )


def lost_power_at_boot(kernel_log: str) -> bool | None:
    """Say whether the kernel found the chip with its note of lost power; None if it never spoke of the chip."""
    if _SET_TIME.search(kernel_log):
        return True
    return False if _BOUND.search(kernel_log) else None


def kernel_log() -> str:
    """Return the kernel's messages since boot; empty where there are none, or no right to read them. Waits."""
    try:
        done = subprocess.run(
            _JOURNALCTL,
            capture_output=True,
            text=True,
            timeout=_JOURNAL_TIMEOUT_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("the kernel log cannot be read", extra={"fields": {"reason": str(error)}})
        return ""
    return done.stdout if done.returncode == 0 else ""


def _time(registers: bytes) -> datetime | None:
    second, minute, hour, _, day, month, year = registers[:7]
    try:
        return datetime(
            2000 + _bcd(year),
            _bcd(month & 0x1F),
            _bcd(day & 0x3F),
            _hour(hour),
            _bcd(minute & 0x7F),
            _bcd(second & 0x7F),
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _hour(register: int) -> int:
    if not register & _TWELVE_HOURS:
        return _bcd(register & 0x3F)
    hour = _bcd(register & 0x1F)
    if not 1 <= hour <= 12:
        raise ValueError("no hour of twelve")
    return hour % 12 + (12 if register & _PM else 0)


def _bcd(value: int) -> int:
    tens, ones = divmod(value, 16)
    if tens > 9 or ones > 9:
        raise ValueError("no decimal digits")
    return tens * 10 + ones


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
