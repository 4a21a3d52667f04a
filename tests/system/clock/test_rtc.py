"""Register maps of the DS3231, written down from its data sheet (19-5170, Figure 1)."""

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.system.clock import rtc
from tests import needs

# 00h seconds to 06h year, two alarms, 0Eh control, 0Fh status, 10h aging, 11h and 12h temperature.
RUNS = bytes.fromhex("56 34 12 07 21 11 26  00 00 00 00  00 00 00  1c 08 00 19 40")
# As after the first power: 2000-01-01, the oscillator has stopped.
LOST = bytes.fromhex("07 00 00 01 01 01 00  00 00 00 00  00 00 00  1c 88 00 17 00")


def changed(registers, **values):
    made = bytearray(registers)
    for name, value in values.items():
        made[int(name.removeprefix("r"), 16)] = value
    return bytes(made)


def test_a_running_clock_is_read():
    reading = rtc.decode(RUNS)
    assert reading == rtc.RtcReading(
        lost_power=False, temperature_c=25.25, time=datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC)
    )


def test_a_clock_that_lost_power_says_so():
    reading = rtc.decode(LOST)
    assert reading.lost_power
    assert reading.time == datetime(2000, 1, 1, 0, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("high", "low", "temperature_c"),
    [(0x19, 0x40, 25.25), (0x00, 0x00, 0.0), (0xFF, 0xC0, -0.25), (0xF6, 0x80, -9.5), (0x55, 0x00, 85.0)],
)
def test_reads__temperature(high, low, temperature_c):
    assert rtc.decode(changed(RUNS, r11=high, r12=low)).temperature_c == temperature_c


@pytest.mark.parametrize(
    ("register", "hour"), [(0x00, 0), (0x23, 23), (0x52, 0), (0x41, 1), (0x72, 12), (0x71, 23), (0x61, 13)]
)
def test_reads__hour(register, hour):
    assert rtc.decode(changed(RUNS, r02=register)).time.hour == hour


@pytest.mark.parametrize(
    "broken",
    [{"r00": 0x5A}, {"r02": 0x24}, {"r02": 0x53}, {"r04": 0x00}, {"r05": 0x13}, {"r04": 0x31}, {"r06": 0xFF}],
)
def test_rejects__time(broken):
    assert rtc.decode(changed(RUNS, **broken)).time is None


def test_the_century_bit_is_no_part_of_the_month():
    assert rtc.decode(changed(RUNS, r05=0x91)).time.month == 11


def test_too_few_registers_are_an_error():
    with pytest.raises(ValueError, match="18"):
        rtc.decode(RUNS[:18])


@given(st.binary(min_size=rtc.REGISTERS, max_size=rtc.REGISTERS))
def test_whatever_the_bus_gives_is_read(registers):
    assert -128 <= rtc.decode(registers).temperature_c < 128


def test_no_bus_is_no_error(tmp_path):
    assert rtc.read(1, tmp_path) is None


def test_a_device_that_is_no_bus_is_no_error(tmp_path):
    (tmp_path / "i2c-1").write_bytes(b"")
    assert rtc.read(1, tmp_path) is None


def test_the_bus_is_found_by_the_name_of_the_chip(tmp_path):
    for device, name in {"1-0068": "mpu6050", "22-0068": "ds3231", "1-0020": "ds3231"}.items():
        folder = tmp_path / "bus/i2c/devices" / device
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
    assert rtc.find_bus(rtc.FIND_BUS, tmp_path) == 22
    assert rtc.find_bus(1, tmp_path) == 1
    assert rtc.find_bus(rtc.FIND_BUS, tmp_path / "none") is None


def test_the_kernel_tells_of_its_clock(tmp_path):
    folder = tmp_path / "class/rtc/rtc0"
    assert rtc.kernel_rtc(tmp_path) is None
    folder.mkdir(parents=True)
    assert rtc.kernel_rtc(tmp_path) == rtc.KernelRtc(name="", epoch_s=None, set_the_clock=False)
    for name, text in {"name": "rtc-ds1307 1-0068", "since_epoch": "1795264496", "hctosys": "1"}.items():
        (folder / name).write_text(f"{text}\n")
    assert rtc.kernel_rtc(tmp_path) == rtc.KernelRtc(
        name="rtc-ds1307 1-0068", epoch_s=1795264496, set_the_clock=True
    )


BOUND = "rtc-ds1307 1-0068: registered as rtc0\n"


@pytest.mark.parametrize(
    ("log", "lost"),
    [
        (f"usb 1-1: new device\n{BOUND}", False),
        (f"rtc-ds1307 1-0068: SET TIME!\n{BOUND}", True),
        (f"rtc-ds1307 22-0068: SET TIME!\n{BOUND}", True),
        ("", None),
        ("usb 1-1: Product: SET TIME!\n", None),
        (f"usb 1-1: Product: rtc-ds1307 1-0068: SET TIME!\n{BOUND}", False),
    ],
)
def test_the_kernel_log_tells_of_lost_power(log, lost):
    assert rtc.lost_power_at_boot(log) is lost


def test_a_journal_that_cannot_be_read_is_an_empty_one(monkeypatch):
    monkeypatch.setattr(rtc, "_JOURNALCTL", ("/nonexistent/journalctl",))
    assert rtc.kernel_log() == ""


def test_the_real_journalctl_takes_its_arguments():
    needs.programs("journalctl")
    assert isinstance(rtc.kernel_log(), str)


def test_a_chip_that_answers_is_read_and_keeps_the_rest_of_its_status():
    """With `modprobe i2c-stub chip_addr=0x68` and OTPPI_TEST_I2C_STUB set to the number of its bus."""
    bus = os.environ.get("OTPPI_TEST_I2C_STUB", "N of i2c-stub")
    needs.device(f"/dev/i2c-{bus}")
    from smbus2 import SMBus

    with SMBus(int(bus)) as wire:
        for register, value in enumerate(LOST):
            wire.write_byte_data(rtc.ADDRESS, register, value)
    assert rtc.read(int(bus)) == rtc.decode(LOST)
    rtc.clear_lost_power(int(bus))
    assert not rtc.read(int(bus)).lost_power
    with SMBus(int(bus)) as wire:
        # The stub keeps what is written; in the chip a 1 leaves the flags of the alarms as they are.
        assert wire.read_byte_data(rtc.ADDRESS, 0x0F) == 0x0B
