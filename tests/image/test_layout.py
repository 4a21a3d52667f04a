"""The card's layout, made of small images by the real programs; and how far the data partition is grown."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = ROOT / "image/layout.sh"
STORAGE = ROOT / "image/stage-otppi/60-storage/files"
EPOCH = 1_700_000_000
DISK_ID = "0x1234abcd"
MIB = 1 << 20
SECTORS = 2048  # of a MiB
BOOT_MIB, BOOT_END_MIB, ROOT_MIB = 16, 20, 64
SLOT_MIB, DATA_MIB = 3072, 128
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


@pytest.fixture(autouse=True)
def programs():
    needs.programs("sfdisk", "mke2fs", "e2fsck", "resize2fs", "debugfs", "dumpe2fs", "mkfs.vfat")


def run(*command, said=None):
    done = subprocess.run(
        [str(word) for word in command],
        env={"PATH": PATH, "LC_ALL": "C", "SOURCE_DATE_EPOCH": str(EPOCH)},
        input=said,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def done(*command, said=None):
    code, text = run(*command, said=said)
    assert code == 0, text
    return text


def made(image: Path, tree: Path, *, root_mib: int = ROOT_MIB) -> Path:
    """Make an image as pi-gen does: a boot and a root partition."""
    done("truncate", f"--size={BOOT_END_MIB + root_mib}M", image)
    boot = f"start={4 * SECTORS}, size={BOOT_MIB * SECTORS}, type=c"
    root = f"start={BOOT_END_MIB * SECTORS}, type=83"
    done("sfdisk", "--quiet", image, said=f"label: dos\nlabel-id: {DISK_ID}\n{boot}\n{root}\n")
    done("mkfs.vfat", "-F", "16", "-n", "BOOTFS", f"--offset={4 * SECTORS}", image, BOOT_MIB * 1024)
    offset = f"offset={BOOT_END_MIB * MIB}"
    done("mke2fs", "-q", "-t", "ext4", "-L", "rootfs", "-d", tree, "-E", offset, image, f"{root_mib}M")
    return image


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hostname").write_text("otppi\n")
    (tree / "etc/random").write_bytes(os.urandom(3 * MIB))
    return tree


@pytest.fixture
def image(tmp_path, tree):
    return made(tmp_path / "otppi.img", tree)


def table(image):
    lines = done("sfdisk", "--dump", image).splitlines()
    found = (re.search(r"(\d) : start= *(\d+), size= *(\d+), type=(\w+)", line) for line in lines)
    return {int(one[1]): (int(one[2]), int(one[3]), one[4]) for one in found if one}


def partition(image, number):
    """Return the name by which e2fsprogs find a partition in the image."""
    return f"{image}?offset={table(image)[number][0] * 512}"


def contents(image):
    """Return what is in the image, by position; its length may be much more."""
    found = {}
    with image.open("rb") as file:
        at, end = 0, image.stat().st_size
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // MIB * MIB
            except OSError:  # nothing but a hole is left
                break
            data = os.pread(file.fileno(), MIB, at)
            if data.strip(b"\0"):
                found[at] = data
            at += MIB
    return {**found, end: b""}


def head_of(filesystem):
    """Return what the file system says of itself, and see that it is whole."""
    assert run("e2fsck", "-f", "-n", filesystem)[0] == 0
    lines = run("dumpe2fs", "-h", filesystem)[1].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_the_card_has_a_slot_of_fixed_size_and_the_data_behind_it(image):
    said = done(LAYOUT, image)

    assert said == ""
    root_start, data_start = BOOT_END_MIB * SECTORS, (BOOT_END_MIB + SLOT_MIB) * SECTORS
    assert table(image) == {
        1: (4 * SECTORS, BOOT_MIB * SECTORS, "c"),
        2: (root_start, SLOT_MIB * SECTORS, "83"),
        3: (data_start, DATA_MIB * SECTORS, "83"),
    }
    assert image.stat().st_size == (BOOT_END_MIB + SLOT_MIB + DATA_MIB) * MIB
    assert image.stat().st_blocks * 512 < 200 * MIB, "what is empty takes no room"


def test_the_disk_keeps_its_id_and_the_partitions_what_is_in_them(image, tree, tmp_path):
    before = image.read_bytes()[4 * MIB : BOOT_END_MIB * MIB]
    done(LAYOUT, image)

    assert f"label-id: {DISK_ID}\n" in done("sfdisk", "--dump", image)
    with image.open("rb") as file:
        file.seek(4 * MIB)
        assert file.read(BOOT_MIB * MIB) == before
    root = partition(image, 2)
    head = head_of(root)
    assert head["Filesystem volume name"] == "rootfs"
    assert int(head["Block count"]) * int(head["Block size"]) == SLOT_MIB * MIB
    done("debugfs", "-R", f"dump /etc/random {tmp_path}/random", root)
    assert (tmp_path / "random").read_bytes() == (tree / "etc/random").read_bytes()


def test_the_data_partition_is_empty_and_all_of_it_is_for_data(image):
    done(LAYOUT, image)

    data = partition(image, 3)
    head = head_of(data)
    assert head["Filesystem volume name"] == "otppi-data"
    assert int(head["Block count"]) * int(head["Block size"]) == DATA_MIB * MIB
    assert (head["Block size"], head["Reserved block count"]) == ("4096", "0")
    assert "has_journal" in head["Filesystem features"]
    assert "resize_inode" in head["Filesystem features"], "it grows while it is mounted"
    names = done("debugfs", "-R", "ls -p /", data).split("/")[5::7]
    assert set(names) == {".", "..", "lost+found"}


def test_no_old_journal_of_a_card_shines_through_what_bmaptool_leaves_out(image):
    done(LAYOUT, image)

    with image.open("rb") as file:
        hole = os.lseek(file.fileno(), table(image)[3][0] * 512, os.SEEK_HOLE)
    assert hole == image.stat().st_size


def test_two_runs_are_equal_and_the_dates_are_the_given_one(image, tmp_path):
    other = tmp_path / "other.img"
    done("cp", image, other)
    done(LAYOUT, image)
    done(LAYOUT, other)

    assert contents(image) == contents(other)
    when = done("date", "--utc", f"--date=@{EPOCH}", "+%a %b %e %H:%M:%S %Y").strip()
    for number in (2, 3):
        head = head_of(partition(image, number))
        assert (head["Last write time"], head["Last checked"]) == (when, when)


def test_a_root_that_is_larger_than_the_slot_but_not_full_shrinks(tmp_path, tree):
    image = made(tmp_path / "large.img", tree, root_mib=SLOT_MIB + 512)
    done(LAYOUT, image)

    head = head_of(partition(image, 2))
    assert int(head["Block count"]) * int(head["Block size"]) == SLOT_MIB * MIB


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nothing", "usage"),
        ("zeros", "has no partition table"),
        ("gpt", "has no MBR"),
        ("the result of an earlier run", "must have two partitions"),
        ("a root that is no ext4", "the root of"),
        ("a second partition that is not of Linux", "is not one of Linux"),
    ],
)
def test_what_is_no_image_is_refused_and_left_as_it_was(image, what, reason):
    if what == "nothing":
        image.unlink()
    elif what == "zeros":
        done("truncate", "--size=0", image)
        done("truncate", "--size=64M", image)
    elif what == "gpt":
        done("sfdisk", "--quiet", "--wipe=always", image, said="label: gpt\nsize=16M\n,\n")
    elif what == "the result of an earlier run":
        done(LAYOUT, image)
    elif what == "a root that is no ext4":
        done("dd", "if=/dev/zero", f"of={image}", "bs=1M", f"seek={BOOT_END_MIB}", "count=60", "conv=notrunc")
    else:
        done("sfdisk", "--quiet", "--part-type", image, "2", "c")
    before = image.stat() if image.exists() else None

    code, said = run(LAYOUT, image)

    assert code == 1
    assert reason in said
    assert {file.name for file in image.parent.iterdir()} <= {"tree", image.name}
    if before is not None:
        after = image.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# The growth of the data partition -------------------------------------------------------------------------------------


def grown(start_mib, size_mib, disk_mib, root_mib=SLOT_MIB):
    """Ask the function of the device's first program; sizes in MiB."""
    script = (STORAGE / "init").read_text()
    function = script[script.index("grown() {") :].partition("\n}\n")[0] + "\n}\n"
    constant = re.search(r"^longest_data_mib=\d+$", script, re.MULTILINE)[0]
    sectors = [str(value * SECTORS) for value in (start_mib, size_mib, disk_mib, root_mib)]
    said = done("dash", "-u", "-c", f"{constant}\n{function}\ngrown {' '.join(sectors)}")
    return int(said) / SECTORS


START_MIB = 16 + 512 + SLOT_MIB


@pytest.mark.parametrize(
    ("disk_mib", "size_mib"),
    [
        (3800, DATA_MIB),  # a card of 4 GB: no room for a second root, so nothing changes
        (START_MIB + DATA_MIB, DATA_MIB),  # not one sector more than the image
        (START_MIB + SLOT_MIB + 131, DATA_MIB),  # three MiB more than what is there: less than a step
        (START_MIB + SLOT_MIB + 132, 132),
        (7600, 7600 - START_MIB - SLOT_MIB),  # 8 GB
        (15_000, 2048),  # 16 GB: all that settings can need
        (2_000_000, 2048),
    ],
)
def test_the_data_grows_to_a_limit_and_never_into_the_room_of_a_second_root(disk_mib, size_mib):
    found = grown(START_MIB, DATA_MIB, disk_mib)

    assert found == size_mib
    assert found == DATA_MIB or START_MIB + found + SLOT_MIB <= disk_mib


def test_what_has_grown_stays_as_it_is_also_on_a_card_that_seems_smaller():
    assert grown(START_MIB, 2048, 15_000) == 2048
    assert grown(START_MIB, 2048, 6_000) == 2048


def test_an_odd_size_is_grown_in_steps_of_four_mib():
    assert grown(START_MIB, DATA_MIB, START_MIB + SLOT_MIB + 1023) == 1020
