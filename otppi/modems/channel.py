"""One AT command at a time: its deadline, the prompt, and who gets the lines that nobody asked for."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from otppi.model.pdu import SubmitPdu
from otppi.modems import parse
from otppi.modems.parse import Final, FinalKind
from otppi.modems.transport import SerialTransport

log = logging.getLogger(__name__)

_CTRL_Z = "\x1a"
_ESC = b"\x1b"
_PROMPT_LIMIT_S = 5.0
# A modem that talks without line ends is broken or is no modem; what it said is dropped.
_LONGEST_LINE = 8192
# How long OK is waited for where the modem may leave it out.
_OMITTED_OK_S = 1.0
# Where one result could be two messages', how long the second is waited for.
_SECOND_RESULT_S = 5.0


class AtRefused(Exception):
    """The modem ended a command with an error."""

    def __init__(self, command: str, final: Final) -> None:
        super().__init__(
            f"{final.meaning} (answer to {command}: {final.code})"
            if final.meaning
            else f"the modem refused {command}: {final.code}"
        )
        self.final = final


class NoAnswer(Exception):
    """A command got no final result in time; a late one will be told apart and dropped."""


class Untold(NoAnswer):
    """A result came, and nobody can tell whether it is this message's or an earlier one's."""

    def __init__(self, reference: int | None) -> None:
        """Take the newest TP-MR that came; None if the results of both messages have not come yet."""
        super().__init__("a result came that may be of an earlier message")
        self.reference = reference


@dataclass(frozen=True)
class Owed:
    """A message that was given to the modem and never answered; its TP-MR, if it can be foretold."""

    reference: int | None


class Channel:
    """Speaks AT over an open port; owned by the thread that owns the port.

    Echo may be on or off, errors verbose or numeric, and unsolicited lines may come anywhere; they go to
    `on_unsolicited`, which must not use the channel.
    """

    def __init__(self, transport: SerialTransport, on_unsolicited: Callable[[str], None]) -> None:
        self._transport = transport
        self._on_unsolicited = on_unsolicited
        self._buffer = b""
        self._lines: list[str] = []
        self._joining = ""
        self._owes_answer = False

    def command(
        self,
        text: str,
        *,
        expect: str = "",
        timeout_s: float = 5.0,
        shown: str = "",
        may_lack_ok: bool = False,
    ) -> list[str]:
        """Send a command and return the lines of its answer.

        Args:
            text: The command without its line end.
            expect: The prefix of answer lines, for example `+CSQ:`; with none, lines without a prefix count.
            timeout_s: How long the final result may take.
            shown: What logs and errors may show instead of the command, where it holds a secret.
            may_lack_ok: Whether an expected line may be all that comes.

        Raises:
            AtRefused: The modem answered with an error.
            NoAnswer: No final result in time.
            PortGone: The device went away.
        """
        self._settle()
        self._write_command(text, shown or text)
        final, lines = self._answer(text, expect, time.monotonic() + timeout_s, may_lack_ok=may_lack_ok)
        if final.kind is not FinalKind.OK:
            raise AtRefused(shown or text, final)
        return lines

    def send_pdu(
        self,
        pdu: SubmitPdu,
        before_submit: Callable[[], None],
        answer_limit_s: float,
        owed: Owed | None = None,
    ) -> int:
        """Send one TPDU by `AT+CMGS` (TS 27.005, 4.3) and return its TP-MR.

        `before_submit` is called when the prompt is there, before the first byte of the PDU. What is raised
        before that call means that nothing was sent.

        Args:
            pdu: The TPDU.
            before_submit: See above.
            answer_limit_s: How long the final result may take.
            owed: An earlier message whose result is still missing, and may come now.

        Raises:
            Untold: See there; only where something is owed.
            AtRefused, NoAnswer, PortGone: As for `command`.
        """
        self._settle()
        command = f"AT+CMGS={pdu.tpdu_octets}"
        self._write_command(command, command)
        self._await_prompt(command, time.monotonic() + _PROMPT_LIMIT_S)
        before_submit()
        self._transport.write((pdu.hex + _CTRL_Z).encode("ascii"))
        until_s = time.monotonic() + answer_limit_s
        reference, line = self._submit_result(pdu, owed, until_s)
        if owed is None or owed.reference not in (None, reference):
            return reference
        # This may be the result of the earlier one; then ours is still to come, and second.
        self._owes_answer = True
        try:
            second, _ = self._submit_result(pdu, owed, min(until_s, time.monotonic() + _SECOND_RESULT_S))
        except Untold:
            self._on_unsolicited(line)
            raise Untold(reference) from None
        except NoAnswer:
            raise Untold(reference) from None
        self._on_unsolicited(line)
        return second

    def _submit_result(self, pdu: SubmitPdu, owed: Owed | None, until_s: float) -> tuple[int, str]:
        final, lines = self._answer(pdu.hex, "+CMGS:", until_s)
        if final.kind is not FinalKind.OK:
            if owed is not None:
                # An error has no reference, so it proves nothing of either.
                self._owes_answer = True
                raise Untold(None)
            raise AtRefused("AT+CMGS", final)
        for line in lines:
            if (reference := parse.message_reference(line)) is not None:
                return reference, line
        # OK without +CMGS is not what TS 27.005 calls success.
        raise NoAnswer("AT+CMGS ended without a message reference")

    def call_out(self, text: str, listen_s: float = 1.0) -> None:
        """Say a command to a modem that answers nothing, and listen for a moment.

        Raises:
            PortGone: As for `command`.
        """
        self._transport.write(_ESC + b"\r" + text.encode("ascii") + b"\r")
        until_s = time.monotonic() + listen_s
        while self._next_line(until_s) is not None:
            pass

    def idle(self, timeout_s: float) -> None:
        """Wait for the bell, for lines that nobody asked for, or for the time; whichever comes first."""
        if not self._lines and not self._transport.wait(timeout_s):
            self._receive()
        for line in self._take_lines():
            self._on_unsolicited(line)

    def resynchronise(self, timeout_s: float = 3.0) -> bool:
        """Find the beat again after an answer was missed; True if the modem answers.

        The question has an answer that no other command gives, so a late final result cannot pass for it.
        """
        until_s = time.monotonic() + timeout_s
        self._transport.write(_ESC + b"\rAT+CMEE?\r")
        seen_marker = False
        while (line := self._next_line(until_s)) is not None:
            if line.startswith("+CMEE:"):
                seen_marker = True
            elif parse.final_result(line) is not None:
                if seen_marker:
                    self._owes_answer = False
                    return True
            elif parse.is_unsolicited(line, "+CMEE:"):
                self._on_unsolicited(line)
        return False

    def _settle(self) -> None:
        if self._owes_answer and not self.resynchronise():
            raise NoAnswer("the modem does not answer")

    def _write_command(self, text: str, shown: str) -> None:
        for line in self._take_lines():
            self._on_unsolicited(line)
        # A prompt or noise is dropped; a line that is on its way by itself is not.
        if not parse.may_begin_unsolicited(self._buffer):
            self._buffer = b""
        log.debug("at", extra={"fields": {"write": shown}})
        # Until its final result is read, a command is owed an answer, whatever interrupts us here.
        self._owes_answer = True
        self._transport.write(text.encode("ascii") + b"\r")

    def _await_prompt(self, command: str, until_s: float) -> None:
        while True:
            while self._lines:
                line = self._lines.pop(0)
                final = parse.final_result(line)
                if final is not None and final.kind is FinalKind.OK:
                    # The end of something earlier; the prompt may stand open behind it.
                    self._transport.write(_ESC)
                    raise NoAnswer("it does not ask for the message (no prompt)")
                if final is not None:
                    self._owes_answer = False
                    raise AtRefused(command, final)
                if line.strip() == ">":  # pushed to a line of its own by an unsolicited one
                    return
                if not _is_echo(line, command):
                    self._on_unsolicited(line)
            if self._buffer.strip() == b">":
                self._buffer = b""
                return
            if not self._wait_until(until_s):
                self._transport.write(_ESC)
                raise NoAnswer("it does not ask for the message (no prompt)")

    def _answer(
        self, echo: str, expect: str, until_s: float, *, may_lack_ok: bool = False
    ) -> tuple[Final, list[str]]:
        lines: list[str] = []
        while (line := self._next_line(until_s)) is not None:
            final = parse.final_result(line)
            if final is not None:
                self._owes_answer = False
                return final, lines
            if _is_echo(line, echo):
                continue
            if parse.is_unsolicited(line, expect):
                self._on_unsolicited(line)
            else:
                lines.append(line)
                if may_lack_ok and expect and line.startswith(expect):
                    until_s = min(until_s, time.monotonic() + _OMITTED_OK_S)
        if may_lack_ok and lines:
            return Final(FinalKind.OK), lines  # still owed: an OK that comes late is told apart
        raise NoAnswer("it does not answer")

    def _next_line(self, until_s: float) -> str | None:
        while not self._lines:
            if not self._wait_until(until_s):
                return None
        return self._lines.pop(0)

    def _take_lines(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def _wait_until(self, until_s: float) -> bool:
        if not self._transport.wait_for_bytes(until_s - time.monotonic()):
            return False
        self._receive()
        return True

    def _receive(self) -> None:
        *complete, rest = (self._buffer + self._transport.read()).replace(b"\r", b"\n").split(b"\n")
        self._buffer = rest if len(rest) <= _LONGEST_LINE else b""
        for raw in complete:
            line = raw.decode("ascii", errors="replace").strip("\x00 \t")
            if self._joining:
                self._join(line)
            elif line:
                self._begin(line)

    def _begin(self, line: str) -> None:
        *before, last = parse.unglued(line)
        self._lines += before
        if parse.announces_second_line(last) or parse.is_incomplete(last):
            self._joining = last
        else:
            self._lines.append(last)

    def _join(self, line: str) -> None:
        # A PDU follows its announcement at once; blank lines between CR and LF are not it. In a USSD menu
        # blank lines count as nothing either.
        if not line:
            return
        if parse.final_result(line) is not None:  # the rest was lost
            self._lines.append(self._joining)
            self._joining = ""
            self._begin(line)
            return
        joined = f"{self._joining}\n{line}"
        if parse.is_incomplete(joined):
            self._joining = joined
            return
        self._joining = ""
        self._lines.append(joined)


def _is_echo(line: str, sent: str) -> bool:
    # After the prompt the echo may stand behind "> " and end with the Ctrl-Z itself.
    return line.removeprefix(">").strip(" \x1a") == sent
