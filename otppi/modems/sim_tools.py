"""What a person does at a modem's SIM, radio and serial number: codes, SMS centre, operator, IMEI."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from otppi.model.errors import SimToolError
from otppi.model.modems import Identity, PinTries, Registration, Signal, SimState
from otppi.modems import introduction, parse
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.family import Family
from otppi.modems.introduction import LastTry, SimBlocked
from otppi.modems.parse import FoundOperator
from otppi.modems.refused_pins import Code, SpentTries
from otppi.modems.transport import PortGone

T = TypeVar("T")

# Modems look through all bands; manuals name two or three minutes.
SCAN_LIMIT_S = 200.0
_REGISTER_LIMIT_S = 180.0
_SIM_LIMIT_S = 20.0
_PUK = (
    "The PUK, eight digits that open a blocked SIM, is on the card that it came in, and its operator tells it"
)


@dataclass(frozen=True, kw_only=True)
class SimReport:
    """What a modem tells of its SIM and its radio; empty or None where it does not."""

    state: SimState
    is_pin_set: bool | None
    tries: PinTries | None
    identity: Identity
    number: str
    is_operator_chosen: bool | None
    registration: Registration
    signal: Signal | None


def look(channel: Channel, family: Family, known: Identity) -> SimReport:
    """Ask for all of it; `known` is what names the modem itself."""
    state = introduction.sim_state(channel)
    identity = introduction.identity(channel, family, known)
    is_pin_set = pin_is_set(channel)
    return SimReport(
        state=state,
        is_pin_set=True if state in (SimState.PIN_NEEDED, SimState.PUK_NEEDED) else is_pin_set,
        tries=introduction.pin_tries(channel, family),
        identity=identity,
        number=_first(channel, "AT+CNUM", "+CNUM:", parse.own_number) or "",
        is_operator_chosen=_first(channel, "AT+COPS?", "+COPS:", parse.operator_is_chosen),
        registration=introduction.registration(channel),
        signal=_first(channel, "AT+CSQ", "+CSQ:", parse.signal),
    )


def pin_is_set(channel: Channel) -> bool | None:
    """Ask whether the SIM asks for its PIN after power-up (TS 27.007, 7.4); None if the modem does not tell."""
    return _first(channel, 'AT+CLCK="SC",2', "+CLCK:", parse.lock_is_on)


def enter_pin(channel: Channel, family: Family, spent: SpentTries, pin: str) -> None:
    """Enter the PIN that the SIM asks for (TS 27.007, 8.3).

    Raises:
        SimToolError: Here and in what follows: it was not done; the reason is for a person.
    """
    _expect(channel, SimState.PIN_NEEDED)
    _try(channel, family, spent, Code.PIN, 'AT+CPIN="{}"', pin)


def set_pin(channel: Channel, family: Family, spent: SpentTries, pin: str) -> None:
    """Let the SIM ask for its PIN from the next power-up on; every SIM has one, even if it does not ask for it."""
    _expect(channel, SimState.READY)
    if pin_is_set(channel):
        raise SimToolError("the SIM asks for its PIN already; it can be changed or removed")
    _try(channel, family, spent, Code.PIN, 'AT+CLCK="SC",1,"{}"', pin)


def change_pin(channel: Channel, family: Family, spent: SpentTries, pin: str, new_pin: str) -> None:
    """Give the SIM another PIN (TS 27.007, 7.5)."""
    _expect(channel, SimState.READY)
    if pin_is_set(channel) is False:
        raise SimToolError("the SIM does not ask for a PIN, and then it cannot be changed; set it first")
    _try(channel, family, spent, Code.PIN, 'AT+CPWD="SC","{}","{}"', pin, new_pin)


def remove_pin(channel: Channel, family: Family, spent: SpentTries, pin: str) -> None:
    """Let the SIM ask for its PIN no more."""
    _expect(channel, SimState.READY)
    if pin_is_set(channel) is False:
        raise SimToolError("the SIM does not ask for a PIN")
    _try(channel, family, spent, Code.PIN, 'AT+CLCK="SC",0,"{}"', pin)


def unblock(channel: Channel, family: Family, spent: SpentTries, puk: str, new_pin: str) -> None:
    """Open a SIM that too many wrong PINs have blocked; it gets a new PIN."""
    _expect(channel, SimState.PUK_NEEDED)
    _try(channel, family, spent, Code.PUK, 'AT+CPIN="{}","{}"', puk, new_pin)


def sms_center(channel: Channel) -> str:
    """Ask for the number of the SMS centre (TS 27.005, 3.3.1)."""
    return _first(channel, "AT+CSCA?", "+CSCA:", parse.quoted) or ""


def set_sms_center(channel: Channel, number: str) -> None:
    """Set the number of the SMS centre, and see that it was taken."""
    kind = 145 if number.startswith("+") else 129  # international or not (TS 24.008, 10.5.4.7)
    _do(channel, f'AT+CSCA="{number}",{kind}', _SIM_LIMIT_S)
    if (kept := sms_center(channel)) != number:
        raise SimToolError(f"the modem says OK and keeps {kept or 'none'}")


def operators(channel: Channel) -> list[FoundOperator]:
    """Look which operators are in reach (TS 27.007, 7.3); takes up to `SCAN_LIMIT_S`, without sending meanwhile."""
    return parse.found_operators(_do(channel, "AT+COPS=?", SCAN_LIMIT_S, "+COPS:"))


def choose_operator(channel: Channel, code: str) -> None:
    """Register with an operator by its code, or with any if that is empty; may take minutes.

    One that does not take the SIM, or is silent about it, leaves the choice to the modem, because it would stay
    without a network.

    Raises:
        NoAnswer: The modem was told so too, and nobody knows whether it heard.
    """
    if not code:
        _do(channel, "AT+COPS=0", _REGISTER_LIMIT_S)
        return
    try:
        _do(channel, f'AT+COPS=1,2,"{code}"', _REGISTER_LIMIT_S)
    except SimToolError as error:
        reason = str(error)
    except NoAnswer:
        if not channel.resynchronise():
            channel.call_out("AT+COPS=0")
            raise
        reason = "it did not answer in time"
    else:
        return
    with contextlib.suppress(AtRefused):
        channel.command("AT+COPS=0", timeout_s=_REGISTER_LIMIT_S)
    raise SimToolError(f"{reason}; the modem chooses by itself again")


def write_imei(channel: Channel, family: Family, imei: str) -> None:
    """Give the modem another IMEI, which counts after `restart`; in many countries the law forbids it."""
    command = family.imei_write
    if not command:
        raise SimToolError(f"no command is known that writes the IMEI of modems of the family {family.name}")
    _do(channel, command.format(imei=imei), _SIM_LIMIT_S, shown=command.format(imei=f"…{imei[-4:]}"))


def restart(channel: Channel, family: Family) -> None:
    """Start the modem anew.

    Raises:
        PortGone: Always; whoever has the port is to open it anew.
    """
    introduction.restart(channel, family)
    raise PortGone("it starts anew")


def _expect(channel: Channel, wanted: SimState) -> None:
    state = introduction.sim_state(channel)
    if state is wanted:
        return
    if wanted is SimState.READY:
        raise SimToolError(f"the SIM must be open for that; now: {state}")
    if state is SimState.READY:
        raise SimToolError("the SIM is open and asks for no code")
    raise SimToolError(f"the SIM does not wait for that; now: {state}")


def _try(
    channel: Channel, family: Family, spent: SpentTries, code: Code, command: str, *secrets: str
) -> None:
    try:
        introduction.try_code(channel, spent, code, command, *secrets, family=family)
    except SimBlocked as error:
        raise SimToolError(_explained(error, code)) from error


def _explained(error: SimBlocked, code: Code) -> str:
    """Return why a code was not taken, what is left, and what a person can do."""
    if isinstance(error, LastTry) and code is Code.PIN:
        return f"{error}. Put the SIM into a phone and enter it there; a wrong one blocks the SIM. {_PUK}"
    if isinstance(error, LastTry):
        return f"{error}. The tenth wrong one ends the SIM for good. Its operator tells the PUK, or gives a new SIM"
    left = introduction.tries_left(error.tries, code)
    words = [str(error)]
    if left is not None:
        words.append(
            f"{left} {'try is' if left == 1 else 'tries are'} left, and the last is left to a person"
        )
    if error.state is SimState.PUK_NEEDED:
        words.append(_PUK)
    return ". ".join(words)


def _do(channel: Channel, command: str, limit_s: float, expect: str = "", *, shown: str = "") -> list[str]:
    try:
        return channel.command(command, expect=expect, timeout_s=limit_s, shown=shown)
    except AtRefused as error:
        raise SimToolError(f"it was refused ({error.final})") from error


def _first(channel: Channel, command: str, expect: str, read: Callable[[str], T | None]) -> T | None:
    try:
        lines = channel.command(command, expect=expect)
    except (AtRefused, NoAnswer):
        return None
    return next((found for line in lines if (found := read(line)) is not None), None)
