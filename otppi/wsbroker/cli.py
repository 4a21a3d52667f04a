"""The part of the command line that is about the WebSocket broker."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

_FAILED = 1
_file = click.Path(dir_okay=False, path_type=Path)
_log_levels = click.Choice(["debug", "info", "warning", "error"])
_htpasswd = click.option("--htpasswd", type=_file, help="File of user names and passwords, in Apache's form.")


@click.group("ws-broker", invoke_without_command=True)
@click.option(
    "--host",
    default="0.0.0.0",  # noqa: S104 - as the PHP server did
    show_default=True,
    help="Address to listen on; :: is all, IPv4 as well.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=9000, show_default=True)
@_htpasswd
@click.option("--certificate", type=_file, help="Certificate for TLS with its chain, as PEM.")
@click.option("--key", type=_file, help="Its private key, without a passphrase.")
@click.option(
    "--memory-s",
    type=click.FloatRange(1, 60),
    default=5.0,
    show_default=True,
    help="For how many seconds messages are kept for clients that come late.",
)
@click.option("--max-connections", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--max-per-address", type=click.IntRange(min=1), default=250, show_default=True)
@click.option("--max-per-user", type=click.IntRange(min=1), default=500, show_default=True)
@click.option(
    "--max-rate",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Messages a second of one user; what is sent faster waits.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded-For says who the client is; may be given several times.",
)
@click.option("--log-level", type=_log_levels, default="info", show_default=True)
@click.pass_context
def ws_broker(
    context: click.Context,
    host: str,
    port: int,
    htpasswd: Path | None,
    certificate: Path | None,
    key: Path | None,
    memory_s: float,
    max_connections: int,
    max_per_address: int,
    max_per_user: int,
    max_rate: int,
    proxies: tuple[str, ...],
    log_level: str,
) -> None:
    """Run a WebSocket broker until SIGTERM or SIGINT.

    Clients connect to any path with ?topic=NAME and Basic authentication. What one sends goes to all others on its
    topic.
    """
    if context.invoked_subcommand is not None:
        return
    if htpasswd is None:
        raise click.UsageError("give --htpasswd; 'otppi ws-broker password USER --htpasswd FILE' makes one")
    if (certificate is None) != (key is None):
        raise click.UsageError("give --certificate and --key together")
    from otppi.lib import logfmt
    from otppi.wsbroker.limits import Limits
    from otppi.wsbroker.service import CannotStart, serve

    logfmt.configure(log_level)
    limits = Limits(
        connections=max_connections,
        per_address=max_per_address,
        per_user=max_per_user,
        messages_per_s=max_rate,
        memory_s=memory_s,
    )
    try:
        serve(host, port, htpasswd=htpasswd, certificate=certificate, key=key, limits=limits, proxies=proxies)
    except CannotStart as error:
        _fail(str(error))


@ws_broker.command()
@click.argument("user")
@_htpasswd
def password(user: str, htpasswd: Path | None) -> None:
    """Read the password of USER from standard input and print its line for the file, or put it into --htpasswd."""
    from otppi.wsbroker.passwords import LONGEST_BCRYPT_BYTES, hashed, is_user_name

    if not is_user_name(user):
        _fail("a user name has no colon and no control character, and does not begin with #")
    clear = sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not clear:
        _fail("no password on standard input")
    if len(clear) > LONGEST_BCRYPT_BYTES or b"\0" in clear:
        _fail(f"a password has at most {LONGEST_BCRYPT_BYTES} bytes, and none of them is 0")
    line = f"{user}:{hashed(clear)}"
    if htpasswd is None:
        click.echo(line)
        return
    try:
        _put(htpasswd, line)
    except OSError as error:
        _fail(f"{htpasswd} cannot be written: {error.strerror}")


def _put(file: Path, line: str) -> None:
    """Change a file as a whole; it still belongs to whom it did, and may be read by them."""
    from otppi.lib.atomicfile import write_atomically
    from otppi.wsbroker.passwords import with_line

    before = file.stat() if file.exists() else None
    write_atomically(file, with_line(file.read_bytes() if before is not None else b"", line))
    if before is not None:
        os.chown(file, before.st_uid, before.st_gid)
        file.chmod(before.st_mode & 0o777)


def _fail(reason: str) -> NoReturn:
    click.echo(f"otppi: {reason}", err=True)
    sys.exit(_FAILED)
