"""What is offered for download fits the image: sizes, hashes, block map, components, list entry."""

import hashlib
import json
import lzma
import os
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest

import otppi
from image import components, imager, release
from tests import needs

ROOT = Path(__file__).resolve().parents[2]
MADE_AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
STATUS = """\
Package: zlib1g
Status: install ok installed
Maintainer: Invented Maintainer <nobody@example.org>
Architecture: arm64
Multi-Arch: same
Source: zlib
Version: 1:1.3.dfsg+really1.3.1-1+b1
Description: compression library
 Version: this line is text, not a field

Package: gone
Status: deinstall ok config-files
Maintainer: Invented Maintainer <nobody@example.org>
Architecture: arm64
Version: 1.0

"""
# Bytes at the start, in the middle (across a block's end), zeros that are contents, and the last, incomplete stretch;
# holes between.
FILLED = {0: b"boot" * 1000, 3 * 4096 - 10: b"x" * 20, 50 * 4096: bytes(8192), 1_040_000: os.urandom(5000)}
IMAGE_SIZE = 4096 * 256


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A release of a small image, by suffix, with the image itself."""
    needs.programs("bmaptool", "xz")
    folder = tmp_path_factory.mktemp("release")
    image = folder / "otppi.img"
    with image.open("wb") as file:
        for offset, data in FILLED.items():
            file.seek(offset)
            file.write(data)
        file.truncate(IMAGE_SIZE)
    (folder / "status").write_text(STATUS)
    files = release.release(image, folder / "status", folder / "out", "", MADE_AT)
    stem = f"otppi-{otppi.__version__}-arm64"
    return {"image": image, **{file.name.removeprefix(stem): file for file in files}}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_names_carry_version_and_architecture(made):
    assert set(made) == {
        "image",
        ".img.xz",
        ".img.xz.sha256",
        ".img.bmap",
        ".cdx.json",
        ".rpi-imager-manifest",
    }


def test_the_compressed_image_is_the_image(made):
    assert lzma.decompress(made[".img.xz"].read_bytes()) == made["image"].read_bytes()


def test_sha256sum_accepts_the_checksum_beside_the_file(made):
    file = made[".img.xz.sha256"]

    checked = subprocess.run(["sha256sum", "--check", file.name], cwd=file.parent, capture_output=True)

    assert checked.returncode == 0, checked.stderr


def test_the_block_map_names_every_block_with_content_and_its_hash(made):
    image = made["image"].read_bytes()
    bmap = ET.parse(made[".img.bmap"]).getroot()  # noqa: S314 (our own file)
    block = int(bmap.findtext("BlockSize"))
    covered = bytearray(len(image))

    for part in bmap.find("BlockMap"):
        first, _, last = part.text.strip().partition("-")
        span = slice(int(first) * block, (int(last or first) + 1) * block)
        assert sha256(image[span]) == part.get("chksum")
        covered[span] = image[span]

    assert bmap.get("version") == "2.0"
    assert int(bmap.findtext("ImageSize")) == len(image) == IMAGE_SIZE
    assert covered == image
    assert int(bmap.findtext("MappedBlocksCount")) < int(bmap.findtext("BlocksCount")) / 2


def test_bmaptool_writes_the_compressed_image_to_a_card_and_finds_it_whole(made, tmp_path):
    card = tmp_path / "card"
    card.write_bytes(b"\xff" * IMAGE_SIZE)
    command = ["bmaptool", "copy", "--bmap", made[".img.bmap"], made[".img.xz"], card]

    written = subprocess.run(command, capture_output=True, text=True)

    assert written.returncode == 0, written.stderr
    for offset, data in FILLED.items():
        assert card.read_bytes()[offset : offset + len(data)] == data


def test_bmaptool_refuses_an_image_that_was_changed(made, tmp_path):
    changed = tmp_path / "changed.img"
    content = bytearray(made["image"].read_bytes())
    content[5] ^= 1
    changed.write_bytes(content)
    command = ["bmaptool", "copy", "--bmap", made[".img.bmap"], changed, tmp_path / "card"]

    assert subprocess.run(command, capture_output=True).returncode != 0


def test_imager_learns_what_the_image_really_measures(made):
    (entry,) = json.loads(made[".rpi-imager-manifest"].read_text())["os_list"]
    plain, packed = made["image"].read_bytes(), made[".img.xz"].read_bytes()

    assert (entry["extract_size"], entry["extract_sha256"]) == (len(plain), sha256(plain))
    assert (entry["image_download_size"], entry["image_download_sha256"]) == (len(packed), sha256(packed))
    assert entry["url"] == made[".img.xz"].name
    assert entry["release_date"] == "2026-11-21"
    assert entry["devices"] == ["pi3-64bit", "pi4-64bit", "pi5-64bit"]
    assert entry["init_format"] == "none"


def test_imager_gets_every_field_that_it_insists_on():
    entry = imager.entry("1.0", "otppi.img.xz", imager.Size(1, "a" * 64, 1, "b" * 64), MADE_AT.date())

    assert {"name", "description", "icon", "url", "release_date", "extract_size", "devices"} <= set(entry)
    assert entry["icon"].startswith("data:image/svg+xml,%3Csvg")
    assert not [value for value in entry.values() if value in ("", None)]


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("", "otppi-1.0%2Brc1.img.xz"),
        ("https://example.org/otppi", "https://example.org/otppi/otppi-1.0%2Brc1.img.xz"),
        ("https://example.org/otppi/", "https://example.org/otppi/otppi-1.0%2Brc1.img.xz"),
    ],
)
def test_links_are_relative_unless_a_place_is_named(base_url, url):
    assert imager.link(base_url, "otppi-1.0+rc1.img.xz") == url


def test_the_bill_names_installed_packages_only(made):
    bill = json.loads(made[".cdx.json"].read_text())
    debian = [part for part in bill["components"] if part["purl"].startswith("pkg:deb/")]

    assert [part["purl"] for part in debian] == [
        "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=arm64&distro=trixie"
    ]
    assert debian[0]["version"] == "1:1.3.dfsg+really1.3.1-1+b1"
    assert debian[0]["properties"] == [{"name": "otppi:source-package", "value": "zlib"}]


def test_the_bill_names_every_library_of_the_lock_with_its_hashes(made):
    bill = json.loads(made[".cdx.json"].read_text())
    lock = (ROOT / "requirements.lock").read_text()
    python = {part["name"]: part for part in bill["components"] if part["purl"].startswith("pkg:pypi/")}

    assert len(python) == sum("==" in line for line in lock.splitlines() if not line.startswith((" ", "#")))
    assert sum(len(part["properties"]) for part in python.values()) == lock.count("--hash=")
    assert python["cheroot"]["version"] == "11.1.2"
    assert bill["metadata"]["component"]["hashes"][0]["content"] == sha256(made["image"].read_bytes())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")


def test_every_component_can_be_referred_to_by_one_name(made):
    references = [part["bom-ref"] for part in json.loads(made[".cdx.json"].read_text())["components"]]

    assert len(references) == len(set(references))


def test_the_same_image_gives_the_same_bill():
    first, second = (components.bill("1.0", STATUS, "", "a" * 64, MADE_AT) for _ in range(2))

    assert first == second
    assert components.bill("1.0", STATUS, "", "b" * 64, MADE_AT)["serialNumber"] != first["serialNumber"]
