"""Asking a port whether a modem is behind it, in a way that harms nothing else."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from otppi.lib.holders import holders
from otppi.lib.wakeup import Wakeup
from otppi.model.modems import Identity
from otppi.model.ports import SerialPort, Stick
from otppi.modems import introduction
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.family import Family
from otppi.modems.ports import PortChoice
from otppi.modems.transport import PortGone, PortHeld, SerialLine, SerialTransport

_FIRST_ANSWER_S = 1.0
_SECOND_ANSWER_S = 2.0


@dataclass(frozen=True, kw_only=True)
class FoundModem:
    """A modem at a port, with what it told of itself; its SIM was not asked."""

    stick: Stick
    port: SerialPort
    why: str  # this port and no other
    family: Family | None = None  # None: it did not answer, or nobody may ask
    identity: Identity = field(default_factory=Identity)
    problem: str = ""  # why it did not answer
    is_held: bool = False  # another program has the port


def find(stick: Stick, choices: Iterable[PortChoice], line: SerialLine) -> FoundModem | None:
    """Ask the ports of a stick, one after the other, until one answers; takes up to 3 s for each that does not.

    Returns the first that answered or is held; else the first at all, with the problem; None if there was none to ask.
    """
    silent: FoundModem | None = None
    for choice in choices:
        found = ask(stick, choice, line)
        # Who holds a port of a modem works with it, and by another port it would have two masters.
        if found.family is not None or found.is_held:
            return found
        silent = silent or found
    return silent


def ask(stick: Stick, choice: PortChoice, line: SerialLine) -> FoundModem:
    """Say AT, then ask for maker, model and IMEI. A port that a program has open is not touched."""
    port, why = choice.port, choice.why
    wakeup = Wakeup()
    try:
        if names := holders(port.node):
            # The lock alone would not do: root may open a port that another has for itself.
            raise PortHeld(f"{', '.join(names)} holds the port")
        with contextlib.closing(SerialTransport(port.node, line, wakeup)) as transport:
            channel = Channel(transport, lambda _: None)
            _greet(channel)
            family, identity = introduction.meet(channel, stick.usb)
            return FoundModem(
                stick=stick, port=port, why=f"{why}; it answered", family=family, identity=identity
            )
    except (PortGone, NoAnswer, AtRefused) as error:
        is_held = isinstance(error, PortHeld)
        return FoundModem(stick=stick, port=port, why=why, problem=str(error), is_held=is_held)
    finally:
        wakeup.close()


def _greet(channel: Channel) -> None:
    # A port for diagnostics or positions takes no notice of any of this.
    try:
        channel.command("AT", timeout_s=_FIRST_ANSWER_S)
    except NoAnswer:
        # The first bytes may be lost while a modem finds the speed of the line.
        if not channel.resynchronise(_SECOND_ANSWER_S):
            raise NoAnswer("nothing there answers to AT") from None
