"""The commands `otppi publish …`: what `Publisher` does, for scripts and for a first try.

Exit codes: 0 done, or published where no answer was asked for; 1 refused or failed; 2 wrong usage; 4 nobody says what
became of it.
"""

import json
import logging
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from otppi.publisher.errors import PublisherError

if TYPE_CHECKING:
    from otppi.publisher.answer import Answer
    from otppi.publisher.publisher import Publisher

_FAILED, _UNKNOWN = 1, 4

_config = click.option(
    "--config",
    "config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="OTPPI_PUBLISH_CONFIG",
    required=True,
    show_envvar=True,
    help="The ini file: how to reach the gateway.",
)
_fallback = click.option(
    "--fallback",
    multiple=True,
    metavar="RECEIVER",
    help="Number or address that it goes to if it does not get through; may be given several times.",
)
_wait = click.option("--wait", is_flag=True, help="Over a broker, wait for the answer of the gateway.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_life = click.option(
    "--life", "life_s", type=click.IntRange(min=1), default=300, show_default=True, help="Life, in seconds."
)
_subject = click.option("--subject", default="", help="Subject of an e-mail.")
_id = click.option(
    "--id", "message_id", default="", help="Name of the message: a repeat of it is not sent again."
)
_params = click.option(
    "--param", "params", multiple=True, help="At most four, the same when the code is verified."
)


@click.group()
def publish() -> None:
    """Have a gateway send messages, over HTTP or a message broker."""
    # What libraries would print of their own accord is said by our errors.
    logging.getLogger().addHandler(logging.NullHandler())


def _speaks_plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Turn failures into one line on standard error and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        try:
            command(*args, **kwargs)
        except PublisherError as error:
            _fail(str(error), _UNKNOWN if error.is_unknown else _FAILED)

    return wrapped


@publish.command()
@_config
@click.argument("receiver")
@click.argument("reference")
@_life
@_params
@_subject
@_id
@_fallback
@_wait
@_as_json
@_speaks_plainly
def create(
    config: Path,
    receiver: str,
    reference: str,
    life_s: int,
    params: tuple[str, ...],
    subject: str,
    message_id: str,
    fallback: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Make a code of transaction REFERENCE and send it to RECEIVER.

    The text, with one %s where the code goes, comes from standard input or is asked for.
    """
    _check(params)
    text = _text("Text, with %s where the code goes")
    answer = _publisher(config).create_otp(
        receiver,
        reference,
        life_s,
        text,
        params,
        subject,
        message_id,
        wait_for_answer=wait or None,
        fallback=fallback,
    )
    _show(answer, as_json, "sent")


@publish.command()
@_config
@click.argument("receiver")
@click.argument("reference")
@_params
@_as_json
@_speaks_plainly
def verify(config: Path, receiver: str, reference: str, params: tuple[str, ...], as_json: bool) -> None:
    """Check the code that RECEIVER typed for transaction REFERENCE; it comes from standard input or is asked for."""
    _check(params)
    _show(_publisher(config).verify_otp(receiver, _text("Code"), reference, params), as_json, "right")


@publish.command()
@_config
@click.argument("receiver")
@_life
@_id
@_fallback
@_wait
@_as_json
@_speaks_plainly
def sms(
    config: Path,
    receiver: str,
    life_s: int,
    message_id: str,
    fallback: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Send a text message; the text comes from standard input or is asked for."""
    answer = _publisher(config).send_sms(
        receiver,
        _text("Text"),
        lifetime_s=life_s,
        id=message_id,
        wait_for_answer=wait or None,
        fallback=fallback,
    )
    _show(answer, as_json, "sent")


@publish.command()
@_config
@click.argument("receiver")
@_subject
@_life
@_id
@_fallback
@_wait
@_as_json
@_speaks_plainly
def email(
    config: Path,
    receiver: str,
    subject: str,
    life_s: int,
    message_id: str,
    fallback: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Send an e-mail; the text comes from standard input or is asked for."""
    answer = _publisher(config).send_email(
        receiver,
        subject,
        _text("Text"),
        lifetime_s=life_s,
        id=message_id,
        wait_for_answer=wait or None,
        fallback=fallback,
    )
    _show(answer, as_json, "sent")


@publish.command()
@_config
@click.argument("receiver")
@_subject
@_life
@_id
@_fallback
@_wait
@_as_json
@_speaks_plainly
def message(
    config: Path,
    receiver: str,
    subject: str,
    life_s: int,
    message_id: str,
    fallback: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Send a text message, or an e-mail if RECEIVER is an address; the text as with sms."""
    answer = _publisher(config).send_message(
        receiver,
        _text("Text"),
        subject=subject,
        lifetime_s=life_s,
        id=message_id,
        wait_for_answer=wait or None,
        fallback=fallback,
    )
    _show(answer, as_json, "sent")


@publish.command()
@_config
@click.argument("number")
@_wait
@_as_json
@_speaks_plainly
def block(config: Path, number: str, wait: bool, as_json: bool) -> None:
    """Block NUMBER: no modem sends to it any more."""
    _show(_publisher(config).block(number, wait_for_answer=wait or None), as_json, "blocked")


@publish.command()
@_config
@click.argument("number")
@_wait
@_as_json
@_speaks_plainly
def unblock(config: Path, number: str, wait: bool, as_json: bool) -> None:
    """Let a blocked NUMBER receive messages again."""
    _show(_publisher(config).unblock(number, wait_for_answer=wait or None), as_json, "no longer blocked")


@publish.command()
@_config
@_as_json
@_speaks_plainly
def modems(config: Path, as_json: bool) -> None:
    """List the modems of the gateway."""
    answer = _publisher(config).modem_list()
    lines = [
        f"{one.get('name', '')}\t{one.get('state', '')}\t{one.get('copsOperator', '')}\t{name}"
        for name, one in answer.modems.items()
    ]
    _show(answer, as_json, "\n".join(lines) or "no modem is set up")


@publish.command()
@_config
@click.argument("modem")
@click.argument("code", required=False)
@_as_json
@_speaks_plainly
def ussd(config: Path, modem: str, code: str | None, as_json: bool) -> None:
    """Dial CODE, for example *888#, through MODEM and print what the network says.

    Where it waits for a reply, give that as CODE of the next call. Without CODE it comes from standard input or is
    asked for.
    """
    answer = _publisher(config).request_ussd(modem, code or _text("Code"))
    _show(answer, as_json, answer.text)
    if answer.expects_reply and not as_json:
        click.echo("otppi: the network waits for a reply", err=True)


def _publisher(config: Path) -> "Publisher":
    from otppi.publisher.publisher import Publisher

    return Publisher.from_ini(config)


def _text(what: str) -> str:
    """Read what no list of processes is to show."""
    text: str = click.prompt(what) if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not text:
        raise click.UsageError("nothing came on standard input")
    return text


def _check(params: tuple[str, ...]) -> None:
    if len(params) > 4:
        raise click.UsageError("give --param at most four times")


def _show(answer: "Answer", as_json: bool, done: str) -> None:
    """Print the outcome; ends with the exit code for one that is no success."""
    if as_json:
        click.echo(json.dumps(answer.as_document(), indent=2, ensure_ascii=False))
    if answer.is_success or not answer.is_answered:
        if not as_json:
            click.echo(done if answer.is_answered else "published")
        return
    words = answer.error or ("nobody says what became of it" if answer.is_unknown else "refused")
    _fail(f"{answer.code} {words}".strip(), _UNKNOWN if answer.is_unknown else _FAILED)


def _fail(reason: str, exit_code: int) -> NoReturn:
    click.echo(f"otppi: {reason}", err=True)
    sys.exit(exit_code)
