"""The part of the command line that is about what messages cost and which way they take."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from otppi.model.operators import OPERATORS
from otppi.model.tariff import shown_money
from otppi.services.cli_terms import administer, as_json_option, ask, show, speaks_plainly, state_dir_option


@click.command("price")
@state_dir_option
@click.argument("modem")
@click.argument("prices", nargs=-1, metavar="[PREFIXES=PRICE]...")
@as_json_option
@speaks_plainly
def price(state_dir: Path, modem: str, prices: tuple[str, ...], as_json: bool) -> None:
    """Show what the SIM of MODEM is charged for one part of a message, or set all its prices.

    62811+62812=50 is a price for prefixes, telkomsel=50 for those of an operator (otppi operators), other=350 for all
    further numbers. "62811=50 after 100/month" is a step: the price once so many parts were sent.
    """
    tariff = administer(state_dir, "modem.price", modem=modem, prices=list(prices))
    if as_json:
        show(tariff, as_json)
        return
    for line in tariff:
        click.echo(line)


@click.command()
@state_dir_option
@click.argument("number")
@click.option(
    "--parts", type=click.IntRange(1, 255), default=1, show_default=True, help="Parts of the message."
)
@click.option(
    "--code", "is_code", is_flag=True, help="As for a one-time password, which may use the reserve."
)
@as_json_option
@speaks_plainly
def route(state_dir: Path, number: str, parts: int, is_code: bool, as_json: bool) -> None:
    """Show which modems a message to NUMBER would be tried at, in which order and why; nothing is sent."""
    found = ask(state_dir, "route", number=number, parts=parts, is_code=is_code)
    if as_json:
        show(found, as_json)
        return
    for one in found["modems"]:
        cost = "?" if one["cost"] is None else f"{one['cost']} {found['currency']}"
        click.echo(f"{one['turn'] or '-'}\t{one['modem']}\t{cost}\t{one['reason']}")


@click.command()
@state_dir_option
@as_json_option
@speaks_plainly
def cost(state_dir: Path, as_json: bool) -> None:
    """Show what each modem's SIM has sent, what it cost, and what the choice by price saved.

    Saved is measured against sending the same through the default modems in turns, or through all of them where none
    is the default.
    """
    found = ask(state_dir, "cost")
    if as_json:
        show(found, as_json)
        return
    for one in found["modems"]:
        for period in ("today", "day_before", "this_month", "month_before"):
            if one[period]["label"] or one[period]["parts"]:
                click.echo(f"{one['modem']}\t{_line(one[period], found['currency'])}")
        if one["quota_left"]:
            left = ", ".join(f"{parts} this {period}" for period, parts in one["quota_left"].items())
            click.echo(f"{one['modem']}\tleft by the quota: {left}")


def _line(totals: Mapping[str, Any], currency: str) -> str:
    spent, saved = (shown_money(round(Decimal(totals[key]), 2)) for key in ("cost", "saved"))
    return (
        f"{totals['label'] or 'now'}\t{totals['parts']} parts\t{spent} {currency}\tsaved {saved} {currency}"
    )


@click.command()
@as_json_option
def operators(as_json: bool) -> None:
    """List the presets of operators: their prefixes, and their access to mobile internet."""
    if as_json:
        show([vars(one) for one in OPERATORS], as_json)
        return
    for one in OPERATORS:
        click.echo(f"{one.key}\t{one.name}\t{','.join(one.prefixes)}")
        account = f" {one.apn_username} {one.apn_password}" if one.apn_username else ""
        click.echo(f"\tAPN {one.apn}{account}, dial {one.dial_number}")


COMMANDS = (route, cost, operators)
