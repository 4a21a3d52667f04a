"""What comes from the network, as the modems hand it over."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otppi.model.number import Number
from otppi.model.received_pdu import Delivered, StatusReport


@dataclass(frozen=True, kw_only=True)
class ReceivedPart:
    """One short message, as it was read from a SIM."""

    modem_id: str
    sim: str  # its ICCID, or the modem's id where the SIM does not tell
    message: Delivered


@dataclass(frozen=True, kw_only=True)
class ReceivedReport:
    """A status report, as a modem heard it."""

    modem_id: str
    sim: str  # as in `ReceivedPart`
    report: StatusReport


@dataclass(frozen=True, kw_only=True)
class AwaitedReport:
    """One part that was sent and of which the network will report."""

    modem_id: str
    sim: str  # as in `ReceivedPart`
    reference: int  # TP-MR, from `+CMGS`
    number: Number = field(repr=False)
    message_id: str  # the same for all parts of a message
    parts: int


class MessageSink(Protocol):
    """Takes received messages over."""

    def keep(self, parts: Sequence[ReceivedPart]) -> None:
        """Take them over; they are on the disk when this returns, and the copies on the SIM may go.

        A part that is read from the SIM once more, as after a power cut, is recognised. May be called from any
        thread, and waits for the disk.

        Raises:
            HostError: They could not be kept; the copies on the SIM must stay.
        """
        ...


class ReportSink(Protocol):
    """Brings reports and what was sent together; may be called from any thread, and never waits."""

    @property
    def wanted(self) -> bool:
        """Whether messages are to ask for a report."""
        ...

    def expect(self, awaited: AwaitedReport) -> None:
        """Note a part for which a report will come.

        Called before any report that is heard after it: a modem hands reports over between messages.
        """
        ...

    def report(self, received: ReceivedReport) -> None:
        """Take a report."""
        ...
