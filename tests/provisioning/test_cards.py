"""Cards from tables, and image files that were never mounted."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from otppi.lib.passwords import verify_password
from otppi.services.preset import parse
from otppi.system.network.born import born
from tests import needs

CARDS = Path(__file__).parents[2] / "provisioning" / "cards.py"
HEAD = "name,ssid,passphrase,country,hostname,ethernet_address,ethernet_dns,administrator,administrator_password\n"
TABLE = (
    HEAD + "toko-1,,,ID,,,,ann,correct horse\n"
    'toko-2,Toko Dua,"kuda, yang ""benar""",SG,kasir,10.1.2.3/24,"10.1.2.1,9.9.9.9",,\n'
)
FIRST_SECTOR = 2048


def cards(*arguments, stdin=""):
    return subprocess.run(
        [sys.executable, CARDS, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def make(tmp_path):
    def made(table):
        (tmp_path / "cards.csv").write_text(table, encoding="utf-8")
        return cards("make", tmp_path / "cards.csv", tmp_path / "out"), tmp_path / "out"

    return made


def toml(folder, name):
    return (folder / name / "otppi.toml").read_text()


def test_a_table_becomes_presets_that_devices_accept(make, tmp_path):
    done, out = make(TABLE)
    assert done.returncode == 0, done.stderr
    one, two = (parse(toml(out, name).encode()) for name in ("toko-1", "toko-2"))
    assert verify_password("correct horse", one.given["administrator.password"])
    assert two.given["passphrase"] == 'kuda, yang "benar"'
    assert two.given["ethernet.dns"] == ("10.1.2.1", "9.9.9.9")
    # What is printed is what the device will have.
    page = (out / "brochures.html").read_text()
    for name, preset in (("toko-1", one), ("toko-2", two)):
        secrets = born(tmp_path / name / "born.json", preset.born)
        assert f"({name})" in page
        assert secrets.ssid in page
        assert secrets.setup_secret in page
    assert born(tmp_path / "toko-1" / "born.json").passphrase in page
    assert "http://kasir.local:8888" in page


def test_nobody_else_can_read_it_and_no_password_is_in_the_clear(make):
    _, out = make(TABLE)
    everything = [out, *out.rglob("*")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in everything)
    assert not any(b"correct horse" in path.read_bytes() for path in everything if path.is_file())


def test_a_hundred_cards_have_secrets_of_their_own(make):
    done, out = make(HEAD + "".join(f"card-{number},,,ID,,,,,\n" for number in range(100)))
    assert done.returncode == 0, done.stderr
    presets = [tomllib.loads(toml(out, f"card-{number}")) for number in range(100)]
    assert len({one["passphrase"] for one in presets}) == 100
    assert len({one["setup_secret"] for one in presets}) == 100
    assert (out / "brochures.html").read_text().count("<article>") == 100


def test_every_wrong_line_is_told_and_nothing_is_written(make):
    done, out = make(
        HEAD + "a,,short,ID,,,,,\n../b,,,ID,,,,,\nc,,,Indonesia,,,,,\nc,,,ID,,,,ann,secret\nd,,,ID\n"
    )
    assert done.returncode != 0
    for told in ("line 2: passphrase", "line 3: name", "line 4: country", "line 5: administrator.password"):
        assert told in done.stderr
    assert "short," not in done.stderr
    assert "secret" not in done.stderr.replace("setup_secret", "")
    assert not out.exists()


@pytest.mark.parametrize(
    ("table", "told"),
    [("name,sssid\na,b\n", "sssid"), ("ssid\nx\n", "no name"), ("", "no name"), (HEAD, "no card")],
)
def test_a_table_that_is_none_is_refused(make, table, told):
    done, out = make(table)
    assert done.returncode != 0
    assert told in done.stderr
    assert not out.exists()


def test_brochures_that_may_be_printed_are_not_overwritten(make):
    _, out = make(TABLE)
    before = (out / "brochures.html").read_bytes()
    done, _ = make(TABLE)
    assert done.returncode != 0
    assert "is there already" in done.stderr
    assert (out / "brochures.html").read_bytes() == before


def test_the_file_of_a_public_key_is_all_that_ssh_needs(make, tmp_path):
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    (tmp_path / "id.pub").write_text(f"{line} ann@desk\n")
    done = cards("one", tmp_path / "one", "--name", "kasir", "--ssh-key", tmp_path / "id.pub")
    assert done.returncode == 0, done.stderr
    done, out = make(f"name,ssh_key\ntoko-1,{line} ann@desk\ntoko-2,\n")
    assert done.returncode == 0, done.stderr
    for folder, name in ((tmp_path / "one", "kasir"), (out, "toko-1")):
        (key,) = parse(toml(folder, name).encode()).ssh_keys
        assert key.line == f"{line} ann@desk"
    assert parse(toml(out, "toko-2").encode()).ssh_keys is None


@pytest.mark.parametrize(
    "text", ["-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n", "ssh-ed25519 AAAA", "c2VjcmV0"]
)
def test_what_is_no_public_key_is_refused_and_not_shown(tmp_path, text):
    (tmp_path / "id").write_text(text)
    done = cards("one", tmp_path / "out", "--ssh-key", tmp_path / "id")
    assert done.returncode != 0
    assert "ssh_key: " in done.stderr
    assert "c2VjcmV0" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_card_is_made_without_a_table(tmp_path):
    done = cards(
        *("one", tmp_path / "out", "--name", "kasir", "--country", "ID", "--administrator", "ann"),
        stdin="correct horse\ncorrect horse\n",
    )
    assert done.returncode == 0, done.stderr
    given = parse(toml(tmp_path / "out", "kasir").encode()).given
    assert verify_password("correct horse", given["administrator.password"])


@pytest.fixture
def image(tmp_path):
    """A card with a boot and a root partition, as the image has them."""
    needs.programs("sfdisk", "mkfs.vfat", "mcopy", "mtype")
    path = tmp_path / "otppi.img"
    with path.open("wb") as file:
        file.truncate(48 << 20)
    layout = f"label: dos\nstart={FIRST_SECTOR}, size=81920, type=c\nstart=83968, type=83\n"
    subprocess.run([needs.program("sfdisk"), "--quiet", path], input=layout, text=True, check=True)
    offset = f"--offset={FIRST_SECTOR}"
    command = [needs.program("mkfs.vfat"), "-F", "32", "-s", "1", offset, path, "40960"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def on_image(image):
    place = f"{image}@@{FIRST_SECTOR * 512}"
    return subprocess.run(["mtype", "-i", place, "::otppi.toml"], capture_output=True, timeout=20).stdout


def test_a_preset_is_put_into_an_image_without_root(make, image):
    _, out = make(TABLE)
    before = image.read_bytes()
    for name in ("toko-1", "toko-2"):
        done = cards("put", image, out / name / "otppi.toml")
        assert done.returncode == 0, done.stderr
        assert on_image(image) == (out / name / "otppi.toml").read_bytes()
    after = image.read_bytes()
    boot = FIRST_SECTOR * 512
    assert after[:boot] == before[:boot]
    assert after[boot + (40 << 20) :] == before[boot + (40 << 20) :]


def test_a_wrong_preset_does_not_reach_the_image(image, tmp_path):
    (tmp_path / "otppi.toml").write_text('contry = "ID"\n')
    done = cards("put", image, tmp_path / "otppi.toml")
    assert done.returncode != 0
    assert "did you mean country?" in done.stderr
    assert on_image(image) == b""


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xfd7zXZ\0" + bytes(600), "unxz"),
        (bytes(600), "no image"),
        (b"", "no image"),
        (bytes(510) + b"\x55\xaa", "no boot partition"),
    ],
)
def test_what_is_no_image_of_a_card_is_refused(make, tmp_path, data, told):
    _, out = make(TABLE)
    image = tmp_path / "x.img.xz"
    image.write_bytes(data)
    done = cards("put", image, out / "toko-1" / "otppi.toml")
    assert done.returncode != 0
    assert told in done.stderr
    assert image.read_bytes() == data
