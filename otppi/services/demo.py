"""`otppi demo`: the whole gateway on loopback with simulated modems and a mailbox, to try everything without a SIM."""

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import click

from otppi.api.settings import ApiSettings
from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.policy import GeneralSettings
from otppi.lib import logfmt
from otppi.lib.clock import SystemClock
from otppi.lib.filelock import hold
from otppi.mail.settings import PLAIN, EmailAccountSettings
from otppi.model.operators import EXAMPLE
from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.modems.settings import ModemSettings
from otppi.services.ending import end_on_signal
from otppi.services.folders import StateFolder, runtime_folder
from otppi.services.gateway import Gateway
from otppi.services.hosts import desk
from otppi.sim.delivered_email import DeliveredEmail
from otppi.sim.line import SimLine, SimModems
from otppi.sim.magic import ADDRESS_MEANINGS, MEANINGS
from otppi.sim.mailbox import PASSWORD, USER, Mailbox
from otppi.sim.outbox import Outbox
from otppi.sim.record import SentMessage
from otppi.system.clock.settings import ClockSettings
from otppi.web.settings import AdminSettings

_READY_LIMIT_S = 20.0
_USER = "demo"
_RECEIVER = "087100000001"
_RECEIVER_CANONICAL = "6287100000001"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the demo listens, always on loopback."""

    admin: int
    api: int
    https: int
    admin_https: int


_PERSONALITIES = ("huawei", "simcom", "quectel", "generic")
# The one that nobody has put into the settings: it is found, and first contact offers it.
_NEW, _NEW_PERSONALITY, _NEW_USB, _NEW_INTERFACE = "new", "sim7600", UsbId(vendor=0x1E0E, product=0x9001), 2
_MAIL_ACCOUNT = "demo-mailbox"


def run(state_dir: Path, ports: Ports) -> None:
    """Run the demo until SIGTERM or SIGINT.

    Raises:
        AlreadyHeld: Another demo uses the folder.
    """
    logfmt.configure("warning")
    state = StateFolder.prepared(state_dir)
    with hold(state.lock):
        ending = end_on_signal()
        phones = state.path / "phones"
        outbox = Outbox(phones, on_delivered=_show)
        with (
            Mailbox(state.path / "mail", on_delivered=_show_email) as mailbox,
            SimModems(state.path / "modems", on_message=outbox.deliver) as modems,
        ):
            for one, personality in zip(EXAMPLE, _PERSONALITIES, strict=True):
                operator = one.name.replace("-", " ").capitalize()
                modems.add(one.name, personality, operator=operator, imei=_imei(one.name))
            new = modems.add(_NEW, _NEW_PERSONALITY, operator="Simnet", imei=_imei(_NEW))
            clock = SystemClock()
            gateway = Gateway(
                state,
                runtime_folder(state, None),
                clock=clock,
                host=lambda _: desk(
                    clock, lambda line: click.echo(f"  Device: {line}"), modem_sticks=lambda: (_stick(new),)
                ),
            )
            _set_up_mailbox(gateway, mailbox)
            password = _set_up(gateway, state.path / "modems", ports)
            # As on a device, where the whole system has the zone of the settings.
            os.environ["TZ"] = gateway.store.get(ClockSettings).time_zone
            time.tzset()
            gateway.start()
            try:
                _await_readiness(gateway)
                is_set_up = bool(gateway.store.items(Administrator))
                click.echo(_greeting(state_dir, ports, mailbox, password, is_set_up=is_set_up))
                ending.wait()
                click.echo("Stopping …")
            finally:
                gateway.stop()


def _imei(name: str) -> str:
    """Return an IMEI that no other modem has; its last digit, which checks the others, may be told as a zero."""
    place = (*(one.name for one in EXAMPLE), _NEW).index(name)
    return f"004999010{place:05d}0"  # 00499901 is a type allocation for tests


def _stick(line: SimLine) -> Stick:
    port = SerialPort(node=str(line.path), interface=_NEW_INTERFACE, driver="option")
    return Stick(place="demo", usb=_NEW_USB, description="SimTech SIM7600", ports=(port,))


def _set_up(gateway: Gateway, modems_dir: Path, ports: Ports) -> str:
    store = gateway.store
    if store.get(GeneralSettings).device_name == GeneralSettings().device_name:
        store.update(GeneralSettings, {"device_name": "OTP-Pi demo"})
    store.update(
        AdminSettings, {"host": "127.0.0.1", "http_port": ports.admin, "https_port": ports.admin_https}
    )
    store.update(ApiSettings, {"host": "127.0.0.1", "http_port": ports.api, "https_port": ports.https})
    for one in EXAMPLE:
        store.put(
            ModemSettings,
            one.name,
            {
                "name": one.name,
                "port": str(modems_dir / one.name),
                "imei": _imei(one.name),
                "prefixes": list(one.prefixes),
                "is_default": one.is_default,
                "prices": list(one.prices),
            },
        )
    password = secrets.token_urlsafe(12)
    store.put(ApiUser, _USER, {"password": password})
    return password


def _set_up_mailbox(gateway: Gateway, mailbox: Mailbox) -> None:
    store, here = gateway.store, {"host": mailbox.host, "port": mailbox.smtp_port}
    account = store.items(EmailAccountSettings).get(_MAIL_ACCOUNT)
    if account is not None and account.host == mailbox.host:
        store.put(EmailAccountSettings, _MAIL_ACCOUNT, here)
    elif not store.items(ApiUser):  # the first start: who removes the account later wants another
        values = {
            "name": "Demo mailbox",
            "security": PLAIN,
            "allow_insecure": True,
            "auth": False,
            "sender_address": "otp@example.com",
        }
        store.put(EmailAccountSettings, _MAIL_ACCOUNT, {**values, **here})


def _await_readiness(gateway: Gateway) -> None:
    problems = [problem for _, problem in gateway.listeners.problems() if problem]
    if problems:
        raise click.ClickException(
            "; ".join(problems)
            + ". Choose others: .venv/bin/otppi demo --admin-port N --api-port N --https-port N --admin-https-port N"
        )
    end_s = time.monotonic() + _READY_LIMIT_S
    while not all(modem.is_ready for modem in gateway.pool.snapshot()):
        if time.monotonic() > end_s:
            raise click.ClickException("the simulated modems did not become ready")
        time.sleep(0.05)


def _show(message: SentMessage, path: Path) -> None:
    # This console is a simulated phone's screen; a real gateway shows no text anywhere.
    text = message.text.replace("\n", "\n    ")
    click.echo(f"\n  SMS to {message.number} by {message.modem} ({_shown(path)})\n    {text}")


def _show_email(email: DeliveredEmail) -> None:
    text = (email.parts().plain or "").strip().replace("\n", "\n    ")
    click.echo(f"\n  E-mail to {email.receiver} ({_shown(email.path)})\n    {email.subject}\n    {text}")


def _shown(path: Path) -> str:
    return os.path.relpath(path)


def _greeting(state_dir: Path, ports: Ports, mailbox: Mailbox, password: str, *, is_set_up: bool) -> str:
    pages = f"http://127.0.0.1:{ports.admin}/"
    first = f"Log in at {pages}" if is_set_up else f"Open {pages} and set it up"
    url = f"http://127.0.0.1:{ports.api}/api/otp"
    phone = _shown(state_dir / "phones" / _RECEIVER_CANONICAL)
    request = (
        f"curl -u {_USER}:{password} {url} -d "
        f'\'{{"command":"request-otp","data":{{"reference":"demo-1","receiver":"{_RECEIVER}",'
        f'"message":"Your OTP is %s"}}}}\''
    )
    code = f"$(cat $(ls -t {phone}/*.txt | head -n1) | tail -n1 | grep -oE '[0-9]+$')"
    verify = (
        f"curl -u {_USER}:{password} {url} -d "
        f'\'{{"command":"verify-otp","data":{{"reference":"demo-1","receiver":"{_RECEIVER}",'
        f'"otp":"\'{code}\'"}}}}\''
    )
    magic = "\n".join(f"    {number.value}  {meaning}" for number, meaning in MEANINGS.items())
    magic_addresses = "\n".join(
        f"    {one.value:<20}  {meaning}" for one, meaning in ADDRESS_MEANINGS.items()
    )
    return f"""
OTP-Pi demo: a real gateway with four simulated modems of four operators, and a fifth that waits to be used.
Ctrl-C ends it.

  {first}; by HTTPS it is https://127.0.0.1:{ports.admin_https}/ (self-signed)

  REST API      http://127.0.0.1:{ports.api}/   https://127.0.0.1:{ports.https}/ (self-signed)
  Its manual    http://127.0.0.1:{ports.api}/docs
  API user      {_USER}   password {password}
  Phones        {_shown(state_dir / "phones")}/NUMBER/*.txt, and this console
  Mailbox       {mailbox.page} for every address, and {_shown(state_dir / "mail")}/ADDRESS/*.eml
  Its server    SMTP at {mailbox.host}:{mailbox.smtp_port}; no log-in is needed, {USER} with password {PASSWORD} works

Request a one-time password (paste into another terminal, in this folder; until it is verified, a second one with
the same reference is refused):

{request}

Verify it; the line reads the code from the simulated phone:

{verify}

Numbers and e-mail addresses that misbehave on purpose:

{magic}

{magic_addresses}
"""
