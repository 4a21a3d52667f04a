"""What a modem answered, as a table that the simulator reads (`sim/personality.py` has the format)."""

import re
from collections import Counter
from collections.abc import Iterator

from otppi.model.modems import Identity
from otppi.modems import parse
from otppi.modems.doctor import Asked, Case
from otppi.modems.redaction import redacted

# Done by the simulated modem itself, with its SIM, its stores and its network; here only where it is refused.
_CARRIED_OUT = re.compile(
    r"AT(?:E\dV1)?$|AT\+(?:CPIN\?|CIMI|COPS|CREG\?|CEREG\?|CGREG\?|CSQ|CSCA|CRSM|CSCS\?|CMEE|CMGF(?!=\?)|CSMS(?!=\?)|"
    r"CMMS(?!=\?)|CNMI(?!=\?)|CPMS(?!=\?)|CMGL(?!=\?)|CMGR|CUSD(?!=\?))"
)
# Refusals that say more of the SIM and the moment than of the make (TS 27.007, 9.2, and TS 27.005, 3.2.5).
_PASSING = re.compile(r"\+CME ERROR: *(?:1[0-5]|3[01]|100)$|\+CMS ERROR: *(?:31\d|32[0-2]|33[12])$")
_ICCID = re.compile(r"(?<![0-9A-Fa-f])(?:89\d{16,18}|98[0-9A-Fa-f]{17,18})[Ff]?(?![0-9A-Fa-f])")
_PIN_STATE = re.compile(r"(?<=CPIN: )(?:READY|SIM PIN|SIM PUK)\b")
_RSSI = re.compile(r"(?<=^\^RSSI:)\d+$")
_NOT_CHATTER = ("+CMT", "+CDS", "+CBM", "+CUSD", "+CREG", "+CGREG", "+CEREG", "RING", "+CLIP")


def personality(case: Case, heading: str) -> str:
    """Write the personality of a modem that was examined, without what is this one's alone."""
    return "\n".join([f"# {heading}", *_settings(case), *_answers(case)]) + "\n"


def _settings(case: Case) -> Iterator[str]:
    refusals = Counter(asked.final for asked in case.asked if _is_refused(asked) and _is_of_make(asked.final))
    for unknown, _ in refusals.most_common(1):
        yield f"set unknown {unknown}"
    for command in dict.fromkeys(asked.command for asked in case.asked if asked.lines and not asked.final):
        yield f"set lacks_ok {command}"
    for name, lines in (("boot", case.chatter), ("submit", case.submit_chatter)):
        for line in dict.fromkeys(lines):
            if not line.startswith(_NOT_CHATTER):
                yield f"set {name}_chatter {_anyones(_RSSI.sub('{csq}', line), case)}"
    if case.submit_s is not None:
        yield f"set submit_s {case.submit_s:.1f}"


def _answers(case: Case) -> Iterator[str]:
    seen: set[str] = set()
    for asked in case.asked:
        if asked.command in seen or (_CARRIED_OUT.match(asked.command) and not _is_refused(asked)):
            continue
        if _PASSING.match(asked.final):
            continue
        seen.add(asked.command)
        if asked.is_silent:
            yield f"# {asked.command} was not answered"
            continue
        lines = [_of_question(line, asked.command, case) for line in asked.lines]
        if not asked.is_ok:
            lines.append(asked.final)
        told = _anyones("\n".join(lines), case).replace("\n", "\\n")
        yield f"{asked.command}  {told or 'OK'}"


def _is_refused(asked: Asked) -> bool:
    return not asked.is_ok and not asked.is_silent


def _is_of_make(final: str) -> bool:
    """Whether it may be the word for commands that the modem does not know."""
    return not final.startswith("+CMS") and not _PASSING.match(final)


def _of_question(line: str, command: str, case: Case) -> str:
    """Put placeholders for the tries of PIN and PUK."""
    question = case.family.pin_tries
    if command != question.command or (match := question.pattern.search(line)) is None:
        return line
    spans = sorted(((match.span(name), name) for name in match.groupdict()), reverse=True)
    for (start, end), name in spans:
        line = f"{line[:start]}{{{name}_tries}}{line[end:]}"
    return line


def _anyones(text: str, case: Case) -> str:
    """Put placeholders for what is this modem's or this SIM's, and hide what else may be a person's."""
    own = case.identity
    if own.imei:  # or an IMEISV, with two digits in place of the last one
        text = re.sub(rf"(?<!\d){own.imei[:14]}\d{{1,2}}(?!\d)", "{imei}", text)
    text = _ICCID.sub(lambda match: _iccid_placeholder(match[0], own), text)
    if own.imsi:
        text = re.sub(rf"(?<!\d){own.imsi}(?!\d)", "{imsi}", text)
    if own.operator:
        text = text.replace(f'"{own.operator}"', '"{operator}"')
    return redacted(_PIN_STATE.sub("{pin_state}", text), case.secrets)


def _iccid_placeholder(found: str, own: Identity) -> str:
    return "{iccid}" if own.iccid and parse.iccid(found) == own.iccid else found
