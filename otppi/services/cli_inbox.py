"""The part of the command line that is about received messages."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from otppi.services.cli_terms import (
    SEND_LIMIT_S,
    as_json_option,
    ask,
    fail,
    message_text,
    show,
    show_sent,
    speaks_plainly,
    state_dir_option,
)

_LINE_LETTERS = 60

_count_option = click.option(
    "--count", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most."
)
_offset_option = click.option(
    "--offset", type=click.IntRange(0), default=0, help="How many of the newest to leave out."
)


@click.group()
def inbox() -> None:
    """Read, answer and delete received messages."""


@inbox.command("list")
@state_dir_option
@_count_option
@_offset_option
@as_json_option
@speaks_plainly
def inbox_list(state_dir: Path, count: int, offset: int, as_json: bool) -> None:
    """List received messages, newest first; * marks those that nobody has read."""
    _list(state_dir, "", count, offset, as_json)


@inbox.command("search")
@state_dir_option
@click.argument("text")
@_count_option
@_offset_option
@as_json_option
@speaks_plainly
def inbox_search(state_dir: Path, text: str, count: int, offset: int, as_json: bool) -> None:
    """List messages whose sender or text has TEXT."""
    _list(state_dir, text, count, offset, as_json)


@inbox.command("show")
@state_dir_option
@click.argument("message_id", metavar="ID")
@as_json_option
@speaks_plainly
def inbox_show(state_dir: Path, message_id: str, as_json: bool) -> None:
    """Print the message ID, which counts as read from then on."""
    message = ask(state_dir, "inbox.show", message_id=message_id)
    if as_json:
        show(message, as_json)
        return
    click.echo(f"from {_harmless(message['sender'])} at {_time(message)} through {message['modem']}")
    click.echo(_harmless(message["text"]))


@inbox.command("reply")
@state_dir_option
@click.argument("message_id", metavar="ID")
@click.argument("text")
@click.option(
    "--any-modem",
    is_flag=True,
    help="Send through any modem: the answer may come from another number than the one written to.",
)
@as_json_option
@speaks_plainly
def inbox_reply(state_dir: Path, message_id: str, text: str, any_modem: bool, as_json: bool) -> None:
    """Send TEXT to the sender of the message ID, through the modem with the SIM that got it.

    With - as TEXT it is read from standard input, so that it does not show in the list of processes.
    """
    answer = ask(
        state_dir,
        "inbox.reply",
        limit_s=SEND_LIMIT_S,
        message_id=message_id,
        text=message_text(text),
        any_modem=any_modem,
    )
    show_sent(answer, as_json)


@inbox.command("delete")
@state_dir_option
@click.argument("message_ids", nargs=-1, required=True, metavar="ID...")
@speaks_plainly
def inbox_delete(state_dir: Path, message_ids: tuple[str, ...]) -> None:
    """Delete messages for good."""
    deleted = ask(state_dir, "inbox.delete", message_ids=list(message_ids))
    if deleted < len(set(message_ids)):
        fail({"message": f"deleted {deleted}; there are no others of these"})


def _list(state_dir: Path, search: str, count: int, offset: int, as_json: bool) -> None:
    found = ask(state_dir, "inbox.list", search=search, offset=offset, count=count)
    if as_json:
        show(found, as_json)
        return
    for one in found["messages"]:
        mark = " " if one["is_read"] else "*"
        first = _harmless(" ".join(one["text"].split()))[:_LINE_LETTERS]
        click.echo(f"{mark} {one['id']}\t{_time(one)}\t{one['modem']}\t{_harmless(one['sender'])}\t{first}")
    if not found["messages"]:
        click.echo(
            "otppi: there is no such message" if search or offset else "otppi: no message has come", err=True
        )
    rest = found["total"] - offset - len(found["messages"])
    if rest > 0:
        click.echo(f"otppi: {rest} more", err=True)


def _time(message: Mapping[str, Any]) -> str:
    moment = datetime.fromisoformat(message["sent_at"] or message["received_at"])
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _harmless(text: str) -> str:
    """Return a stranger's text without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


COMMANDS = (inbox,)
