"""What all commands of the command line share: their options, their errors, and how they reach a gateway."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from otppi.services.control import NotRunning, Refused, Unanswered, call

FAILED, NOT_RUNNING, UNKNOWN = 1, 3, 4
CALL_LIMIT_S = 30.0
SEND_LIMIT_S = 400.0  # longer than any caller may wait by the settings

state_dir_option = click.option(
    "--state-dir",
    # Whether it can be read is not for click to say: a unit may become the folder's owner first.
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    default=Path("/var/lib/otppi"),
    envvar="OTPPI_STATE_DIR",
    show_default=True,
    show_envvar=True,
    help="Folder that holds settings and keys.",
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print data as JSON.")


def speaks_plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Turn refusals into one line on standard error and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        from otppi.lib.filelock import AlreadyHeld
        from otppi.model.errors import OtpPiError
        from otppi.services.control import describe

        try:
            command(*args, **kwargs)
        except Refused as error:
            fail(error.document)
        except OtpPiError as error:
            fail(describe(error))
        except NotRunning:
            fail({"message": "no gateway runs in this state folder"}, NOT_RUNNING)
        except Unanswered:
            fail({"message": "the gateway did not answer; it may have been done"}, UNKNOWN)
        except AlreadyHeld:
            fail({"message": "a gateway or another command already holds the state folder"})
        except OSError as error:
            fail({"message": f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")})

    return wrapped


def fail(error: Mapping[str, Any], exit_code: int = FAILED) -> NoReturn:
    """Say what went wrong, a line for each field, and end."""
    for field, reason in (error.get("errors") or {"": error.get("message", "failed")}).items():
        click.echo(f"otppi: {field}: {reason}" if field else f"otppi: {reason}", err=True)
    sys.exit(UNKNOWN if error.get("code") == "1408" else exit_code)


def administer(state_dir: Path, function: str, /, **args: Any) -> Any:  # noqa: ANN401 - JSON
    """Do it in the gateway that owns the folder, or in the folder itself if none runs."""
    try:
        return call(state_dir, function, args, CALL_LIMIT_S)
    except NotRunning:
        from otppi.services import offline

        return offline.administer(state_dir, function, args)


def show(value: Any, as_json: bool) -> None:  # noqa: ANN401 - JSON
    """Print a value: as JSON if that was asked for or if it is no simple one."""
    if as_json or isinstance(value, bool) or not isinstance(value, str | int | float | None):
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        click.echo("" if value is None else value)


def message_text(given: str) -> str:
    """Return the text of a message; with - it is read from standard input."""
    return sys.stdin.read().rstrip("\n") if given == "-" else given


def show_sent(answer: Mapping[str, Any], as_json: bool) -> None:
    """Say what became of a message; ends with the exit code for it if it was not sent."""
    if answer["response_code"] != "0000":
        if as_json:
            show(answer, as_json)
        fail({"code": answer["response_code"], "message": f"{answer['response_code']} {answer['error']}"})
    data = answer["data"]
    if "account" in data:
        said = f"sent by {data['account']}"
    else:
        said = f"sent in {data['parts']} part{'s' if data['parts'] > 1 else ''}"
    show(answer if as_json else said, as_json)


def ask(state_dir: Path, function: str, /, *, limit_s: float = CALL_LIMIT_S, **args: Any) -> Any:  # noqa: ANN401
    """Ask the gateway that owns the folder; there must be one."""
    return call(state_dir, function, args, limit_s)
