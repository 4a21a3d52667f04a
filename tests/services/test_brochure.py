import os
import pty
import re
import subprocess
from contextlib import suppress
from html.parser import HTMLParser

import pytest

from otppi.services import brochure
from otppi.services.brochure import Brochure
from tests import needs

ONE = Brochure(
    ssid="OTP-Pi-7KQ3",
    passphrase="abcd-efgh-jkmn-pqrs",
    setup_secret="lusab-babad-gutih-tugad",
    page="http://192.168.0.11:8888",
    local_page="http://otppi.local:8888",
)
NASTY = Brochure(
    ssid='Toko "A";\\é, <b>',
    passphrase='a\\b;c,d:e"f&g<h',
    setup_secret="lusab-<babad>",
    page="http://192.168.0.11:8888",
    local_page="http://otppi.local:8888",
)
VOID = {"br", "meta", "path"}


def decoded(png, tmp_path):
    """Read a picture with a reader that is not of the library that wrote it."""
    needs.programs("zbarimg")
    (tmp_path / "code.png").write_bytes(png)
    command = ["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(tmp_path / "code.png")]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.rstrip("\n")


def fields(joining):
    """Read the text of a Wi-Fi code as a phone does."""
    assert joining.startswith("WIFI:")
    parts = re.findall(r"([A-Z]):((?:\\.|[^\\;])*);", joining.removeprefix("WIFI:"))
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in parts}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(page):
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


@pytest.mark.parametrize("one", [ONE, NASTY])
def test_a_phone_reads_the_codes(one, tmp_path):
    made = brochure.files(one)
    assert decoded(made[brochure.PAGE_PICTURE], tmp_path) == one.page
    joining = fields(decoded(made[brochure.WIFI_PICTURE], tmp_path))
    assert joining == {"T": "WPA", "S": one.ssid, "P": one.passphrase}


def test_the_format_of_the_code_is_the_one_phones_know():
    assert brochure.wifi("Toko", "a;b:c") == "WIFI:T:WPA;S:Toko;P:a\\;b\\:c;;"


@pytest.mark.parametrize("one", [ONE, NASTY])
def test_the_page_is_whole_and_needs_nothing_else(one):
    page = brochure.html(one)
    tags = read(page)
    words = "".join(tags.words)
    for value in (one.ssid, one.passphrase, one.setup_secret, one.page, one.local_page):
        assert value in words
    assert [tag for tag, _ in tags.seen].count("svg") == 2
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe", "b"}
    assert not any(name in attrs for _, attrs in tags.seen for name in ("src", "href", "onload"))
    for sentence in ("memory card", "kartu memori", "Join the Wi-Fi", "Sambungkan"):
        assert sentence in words


def test_a_hundred_brochures_are_sheets_of_one_page():
    page = brochure.html(*[ONE] * 100)
    read(page)
    assert page.count("<article>") == 100
    assert "break-after:page" in page


def test_the_text_says_the_same_in_both_languages():
    text = brochure.text(ONE)
    for value in (ONE.ssid, ONE.passphrase, ONE.setup_secret, ONE.page):
        assert text.count(value) == 2


def test_a_secret_of_the_owners_own_is_nowhere():
    one = Brochure(**{**vars(ONE), "passphrase": "", "setup_secret": ""})
    made = brochure.files(one)
    assert brochure.WIFI_PICTURE not in made
    assert b"the one that you have chosen" in made[brochure.HTML]
    read(made[brochure.HTML].decode())


def test_a_changed_wifi_and_findings_are_told():
    one = Brochure(
        **{**vars(ONE), "present_ssid": "Toko <1>", "findings": ("otppi.toml was NOT applied: <x>",)}
    )
    words = "".join(read(brochure.html(one)).words)
    assert words.count("Toko <1>") == 2
    assert "otppi.toml was NOT applied: <x>" in words
    assert "Toko <1>" in brochure.text(one)


def test_only_what_changes_is_written(tmp_path):
    assert set(brochure.write(tmp_path, ONE)) == set(brochure.FILES)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert brochure.write(tmp_path, ONE) == ()
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    changed = Brochure(**{**vars(ONE), "setup_secret": ""})
    assert set(brochure.write(tmp_path, changed)) == {brochure.HTML, brochure.TEXT}
    brochure.write(tmp_path, Brochure(**{**vars(ONE), "passphrase": ""}))
    assert not (tmp_path / brochure.WIFI_PICTURE).exists()


def pieces_of(screen):
    """Read until the terminal's other end is closed; what it showed comes in pieces."""
    with suppress(OSError):
        while piece := screen.read(65536):
            yield piece


@pytest.mark.parametrize("one", [ONE, NASTY])
def test_the_login_prompt_shows_it_as_it_is(one, tmp_path):
    needs.programs("agetty")
    file = tmp_path / "otppi.issue"
    file.write_text(brochure.issue(one))
    screen, terminal = pty.openpty()
    try:
        # It answers to terminals only, and this little fits into one.
        subprocess.run(
            [needs.program("agetty"), "--show-issue", "--issue-file", str(file)],
            stdin=terminal,
            stdout=terminal,
            check=True,
            timeout=20,
        )
    finally:
        os.close(terminal)
    with os.fdopen(screen, "rb", buffering=0) as file:
        shown = b"".join(pieces_of(file)).decode()
    for value in (one.ssid, one.passphrase, one.setup_secret, one.page):
        assert value in shown


def test_the_code_on_the_screen_can_be_read(tmp_path):
    rows = [line for line in brochure.issue(ONE).splitlines() if line and set(line) <= set(" ▄▀█")]
    assert len(rows) <= 20
    halves = {" ": (0, 0), "▄": (0, 1), "▀": (1, 0), "█": (1, 1)}
    lit = [[halves[letter][half] for letter in row] for row in rows for half in (0, 1)]
    scale = 8
    body = b"".join(
        bytes(255 * pixel for pixel in line for _ in range(scale)) for line in lit for _ in range(scale)
    )
    # A portable grey map: what a camera sees of the screen.
    picture = f"P5 {len(lit[0]) * scale} {len(lit) * scale} 255\n".encode() + body
    needs.programs("zbarimg")
    (tmp_path / "screen.pgm").write_bytes(picture)
    done = subprocess.run(
        ["zbarimg", "--quiet", "--raw", str(tmp_path / "screen.pgm")],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout.rstrip("\n") == brochure.wifi(ONE.ssid, ONE.passphrase)
