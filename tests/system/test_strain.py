from pathlib import Path

import pytest

from otppi.lib.bus import Bus
from otppi.model.checks import Level
from otppi.model.events import HostStrained
from otppi.system.strain import Degree, HostReadings, StrainWatch, judge, read_host


class Board:
    """A tree of /sys and /proc as a Raspberry Pi has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        self.write("sys/class/hwmon/hwmon0/name", "cpu_thermal")
        self.write("sys/class/hwmon/hwmon1/name", "rpi_volt")
        self.heat(48.3)
        self.low_voltage(False)
        self.throttled(0)
        self.memory(400)
        self.stall(0.0)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"{text}\n")

    def heat(self, celsius: float) -> None:
        self.write("sys/class/thermal/thermal_zone0/temp", str(int(celsius * 1000)))

    def low_voltage(self, alarm: bool) -> None:
        self.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", str(int(alarm)))

    def throttled(self, bits: int) -> None:
        self.write("sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits:x}")

    def memory(self, available_mib: int) -> None:
        self.write(
            "proc/meminfo",
            f"MemTotal: {921 * 1024} kB\nMemFree: 5 kB\nMemAvailable: {available_mib * 1024} kB",
        )

    def stall(self, percent: float) -> None:
        line = f"avg10=0.00 avg60={percent:.2f} avg300=0.00 total=123"
        self.write("proc/pressure/memory", f"some avg10=99.00 avg60=99.00 avg300=9.00 total=9\nfull {line}")


class Told(Bus):
    """A bus that keeps what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, bool]] = []

    def publish(self, event: object) -> None:
        assert isinstance(event, HostStrained)
        self.events.append((event.what, event.is_over))


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path)


@pytest.fixture
def bus():
    return Told()


@pytest.fixture
def watch(board, bus):
    return StrainWatch(bus, board.root)


def levels(watch) -> dict[str, Level]:
    return {check.name: check.level for check in watch.checks()}


def test_a_board_is_read(board):
    assert read_host(board.root) == HostReadings(
        temperature_c=48.3,
        has_under_voltage=False,
        had_under_voltage=False,
        is_slowed=False,
        was_slowed=False,
        memory_bytes=921 * 2**20,
        available_bytes=400 * 2**20,
        stalled_percent=0.0,
    )


def test_a_board_that_tells_nothing_is_no_error(tmp_path, bus):
    assert read_host(tmp_path) == HostReadings()
    watch = StrainWatch(bus, tmp_path)
    watch.look()
    assert levels(watch) == {"board": Level.GREEN}


def test_rubbish_is_as_good_as_nothing(board):
    for path in (
        "sys/class/thermal/thermal_zone0/temp",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm",
        "sys/devices/platform/soc/soc:firmware/get_throttled",
        "proc/meminfo",
    ):
        board.write(path, "what\x00?")
    board.write("proc/pressure/memory", "full avg60=much")
    assert read_host(board.root) == HostReadings()


def test_all_well_is_green_and_silent(watch, bus):
    watch.look()
    assert bus.events == []
    assert set(levels(watch).values()) == {Level.GREEN}


def test_heat_begins_at_one_temperature_and_ends_at_a_lower_one(watch, board, bus):
    for celsius in (79.0, 80.5, 78.0, 81.0, 75.0, 73.0, 79.0):
        board.heat(celsius)
        watch.look()
    assert bus.events == [("temperature", False), ("temperature", True)]


def test_under_voltage_that_comes_and_goes_with_every_message_is_told_once(watch, board, bus):
    for alarm in (True, False, True, False, False, True):
        board.low_voltage(alarm)
        watch.look()
    assert levels(watch)["voltage"] is Level.RED
    board.low_voltage(False)
    for _ in range(10):
        watch.look()
    assert bus.events == [("voltage", False), ("voltage", True)]
    assert levels(watch)["voltage"] is Level.YELLOW


def test_under_voltage_is_known_from_the_firmware_where_the_sensor_is_missing(watch, board, bus):
    (board.root / "sys/class/hwmon/hwmon1/name").unlink()
    board.throttled(0x50005)
    watch.look()
    assert bus.events == [("voltage", False)]


def test_under_voltage_before_the_service_began_is_yellow(watch, board):
    board.throttled(0x50000)
    assert levels(watch)["voltage"] is Level.YELLOW


def test_little_memory_and_standing_still_for_want_of_it_are_one_need(watch, board, bus):
    board.memory(40)
    watch.look()
    board.memory(70)  # neither little nor enough
    board.stall(20.0)
    watch.look()
    board.memory(300)
    watch.look()
    board.stall(0.0)
    watch.look()
    assert bus.events == [("memory", False)]
    watch.look()
    assert bus.events == [("memory", False), ("memory", True)]


@pytest.mark.parametrize(
    ("celsius", "degree"), [(74.0, Degree.WELL), (77.0, Degree.BETWEEN), (80.0, Degree.STRAINED)]
)
def test_limits_of_heat(celsius, degree):
    assert judge(HostReadings(temperature_c=celsius))["temperature"].degree is degree


def test_every_finding_that_is_not_green_comes_with_advice(watch, board):
    board.heat(90)
    board.low_voltage(True)
    board.memory(10)
    assert all(check.advice and check.level is Level.RED for check in watch.checks())
