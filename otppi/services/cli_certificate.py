"""The part of the command line that is about the certificate of HTTPS."""

import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from otppi.services.cli_terms import as_json_option, ask, show, speaks_plainly, state_dir_option


@click.group()
def certificate() -> None:
    """Show, upload and renew the certificate of HTTPS."""


@certificate.command("show")
@state_dir_option
@as_json_option
@speaks_plainly
def certificate_show(state_dir: Path, as_json: bool) -> None:
    """Show the certificate that is in use."""
    _tell(ask(state_dir, "certificate.show"), as_json)


@certificate.command("put")
@state_dir_option
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path)
)
@click.option("--password-stdin", is_flag=True, help="Read the password of FILE from standard input.")
@as_json_option
@speaks_plainly
def certificate_put(state_dir: Path, files: tuple[Path, ...], password_stdin: bool, as_json: bool) -> None:
    """Use a certificate of your own: PEM, PKCS#12 or a key store of Java, in one FILE or several."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    documents = [b64encode(file.read_bytes()).decode("ascii") for file in files]
    _tell(ask(state_dir, "certificate.put", documents=documents, password=password), as_json)


@certificate.command("renew")
@state_dir_option
@as_json_option
@speaks_plainly
def certificate_renew(state_dir: Path, as_json: bool) -> None:
    """Make a new self-signed certificate with a new key."""
    _tell(ask(state_dir, "certificate.renew"), as_json)


@certificate.command("drop")
@state_dir_option
@as_json_option
@speaks_plainly
def certificate_drop(state_dir: Path, as_json: bool) -> None:
    """Forget your own certificate and its key, and go back to the self-signed one."""
    _tell(ask(state_dir, "certificate.drop"), as_json)


def _tell(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show(found, as_json)
        return
    left = "" if found["days_left"] is None else f", {found['days_left']} days left"
    click.echo(f"{'your own' if found['is_own'] else 'self-signed'}: {found['subject']}")
    click.echo(f"issued by {found['issuer']}")
    click.echo(f"for {', '.join(found['names']) or 'no host'}")
    click.echo(f"valid from {found['valid_from'][:10]} until {found['valid_until'][:10]}{left}")
    click.echo(f"SHA-256 {found['fingerprint']}")
    for note in found["notes"]:
        click.echo(f"otppi: {note}", err=True)


COMMANDS = (certificate,)
