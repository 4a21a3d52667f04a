import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otppi.gateway.accounts import Administrator
from otppi.model.errors import SettingsError
from otppi.services.dhcp_snippet import write
from otppi.settings.store import SettingsStore
from otppi.system.network.settings import DhcpSettings, NetworkSettings, WlanSettings
from tests import needs

ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def state_dir(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "dnsmasq-shared.d"
    folder.mkdir()
    return folder / "otppi.conf"


@pytest.fixture
def store(state_dir):
    return SettingsStore(state_dir, (WlanSettings, DhcpSettings, NetworkSettings, Administrator), None)


def lines(target: Path) -> list[str]:
    return target.read_text().splitlines()


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_mtime_ns, path.stat().st_ino)
        for path in (folder, *folder.rglob("*"))
    }


def test_a_new_device_is_in_its_setup(state_dir, target):
    assert write(state_dir, target)
    assert "address=/#/192.168.0.11" in lines(target)
    assert "dhcp-range=192.168.0.40,192.168.0.254,600" in lines(target)
    assert everything(state_dir).keys() == {"."}


def test_a_state_folder_that_is_not_there_yet_is_that_of_a_new_device(tmp_path, target):
    assert write(tmp_path / "absent", target)
    assert not (tmp_path / "absent").exists()


def test_an_administrator_ends_the_setup(state_dir, target, store):
    write(state_dir, target)
    store.put(Administrator, "ann", {"password": "correct horse"})
    assert write(state_dir, target)
    assert not any(line.startswith("address=") for line in lines(target))


def test_settings_are_what_is_written(state_dir, target, store):
    store.update(WlanSettings, {"address": "10.11.0.11/24", "passphrase": "correct horse"})
    store.update(DhcpSettings, {"domain_name": "otppi.lan", "default_lease_s": 900, "max_lease_s": 900})
    store.update(NetworkSettings, {"hostname": "Toko"})
    before = everything(state_dir)
    write(state_dir, target)
    assert "dhcp-range=10.11.0.40,10.11.0.254,900" in lines(target)
    assert "host-record=toko,toko.local,toko.otppi.lan,10.11.0.11" in lines(target)
    assert everything(state_dir) == before


def test_a_secret_whose_key_is_lost_is_not_missed_and_makes_no_new_key(state_dir, target, store):
    store.update(WlanSettings, {"passphrase": "correct horse", "address": "10.11.0.11/24"})
    shutil.rmtree(state_dir / "keys")
    write(state_dir, target)
    assert "10.11.0.11" in target.read_text()
    assert not (state_dir / "keys").exists()
    assert not (state_dir / "keys").exists()


def test_nothing_is_written_when_nothing_changes(state_dir, target):
    assert write(state_dir, target)
    before = target.stat()
    assert not write(state_dir, target)
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_without_an_access_point_nothing_is_said_to_other_shared_networks(state_dir, target, store):
    write(state_dir, target)
    store.update(WlanSettings, {"enabled": False})
    assert write(state_dir, target)
    assert all(line.startswith("#") for line in lines(target))


def test_settings_that_do_not_fit_together_leave_the_old_file(state_dir, target, store):
    write(state_dir, target)
    before = target.read_bytes()
    store.update(DhcpSettings, {"router": "10.9.9.9"})
    with pytest.raises(SettingsError, match=r"dhcp\.router"):
        write(state_dir, target)
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b'{"version": 1, "values": {"ranges": "x", "router": "192.168.0.1\\ndhcp-script=/x"}}'],
)
def test_a_damaged_file_stays_for_the_gateway_to_mend(state_dir, target, store, damage):
    store.update(DhcpSettings, {"default_lease_s": 900})
    file = state_dir / "settings" / "dhcp.json"
    file.write_bytes(damage)
    before = everything(state_dir)
    write(state_dir, target)
    assert everything(state_dir) == before
    assert file.read_bytes() == damage
    assert "script" not in target.read_text()


def test_a_secret_written_by_hand_is_not_sealed_here(state_dir, target):
    folder = state_dir / "settings"
    folder.mkdir()
    (folder / "wlan.json").write_text(json.dumps({"version": 1, "values": {"passphrase": "correct horse"}}))
    (folder / "wlan.json").chmod(0o600)
    before = everything(state_dir)
    write(state_dir, target)
    assert everything(state_dir) == before
    assert "correct horse" not in target.read_text()


SANDBOX = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"]
# As the unit: root without any right but to read, and the state folder cannot be written to.
AS_THE_UNIT = """
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
shift
exec setpriv --bounding-set "$1" --inh-caps -all --no-new-privs "$2" -c "$3" "$4" "$5"
"""
WRITE = """
import sys
from pathlib import Path
from otppi.services.dhcp_snippet import write
write(*map(Path, sys.argv[1:]))
"""


def write_as_the_unit(state_dir: Path, target: Path, rights: str) -> subprocess.CompletedProcess[str]:
    needs.root()
    needs.programs("unshare", "setpriv", "mount")
    given = [state_dir, rights, sys.executable, WRITE, state_dir, target]
    return subprocess.run(
        [*SANDBOX, AS_THE_UNIT, "sh", *map(str, given)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def test_the_right_to_read_is_all_that_is_needed(state_dir, target, store):
    store.update(WlanSettings, {"address": "10.11.0.11/24", "passphrase": "correct horse"})
    store.put(Administrator, "ann", {"password": "correct horse"})
    (state_dir / "settings" / "dhcp.json").write_bytes(b"damaged")
    (state_dir / "settings" / "dhcp.json").chmod(0o644)
    give_away(state_dir)
    before = everything(state_dir)
    done = write_as_the_unit(state_dir, target, "-all,+dac_read_search")
    assert done.returncode == 0, done.stderr
    assert "dhcp-range=10.11.0.40,10.11.0.254,600" in lines(target)
    assert "no-resolv" in lines(target)
    assert not any(line.startswith("address=") for line in lines(target))
    assert everything(state_dir) == before


def test_without_that_right_a_device_is_not_taken_for_a_new_one(state_dir, target, store):
    store.put(Administrator, "ann", {"password": "correct horse"})
    give_away(state_dir)
    done = write_as_the_unit(state_dir, target, "-all")
    assert done.returncode != 0
    assert "PermissionError" in done.stderr
    assert not target.exists()
