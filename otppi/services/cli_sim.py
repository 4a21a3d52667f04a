"""The part of the command line that is about SIM cards, operators and the IMEI."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from otppi.services.cli_terms import as_json_option, ask, fail, show, speaks_plainly, state_dir_option

# A modem may have a message in hand first, and networks take their time.
_LIMIT_S = 180.0
_RADIO_LIMIT_S = 480.0


@click.group()
def sim() -> None:
    """Look after a modem's SIM: its PIN, SMS centre and operator.

    PIN and PUK are asked for on a terminal and otherwise read from standard input, one to a line. The last try of
    either is never spent.
    """


@sim.command("show")
@state_dir_option
@click.argument("modem")
@as_json_option
@speaks_plainly
def sim_show(state_dir: Path, modem: str, as_json: bool) -> None:
    """Show what MODEM tells of its SIM and its radio."""
    told = ask(state_dir, "sim.show", limit_s=_LIMIT_S, modem=modem)
    if as_json:
        show(told, as_json)
        return
    for name, value in _told(told).items():
        click.echo(f"{name}\t{value}")


def _told(told: Mapping[str, Any]) -> Mapping[str, str]:
    pin = {True: "asked for", False: "not asked for", None: "unknown"}[told["is_pin_set"]]
    if told["pin_tries"] is not None:
        pin += f", {told['pin_tries']} {'try' if told['pin_tries'] == 1 else 'tries'} left"
    if told["puk_tries"] is not None:
        pin += f", {told['puk_tries']} of the PUK"
    chosen = {True: " (chosen by hand)", False: " (chosen by the modem)", None: ""}[
        told["is_operator_chosen"]
    ]
    signal = "unknown" if told["signal_dbm"] is None else f"{told['signal_dbm']} dBm ({told['signal']})"
    return {
        "SIM": told["sim"],
        "PIN": pin,
        "ICCID": told["iccid"] or "unknown",
        "IMSI": told["imsi"] or "unknown",
        "number": told["number"] or "the SIM does not know it",
        "SMS centre": told["sms_center"] or "unknown",
        "operator": (told["operator"] or "none") + chosen,
        "network": told["registration"],
        "signal": signal,
        "messages": "unknown"
        if told["store_fill"] is None
        else f"the store is {told['store_fill']:.0%} full",
    }


@sim.group("pin")
def pin() -> None:
    """Enter, set, change or remove the PIN of a SIM."""


@pin.command("enter")
@state_dir_option
@click.argument("modem")
@speaks_plainly
def pin_enter(state_dir: Path, modem: str) -> None:
    """Enter the PIN that the SIM of MODEM waits for, and keep it."""
    _check_gateway(state_dir)
    ask(state_dir, "sim.pin.enter", limit_s=_LIMIT_S, modem=modem, pin=_code("PIN"))


@pin.command("set")
@state_dir_option
@click.argument("modem")
@speaks_plainly
def pin_set(state_dir: Path, modem: str) -> None:
    """Let the SIM of MODEM ask for its PIN, and keep that.

    Every SIM has a PIN from its operator, also one that does not ask for it; it is on the card that the SIM came in.
    """
    _check_gateway(state_dir)
    ask(state_dir, "sim.pin.set", limit_s=_LIMIT_S, modem=modem, pin=_code("PIN that the SIM has"))


@pin.command("change")
@state_dir_option
@click.argument("modem")
@speaks_plainly
def pin_change(state_dir: Path, modem: str) -> None:
    """Give the SIM of MODEM another PIN: first the present one, empty for the one in the settings, then the new."""
    _check_gateway(state_dir)
    present, new = _present_pin(), _code("New PIN", is_new=True)
    ask(state_dir, "sim.pin.change", limit_s=_LIMIT_S, modem=modem, pin=present, new_pin=new)


@pin.command("remove")
@state_dir_option
@click.argument("modem")
@speaks_plainly
def pin_remove(state_dir: Path, modem: str) -> None:
    """Let the SIM of MODEM ask for no PIN; its present one is needed, empty for the one in the settings."""
    _check_gateway(state_dir)
    ask(state_dir, "sim.pin.remove", limit_s=_LIMIT_S, modem=modem, pin=_present_pin())


@sim.command("unblock")
@state_dir_option
@click.argument("modem")
@speaks_plainly
def sim_unblock(state_dir: Path, modem: str) -> None:
    """Open a SIM that wrong PINs have blocked: its PUK first, then a new PIN.

    The PUK has eight digits and is on the card that the SIM came in; the operator tells it as well. Ten wrong ones end
    the SIM for good.
    """
    _check_gateway(state_dir)
    puk, new = _code("PUK"), _code("New PIN", is_new=True)
    ask(state_dir, "sim.unblock", limit_s=_LIMIT_S, modem=modem, puk=puk, new_pin=new)


@sim.command("sms-center")
@state_dir_option
@click.argument("modem")
@click.argument("number", required=False)
@speaks_plainly
def sim_sms_center(state_dir: Path, modem: str, number: str | None) -> None:
    """Show the number of the SMS centre that MODEM sends through, or set it."""
    show(ask(state_dir, "sim.center", limit_s=_LIMIT_S, modem=modem, number=number), False)


@sim.command("operators")
@state_dir_option
@click.argument("modem")
@as_json_option
@speaks_plainly
def sim_operators(state_dir: Path, modem: str, as_json: bool) -> None:
    """List the operators that MODEM can hear; takes up to three minutes, in which it sends nothing."""
    if not as_json:
        click.echo("otppi: the modem listens around, which may take three minutes", err=True)
    found = ask(state_dir, "sim.operators", limit_s=_RADIO_LIMIT_S, modem=modem)
    if as_json:
        show(found, as_json)
        return
    for one in found:
        click.echo(f"{one['code']}\t{one['name']}\t{one['status']}")


@sim.command("operator")
@state_dir_option
@click.argument("modem")
@click.argument("code", metavar="CODE|auto")
@speaks_plainly
def sim_operator(state_dir: Path, modem: str, code: str) -> None:
    """Register MODEM with the operator of this CODE (otppi sim operators), or with whichever it likes."""
    code = "" if code == "auto" else code
    ask(state_dir, "sim.operator", limit_s=_RADIO_LIMIT_S, modem=modem, code=code)


@sim.command("imei")
@state_dir_option
@click.argument("modem")
@click.argument("imei")
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
@speaks_plainly
def sim_imei(state_dir: Path, modem: str, imei: str, yes: bool) -> None:
    """Write another IMEI into MODEM and start it anew; off unless general.imei_writing is on.

    The law of many countries forbids it.
    """
    from otppi.gateway.policy import IMEI_WARNING

    if ask(state_dir, "settings.get", path="general.imei_writing"):
        click.echo(f"otppi: {IMEI_WARNING}", err=True)
        if not yes:
            click.confirm("Write it?", abort=True, err=True)
    ask(state_dir, "sim.imei", limit_s=_LIMIT_S, modem=modem, imei=imei)


def _check_gateway(state_dir: Path) -> None:
    """Ask nobody for a secret that no gateway is there to take."""
    ask(state_dir, "modem.list")


def _present_pin() -> str:
    return _code("Present PIN (none: that of the settings)", may_be_empty=True)


def _code(what: str, *, is_new: bool = False, may_be_empty: bool = False) -> str:
    """Read a PIN or PUK; never from an argument, which would show in the list of processes."""
    if sys.stdin.isatty():
        default = "" if may_be_empty else None
        code: str = click.prompt(
            what, default=default, show_default=False, hide_input=True, confirmation_prompt=is_new, err=True
        )
        return code
    code = sys.stdin.readline().rstrip("\r\n")
    if not code and not may_be_empty:
        fail({"message": f"no {what} on standard input"})
    return code
