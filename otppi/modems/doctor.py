"""Examines a modem: what it is, whether it does as its family's data says, what hinders messages.

Nothing is written to the SIM or to the modem's profile, no PIN is entered and no stored message is read. What is set
is forgotten by a power cycle, and is put back where the modem told how it stood.
"""

import contextlib
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from otppi.model.modems import Identity, Registration, SimState
from otppi.model.number import Number
from otppi.model.pdu import submit_pdus
from otppi.model.pdu_fields import PduError
from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.model.received_pdu import StatusReport, decode_received
from otppi.model.sms_text import code_text
from otppi.modems import introduction, parse, probe
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families import family_of, family_on_usb
from otppi.modems.families.family import Family, Sweep, UssdForm
from otppi.modems.families.generic import GENERIC
from otppi.modems.parse import FinalKind
from otppi.modems.ports import PortChoice, candidates, left_out
from otppi.modems.recording import RecordedTransport, Recording
from otppi.modems.transport import PortGone, SerialLine

_LIST_LIMIT_S = 30.0
_ANSWER_LIMIT_S = 60.0  # to a message, where the family has none; as the gateway's setting
_ARRIVAL_LIMIT_S = 60.0
_LISTEN_S = 0.5
_VALIDITY_S = 3600.0
_MOST_SILENCES = 3  # in a row; then the modem itself is silent, and not to one question
# What the modem can, in its own words, and what the answers begin with; worth a line in a personality.
_ABILITIES = (
    ("ATI", "+GCAP:"),
    ("AT+GCAP", "+GCAP:"),
    ("AT+CSCS=?", "+CSCS:"),
    ("AT+CMGS=?", "+CMGS:"),
    ("AT+CMGL=?", "+CMGL:"),
    ("AT+CFUN=?", "+CFUN:"),
)
_ERROR_FORMS = {"0": "without a reason", "1": "by number", "2": "in words"}


class Level(StrEnum):
    """How one thing was found."""

    OK = "ok"
    DIFFERS = "differs"  # from what the family's data says
    NO_ANSWER = "no answer"
    PROBLEM = "problem"  # it hinders messages, and the modem is not to blame
    UNASKED = "not asked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report."""

    subject: str
    level: Level
    words: str
    advice: str = ""


class Verdict(StrEnum):
    """What it comes to."""

    WORKS = "works"
    TELL_US = "works, but tell us"
    NO_MODEM = "is no modem"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question and what was answered; the lines only where it ended with OK."""

    command: str
    lines: tuple[str, ...]
    final: str  # as it came; empty if none did
    took_s: float

    @property
    def is_ok(self) -> bool:
        """Whether the modem did it."""
        return self.final == "OK" or (not self.final and bool(self.lines))

    @property
    def is_silent(self) -> bool:
        """Whether nothing came."""
        return not self.final and not self.lines


@dataclass(kw_only=True)
class Case:
    """All that is known in the end of a modem that was examined."""

    findings: list[Finding] = field(default_factory=list)
    verdict: Verdict = Verdict.NO_MODEM
    words: str = ""  # the verdict for a person
    family: Family = GENERIC
    identity: Identity = field(default_factory=Identity)
    asked: list[Asked] = field(default_factory=list)
    chatter: list[str] = field(default_factory=list)  # lines that came by themselves
    submit_chatter: list[str] = field(default_factory=list)  # between Ctrl-Z and the result
    submit_s: float | None = None
    own_number: str = ""
    is_complete: bool = True  # False: it stopped in the middle

    @property
    def is_well(self) -> bool:
        """Whether nothing differs and nothing hinders."""
        return self.verdict is Verdict.WORKS and all(
            finding.level is not Level.PROBLEM for finding in self.findings
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Numbers that must not be shown."""
        own = self.identity
        return own.imei, own.iccid, own.imsi, own.sms_center.lstrip("+"), self.own_number.lstrip("+")


class ObservedChannel(Channel):
    """Speaks AT and remembers what was asked, what came, and how long it took."""

    def __init__(self, transport: RecordedTransport, recording: Recording) -> None:
        super().__init__(transport, self._hear)
        self.recording = recording
        self.asked: list[Asked] = []
        self.uninvited: list[str] = []

    def command(
        self,
        text: str,
        *,
        expect: str = "",
        timeout_s: float = 5.0,
        shown: str = "",
        may_lack_ok: bool = False,
    ) -> list[str]:
        """Send a command and return the lines of its answer, as `Channel` does."""
        mark, began_s = self.recording.length, time.monotonic()
        lines: list[str] = []
        has_ended = True
        try:
            lines = super().command(
                text, expect=expect, timeout_s=timeout_s, shown=shown, may_lack_ok=may_lack_ok
            )
        except NoAnswer:
            has_ended = False
            raise
        finally:
            final = _last_final(self.recording.heard(mark)) if has_ended else ""
            took_s = time.monotonic() - began_s
            self.asked.append(Asked(command=shown or text, lines=tuple(lines), final=final, took_s=took_s))
        return lines

    def answer_to(self, command: str) -> Asked | None:
        """Return the last answer to a command."""
        return next((asked for asked in reversed(self.asked) if asked.command == command), None)

    @property
    def has_fallen_silent(self) -> bool:
        """Whether the last questions were not answered at all."""
        last = self.asked[-_MOST_SILENCES:]
        return len(last) == _MOST_SILENCES and all(asked.is_silent for asked in last)

    def _hear(self, line: str) -> None:
        self.uninvited.append(line)


def _last_final(heard: str) -> str:
    lines = (line.strip() for line in re.split(r"[\r\n]+", heard))
    finals = [head for line in lines if (head := parse.unglued(line)[0]) and parse.final_result(head)]
    return finals[-1] if finals else ""


def look_at_ports(stick: Stick, port: SerialPort, line: SerialLine) -> Iterator[Finding]:
    """Say why this port, and ask the other ports of its stick that may be asked; waits 3 s for each silent one."""
    what = f"{stick.usb} ({stick.description or 'it does not say what it is'})" if stick.usb else "not on USB"
    family = family_on_usb(stick.usb)
    has_layout = family is not None and stick.usb in family.layouts
    for choice in candidates(stick):
        if choice.port == port:
            yield Finding(subject="port", level=Level.OK, words=f"{port.node}, {what}: {choice.why}")
        elif not choice.only_if_named:
            yield _of_other_port(stick, choice, line, must_answer=has_layout)
    for choice in left_out(stick):
        if choice.port == port:
            words = f"{port.node}, {what}: {choice.why}; it was asked all the same"
            yield Finding(subject="port", level=Level.DIFFERS, words=words)
        else:
            yield Finding(subject=_port_subject(choice.port), level=Level.UNASKED, words=choice.why)


def _port_subject(port: SerialPort) -> str:
    return f"port {port.node}"


def _of_other_port(stick: Stick, choice: PortChoice, line: SerialLine, *, must_answer: bool) -> Finding:
    found = probe.ask(stick, choice, line)
    if found.family is not None:
        return Finding(
            subject=_port_subject(choice.port), level=Level.OK, words=f"takes commands too: {choice.why}"
        )
    level = Level.DIFFERS if must_answer and not found.is_held else Level.OK
    return Finding(
        subject=_port_subject(choice.port), level=level, words=f"takes no commands now: {found.problem}"
    )


def examine(
    channel: ObservedChannel,
    usb: UsbId | None = None,
    *,
    ports: Iterable[Finding] = (),
    receiver: Number | None = None,
) -> Case:
    """Examine a modem over its open port; takes seconds, or a minute more with a message.

    Args:
        channel: To the port; nobody else uses it.
        usb: The stick's id, if it is one.
        ports: What was found of its ports.
        receiver: Who gets one message; None for nobody.
    """
    return _Examination(channel, usb, ports).carried_out(receiver)


class _FellSilent(Exception):
    """There is no sense in asking on."""


class _Examination:
    def __init__(self, channel: ObservedChannel, usb: UsbId | None, ports: Iterable[Finding]) -> None:
        self._channel = channel
        self._usb = usb
        self._case = Case(findings=list(ports))
        self._back: list[str] = []  # what puts back what was changed
        self._sim = SimState.FAILED
        self._is_registered = False

    def carried_out(self, receiver: Number | None) -> Case:
        case, channel = self._case, self._channel
        try:
            self._first_contact()
        except (NoAnswer, AtRefused, PortGone) as error:
            self._add(
                "commands",
                Level.NO_ANSWER,
                f"nothing at this port answers to AT ({error})",
                "If it is a modem, pull it out and put it in again, try its other ports, or --baud.",
            )
            case.words = "nothing here answers AT commands: it is no modem, or one that hangs"
            return case
        try:
            self._all_steps(receiver)
        except _FellSilent:
            case.is_complete = False
            before = next((asked for asked in reversed(channel.asked) if not asked.is_silent), None)
            last = f" after {before.command}" if before is not None else ""
            self._add(
                "silence",
                Level.NO_ANSWER,
                f"it answered nothing more{last}",
                "Pull it out and put it in again.",
            )
        except PortGone as error:
            case.is_complete = False
            self._add("port", Level.NO_ANSWER, f"the port went away in the middle: {error}")
        else:
            self._timing()
        case.asked = channel.asked.copy()
        case.chatter += [line for line in channel.uninvited if line not in case.submit_chatter]
        self._put_back()
        case.verdict, case.words = _judged(case, self._sim)
        return case

    def _all_steps(self, receiver: Number | None) -> None:
        self._step("identity", self._identity)
        self._step("SIM", self._sim_card)
        if self._sim is SimState.READY:
            for subject, step in (
                ("SIM", self._what_the_sim_tells),
                ("network", self._network),
                ("messages", self._messages),
                ("received messages", self._received_messages),
                ("USSD", self._ussd),
            ):
                self._step(subject, step)
        else:
            self._step("network", self._network)
            words = f"messages, their stores and USSD, as the SIM is not open ({self._sim.value})"
            self._add("messages", Level.UNASKED, words, "Run it again with an open SIM.")
        for command, expect in _ABILITIES:
            self._ask(command, expect)
        self._character_sets()
        if receiver is not None:
            self._step("test message", lambda: self._send(receiver))

    def _step(self, subject: str, step: Callable[[], None]) -> None:
        try:
            step()
        except NoAnswer:
            command = self._channel.asked[-1].command if self._channel.asked else ""
            self._add(subject, Level.NO_ANSWER, f"{command} was not answered")
            self._give_up_if_silent()

    def _add(self, subject: str, level: Level, words: str, advice: str = "") -> None:
        self._case.findings.append(Finding(subject=subject, level=level, words=words, advice=advice))

    def _ask(self, command: str, expect: str = "", timeout_s: float = 5.0) -> Asked:
        expected = expect or command.removeprefix("AT").rstrip("?").partition("=")[0] + ":"
        with contextlib.suppress(AtRefused, NoAnswer):
            self._channel.command(command, expect=expected, timeout_s=timeout_s)
        self._give_up_if_silent()
        return self._channel.asked[-1]

    def _give_up_if_silent(self) -> None:
        if self._channel.has_fallen_silent:
            raise _FellSilent

    def _remember(self, question: str, told: str, back: str) -> None:
        """Ask how a setting stands, so that it can be put back; `told` has one group, for the place in `back`."""
        for line in self._ask(question).lines:
            if match := re.search(told, line):
                self._back.append(back.format(match[1]))

    def _first_contact(self) -> None:
        introduction.set_up(self._channel)
        heard = self._channel.recording.heard()
        had_echo = "AT+CMEE?" in heard
        self._case.chatter += [
            line.strip()
            for line in re.split(r"[\r\n]+", heard)
            if parse.is_unsolicited(line.strip(), "+CMEE:")
        ]
        if had_echo:
            self._back.append("ATE1")
        form = ""
        if (match := re.search(r"\+CMEE: *([012])", heard)) is not None:
            form = match[1]
            self._back.append(f"AT+CMEE={form}")
        self._ask("AT")
        words = f"takes AT commands; its echo was {'on' if had_echo else 'off'}"
        words += f", and it told errors {_ERROR_FORMS[form]}" if form else ""
        self._add("commands", Level.OK, words)

    def _identity(self) -> None:
        case = self._case
        case.family, case.identity = introduction.meet(self._channel, self._usb)
        own, family = case.identity, case.family
        words = f"{own.manufacturer or 'no maker'} {own.model or 'no model'}, {own.revision or 'no revision'}"
        self._add("identity", Level.OK, words)
        if own.imei:
            self._add("IMEI", Level.OK, "it tells one")
        else:
            self._add("IMEI", Level.DIFFERS, "it tells none, so it is known by its port alone")
        by_usb, by_words = family_on_usb(self._usb), family_of(None, own.manufacturer, own.model)
        if by_usb is not None and by_words is not GENERIC and by_words is not by_usb:
            words = f"{by_usb.name} by its USB id {self._usb}, and {by_words.name} by its words; the first is taken"
            self._add("family", Level.DIFFERS, words)
        elif by_usb is not None:
            self._add("family", Level.OK, f"{family.name}, by its USB id {self._usb}")
        elif family is not GENERIC:
            self._add("family", Level.OK, f"{family.name}, by its words")
        else:
            self._add("family", Level.OK, "generic: neither its USB id nor its words are of a family")
        self._said(family.init)

    def _said(self, commands: tuple[str, ...]) -> None:
        """Judge what was said to it for its family's sake."""
        for command in commands:
            answer = self._channel.answer_to(command)
            if answer is not None and not answer.is_ok:
                self._add(
                    f"{command}", _level_of(answer), f"its family is given it, and it says {_said_by(answer)}"
                )

    def _sim_card(self) -> None:
        self._sim = introduction.sim_state(self._channel)
        family = self._case.family
        tries = introduction.pin_tries(self._channel, family)
        if tries is not None:
            left = f"{tries.pin} tries of the PIN are left"
        elif family.pin_tries == GENERIC.pin_tries:
            left = "it does not tell how many tries of the PIN are left"
        else:
            left = ""
            words = (
                f"{family.pin_tries.command} should tell them, and tells {_said_by(self._channel.asked[-1])}"
            )
            self._add("tries of the PIN", _level_of(self._channel.asked[-1]), words)
        words = "; ".join(filter(None, (self._sim.value, left)))
        if self._sim is SimState.READY:
            self._add("SIM", Level.OK, words)
        else:
            self._add("SIM", Level.PROBLEM, f"{words}; nothing was entered", _SIM_ADVICE.get(self._sim, ""))

    def _what_the_sim_tells(self) -> None:
        case, channel = self._case, self._channel
        self._remember("AT+COPS?", r"\+COPS: *\d+ *, *(\d)", "AT+COPS=3,{}")
        mark = len(channel.asked)
        case.identity = introduction.identity(channel, case.family, case.identity)
        told_by = [
            asked.command
            for asked in channel.asked[mark:]
            if any(parse.iccid(line) and "CIMI" not in asked.command for line in asked.lines)
        ]
        question = case.family.iccid
        if question is not None and told_by != [question.command]:
            by = f"; {told_by[0]} does" if told_by else ""
            answer = channel.answer_to(question.command)
            level = _level_of(answer) if answer is not None else Level.DIFFERS
            self._add("ICCID", level, f"{question.command} should tell it, and does not{by}")
        elif not told_by:
            self._add("ICCID", Level.DIFFERS, "no question brought it, so a change of the SIM is not seen")
        else:
            self._add("ICCID", Level.OK, f"told by {told_by[0]}")
        if case.identity.imsi:
            self._add("IMSI", Level.OK, "it tells one")
        else:
            self._add("IMSI", Level.DIFFERS, "it tells none")
        for line in self._ask("AT+CNUM").lines:
            if match := re.match(r'\+CNUM: *(?:"[^"]*")? *, *"(\+?\d+)"', line):
                case.own_number = match[1]
        self._add(
            "own number", Level.OK, "the SIM tells it" if case.own_number else "the SIM does not tell it"
        )

    def _network(self) -> None:
        told: list[str] = []
        for name, command in (("calls and SMS", "AT+CREG?"), ("LTE", "AT+CEREG?"), ("data", "AT+CGREG?")):
            answer = self._ask(command)
            states = [state for line in answer.lines if (state := parse.registration(line))]
            self._is_registered |= any(state.is_registered for state in states)
            told.append(f"{name} {states[-1].value if states else _said_by(answer)}")
            if states and states[-1] is Registration.DENIED:
                told[-1] += " (is the SIM active, and paid for?)"
        if self._is_registered:
            self._add("network", Level.OK, "; ".join(told))
        elif self._sim is SimState.READY:
            advice = (
                "Look at antenna and SIM, and whether the operator still has a network that this modem knows."
            )
            self._add("network", Level.PROBLEM, "; ".join(told), advice)
        else:
            self._add("network", Level.UNASKED, f"without a SIM that is open: {'; '.join(told)}")
        signals = [signal for line in self._ask("AT+CSQ").lines if (signal := parse.signal(line)) is not None]
        if signals:
            self._add("signal", Level.OK, f"{signals[-1].rssi_dbm} dBm, {signals[-1].condition}")
        elif self._is_registered:
            self._add("signal", Level.OK, "it does not tell")
        if self._sim is SimState.READY:
            operator, center = self._case.identity.operator, self._case.identity.sms_center
            self._add("operator", Level.OK, operator or "it names none")
            if center:
                self._add("SMS centre", Level.OK, "the SIM has one")
            else:
                advice = "Without it nothing is sent; put the SIM into a phone and set it there."
                self._add("SMS centre", Level.PROBLEM, "the SIM has none", advice)

    def _messages(self) -> None:
        self._ask_family_with_sim()
        formats = self._ask("AT+CMGF=?")
        self._remember("AT+CMGF?", r"\+CMGF: *(\d)", "AT+CMGF={}")
        pdu_mode = self._ask("AT+CMGF=0")
        if pdu_mode.is_ok:
            self._add("PDU mode", Level.OK, f"taken; formats: {_told(formats)}")
        else:
            words = f"AT+CMGF=0 is answered by {_said_by(pdu_mode)}, and messages are sent in no other way"
            self._add("PDU mode", _level_of(pdu_mode), words)
        service = self._ask("AT+CSMS?")
        self._add("message service", Level.OK, _told(service))
        self._remember("AT+CMMS?", r"\+CMMS: *(\d)", "AT+CMMS={}")
        burst = self._ask("AT+CMMS=2")
        words = "taken" if burst.is_ok else f"{_said_by(burst)}, so each message opens the radio link anew"
        self._add("bursts (AT+CMMS)", Level.NO_ANSWER if burst.is_silent else Level.OK, words)

    def _ask_family_with_sim(self) -> None:
        for command in self._case.family.init_with_sim:
            self._ask(command)
        self._said(self._case.family.init_with_sim)

    def _received_messages(self) -> None:
        self._remember("AT+CNMI?", r"\+CNMI: *([\d, ]+)", "AT+CNMI={}")
        self._ask("AT+CNMI=?")
        indications = self._case.family.indications
        taken = next((command for command in indications if self._ask(command).is_ok), None)
        if taken is not None:
            self._add("indications", Level.OK, f"{taken} is taken")
        else:
            words = f"none of {', '.join(indications)} is taken; messages are found by sweeps"
            self._add("indications", _level_of(self._channel.asked[-1]), words)
        self._stores()

    def _stores(self) -> None:
        family = self._case.family
        kinds = self._ask("AT+CPMS=?")
        known = ", ".join(dict.fromkeys(re.findall(r'"(\w+)"', " ".join(kinds.lines))))
        fill = self._fill()
        if fill is not None and fill.store != family.store:
            self._back.append(f'AT+CPMS="{fill.store}"')
            self._ask(f'AT+CPMS="{family.store}"')
            fill = self._fill()
        words = f"it knows {known or 'stores that it does not name'}"
        if fill is None or fill.store != family.store:
            words += f", and {family.store}, where messages are looked for, cannot be chosen"
            self._add("stores", _level_of(self._channel.asked[-1]), words)
            return
        self._add(
            "stores", Level.OK, f"{words}; {fill.used} of {fill.total} places of {fill.store} are taken"
        )
        self._sweep(fill)
        self._first_place()

    def _fill(self) -> parse.StoreFill | None:
        return next(
            (fill for line in self._ask("AT+CPMS?").lines if (fill := parse.store_fill(line)) is not None),
            None,
        )

    def _sweep(self, fill: parse.StoreFill) -> None:
        family = self._case.family
        by_list = family.sweep is Sweep.LIST
        command = "AT+CMGL=4" if by_list else f"AT+CMGR={family.first_index}"
        if fill.used:
            words = f"{command} would read the messages that are there, so it was not tried"
            self._add("reading", Level.UNASKED, words, "Run it again when the SIM has no messages.")
            return
        answer = self._ask(command, timeout_s=_LIST_LIMIT_S)
        # An empty place is told by an error.
        if answer.is_ok or (not by_list and not answer.is_silent):
            self._add("reading", Level.OK, f"{command} is answered")
        else:
            self._add("reading", _level_of(answer), f"{command} is answered by {_said_by(answer)}")

    def _first_place(self) -> None:
        told = " ".join(self._ask("AT+CMGD=?").lines)
        first = self._case.family.first_index
        match = re.search(r"\+CMGD: *\((\d+)(-?)", told)
        found = int(match[1]) if match else None
        if match is None or (not match[2] and found != 0):
            return  # a list of the places that are taken says nothing of the first
        level = Level.OK if found == first else Level.DIFFERS
        self._add("first place", level, f"places are counted from {found}")

    def _ussd(self) -> None:
        answer = self._ask("AT+CUSD=?")
        form = "packed, in hex" if self._case.family.ussd is UssdForm.PACKED else "as they are"
        words = f"the family is given codes {form}; none was dialled, so it is not shown that this one takes them so"
        level = Level.NO_ANSWER if answer.is_silent else Level.UNASKED
        self._add("USSD", level, words, "Once the gateway uses the modem: otppi ussd MODEM CODE")

    def _character_sets(self) -> None:
        present = self._ask("AT+CSCS?")
        known = self._channel.answer_to("AT+CSCS=?")
        words = f"{_told(present)}; it knows {_told(known) if known is not None else 'others'}"
        self._add("character sets", Level.NO_ANSWER if present.is_silent else Level.OK, words)

    def _send(self, receiver: Number) -> None:
        case, channel = self._case, self._channel
        if self._sim is not SimState.READY or not self._is_registered:
            self._add("test message", Level.UNASKED, "not sent, as the SIM is not open or has no network")
            return
        self._remember("AT+CSMS?", r"\+CSMS: *(\d)", "AT+CSMS={}")
        self._ask("AT+CSMS=0")
        (pdu,) = submit_pdus(
            receiver.digits,
            receiver.is_short_code,
            code_text("A test by otppi modem doctor."),
            concat_reference=0,
            validity_s=_VALIDITY_S,
            wants_report=True,
        )
        began_s, mark = time.monotonic(), len(channel.uninvited)
        try:
            reference = channel.send_pdu(pdu, lambda: None, case.family.answer_limit_s or _ANSWER_LIMIT_S)
        except AtRefused as error:
            level = Level.PROBLEM if error.final.kind is FinalKind.CMS_ERROR else Level.DIFFERS
            self._add(
                "test message", level, f"refused: {error.final}", "Look at credit, SMS centre and number."
            )
            return
        except NoAnswer as error:
            self._add("test message", Level.NO_ANSWER, f"{error}; it may have been sent")
            return
        case.submit_s = time.monotonic() - began_s
        case.submit_chatter = [
            line for line in channel.uninvited[mark:] if not line.startswith(("+CMT", "+CDS"))
        ]
        self._add("test message", Level.OK, f"the network took it within {case.submit_s:.1f} s")
        self._what_came_back(reference, mark, is_own=_is_own(receiver, case.own_number))

    def _what_came_back(self, reference: int, mark: int, *, is_own: bool) -> None:
        began_s = time.monotonic()
        report: tuple[float, str] | None = None
        arrived_after_s: float | None = None
        while (passed_s := time.monotonic() - began_s) < _ARRIVAL_LIMIT_S:
            for line in self._channel.uninvited[mark:]:
                if report is None and (words := _report_of(line, reference)):
                    report = (passed_s, words)
                if arrived_after_s is None and line.startswith("+CMTI:"):
                    arrived_after_s = passed_s
            if report is not None and (arrived_after_s is not None or not is_own):
                break
            self._channel.idle(_LISTEN_S)
        if report is not None:
            self._add("delivery report", Level.OK, f"{report[1]}, {report[0]:.1f} s later")
        else:
            words = (
                f"none within {_ARRIVAL_LIMIT_S:.0f} s; some networks send none, and nothing depends on it"
            )
            self._add("delivery report", Level.UNASKED, words)
        if arrived_after_s is not None:
            words = f"a message came {arrived_after_s:.1f} s later and stays on the SIM"
            self._add(
                "arrival", Level.OK, words if is_own else f"{words}: this one, if the number is the SIM's own"
            )
        elif is_own:
            words = f"the SIM's own message did not come within {_ARRIVAL_LIMIT_S:.0f} s"
            self._add("arrival", Level.PROBLEM, words, "Look whether the operator is late; otppi inbox list.")

    def _timing(self) -> None:
        answered = [asked for asked in self._channel.asked if not asked.is_silent]
        slowest = max(answered, key=lambda asked: asked.took_s)
        half_ms = 1000 * statistics.median(asked.took_s for asked in answered)
        words = (
            f"{len(answered)} answers, half of them within {half_ms:.0f} ms; the slowest, to {slowest.command}, "
            f"took {slowest.took_s:.1f} s"
        )
        self._add("times", Level.OK, words)

    def _put_back(self) -> None:
        """Put back what was changed, last first; what cannot be is forgotten by a power cycle."""
        back = list(reversed(dict.fromkeys(self._back)))
        left: list[str] = []
        for number, command in enumerate(back):
            try:
                self._channel.command(command, expect="+")
            except AtRefused:
                left.append(command)
            except (NoAnswer, PortGone):
                left += back[number:]
                break
        words = "settings were put back"
        if left:
            words += f" but for these, which a power cycle does: {', '.join(left)}"
        if given := [
            one
            for one in (*self._case.family.init, *self._case.family.init_with_sim)
            if not one.endswith("?")
        ]:
            words += f"; what its family is given stays until then: {', '.join(given)}"
        self._add("afterwards", Level.OK, words)


_SIM_ADVICE = {
    SimState.ABSENT: "Put in a SIM, the contacts to where the slot's are.",
    SimState.PIN_NEEDED: "Once the gateway uses the modem: otppi sim pin enter MODEM",
    SimState.PUK_NEEDED: "Once the gateway uses the modem: otppi sim unblock MODEM; the operator tells the PUK.",
    SimState.LOCKED: "The modem takes SIMs of one network alone, or the SIM one device; ask who sold it.",
}


def _level_of(asked: Asked) -> Level:
    return Level.NO_ANSWER if asked.is_silent else Level.DIFFERS


def _said_by(asked: Asked) -> str:
    """Return an answer that was not what was hoped for, in its own words."""
    if asked.is_silent:
        return "nothing"
    return (
        asked.final if asked.final not in ("", "OK") else "OK alone" if not asked.lines else asked.lines[-1]
    )


def _told(asked: Asked) -> str:
    """Return what an answer tells, or that it does not."""
    return parse.information(asked.lines[-1]) if asked.lines else f"it does not tell ({_said_by(asked)})"


def _is_own(receiver: Number, own_number: str) -> bool:
    # The SIM may have it in the national form; the last digits tell.
    digits = own_number.lstrip("+0")
    return bool(digits) and receiver.digits.endswith(digits)


def _report_of(line: str, reference: int) -> str:
    """Say what a line tells of a report; empty if it is not about that message."""
    if line.startswith("+CDSI:"):
        return "a report was stored"
    if not line.startswith("+CDS:") or (pdu := parse.brought_pdu(line)) is None:
        return ""
    try:
        report = decode_received(pdu)
    except PduError:
        return "a report came that cannot be read"
    is_ours = isinstance(report, StatusReport) and report.reference == reference
    return report.outcome.value if isinstance(report, StatusReport) and is_ours else ""


def _judged(case: Case, sim: SimState) -> tuple[Verdict, str]:
    by_level = {level: [one.subject for one in case.findings if one.level is level] for level in Level}
    name = case.family.name
    if sim is SimState.READY and "PDU mode" in by_level[Level.DIFFERS]:
        return (
            Verdict.NO_MODEM,
            "it takes AT commands and no messages in PDU mode, so OTP-Pi cannot send with it",
        )
    if not case.identity.imei and sim is SimState.FAILED:
        return Verdict.NO_MODEM, "it takes AT commands and knows of no SIM: it is no modem for messages"
    if not case.is_complete:
        return (
            Verdict.TELL_US,
            f"it was taken for {name} and stopped in the middle, so nothing is sure; tell us",
        )
    works = f"it works with OTP-Pi as {name}"
    if sim is not SimState.READY:
        works += ", as far as can be told without its SIM"
    until = f", once this is settled: {', '.join(by_level[Level.PROBLEM])}" if by_level[Level.PROBLEM] else ""
    if odd := by_level[Level.DIFFERS] + by_level[Level.NO_ANSWER]:
        words = f"{works}{until}, but tell us what is not as known: {', '.join(odd)}"
        return Verdict.TELL_US, words
    return Verdict.WORKS, f"{works}{until}"
