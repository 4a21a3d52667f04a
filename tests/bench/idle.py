"""What the gateway costs while nobody asks anything of it, and how fast it wakes up."""

import time

from tests.bench import processes
from tests.bench.caller import sms
from tests.bench.latency import spaced_latencies_ms
from tests.bench.rig import Rig
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec

_SETTLE_S = 1.0


def _run(extent: Extent) -> Readings:
    with Rig(extent, modems=4) as rig:
        rig.warm_up()
        time.sleep(_SETTLE_S)
        commands, cpu_s = rig.simulator.counts().at_commands, processes.cpu_s(rig.pid)
        switches, began_s = processes.switches(rig.pid), time.monotonic()
        time.sleep(extent.idle_s)
        idle_s = time.monotonic() - began_s
        cpu_s = processes.cpu_s(rig.pid) - cpu_s
        switches = processes.switches(rig.pid) - switches
        commands = rig.simulator.counts().at_commands - commands
        first_ms, *_ = spaced_latencies_ms(rig, [sms(0)])
    per_minute = 60 / idle_s
    return {
        "idle_cpu_percent": Reading(100 * cpu_s / idle_s, f"over {idle_s:.0f} s, 4 modems"),
        "idle_wakeups": Reading(switches * per_minute, f"{commands * per_minute:.0f} AT commands per minute"),
        "after_idle_ms": Reading(first_ms, f"on a new connection after {idle_s:.0f} s"),
    }


IDLE = Measurement(
    name="idle",
    rows=(
        RowSpec(key="idle_cpu_percent", title="CPU while idle", unit="% of a core", at_most=0.1),
        RowSpec(key="idle_wakeups", title="Wake-ups of its threads while idle", unit="/min"),
        RowSpec(
            key="after_idle_ms", title="First message after the pause to Ctrl-Z", unit="ms", at_most=20.0
        ),
    ),
    run=_run,
)
