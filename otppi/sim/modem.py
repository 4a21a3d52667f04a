"""One GSM modem without its line: bytes in, timed bytes out, and the messages that reached the network."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from otppi.model.network_pdu import status_report_pdu
from otppi.model.pdu import PduError, Submitted, decode_submit
from otppi.model.received_pdu import Party
from otppi.sim.answers import Answer, Answers
from otppi.sim.at_line import split_arguments, split_line
from otppi.sim.card import SimCard
from otppi.sim.error_words import shown_error
from otppi.sim.faults import Countdown, Faults, Moment
from otppi.sim.magic import SimNetwork
from otppi.sim.operators import WRONG_PARAMETERS
from otppi.sim.personality import Personality
from otppi.sim.ussd import UssdSession
from otppi.sim.verdict import Verdict

_END_OF_PDU = re.compile(rb"[\x1a\x1b]")
_CTRL_Z = 0x1A
# Of no meaning in a command: line feeds, and what was meant to end a PDU that nobody waits for.
_NOT_IN_COMMANDS = b"\n\x00\x1a\x1b"
_CMGS = re.compile(r"\+CMGS=(\d+)")
_TPDU_OCTETS = range(7, 165)  # 3GPP TS 23.040, 9.2.2.2: SMS-SUBMIT with 0 to 140 octets of text
_RESTART = b"AT+CFUN=1,1\r"
_LONGEST_INPUT = 1024
_INTERNATIONAL = 0x91  # type of address (3GPP TS 23.040, 9.1.2.5)
_NUMERIC_RESULTS = {"OK": "0", "ERROR": "4"}  # ITU-T V.250, 5.7.1


@dataclass(frozen=True)
class Taken:
    """A part that reached the network."""

    reference: int
    submitted: Submitted


@dataclass(frozen=True)
class Step:
    """Something that the modem does at a moment of the caller's clock."""

    at_s: float
    data: bytes = b""
    taken: Taken | None = None
    arrival: str = ""  # a PDU that the network brings then
    # Asked when the moment has come; what is due no more is left out.
    is_due: Callable[[], bool] = lambda: True


class SimModem:
    """A state machine with no thread, line or clock of its own; its caller passes the time."""

    def __init__(
        self,
        name: str,
        personality: Personality,
        card: SimCard,
        network: SimNetwork,
        *,
        imei: str,
        submit_s: float | None = None,
    ) -> None:
        """Make a modem that is switched on.

        Args:
            name: What the network knows it by.
            personality: Its make.
            card: Its SIM.
            network: Decides what becomes of messages; shared by all modems.
            imei: Its serial number.
            submit_s: From Ctrl-Z to the final result; None leaves it to the personality.
        """
        self.name = name
        self.submit_s = personality.submit_s if submit_s is None else submit_s
        self.command_lines = 0
        self.ctrl_z_times: list[float] = []
        self._answers = Answers(personality, card, imei)
        self._ussd = UssdSession(personality)
        self._network = network
        self._reference = 0
        self._steps: list[Step] = []
        self.set_faults(Faults())
        self.power_up()

    @property
    def card(self) -> SimCard:
        """The SIM in it."""
        return self._answers.card

    @property
    def imei(self) -> str:
        """What it tells as its serial number."""
        return self._answers.imei

    @property
    def offences(self) -> list[str]:
        """Commands that a gateway must never give, such as writing a message to the SIM."""
        return self._answers.offences

    def power_up(self) -> None:
        """Start anew, as after plugging in: settings and half commands are gone, the PIN is asked again."""
        self._input = b""
        self._pdu_octets: int | None = None
        self._free_at_s = 0.0
        self._has_booted = False
        self._answers.power_up()
        self._answers.mail.power_up()
        self._ussd.end()
        self.card.power_up()

    def set_faults(self, faults: Faults) -> None:
        """Misbehave like this from now on; counts start anew."""
        self._faults = faults
        self._answers.has_network = not faults.no_network
        self._no_prompt = Countdown(faults.no_prompt_sends)
        self._silent = Countdown(faults.silent_sends)
        self._good = Countdown(faults.good_sends)
        self._failing = Countdown(faults.failing_sends)
        self._late = Countdown(faults.late_sends)

    def receive(self, data: bytes, now_s: float) -> list[Step]:
        """Take bytes from the line and return what the modem does about them, in order of speaking."""
        if self._faults.hung:
            if self._faults.hears_restart and _RESTART in data:
                self.set_faults(replace(self._faults, hung=False))
                self.power_up()
            return []
        self._boot(now_s)
        self._input += data
        while self._take_pdu(now_s) if self._pdu_octets is not None else self._take_line(now_s):
            pass
        self._input = self._input[-_LONGEST_INPUT:]
        self._bring(now_s)
        steps, self._steps = self._steps, []
        return steps

    def deliver(self, pdu: str, now_s: float) -> list[Step]:
        """Let the network bring a message or a report; it keeps what the modem cannot take now."""
        self._answers.mail.held.append(pdu)
        self._bring(now_s)
        steps, self._steps = self._steps, []
        return steps

    @property
    def held_by_network(self) -> int:
        """How many messages and reports the network could not bring yet."""
        return len(self._answers.mail.held)

    def _bring(self, now_s: float) -> None:
        faults = self._faults
        if self._answers.mail.held and self.card.is_open and not faults.hung and not faults.no_network:
            for line in self._answers.mail.bring():
                self._say(now_s, self._line(line))

    def _boot(self, now_s: float) -> None:
        # Chatter follows the first byte of the host: opening the port flushes what came before.
        if self._has_booted:
            return
        self._has_booted = True
        for line in self._answers.personality.boot_chatter:
            self._say(now_s, self._line(self._answers.fill(line)))

    def _take_line(self, now_s: float) -> bool:
        raw, end, rest = self._input.partition(b"\r")
        if not end:
            return False
        self._input = rest
        line = raw.translate(None, _NOT_IN_COMMANDS).strip()
        if self._answers.echo and line:
            self._say(self._start(now_s), line + b"\r")
        if line[:2].upper() == b"AT":
            self.command_lines += 1
            self._run(line[2:].decode("ascii", errors="replace"), self._start(now_s))
        return True

    def _run(self, line: str, at_s: float) -> None:
        lines: list[str] = []
        final = "OK"
        for command in split_line(line):
            if command.startswith("+CMGS="):
                self._begin_send(command, at_s)
                return
            if command.startswith("+CUSD=1,"):
                answer = self._ask_network(command, at_s)
                if answer.final == "OK" and self._answers.personality.ussd_ok_last:
                    at_s = max(step.at_s for step in self._steps)
            else:
                answer = self._answers.answer(command)
                if command == "+COPS=?":  # it does nothing else meanwhile
                    at_s = self._free_at_s = at_s + self._answers.personality.scan_s
            lines += answer.lines
            final = answer.final
            if final != "OK":
                break
            if command == "+CFUN=1,1":
                self.power_up()
            elif command == "+CUSD=2":
                self._ussd.end()
            if command in self._answers.personality.lacks_ok:
                final = ""
        self._say(at_s, self._whole_answer(lines, final))

    def _ask_network(self, command: str, at_s: float) -> Answer:
        if not self.card.is_open:
            return Answer(final="+CME ERROR: 11")
        if self._faults.no_network:
            return Answer(final="+CME ERROR: 30")
        _, code, *_ = split_arguments(command.removeprefix("+CUSD="))
        if not code:
            return Answer(final=WRONG_PARAMETERS)
        said, final = self._ussd.ask(code, self._answers.character_set)
        number, limit_s = self._ussd.number, self._answers.personality.ussd_session_s
        for one in said:
            self._steps.append(
                Step(at_s + one.after_s, self._line(one.line), is_due=lambda: self._ussd.number == number)
            )
        if self._ussd.is_open and limit_s:
            ending = self._line("+CUSD: 2")
            self._steps.append(Step(at_s + limit_s, ending, is_due=lambda: self._ussd.times_out(number)))
        return Answer(final=final)

    def _begin_send(self, command: str, at_s: float) -> None:
        if self._no_prompt.take():
            return
        match = _CMGS.fullmatch(command)
        if not self.card.is_open:
            self._say(at_s, self._whole_answer([], "+CMS ERROR: 311"))
        elif self._answers.is_in_text_mode:
            self._say(at_s, self._whole_answer([], "+CMS ERROR: 303"))
        elif not match or int(match[1]) not in _TPDU_OCTETS:
            self._say(at_s, self._whole_answer([], "+CMS ERROR: 304"))
        else:
            self._pdu_octets = int(match[1])
            prompt = self._interruption(Moment.BEFORE_PROMPT) + b"\r\n> "
            self._say(at_s, prompt + self._interruption(Moment.AFTER_PROMPT))

    def _take_pdu(self, now_s: float) -> bool:
        match = _END_OF_PDU.search(self._input)
        if not match:
            return False
        raw, self._input = self._input[: match.start()], self._input[match.end() :]
        octets, self._pdu_octets = self._pdu_octets, None
        start_s = self._start(now_s)
        if self._answers.echo and raw:
            self._say(start_s, raw)
        if match[0][0] != _CTRL_Z:
            self._say(start_s, self._whole_answer([], "OK"))
            return True
        self.ctrl_z_times.append(now_s)
        try:
            submitted = _read_pdu(raw, octets)
        except (PduError, ValueError):
            self._say(start_s, self._whole_answer([], "+CMS ERROR: 304"))
        else:
            self._submit(submitted, start_s)
        return True

    def _submit(self, submitted: Submitted, start_s: float) -> None:
        chatter = "".join(
            f"\r\n{self._answers.fill(line)}\r\n" for line in self._answers.personality.submit_chatter
        ).encode("ascii")
        if chatter := chatter + self._interruption(Moment.BEFORE_RESULT):
            self._say(start_s, chatter)
        if self._answers.personality.submit_ends_ussd and self._ussd.is_open:
            self._ussd.end()
            self._say(start_s, self._line("+CUSD: 2"))
        verdict = self._verdict(submitted)
        done_s = start_s + self.submit_s + verdict.extra_s
        taken = self._hand_over(submitted) if verdict.reaches_network else None
        if taken is not None and submitted.wants_report and self._faults.report_status >= 0:
            self._steps.append(Step(done_s + self._faults.report_s, arrival=self._report(taken)))
        if verdict.silent:
            self._steps.append(Step(done_s, b"", taken))
            return
        if taken is None:
            data = self._whole_answer([], verdict.error)
        else:
            data = self._whole_answer([f"+CMGS: {taken.reference}"], "OK")
        self._steps.append(Step(done_s, data, taken))
        if not verdict.answers_meanwhile:
            self._free_at_s = done_s

    def _hand_over(self, submitted: Submitted) -> Taken:
        taken = Taken(self._reference, submitted)
        self._reference = (self._reference + 1) % 256
        return taken

    def _report(self, taken: Taken) -> str:
        is_international = taken.submitted.type_of_address == _INTERNATIONAL
        receiver = Party(("+" if is_international else "") + taken.submitted.number)
        now = datetime.now(UTC)
        return status_report_pdu(
            taken.reference, receiver, self._faults.report_status, sent_at=now, discharged_at=now
        )

    def _verdict(self, submitted: Submitted) -> Verdict:
        faults = self._faults
        if self._silent.take():
            return Verdict(silent=True, reaches_network=faults.silent_reach_network)
        if not self._good.take() and self._failing.take():
            return Verdict(error=faults.fail_with, reaches_network=False)
        if faults.no_network:
            return Verdict(error="+CMS ERROR: 331", reaches_network=False)
        if self._late.take():
            return Verdict(extra_s=faults.late_s, answers_meanwhile=faults.late_answers_meanwhile)
        return self._network.verdict(self.name, submitted)

    def _start(self, now_s: float) -> float:
        """Return when the modem gets to what it is told now: it does one thing after the other."""
        return max(now_s, self._free_at_s)

    def _say(self, at_s: float, data: bytes) -> None:
        self._steps.append(Step(at_s, data))

    def _interruption(self, moment: Moment) -> bytes:
        if self._faults.interruption and self._faults.interruption_at is moment:
            return self._line(self._faults.interruption)
        return b""

    def _line(self, text: str) -> bytes:
        return f"\r\n{text}\r\n".encode("ascii", errors="replace")

    def _whole_answer(self, lines: list[str], final: str) -> bytes:
        shown = shown_error(final, self._answers.error_form)
        if self._answers.verbose:
            information = "".join(f"{line}\r\n" for line in lines)
            head, tail = (f"\r\n{information}" if lines else ""), f"\r\n{shown}\r\n"
        else:
            numeric = _NUMERIC_RESULTS.get(shown)
            head = "".join(f"{line}\r\n" for line in lines)
            tail = f"{numeric}\r" if numeric else f"{shown}\r\n"
        if not final:
            tail = ""
        inside = self._interruption(Moment.INSIDE_ANSWER) if lines else b""
        glued = self._interruption(Moment.GLUED).removeprefix(b"\r\n")
        return head.encode("ascii") + inside + tail.encode("ascii") + glued


def _read_pdu(raw: bytes, tpdu_octets: int | None) -> Submitted:
    text = raw.translate(None, b"\r\n ").decode("ascii")
    octets = bytes.fromhex(text)
    # The length in AT+CMGS counts the TPDU alone, without the SMSC address in front (TS 27.005, 4.3).
    if not octets or len(octets) != 1 + octets[0] + (tpdu_octets or 0):
        raise ValueError("wrong length")
    return decode_submit(text)
