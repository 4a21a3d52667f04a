#!/usr/bin/env python3
"""Prepares the cards of one device or of a hundred: preset files, printed brochures, and image files.

Runs on the computer of whoever flashes the cards, with the environment that `make setup` makes, and without root.
"""

import csv
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from otppi.gateway.accounts import Administrator
from otppi.model.errors import SettingsError
from otppi.services import brochure, preset, preset_file
from otppi.services.brochure import Brochure
from otppi.services.preset import Preset
from otppi.system.network.born import BornSecrets, born
from otppi.system.network.settings import NetworkSettings, WlanSettings
from otppi.web.settings import AdminSettings

BROCHURES = "brochures.html"
# Column to name in otppi.toml.
COLUMNS: Mapping[str, str] = {
    "ssid": "ssid",
    "passphrase": "passphrase",
    "setup_secret": "setup_secret",
    "country": "country",
    "hostname": "hostname",
    "time_zone": "time_zone",
    "ethernet_address": "ethernet.address",
    "ethernet_gateway": "ethernet.gateway",
    "ethernet_dns": "ethernet.dns",
    "administrator": "administrator.name",
    "administrator_password": "administrator.password",
    "ssh_key": "ssh_key",
}
_NAME = "name"
_SECTOR_BYTES = 512
_FAT_TYPES = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E})
_MCOPY_LIMIT_S = 60


class BadCard(Exception):
    """A card cannot be prepared; the message says which one and why."""


@dataclass(frozen=True)
class Card:
    """What one card gets, and what is printed for it."""

    name: str
    preset: Preset
    secrets: BornSecrets

    @property
    def brochure(self) -> Brochure:
        """Return the sheet for the owner; here with everything, as it is not written to the card."""
        port = AdminSettings().http_port
        hostname = self.preset.given.get("hostname", NetworkSettings().hostname)
        return Brochure(
            ssid=self.secrets.ssid,
            passphrase=self.secrets.passphrase,
            setup_secret=self.secrets.setup_secret,
            page=f"http://{WlanSettings().address.partition('/')[0]}:{port}",
            local_page=f"http://{hostname.lower()}.local:{port}",
            name=self.name,
        )


def read_rows(text: str) -> list[Card]:
    """Read a table with one line for each card.

    Raises:
        BadCard: All that is wrong, line by line; passwords are not repeated.
    """
    reader = csv.DictReader(text.splitlines(), strict=True)
    unknown = sorted(set(reader.fieldnames or ()) - {_NAME, *COLUMNS})
    if unknown or _NAME not in (reader.fieldnames or ()):
        wanted = ", ".join((_NAME, *COLUMNS))
        raise BadCard(
            f"the first line names the columns, of {wanted}; not: {', '.join(unknown) or 'no name'}"
        )
    cards: list[Card] = []
    mistakes: list[str] = []
    for number, row in enumerate(reader, start=2):
        try:
            cards.append(_card(row, {card.name for card in cards}))
        except BadCard as error:
            mistakes.append(f"line {number}: {error}")
    if mistakes or not cards:
        raise BadCard("\n".join(mistakes) or "there is no card in it")
    return cards


def make_card(name: str, given: Mapping[str, str]) -> Card:
    """Make a card from what is given by column; what is secret and empty is made at random, passwords are hashed.

    Raises:
        BadCard: See `read_rows`.
    """
    values = {COLUMNS[column]: value for column, value in given.items() if value}
    errors: dict[str, str] = {}
    if clear := values.get("administrator.password"):
        account, found = Administrator.parse({"password": clear})
        errors = {f"administrator.{key}": reason for key, reason in found.items()}
        values["administrator.password"] = account.password if account is not None else ""
    wanted = _parsed(values, errors)
    secrets = _secrets(wanted)
    made = {key: getattr(secrets, key) for key in ("ssid", "passphrase", "setup_secret")}
    return Card(name, Preset(given={**made, **wanted.given}), secrets)


def write_cards(cards: Sequence[Card], folder: Path) -> None:
    """Write a folder with `otppi.toml` for each card, and one page with all brochures; nobody else may read them.

    Raises:
        FileExistsError: The folder is there; brochures that may have been printed are not overwritten.
        OSError: It cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True)
    for card in cards:
        place = folder / card.name
        place.mkdir(mode=0o700)
        _write_private(place / preset_file.NAME, card.preset.as_toml())
    _write_private(folder / BROCHURES, brochure.html(*(card.brochure for card in cards)))


def put_into_image(image: Path, toml: Path) -> None:
    """Copy a preset into the boot partition of an image file that is not compressed; waits for mcopy.

    Raises:
        BadCard: The preset or the image cannot be used.
        OSError: A file cannot be read, or mtools is not installed.
    """
    try:
        preset.parse(toml.read_bytes())
    except SettingsError as error:
        raise BadCard(str(error)) from error
    place = f"{image}@@{boot_partition_bytes(image)}"
    command = ["mcopy", "-o", "-i", place, str(toml), f"::{preset_file.NAME}"]
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_MCOPY_LIMIT_S, check=False, env=environment
    )
    if done.returncode != 0:
        raise BadCard(f"mcopy: {done.stderr.strip()}")


def boot_partition_bytes(image: Path) -> int:
    """Return where the first FAT partition of an image begins, by its MBR.

    Raises:
        BadCard: It has none, or is no image of a disk.
    """
    with image.open("rb") as file:
        mbr = file.read(_SECTOR_BYTES)
        size = os.fstat(file.fileno()).st_size
    if mbr.startswith((b"\xfd7zXZ", b"\x1f\x8b", b"PK", b"\x28\xb5\x2f\xfd")):
        raise BadCard(f"{image.name} is compressed; unpack it first, such as with: unxz --keep {image.name}")
    if len(mbr) < _SECTOR_BYTES or not mbr.endswith(b"\x55\xaa"):
        raise BadCard(f"{image.name} is no image of a card")
    for kind, first, count in _partitions(mbr):
        if kind in _FAT_TYPES and first > 0 and (first + count) * _SECTOR_BYTES <= size:
            return first * _SECTOR_BYTES
    raise BadCard(f"{image.name} has no boot partition")


def _partitions(mbr: bytes) -> Iterator[tuple[int, int, int]]:
    for entry in range(446, 510, 16):
        first, count = struct.unpack_from("<II", mbr, entry + 8)
        yield mbr[entry + 4], first, count


def _card(row: Mapping[Any, Any], taken: Iterable[str]) -> Card:
    if None in row:
        raise BadCard("has more values than there are columns")
    given = {str(column): (value or "").strip() for column, value in row.items()}
    name = given.pop(_NAME)
    # It becomes a folder.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
        raise BadCard("name: must be 1 to 40 letters, digits, - or _")
    if name in taken:
        raise BadCard(f"name: {name} is there twice")
    return make_card(name, given)


def _parsed(values: Mapping[str, str], errors: dict[str, str]) -> Preset:
    try:
        read = preset.parse(Preset(given=values).as_toml().encode())
    except SettingsError as error:
        errors = {**error.errors, **errors}
    if errors:
        raise BadCard("; ".join(f"{name}: {reason}" for name, reason in errors.items()))
    return read


def _secrets(wanted: Preset) -> BornSecrets:
    with tempfile.TemporaryDirectory(prefix="otppi-cards-") as folder:
        return born(Path(folder) / "born.json", wanted.born)


def _write_private(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


@click.group()
def main() -> None:
    """Prepare cards of OTP-Pi."""


@main.command("make")
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def make(table: Path, folder: Path) -> None:
    """Write presets and brochures for every line of a CSV TABLE into the new FOLDER."""
    _plainly(lambda: write_cards(read_rows(table.read_text(encoding="utf-8-sig")), folder))


@main.command("one")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", default="otppi", show_default=True, help="What the card is called on its brochure.")
@click.option("--ssid", default="")
@click.option("--country", default="", help="Two letters, such as ID.")
@click.option("--hostname", default="")
@click.option("--time-zone", default="", help="Such as Asia/Jakarta.")
@click.option("--ethernet-address", default="", help="Such as 192.168.1.20/24; without it DHCP is asked.")
@click.option("--ethernet-gateway", default="")
@click.option("--ethernet-dns", default="", help="One or two addresses, with a comma.")
@click.option("--administrator", default="", help="Name; the password is asked for.")
@click.option(
    "--ssh-key", type=click.File(), help="File of a public key that may log in, such as id_ed25519.pub."
)
@click.option("--ask-passphrase", is_flag=True, help="Ask for a passphrase instead of making one.")
def one(folder: Path, name: str, ask_passphrase: bool, ssh_key: TextIO | None, **given: str) -> None:
    """Write preset and brochure of one card into the new FOLDER."""
    if ssh_key is not None:
        given["ssh_key"] = ssh_key.read()
    if ask_passphrase:
        given["passphrase"] = click.prompt(
            "Passphrase of the Wi-Fi", hide_input=True, confirmation_prompt=True
        )
    if given["administrator"]:
        given["administrator_password"] = click.prompt(
            "Password of the administrator", hide_input=True, confirmation_prompt=True
        )
    _plainly(lambda: write_cards([_card(dict({_NAME: name}, **given), ())], folder))


@main.command("put")
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("toml", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def put(image: Path, toml: Path) -> None:
    """Copy the preset TOML into the boot partition of the IMAGE file."""
    _plainly(lambda: put_into_image(image, toml))


def _plainly(do: Callable[[], None]) -> None:
    try:
        do()
    except FileNotFoundError as error:
        missing = "mtools is not installed" if error.filename == "mcopy" else f"{error.filename} is not there"
        raise click.ClickException(missing) from error
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} is there already; name a new folder") from error
    except (BadCard, OSError, UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
