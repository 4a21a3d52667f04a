import random

import pytest

from otppi.system.reset.superblock import HEAD_BYTES, FileSystem, StickRefused, identify
from tests.system.reset.images import blank, exfat, ext4, fat, tree, with_table


def looked(image, device_bytes=None):
    head = image.read_bytes()[:HEAD_BYTES]
    return identify(head, image.stat().st_size if device_bytes is None else device_bytes)


def patched(image, *changes):
    data = bytearray(image.read_bytes())
    for at, value in changes:
        data[at : at + len(value)] = value
    image.write_bytes(data)
    return image


@pytest.mark.parametrize(("bits", "mebibytes"), [("12", 4), ("16", 16), ("32", 64)])
def test_every_kind_of_fat_is_known_by_its_serial_number(tmp_path, bits, mebibytes):
    image = fat(tmp_path / "x", {}, "-F", bits, "-i", "1234abcd", mebibytes=mebibytes)
    assert looked(image) == FileSystem("vfat", "1234-ABCD")


def test_fat_with_large_sectors_is_known(tmp_path):
    assert looked(fat(tmp_path / "x", {}, "-S", "4096", "-i", "1", mebibytes=64)) == FileSystem(
        "vfat", "0000-0001"
    )


def test_exfat_is_known(tmp_path):
    found = looked(exfat(tmp_path / "x"))
    assert found.kind == "exfat"
    assert len(found.id) == 9


def test_ext4_is_known(tmp_path):
    image = ext4(tmp_path / "x", tree(tmp_path / "t", {}), "-U", "01234567-89ab-cdef-0123-456789abcdef")
    assert looked(image) == FileSystem("ext4", "0123456789abcdef0123456789abcdef")


def test_what_is_none_of_ours_is_let_be(tmp_path):
    image = blank(tmp_path / "x")
    assert looked(image) is None
    assert looked(with_table(tmp_path / "y", fat(tmp_path / "z", {}))) is None
    noise = random.Random(1).randbytes(HEAD_BYTES)
    assert identify(noise, 2**30) is None
    assert identify(noise, 0) is None
    assert identify(noise[:100], 100) is None


def made(tmp_path, kind):
    if kind == "ext4":
        return ext4(tmp_path / "x", tree(tmp_path / "t", {}))
    return fat(tmp_path / "x", {}) if kind == "vfat" else exfat(tmp_path / "x")


@pytest.mark.parametrize("kind", ["vfat", "exfat", "ext4"])
def test_a_file_system_that_was_cut_off_is_refused(tmp_path, kind):
    image = made(tmp_path, kind)
    with pytest.raises(StickRefused, match="cut off"):
        looked(image, image.stat().st_size - 2**20)


@pytest.mark.parametrize("kind", ["vfat", "exfat", "ext4"])
def test_a_cut_off_superblock_is_none(tmp_path, kind):
    image = made(tmp_path, kind)
    assert identify(image.read_bytes()[:1100], 2**23) is None


@pytest.mark.parametrize("kind", ["vfat", "exfat", "ext4"])
def test_no_change_of_the_first_bytes_is_more_than_a_refusal(tmp_path, kind):
    chance = random.Random(kind)
    head = bytearray(made(tmp_path, kind).read_bytes()[:HEAD_BYTES])
    for _ in range(300):
        broken = head[:]
        for _ in range(chance.randint(1, 8)):
            broken[chance.choice((chance.randrange(512), chance.randrange(1024, 2048)))] = chance.randrange(
                256
            )
        try:
            found = identify(bytes(broken), 2**23)
        except StickRefused:
            continue
        assert found is None or found.kind == kind


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("exfat", [(100, b"\xff")], "damaged"),  # without the checksum that goes with it
        ("exfat", [(20, b"\1")], "damaged"),
        ("exfat", [(108, b"\xff")], "damaged"),
        ("ext4", [(1024 + 24, b"\xff\xff\xff\xff")], "damaged"),
        ("ext4", [(1024 + 32, bytes(4))], "damaged"),
        ("ext4", [(1024 + 104, bytes(16))], "no UUID"),
        ("ext4", [(1024 + 4, b"\xff\xff\xff\x7f")], "cut off"),
        ("vfat", [(38, b"\0")], "no serial number"),
        ("vfat", [(3, b"NTFS    ")], "NTFS"),
    ],
)
def test_a_damaged_superblock_is_refused_with_a_reason(tmp_path, kind, changes, reason):
    with pytest.raises(StickRefused, match=reason):
        looked(patched(made(tmp_path, kind), *changes))


def test_ext2_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(StickRefused, match="format it as FAT32"):
        looked(ext4(tmp_path / "x", tree(tmp_path / "t", {}), kind="ext2"))


def test_two_file_systems_in_one_place_are_refused(tmp_path):
    image = made(tmp_path, "ext4")
    boot = fat(tmp_path / "y", {}).read_bytes()[:512]
    with pytest.raises(StickRefused, match="two file systems"):
        looked(patched(image, (0, boot)))


def test_a_stick_larger_than_any_is_refused(tmp_path):
    with pytest.raises(StickRefused, match="larger than any"):
        looked(made(tmp_path, "ext4"), 2**60)
