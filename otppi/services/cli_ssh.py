"""The part of the command line that is about SSH: for root alone, as who may log in is root's to say."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from otppi.services.cli_terms import (
    administer,
    as_json_option,
    fail,
    show,
    speaks_plainly,
    state_dir_option,
)

if TYPE_CHECKING:
    from otppi.system.ssh.keys import PublicKey


@click.group()
def ssh() -> None:
    """Show who may log in by SSH, let others in, switch it off; as root, on a device that was flashed."""


@ssh.command("show")
@as_json_option
@speaks_plainly
def ssh_show(as_json: bool) -> None:
    """List the keys that open the device."""
    from otppi.system.ssh import access

    keys = access.allowed(access.FOLDER)
    if as_json:
        told = [{"kind": one.kind, "fingerprint": one.fingerprint, "comment": one.comment} for one in keys]
        show(told, as_json)
        return
    for one in keys:
        click.echo(f"{one.kind}\t{one.fingerprint}\t{one.comment}".rstrip())
    if not keys:
        click.echo("SSH is off")


@ssh.command("allow")
@state_dir_option
@click.argument("file", metavar="KEYFILE", type=click.File())
@speaks_plainly
def ssh_allow(state_dir: Path, file: TextIO) -> None:
    """Let the public keys in KEYFILE in, beside those that may already; - reads standard input."""
    from otppi.settings.fields import NotAccepted
    from otppi.system.ssh import access
    from otppi.system.ssh.keys import keys_in

    present = access.allowed(access.FOLDER)
    try:
        more = keys_in(file.read())
    except NotAccepted as error:
        fail({"message": f"{file.name}: {error}"})
    if not more:
        fail({"message": f"{file.name}: there is no key in it"})
    _switch(state_dir, (*present, *more))


@ssh.command("off")
@state_dir_option
@speaks_plainly
def ssh_off(state_dir: Path) -> None:
    """Forget all keys and switch SSH off; who is logged in stays until the session ends."""
    from otppi.system.ssh import access

    access.expect_ours(access.FOLDER)
    _switch(state_dir, ())


def _switch(state_dir: Path, keys: "Sequence[PublicKey]") -> None:
    from otppi.services.rights import rights_of_owner
    from otppi.services.ssh import UNIT
    from otppi.system.ssh import access
    from otppi.system.units import SystemdUnits

    access.allow_only(access.FOLDER, keys)
    # The open ports are settings of the gateway; without one that runs its folder is written here.
    with rights_of_owner(state_dir):
        administer(state_dir, "ssh.ports", is_open=bool(keys))
    units = SystemdUnits(frozenset({UNIT}))
    units.start(UNIT) if keys else units.stop(UNIT)
