"""Simulated modems, each at a port of its own, all served by one thread."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from otppi.model.network_pdu import deliver_pdus
from otppi.model.received_pdu import Party
from otppi.sim.card import CardPrint, SimCard
from otppi.sim.faults import Faults
from otppi.sim.loop import Loop
from otppi.sim.magic import MagicTimes, SimNetwork
from otppi.sim.modem import SimModem, Step
from otppi.sim.personality import Personality, load_personality
from otppi.sim.record import Record, SentMessage, SentSms, wait_for_sent
from otppi.sim.terminal import PseudoTerminal
from otppi.sim.wire import Wire

log = logging.getLogger(__name__)


class SimLine:
    """One simulated modem at a port; every method may be called from any thread."""

    def __init__(
        self,
        path: Path,
        modem: SimModem,
        loop: Loop,
        record: Record,
        on_message: Callable[[SentMessage], None] | None,
        keep_log: bool,
    ) -> None:
        """Make a modem that is not plugged in; `SimModems.add` does this."""
        self.name = modem.name
        self.path = path
        self.bytes_in = 0
        self.bytes_out = 0
        # (monotonic time, "in" or "out" as the modem sees it, bytes); None unless asked for.
        self.log: list[tuple[float, str, bytes]] | None = [] if keep_log else None
        self.record = record
        self._modem = modem
        self._loop = loop
        self._on_message = on_message
        self._wire = Wire()
        self._terminal: PseudoTerminal | None = None
        # What was planned in an earlier life of the modem must not happen in this one.
        self._life = 0
        self._planned = 0

    @property
    def sent(self) -> list[SentSms]:
        """The parts that reached the network, in order."""
        return self.record.sent

    @property
    def messages(self) -> list[SentMessage]:
        """The complete messages that reached the network, in order."""
        return self.record.messages

    @property
    def at_commands(self) -> int:
        """How many command lines came in."""
        return self._modem.command_lines

    @property
    def ctrl_z_times(self) -> list[float]:
        """When each PDU was complete, by CLOCK_MONOTONIC."""
        return self._modem.ctrl_z_times.copy()

    @property
    def offences(self) -> list[str]:
        """Commands that a gateway must never give."""
        return self._modem.offences.copy()

    @property
    def card(self) -> SimCard:
        """The SIM; read only."""
        return self._modem.card

    @property
    def imei(self) -> str:
        """What the modem tells as its serial number."""
        return self._modem.imei

    @property
    def is_plugged(self) -> bool:
        """Whether the port exists."""
        return self._terminal is not None

    def wait_for_sent(self, count: int, timeout_s: float) -> list[SentSms]:
        """Wait until so many parts reached the network since the beginning, and return all.

        Raises:
            TimeoutError: They did not in time.
        """
        wait_for_sent([self.record], count, timeout_s)
        return self.sent

    def set_faults(self, faults: Faults) -> None:
        """Misbehave like this from now on, and in no other way."""
        self._loop.call(partial(self._set_faults, faults))

    def inject(self, data: bytes) -> None:
        """Let the modem say something by itself, byte for byte; nothing happens while it is unplugged."""
        self._loop.call(lambda: self._say(data, time.monotonic()))

    def deliver(
        self, sender: str, text: str, *, sent_at: datetime | None = None, concat_reference: int = 0
    ) -> None:
        """Let somebody send a text to the SIM; the network keeps what the modem has no room for.

        Args:
            sender: `+62812…`, a national number, a short code, or a name.
            text: Goes in parts if it is long.
            sent_at: When the SMS centre had it; now if None.
            concat_reference: What the parts of a long text have in common.
        """
        party = Party(sender, is_name=not sender.removeprefix("+").isdigit())
        stamp = datetime.now(UTC) if sent_at is None else sent_at
        self.deliver_pdus(deliver_pdus(party, text, sent_at=stamp, concat_reference=concat_reference))

    def deliver_pdus(self, pdus: Iterable[str]) -> None:
        """Let the network bring messages or reports as they are, in this order."""
        for pdu in pdus:
            self._loop.call(partial(self._deliver, pdu))

    @property
    def held_by_network(self) -> int:
        """How many messages and reports the network could not bring yet."""
        return self._loop.call(lambda: self._modem.held_by_network)

    def unplug(self) -> None:
        """Take the modem out: its port is gone and whoever reads it gets an error."""
        self._loop.call(self._unplug)

    def plug(self) -> None:
        """Put the modem in again, at the same path and freshly started."""
        self._loop.call(self._plug)

    def restart(self) -> None:
        """Let the modem start anew while its port stays, as one on a soldered line does after a brown-out."""
        self._loop.call(self._modem.power_up)

    def _plug(self) -> None:
        if self._terminal is None:
            self._modem.power_up()
            self._terminal = PseudoTerminal(self.path)
            self._loop.watch(self._terminal.fd, self._on_readable)

    def _unplug(self) -> None:
        if self._terminal is not None:
            self._forget_plans()
            self._loop.unwatch(self._terminal.fd)
            self._terminal.close()
            self._terminal = None

    def _set_faults(self, faults: Faults) -> None:
        self._modem.set_faults(faults)
        self._wire.set(gap_s=faults.byte_gap_s, lost_fraction=faults.lost_fraction, seed=faults.lost_seed)
        if faults.hung:
            self._forget_plans()

    def _on_readable(self) -> None:
        if self._terminal is None:
            return
        data = self._terminal.read()
        now_s = time.monotonic()
        self.bytes_in += len(data)
        if self.log is not None:
            self.log.append((now_s, "in", data))
        at_s, data = self._wire.incoming(data, now_s)
        self._plan_steps(self._modem.receive(data, at_s))

    def _deliver(self, pdu: str) -> None:
        self._plan_steps(self._modem.deliver(pdu, time.monotonic()))

    def _plan_steps(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._plan(step.at_s, partial(self._perform, step))

    def _perform(self, step: Step) -> None:
        if not step.is_due():
            return
        if step.taken is not None and (message := self.record.add(step.taken)) and self._on_message:
            try:
                self._on_message(message)
            except Exception:
                log.exception("the receiver of messages failed", extra={"fields": {"modem": self.name}})
        if step.data:
            self._say(step.data, step.at_s)
        if step.arrival:
            self._deliver(step.arrival)

    def _say(self, data: bytes, at_s: float) -> None:
        for chunk_at_s, chunk in self._wire.outgoing(data, at_s):
            self._plan(chunk_at_s, partial(self._write, chunk))

    def _write(self, data: bytes) -> None:
        if self._terminal is None:
            return
        # A line without flow control: what a host that does not read has no room for is lost.
        self.bytes_out += self._terminal.write(data)
        if self.log is not None:
            self.log.append((time.monotonic(), "out", data))

    def _plan(self, at_s: float, work: Callable[[], None]) -> None:
        # What is due happens at once, but never before anything that was planned earlier.
        if not self._planned and at_s <= time.monotonic():
            work()
            return
        self._planned += 1
        self._loop.at(at_s, partial(self._carry_out, self._life, work))

    def _carry_out(self, life: int, work: Callable[[], None]) -> None:
        if life == self._life:
            self._planned -= 1
            work()

    def _forget_plans(self) -> None:
        self._life += 1
        self._planned = 0


class SimModems:
    """The simulated modems of one folder; every method may be called from any thread.

    Costs nothing while nobody talks to them: their thread sleeps until a byte comes or an answer is due.
    """

    def __init__(
        self,
        directory: Path,
        on_message: Callable[[SentMessage], None] | None = None,
        magic_times: MagicTimes | None = None,
    ) -> None:
        """Start with no modem.

        Args:
            directory: Where ports appear, under the names of their modems; made if it is not there.
            on_message: Called with every complete message, on the simulator's thread; must not wait.
            magic_times: How long magic numbers take that are late or slow.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._on_message = on_message
        self._network = SimNetwork(magic_times or MagicTimes())
        self._changed = threading.Condition()
        self._lines: list[SimLine] = []
        self._loop = Loop("sim-modems")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add(
        self,
        name: str,
        personality: str | Personality = "generic",
        *,
        submit_s: float | None = None,
        faults: Faults | None = None,
        iccid: str = "",
        imsi: str = "",
        operator: str = "Simnet",
        pin: str = "",
        number: str = "",
        imei: str = "",
        keep_log: bool = False,
    ) -> SimLine:
        """Plug in one more modem.

        Args:
            name: Names the modem and its port.
            personality: Its make, or a name that `load_personality` knows.
            submit_s: From Ctrl-Z to the final result; None leaves it to the personality.
            faults: How it misbehaves.
            iccid: What its SIM says; an invented one if empty.
            imsi: As for `iccid`.
            operator: The network's name.
            pin: What its SIM asks for after power-up; nothing if empty.
            number: The SIM's own, if it knows it.
            imei: Its serial number; an invented one if empty.
            keep_log: Whether to remember every byte in `SimLine.log`.

        Raises:
            PersonalityError: There is no such personality.
        """
        place = len(self._lines) + 1
        card = SimCard(
            CardPrint(
                iccid=iccid or f"8962000000000000{place:03d}",
                imsi=imsi or f"00101{place:010d}",  # 001-01 is the test network of ITU-T E.212
                operator=operator,
                pin=pin,
                number=number,
            )
        )
        modem = SimModem(
            name,
            load_personality(personality) if isinstance(personality, str) else personality,
            card,
            self._network,
            imei=imei or f"004999010{place:06d}",  # 00499901 is a type allocation for tests
            submit_s=submit_s,
        )
        record = Record(name, self._changed)
        line = SimLine(self._directory / name, modem, self._loop, record, self._on_message, keep_log)
        line.set_faults(faults or Faults())
        line.plug()
        self._lines.append(line)
        return line

    @property
    def lines(self) -> list[SimLine]:
        """All modems, plugged in or not, in the order they were added."""
        return self._lines.copy()

    @property
    def sent(self) -> list[SentSms]:
        """The parts that reached the network through any modem, in order."""
        parts = itertools.chain.from_iterable(line.sent for line in self._lines)
        return sorted(parts, key=lambda sms: sms.at_s)

    @property
    def turns(self) -> int:
        """How often the simulator's thread woke up."""
        return self._loop.turns

    def wait_for_sent(self, count: int, timeout_s: float) -> list[SentSms]:
        """Wait until so many parts reached the network since the beginning, and return all.

        Raises:
            TimeoutError: They did not in time.
        """
        wait_for_sent([line.record for line in self._lines], count, timeout_s)
        return self.sent

    def stop(self) -> None:
        """Unplug all modems and end the thread; may be called twice."""
        if not self._loop.is_running:
            return
        for line in self._lines:
            line.unplug()
        self._loop.stop()
