"""The part of the command line that is about e-mail."""

from pathlib import Path

import click

from otppi.services.cli_terms import FAILED, as_json_option, ask, fail, show, speaks_plainly, state_dir_option

_TEST_LIMIT_S = 300.0  # longer than any server may take to answer by the settings, several times over


@click.group()
def mail() -> None:
    """See and test the e-mail accounts and the local SMTP server."""


@mail.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def mail_list(state_dir: Path, as_json: bool) -> None:
    """List the e-mail accounts and how they stand."""
    accounts = ask(state_dir, "email_account.list")
    if as_json:
        show(accounts, as_json)
        return
    for one in accounts:
        limit = one["limit_per_day"] or "any"
        click.echo(
            f"{one['name']}\t{one['state']}\t{one['host']}:{one['port']}\t{one['security']}"
            f"\t{one['sent_today']} of {limit} today"
        )
        if one["reason"]:
            click.echo(f"\t{one['reason']}")


@mail.command("test")
@state_dir_option
@click.argument("account")
@click.argument("address")
@as_json_option
@speaks_plainly
def mail_test(state_dir: Path, account: str, address: str, as_json: bool) -> None:
    """Send a test message by an account to an address, and say what the server said."""
    found = ask(state_dir, "email_account.test", limit_s=_TEST_LIMIT_S, account=account, address=address)
    if as_json:
        show(found, as_json)
    if not found["sent"]:
        fail({"message": found["reason"]}, FAILED)
    if not as_json:
        click.echo(f"The server took it after {found['seconds']} s.")


@mail.command("server")
@state_dir_option
@as_json_option
@speaks_plainly
def mail_server(state_dir: Path, as_json: bool) -> None:
    """Say how the local SMTP server stands."""
    server = ask(state_dir, "smtp.show")
    if as_json:
        show(server, as_json)
        return
    state = "listens" if server["listening"] else (server["problem"] or "off")
    click.echo(f"{server['address']}:{server['port']}\t{state}")
    click.echo(f"accepted {server['accepted']}, refused {server['refused']}")
