"""Getting to know a modem: set it up for PDU mode, unlock its SIM, ask who it is."""

import contextlib
import re
from collections.abc import Callable

from otppi.model.modems import Identity, Signal
from otppi.modems import parse
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.parse import FinalKind
from otppi.modems.refused_pins import RefusedPins

_PIN_LIMIT_S = 20.0
# 3GPP TS 27.007, 9.2: CME errors of a SIM.
_CME_NO_SIM = 10
_CME_SIM_BUSY = 14
# Phone failure, no connection, operation not allowed or supported, SIM absent, failed or busy: no try was spent.
_CME_PIN_NOT_TRIED = frozenset({0, 1, 3, 4, _CME_NO_SIM, 13, _CME_SIM_BUSY})


class SimBlocked(Exception):
    """The SIM needs a person: it is missing, locked, or refused the PIN."""


def set_up(channel: Channel) -> None:
    """Bring a modem from any state into the one we work with.

    Nothing here writes to the SIM or to the modem's profile.

    Raises:
        NoAnswer, AtRefused, PortGone: It is no modem, or it cannot send in PDU mode.
    """
    _await_first_answer(channel)
    # Echo off saves half of the serial line, V1 gives results as words. A modem may refuse either in a
    # state of its own making, and the channel copes with both.
    _try(channel, "ATE0V1")
    _try(channel, "AT+CMEE=1")


def unlock(channel: Channel, modem_id: str, pin: str, refused: RefusedPins) -> None:
    """Enter the PIN if the SIM asks for one (TS 27.007, 8.3).

    A PIN that this SIM refused before is not tried again.

    Raises:
        SimBlocked: Without a person it goes no further.
    """
    state = _sim_state(channel)
    if state == "READY":
        return
    if state != "SIM PIN":
        raise SimBlocked(f"the SIM asks for {state}")
    if not pin:
        raise SimBlocked("the SIM asks for its PIN and none is set")
    if refused.has(modem_id, pin):
        raise SimBlocked("the SIM refused this PIN before; it is not tried again until it is changed")
    try:
        channel.command(f'AT+CPIN="{pin}"', timeout_s=_PIN_LIMIT_S, shown='AT+CPIN="…"')
    except AtRefused as error:
        if error.final.kind is FinalKind.CME_ERROR and error.final.number in _CME_PIN_NOT_TRIED:
            raise SimBlocked(f"the SIM is not ready ({error.final})") from error
        refused.add(modem_id, pin)
        raise SimBlocked(f"the SIM refused the PIN ({error.final})") from error
    refused.forget(modem_id)


def prepare_sending(channel: Channel) -> None:
    """Select PDU mode (TS 27.005, 3.2.3) and keep the radio link open between messages where possible.

    `AT+CMMS=2` (TS 27.005, 3.5.6) saves a second or two for each message that follows another within a few
    seconds; modems without it refuse, which is fine.
    """
    channel.command("AT+CMGF=0")
    _try(channel, "AT+CMMS=2")


def identity(channel: Channel) -> Identity:
    """Ask for all that names the modem and its SIM; what it does not tell stays empty."""
    _try(channel, "AT+COPS=3,0")  # operator as a long name
    return Identity(
        manufacturer=_ask(channel, "AT+CGMI", lambda line: line),
        model=_ask(channel, "AT+CGMM", lambda line: line),
        revision=_ask(channel, "AT+CGMR", lambda line: line),
        imei=_ask(channel, "AT+CGSN", _digits),
        imsi=_ask(channel, "AT+CIMI", _digits),
        iccid=_ask(channel, "AT+CCID", _iccid, "+CCID:") or _ask(channel, "AT^ICCID?", _iccid, "^ICCID:"),
        operator=_ask(channel, "AT+COPS?", parse.operator_name, "+COPS:"),
        sms_center=_ask(channel, "AT+CSCA?", parse.quoted, "+CSCA:"),
    )


def signal(channel: Channel) -> Signal | None:
    """Ask for the signal strength."""
    for line in channel.command("AT+CSQ", expect="+CSQ:"):
        if (found := parse.signal(line)) is not None:
            return found
    return None


def _await_first_answer(channel: Channel) -> None:
    # The first bytes may be lost while the modem finds the baud rate, or be the end of somebody's PDU.
    for _ in range(2):
        if channel.resynchronise(timeout_s=1.0):
            return
        with contextlib.suppress(NoAnswer, AtRefused):
            channel.command("AT", timeout_s=1.0)
            return
    channel.command("AT", timeout_s=3.0)


def _sim_state(channel: Channel) -> str:
    for attempt in range(5):
        try:
            lines = channel.command("AT+CPIN?", expect="+CPIN:", timeout_s=_PIN_LIMIT_S)
        except AtRefused as error:
            final = error.final
            if final.kind is FinalKind.CME_ERROR and final.number == _CME_SIM_BUSY and attempt < 4:
                channel.idle(1.0)
                continue
            if final.kind is FinalKind.CME_ERROR and final.number == _CME_NO_SIM:
                raise SimBlocked("there is no SIM card") from error
            raise SimBlocked(f"the SIM does not answer ({final})") from error
        return lines[0].partition(":")[2].strip() if lines else ""
    raise SimBlocked("the SIM is busy")


def _try(channel: Channel, command: str) -> None:
    with contextlib.suppress(AtRefused):
        channel.command(command)


def _ask(channel: Channel, command: str, read: Callable[[str], str], expect: str = "") -> str:
    try:
        lines = channel.command(command, expect=expect)
    except (AtRefused, NoAnswer):
        return ""
    return next((found for line in lines if (found := read(line))), "")


def _digits(line: str) -> str:
    match = re.search(r"\d{10,20}", line)
    return match[0] if match else ""


def _iccid(line: str) -> str:
    # ITU-T E.118: up to nineteen digits and a check digit; some modems add a filler F.
    match = re.search(r"89\d{16,18}", line)
    return match[0] if match else ""
