"""Checking codes: wrong ones and right ones, by eight callers at once."""

import re
from collections import Counter

from tests.bench import processes
from tests.bench.caller import drive, otp_request, phone, verification
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec

_CALLERS = 8
_LIMIT_S = 60.0
_WRONG_PER_CODE = 3


def issue_codes(rig: Rig, count: int) -> list[str]:
    """Ask for codes of the references 0 to count, and read them as their receivers do."""
    answers = drive(rig.port, [otp_request(index) for index in range(count)], _CALLERS, _LIMIT_S)
    refused = [answer.code for answer in answers if answer.code != "0000"]
    if refused:
        raise CouldNotMeasure(f"{len(refused)} codes were refused, the first with {refused[0]}")
    found = {one.number: re.search(r"\d{4,10}", one.text) for one in rig.simulator.new_messages()}
    codes = [match[0] for index in range(count) if (match := found.get(phone(index)))]
    if len(codes) != count:
        raise CouldNotMeasure(f"{len(codes)} of {count} codes reached their receivers")
    return codes


def wrong(code: str, by: int = 1) -> str:
    """Return another code of the same length."""
    return f"{(int(code) + by) % 10 ** len(code):0{len(code)}d}"


def _run(extent: Extent) -> Readings:
    count = extent.pick(1000, 60)
    with Rig(extent, modems=4) as rig:
        rig.warm_up()
        written = processes.written_bytes(rig.pid)
        codes = issue_codes(rig, count)
        # Round after round over all references, so that no two tries of one code are in hand at a time.
        requests = [
            verification(index, wrong(code, by))
            for by in range(1, _WRONG_PER_CODE + 1)
            for index, code in enumerate(codes)
        ]
        requests += [verification(index, code) for index, code in enumerate(codes)]
        cpu_s = processes.cpu_s(rig.pid)
        answers = drive(rig.port, requests, _CALLERS, _LIMIT_S)
        cpu_s = processes.cpu_s(rig.pid) - cpu_s
        again = drive(rig.port, requests[-count:], _CALLERS, _LIMIT_S)
        written = processes.written_bytes(rig.pid) - written
    span_s = max(answer.answered_s for answer in answers) - min(answer.sent_s for answer in answers)
    said = [answer.code for answer in [*answers, *again]]
    due = ["1202"] * _WRONG_PER_CODE * count + ["0000"] * count + ["1202"] * count
    surprises = Counter(code for code, right in zip(said, due, strict=True) if code != right)
    return {
        "per_second": Reading(
            len(answers) / span_s, f"n={len(answers)}, CPU {1000 * cpu_s / len(answers):.2f} s per 1,000"
        ),
        "misjudged": Reading(
            surprises.total(), f"of {len(said)} {dict(surprises) if surprises else ''}".rstrip()
        ),
        "otp_written": Reading(written / count, f"{written} B in {count} codes"),
    }


VERIFY = Measurement(
    name="verify",
    rows=(
        RowSpec(key="per_second", title="8 callers, verify-otp", unit="checks/s", at_least=1000),
        RowSpec(
            key="misjudged",
            title="Codes misjudged (wrong, right, used)",
            at_least=0,
            at_most=0,
            is_correctness=True,
        ),
        RowSpec(
            key="otp_written",
            title="Written to disks per code",
            unit="B",
            at_least=0,
            at_most=0,
            is_correctness=True,
        ),
    ),
    run=_run,
)
