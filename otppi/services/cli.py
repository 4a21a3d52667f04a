"""The command line: everything that can be done without a browser.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no gateway runs where one is needed, 4 the outcome of
a message is unknown.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

import otppi
from otppi.services import (
    cli_backup,
    cli_brokers,
    cli_certificate,
    cli_ddns,
    cli_device,
    cli_doctor,
    cli_inbox,
    cli_mail,
    cli_prices,
    cli_sim,
    cli_ssh,
)
from otppi.services.cli_terms import (
    CALL_LIMIT_S,
    FAILED,
    SEND_LIMIT_S,
    administer,
    as_json_option,
    fail,
    message_text,
    show,
    show_sent,
    speaks_plainly,
    state_dir_option,
)
from otppi.services.control import NotRunning, call

_password_stdin = click.option(
    "--password-stdin", is_flag=True, required=True, help="Read the password from standard input."
)
_passphrase_stdin = click.option(
    "--passphrase-stdin", is_flag=True, help="Read a passphrase for the secrets from standard input."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(otppi.__version__, prog_name="otppi")
def main() -> None:
    """OTP-Pi: one-time passwords by SMS from your own modems."""


def _read_secret(what: str) -> str:
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        fail({"message": f"no {what} on standard input"})
    return secret


@main.command()
@state_dir_option
@click.option(
    "--runtime-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder on a RAM file system for what a restart keeps and a power cut forgets.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@click.option(
    "--device",
    "on_device",
    is_flag=True,
    help="Look after this machine as well: its network, firewall, clock, buzzer. For a device that is OTP-Pi alone.",
)
@speaks_plainly
def serve(state_dir: Path, runtime_dir: Path | None, log_level: str, on_device: bool) -> None:
    """Run the gateway until SIGTERM or SIGINT."""
    from otppi.lib import logfmt
    from otppi.services.serve import serve as run

    logfmt.configure(log_level)
    run(state_dir, runtime_dir, on_device=on_device)


@main.command()
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-state"),
    show_default=True,
    help="Folder of the demo; remove it to start anew.",
)
@click.option("--admin-port", type=int, default=8888, show_default=True)
@click.option("--api-port", type=int, default=8899, show_default=True)
@click.option("--https-port", type=int, default=10443, show_default=True)
@click.option("--admin-https-port", type=int, default=8443, show_default=True)
@speaks_plainly
def demo(state_dir: Path, admin_port: int, api_port: int, https_port: int, admin_https_port: int) -> None:
    """Run the gateway on loopback with five simulated modems."""
    from otppi.services.demo import Ports, run

    run(
        state_dir.absolute(),
        Ports(admin=admin_port, api=api_port, https=https_port, admin_https=admin_https_port),
    )


_prefix = click.option("--prefix", help="Number prefixes with country code, separated by commas.")
_default = click.option(
    "--default/--no-default",
    "is_default",
    default=None,
    help="Whether it takes numbers that no modem has a prefix for.",
)


def _prefixes(given: str | None) -> list[str] | None:
    return None if given is None else [one.strip() for one in given.split(",") if one.strip()]


@main.group()
def modem() -> None:
    """Add, list and remove modems."""


@modem.command("add")
@state_dir_option
@click.option("--name", required=True, help="What people call the modem.")
@click.option("--port", help="Its serial port, for example /dev/ttyUSB0.")
@click.option("--imei", help="Its IMEI, by which a device finds it at any port.")
@_prefix
@_default
@as_json_option
@speaks_plainly
def modem_add(
    state_dir: Path,
    name: str,
    port: str | None,
    imei: str | None,
    prefix: str | None,
    is_default: bool | None,
    as_json: bool,
) -> None:
    """Add a modem, active and used by the API; the same name again changes what is given."""
    if port is None and imei is None:
        raise click.UsageError("give --port or --imei")
    added = administer(
        state_dir,
        "modem.add",
        name=name,
        port=port,
        prefixes=_prefixes(prefix),
        is_default=is_default,
        imei=imei,
    )
    show(added if as_json else f"modem {added['name']} ({added['id']})", as_json)


@modem.command("found")
@state_dir_option
@as_json_option
@speaks_plainly
def modem_found(state_dir: Path, as_json: bool) -> None:
    """List the modems that are plugged in, used or not, and why each is asked at this port."""
    found = call(state_dir, "modem.found", {}, CALL_LIMIT_S)
    if as_json:
        show(found, as_json)
        return
    for one in found["modems"]:
        use = one["problem"] or "new"
        if one["used_as"]:
            use = f"used as {one['used_as']}" + (f" ({one['problem']})" if one["problem"] else "")
        click.echo(f"{one['node']}\t{one['family']}\t{one['make']}\t{one['imei']}\t{use}")
        click.echo(f"\t{one['why']}" + (f"; firmware {one['revision']}" if one["revision"] else ""))
    for problem in found["problems"]:
        click.echo(f"otppi: {problem}", err=True)
    if not found["modems"] and not found["problems"]:
        click.echo("otppi: no modem is plugged in; all ports: otppi modem doctor", err=True)


@modem.command("use")
@state_dir_option
@click.argument("modem", metavar="NODE|IMEI")
@click.option(
    "--name", required=True, help="What people call the modem; a present name gets this one instead."
)
@_prefix
@_default
@as_json_option
@speaks_plainly
def modem_use(
    state_dir: Path, modem: str, name: str, prefix: str | None, is_default: bool | None, as_json: bool
) -> None:
    """Use a modem that was found."""
    added = call(
        state_dir,
        "modem.use",
        {"modem": modem, "name": name, "prefixes": _prefixes(prefix), "is_default": is_default},
        CALL_LIMIT_S,
    )
    show(added if as_json else f"modem {added['name']} ({added['id']})", as_json)


@modem.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def modem_list(state_dir: Path, as_json: bool) -> None:
    """List the modems, with their state if the gateway runs."""
    modems = administer(state_dir, "modem.list")
    if as_json:
        show(modems, as_json)
        return
    for one in modems:
        state = one["state"] + (f" ({one['reason']})" if one["reason"] else "")
        if one["state"] == "ready" and one["registration"] != "unknown":
            state += f", {one['registration']}"
        marks = ",".join(one["prefixes"]) + (" default" if one["defaultModem"] else "")
        click.echo(f"{one['name']}\t{one['port']}\t{state}\t{marks.strip()}\t{one['id']}")
    if not modems:
        click.echo(
            "otppi: no modem is set up: otppi modem found, then otppi modem use; or otppi modem add", err=True
        )


@modem.command("apn")
@state_dir_option
@click.argument("modem")
@click.argument("operator")
@speaks_plainly
def modem_apn(state_dir: Path, modem: str, operator: str) -> None:
    """Set what MODEM needs for mobile internet with OPERATOR, by the presets (otppi operators)."""
    preset = administer(state_dir, "modem.apn", modem=modem, operator=operator)
    click.echo(f"{preset['name']}: APN {preset['apn']}, dial {preset['dial_number']}")


@modem.command("remove")
@state_dir_option
@click.argument("name")
@speaks_plainly
def modem_remove(state_dir: Path, name: str) -> None:
    """Remove a modem by name or id."""
    administer(state_dir, "settings.remove", section="modems", item=name)


@main.group("api-user")
def api_user() -> None:
    """Add, list and remove accounts that may use the REST API."""


@api_user.command("add")
@state_dir_option
@click.argument("user")
@_password_stdin
@speaks_plainly
def api_user_add(state_dir: Path, user: str, password_stdin: bool) -> None:
    """Add an API user; an existing one gets the new password."""
    _ = password_stdin  # there is no other way: an argument would show in the list of processes
    administer(state_dir, "api_user.add", user=user, password=_read_secret("password"))


@api_user.command("remove")
@state_dir_option
@click.argument("user")
@speaks_plainly
def api_user_remove(state_dir: Path, user: str) -> None:
    """Remove an API user."""
    administer(state_dir, "settings.remove", section="api_users", item=user)


@main.group()
def admin() -> None:
    """Add, list and remove administrators, for the admin pages that are to come."""


@admin.command("add")
@state_dir_option
@click.argument("user")
@_password_stdin
@speaks_plainly
def admin_add(state_dir: Path, user: str, password_stdin: bool) -> None:
    """Add an administrator; an existing one gets the new password."""
    _ = password_stdin
    administer(state_dir, "admin.add", user=user, password=_read_secret("password"))


@api_user.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def api_user_list(state_dir: Path, as_json: bool) -> None:
    """List the API users."""
    _show_accounts(administer(state_dir, "account.list", section="api_users"), as_json)


@admin.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def admin_list(state_dir: Path, as_json: bool) -> None:
    """List the administrators."""
    _show_accounts(administer(state_dir, "account.list", section="admins"), as_json)


@admin.command("remove")
@state_dir_option
@click.argument("user")
@speaks_plainly
def admin_remove(state_dir: Path, user: str) -> None:
    """Remove an administrator."""
    administer(state_dir, "settings.remove", section="admins", item=user)


def _show_accounts(accounts: Any, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        show(accounts, as_json)
        return
    for one in accounts:
        state = "active" if one["active"] and not one["blocked"] else "switched off"
        click.echo(f"{one['user']}\t{state}\t{one['name']}")


@main.command()
@state_dir_option
@click.argument("number")
@speaks_plainly
def block(state_dir: Path, number: str) -> None:
    """Block NUMBER: it gets no message from any modem."""
    administer(state_dir, "number.block", number=number, blocked=True)


@main.command()
@state_dir_option
@click.argument("number")
@speaks_plainly
def unblock(state_dir: Path, number: str) -> None:
    """Let a blocked NUMBER receive messages again."""
    administer(state_dir, "number.block", number=number, blocked=False)


@main.command()
@state_dir_option
@click.argument("modem")
@click.argument("code", required=False)
@click.option("--cancel", is_flag=True, help="End the session that is open at MODEM, whoever opened it.")
@as_json_option
@speaks_plainly
def ussd(state_dir: Path, modem: str, code: str | None, cancel: bool, as_json: bool) -> None:
    """Dial CODE, for example *888#, through MODEM and print what the network says.

    Where it waits for a reply a terminal is asked for one; otherwise give the reply as CODE of the next call.
    """
    if cancel == bool(code):
        raise click.UsageError("give a CODE or --cancel")
    is_asked = not as_json and sys.stdin.isatty()
    while code:
        answer = _answered(call(state_dir, "ussd", {"modem": modem, "code": code}, SEND_LIMIT_S))
        show(answer if as_json else answer["data"]["ussd_response"], as_json)
        if not answer["data"]["replyable"]:
            return
        if not is_asked:
            click.echo("otppi: the network waits for a reply", err=True)
            return
        try:
            code = click.prompt("Reply (none to end it)", default="", show_default=False)
        except click.Abort:
            code = ""
    _answered(call(state_dir, "ussd.cancel", {"modem": modem}, SEND_LIMIT_S))


def _answered(answer: Any) -> Any:  # noqa: ANN401 - JSON
    if answer["response_code"] != "0000":
        fail({"code": answer["response_code"], "message": f"{answer['response_code']} {answer['error']}"})
    return answer


@main.command()
@state_dir_option
@click.argument("modem", required=False)
@as_json_option
@speaks_plainly
def balance(state_dir: Path, modem: str | None, as_json: bool) -> None:
    """Ask the SIM of MODEM for its balance; without MODEM print what is known of all."""
    if modem:
        balances = [call(state_dir, "balance.ask", {"modem": modem}, SEND_LIMIT_S)]
    else:
        balances = call(state_dir, "balance.list", {}, CALL_LIMIT_S)
    if as_json:
        show(balances, as_json)
        return
    for one in balances:
        asked = datetime.fromtimestamp(one["at"]).strftime("%Y-%m-%d %H:%M") if "at" in one else ""
        click.echo(f"{one['modem']}\t{one.get('amount', 'unknown')}\t{one.get('valid_until') or ''}\t{asked}")


@main.group()
def settings() -> None:
    """Show and change settings."""


@settings.command("get")
@state_dir_option
@click.argument("path", metavar="[SECTION[.KEY]]", required=False)
@as_json_option
@speaks_plainly
def settings_get(state_dir: Path, path: str | None, as_json: bool) -> None:
    """Show one value, one section, or all; secrets show only whether they are set."""
    show(administer(state_dir, "settings.get", path=path), as_json)


_value_stdin = click.option(
    "--value-stdin", is_flag=True, help="Read the last value from standard input, as fits a secret."
)


@settings.command("set")
@state_dir_option
@click.argument("pairs", nargs=-1, required=True, metavar="SECTION.KEY VALUE [SECTION.KEY VALUE]...")
@_value_stdin
@speaks_plainly
def settings_set(state_dir: Path, pairs: tuple[str, ...], value_stdin: bool) -> None:
    """Change values, all of them or none; a running gateway acts on it at once."""
    values = _paired(pairs, value_stdin, "SECTION.KEY")
    before = cli_device.present_outcome(state_dir, values)
    administer(state_dir, "settings.set", values=values)
    cli_device.tell_of_trial(state_dir, before)


@settings.command("add")
@state_dir_option
@click.argument("section")
@click.argument("item")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY VALUE [KEY VALUE]...")
@_value_stdin
@speaks_plainly
def settings_add(state_dir: Path, section: str, item: str, pairs: tuple[str, ...], value_stdin: bool) -> None:
    """Add an item to a section that has many, such as email_accounts or ddns; ITEM names it from then on."""
    values = _paired(pairs, value_stdin, "KEY")
    administer(state_dir, "settings.put", section=section, item=item, values=values, is_new=True)


@settings.command("remove")
@state_dir_option
@click.argument("section")
@click.argument("item")
@speaks_plainly
def settings_remove(state_dir: Path, section: str, item: str) -> None:
    """Remove an item of a section that has many, by its id or name."""
    administer(state_dir, "settings.remove", section=section, item=item)


def _paired(pairs: tuple[str, ...], value_stdin: bool, key: str) -> dict[str, str]:
    if value_stdin:
        pairs = (*pairs, _read_secret("value"))
    if len(pairs) % 2:
        raise click.UsageError(f"give a VALUE for each {key}, or --value-stdin")
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


@settings.command("reset")
@state_dir_option
@click.argument("section")
@speaks_plainly
def settings_reset(state_dir: Path, section: str) -> None:
    """Give a section its factory value."""
    administer(state_dir, "settings.reset", section=section)


@settings.command("export")
@state_dir_option
@_passphrase_stdin
@speaks_plainly
def settings_export(state_dir: Path, passphrase_stdin: bool) -> None:
    """Print all settings as JSON; without a passphrase secrets are left out."""
    passphrase = _read_secret("passphrase") if passphrase_stdin else None
    show(administer(state_dir, "settings.export", passphrase=passphrase), True)


@settings.command("import")
@state_dir_option
@click.argument("file", type=click.File())
@_passphrase_stdin
@speaks_plainly
def settings_import(state_dir: Path, file: Any, passphrase_stdin: bool) -> None:  # noqa: ANN401 - click's file
    """Take over exported settings from FILE, all of them or nothing."""
    passphrase = _read_secret("passphrase") if passphrase_stdin else None
    try:
        document = json.load(file)
    except ValueError:
        fail({"message": f"{file.name}: is not JSON"})
    show(administer(state_dir, "settings.import", document=document, passphrase=passphrase), True)


@settings.command("check")
@state_dir_option
@as_json_option
@speaks_plainly
def settings_check(state_dir: Path, as_json: bool) -> None:
    """Say what is wrong in the stored settings; exit code 1 if something is."""
    problems = administer(state_dir, "settings.check")
    if as_json:
        show(problems, as_json)
    else:
        for field, reason in problems.items():
            click.echo(f"{field}: {reason}")
        if not problems:
            click.echo("all settings are well")
    sys.exit(FAILED if problems else 0)


@main.command()
@state_dir_option
@click.argument("number")
@click.argument("text")
@as_json_option
@speaks_plainly
def send(state_dir: Path, number: str, text: str, as_json: bool) -> None:
    """Send TEXT to NUMBER through the running gateway and wait for the outcome.

    With - as TEXT it is read from standard input, so that it does not show in the list of processes.
    """
    answer = call(state_dir, "send", {"number": number, "text": message_text(text)}, SEND_LIMIT_S)
    show_sent(answer, as_json)


@main.command()
@state_dir_option
@as_json_option
@speaks_plainly
def diagnose(state_dir: Path, as_json: bool) -> None:
    """Check the parts of the device; exit code 1 if something is red."""
    from otppi.services.offline import diagnose as look

    try:
        checks = call(state_dir, "diagnose", {}, CALL_LIMIT_S)
    except NotRunning:
        checks = look(state_dir)
    if as_json:
        show(checks, as_json)
    else:
        for check in checks:
            click.echo(f"{check['level']:6} {check['name']}: {check['finding']}")
            if check["advice"]:
                click.echo(f"       → {check['advice']}")
    sys.exit(FAILED if any(check["level"] == "red" for check in checks) else 0)


for _command in (
    *cli_backup.COMMANDS,
    *cli_certificate.COMMANDS,
    *cli_device.COMMANDS,
    *cli_inbox.COMMANDS,
    *cli_prices.COMMANDS,
    cli_sim.sim,
    cli_ssh.ssh,
    cli_brokers.broker,
    cli_mail.mail,
    cli_ddns.ddns,
):
    main.add_command(_command)
modem.add_command(cli_prices.price)
modem.add_command(cli_doctor.doctor)
