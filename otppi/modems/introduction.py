"""Getting to know a modem: set it up for PDU mode, unlock its SIM, ask who it is."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from otppi.model.modems import (
    LEFT_TO_A_PERSON,
    Identity,
    PinTries,
    Registration,
    Signal,
    SimState,
    is_another_sim,
)
from otppi.model.ports import UsbId
from otppi.modems import parse
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families import family_of
from otppi.modems.families.family import Family, Question
from otppi.modems.families.generic import GENERIC
from otppi.modems.parse import Final, FinalKind
from otppi.modems.refused_pins import Code, RefusedPins, SpentTries

log = logging.getLogger(__name__)

_PIN_LIMIT_S = 20.0
# 3GPP TS 27.007, 9.2: CME errors of a SIM.
_CME_NO_SIM = 10
_CME_SIM_BUSY = 14
_CME_PUK_NEEDED = 12
_CME_WRONG_PASSWORD = 16
# What these say of a code that was given is sure. Others, such as 3 (not allowed), 4 (not supported) or a bare ERROR,
# may be all that a modem has to say of a wrong one.
_CME_WRONG_CODE = frozenset({_CME_PUK_NEEDED, _CME_WRONG_PASSWORD})
_CME_NOT_TRIED = frozenset({_CME_NO_SIM, _CME_SIM_BUSY})
# Where AT+CPIN? is refused instead of answered.
_STATES_BY_CME = {
    _CME_NO_SIM: SimState.ABSENT,
    11: SimState.PIN_NEEDED,
    _CME_PUK_NEEDED: SimState.PUK_NEEDED,
    _CME_SIM_BUSY: SimState.BUSY,
}
# What a SIM that waits for a code waits for.
_ASKED_FOR = {SimState.PIN_NEEDED: Code.PIN, SimState.PUK_NEEDED: Code.PUK}
_REASONS = {SimState.ABSENT: "there is no SIM card", SimState.BUSY: "the SIM is busy"}
# EF-ICCID of the card, read as its bytes (TS 27.007, 8.18, and TS 51.011, 10.1.1), and what many modems have.
_ICCID_QUESTIONS = (
    Question(command="AT+CCID", prefix="+CCID:"),
    Question(command="AT+ICCID", prefix="+ICCID:"),
    Question(command="AT+CRSM=176,12258,0,0,10", prefix="+CRSM:"),
)


class SimBlocked(Exception):
    """The SIM needs a person: it is missing, locked, or refused the PIN."""

    def __init__(self, reason: str, state: SimState = SimState.FAILED, tries: PinTries | None = None) -> None:
        super().__init__(reason)
        self.state = state
        self.tries = tries  # None if the modem does not tell


class LastTry(SimBlocked):
    """The next try may be the last, and is left to a person."""


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


def meet(channel: Channel, usb: UsbId | None = None) -> tuple[Family, Identity]:
    """Find out what family a modem is of and give it that family's commands; follows `set_up`.

    All this works while the SIM is locked. The identity has only what names the modem; that of its SIM comes
    with `identity`.
    """
    found = _own_identity(channel)
    family = family_of(usb, found.manufacturer, found.model)
    for command in family.init:
        _try(channel, command)
    return family, found


def restart(channel: Channel, family: Family) -> None:
    """Tell a modem to start anew, also one that answers nothing; one on USB takes its port away with it.

    Raises:
        PortGone: It has done so already.
    """
    for command in family.restarts:
        channel.call_out(command)


def sim_state(channel: Channel) -> SimState:
    """Ask what the SIM waits for; waits up to four seconds for a SIM that is busy."""
    state, _ = _sim_state(channel)
    return state


def pin_tries(channel: Channel, family: Family = GENERIC) -> PinTries | None:
    """Ask how many wrong PINs the SIM still forgives; None if the modem does not tell."""
    question = family.pin_tries
    try:
        lines = channel.command(question.command, expect=question.prefix)
    except (AtRefused, NoAnswer):
        return None
    for line in lines:
        if match := question.pattern.search(line):
            told = match.groupdict()
            return PinTries(pin=int(told["pin"]), puk=int(told["puk"]) if "puk" in told else None)
    return None


def tries_left(tries: PinTries | None, code: Code) -> int | None:
    """Return how many are left of a code; None if the modem does not tell."""
    if tries is None:
        return None
    return tries.pin if code is Code.PIN else tries.puk


def spent_tries(
    channel: Channel, modem_id: str, refused: RefusedPins, family: Family = GENERIC
) -> SpentTries:
    """Return what is remembered of the SIM in this modem."""
    return refused.of(modem_id, _iccid(channel, family))


def unlock(
    channel: Channel,
    modem_id: str,
    pin: str,
    refused: RefusedPins,
    family: Family = GENERIC,
    *,
    iccid: str = "",
) -> None:
    """Enter the PIN if the SIM asks for one (TS 27.007, 8.3).

    A PIN that this SIM refused before is not tried again, and the last try is left to a person. Where the SIM tells
    that it is another than `iccid`, the PIN is not its own and is not tried.

    Raises:
        SimBlocked: Without a person it goes no further.
    """
    state, reason = _sim_state(channel)
    if state is SimState.READY and not refused:
        return
    told = _iccid(channel, family)
    spent = refused.of(modem_id, told)
    if state in _ASKED_FOR or state is SimState.READY:
        with _noted("a SIM that was seen"):
            spent.seen(is_open=state is SimState.READY)
    if state is SimState.READY:
        return
    if state is not SimState.PIN_NEEDED or not pin:
        tries = pin_tries(channel, family) if state in _ASKED_FOR else None
        if state is SimState.PIN_NEEDED:
            _leave_last_try(spent, Code.PIN, state, tries)
            reason = "the SIM asks for its PIN and none is set"
        raise SimBlocked(reason, state, tries)
    if is_another_sim(iccid, told):
        reason = (
            f"the SIM …{told[-4:]} asks for its PIN, and the one that is set is for the SIM …{iccid[-4:]}"
        )
        raise SimBlocked(reason, state, pin_tries(channel, family))
    try_code(channel, spent, Code.PIN, 'AT+CPIN="{}"', pin, family=family)


def try_code(
    channel: Channel,
    spent: SpentTries,
    code: Code,
    command: str,
    *secrets: str,
    family: Family = GENERIC,
) -> None:
    """Give a command that spends a try if its first secret is wrong; not again with one that was refused.

    Where nobody knows whether a try was spent, it counts as one.

    `command` has `{}` for each secret, which is never shown.

    Raises:
        LastTry: It was not given.
        SimBlocked: It was not given, or the SIM or the modem refused it.
    """
    state = next(state for state, asked in _ASKED_FOR.items() if asked is code)
    tries = pin_tries(channel, family)
    left = tries_left(tries, code)
    _leave_last_try(spent, code, state, tries)
    if spent.was_refused(code, secrets[0]):
        raise SimBlocked(
            f"the SIM refused this {code} before; it is not tried again until it is changed", state, tries
        )
    try:
        spent.begin(code)
    except OSError as error:
        if left is None:
            reason = (
                f"a try cannot be noted ({error.strerror}), and the modem does not tell how many are left"
            )
            raise SimBlocked(reason, state) from error
        log.warning("a try could not be noted", extra={"fields": {"reason": error.strerror}})
    shown = command.format(*("…" for _ in secrets))
    try:
        channel.command(command.format(*secrets), timeout_s=_PIN_LIMIT_S, shown=shown)
    except AtRefused as error:
        tries = pin_tries(channel, family) if tries is not None else None
        was_wrong = _was_wrong(error.final, left, tries_left(tries, code))
        if was_wrong is False:
            with _noted("a try that was none"):
                spent.take_back(code)
            raise SimBlocked(f"the SIM is not ready ({error.final})", SimState.FAILED, tries) from error
        if tries is not None and tries.pin == 0:
            state = SimState.PUK_NEEDED
        if was_wrong is None:
            reason = f"the modem does not tell whether the SIM refused the {code} ({error.final})"
            raise SimBlocked(reason, state, tries) from error
        with _noted("a refused code"):
            spent.refuse(code, secrets[0])
        raise SimBlocked(f"the SIM refused the {code} ({error.final})", state, tries) from error
    with _noted("a code that was taken"):
        spent.forget(code)


def _leave_last_try(spent: SpentTries, code: Code, state: SimState, tries: PinTries | None) -> None:
    left = tries_left(tries, code)
    if left is not None and left <= 1:
        raise LastTry(f"only one try of the {code} is left, and it is {LEFT_TO_A_PERSON}", state, tries)
    if left is None and not spent.may_try(code):
        raise LastTry(
            f"wrong ones were tried and the modem does not tell how many tries of the {code} are left, so the rest is "
            f"{LEFT_TO_A_PERSON}",
            state,
            tries,
        )


def _was_wrong(final: Final, left: int | None, left_now: int | None) -> bool | None:
    """Whether a code that was not taken has cost a try, by the result and the tries before and now; None: unknown."""
    number = final.number if final.kind is FinalKind.CME_ERROR else None
    if number in _CME_WRONG_CODE:
        return True
    if left is not None and left_now is not None and left_now <= left:
        return left_now < left
    return False if number in _CME_NOT_TRIED else None


@contextlib.contextmanager
def _noted(what: str) -> Iterator[None]:
    """Go on if the disk does not take a note; then too many tries count as spent, never too few."""
    try:
        yield
    except OSError as error:
        log.warning("%s could not be noted", what, extra={"fields": {"reason": error.strerror}})


def prepare_sending(channel: Channel, family: Family = GENERIC) -> None:
    """Select PDU mode (TS 27.005, 3.2.3) and keep the radio link open between messages where possible.

    `AT+CMMS=2` (TS 27.005, 3.5.6) saves a second or two for each message that follows another within a few
    seconds; modems without it refuse, which is fine.
    """
    for command in family.init_with_sim:
        _try(channel, command)
    channel.command("AT+CMGF=0")
    _try(channel, "AT+CMMS=2")


def identity(channel: Channel, family: Family = GENERIC, own: Identity | None = None) -> Identity:
    """Ask for all that names the modem and its SIM; what it does not tell stays empty.

    `own`, what `meet` returned, is not asked again.
    """
    _try(channel, "AT+COPS=3,0")  # operator as a long name
    return replace(
        own or _own_identity(channel),
        imsi=_ask(channel, "AT+CIMI", _imsi, "+CIMI:"),
        iccid=_iccid(channel, family),
        operator=_ask(channel, "AT+COPS?", parse.operator_name, "+COPS:"),
        sms_center=_ask(channel, "AT+CSCA?", parse.quoted, "+CSCA:"),
    )


def registration(channel: Channel) -> Registration:
    """Ask whether the network has the modem, for calls and messages, LTE and packets (TS 27.007)."""
    found = []
    for command, prefix in (("AT+CREG?", "+CREG:"), ("AT+CEREG?", "+CEREG:"), ("AT+CGREG?", "+CGREG:")):
        with contextlib.suppress(AtRefused):
            lines = channel.command(command, expect=prefix)
            found += [state for line in lines if (state := parse.registration(line))]
        if found and found[-1].is_registered:
            return found[-1]  # one network is enough
    by_weight = (Registration.DENIED, Registration.SEARCHING, Registration.IDLE)
    return next((state for state in by_weight if state in found), Registration.UNKNOWN)


def signal(channel: Channel) -> Signal | None:
    """Ask for the signal strength."""
    for line in channel.command("AT+CSQ", expect="+CSQ:"):
        if (found := parse.signal(line)) is not None:
            return found
    return None


def _own_identity(channel: Channel) -> Identity:
    return Identity(
        manufacturer=_ask(channel, "AT+CGMI", parse.information, "+CGMI:"),
        model=_ask(channel, "AT+CGMM", parse.information, "+CGMM:"),
        revision=_ask(channel, "AT+CGMR", parse.information, "+CGMR:"),
        imei=_ask(channel, "AT+CGSN", parse.imei, "+CGSN:"),
    )


def _iccid(channel: Channel, family: Family) -> str:
    own = (family.iccid,) if family.iccid else ()
    for question in (*own, *_ICCID_QUESTIONS):
        if found := _ask(channel, question.command, parse.iccid, question.prefix):
            return found
    return ""


def _await_first_answer(channel: Channel) -> None:
    # The first bytes may be lost while the modem finds the baud rate, or be the end of somebody's PDU.
    for _ in range(2):
        if channel.resynchronise(timeout_s=1.0):
            return
        with contextlib.suppress(NoAnswer, AtRefused):
            channel.command("AT", timeout_s=1.0)
            return
    channel.command("AT", timeout_s=3.0)


def _sim_state(channel: Channel) -> tuple[SimState, str]:
    """Return what the SIM waits for, also in words."""
    for _ in range(4):
        state, reason = _sim_state_now(channel)
        if state is not SimState.BUSY:
            return state, reason
        channel.idle(1.0)
    return _sim_state_now(channel)


def _sim_state_now(channel: Channel) -> tuple[SimState, str]:
    try:
        # Wavecom's and some of Sierra's modems end it without OK (ModemManager, gammu, python-gsmmodem).
        lines = channel.command("AT+CPIN?", expect="+CPIN:", timeout_s=_PIN_LIMIT_S, may_lack_ok=True)
    except AtRefused as error:
        final = error.final
        state = SimState.FAILED
        if final.kind is FinalKind.CME_ERROR and final.number is not None:
            state = _STATES_BY_CME.get(final.number, state)
        return state, _REASONS.get(state, f"the SIM does not answer ({final})")
    # One that came by itself may stand in front of the answer.
    word = lines[-1].partition(":")[2].strip() if lines else ""
    state = _state_of(word)
    return state, _REASONS.get(state, f"the SIM asks for {word or 'nothing that it names'}")


def _state_of(word: str) -> SimState:
    # TS 27.007, 8.3: READY, SIM PIN, SIM PUK and their second ones, PH-… for locks to a device or a network.
    if word in ("READY", "SIM PIN2", "SIM PUK2"):  # neither hinders messages
        return SimState.READY
    if word == "SIM PIN":
        return SimState.PIN_NEEDED
    if word == "SIM PUK":
        return SimState.PUK_NEEDED
    if word in ("NOT INSERTED", "NOT READY"):  # SIMCom and Quectel, in place of an error
        return SimState.ABSENT if word == "NOT INSERTED" else SimState.BUSY
    return SimState.LOCKED if word.startswith(("PH-", "PH_")) else SimState.FAILED


def _try(channel: Channel, command: str) -> None:
    with contextlib.suppress(AtRefused):
        channel.command(command)


def _ask(channel: Channel, command: str, read: Callable[[str], str], expect: str = "") -> str:
    try:
        lines = channel.command(command, expect=expect)
    except (AtRefused, NoAnswer):
        return ""
    return next((found for line in lines if (found := read(line))), "")


def _imsi(line: str) -> str:
    digits = parse.information(line)
    return digits if digits.isdigit() and len(digits) <= 15 else ""
