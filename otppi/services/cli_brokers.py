"""The part of the command line that is about message brokers."""

from pathlib import Path

import click

from otppi.services.cli_terms import FAILED, as_json_option, ask, fail, show, speaks_plainly, state_dir_option

_TEST_LIMIT_S = 300.0  # longer than any broker may take to answer by the settings, several times over


@click.group()
def broker() -> None:
    """See and test the connections to message brokers."""


@broker.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def broker_list(state_dir: Path, as_json: bool) -> None:
    """List all brokers and how their connections stand."""
    brokers = ask(state_dir, "broker.list")
    if as_json:
        show(brokers, as_json)
        return
    for one in brokers:
        line = f"{one['name']}\t{one['title']}\t{one['state']}"
        if one["enabled"]:
            line += f"\t{one['mode']}\t{one['host']}:{one['port']}\t{one['topic']}"
            if "done" in one:
                line += f"\tdone {one['done']}, in hand {one['in_hand']}, dead {one['dead']}"
        click.echo(line)
        if one["reason"]:
            click.echo(f"\t{one['reason']}" + (f" ({one['detail']})" if one["detail"] else ""))


@broker.command("test")
@state_dir_option
@click.argument("name", metavar="BROKER")
@as_json_option
@speaks_plainly
def broker_test(state_dir: Path, name: str, as_json: bool) -> None:
    """Connect to a broker as its settings say, and say what was found; no message is taken."""
    found = ask(state_dir, "broker.test", limit_s=_TEST_LIMIT_S, broker=name)
    if as_json:
        show(found, as_json)
    text = found["finding"] + (f" ({found['detail']})" if found["detail"] else "")
    if not found["works"]:
        fail({"message": text}, FAILED)
    if not as_json:
        click.echo(text)


@broker.command("reconnect")
@state_dir_option
@click.argument("name", metavar="BROKER")
@speaks_plainly
def broker_reconnect(state_dir: Path, name: str) -> None:
    """Make the connection to a broker anew; what is in hand ends first."""
    ask(state_dir, "broker.reconnect", broker=name)
