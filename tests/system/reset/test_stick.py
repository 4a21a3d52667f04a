"""Looking into real block devices with real file systems, as the watcher does it."""

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otppi.system.reset.stick import answer_of, read_stick
from otppi.system.reset.superblock import StickRefused
from tests import needs
from tests.system.reset.images import (
    FILE,
    GOOD,
    blank,
    exfat,
    ext4,
    fat,
    plugged_in,
    reset_file,
    run,
    tree,
    with_table,
)


def looked(tmp_path, image):
    folder = tmp_path / "mount"
    folder.mkdir(exist_ok=True)
    before = hashlib.sha256(image.read_bytes()).digest()
    with plugged_in(image) as device:
        found = read_stick(device, device, folder)
        assert str(folder) not in Path("/proc/self/mounts").read_text()
        assert run("blockdev", "--getro", device).strip() == "1"
    assert hashlib.sha256(image.read_bytes()).digest() == before
    return found


def of(tmp_path, files):
    return looked(tmp_path, ext4(tmp_path / "image", tree(tmp_path / "t", files)))


def test_a_good_stick_is_read_and_not_written_to(tmp_path):
    stick = of(tmp_path, {FILE: reset_file("RESET_SMS = true", "RESET_API = yes", "SECRET = abc")})
    assert stick.filesystem.startswith("ext4 ")
    assert (stick.flags, stick.unclear, stick.refusal) == (("RESET_SMS",), ("RESET_API",), "")
    assert len(stick.file_sha256) == len(stick.secret_sha256) == 64


def test_a_file_of_any_owner_and_mode_is_read(tmp_path):
    needs.root()
    content = tree(tmp_path / "t", {FILE: GOOD})
    (content / FILE).chmod(0)
    os.chown(content / FILE, 1000, 1000)
    assert looked(tmp_path, ext4(tmp_path / "image", content)).flags == ("RESET_SMS",)


def test_a_stick_for_something_else_is_none(tmp_path):
    assert of(tmp_path, {"photo.jpg": b"x"}) is None
    assert looked(tmp_path, blank(tmp_path / "blank")) is None


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"OTPPI/reset-config.ini": GOOD}, "the folder is called OTPPI"),
        ({"otppi/RESET-CONFIG.INI": GOOD}, "the file is called RESET-CONFIG.INI"),
        ({FILE: GOOD * 1000}, "longer than 64 KiB"),
        ({FILE: b"RESET_SMS = true"}, "VERIFY is missing"),
        ({FILE: b"VERIFY = bm90IGpzb24=\nRESET_SMS = true"}, "VERIFY is not base64 of JSON"),
        ({FILE: reset_file("RESET_SMS = false")}, "asks for nothing"),
        ({FILE: reset_file("../../etc/passwd = true", "settings/admins = true")}, "asks for nothing"),
        ({FILE: reset_file(*(f"RESET_{n} = true" for n in range(3000)))}, "more than 64"),
        ({FILE: b"\x00\xff" * 100}, "VERIFY|not text"),
        ({f"{FILE}/x": b""}, "not a plain file"),
    ],
)
def test_a_bad_file_is_refused_with_a_reason(tmp_path, files, reason):
    stick = of(tmp_path, files)
    assert stick.filesystem.startswith("ext4 ")
    assert stick.flags == ()
    assert re.search(reason, stick.refusal)


def test_links_pipes_and_devices_on_a_stick_are_refused(tmp_path):
    needs.root()
    for n, make in enumerate(
        (
            lambda path: path.symlink_to("/etc/passwd"),
            lambda path: path.symlink_to("reset-config.ini"),
            lambda path: path.symlink_to("other"),
            os.mkfifo,
            lambda path: os.mknod(path, 0o20600, os.makedev(1, 5)),
            lambda path: os.mknod(path, 0o60600, os.makedev(7, 0)),
        )
    ):
        content = tree(tmp_path / f"t{n}", {"otppi/other": GOOD})
        make(content / FILE)
        assert "not a plain file" in looked(tmp_path, ext4(tmp_path / f"i{n}", content)).refusal


def test_a_link_in_place_of_the_folder_is_refused(tmp_path):
    content = tree(tmp_path / "t", {"real/reset-config.ini": GOOD})
    (content / "otppi").symlink_to("real")
    assert "not a folder" in looked(tmp_path, ext4(tmp_path / "image", content)).refusal


def test_a_dirty_journal_is_not_replayed(tmp_path):
    needs.root()
    needs.programs("unshare", "dumpe2fs")
    image = ext4(tmp_path / "image", tree(tmp_path / "t", {FILE: GOOD}), size="32M")
    used, dirty = tmp_path / "used", tmp_path / "dirty"
    used.mkdir()
    with plugged_in(image) as device:
        # Copied while it is mounted: as if it had been pulled out.
        steps = 'mount -t ext4 "$1" "$2" && echo x > "$2/new" && sync && cat "$1" > "$3"; umount "$2"'
        run("unshare", "--mount", "sh", "-c", steps, "sh", device, used, dirty)
    assert "needs_recovery" in run("dumpe2fs", "-h", dirty)
    assert looked(tmp_path, dirty).flags == ("RESET_SMS",)
    assert "needs_recovery" in run("dumpe2fs", "-h", dirty)


def test_a_stick_that_asks_for_a_kernel_panic_does_not_get_it(tmp_path):
    needs.programs("debugfs")
    image = ext4(
        tmp_path / "image", tree(tmp_path / "t", {FILE: GOOD}), "-e", "panic", "-O", "^metadata_csum"
    )
    # A folder whose block lies outside: reading it is an error of the file system.
    run("debugfs", "-w", "-R", "set_inode_field /otppi block[2] 0xffffff", image)
    run("debugfs", "-w", "-R", "set_inode_field /otppi block[5] 0xffffff", image)
    stick = looked(tmp_path, image)
    assert stick.flags == ()
    assert "cannot be read" in stick.refusal


def test_a_truncated_image_is_refused(tmp_path):
    image = ext4(tmp_path / "image", tree(tmp_path / "t", {FILE: GOOD}))
    os.truncate(image, 8 * 2**20)
    assert "cut off" in looked(tmp_path, image).refusal


def test_a_superblock_without_a_file_system_behind_it_is_refused(tmp_path):
    image = ext4(tmp_path / "image", tree(tmp_path / "t", {FILE: GOOD}))
    head = image.read_bytes()[:2048]
    image.write_bytes(head.ljust(image.stat().st_size, b"\xa5"))
    stick = looked(tmp_path, image)
    assert "cannot be read" in stick.refusal
    assert stick.filesystem.startswith("ext4 ")


def test_what_the_kernel_does_not_know_is_a_refusal_and_not_a_crash(tmp_path):
    if "vfat" in Path("/proc/filesystems").read_text().split():
        pytest.skip("this kernel knows it")
    assert "cannot be read" in looked(tmp_path, fat(tmp_path / "image", {FILE: GOOD})).refusal


def test_a_fat_stick_is_read(tmp_path):
    needs.filesystem("vfat")
    assert looked(tmp_path, fat(tmp_path / "image", {FILE: GOOD})).flags == ("RESET_SMS",)


def test_an_exfat_stick_is_read(tmp_path):
    needs.root()
    needs.filesystem("exfat")
    needs.programs("unshare")
    image, used, source = exfat(tmp_path / "image"), tmp_path / "used", tmp_path / "source"
    used.mkdir()
    source.write_bytes(GOOD)
    with plugged_in(image) as device:
        steps = 'mount -t exfat "$1" "$2" && mkdir "$2/otppi" && cp "$3" "$2/otppi/reset-config.ini" && umount "$2"'
        run("unshare", "--mount", "sh", "-c", steps, "sh", device, used, source)
    assert looked(tmp_path, image).flags == ("RESET_SMS",)


@pytest.mark.parametrize("name", ["OTPPI", "Otppi"])
def test_capitals_on_a_fat_stick_are_refused_though_the_kernel_would_open_them(tmp_path, name):
    needs.filesystem("vfat")
    stick = looked(tmp_path, fat(tmp_path / "image", {f"{name}/reset-config.ini": GOOD}))
    assert f"the folder is called {name}" in stick.refusal


def test_partitions_are_read_and_the_disk_is_in_use_while_one_is_mounted(tmp_path):
    needs.root()
    needs.programs("unshare")
    volume = ext4(tmp_path / "volume", tree(tmp_path / "t", {FILE: GOOD}))
    folder = tmp_path / "mount"
    folder.mkdir()
    with plugged_in(with_table(tmp_path / "disk", volume), with_partitions=True) as disk:
        partition = Path(f"{disk}p1")
        needs.device(str(partition))
        mounted = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                'mount -o ro "$1" "$2" && echo up && read x',
                "sh",
                partition,
                folder,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert mounted.stdout.readline() == b"up\n"
        assert read_stick(partition, disk, folder) is None
        mounted.communicate(b"\n", timeout=10)
        assert read_stick(partition, disk, folder).flags == ("RESET_SMS",)


def test_two_capabilities_are_enough(tmp_path):
    needs.root()
    needs.programs("setpriv")
    content = tree(tmp_path / "t", {FILE: GOOD})
    (content / FILE).chmod(0)
    os.chown(content / FILE, 1000, 1000)
    folder = tmp_path / "mount"
    folder.mkdir()
    bounded = ("setpriv", "--bounding-set=-all,+sys_admin,+dac_read_search", "--no-new-privs")
    program = (sys.executable, "-m", "otppi.system.reset.inspection")
    with plugged_in(ext4(tmp_path / "image", content)) as device:
        assert b'"flags": ["RESET_SMS"]' in answer_of((*bounded, *program, device, device, folder), 20)


def test_what_is_no_block_device_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "mount"
    folder.mkdir()
    assert "no disk" in read_stick(tmp_path / "pipe", tmp_path / "pipe", folder).refusal
    assert read_stick(Path("/dev/otppi-gone"), Path("/dev/otppi-gone"), folder) is None


def test_a_stick_that_never_answers_is_given_up_in_time(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    program = f"import sys; print('half', flush=True); open({str(tmp_path / 'pipe')!r}).read()"
    start_s = time.monotonic()
    with pytest.raises(StickRefused, match=r"did not answer within 0\.5 s"):
        answer_of((sys.executable, "-c", program), 0.5)
    assert time.monotonic() - start_s < 5


def test_a_child_that_says_nonsense_is_a_refusal(tmp_path, monkeypatch):
    monkeypatch.setattr("otppi.system.reset.stick.sys.executable", "/bin/true")
    assert "could not be looked into" in read_stick(tmp_path / "sda1", tmp_path / "sda", tmp_path).refusal


def test_nothing_on_a_mounted_stick_can_run_or_be_a_device_or_be_written(tmp_path):
    needs.root()
    folder = tmp_path / "mount"
    folder.mkdir()
    program = (
        "import sys; from otppi.system.reset import syscalls; syscalls.leave_mount_namespace(); "
        "syscalls.mount_read_only(sys.argv[1], sys.argv[2], 'ext4'); print(open('/proc/self/mountinfo').read())"
    )
    with plugged_in(ext4(tmp_path / "image", tree(tmp_path / "t", {FILE: GOOD}))) as device:
        command = (sys.executable, "-c", program, device, folder)
        mounts = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    (options,) = (line.split()[5].split(",") for line in mounts.splitlines() if f" {folder} " in line)
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)
