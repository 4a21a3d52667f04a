"""The image on an emulated Raspberry Pi 3B: what only its buses have. Patience: it boots in two minutes or more."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from otppi.sim.line import SimModems
from tests import needs
from tests.image_bench.kinds import PI3
from tests.image_bench.machine import Board, Machine
from tests.image_bench.rest import RestCaller
from tests.image_bench.sticks import fat_stick

pytestmark = pytest.mark.pi3

SENT_S = SAVED_S = 240.0
USER, PASSWORD = "shop", "correct horse battery"
RESET = (
    "VERIFY = eyJkZXZpY2VUeXBlIjoiUlBpIiwgImJhc2VOYW1lIjoicmVzZXQtY29uZmlnLmluaSJ9\r\nRESET_SMS = true\r\n"
)
READ_CHIP = """
from otppi.system.clock import rtc
print(rtc.read(rtc.find_bus(rtc.FIND_BUS)).time.isoformat())
"""


@pytest.fixture(scope="session")
def pi(image):
    if image.architecture != "arm64":
        pytest.fail("a Raspberry Pi needs OTPPI_IMAGE_ARCHITECTURE=arm64")
    # A locally administered address would make it usb0.
    with Machine(image, Board(kind=PI3, mac="40:54:00:12:34:56")) as machine:
        machine.power_on()
        machine.wait_for("test $(systemctl is-active otppi) = active")
        yield machine


@pytest.fixture(scope="module")
def chip(pi):
    """The clock chip, bound to the kernel's driver as the overlay in config.txt does it on a board."""
    pi.wait_for("ls /dev/i2c-1")
    pi.run("echo ds3231 0x68 >/sys/bus/i2c/devices/i2c-1/new_device")
    pi.wait_for("ls /dev/rtc0")

    def read():
        said = pi.run(f"/usr/lib/otppi/venv/bin/python -I -c '{READ_CHIP}'").said
        return datetime.fromisoformat(said)

    return read


def test_it_boots_without_a_failed_unit(pi):
    assert pi.run("systemctl --failed --no-legend --plain").said == ""
    assert pi.run("tr -d '\\0' </proc/device-tree/model").said.startswith("Raspberry Pi 3 Model B")


def test_the_chip_ticks(chip):
    first = chip()
    assert timedelta(0) < chip() - first < timedelta(minutes=5)


def test_a_time_that_is_set_goes_into_the_chip(pi, chip):
    wanted = datetime.now(UTC) + timedelta(days=400)
    # The command may give up waiting for the answer here; the device does it all the same.
    pi.run(f"otppi clock set {wanted.isoformat()}", check=False)
    until = time.monotonic() + SAVED_S
    while abs(chip() - wanted) > timedelta(seconds=2 * SAVED_S):
        assert time.monotonic() < until, chip()
    assert abs(datetime.fromisoformat(pi.run("date --iso-8601=s").said) - chip()) < timedelta(minutes=1)


def test_the_diagnosis_knows_the_chip_and_finds_nothing_red(pi, chip):
    # Services of the system take longer to answer here than the gateway waits, the first times.
    said = pi.wait_for(
        'checks=$(otppi diagnose --json) && echo "$checks" | grep -q "clock battery" && echo "$checks"'
    )
    levels = {one["name"]: one["level"] for one in json.loads(said)}
    assert levels["real-time clock battery"] == "green", said
    assert "real-time clock" not in levels


def test_the_radio_has_an_access_point(pi):
    pi.wait_for("ip -4 address show wlan0 | grep 'inet 192.168.0.11/24'")
    assert "type AP" in pi.run("iw dev wlan0 info").said


# What is in stays in: QEMU ends when a serial adapter is pulled out of this controller.


def test_a_stick_in_its_usb_resets(pi, tmp_path):
    needs.programs("mkfs.vfat", "mmd", "mcopy")
    pi.run("otppi settings set sms.answer_limit_s 77")
    pi.plug_stick("reset", fat_stick(tmp_path / "reset.img", {"otppi/reset-config.ini": RESET.encode()}))
    # It may be given up as too slow, and is looked at anew then.
    look = "systemctl restart otppi-reset-watch && sleep 10 && systemctl start otppi-reset"
    pi.wait_for(f'{look}; test "$(otppi settings get sms.answer_limit_s)" != 77.0')


def test_a_modem_on_its_usb_sends_a_code_that_verifies(pi, tmp_path):
    pi.run(f"printf '{PASSWORD}\\n' | otppi api-user add {USER} --password-stdin")
    rest = RestCaller(pi, USER, PASSWORD)
    with SimModems(tmp_path) as sim:
        line = sim.add("m0", "generic", submit_s=0.2)
        port = pi.plug_serial("m0", line.path)
        pi.run(f"otppi modem add --name first --port {port} --default")
        pi.wait_for("otppi modem list | grep -P '^first\\t.*\\tready'")
        answer = rest.call(
            "request-otp",
            receiver="081200000001",
            message="Your code is %s",
            reference="one",
            date_time=int(pi.run("date +%s").said),
        )
        assert answer["response_code"] == "0000", answer
        assert line.wait_for_sent(1, SENT_S)
        code = re.fullmatch(r"Your code is (\d+)", line.messages[-1].text)[1]
        answer = rest.call("verify-otp", receiver="081200000001", reference="one", otp=code)
        assert answer["response_code"] == "0000", answer
