"""The whole first boot on real folders, its power cut anywhere."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from otppi.gateway.accounts import Administrator
from otppi.lib.filelock import hold
from otppi.lib.passwords import hash_password
from otppi.model.checks import Level
from otppi.services import brochure, first_boot
from otppi.services.first_boot import Report
from otppi.services.personalise import personalise
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.store import SettingsStore
from otppi.system.firewall.settings import OpenPort
from otppi.system.network.born import born
from otppi.system.network.settings import EthernetSettings, WlanSettings
from otppi.system.ssh import access
from tests import needs

ROOT = Path(__file__).parents[2]
NOBODY = 65534
HASH = hash_password("correct horse")
# The other half is nobody's.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann"
SECRETS = ("kuda yang benar", "lusab-babad-gutih", HASH)
PRESET = f"""\
ssid = "Toko Jaya"
passphrase = "{SECRETS[0]}"
setup_secret = "{SECRETS[1]}"
country = "SG"
ethernet = {{ address = "10.1.2.3/24" }}
administrator = {{ name = "ann", password = "{HASH}" }}
ssh_key = "{KEY}"
"""


class Device:
    def __init__(self, folder):
        self.state, self.boot, self.run = folder / "state", folder / "boot", folder / "run"
        self.report, self.ssh = self.run / "report.json", folder / "ssh"
        for place in (self.state, self.boot, self.run, self.ssh):
            place.mkdir(mode=0o700, parents=True)

    def start(self):
        # What is in RAM is gone.
        for path in self.run.iterdir():
            path.unlink()
        return personalise(self.state, self.boot, self.run, self.ssh, self.report)

    def preset(self, text=PRESET):
        (self.boot / "otppi.toml").write_text(text)

    @property
    def secrets(self):
        return born(self.state / "keys" / "born.json")

    @property
    def store(self):
        store = SettingsStore(self.state, SECTIONS, None)
        watch_over(store)
        return store

    @property
    def screen(self):
        return (self.run / "otppi.issue").read_text()

    @property
    def card(self):
        return (self.boot / brochure.TEXT).read_bytes().decode("utf-8-sig")

    @property
    def card_bytes(self):
        return b"".join(path.read_bytes() for path in sorted(self.boot.rglob("*")) if path.is_file())

    @property
    def toml(self):
        return (self.boot / "otppi.toml").read_text()

    def check(self):
        return list(first_boot.checks(self.report))


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path / "device")


def all_files(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def expect_applied(device):
    """Everything of the preset is in its place, and nothing of it that is secret is on the card."""
    assert (device.secrets.ssid, device.secrets.passphrase) == ("Toko Jaya", SECRETS[0])
    assert device.secrets.setup_secret == SECRETS[1]
    store = device.store
    assert (store.get(WlanSettings).ssid, store.get(WlanSettings).country) == ("", "SG")
    assert store.get(EthernetSettings).address == "10.1.2.3/24"
    assert store.items(Administrator)["ann"].password == HASH
    assert (device.ssh / access.KEYS).read_text() == f"{KEY}\n"
    for secret in SECRETS:
        assert secret.encode() not in device.card_bytes
    assert "Toko Jaya" in device.toml
    assert sorted(path.name for path in device.boot.iterdir()) == sorted(
        {*brochure.FILES, "otppi.toml"} - {brochure.WIFI_PICTURE}
    )
    assert SECRETS[0] in device.screen
    assert [one.level for one in device.check()] == [Level.GREEN]


def test_a_new_device_gets_secrets_a_brochure_and_a_screen(device):
    assert device.start() == 0
    for place in (device.card, device.screen):
        for word in (device.secrets.ssid, device.secrets.passphrase, device.secrets.setup_secret):
            assert word in place
        assert "http://192.168.0.11:8888" in place
        assert "http://otppi.local:8888" in place
    assert {path.name for path in device.boot.iterdir()} == set(brochure.FILES)
    assert [one.level for one in device.check()] == [Level.GREEN]
    assert (device.run / "otppi.issue").stat().st_mode & 0o077 == 0
    assert device.report.stat().st_mode & 0o444 == 0o444


def test_a_second_start_writes_nothing_to_the_card(device):
    device.start()
    before = all_files(device.boot), all_files(device.state)
    secrets, screen = device.secrets, device.screen
    assert device.start() == 0
    assert (all_files(device.boot), all_files(device.state)) == before
    assert (device.secrets, device.screen) == (secrets, screen)


def test_a_preset_is_applied_once_and_its_secrets_leave_the_card(device):
    device.preset()
    assert device.start() == 0
    assert Report.load(device.report).has_applied
    expect_applied(device)
    # What the owner changes after that stays.
    device.store.remove(Administrator, "ann")
    device.store.update(WlanSettings, {"country": "MY"})
    before = all_files(device.boot)
    device.start()
    assert not Report.load(device.report).has_applied
    assert not device.store.items(Administrator)
    assert device.store.get(WlanSettings).country == "MY"
    assert all_files(device.boot) == before


def test_the_same_file_put_back_is_taken_off_again_and_not_applied(device):
    device.preset()
    device.start()
    device.store.remove(Administrator, "ann")
    device.preset()
    device.start()
    assert not device.store.items(Administrator)
    assert HASH.encode() not in device.card_bytes


def test_another_file_later_is_applied_and_the_label_stays_true(device):
    device.start()
    first = device.secrets
    device.preset()
    assert device.start() == 0
    assert device.secrets == first
    wlan = device.store.get(WlanSettings)
    assert (wlan.ssid, wlan.passphrase) == ("Toko Jaya", SECRETS[0])
    assert first.passphrase in device.card
    assert "it is now called Toko Jaya" in device.card
    for secret in SECRETS:
        assert secret.encode() not in device.card_bytes
    (check,) = device.check()
    assert check.level is Level.YELLOW
    assert "set-up secret" in check.finding


def test_a_wifi_that_the_owner_changed_is_named_without_its_passphrase(device):
    device.start()
    device.store.update(WlanSettings, {"ssid": "Kasir", "passphrase": "owner chose this"})
    device.start()
    for place in (device.card, device.screen):
        assert "it is now called Kasir" in place
    assert b"owner chose this" not in device.card_bytes
    assert "owner chose this" not in device.screen


def test_a_wrong_preset_is_told_and_the_device_comes_up_with_its_own(device, caplog):
    device.preset(PRESET + 'contry = "ID"\n')
    assert device.start() == 0
    assert device.secrets.ssid.startswith("OTP-Pi-")
    assert not device.store.items(Administrator)
    told = "contry: there is no such name; did you mean country?"
    for place in (device.card, device.screen, caplog.text, device.check()[0].finding):
        assert told in place
        assert SECRETS[0] not in place
        assert HASH not in place
    # Corrected, it is applied, and the complaint goes.
    device.preset()
    device.start()
    assert device.store.items(Administrator)["ann"].password == HASH
    assert told not in device.card


def test_what_does_not_fit_the_access_point_is_told(device):
    device.preset('[ethernet]\naddress = "192.168.0.20/24"\n')
    assert device.start() == 0
    assert device.check()[0].level is Level.YELLOW
    assert device.secrets.ssid.startswith("OTP-Pi-")
    assert device.store.get(EthernetSettings).method == "auto"


def test_ssh_is_off_until_a_preset_names_a_key_and_after_one_that_names_none(device):
    device.start()
    assert list(device.ssh.iterdir()) == []
    device.preset(f'ssh_key = "{KEY}"\n')
    device.start()
    assert (device.ssh / access.KEYS).read_text() == f"{KEY}\n"
    assert len(device.store.items(OpenPort)) == 2
    own = (device.ssh / access.HOST_KEY).read_bytes()
    device.preset('ssh_key = ""\n')
    device.start()
    assert [file.name for file in device.ssh.iterdir()] == [access.HOST_KEY]
    assert not device.store.items(OpenPort)
    # Without the line nothing of it changes, and the device is known by the same key for ever.
    device.preset(f'ssh_key = ["{KEY}"]\n')
    device.start()
    device.preset('country = "MY"\n')
    device.start()
    assert (device.ssh / access.KEYS).read_text() == f"{KEY}\n"
    assert (device.ssh / access.HOST_KEY).read_bytes() == own


def test_who_switched_ssh_off_is_not_overruled_by_a_card_that_cannot_be_written(device, monkeypatch):
    device.preset()
    real = os.replace

    def refused(source, target):
        if str(target).startswith(str(device.boot)):
            raise OSError(errno.EROFS, "Read-only file system", str(target))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        device.start()
        assert device.toml == PRESET
        access.allow_only(device.ssh, [])
        device.start()
    assert access.allowed(device.ssh) == ()


def test_a_key_is_refused_with_all_the_rest_where_ssh_is_not_ours(device):
    device.ssh.rmdir()
    device.preset()
    assert device.start() == 0
    assert not device.store.items(Administrator)
    (check,) = device.check()
    assert "ssh_key: SSH of this system is its administrator's" in check.finding
    assert not device.ssh.exists()


def test_what_does_not_fit_the_settings_lets_nobody_in(device):
    device.preset(f'ssh_key = "{KEY}"\n[ethernet]\naddress = "192.168.0.20/24"\n')
    device.start()
    assert device.check()[0].level is Level.YELLOW
    assert access.allowed(device.ssh) == ()


def test_born_secrets_that_were_lost_are_on_the_card_again(device):
    device.preset()
    device.start()
    (device.state / "keys" / "born.json").write_bytes(b"\0" * 50)
    device.start()
    assert device.secrets.passphrase != SECRETS[0]
    assert device.secrets.passphrase in device.card
    assert device.secrets.setup_secret in device.card


def test_without_a_boot_partition_the_device_is_born_all_the_same(device):
    device.boot.rmdir()
    assert device.start() == 0
    assert device.secrets.passphrase in device.screen


def test_without_its_storage_the_device_says_so_and_starts(device):
    device.state.rmdir()
    assert device.start() == 1
    assert "the storage cannot be used" in device.screen
    assert device.check()[0].level is Level.YELLOW


def test_beside_a_gateway_nothing_is_done(device):
    device.start()
    device.preset()
    with hold(device.state / "lock"):
        assert device.start() == 1
    assert device.toml == PRESET
    assert device.start() == 0
    assert device.store.items(Administrator)


def test_a_card_that_is_full_costs_the_brochure_only(device, monkeypatch):
    device.preset()
    real = os.open

    def full(path, flags, *args, **more):
        if flags & os.O_CREAT and str(path).startswith(str(device.boot)):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, flags, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        assert device.start() == 0
    assert "could not be written" in device.screen
    assert device.check()[0].level is Level.YELLOW
    assert device.start() == 0
    expect_applied(device)


def test_a_storage_that_is_full_costs_the_preset_only(device, monkeypatch):
    device.start()
    device.preset()
    real = os.open

    def full(path, flags, *args, **more):
        if flags & os.O_CREAT and str(path).startswith(str(device.state)) and not str(path).endswith("lock"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, flags, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        assert device.start() == 0
    assert device.secrets.passphrase in device.screen
    assert "No space left" in device.check()[0].finding
    assert device.toml == PRESET
    device.start()
    assert device.store.items(Administrator)


def test_a_device_without_a_report_is_noticed(device):
    (check,) = device.check()
    assert check.level is Level.YELLOW
    device.report.write_text("[]")
    assert device.check() == [check]


class PowerCut(BaseException):
    """Nothing of the process happens after it."""


OPERATIONS = ("open", "replace", "rename", "unlink", "mkdir", "chmod", "link", "fsync", "rmdir")


class Plug:
    """Counts operations on files and pulls the plug at one of them, before or after it is done."""

    def __init__(self, patch, at, is_done):
        self.count, self._at, self._is_done = 0, at, is_done
        for name in OPERATIONS:
            patch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, real):
        def operation(*args, **more):
            self.count += 1
            if self.count > self._at or (self.count == self._at and not self._is_done):
                raise PowerCut
            result = real(*args, **more)
            if self.count == self._at:
                raise PowerCut
            return result

        return operation


def operations_of_a_start(tmp_path, monkeypatch):
    device = Device(tmp_path / "counted")
    device.preset()
    with monkeypatch.context() as patch:
        plug = Plug(patch, sys.maxsize, is_done=False)
        device.start()
    return plug.count


@pytest.mark.parametrize("is_done", [False, True])
def test_a_power_cut_at_any_operation_loses_nothing_and_leaves_nothing(tmp_path, monkeypatch, is_done):
    number = operations_of_a_start(tmp_path, monkeypatch)
    assert number > 40
    for at in range(1, number):
        device = Device(tmp_path / f"cut-{at}")
        device.preset()
        with monkeypatch.context() as patch:
            Plug(patch, at, is_done=is_done)
            with pytest.raises(PowerCut):
                device.start()
        assert device.start() == 0
        expect_applied(device)
        shutil.rmtree(device.state.parent)


START = """
import sys
from pathlib import Path
from otppi.services.personalise import personalise
sys.exit(personalise(*map(Path, sys.argv[1:])))
"""
AS_THE_UNIT = ["setpriv", "--bounding-set", "-all,+setuid,+setgid", "--inh-caps", "-all", "--no-new-privs"]


def start_as_the_unit(device):
    needs.root()
    needs.programs("setpriv")
    paths = [device.state, device.boot, device.run, device.ssh, device.report]
    return subprocess.run(
        [*AS_THE_UNIT, sys.executable, "-c", START, *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def owned():
    """A device whose state folder is another user's, in a place that this user can reach."""
    needs.root()
    with tempfile.TemporaryDirectory(prefix="otppi-test-") as folder:
        Path(folder).chmod(0o711)
        device = Device(Path(folder))
        os.chown(device.state, NOBODY, NOBODY)
        device.preset()
        yield device


def test_root_writes_the_card_and_the_gateways_user_its_own_folder(owned):
    device = owned
    done = start_as_the_unit(device)
    assert done.returncode == 0, done.stderr
    assert SECRETS[0] not in done.stderr
    expect_applied(device)
    owners = {path.stat().st_uid for path in device.state.rglob("*")}
    assert owners == {NOBODY}
    assert {path.stat().st_uid for path in device.boot.iterdir()} == {0}
    assert {path.stat().st_uid for path in device.run.iterdir()} == {0}
    # The gateway's user cannot so much as look at who becomes root.
    assert {
        (path.stat().st_uid, path.stat().st_mode & 0o077) for path in [device.ssh, *device.ssh.iterdir()]
    } == {(0, 0)}


@pytest.mark.parametrize("name", ["lock", "first-boot.json", "keys", "settings", ".first-boot.json.new"])
def test_a_link_in_the_gateways_folder_does_not_lead_root_anywhere(owned, name, tmp_path):
    target = tmp_path / "roots-own"
    target.mkdir(mode=0o700) if name in ("keys", "settings") else target.write_text("kept")
    before = target.stat()
    (owned.state / name).symlink_to(target)
    start_as_the_unit(owned)
    after = target.stat()
    assert (after.st_uid, after.st_mode, after.st_mtime_ns) == (0, before.st_mode, before.st_mtime_ns)


def test_a_real_fat_partition_keeps_no_name_that_leads_to_the_secrets(tmp_path):
    needs.root()
    needs.programs("mkfs.vfat", "mount", "umount")
    needs.filesystem("vfat")
    needs.device("/dev/loop-control")
    image = tmp_path / "boot.img"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run([needs.program("mkfs.vfat"), image], check=True, capture_output=True)
    device = Device(tmp_path / "device")
    mounted = subprocess.run(["mount", "-o", "loop,umask=0077", image, device.boot], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("NOT SHOWN HERE: needs a loop device that can be mounted")
    try:
        device.preset()
        os.sync()
        assert device.start() == 0
        expect_applied(device)
        before = all_files(device.boot)
        device.start()
        assert all_files(device.boot) == before
    finally:
        subprocess.run(["umount", device.boot], check=True)
    # Not in free blocks either: the file was overwritten where it was.
    raw = image.read_bytes()
    assert b"Toko Jaya" in raw
    for secret in SECRETS:
        assert secret.encode() not in raw
