"""From the settings on the disk to pppd: everything but the kernel's PPP is real."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otppi.modems.settings import ModemSettings
from otppi.services.mobile_link import links_of
from otppi.settings.store import SettingsStore
from otppi.sim.line import SimModems
from otppi.system.mobile.endings import Ending
from tests import needs

# pppd(8): without /dev/ppp it ends so, after it has read all its options.
NO_KERNEL_SUPPORT = 4
DIAL = (
    "import sys; from pathlib import Path; from otppi.services import mobile_link; "
    "sys.exit(mobile_link.dial(Path(sys.argv[1]), Path(sys.argv[2])))"
)


@pytest.fixture
def modems(tmp_path):
    with SimModems(tmp_path / "ports") as sim:
        yield sim


class Device:
    def __init__(self, folder: Path) -> None:
        self.state, self.runtime = folder / "state", folder / "runtime"
        self.state.mkdir(mode=0o700)
        self.runtime.mkdir(mode=0o700)

    def has(self, name, port, **raw):
        # pppd wants a device below /dev; the simulator's port is a link to one.
        store = SettingsStore(self.state, (ModemSettings,), None)
        raw = {"name": name, "port": os.path.realpath(port), "internet_access": True, **raw}
        store.put(ModemSettings, name, raw)

    def dial(self):
        done = subprocess.run(
            [sys.executable, "-c", DIAL, self.state, self.runtime],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
        )
        print(done.stderr)
        return done.returncode


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def needs_pppd_without_its_kernel():
    needs.root()
    needs.programs("pppd", "chat")
    if Path("/dev/ppp").exists():
        pytest.skip("NOT SHOWN HERE: needs a kernel without PPP; test_connection.py shows more")


def test_without_an_internet_modem_there_is_nothing_to_do(device, modems):
    assert device.dial() == Ending.NOTHING_TO_DO
    device.has("sms", modems.add("sms").path, internet_access=False)
    device.has("off", modems.add("off").path, active=False)
    assert device.dial() == Ending.NOTHING_TO_DO
    assert not list(device.runtime.iterdir())


def test_it_unlocks_the_sim_and_becomes_pppd(device, modems):
    needs_pppd_without_its_kernel()
    line = modems.add("data", pin="1234")
    device.has("data", line.path, sim_pin="1234", apn="internet", apn_password="s3cret")
    assert device.dial() == NO_KERNEL_SUPPORT
    assert line.card.is_open
    options = (device.runtime / "options").read_text()
    assert 'password "s3cret"' in options  # sealed on the disk by the key of the device
    assert "s3cret" not in (device.state / "settings" / "modems.json").read_text()
    assert "usepeerdns" in options
    assert not line.offences


def test_a_wrong_pin_is_tried_once_however_often_it_dials(device, modems):
    line = modems.add("data", pin="1234")
    device.has("data", line.path, sim_pin="9999")
    assert [device.dial() for _ in range(4)] == [Ending.SIM_BLOCKED] * 4
    assert line.card.pin_tries_left == 2
    assert not (device.runtime / "options").exists()


def test_the_pin_is_not_for_another_sim(device, modems):
    line = modems.add("data", pin="1234", iccid="89620000000000001234")
    device.has("data", line.path, sim_pin="1234", iccid="89620000000000009999")
    assert device.dial() == Ending.SIM_BLOCKED
    assert (line.card.is_open, line.card.pin_tries_left) == (False, 3)


def test_the_last_try_is_asked_for_as_the_family_tells_it(device, modems):
    line = modems.add("data", "huawei", pin="1234")
    for _ in range(2):
        line.card.enter_pin("9999")  # as somebody does in a phone
    device.has("data", line.path, sim_pin="9998")
    assert device.dial() == Ending.SIM_BLOCKED
    assert line.card.pin_tries_left == 1


def test_a_port_that_another_program_holds_is_not_taken(device, modems):
    import serial

    line = modems.add("data")
    device.has("data", line.path)
    with serial.Serial(str(line.path), exclusive=True):
        assert device.dial() == Ending.MODEM_UNUSABLE


def test_an_unplugged_modem_is_no_fault_of_the_settings(device, modems):
    line = modems.add("data")
    device.has("data", line.path)
    line.unplug()
    assert device.dial() == Ending.MODEM_UNUSABLE


def test_a_port_outside_of_dev_is_refused(device, modems, tmp_path):
    line = modems.add("data")
    device.has("data", line.path)
    store = SettingsStore(device.state, (ModemSettings,), None)
    store.put(ModemSettings, "data", {"port": str(line.path)})
    assert device.dial() == Ending.BAD_SETTINGS


def test_without_reconnection_it_calls_once_until_it_is_stopped(device, modems):
    needs_pppd_without_its_kernel()
    device.has("data", modems.add("data").path, autoreconnect=False)
    assert device.dial() == NO_KERNEL_SUPPORT
    assert device.dial() == Ending.NOTHING_TO_DO
    # systemd removes what the runtime folder holds when the unit is stopped.
    for file in device.runtime.iterdir():
        file.unlink()
    assert device.dial() == NO_KERNEL_SUPPORT


def test_what_it_writes_into_the_state_folder_belongs_to_its_owner(device, modems):
    needs.root()
    line = modems.add("data", pin="1234")
    device.has("data", line.path, sim_pin="9999")
    owner = 54_321
    os.chown(os.path.realpath(line.path), owner, -1)
    for path in (device.state.parent, *device.state.parents):
        if path.stat().st_mode & 0o011 == 0 and str(path).startswith("/tmp/pytest"):  # noqa: S108 - pytest's own
            path.chmod(path.stat().st_mode | 0o011)
    for path in (device.state, *device.state.rglob("*")):
        os.chown(path, owner, owner)
    assert device.dial() == Ending.SIM_BLOCKED
    assert {path.stat().st_uid for path in device.state.rglob("*")} == {owner}
    assert (device.state / "refused-pins.json").exists()


def test_the_first_active_one_dials_and_the_commands_keep_their_order():
    def modem(**raw):
        return ModemSettings.parse({"name": "m", "port": "ttyUSB0", "internet_access": True, **raw})[0]

    links = links_of(
        {
            "sms": modem(internet_access=False),
            "off": modem(active=False),
            "data": modem(init_dial_1="ATZ", init_dial_3="AT+CFUN=1", dial_number="#777"),
            "more": modem(),
        }
    )
    assert [one.modem_id for one in links] == ["data", "more"]
    assert links[0].init_commands == ("ATZ", "AT+CFUN=1")
    assert not links[0].is_gsm
    assert (links[1].dial_command + links[1].dial_number, links[1].reconnects) == ("ATD*99#", True)
