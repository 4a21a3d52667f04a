"""One card from its first start on: what lasts and what does not, a full card, a damaged one, a destroyed one."""

import json
import re
import subprocess
import time
from dataclasses import replace

import pytest

from tests.image_bench.disk import CARD_MIB
from tests.image_bench.machine import Board, Machine
from tests.image_bench.modems import modem_rack
from tests.image_bench.rest import RestCaller

USER, PASSWORD = "shop", "correct horse battery"
READY_S = 240.0
SECTORS = 2048  # of a MiB
FILES = ("/etc/left-behind", "/usr/bin/left-behind", "/srv/left-behind", "/var/lib/left-behind")
BORN = "cat /etc/machine-id /var/lib/otppi/keys/born.json; sha256sum /var/lib/otppi/keys/device.key"
CONFIRM = """
link=$(otppi network trial --json | sed -n 's/.*"link": "\\(.*\\)".*/\\1/p')
test -n "$link" && /usr/lib/otppi/venv/bin/python -c '
import sys, urllib.request as request
request.urlopen(request.Request(sys.argv[1], method="POST"), timeout=30)' "$link"
"""


@pytest.fixture(scope="module")
def device(image):
    """On, for the first time; the tests go on from each other, as an owner's years do."""
    with Machine(image, Board()) as device:
        switch_on(device)
        yield device


def switch_on(device):
    device.power_on()
    device.wait_for("test $(systemctl is-active otppi) = active", limit_s=READY_S)
    device.wait_for("ip -4 address show wlan0 | grep -q 'inet 192.168.0.11/24'", limit_s=READY_S)


def report(device):
    return json.loads(device.run("cat /run/otppi-storage/report.json").said)


def diagnosed(device, name="storage"):
    done = device.run("otppi diagnose --json", check=False)
    (found,) = [check for check in json.loads(done.said) if check["name"] == name]
    return found["level"], found["finding"]


def partitions(device):
    """Return start and size in sectors by number."""
    lines = device.run("sfdisk --dump /dev/vda").said.splitlines()
    found = (re.match(r"/dev/vda(\d) : start= *(\d+), size= *(\d+)", line) for line in lines)
    return {int(one[1]): (int(one[2]), int(one[3])) for one in found if one}


def change_card(device, *commands):
    """Write to the card of a machine that is off."""
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(
        ["qemu-io", "-f", "qcow2", *words, device.card], check=True, capture_output=True, timeout=60
    )


def test_the_first_start_grows_the_data_and_leaves_room_for_a_second_root(device):
    table = partitions(device)
    assert sorted(table) == [1, 2, 3]
    (start, size), root_size = table[3], table[2][1]
    room = CARD_MIB * SECTORS - root_size - start
    assert root_size == 3072 * SECTORS
    assert size == min(room, 2048 * SECTORS) // 8192 * 8192
    held = int(device.run("stat --file-system --format='%b * %S' /data | xargs expr").said)
    assert held > size * 512 * 0.95
    assert report(device) == {
        "version": 1,
        "data": "card",
        "root": "volatile",
        "is_repaired": False,
        "notes": [],
    }
    assert diagnosed(device)[0] == "green"


def test_data_is_for_those_who_own_it(device):
    modes = device.run(
        "stat -c '%U %a' /data /data/otppi /data/system/ssh /data/system/system-connections"
    ).said
    assert modes.splitlines() == ["root 700", "otppi 700", "root 700", "root 700"]
    for folder in ("/data", "/var/lib/otppi"):
        options = device.run(f"findmnt --noheadings --output OPTIONS {folder}").said.split(",")
        assert {"rw", "nosuid", "nodev", "noexec", "noatime"} <= set(options)


def test_the_boot_partition_is_closed_to_others_and_holds_the_brochure(device):
    assert device.run("findmnt --noheadings --output FSTYPE /boot/firmware").said == "vfat"
    assert device.run("stat -c '%U %a' /boot/firmware").said == "root 700"
    assert "otppi-brochure.html" in device.run("ls /boot/firmware").said


def test_after_a_power_cut_data_is_as_it_was_and_everything_else_as_it_was_flashed(device):
    born = device.run(BORN).said
    device.run("otppi settings set clock.time_zone Asia/Makassar general.device_name 'Corner shop'")
    device.run("otppi settings set network.hostname corner")
    device.wait_for(CONFIRM)
    device.run("systemctl restart systemd-timesyncd && ls /var/lib/systemd/timesync/clock")
    device.run("; ".join(f"echo x >{file}" for file in FILES) + "; echo x >>/etc/fstab; sync")
    device.cut_power()
    switch_on(device)
    assert device.run(BORN).said == born
    assert device.run("otppi settings get general.device_name").said == "Corner shop"
    device.wait_for("test $(hostname) = corner && grep -qx corner /etc/hostname", limit_s=READY_S)
    device.wait_for("test $(timedatectl show --property Timezone --value) = Asia/Makassar", limit_s=READY_S)
    assert device.run(f"ls {' '.join(FILES)} 2>/dev/null || true").said == ""
    assert device.run("tail -n 1 /etc/fstab").said.startswith("PARTUUID=")
    assert device.run("ls /var/lib/systemd/timesync/clock").said
    # The journal of the file system was played back, which is no damage.
    assert not report(device)["is_repaired"]
    assert diagnosed(device)[0] == "green"


def test_a_full_card_keeps_no_setting_and_stops_no_message(device, tmp_path):
    device.run(f"printf '{PASSWORD}\\n' | otppi api-user add {USER} --password-stdin")
    with modem_rack(device, tmp_path) as rack:
        port = rack.plug("m0")
        device.run(f"otppi modem add --name first --port {port} --default")
        before = device.run("cd /data/otppi && find settings -type f -exec sha256sum {} +").said
        fill(device)
        assert send_and_verify(device, rack.line("m0"), "full") == ["0000", "0000"]
        refused = device.run("otppi settings set general.device_name Lost", check=False)
        assert refused.code == 1
        assert refused.said == "otppi: general: could not be saved: No space left on device"
        assert device.run("cd /data/otppi && find settings -type f -exec sha256sum {} +").said == before
        assert device.run("otppi settings get general.device_name").said == "Corner shop"
        assert diagnosed(device) == ("red", "0 KiB free")
        device.run("systemctl restart otppi", limit_s=READY_S)
        assert send_and_verify(device, rack.line("m0"), "restarted") == ["0000", "0000"]
        device.run("rm /data/filler*")
        device.run("otppi settings set general.device_name Kept")
        assert device.run("otppi settings get general.device_name").said == "Kept"
        assert diagnosed(device)[0] == "green"


def fill(device):
    """Leave not one block for contents, not even for root."""
    free = "$(stat --file-system --format='%a * %S' /data | xargs expr)"
    # The first takes all but what its own tree of blocks needs; neither can come to its end.
    device.run(f"fallocate --length {free} /data/filler", check=False)
    device.run("dd if=/dev/zero of=/data/filler-2 bs=4k status=none", check=False)
    assert device.run("stat --file-system --format=%a /data").said == "0"


def send_and_verify(device, line, reference):
    device.wait_for("otppi modem list | grep -P '^first\\t.*\\tready'", limit_s=READY_S)
    rest, number = RestCaller(device, USER, PASSWORD), "081200000001"
    asked = {"receiver": number, "message": "Your code is %s", "date_time": int(time.time())}
    sent = rest.call("request-otp", reference=reference, **asked)
    code = re.fullmatch(r"Your code is (\d+)", line.messages[-1].text)[1]
    checked = rest.call("verify-otp", receiver=number, reference=reference, otp=code)
    return [sent["response_code"], checked["response_code"]]


def test_a_full_file_system_without_its_head_is_repaired_at_the_next_start(device):
    born, start = device.run(BORN).said, partitions(device)[3][0]
    fill(device)
    device.run("sync")
    device.cut_power()
    change_card(device, f"write -P 0xa5 {start * 512} 4096")
    switch_on(device)
    assert report(device) == {
        "version": 1,
        "data": "card",
        "root": "volatile",
        "is_repaired": True,
        "notes": [],
    }
    assert device.run(BORN).said == born
    assert device.run("otppi settings get general.device_name").said == "Kept"
    assert diagnosed(device)[0] == "red"
    device.run("rm /data/filler*")
    level, finding = diagnosed(device)
    assert level == "yellow"
    assert "repaired" in finding


def test_with_a_card_that_takes_no_writes_the_device_works_with_the_settings_that_are_there(device):
    born = device.run(BORN).said
    device.cut_power()
    device.board = replace(device.board, has_worn_card=True)
    switch_on(device)
    assert report(device)["data"] == "volatile"
    assert device.run(BORN).said == born
    assert device.run("otppi settings get general.device_name").said == "Kept"
    device.run("otppi settings set general.device_name Forgotten")
    level, finding = diagnosed(device)
    assert level == "red"
    assert "gone after a restart" in finding


def test_without_its_data_and_without_overlays_the_device_still_comes_up_and_says_so(device):
    start, size = partitions(device)[3]
    device.cut_power()
    piece = 256 << 20
    ends = range(start * 512, (start + size) * 512, piece)
    change_card(device, *(f"write -z {at} {min(piece, (start + size) * 512 - at)}" for at in ends))
    device.board = replace(device.board, has_worn_card=False, words=("module_blacklist=overlay",))
    switch_on(device)
    found = report(device)
    assert (found["data"], found["root"]) == ("volatile", "writable")
    assert "the data partition cannot be mounted" in found["notes"]
    assert "the root has no layer in RAM" in found["notes"]
    level, finding = diagnosed(device)
    assert level == "red"
    assert "gone after a restart" in finding
    assert device.run("systemctl --failed --no-legend --plain").said == ""
    device.run("otppi settings set general.device_name Again")
    assert "otppi: storage: data volatile" in device.run("dmesg").said
