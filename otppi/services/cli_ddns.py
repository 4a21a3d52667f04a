"""The part of the command line that is about dynamic DNS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from otppi.services.cli_terms import FAILED, as_json_option, ask, fail, show, speaks_plainly, state_dir_option

# Two sources, and a vendor that is asked several questions, each as slow as it may be.
_UPDATE_LIMIT_S = 120.0


@click.group()
def ddns() -> None:
    """See and update names that follow the public address."""


@ddns.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def ddns_list(state_dir: Path, as_json: bool) -> None:
    """List all records and how they stand."""
    found = ask(state_dir, "ddns.list")
    if as_json:
        show(found, as_json)
        return
    for kind, one in found["address"].items():
        if one["address"] or one["finding"]:
            click.echo(f"public address {kind}\t{one['address']}\t{one['at']}")
            _explain(one)
    for record in found["records"]:
        _tell(record)


@ddns.command("update")
@state_dir_option
@click.argument("name", metavar="NAME")
@as_json_option
@speaks_plainly
def ddns_update(state_dir: Path, name: str, as_json: bool) -> None:
    """Tell the vendor the address of a record now, by its name or id, even if it was stopped."""
    record = ask(state_dir, "ddns.update", limit_s=_UPDATE_LIMIT_S, record=name)
    if as_json:
        show(record, as_json)
    if record["state"] != "done":
        fail({"message": " ".join(filter(None, (record["finding"] + ".", record["advice"])))}, FAILED)
    if not as_json:
        _tell(record)


def _tell(record: Mapping[str, Any]) -> None:
    line = f"{record['host']}\t{record['type']}\t{record['provider']}\t{record['state']}\t{record['address']}"
    click.echo(f"{line}\t{record['updated_at']}" if record["updated_at"] else line)
    _explain(record)


def _explain(one: Mapping[str, Any]) -> None:
    if one["finding"]:
        word = f" ({one['word']})" if one.get("word") else ""
        click.echo(f"\t{one['finding']}{word}")
    if one["advice"]:
        click.echo(f"\t{one['advice']}")
