"""Which file system a stick has, read from its first bytes before the kernel is asked to mount it."""

import struct
from dataclasses import dataclass
from typing import Final

from otppi.model.errors import HostError

HEAD_BYTES: Final = 12 * 4096  # the boot region of exFAT with the largest sectors
_SECTOR_BYTES = (512, 1024, 2048, 4096)
_SMALLEST_BYTES = 64 * 1024
_LARGEST_BYTES = 16 * 2**40
_EXTENTS, _JOURNAL_DEVICE = 0x40, 0x8  # incompatible features of ext4


class StickRefused(HostError):
    """A stick will not be used; the message says why to its owner."""


@dataclass(frozen=True)
class FileSystem:
    """A file system that can be mounted."""

    kind: str  # vfat, exfat or ext4, as the kernel calls them
    id: str  # serial number or UUID

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def identify(head: bytes, device_bytes: int) -> FileSystem | None:
    """Return the file system of a device, or None if it has none that could be meant for us.

    Args:
        head: Its first bytes, `HEAD_BYTES` of them if it is so large.
        device_bytes: Its size.

    Raises:
        StickRefused: It is damaged, cut off, of two minds, or of a kind that people use and we do not.
    """
    if device_bytes < _SMALLEST_BYTES or len(head) < min(HEAD_BYTES, device_bytes):
        return None
    if device_bytes > _LARGEST_BYTES:
        raise StickRefused("the stick says it is larger than any stick is")
    if head[3:11] == b"NTFS    ":
        raise StickRefused("the stick is formatted as NTFS; format it as FAT32, exFAT or ext4")
    found = [one for look in (_exfat, _fat, _ext4) if (one := look(head, device_bytes)) is not None]
    if len(found) > 1:
        raise StickRefused("the stick has the marks of two file systems; format it anew")
    return found[0] if found else None


def _check_size(needed_bytes: int, device_bytes: int) -> None:
    if needed_bytes > device_bytes:
        raise StickRefused(
            "the file system is larger than the stick: a copy was cut off, or the stick is false"
        )


def _fat(head: bytes, device_bytes: int) -> FileSystem | None:
    sector, cluster, reserved, fats, _, small, media, fat16, _, _, _, large = struct.unpack_from(
        "<HBHBHHBHHHII", head, 11
    )
    is_plausible = (
        head[510:512] == b"\x55\xaa"
        and head[0] in (0xEB, 0xE9)
        and sector in _SECTOR_BYTES
        and cluster.bit_count() == 1
        and reserved
        and fats in (1, 2)
        and (media == 0xF0 or media >= 0xF8)
        and (small or large)
    )
    if not is_plausible:
        return None
    _check_size((small or large) * sector, device_bytes)
    at = 38 if fat16 else 66  # FAT32 has its own place for what follows
    signature, serial = struct.unpack_from("<BI", head, at)
    if signature not in (0x28, 0x29):
        raise StickRefused("the stick has no serial number; format it anew")
    return FileSystem("vfat", f"{serial >> 16:04X}-{serial & 0xFFFF:04X}")


def _exfat(head: bytes, device_bytes: int) -> FileSystem | None:
    if head[3:11] != b"EXFAT   ":
        return None
    sectors, fat_at, fat_length, heap_at, clusters, root, serial = struct.unpack_from("<QIIIIII", head, 72)
    sector_shift, cluster_shift, fats = head[108:111]
    is_plausible = (
        head[510:512] == b"\x55\xaa"
        and not any(head[11:64])
        and 9 <= sector_shift <= 12
        and cluster_shift <= 25 - sector_shift
        and fats in (1, 2)
        and 24 <= fat_at <= fat_at + fat_length * fats <= heap_at < sectors
        and 2 <= root <= clusters + 1
        and _has_exfat_checksum(head, 1 << sector_shift)
    )
    if not is_plausible:
        raise StickRefused("the exFAT file system of the stick is damaged; format it anew")
    _check_size(sectors << sector_shift, device_bytes)
    return FileSystem("exfat", f"{serial >> 16:04X}-{serial & 0xFFFF:04X}")


def _has_exfat_checksum(head: bytes, sector: int) -> bool:
    total = 0
    for at, byte in enumerate(head[: 11 * sector]):
        if at not in (106, 107, 112):  # flags and fill level change without a new checksum
            total = (((total & 1) << 31) + (total >> 1) + byte) & 0xFFFFFFFF
    return head[11 * sector : 12 * sector] == struct.pack("<I", total) * (sector // 4)


def _ext4(head: bytes, device_bytes: int) -> FileSystem | None:
    block = head[1024:2048]
    magic = struct.unpack_from("<H", block, 56)[0]
    if magic != 0xEF53:
        return None
    inodes, blocks = struct.unpack_from("<II", block, 0)
    first, log_size = struct.unpack_from("<II", block, 20)
    per_group, inodes_per_group = (struct.unpack_from("<I", block, at)[0] for at in (32, 40))
    revision, incompatible = (struct.unpack_from("<I", block, at)[0] for at in (76, 96))
    uuid = block[104:120]
    blocks |= struct.unpack_from("<I", block, 336)[0] << 32 if incompatible & 0x80 else 0
    if not (inodes and per_group and inodes_per_group and log_size <= 6 and revision == 1 and first < blocks):
        raise StickRefused("the ext4 file system of the stick is damaged; format it anew")
    if not incompatible & _EXTENTS or incompatible & _JOURNAL_DEVICE:
        raise StickRefused("the stick is formatted as ext2 or ext3; format it as FAT32, exFAT or ext4")
    if not any(uuid):
        raise StickRefused("the stick has no UUID; format it anew")
    _check_size(blocks << (10 + log_size), device_bytes)
    return FileSystem("ext4", uuid.hex())
