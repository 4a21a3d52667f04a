"""A modem that is examined at its port: which port may be asked, who has it, what is written down."""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import otppi
from otppi.lib.holders import holders
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import BadRequest
from otppi.model.number import Number, parse_number
from otppi.model.ports import SerialPort, Stick, port_named, stick_at
from otppi.modems.doctor import Case, Finding, ObservedChannel, Verdict, examine, look_at_ports
from otppi.modems.personality_draft import personality
from otppi.modems.ports import candidates, left_out, why_without_port
from otppi.modems.recording import RecordedTransport, Recording
from otppi.modems.redaction import redacted
from otppi.modems.transport import PortGone, SerialLine
from otppi.services.control import NotRunning, Refused, Unanswered, call
from otppi.system.serialports import present_sticks

_CALL_LIMIT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What is left of an examination: words for a person and a file, both without numbers."""

    is_well: bool
    report: str
    document: str
    file_name: str


def ports() -> Iterator[str]:
    """Yield a line for each port that is plugged in, and one for each stick that is a modem without a port."""
    for stick in present_sticks():
        if why := why_without_port(stick):
            yield f"-\t{stick.description}\tno port\t{why}"
        for choice in (*candidates(stick), *left_out(stick)):
            use = "may be asked" if choice.may_be_asked else "left alone"
            if names := holders(choice.port.node):
                use = f"held by {', '.join(names)}"
            yield f"{choice.port.node}\t{stick.description or stick.usb}\t{use}\t{choice.why}"


def named(name: str) -> tuple[Stick, SerialPort]:
    """Find the port that is meant by a node, its last part, or a name in /dev/serial/by-id.

    Raises:
        BadRequest: There is none.
    """
    sticks = present_sticks()
    for one in (name, f"/dev/serial/by-id/{name}", os.path.realpath(name)):
        if (found := port_named(sticks, one)) is not None:
            return found
    node = (Path(name) if "/" in name else Path("/dev", name)).resolve()
    if not node.is_char_device():
        raise BadRequest("", f"there is no port {name}; otppi modem doctor lists those on USB")
    stick = stick_at(str(node))
    return stick, stick.ports[0]


def receiver(number: str) -> Number:
    """Read whom the test message is for.

    Raises:
        BadRequest: It is no number with its country code; without the gateway's settings nobody knows the country.
    """
    digits = number.strip().removeprefix("+")
    try:
        if digits.startswith("0"):
            raise ValueError("must begin with its country code, such as +62812…")
        return parse_number(f"+{digits}", "")
    except ValueError as error:
        raise BadRequest("--send-to", str(error)) from None


def check_that_it_may_be_asked(state_dir: Path, stick: Stick, port: SerialPort, *, force: bool) -> None:
    """Refuse a port that is not to be disturbed, or that a program has open.

    Raises:
        BadRequest: It may not be asked now; the reason says what to do.
    """
    for choice in left_out(stick):
        if choice.port == port and not force:
            better = ", ".join(one.port.node for one in candidates(stick))
            advice = f"take {better}" if better else "--force asks it all the same"
            raise BadRequest("", f"{port.node} is not asked: {choice.why}; {advice}")
    names = holders(port.node)
    if names and (own := _used_by_gateway(state_dir, stick)) is not None:
        modem_id, name = own
        active = f"otppi settings set modems.{modem_id}.active"
        raise BadRequest(
            "", f"the gateway has {port.node} as modem {name}. Free it: {active} no; afterwards: {active} yes"
        )
    if names:
        raise BadRequest(
            "", f"{', '.join(names)} holds {port.node}. End it first; a service by: systemctl stop {names[0]}"
        )


def _used_by_gateway(state_dir: Path, stick: Stick) -> tuple[str, str] | None:
    """Return id and name of the modem that a running gateway has there; None if it has none."""
    try:
        modems = [one for one in call(state_dir, "modem.list", {}, _CALL_LIMIT_S) if one["active"]]
        names = set()
        with contextlib.suppress(Refused):  # a gateway that is not the device's looks for no modems
            found = call(state_dir, "modem.found", {}, _CALL_LIMIT_S)["modems"]
            names = {one["used_as"] for one in found if one["node"] in stick.nodes}
    except (NotRunning, Refused, Unanswered):
        return None
    # What was found goes before what the settings say: a modem may have been moved.
    here = [one for one in modems if one["name"] in names] or [
        one for one in modems if _is_at(stick, one["port"])
    ]
    return next(((one["id"], one["name"]) for one in here), None)


def _is_at(stick: Stick, port: str) -> bool:
    is_named = any(one.answers_to(port) for one in stick.ports)
    return bool(port) and (is_named or os.path.realpath(port) in stick.nodes)


def visit(stick: Stick, port: SerialPort, line: SerialLine, receiver: Number | None) -> Visit:
    """Examine the modem; takes seconds, or a minute more with a message.

    Raises:
        BadRequest: The port cannot be opened.
    """
    found, recording, wakeup = list(look_at_ports(stick, port, line)), Recording(), Wakeup()
    try:
        with contextlib.closing(RecordedTransport(port.node, line, wakeup, recording)) as transport:
            channel = ObservedChannel(transport, recording)
            case = examine(channel, stick.usb, ports=found, receiver=receiver)
    except PortGone as error:
        raise BadRequest("", f"{port.node}: {error}") from error
    finally:
        wakeup.close()
    hidden = (*case.secrets, receiver.digits if receiver is not None else "")
    report = redacted("\n".join([*_report(case.findings), "", f"Verdict: {case.words}."]), hidden)
    return Visit(
        is_well=case.is_well,
        report=report,
        document=_document(case, report, recording, hidden),
        file_name=_file_name(case),
    )


def _report(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.level:9}  {finding.subject}: {finding.words}"
        if finding.advice:
            yield f"           → {finding.advice}"


def _document(case: Case, report: str, recording: Recording, hidden: Sequence[str]) -> str:
    heading = f"otppi modem doctor {otppi.__version__}, {time.strftime('%Y-%m-%d %H:%M')}"
    sections = [heading, "", "== Report ==", report]
    if case.verdict is not Verdict.NO_MODEM:
        own = case.identity
        what = f"{own.manufacturer} {own.model}, firmware {own.revision or 'unknown'}. Witness: {heading}."
        sections += [
            "",
            "== Personality: otppi/sim/personalities/NAME.at ==",
            personality(case, what).rstrip(),
        ]
    sections += ["", "== Transcript: seconds, > to the modem, < from it, x for what is hidden =="]
    sections += recording.lines(lambda text: redacted(text, hidden))
    # Once more over all, so that nothing comes into the file by another way.
    return redacted("\n".join(sections), hidden) + "\n"


def _file_name(case: Case) -> str:
    model = re.sub(r"[^A-Za-z0-9]+", "-", redacted(case.identity.model, case.secrets)).strip("-")[:40]
    return f"modem-doctor-{model or 'unknown'}-{time.strftime('%Y-%m-%d-%H%M')}.txt"
