"""The list that Raspberry Pi Imager reads, with our one entry."""

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote, urljoin

# Imager's words for 64-bit boards. The Zero 2 W counts as a Pi 3 there and has no Ethernet, but the rest works.
DEVICES = ("pi3-64bit", "pi4-64bit", "pi5-64bit")
# An inline picture: a list that lies beside the image on a disk has no other place to fetch one from.
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 40'><rect width='40' height='40' rx='8' fill='#0b6e4f'/>"
    "<path d='M8 12h24v16H8zl12 9 12-9' fill='none' stroke='#fff' stroke-width='3' stroke-linejoin='round'/></svg>"
)


@dataclass(frozen=True)
class Size:
    """Bytes and SHA-256 of the plain image, then of the compressed one."""

    plain: int
    plain_sha256: str
    packed: int
    packed_sha256: str


def link(base_url: str, name: str) -> str:
    """Return the address of a file in the folder `base_url`, or a relative one when that is empty."""
    return urljoin(f"{base_url.rstrip('/')}/", quote(name)) if base_url else quote(name)


def entry(version: str, url: str, size: Size, released: date) -> dict[str, object]:
    """Describe the image as an item of `os_list`."""
    return {
        "name": f"OTP-Pi {version}",
        "description": "SMS one-time passwords from your own USB modems",
        "icon": f"data:image/svg+xml,{quote(_ICON)}",
        "url": url,
        "release_date": released.isoformat(),
        "extract_size": size.plain,
        "extract_sha256": size.plain_sha256,
        "image_download_size": size.packed,
        "image_download_sha256": size.packed_sha256,
        "devices": list(DEVICES),
        "architecture": "armv8",
        # Imager's questions about accounts and networks would be answered in vain: the device has its own preset file.
        "init_format": "none",
    }


def manifest(item: dict[str, object]) -> dict[str, object]:
    """Return the whole list; Imager opens the file with a double click or with `rpi-imager --repo`."""
    return {"os_list": [item]}
