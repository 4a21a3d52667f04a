"""Images of USB sticks, made without root and without mounts."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_FIRST_SECTOR = 2048
_SECTORS = 65536  # 32 MiB of FAT16
_TABLE_KIND = 0x0E


def fat_stick(image: Path, files: Mapping[str, bytes]) -> Path:
    """Make a stick as it is bought: one partition, formatted with FAT, with these files."""
    entry = (
        bytes((0, 0, 0, 0, _TABLE_KIND, 0, 0, 0))
        + _FIRST_SECTOR.to_bytes(4, "little")
        + _SECTORS.to_bytes(4, "little")
    )
    with image.open("wb") as file:
        file.write((bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa")
        file.truncate((_FIRST_SECTOR + _SECTORS) * 512)
    _run("mkfs.vfat", "-F", "16", "-n", "SHOP", f"--offset={_FIRST_SECTOR}", str(image), str(_SECTORS // 2))
    place = f"{image}@@{_FIRST_SECTOR * 512}"
    for folder in sorted({name.rpartition("/")[0] for name in files} - {""}):
        _run("mmd", "-i", place, f"::{folder}")
    for name, data in files.items():
        _run("mcopy", "-i", place, "-", f"::{name}", stdin=data)
    return image


def _run(*command: str, stdin: bytes = b"") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.decode()}")
