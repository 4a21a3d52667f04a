"""The part of the command line that examines a modem, with or without a gateway."""

import os
import sys
from pathlib import Path

import click

from otppi.services.cli_terms import FAILED, fail, speaks_plainly, state_dir_option


@click.command("doctor")
@state_dir_option
@click.argument("port", required=False)
@click.option(
    "--send-to", metavar="NUMBER", help="Send one message to NUMBER, such as +62812…; best the SIM's own."
)
@click.option("--yes", is_flag=True, help="Send without asking first.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where report and transcript go; modem-doctor-MODEL-DATE.txt in this folder if not given.",
)
@click.option(
    "--baud", type=click.IntRange(300, 4_000_000), default=115_200, show_default=True, help="Line speed."
)
@click.option("--force", is_flag=True, help="Ask a port that is said not to take commands.")
@speaks_plainly
def doctor(
    state_dir: Path,
    port: str | None,
    send_to: str | None,
    yes: bool,
    output: Path | None,
    baud: int,
    force: bool,
) -> None:
    """Examine the modem at PORT, and write report and transcript; without PORT list the ports.

    Nothing is written to the SIM, no PIN is entered, no stored message is read. Numbers are hidden in the file, so
    that it is fit for a bug report. Exit code 0: it works; 1: something differs or hinders messages.
    """
    from otppi.lib.atomicfile import write_atomically
    from otppi.modems.transport import SerialLine
    from otppi.services import modem_doctor

    if port is None:
        lines = list(modem_doctor.ports())
        for line in lines:
            click.echo(line)
        if not lines:
            click.echo("otppi: no serial port is plugged in, and no stick that is a modem", err=True)
        return
    stick, named = modem_doctor.named(port)
    receiver = modem_doctor.receiver(send_to) if send_to is not None else None
    modem_doctor.check_that_it_may_be_asked(state_dir, stick, named, force=force)
    folder = output.parent if output is not None else Path()
    if not os.access(folder, os.W_OK):
        fail({"message": f"{folder.absolute()}: the report cannot be written there; give --output"})
    if receiver is not None and not yes:
        click.confirm(f"Send one message to {receiver.masked}, at the cost of the SIM?", abort=True)
    click.echo(f"Asking {named.node}; this takes some seconds.", err=True)
    visit = modem_doctor.visit(stick, named, SerialLine(baud_rate=baud), receiver)
    click.echo(visit.report)
    path = output or Path(visit.file_name)
    write_atomically(path, visit.document.encode())
    click.echo(f"\nReport and transcript, with numbers hidden: {path}")
    sys.exit(0 if visit.is_well else FAILED)
