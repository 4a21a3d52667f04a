"""What the guides tell people to type, to follow and to wire is there."""

import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from otppi.__main__ import main
from otppi.system.buzzer.settings import BellSettings

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".", "image", "otppi", "otppi/publisher", "otppi/wsbroker", "provisioning", "rootfs-overlay")
GUIDES = {
    str(file.relative_to(ROOT)): file.read_text() for name in FOLDERS for file in (ROOT / name).glob("*.md")
}
BLOCK = re.compile(r"^ *```[\s\S]*?^ *```$|^ {4}\S.*$", re.MULTILINE)


def blocks(text: str) -> Iterator[str]:
    """Yield the lines that are typed as they stand."""
    for block in BLOCK.findall(text):
        yield from block.splitlines()


def mentions(text: str) -> Iterator[str]:
    """Yield the code within sentences, which may name a command without its arguments."""
    for code in re.findall(r"`([^`]+)`", BLOCK.sub("", text)):
        yield " ".join(code.replace("\\|", "|").split())


def commands(code: str) -> Iterator[tuple[str, ...]]:
    """Yield the words after each `otppi`; `a|b` stands for two commands, and a `…` by itself for any words."""
    for found in re.findall(r"(?:^|\| )otppi ([a-z].*?)(?: …|$)", code.strip()):
        words = shlex.split(found, comments=True)
        yield from product(*(word.split("|") for word in words))


def refusal(words: tuple[str, ...], *, is_whole: bool) -> str:
    """Let the parser of the command line read a command, and say what it has against it."""
    command: click.Command = main
    rest = list(words)
    try:
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            name = rest.pop(0)
            if (found := command.get_command(click.Context(command), name)) is None:
                return f"there is no {name}"
            command = found
        if is_whole or rest:
            command.make_context(words[0], rest)
    except click.MissingParameter as error:
        return error.format_message() if is_whole else ""
    except click.BadParameter as error:
        # The name of a file that only the reader has.
        return "" if error.param and isinstance(error.param.type, click.File) else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    return ""


def slugs(text: str) -> set[str]:
    """Return the anchors of a guide's headings, as the usual viewers of Markdown make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_command_is_one_that_the_program_takes():
    typed = [words for text in GUIDES.values() for code in blocks(text) for words in commands(code)]
    named = [words for text in GUIDES.values() for code in mentions(text) for words in commands(code)]
    assert ("diagnose",) in typed
    assert ("power", "reboot") in named
    refused = {" ".join(words): why for words in typed if (why := refusal(words, is_whole=True))}
    refused |= {" ".join(words): why for words in named if (why := refusal(words, is_whole=False))}
    assert refused == {}


@pytest.mark.parametrize(
    "code",
    ["otppi modem ad", "otppi modem add --nam x", "otppi bell test loud", "echo x | otppi admin add --stdin"],
)
def test_a_command_that_is_none_is_noticed(code):
    assert all(refusal(words, is_whole=False) for words in commands(code))
    assert list(commands(code))


def test_every_setting_is_one_that_the_program_takes(tmp_path):
    lines = {
        words
        for text in GUIDES.values()
        for code in mentions(text)
        for words in commands(code)
        if words[:2] == ("settings", "set") and len(words) > 3 and words[-1] != "--value-stdin"
    }
    assert lines
    for words in lines:
        done = CliRunner().invoke(main, [*words, "--state-dir", str(tmp_path)])
        assert done.exit_code == 0, (words, done.output)


def test_every_link_within_the_repository_leads_somewhere():
    dead = []
    for name, text in GUIDES.items():
        for path, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", text):
            target = (ROOT / name).parent / path if path else ROOT / name
            if not target.exists() or (anchor and anchor not in slugs(target.read_text())):
                dead.append(f"{name}: {path}#{anchor}")
    assert dead == []


def test_the_picture_of_the_wiring_shows_the_pins_of_the_settings():
    picture = ElementTree.parse(ROOT / "image/wiring.svg").getroot()  # noqa: S314 - our own
    words = " ".join("".join(picture.itertext()).split())

    # Pins of the 40-pin header; 2 and 3 are those of the I2C bus that config.txt.append switches on.
    assert set(re.findall(r"pin (\d+), GPIO (\d+)", words)) == {("3", "2"), ("5", "3"), ("37", "26")}
    assert BellSettings().pin == 26
