"""As many messages as eight callers can hand over, to modems that answer at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import processes
from tests.bench.caller import drive, phone, sms
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.simulator import count_numbers
from tests.bench.statistics_of import median

_CALLERS = 8
_LIMIT_S = 60.0


@dataclass(frozen=True)
class Burst:
    """How it went."""

    per_second: float
    cpu_s_per_1000: float
    simulator_share: float  # of a core
    caller_share: float
    lost: int
    doubled: int


def one_burst(rig: Rig, first: int, count: int) -> Burst:
    """Hand over so many messages, to numbers from the first on, as fast as the callers can."""
    requests = [sms(index) for index in range(first, first + count)]
    before, cpu_s = rig.simulator.counts(), processes.cpu_s(rig.pid)
    simulator_cpu_s, caller_cpu_s = processes.cpu_s(rig.simulator.pid), time.process_time()
    answers = drive(rig.port, requests, _CALLERS, _LIMIT_S)
    cpu_s = processes.cpu_s(rig.pid) - cpu_s
    simulator_cpu_s = processes.cpu_s(rig.simulator.pid) - simulator_cpu_s
    caller_cpu_s = time.process_time() - caller_cpu_s
    refused = [answer.code for answer in answers if answer.code != "0000"]
    if refused:
        raise CouldNotMeasure(f"{len(refused)} of {count} messages were refused, the first with {refused[0]}")
    span_s = max(rig.simulator.counts().since(before).ctrl_z_s) - min(answer.sent_s for answer in answers)
    reached = count_numbers(rig.simulator.new_messages())
    return Burst(
        per_second=count / span_s,
        cpu_s_per_1000=1000 * cpu_s / count,
        simulator_share=simulator_cpu_s / span_s,
        caller_share=caller_cpu_s / span_s,
        lost=sum(reached[phone(index)] == 0 for index in range(first, first + count)),
        doubled=sum(times > 1 for times in reached.values()),
    )


def _bursts(rig: Rig, times: int, count: int) -> list[Burst]:
    rig.warm_up()
    return [one_burst(rig, first, count) for first in range(0, times * count, count)]


def _speed(bursts: Sequence[Burst]) -> Reading:
    each = ", ".join(f"{burst.per_second:.0f}" for burst in bursts)
    simulator = median([burst.simulator_share for burst in bursts])
    callers = median([burst.caller_share for burst in bursts])
    return Reading(
        median([burst.per_second for burst in bursts]),
        f"runs: {each}; of a core the simulator had {simulator:.0%}, the callers {callers:.0%}",
    )


def _run(extent: Extent) -> Readings:
    times, count = extent.pick(3, 1), extent.pick(1000, 150)
    with Rig(extent, modems=1) as rig:
        one = _bursts(rig, times, count)
    with Rig(extent, modems=4) as rig:
        written = processes.written_bytes(rig.pid)
        four = _bursts(rig, times, count)
        written = processes.written_bytes(rig.pid) - written
        rss_mb, complaints = processes.rss_mb(rig.pid), rig.complaints()
    sent = times * count
    return {
        "one_modem": _speed(one),
        "four_modems": _speed(four),
        "cpu_s": Reading(
            median([burst.cpu_s_per_1000 for burst in four]),
            f"one modem: {median([burst.cpu_s_per_1000 for burst in one]):.2f} s",
        ),
        "rss_mb": Reading(rss_mb, f"after {sent} messages"),
        "written": Reading(written / sent, f"{written} B in {sent} messages"),
        "lost": Reading(sum(burst.lost for burst in one + four), f"of {2 * sent}"),
        "doubled": Reading(sum(burst.doubled for burst in one + four), f"of {2 * sent}"),
        "complaints": Reading(len(complaints), complaints[0] if complaints else ""),
    }


def _none(key: str, title: str, unit: str = "") -> RowSpec:
    return RowSpec(key=key, title=title, unit=unit, at_least=0, at_most=0, is_correctness=True)


BURST = Measurement(
    name="burst",
    rows=(
        RowSpec(key="one_modem", title="8 callers, 1 instant modem", unit="messages/s", at_least=300),
        RowSpec(key="four_modems", title="8 callers, 4 instant modems", unit="messages/s", at_least=500),
        RowSpec(key="cpu_s", title="CPU of the gateway per 1,000 messages", unit="s", at_most=1.0),
        RowSpec(key="rss_mb", title="Memory in use with 4 modems after the load", unit="MB", at_most=60),
        _none("written", "Written to disks per message", "B"),
        _none("lost", "Messages lost"),
        _none("doubled", "Messages sent twice"),
        _none("complaints", "Warnings and errors in the log"),
    ),
    run=_run,
)
