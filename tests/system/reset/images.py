"""Images of sticks, made with the programs that people make theirs with, and block devices of them."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import needs

VERIFY = "VERIFY = eyJkZXZpY2VUeXBlIjoiUlBpIiwgImJhc2VOYW1lIjoicmVzZXQtY29uZmlnLmluaSJ9"
FILE = "otppi/reset-config.ini"


def reset_file(*lines: str) -> bytes:
    return "\n".join((VERIFY, *lines)).encode()


GOOD = reset_file("RESET_SMS = true", "RESET_API = false")


def run(*command: str | Path, stdin: bytes | None = None) -> str:
    program = needs.program(str(command[0]))
    done = subprocess.run(
        [program or command[0], *command[1:]], input=stdin, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    folder.mkdir(exist_ok=True)
    return folder


def ext4(image: Path, content: Path, *options: str, kind: str = "ext4", size: str = "16M") -> Path:
    needs.programs("mke2fs")
    run("mke2fs", "-q", "-t", kind, *options, "-d", content, image, size)
    return image


def fat(image: Path, files: Mapping[str, bytes], *options: str, mebibytes: int = 8) -> Path:
    needs.programs("mkfs.vfat", "mmd", "mcopy")
    blank(image, mebibytes)
    run("mkfs.vfat", *options, image)
    for folder in sorted({name.rpartition("/")[0] for name in files} - {""}):
        run("mmd", "-i", image, f"::{folder}")
    for name, data in files.items():
        run("mcopy", "-i", image, "-", f"::{name}", stdin=data)
    return image


def exfat(image: Path, *options: str, mebibytes: int = 8) -> Path:
    needs.programs("mkfs.exfat")
    blank(image, mebibytes)
    run("mkfs.exfat", *options, image)
    return image


def blank(image: Path, mebibytes: int = 8) -> Path:
    with image.open("wb") as file:
        file.truncate(mebibytes * 2**20)
    return image


def with_table(image: Path, *volumes: Path) -> Path:
    """A disk with an MBR and one partition for each volume."""
    entries, body, at = b"", b"", 2048
    for volume in volumes:
        data = volume.read_bytes()
        sectors = len(data) // 512
        entries += (
            bytes((0, 0, 0, 0, 0x0C, 0, 0, 0)) + at.to_bytes(4, "little") + sectors.to_bytes(4, "little")
        )
        body += data
        at += sectors
    image.write_bytes((bytes(446) + entries.ljust(64, b"\0") + b"\x55\xaa").ljust(2**20, b"\0") + body)
    return image


@contextmanager
def plugged_in(image: Path, *, with_partitions: bool = False) -> Iterator[Path]:
    """A block device with this content, which could be written to."""
    needs.root()
    needs.device("/dev/loop-control")
    options = ["--partscan"] if with_partitions else []
    device = Path(run("losetup", "--find", "--show", *options, image).strip())
    try:
        if with_partitions:
            run("partx", "--update", device)  # reads the table itself where the kernel does not
        yield device
    finally:
        unplug(device)


def unplug(device: Path) -> None:
    if Path(f"/sys/block/{device.name}/loop/backing_file").exists():
        run("blockdev", "--setrw", device)  # that a stick is read-only ends with it; a loop device stays
        run("losetup", "--detach", device)


def backed_by(*images: Path):
    """A predicate for the loop devices of these images and their partitions."""
    wanted = {str(image) for image in images}

    def is_meant(device) -> bool:
        disk = device.parent if device.device_type == "partition" else device
        try:
            return Path(disk.sys_path, "loop/backing_file").read_text().strip() in wanted
        except OSError:
            return False

    return is_meant
