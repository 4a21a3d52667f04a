"""The part of the command line that is about the device: its network, clock, buzzer, switch, and its own units."""

import signal
import sys
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from otppi.services.cli_terms import (
    administer,
    as_json_option,
    ask,
    fail,
    show,
    speaks_plainly,
    state_dir_option,
)
from otppi.services.control import NotRunning, Refused

_WAITS_S = 120.0
_TRIAL_BEGINS_S = 8.0


@click.group()
def network() -> None:
    """Show the network as it is, and confirm a change of it."""


@network.command("show")
@state_dir_option
@as_json_option
@speaks_plainly
def network_show(state_dir: Path, as_json: bool) -> None:
    """Show what the network really is."""
    state = ask(state_dir, "network.show", limit_s=_WAITS_S)
    if as_json:
        show(state, as_json)
        return
    for one in state["interfaces"]:
        addresses = ", ".join(one["addresses"]) or "no address"
        click.echo(f"{one['interface']}\t{one['state']}\t{addresses}\t{one['ssid']}".rstrip())
    for note in state["notes"]:
        click.echo(note)


@network.command("trial")
@state_dir_option
@as_json_option
@speaks_plainly
def network_trial(state_dir: Path, as_json: bool) -> None:
    """Show the change that waits for its confirmation, with the link that confirms it."""
    trial = _trial(state_dir)
    if as_json:
        show(trial, as_json)
    else:
        click.echo(_in_words(trial) if trial else "no change of the network waits for a confirmation")


def present_outcome(state_dir: Path, values: Iterable[str]) -> Any:  # noqa: ANN401 - JSON
    """Return what became of the last change, for `tell_of_trial`; None if these settings are not tried here."""
    from otppi.services.network_before import NETWORK_SECTIONS

    if {path.partition(".")[0] for path in values}.isdisjoint(section.key for section in NETWORK_SECTIONS):
        return None
    try:
        return ask(state_dir, "network.outcome")
    except (NotRunning, Refused):
        return None  # without a gateway it is applied at the next start; without a device not at all


def tell_of_trial(state_dir: Path, before: Any) -> None:  # noqa: ANN401 - JSON
    """Say how a change is confirmed that was just saved, or why it was not made; waits a moment for that."""
    end_s = time.monotonic() + _TRIAL_BEGINS_S
    while before is not None and time.monotonic() < end_s:
        outcome = ask(state_dir, "network.outcome")
        if outcome["changes"] > before["changes"]:
            if (trial := _trial(state_dir)) is not None:
                click.echo(_in_words(trial))
                return
            if outcome["refusal"]:
                fail({"message": f"not done, taken back: {outcome['refusal']}"})
        elif outcome["settled"] > before["settled"]:
            click.echo("nothing of the network changes by that")
            return
        time.sleep(0.2)


def _trial(state_dir: Path) -> dict[str, Any] | None:
    trial: dict[str, Any] | None = ask(state_dir, "network.trial")
    if trial is not None:
        port = ask(state_dir, "settings.get", path="admin.http_port")
        address = trial["address"] or "NEW-ADDRESS"
        trial["link"] = f"http://{address}:{port}/network/confirm/{trial['token']}"
    return trial


def _in_words(trial: dict[str, Any]) -> str:
    return (
        f"on trial: open this within {trial['remaining_s']:.0f} s, from the new network, or it goes back:\n"
        f"{trial['link']}"
    )


@click.group()
def port() -> None:
    """Open, list and close ports of the firewall."""


@port.command("add")
@state_dir_option
@click.argument("port")
@click.option("--protocol", type=click.Choice(["tcp", "udp"]), default="tcp", show_default=True)
@click.option("--interface", help="any, access-point, ethernet, or a name such as ppp0.")
@click.option("--source", help="Address or network that callers must have.")
@click.option("--note", help="What it is for.")
@speaks_plainly
def port_add(
    state_dir: Path, port: str, protocol: str, interface: str | None, source: str | None, note: str | None
) -> None:
    """Open PORT, or a range such as 5000-5010; the same again changes what is given."""
    limits = {"interface": interface, "source": source, "note": note}
    added = administer(state_dir, "port.add", port=port, protocol=protocol, **limits)
    click.echo(f"open: {added['id']}")


@port.command("list")
@state_dir_option
@as_json_option
@speaks_plainly
def port_list(state_dir: Path, as_json: bool) -> None:
    """List the ports that you opened; those of the services are open by themselves."""
    ports = administer(state_dir, "settings.get", path="open_ports")
    if as_json:
        show(ports, as_json)
        return
    for item_id, one in ports.items():
        state = "open" if one["open"] else "closed"
        click.echo(f"{item_id}\t{state}\t{one['interface']}\t{one['source']}\t{one['note']}".rstrip())


@port.command("remove")
@state_dir_option
@click.argument("port_id", metavar="ID")
@speaks_plainly
def port_remove(state_dir: Path, port_id: str) -> None:
    """Close a port that you opened, such as tcp5000."""
    administer(state_dir, "settings.remove", section="open_ports", item=port_id)


@click.group()
def bell() -> None:
    """Try the buzzer."""


@bell.command("test")
@state_dir_option
@speaks_plainly
def bell_test(state_dir: Path) -> None:
    """Play the test tune."""
    ask(state_dir, "bell.test")


@bell.command("stop")
@state_dir_option
@speaks_plainly
def bell_stop(state_dir: Path) -> None:
    """End the tune that is playing."""
    ask(state_dir, "bell.stop")


@click.group()
def mobile() -> None:
    """Look after mobile internet."""


@mobile.command("redial")
@state_dir_option
@speaks_plainly
def mobile_redial(state_dir: Path) -> None:
    """Hang up and dial again."""
    ask(state_dir, "mobile.redial", limit_s=_WAITS_S)


@click.group()
def clock() -> None:
    """Set the clock."""


@clock.command("set")
@state_dir_option
@click.argument("moment", metavar="TIME")
@speaks_plainly
def clock_set(state_dir: Path, moment: str) -> None:
    """Set the clock to TIME, such as 2027-01-31T12:00:00+07:00; without a zone UTC is meant."""
    try:
        wanted = datetime.fromisoformat(moment)
    except ValueError:
        fail({"message": f"{moment}: is no time such as 2027-01-31T12:00:00+07:00"})
    if wanted.tzinfo is None:
        wanted = wanted.replace(tzinfo=UTC)
    ask(state_dir, "clock.set", epoch_s=wanted.timestamp())


@click.group()
def power() -> None:
    """Restart the board or switch it off."""


@power.command("restart-service")
@state_dir_option
@speaks_plainly
def power_restart_service(state_dir: Path) -> None:
    """End the gateway in good order; on a device it is started anew at once."""
    ask(state_dir, "power.restart-service")


@power.command("reboot")
@state_dir_option
@speaks_plainly
def power_reboot(state_dir: Path) -> None:
    """Restart the board; messages in hand are finished first."""
    ask(state_dir, "power.reboot")


@power.command("off")
@state_dir_option
@speaks_plainly
def power_off(state_dir: Path) -> None:
    """Switch the board off; messages in hand are finished first."""
    ask(state_dir, "power.off")


@click.command("devices")
@state_dir_option
@as_json_option
@speaks_plainly
def devices(state_dir: Path, as_json: bool) -> None:
    """List the serial ports, disks, network interfaces and clocks that are there."""
    present = ask(state_dir, "devices.list")
    if as_json:
        show(present, as_json)
        return
    for one in present:
        click.echo(f"{one['kind']}\t{one['name']}\t{one['description']}".rstrip())


@click.group(hidden=True)
def device() -> None:
    """Do what the units of the device do; not for people."""


_report = click.option("--report", type=click.Path(dir_okay=False, path_type=Path), required=True)
_runtime_dir = click.option("--runtime-dir", type=click.Path(file_okay=False, path_type=Path), required=True)


@device.command("firewall")
@state_dir_option
@_report
@speaks_plainly
def device_firewall(state_dir: Path, report: Path) -> None:
    """Load the firewall."""
    from otppi.services.firewall_loader import load

    _log()
    sys.exit(load(state_dir, report))


@device.command("firewall-off")
@speaks_plainly
def device_firewall_off() -> None:
    """Take the firewall out, before the program goes."""
    from otppi.services.firewall_loader import unload

    _log()
    sys.exit(unload())


@device.command("dhcp")
@state_dir_option
@click.option("--target", type=click.Path(dir_okay=False, path_type=Path), required=True)
@speaks_plainly
def device_dhcp(state_dir: Path, target: Path) -> None:
    """Write what those are told who join the access point."""
    from otppi.services.dhcp_snippet import write

    _log()
    write(state_dir, target)


@device.command("first-boot")
# Root without the right to read it becomes its owner.
@click.option("--state-dir", type=click.Path(file_okay=False, readable=False, path_type=Path), required=True)
@click.option("--boot-dir", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--issue-dir", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--ssh-dir", type=click.Path(file_okay=False, path_type=Path), required=True)
@_report
@speaks_plainly
def device_first_boot(state_dir: Path, boot_dir: Path, issue_dir: Path, ssh_dir: Path, report: Path) -> None:
    """Make the device's secrets, apply the preset of the card, and write the brochure."""
    from otppi.services.personalise import personalise

    _log()
    sys.exit(personalise(state_dir, boot_dir, issue_dir, ssh_dir, report))


@device.command("wifi-country")
@state_dir_option
@speaks_plainly
def device_wifi_country(state_dir: Path) -> None:
    """Tell the radio in which country it is."""
    from otppi.services.wifi_country import apply_country

    _log()
    apply_country(state_dir)


@device.command("reset-watch")
@_runtime_dir
@speaks_plainly
def device_reset_watch(runtime_dir: Path) -> None:
    """Look at every USB stick until SIGTERM."""
    from otppi.services.reset_watch import watch

    _log()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # the gateway's own ending would load the gateway
    watch(runtime_dir, stop)


@device.command("reset-apply")
@state_dir_option
@click.option("--snapshot", type=click.Path(dir_okay=False, path_type=Path), required=True)
@speaks_plainly
def device_reset_apply(state_dir: Path, snapshot: Path) -> None:
    """Reset what a USB stick asks for."""
    from otppi.services.folders import StateFolder
    from otppi.services.reset_apply import apply
    from otppi.system.network.born import born

    _log()
    outcome = apply(state_dir, snapshot, lambda: born(StateFolder(state_dir).born).setup_secret)
    for line in outcome.lines():
        click.echo(line, err=True)
    # A stick that is refused is no fault of the unit.
    sys.exit(1 if outcome.failed else 0)


@device.command("usb-restart")
@click.argument("place")
@speaks_plainly
def device_usb_restart(place: str) -> None:
    """Take the stick at PLACE, such as 1-1.3, from the kernel's driver and give it back."""
    from otppi.system.usb_restart import restart

    _log()
    restart(place)


@device.command("dial")
@state_dir_option
@_runtime_dir
@speaks_plainly
def device_dial(state_dir: Path, runtime_dir: Path) -> None:
    """Become pppd on the modem that is kept for internet."""
    from otppi.services.mobile_link import dial

    _log()
    sys.exit(dial(state_dir, runtime_dir))


def _log() -> None:
    from otppi.lib import logfmt

    logfmt.configure("info")


COMMANDS: tuple[Any, ...] = (network, port, bell, mobile, clock, power, devices, device)
