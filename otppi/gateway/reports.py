"""Delivery reports: which message each is about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from otppi.contracts.received import AwaitedReport, ReceivedReport
from otppi.gateway.journal import Journal, Record
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.model.events import DeliveryReported
from otppi.model.received_pdu import ReportOutcome
from otppi.settings.fields import boolean, integer
from otppi.settings.section import Section

_SWEEP_EVERY_S = 60.0
_HASH_BYTES = 12
# A report names the receiver as the network sees him: with or without country code, or with a prefix of a ported
# number. The last digits are the same.
_TELLING_DIGITS = 8


class ReportSettings(Section, key="reports", title="Delivery reports"):
    """Whether the network is asked what became of messages."""

    ask: bool = boolean(
        title="Ask for delivery reports",
        default=False,
        help="Ask for a delivery report of every message. Each is one more message on the air, which costs its modem "
        "a second or two, and with some operators money.",
    )
    wait_h: int = integer(
        title="Wait for a report",
        default=72,
        minimum=1,
        maximum=720,
        unit="h",
        help="How long the report of a message is waited for.",
    )


@dataclass(slots=True)
class _Message:
    modem_id: str
    masked_number: str
    parts_left: int
    ends_boot_s: float
    status: int | None = None  # of a part that was given on without confirmation
    keys: set[bytes] = field(default_factory=set)  # of parts that wait


class Reports:
    """Implements `ReportSink`.

    A report is matched by SIM, TP-MR and receiver, as a keyed hash; TP-MR alone comes round after 256 messages. What
    waits is in the journal, so it survives a restart of the service, and a power cut ends the waiting. Nobody but
    subscribers of `DeliveryReported` ever waits for a report. Beyond `capacity` messages the oldest is forgotten.
    """

    def __init__(
        self,
        settings: Callable[[], ReportSettings],
        key: bytes,
        clock: Clock,
        journal: Journal,
        bus: Bus,
        capacity: int = 20_000,
    ) -> None:
        self._settings = settings
        self._key = key
        self._clock = clock
        self._journal = journal
        self._bus = bus
        self._capacity = capacity
        self._messages: dict[str, _Message] = {}
        self._waiting: dict[bytes, str] = {}  # part to message
        self._next_sweep_boot_s = 0.0
        journal.register("reports", self._replay, self._live)

    @property
    def wanted(self) -> bool:
        """See `ReportSink`."""
        return self._settings().ask

    def expect(self, awaited: AwaitedReport) -> None:
        """See `ReportSink`."""
        key = self._hash(awaited.sim, awaited.reference, awaited.number.digits)
        with self._journal.lock:
            self._sweep()
            message = self._messages.get(awaited.message_id)
            if message is None:
                ends_boot_s = self._clock.boot_s() + self._settings().wait_h * 3600
                message = _Message(awaited.modem_id, awaited.number.masked, awaited.parts, ends_boot_s)
                self._messages[awaited.message_id] = message
                self._journal.append("reports", _as_written(awaited.message_id, message))
            self._wait_for(key, awaited.message_id)
            self._journal.append("reports", ["part", key.hex(), awaited.message_id])
            while len(self._messages) > self._capacity:
                self._forget(next(iter(self._messages)))

    def report(self, received: ReceivedReport) -> None:
        """See `ReportSink`; a report of nothing that waits is dropped."""
        report = received.report
        key = self._hash(received.sim, report.reference, report.receiver.text.removeprefix("+"))
        with self._journal.lock:
            self._sweep()
            message_id = self._waiting.get(key)
            if message_id is None or report.outcome is ReportOutcome.TRYING:
                return
            message = self._messages[message_id]
            if report.outcome in (ReportOutcome.DELIVERED, ReportOutcome.UNCONFIRMED):
                self._part_arrived(key, message_id, report.status)
            else:
                self._end(message_id, message, report.outcome, report.status)

    def _part_arrived(self, key: bytes, message_id: str, status: int) -> None:
        message = self._messages[message_id]
        message.parts_left -= 1
        message.status = message.status or status or None
        if message.parts_left <= 0:
            outcome = ReportOutcome.UNCONFIRMED if message.status else ReportOutcome.DELIVERED
            self._end(message_id, message, outcome, message.status or 0)
            return
        self._stop_waiting(key)
        self._journal.append("reports", ["done", key.hex()])
        self._journal.append("reports", _as_written(message_id, message))

    def _end(self, message_id: str, message: _Message, outcome: ReportOutcome, status: int | None) -> None:
        self._forget(message_id)
        self._bus.publish(
            DeliveryReported(
                message_id=message_id,
                modem_id=message.modem_id,
                masked_number=message.masked_number,
                outcome=outcome,
                status=status,
            )
        )

    def _sweep(self) -> None:
        now = self._clock.boot_s()
        if now < self._next_sweep_boot_s:
            return
        self._next_sweep_boot_s = now + _SWEEP_EVERY_S
        for message_id, message in list(self._messages.items()):
            if now >= message.ends_boot_s:
                self._end(message_id, message, ReportOutcome.SILENCE, None)

    def _wait_for(self, key: bytes, message_id: str) -> None:
        # One that still waits under this key has been overtaken by 256 messages.
        self._stop_waiting(key)
        self._waiting[key] = message_id
        self._messages[message_id].keys.add(key)

    def _stop_waiting(self, key: bytes) -> None:
        message = self._messages.get(self._waiting.pop(key, ""))
        if message is not None:
            message.keys.discard(key)

    def _forget(self, message_id: str) -> None:
        for key in self._messages.pop(message_id).keys:
            self._waiting.pop(key, None)
        self._journal.append("reports", ["gone", message_id])

    def _hash(self, sim: str, reference: int, digits: str) -> bytes:
        telling = digits[-_TELLING_DIGITS:]
        return keyed_hash(self._key, "report", sim, str(reference), telling)[:_HASH_BYTES]

    def _replay(self, written: Record) -> None:
        kind, *values = written
        match kind:
            case "message":
                message_id, modem_id, masked_number, parts_left, ends_boot_s, status = values
                message = self._messages.setdefault(message_id, _Message(modem_id, masked_number, 0, 0.0))
                message.parts_left, message.ends_boot_s = int(parts_left), float(ends_boot_s)
                message.status = status
            case "part":
                self._wait_for(bytes.fromhex(values[0]), values[1])
            case "done":
                self._stop_waiting(bytes.fromhex(values[0]))
            case "gone":
                for key in self._messages.pop(values[0]).keys:
                    self._waiting.pop(key, None)

    def _live(self) -> Iterator[Record]:
        for message_id, message in self._messages.items():
            yield _as_written(message_id, message)
            for key in message.keys:
                yield ["part", key.hex(), message_id]


def _as_written(message_id: str, message: _Message) -> Record:
    return [
        "message",
        message_id,
        message.modem_id,
        message.masked_number,
        message.parts_left,
        message.ends_boot_s,
        message.status,
    ]
