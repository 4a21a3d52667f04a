"""Turn the image that pi-gen built into what is offered for download, all described by one run.

    python -m image.release --image build/image/deploy/otppi.img --packages build/image/deploy/otppi.dpkg-status

Out come, in the folder `--out`: NAME.img.xz, its NAME.img.xz.sha256, NAME.img.bmap (block map, for fast writing),
NAME.cdx.json (the components, CycloneDX) and NAME.rpi-imager-manifest (the list of Raspberry Pi Imager).
"""

import argparse
import hashlib
import json
import os
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from image import components, imager

ROOT = Path(__file__).resolve().parents[1]
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Measured:
    """What a file is known by."""

    size: int
    sha256: str


def measure(file: Path) -> Measured:
    """Read a file once."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return Measured(file.stat().st_size, digest.hexdigest())


def compress(image: Path, to: Path) -> None:
    """Write `image` as .xz, with all processors. The block size makes the result independent of their number."""
    with to.open("wb") as stream:
        _run("xz", "--stdout", "-6", "--threads=0", "--block-size=24MiB", str(image), stdout=stream.fileno())


def map_blocks(image: Path, to: Path) -> None:
    """Write the block map: which parts of the image hold something, and their hashes.

    Only what is a hole of the file is empty: there a card keeps what it had before. Zeros that somebody wrote, such
    as a file's, a table's of FAT or an empty journal's, are contents.
    """
    _run("bmaptool", "create", "--output", str(to), str(image))


def release(image: Path, packages: Path, out: Path, base_url: str, made_at: datetime) -> list[Path]:
    """Write everything that belongs to an image and return the files.

    Args:
        image: The plain image, with holes where the card may keep what it had.
        packages: dpkg's status file of the image.
        out: The folder; it is made.
        base_url: Where the files will lie, or "" for links relative to the list.
        made_at: The date of the release.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    name = f"otppi-{version}-arm64"
    out.mkdir(parents=True, exist_ok=True)
    packed, checksum, block_map, bill, manifest = (
        out / f"{name}{suffix}"
        for suffix in (".img.xz", ".img.xz.sha256", ".img.bmap", ".cdx.json", ".rpi-imager-manifest")
    )
    map_blocks(image, block_map)
    compress(image, packed)
    plain, compressed = measure(image), measure(packed)
    checksum.write_text(f"{compressed.sha256}  {packed.name}\n")
    lock = (ROOT / "requirements.lock").read_text()
    _write_json(bill, components.bill(version, packages.read_text(), lock, plain.sha256, made_at))
    entry = imager.entry(
        version,
        imager.link(base_url, packed.name),
        imager.Size(plain.size, plain.sha256, compressed.size, compressed.sha256),
        made_at.date(),
    )
    _write_json(manifest, imager.manifest(entry))
    return [packed, checksum, block_map, bill, manifest]


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _run(*command: str, stdout: int = subprocess.DEVNULL) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout, check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the files of a release from an image.")
    parser.add_argument("--image", type=Path, required=True, help="the plain image, as pi-gen left it")
    parser.add_argument("--packages", type=Path, required=True, help="dpkg's status file of the image")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder for the files (dist)")
    parser.add_argument(
        "--base-url", default="", help="where the image will be offered; links are relative without it"
    )
    options = parser.parse_args(arguments)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made_at = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    release(options.image, options.packages, options.out, options.base_url, made_at)


if __name__ == "__main__":
    main()
