"""The part of the command line that takes settings from one device to another."""

import base64
import os
import sys
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import click

from otppi.services.cli_device import present_outcome, tell_of_trial
from otppi.services.cli_terms import administer, as_json_option, fail, show, speaks_plainly, state_dir_option

_file_argument = click.argument("file", type=click.Path(path_type=Path))
_passphrase_stdin = click.option(
    "--passphrase-stdin",
    is_flag=True,
    help="Read the passphrase from standard input instead of the terminal.",
)


@click.group()
def backup() -> None:
    """Keep all settings in one encrypted file, and bring them back."""


@backup.command("make")
@state_dir_option
@_file_argument
@_passphrase_stdin
@click.option("--with-messages", is_flag=True, help="Received messages and reports of sent ones as well.")
@speaks_plainly
def backup_make(state_dir: Path, file: Path, passphrase_stdin: bool, with_messages: bool) -> None:
    """Write a backup to FILE, or under a name of its own into the folder FILE."""
    passphrase = _passphrase(passphrase_stdin, is_new=True)
    made = administer(state_dir, "backup.make", passphrase=passphrase, with_messages=with_messages)
    path = file / made["name"] if file.is_dir() else file
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as new:
        new.write(base64.b64decode(made["content"]))
    click.echo(str(path))


@backup.command("read")
@state_dir_option
@_file_argument
@_passphrase_stdin
@as_json_option
@speaks_plainly
def backup_read(state_dir: Path, file: Path, passphrase_stdin: bool, as_json: bool) -> None:
    """Say what is in the backup FILE, and what restoring it would change."""
    found = administer(
        state_dir, "backup.read", content=_content(file), passphrase=_passphrase(passphrase_stdin)
    )
    if as_json:
        show(found, as_json)
        return
    click.echo(f"{found['device_name']}, {found['made_at']}, release {found['release']}")
    for one in found["sections"]:
        items = "" if one["items"] is None else f" ({one['items']})"
        click.echo(f"{one['key']}\t{one['title']}{items}\t{'differs' if one['changes'] else 'the same'}")
    if found["certificate"]:
        click.echo("certificate")
    if found["messages"] is not None:
        click.echo(f"messages\t{found['messages']} received, {found['days_of_reports']} days of reports")


@backup.command("restore")
@state_dir_option
@_file_argument
@_passphrase_stdin
@click.option("--part", "parts", multiple=True, help="Only this part, as read names it; may be repeated.")
@click.option(
    "--with-network", is_flag=True, help="The settings of the network as well; they are on trial then."
)
@speaks_plainly
def backup_restore(
    state_dir: Path, file: Path, passphrase_stdin: bool, parts: tuple[str, ...], with_network: bool
) -> None:
    """Put what is in the backup FILE in the place of what is there, all of it or nothing."""
    before = present_outcome(state_dir, ["network"])
    done = administer(
        state_dir,
        "backup.restore",
        content=_content(file),
        passphrase=_passphrase(passphrase_stdin),
        sections=list(parts) or None,
        with_network=with_network,
    )
    _tell_changed(state_dir, done, before)


@click.command("import-old")
@state_dir_option
@click.argument("source", metavar="FOLDER_OR_FILE", type=click.Path(path_type=Path))
@click.option("--apply", "is_applied", is_flag=True, help="Take it over; without this it is only shown.")
@click.option("--part", "parts", multiple=True, help="Only this part, as the plan names it; may be repeated.")
@click.option(
    "--with-network", is_flag=True, help="The settings of the network as well; they are on trial then."
)
@as_json_option
@speaks_plainly
def import_old(
    state_dir: Path, source: Path, is_applied: bool, parts: tuple[str, ...], with_network: bool, as_json: bool
) -> None:
    """Take over the settings of an old OTP-Pi.

    Give its folder /resource/data, a ZIP or .tar.gz of that, or one JSON file of it.
    """
    content = _packed(source) if source.is_dir() else _content(source)
    plan = administer(state_dir, "old_device.read", content=content)
    if as_json:
        show(plan, as_json)
    else:
        _show_plan(plan)
    if not is_applied:
        click.echo("nothing is changed yet; with --apply it is", err=True)
        return
    wanted = list(parts) or [part["key"] for part in plan["parts"] if with_network or not part["is_network"]]
    before = present_outcome(state_dir, ["network"])
    done = administer(state_dir, "old_device.apply", content=content, parts=wanted)
    _tell_changed(state_dir, done, before)


COMMANDS = (backup, import_old)


def _show_plan(plan: Mapping[str, Any]) -> None:
    for part in plan["parts"]:
        click.echo(f"{part['key']}\t{part['title']}, from {part['file']}")
        for row in part["values"]:
            value = "(secret)" if row["is_secret"] else _in_a_line(row["new"])
            was = "" if row["now"] is None or row["is_secret"] else f" (now {_in_a_line(row['now'])})"
            click.echo(f"  {_in_a_line(row['item'])}\t{row['name']}\t{value}{was}".rstrip())
        if part["more"]:
            click.echo(f"  and {part['more']} more")
    for title, notes in (
        ("stays as it is here", plan["clashes"]),
        ("not taken over", plan["left"]),
        ("not understood", plan["unclear"]),
    ):
        for note in notes:
            click.echo(f"{title}: {_in_a_line(note['file'])} {_in_a_line(note['name'])}: {note['reason']}")


def _in_a_line(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(char if char.isprintable() else "�" for char in text)


def _tell_changed(state_dir: Path, done: Mapping[str, Any], before: Any) -> None:  # noqa: ANN401 - JSON
    click.echo(f"changed: {', '.join(done['changed']) or 'nothing'}")
    if done.get("messages"):
        click.echo(f"messages added: {done['messages']}")
    if done.get("sessions_end"):
        click.echo("the administrators are those of the backup; whoever is logged in has to log in again")
    if done["network_changed"]:
        tell_of_trial(state_dir, before)


def _passphrase(from_stdin: bool, *, is_new: bool = False) -> str:
    if not from_stdin:
        typed: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
        return typed
    passphrase = sys.stdin.readline().rstrip("\r\n")
    if not passphrase:
        fail({"message": "no passphrase on standard input"})
    return passphrase


def _content(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _packed(folder: Path) -> str:
    """Return the settings of a folder as a ZIP; nothing else of it is read."""
    from otppi.services.old_device.files import LEFT, READ

    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink():
                if any(name == known or name.endswith(f"/{known}") for known in READ):
                    archive.writestr(name, path.read_bytes())
                elif any(name.startswith(known) or f"/{known}" in name for known in LEFT):
                    archive.writestr(name, b"")  # only that it is there is told
    return base64.b64encode(packed.getvalue()).decode()
